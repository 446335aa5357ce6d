"""Total variation by user activity and by item popularity."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from conv4rec.errors import InputError
from conv4rec_experiments.figures.breakdown import caption, draw_breakdown
from toy_tables import toy_tables

ESTIMATORS = {"fit": "fitted Conv4Rec", "smoothed": "smoothed histogram", "histogram": "histogram"}


def test_the_least_and_the_greatest_size_are_drawn_by_both_kinds(tmp_path: Path, drawn: list[Figure]) -> None:
    groups = toy_tables(certificates=[]).groups
    paths = draw_breakdown(groups, tmp_path / "figure")
    panels = np.reshape(np.array(drawn[0].axes), (2, 2))
    words = paths[2].read_text().strip()
    assert words == caption(groups)
    assert "users (5 groups of 8)" in words
    for row, size in zip(panels, (1_000, 1_000_000), strict=True):
        assert f"{size:,}" in row[0].get_ylabel()
        for axes, kind in zip(row, ("user activity", "item popularity"), strict=True):
            # Panels of one column share the words of the lowest.
            below = panels[1, 0 if axes is row[0] else 1]
            ticks = [label.get_text() for label in below.get_xticklabels()]
            assert ticks == ["0\n5 %", "1\n10 %", "2\n15 %", "3\n25 %", "4\n45 %"]
            for line, (estimator, shown) in zip(axes.lines, ESTIMATORS.items(), strict=True):
                assert line.get_label() == shown
                rows = groups.filter(
                    (pl.col("kind") == kind) & (pl.col("size") == size) & (pl.col("estimator") == estimator)
                )
                medians = [np.median(rows.filter(pl.col("group") == group)["tv"].to_numpy()) for group in range(5)]
                np.testing.assert_allclose(line.get_ydata(), medians)
                assert f"{shown} by {kind} at {size:,}: {medians[0]:.3g} to {medians[-1]:.3g}" in words
    assert len({line.get_marker() for line in panels[0, 0].lines}) == 3


def test_groups_without_a_value_are_left_out(tmp_path: Path, drawn: list[Figure]) -> None:
    groups = toy_tables(sizes=(1_000,), certificates=[]).groups
    empty = groups.with_columns(tv=pl.when(pl.col("group") == 0).then(None).otherwise(pl.col("tv")))
    draw_breakdown(empty, tmp_path / "figure")
    assert list(drawn[0].axes[0].lines[0].get_xdata()) == [1, 2, 3, 4]


def test_several_settings_are_refused(tmp_path: Path) -> None:
    groups = toy_tables(truths=(("small", 0), ("small", 1)), sizes=(1_000,), seeds=1, certificates=[]).groups
    with pytest.raises(InputError, match="2 settings"):
        draw_breakdown(groups, tmp_path / "figure")
