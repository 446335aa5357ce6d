"""Coverage: miss rates with exact intervals, the limit of the criterion, and what breaks when assumptions do."""

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import beta, binom

from conv4rec_experiments.figures.coverage import caption, draw_coverage, draw_stress
from conv4rec_experiments.studies.coverage import most_misses
from toy_tables import ALL, toy_tables

FEW = [row for row in ALL if row[0] in ("T6", "T7e", "T9-lower", "T11")]


@settings(max_examples=60, deadline=None)
@given(replicates=st.integers(1, 20_000), delta=st.floats(0, 0.999))
def test_the_limit_is_the_last_number_of_misses_with_a_tail_above_it(replicates: int, delta: float) -> None:
    most = most_misses(replicates, delta)
    assert binom.sf(most - 1, replicates, delta) >= 1e-6
    assert most == replicates or binom.sf(most, replicates, delta) < 1e-6


def with_misses(misses: int, seeds: int = 40) -> pl.DataFrame:
    """Certificates on two truths at two sizes; T6 misses on the first so often at each size."""
    truths = (("small", 0), ("twins", 0))
    table = toy_tables(truths=truths, sizes=(1_000, 10_000), seeds=seeds, certificates=FEW).certificates
    missed = (pl.col("theorem") == "T6") & (pl.col("truth") == "small") & (pl.col("seed") < misses)
    return table.with_columns(bound=pl.when(missed).then(pl.col("measured") / 2).otherwise(pl.col("bound")))


def test_rates_have_their_exact_intervals(tmp_path: Path, drawn: list[Figure]) -> None:
    certificates = with_misses(3)
    paths = draw_coverage(certificates, tmp_path / "figure")
    first, second = drawn[0].axes
    assert (first.get_title(), second.get_title()) == ("small 0", "twins 0")
    assert [label.get_text() for label in first.get_yticklabels()] == ["T6", "T7e", "T9-lower", "T11"]
    bars, points = first.lines[0], first.lines[1]
    np.testing.assert_allclose(points.get_xdata(), [6 / 80])
    assert points.get_marker() == "o"
    np.testing.assert_allclose(bars.get_xdata(), [beta.ppf(0.025, 6, 75), beta.ppf(0.975, 7, 74)])
    assert [text.get_text() for text in first.texts] == ["refused"]
    ticks = [collection.get_segments()[0][0, 0] for collection in first.collections]
    np.testing.assert_allclose(ticks[:2], [0.05, most_misses(80, 0.05) / 80])
    words = paths[2].read_text().strip()
    assert words == caption(certificates)
    told = "80 replicates of each certificate; misses: T6 6 of 80; always refused: T11. truth twins"
    assert told in words
    assert "N = 1,000 to 10,000, all sizes counted together" in words
    assert "*" not in words.split("misses:")[1]


def test_what_all_but_cannot_be_chance_is_crossed(tmp_path: Path, drawn: list[Figure]) -> None:
    limit = most_misses(80, 0.05)
    assert limit % 2 == 0
    for misses, marker in ((limit // 2, "o"), (limit // 2 + 1, "X")):
        certificates = with_misses(misses)
        draw_coverage(certificates, tmp_path / "figure")
        assert drawn[-1].axes[0].lines[1].get_marker() == marker
        assert (f"T6 {2 * misses} of 80 *" in caption(certificates)) == (marker == "X")


def test_a_sure_bound_is_refuted_by_one_miss() -> None:
    certificates = with_misses(0)
    once = (pl.col("theorem") == "T7e") & (pl.col("truth") == "small") & (pl.col("seed") == 0)
    broken = certificates.with_columns(bound=pl.when(once).then(pl.col("measured") * 2).otherwise(pl.col("bound")))
    assert "misses: none" in caption(certificates)
    assert "T7e 2 of 80 *" in caption(broken)


def test_samplings_stand_in_columns(tmp_path: Path, drawn: list[Figure]) -> None:
    samplings = ("independent", "dependent", "without replacement")
    certificates = toy_tables(samplings=samplings, sizes=(1_000,), seeds=60, certificates=FEW, miss=0.5).certificates
    paths = draw_stress(certificates, tmp_path / "figure")
    assert [axes.get_title() for axes in drawn[0].axes] == ["independent", "dependent", "without\nreplacement"]
    markers = [axes.lines[1].get_marker() for axes in drawn[0].axes]
    assert markers == ["o", "X", "X"]
    rows = certificates.filter((pl.col("theorem") == "T6") & (pl.col("sampling") == "dependent"))
    misses = int((rows["measured"] > rows["bound"]).sum())
    np.testing.assert_allclose(drawn[0].axes[1].lines[1].get_xdata(), [misses / 60])
    assert f"dependent sampling: 60 replicates of each certificate; misses: T6 {misses} of 60 *" in paths[2].read_text()


def test_misses_of_one_target_are_not_hidden_by_another(tmp_path: Path, drawn: list[Figure]) -> None:
    rows = [row for row in ALL if row[0] == "T7f"]
    certificates = toy_tables(sizes=(1_000,), seeds=40, certificates=rows).certificates
    for place, words in enumerate(("T7f", "T7f, fit", "T7f, fit, coarse")):
        missed = (pl.col("target") == rows[place][2]) & (pl.col("seed") < 20)
        broken = certificates.with_columns(bound=pl.when(missed).then(0.0).otherwise(pl.col("bound")))
        draw_coverage(broken, tmp_path / "figure")
        (axes,) = drawn[-1].axes
        assert [label.get_text() for label in axes.get_yticklabels()] == ["T7f", "T7f, fit", "T7f, fit, coarse"]
        rates = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines[1::2]}
        assert rates == {row: 0.5 if row == place else 0 for row in range(3)}
        assert f"misses: {words} 20 of 40 *." in caption(broken)
