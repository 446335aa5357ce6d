"""Slopes of all truths beside each other."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from conv4rec_experiments.figures.slopes import caption, draw_slopes
from conv4rec_experiments.studies.slopes import slope
from toy_tables import ALL, toy_tables

T6 = [row for row in ALL if row[0] == "T6"]


def test_every_truth_has_its_slopes(tmp_path: Path, drawn: list[Figure]) -> None:
    truths = (("small", 0), ("latent_classes", 1))
    tables = toy_tables(truths=truths, certificates=T6)
    paths = draw_slopes(tables.measures, tables.certificates, tmp_path / "figure")
    assert [axes.get_title() for axes in drawn[0].axes] == ["small 0", "latent classes\n1"]
    rows = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert rows == ["fitted Conv4Rec", "smoothed histogram", "histogram", "T6"]
    words = paths[2].read_text().strip()
    assert words == caption(tables.measures, tables.certificates)
    for axes, (truth, _) in zip(drawn[0].axes, truths, strict=True):
        of_truth = tables.measures.filter(pl.col("truth") == truth)
        found = [
            slope(of_truth.filter(pl.col("estimator") == name), "tv", 10_000)
            for name in ("fit", "smoothed", "histogram")
        ]
        found.append(slope(tables.certificates.filter(pl.col("truth") == truth), "bound", 10_000))
        points = [line for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_allclose([line.get_xdata()[0] for line in points], [one.value for one in found])
        bars = [line for line in axes.lines if line.get_marker() != "o"]
        np.testing.assert_allclose([line.get_xdata() for line in bars], [(one.low, one.high) for one in found])
        told = [f"{row} {one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for row, one in zip(rows, found, strict=True)]
        assert ", ".join(told).replace("-", "−") in words
        np.testing.assert_allclose([ticks.get_segments()[0][0, 0] for ticks in axes.collections], -0.5)
    assert "with 5 seeds at each) from N = 10,000 on" in words


def test_every_bound_of_total_variation_has_its_row_in_order(tmp_path: Path, drawn: list[Figure]) -> None:
    tables = toy_tables(certificates=[row for row in ALL if row[0] in ("T6", "T7b", "T7f", "T9")])
    draw_slopes(tables.measures, tables.certificates, tmp_path / "figure")
    rows = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    bases = [f"T7b {basis}" for basis in ("known", "realisable", "plug-in")]
    assert rows[3:] == ["T6", *bases, "T7f", "T7f, fit", "T7f, fit, coarse"]
