"""The convergence figures show what their table holds, and their captions say it with its numbers."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from conv4rec.errors import InputError
from conv4rec_experiments.figures.convergence import (
    ABOVE,
    caption,
    caption_protocols,
    draw_convergence,
    draw_protocols,
)
from conv4rec_experiments.figures.panels import FAST, ROOT, SLOW
from conv4rec_experiments.formatting import lower, upper
from conv4rec_experiments.studies.slopes import slope
from toy_tables import ALL, Tables, toy_tables

T6 = [row for row in ALL if row[0] == "T6"]
VARIATIONS = [row for row in ALL if row[0] in ("T5", "T6", "T9-lower") or (row[0].startswith("T7") and row[0] != "T7e")]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return toy_tables(certificates=VARIATIONS)


def labels(figure: Figure) -> list[list[str]]:
    """Names of the curves in the legends, panel by panel."""
    return [[text.get_text().split(":")[0] for text in axes.get_legend().get_texts()] for axes in figure.axes]


def test_every_curve_stands_in_its_panel_with_its_own_look(tables: Tables, tmp_path: Path, drawn: list[Figure]) -> None:
    paths = draw_convergence(tables.measures, tables.certificates, tmp_path / "new" / "figure")
    assert [path.name for path in paths] == ["figure.pdf", "figure.png", "figure.txt"]
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert paths[2].read_text().strip() == caption(tables.measures, tables.certificates)
    root, fast, slow = (rate.words for rate in (ROOT, FAST, SLOW))
    fit = ("fitted Conv4Rec", "statistical floor")
    assert labels(drawn[0]) == [
        ["histogram", "smoothed histogram", *fit, root],
        ["T5", "T6", "T9-lower (from below)", *fit, fast, slow],
        ["T7a", "T7b", "T7c", "T7d", *fit, root],
        ["T7a", "T7b", "T7c", "T7d", *fit, root],
        ["T7a", "T7b", "T7c, coarse", "T7d", "T7f", "T7f, fit", *fit, root],
    ]
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles[:2] == ["estimators", "T5, T6 and T9-lower"]
    assert len({axes.get_ylim() for axes in drawn[0].axes[1:]}) == 1
    for axes in drawn[0].axes:
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert axes.get_xlabel() == "scored interactions $N$"
        named = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
        assert len(named) == len(axes.get_legend().get_texts())
        marked = [(line.get_marker(), line.get_color()) for line in named if line.get_color() != "0.45"]
        assert len(set(marked)) == len(marked)
        assert len({marker for marker, _ in marked}) == len(marked)
    assert drawn[0].axes[0].get_ylabel() == "total variation (mean over users)"


def test_lines_are_medians_and_legends_give_slopes(tables: Tables, tmp_path: Path, drawn: list[Figure]) -> None:
    draw_convergence(tables.measures, tables.certificates, tmp_path / "figure")
    fits = tables.measures.filter(pl.col("estimator") == "fit")
    (line,) = (line for line in drawn[0].axes[0].lines if str(line.get_label()).startswith("fitted"))
    np.testing.assert_allclose(line.get_xdata(), [1_000, 10_000, 100_000, 1_000_000])
    medians = [np.median(fits.filter(pl.col("size") == size)["tv"].to_numpy()) for size in line.get_xdata()]
    np.testing.assert_allclose(line.get_ydata(), medians)
    found = slope(fits, "tv", 10_000)
    assert f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]".replace("-", "−") in str(line.get_label())
    bounds = tables.certificates.filter(pl.col("theorem") == "T9-lower")
    (line,) = (line for line in drawn[0].axes[1].lines if str(line.get_label()).startswith("T9-lower"))
    np.testing.assert_allclose(line.get_xdata(), [10_000, 100_000, 1_000_000])
    medians = [np.median(bounds.filter(pl.col("size") == size)["bound"].to_numpy()) for size in line.get_xdata()]
    np.testing.assert_allclose(line.get_ydata(), medians)


def test_rates_have_their_slopes_and_meet_their_curves(tables: Tables, tmp_path: Path, drawn: list[Figure]) -> None:
    draw_convergence(tables.measures, tables.certificates, tmp_path / "figure")
    for axes, rate, curve in ((0, ROOT, "fitted"), (1, FAST, "T6"), (1, SLOW, "T5")):
        lines = drawn[0].axes[axes].lines
        (guide,) = (line for line in lines if line.get_label() == rate.words)
        (shown,) = (line for line in lines if str(line.get_label()).startswith(curve))
        place, values = np.asarray(guide.get_xdata()), np.asarray(guide.get_ydata())
        logarithm, power = {ROOT: (False, 0.5), FAST: (True, 0.5), SLOW: (True, 0.25)}[rate]

        def theory(size: np.ndarray, logarithm: bool = logarithm, power: float = power) -> np.ndarray:
            return ((np.log(size) if logarithm else 1.0) / size) ** power

        np.testing.assert_allclose(values / values[-1], theory(place) / theory(place[-1]))
        sizes, medians = np.asarray(shown.get_xdata()), np.asarray(shown.get_ydata())
        assert place[-1] == pytest.approx(sizes[-1])
        below = medians < 0.9
        above = values[-1] * theory(sizes[below]) / theory(place[-1]) / medians[below]
        assert above.max() == pytest.approx(ABOVE)


def test_sizes_with_fits_that_were_not_accepted_are_hollow(tables: Tables, tmp_path: Path, drawn: list[Figure]) -> None:
    stalled = (pl.col("estimator") == "fit") & (pl.col("size") == 10_000) & (pl.col("seed") < 2)
    measures = tables.measures.with_columns(state=pl.when(stalled).then(pl.lit("stalled")).otherwise(pl.col("state")))
    draw_convergence(measures, tables.certificates.clear(), tmp_path / "figure")
    (axes,) = drawn[0].axes
    hollow = [line.get_xdata() for line in axes.lines if line.get_markerfacecolor() == "white"]
    # The last is the mark in the legend.
    assert [list(np.asarray(place)) for place in hollow] == [[10_000], []]
    assert [text.get_text() for text in axes.texts] == ["2/5"]
    assert "k/n" in labels(drawn[0])[0]
    words = caption(measures, tables.certificates.clear())
    assert "18 of 20 fits accepted (stalled: 2)" in words
    assert "A hollow mark with k/n: k of n fits not accepted." in words
    assert "hollow" not in caption(tables.measures, tables.certificates.clear())


def test_outside_the_class_no_fit_is_called_accepted(tmp_path: Path, drawn: list[Figure]) -> None:
    measures = toy_tables(limit=0.0123, certificates=[]).measures
    far = (pl.col("estimator") == "fit") & (pl.col("size") == 10_000) & (pl.col("seed") < 3)
    measures = measures.with_columns(state=pl.when(far).then(pl.lit("stalled")).otherwise(pl.col("state")))
    none = toy_tables(certificates=T6).certificates.clear()
    draw_convergence(measures, none, tmp_path / "figure")
    # Stationary fits are as good as fits can be there: only the others are hollow.
    assert [text.get_text() for text in drawn[0].axes[0].texts] == ["3/5"]
    words = caption(measures, none)
    assert "17 of 20 fits stationary, no truth to compare with (stalled: 3). A hollow mark" in words
    assert "fits not stationary" in words
    assert "no lower bound outside the class" in words
    for wrong in ("accepted", "optimisation gap", "efficient"):
        assert wrong not in words


def test_the_panel_of_other_theorems_is_called_by_those_that_are_there(tmp_path: Path, drawn: list[Figure]) -> None:
    rows = [row for row in ALL if row[0] in ("T6", "T7f")]
    tables = toy_tables(certificates=rows)
    words = draw_convergence(tables.measures, tables.certificates, tmp_path / "figure")[2].read_text()
    assert [axes.get_title() for axes in drawn[0].axes] == ["estimators", "T6", "T7, nothing assumed"]
    assert labels(drawn[0])[2][:2] == ["T7f", "T7f, fit"]
    for name in ("T7f", "T7f, fit", "T7f, fit, coarse"):
        assert words.count(f"; {name} at most") == 1


def test_the_limit_of_a_class_without_the_truth_is_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    outside = toy_tables(limit=0.0123, certificates=T6)
    draw_convergence(outside.measures, outside.certificates, tmp_path / "figure")
    assert "limit of the class" in labels(drawn[0])[0]
    assert "a law at total variation 0.0123" in caption(outside.measures, outside.certificates)
    unknown = toy_tables(limit=None, certificates=T6).measures
    assert "limit" not in caption(unknown, outside.certificates.clear())


def test_the_caption_has_the_numbers_of_the_table(tables: Tables) -> None:
    words = caption(tables.measures, tables.certificates)
    fits = tables.measures.filter(pl.col("estimator") == "fit")
    for part in (
        "truth reference (seed 0), fixed profile, independent sampling; 4 sizes, N = 1,000 to 1,000,000, with 5 seeds",
        "20 of 20 fits accepted, greatest optimisation gap",
        f"greatest optimisation gap {fits['gap'].to_numpy().max():.1e} nats",
        "from N = 10,000 on",
        "confidence 95 %",
        "medians at N = 1,000,000",
    ):
        assert part in words
    for size in (1_000, 10_000, 100_000, 1_000_000):
        rows = fits.filter(pl.col("size") == size)
        assert f"{np.median((rows['tv'] / rows['floor']).to_numpy()):.2f} at {size:,}" in words
    last = tables.certificates.filter(pl.col("size") == 1_000_000)
    for name, theorem, basis in (("T6", "T6", "known"), ("T7b realisable", "T7b", "realisable")):
        rows = last.filter((pl.col("theorem") == theorem) & (pl.col("basis") == basis))
        assert f"{name} at most {upper(float(np.median(rows['bound'].to_numpy())), 3)};" in words
    least = float(np.median(last.filter(pl.col("theorem") == "T9-lower")["bound"].to_numpy()))
    assert f"T9-lower at least {lower(least, 3)}." in words
    for estimator, shown in (("fit", "fitted Conv4Rec"), ("histogram", "histogram")):
        found = slope(tables.measures.filter(pl.col("estimator") == estimator), "tv", 10_000)
        assert f"{shown} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]".replace("-", "−") in words


def test_refusals_are_counted(tables: Tables) -> None:
    gone = (pl.col("theorem") == "T6") & (pl.col("seed") == 0)
    some = tables.certificates.with_columns(
        bound=pl.when(gone).then(None).otherwise(pl.col("bound")),
        refused=pl.when(gone).then(pl.lit("No.")).otherwise(pl.col("refused")),
    )
    assert ", refused 4 of 20 times" in caption(tables.measures, some)


def test_one_size_has_no_slope(tmp_path: Path, drawn: list[Figure]) -> None:
    one = toy_tables(sizes=(1_000,), certificates=T6)
    draw_convergence(one.measures, one.certificates, tmp_path / "figure")
    assert [text.get_text() for text in drawn[0].axes[1].get_legend().get_texts()][:2] == ["T6", "fitted Conv4Rec"]
    assert "Slopes" not in caption(one.measures, one.certificates)


def test_protocols_stand_side_by_side(tmp_path: Path, drawn: list[Figure]) -> None:
    both = toy_tables(protocols=("fixed profile", "self-reconstruction"), certificates=[]).measures
    paths = draw_protocols(both, tmp_path / "figure")
    first, second = drawn[0].axes
    assert (first.get_title(), second.get_title()) == ("fixed profile", "self-reconstruction")
    assert first.get_ylim() == second.get_ylim()
    words = paths[2].read_text().strip()
    assert words == caption_protocols(both)
    for protocol in ("fixed profile", "self-reconstruction"):
        rows = both.filter((pl.col("protocol") == protocol) & (pl.col("estimator") == "fit"))
        for size in (1_000, 1_000_000):
            middle = np.median(rows.filter(pl.col("size") == size)["tv"].to_numpy())
            assert f"{middle:.3g} at {size:,}" in words


def test_same_table_same_bytes(tables: Tables, tmp_path: Path) -> None:
    certificates = tables.certificates.filter(pl.col("theorem") == "T6")
    first, second = (draw_convergence(tables.measures, certificates, tmp_path / name / "figure") for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_several_settings_are_refused(tmp_path: Path) -> None:
    several = toy_tables(truths=(("small", 0), ("small", 1)), sizes=(1_000,), seeds=1, certificates=[])
    with pytest.raises(InputError, match="2 settings"):
        draw_convergence(several.measures, several.certificates, tmp_path / "figure")
    with pytest.raises(InputError, match="0 settings"):
        caption(several.measures.clear(), several.certificates)
