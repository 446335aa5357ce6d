"""The convergence figure: drawn from the table alone, readable, and the same for the same table."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from conv4rec_experiments.convergence import COLUMNS
from conv4rec_experiments.figures import convergence
from conv4rec_experiments.figures.convergence import caption, draw_convergence
from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save

TEXTS = ("truth", "state")


def study(sizes: tuple[int, ...], seeds: int = 4) -> pl.DataFrame:
    """A table whose curves are power laws with a little noise."""
    rng = np.random.default_rng(0)
    size = np.repeat(sizes, seeds)
    frame = {name: np.ones(size.size) for name in COLUMNS if name not in TEXTS}
    frame |= {"size": size, "seed": np.tile(np.arange(seeds), len(sizes)), "gap": -1 / size}
    noise = np.exp(0.01 * rng.standard_normal(size.size))
    for column, level, exponent in (("tv", 7, -0.5), ("histogram_tv", 20, -0.5), ("t6", 40, -0.43)):
        frame[column] = level * size**exponent * noise
    frame["floor"] = 7 * size**-0.5
    frame["delta"] = np.full(size.size, 0.05)
    texts = {"truth": ["reference"] * size.size, "state": ["accepted"] * size.size}
    return pl.DataFrame(frame | texts).select(list(COLUMNS)).cast(dict(COLUMNS))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are saved."""
    figures: list[Figure] = []

    def keep(figure: Figure, stem: Path) -> list[Path]:
        figures.append(figure)
        return save(figure, stem)

    monkeypatch.setattr(convergence, "save", keep)
    return figures


def test_every_curve_has_its_words_its_slope_and_its_own_look(tmp_path: Path, drawn: list[Figure]) -> None:
    table = study((1_000, 10_000, 100_000, 1_000_000))
    paths = draw_convergence(table, tmp_path / "new" / "convergence")
    assert [path.name for path in paths] == ["convergence.pdf", "convergence.png", "convergence.txt"]
    assert paths[0].read_bytes().startswith(b"%PDF")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_xlabel() == "scored interactions $N$"
    assert axes.get_ylabel() == "total variation (mean over users)"
    labels = [line.get_label() for line in axes.lines]
    assert [str(label).split(":")[0] for label in labels] == [
        "T6 certificate",
        "histogram estimator",
        "fitted Conv4Rec",
        "statistical floor",
    ]
    assert labels[3] == "statistical floor: −0.500"
    assert all("[" in str(label) for label in labels[:3])
    assert len({(line.get_linestyle(), line.get_marker()) for line in axes.lines}) == 4
    assert "10,000" in drawn[0].legends[0].get_title().get_text()
    fitted = axes.lines[2]
    np.testing.assert_allclose(fitted.get_xdata(), [1_000, 10_000, 100_000, 1_000_000])
    medians = table.group_by("size").agg(pl.col("tv").median()).sort("size")["tv"]
    np.testing.assert_allclose(fitted.get_ydata(), medians)


def test_looks_differ_in_grey() -> None:
    def luminance(color: str) -> float:
        return float(np.dot(mpl.colors.to_rgb(color), (0.2126, 0.7152, 0.0722)))

    assert len({(series.linestyle, series.marker) for series in SERIES}) == len(SERIES)
    assert max(luminance(series.color) for series in SERIES) < 0.6


def test_the_caption_says_what_was_measured_and_over_which_sizes() -> None:
    table = study((1_000, 10_000, 100_000))
    words = caption(table)
    for part in ("reference, seed 1", "4 seeds", "12 of 12 fits accepted", "N = 10,000 on", "confidence 95 %"):
        assert part in words
    at_ten_thousand = table.filter(pl.col("size") == 10_000)
    ratio = (at_ten_thousand["tv"] / at_ten_thousand["floor"]).to_numpy()
    assert f"{np.median(ratio):.2f} at 10,000" in words
    assert "N = 100 on" in caption(study((100, 1_000)))


def test_one_size_has_no_slope(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_convergence(study((1_000,)), tmp_path / "one")
    assert drawn[0].axes[0].lines[0].get_label() == "T6 certificate"


def test_same_table_same_bytes(tmp_path: Path) -> None:
    table = study((1_000, 10_000))
    first, second = (draw_convergence(table, tmp_path / name / "figure") for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_style_leaves_no_trace(tmp_path: Path) -> None:
    def parameters() -> dict[str, object]:
        # Reading the backend would make matplotlib choose one.
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}

    before = parameters()
    with applied():
        figure = new_figure(2, 1)
        figure.subplots().plot([1, 2])
        assert mpl.rcParams["axes.grid"]
        save(figure, tmp_path / "a.b")
    assert parameters() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.b.pdf", "a.b.png"}
