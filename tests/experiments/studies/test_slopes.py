"""Slopes recover exponents, their intervals cover, and what has no logarithm is refused."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.studies.slopes import least_size, slope, slopes


@settings(max_examples=20, deadline=None)
@given(exponent=st.floats(-2, 2), level=st.floats(0.01, 10), seeds=st.integers(1, 5))
def test_slope_of_a_power_law_is_its_exponent(exponent: float, level: float, seeds: int) -> None:
    size = np.repeat([100, 300, 1_000, 30_000], seeds)
    found = slope(pl.DataFrame({"size": size, "tv": level * size**exponent}), "tv", resamples=50)
    assert found.value == pytest.approx(exponent, abs=1e-9)
    assert found.low == pytest.approx(exponent, abs=1e-9)
    assert found.high == pytest.approx(exponent, abs=1e-9)
    assert (found.least_size, found.greatest_size) == (100, 30_000)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1_000), factor=st.floats(0.1, 10))
def test_slopes_see_neither_the_order_of_rows_nor_the_unit(seed: int, factor: float) -> None:
    rng = np.random.default_rng(seed)
    size = np.repeat([100, 1_000, 10_000], (3, 5, 4))
    table = pl.DataFrame({"size": size, "tv": size**-0.5 * np.exp(0.2 * rng.standard_normal(size.size))})
    first = slope(table, "tv", resamples=200)
    second = slope(table.with_columns(pl.col("tv") * factor), "tv", resamples=200)
    third = slope(table.sample(fraction=1, shuffle=True, seed=seed), "tv", resamples=200)
    assert (second.value, second.low, second.high) == pytest.approx((first.value, first.low, first.high), abs=1e-9)
    assert third.value == pytest.approx(first.value, abs=1e-12)
    assert first.low <= first.high


def test_the_slope_is_that_of_medians_and_not_of_means() -> None:
    size = np.repeat([100, 10_000], 3)
    table = pl.DataFrame({"size": size, "tv": [1.0, 2.0, 1e6, 0.1, 0.2, 1e-9]})
    assert slope(table, "tv").value == pytest.approx(np.log(0.1 / 2) / np.log(100))


def test_one_wild_seed_does_not_widen_the_interval() -> None:
    size = np.repeat([100, 10_000], 9)
    table = pl.DataFrame({"size": size, "tv": np.where(np.arange(18) % 9 == 0, 1e9, 1.0) * size**-0.5})
    found = slope(table, "tv")
    assert (found.low, found.high) == pytest.approx((-0.5, -0.5))


def test_the_interval_covers_and_shrinks_with_more_seeds() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for seeds, least in ((10, 150), (40, 180)):
        inside, width = 0, 0.0
        for _ in range(200):
            size = np.repeat([100, 1_000, 10_000], seeds)
            tv = size**-0.5 * np.exp(0.2 * rng.standard_normal(size.size))
            found = slope(pl.DataFrame({"size": size, "tv": tv}), "tv", resamples=200)
            inside += found.low <= -0.5 <= found.high
            width += found.high - found.low
        # Nominally 190; the percentile interval of a median of ten is a little short.
        assert least <= inside <= 199
        widths.append(width)
    assert widths[1] < widths[0]


def test_slopes_start_where_they_are_told_to() -> None:
    frame = pl.DataFrame({"size": [10, 100, 1_000], "tv": [5.0, 0.1, 0.01]})
    assert slope(frame, "tv", least_size=100).value == pytest.approx(-1)
    assert least_size(frame) == 10
    assert least_size(pl.DataFrame({"size": [100, 10_000, 10_000, 30_000]})) == 10_000


@pytest.mark.parametrize(
    ("sizes", "values", "arguments", "words"),
    [
        ([10, 100], [1.0, 1.0], {"least_size": 50}, "two sizes"),
        ([10, 100], [1.0, None], {}, "two sizes"),
        ([10, 100], [1.0, 0.0], {}, "not a positive finite number"),
        ([10, 100], [1.0, float("inf")], {}, "not a positive finite number"),
        ([10, 100], [float("nan"), 1.0], {}, "not a positive finite number"),
        ([10, 100], [1.0, 1.0], {"resamples": 0}, "at least 1"),
    ],
)
def test_what_has_no_slope_is_refused_in_words(
    sizes: list[int], values: list[float | None], arguments: dict[str, int], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        slope(pl.DataFrame({"size": sizes, "tv": values}), "tv", **arguments)


def test_groups_have_slopes_of_their_own() -> None:
    rows = [
        {"truth": truth, "theorem": theorem, "size": size, "bound": value}
        for truth, theorem, size, value in [
            *(("a", "T6", size, size**-0.5) for size in (10_000, 40_000)),
            *(("a", "T6", size, 7.0) for size in (10, 100)),
            *(("b", "T6", size, size**-1.0) for size in (10, 100)),
            *(("b", "T9", size, 0.0) for size in (10, 100)),
            ("b", "T7", 10, 1.0),
            *(("c", "T6", size, None) for size in (10, 100)),
        ]
    ]
    found = slopes(pl.DataFrame(rows, infer_schema_length=None), "bound", ["truth", "theorem"])
    assert found.columns == ["truth", "theorem", "slope", "low", "high", "least_size", "greatest_size"]
    assert found.select("truth", "theorem", "least_size", "greatest_size").rows() == [
        ("a", "T6", 10_000, 40_000),
        ("b", "T6", 10, 100),
    ]
    np.testing.assert_allclose(found["slope"], [-0.5, -1.0])
    with pytest.raises(InputError, match="group by"):
        slopes(pl.DataFrame(rows, infer_schema_length=None), "bound", [])
