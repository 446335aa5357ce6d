"""Tightness: medians and whiskers of bound over target, by size and over truths."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from conv4rec.errors import InputError
from conv4rec_experiments.figures.tightness import (
    caption,
    caption_over_truths,
    draw_tightness,
    draw_tightness_over_truths,
)
from toy_tables import ALL, toy_tables

FEW = [row for row in ALL if row[0] in ("T6", "T9-lower", "T11") or (row[0] == "T7a" and row[1] != "plug-in")]


def ratios(certificates: pl.DataFrame, theorem: str, size: int, basis: str = "known") -> np.ndarray:
    rows = certificates.filter((pl.col("theorem") == theorem) & (pl.col("size") == size) & (pl.col("basis") == basis))
    bound, measured = rows["bound"].to_numpy(), rows["measured"].to_numpy()
    return measured / bound if theorem == "T9-lower" else bound / measured


def test_every_theorem_has_a_panel_with_its_medians(tmp_path: Path, drawn: list[Figure]) -> None:
    certificates = toy_tables(certificates=FEW).certificates
    paths = draw_tightness(certificates, tmp_path / "figure")
    assert [path.suffix for path in paths] == [".pdf", ".png", ".txt"]
    shown = {axes.get_title(): axes for axes in drawn[0].axes if axes.get_visible()}
    assert list(shown) == ["T6", "T7a", "T9-lower"]
    for theorem, sizes in (("T6", (1_000, 10_000, 100_000, 1_000_000)), ("T9-lower", (10_000, 100_000, 1_000_000))):
        axes, basis = shown[theorem], "" if theorem == "T9-lower" else "known"
        found = [ratios(certificates, theorem, size, basis) for size in sizes]
        np.testing.assert_allclose(axes.lines[0].get_xdata(), sizes)
        np.testing.assert_allclose(
            axes.lines[0].get_ydata(), [np.quantile(of, 0.5, method="inverted_cdf") for of in found]
        )
        (whiskers,) = axes.collections
        for segment, of in zip(whiskers.get_segments(), found, strict=True):
            np.testing.assert_allclose(segment[:, 1], np.quantile(of, (0.05, 0.95), method="inverted_cdf"))
        np.testing.assert_allclose(axes.lines[1].get_ydata(), 1)
    assert [text.get_text() for text in shown["T7a"].get_legend().get_texts()] == ["known", "realisable"]
    words = paths[2].read_text().strip()
    assert words == caption(certificates)
    first, last = (np.median(ratios(certificates, "T6", size)) for size in (1_000, 1_000_000))
    assert f"T6 {first:.3g} at 1,000 and {last:.3g} at 1,000,000" in words
    assert words.endswith("Always refused: T11.")


def test_a_target_of_nearly_nothing_does_not_stretch_the_axis(tmp_path: Path, drawn: list[Figure]) -> None:
    certificates = toy_tables(certificates=FEW, seeds=20).certificates
    tiny = (pl.col("theorem") == "T6") & (pl.col("seed") < 2) & (pl.col("size") == 1_000)
    broken = certificates.with_columns(measured=pl.when(tiny).then(1e-17).otherwise(pl.col("measured")))
    draw_tightness(broken, tmp_path / "figure")
    assert drawn[0].axes[0].get_ylim()[1] < 1_000


def test_truths_stand_in_columns(tmp_path: Path, drawn: list[Figure]) -> None:
    truths = (("small", 0), ("latent_classes", 1))
    certificates = toy_tables(truths=truths, sizes=(1_000,), certificates=FEW, seeds=9).certificates
    paths = draw_tightness_over_truths(certificates, tmp_path / "figure")
    assert [axes.get_title() for axes in drawn[0].axes] == ["small 0", "latent classes\n1"]
    rows = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert rows == ["T6", "T7a known", "T7a realisable"]
    words = paths[2].read_text().strip()
    assert words == caption_over_truths(certificates)
    assert "Infinite in the median, because a bound from below or a target is 0: T9-lower." in words
    for axes, (truth, _) in zip(drawn[0].axes, truths, strict=True):
        of_truth = certificates.filter(pl.col("truth") == truth)
        median = np.median(ratios(of_truth, "T6", 1_000))
        points = [line for line in axes.lines if line.get_marker() == "o"]
        assert points[0].get_xdata()[0] == pytest.approx(median)
        assert f"T6 {median:.3g}" in words


def test_several_settings_are_refused(tmp_path: Path) -> None:
    certificates = toy_tables(truths=(("small", 0), ("small", 1)), sizes=(1_000,), seeds=1).certificates
    with pytest.raises(InputError, match="2 settings"):
        draw_tightness(certificates, tmp_path / "figure")


def test_targets_of_one_theorem_are_told_apart(tmp_path: Path, drawn: list[Figure]) -> None:
    certificates = toy_tables(certificates=[row for row in ALL if row[0] == "T7f"]).certificates
    words = draw_tightness(certificates, tmp_path / "figure")[2].read_text()
    (axes,) = (axes for axes in drawn[0].axes if axes.get_visible())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["T7f", "fit", "fit, coarse"]
    told = re.findall(r"(T7f[a-z, ]*) [\d.]+ at 1,000 and", words)
    assert told == ["T7f", "T7f, fit", "T7f, fit, coarse"]


@pytest.mark.parametrize("panels", [1, 3, 5])
def test_no_word_is_cut_at_the_edge(panels: int, tmp_path: Path, drawn: list[Figure]) -> None:
    theorems = ("T1", "T2", "T6", "T7f", "T9-lower")[-panels:]
    draw_tightness(
        toy_tables(certificates=[row for row in ALL if row[0] in theorems]).certificates, tmp_path / "figure"
    )
    drawn[0].canvas.draw()
    whole = drawn[0].bbox
    assert len(drawn[0].texts) == 2
    for words in drawn[0].texts:
        shown = words.get_window_extent()
        assert whole.x0 <= shown.x0 <= shown.x1 <= whole.x1, words.get_text()
        assert whole.y0 <= shown.y0 <= shown.y1 <= whole.y1, words.get_text()
