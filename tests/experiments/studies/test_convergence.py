"""The study: one table, resumable, the same however it came about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings
from conv4rec_experiments.studies import convergence
from conv4rec_experiments.studies.convergence import COLUMNS, Study, run, slope, t6_certificate
from conv4rec_experiments.truths import small_truth

QUICK = Settings(starts=2, kept=1, screening=15, iterations=40)
STUDY = Study(truth="small", sizes=(3_000, 30_000), seeds=(0, 1), settings=QUICK)


def numbers(table: pl.DataFrame) -> pl.DataFrame:
    """The table without the clock."""
    return table.drop("seconds")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study")
    run(STUDY, path, progress=False)
    return path


@pytest.fixture(scope="module")
def table(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "convergence.parquet")


def test_the_table_is_tidy_and_whole(table: pl.DataFrame, folder: Path) -> None:
    assert table.schema == dict(COLUMNS)
    assert table.select("size", "seed").rows() == [(3_000, 0), (3_000, 1), (30_000, 0), (30_000, 1)]
    assert table.null_count().row(0) == (0,) * len(COLUMNS)
    assert_frame_equal(pl.read_csv(folder / "convergence.csv", schema=dict(COLUMNS)), table)
    assert not list(folder.rglob("*.part"))


def test_what_is_measured_is_ordered_as_theory_has_it(table: pl.DataFrame) -> None:
    assert (table["gap"] <= 0).all()
    np.testing.assert_allclose(table["gap"], table["training_loss"] - table["truth_loss"])
    assert (table["tv"] < table["histogram_tv"]).all()
    assert (table["tv"] < table["t6"]).all()
    assert (table["t6"] < 1).all()
    assert (table["tv"] <= (table["kl"] / 2).sqrt()).all()
    assert (table["tv_population"] / table["tv"]).is_between(0.9, 1.1).all()
    medians = table.group_by("size").agg(pl.col("tv", "t6").median()).sort("size")
    assert medians["tv"].is_sorted(descending=True)
    assert medians["t6"].is_sorted(descending=True)


def test_two_workers_find_the_same_numbers(table: pl.DataFrame, tmp_path: Path) -> None:
    assert_frame_equal(numbers(run(STUDY, tmp_path, workers=2, progress=False)), numbers(table))


def test_a_killed_study_goes_on_where_it_stopped(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, done = convergence._measure, []

    def dies_at_the_third(study: Study, size: int, seed: int) -> dict[str, Any]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append((size, seed))
        return measure(study, size, seed)

    monkeypatch.setattr(convergence, "_measure", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(STUDY, tmp_path, progress=False)
    assert len(list((tmp_path / "parts").iterdir())) == 2
    assert not (tmp_path / "convergence.parquet").exists()

    resumed: list[tuple[int, int]] = []

    def counts_calls(study: Study, size: int, seed: int) -> dict[str, Any]:
        resumed.append((size, seed))
        return measure(study, size, seed)

    monkeypatch.setattr(convergence, "_measure", counts_calls)
    assert_frame_equal(numbers(run(STUDY, tmp_path, progress=False)), numbers(table))
    assert resumed == [(30_000, 0), (30_000, 1)]


def test_a_finished_study_grows_and_is_not_run_again(
    table: pl.DataFrame, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_frame_equal(run(replace(STUDY, seeds=(1,)), folder, progress=False), table.filter(pl.col("seed") == 1))
    monkeypatch.setattr(convergence, "_measure", None)
    assert_frame_equal(run(STUDY, folder, progress=False), table)


def test_parts_of_two_studies_do_not_mix(folder: Path) -> None:
    with pytest.raises(InputError, match="another delta"):
        run(replace(STUDY, delta=0.1), folder, progress=False)
    with pytest.raises(InputError, match="another settings, truth_seed"):
        run(replace(STUDY, truth_seed=1, settings=Settings()), folder, progress=False)


def test_t6_falls_with_delta_and_size() -> None:
    truth = small_truth(0)
    counts = truth.sample(20_000, np.random.default_rng(0))
    value = t6_certificate(truth.weights, truth, counts, 0.05)
    assert 0 < value < 1
    assert t6_certificate(truth.weights, truth, counts, 0.5) < value
    assert t6_certificate(truth.weights, truth, 10 * counts, 0.05) < value


@settings(max_examples=20)
@given(exponent=st.floats(-2, 2), level=st.floats(0.01, 10), seeds=st.integers(1, 5))
def test_slope_of_a_power_law_is_its_exponent(exponent: float, level: float, seeds: int) -> None:
    size = np.repeat([100, 300, 1_000, 30_000], seeds)
    found = slope(pl.DataFrame({"size": size, "tv": level * size**exponent}), "tv", resamples=50)
    assert found.value == pytest.approx(exponent, abs=1e-9)
    assert found.low == pytest.approx(exponent, abs=1e-9)
    assert found.high == pytest.approx(exponent, abs=1e-9)
    assert (found.least_size, found.greatest_size) == (100, 30_000)


def test_the_slopes_interval_covers_and_shrinks_with_more_seeds() -> None:
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
        assert inside >= least
        widths.append(width)
    assert widths[1] < widths[0]


def test_slopes_start_where_they_are_told_to() -> None:
    frame = pl.DataFrame({"size": [10, 100, 1_000], "tv": [5.0, 0.1, 0.01]})
    assert slope(frame, "tv", least_size=100).value == pytest.approx(-1)
    with pytest.raises(InputError, match="two sizes"):
        slope(frame, "tv", least_size=500)
    with pytest.raises(InputError, match="equally many seeds"):
        slope(pl.DataFrame({"size": [10, 10, 10, 100], "tv": [1.0, 1.0, 1.0, 1.0]}), "tv")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"truth": "big"}, "no truth named 'big'"),
        ({"sizes": ()}, "sizes"),
        ({"sizes": (10, 10)}, "all different"),
        ({"sizes": (0,)}, "none below 1"),
        ({"seeds": (-1,)}, "seeds"),
        ({"delta": 0.0}, "delta"),
        ({"delta": float("nan")}, "delta"),
    ],
)
def test_studies_that_cannot_be_are_refused_in_words(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Study(**arguments)
