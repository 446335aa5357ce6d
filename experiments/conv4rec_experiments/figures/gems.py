"""Hidden gems: what a model claims about its pools, what was measured, and what is certified."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from conv4rec_experiments.figures.style import GUIDES, SERIES, Series, applied, decades, new_figure, save

__all__ = ["draw_gems"]

PANEL = (3.5, 2.7)
CURVES: Mapping[str, tuple[str, Series]] = {
    "claim": ("model's own claim", SERIES[0]),
    "measured": ("held-out share", SERIES[2]),
    "lower_end": ("certified lower end", SERIES[3]),
    "from_total_variation": ("from total variation (T10)", SERIES[4]),
}
"""Columns of the ladder, their words and looks."""


def draw_gems(ladder: Sequence[Mapping[str, Any]], stem: Path, *, wanted: float | None = None) -> list[Path]:
    """Draw one panel for each segment of users; write ``stem`` with .pdf and .png, return the paths.

    Each mark is a pool: how much of the held-out part fell into it, and how probable a high level is there. The dashed
    line is the share of high levels among all held-out interactions of the segment.

    Parameters
    ----------
    ladder
        Rows of `conv4rec_experiments.gems.gem_ladder`.
    stem
        Path without suffix.
    wanted
        A probability at which a thin line is drawn.
    """
    segments = list(dict.fromkeys(row["segment"] for row in ladder))
    across = min(2, len(segments))
    down = -(-len(segments) // across)
    shares = [row["share"] for row in ladder if row["interactions"]]
    with applied():
        figure = new_figure(PANEL[0] * across, 0.7 + PANEL[1] * down)
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes, segment in zip(panels.flat, segments, strict=False):
            _panel(axes, [row for row in ladder if row["segment"] == segment], wanted)
            axes.set_title(f"{segment} users", fontsize=10)
        for axes in panels.flat[len(segments) :]:
            axes.set_visible(False)
        panels[0, 0].set(xscale="log", ylim=(0, 1.02))
        if shares:
            decades(panels[0, 0].xaxis, min(shares), max(shares))
        figure.supxlabel("share of held-out interactions in the pool", fontsize=10)
        figure.supylabel("P(high level | consumed)", fontsize=10)
        keys = {
            words: handle
            for axes in panels.flat
            for handle, words in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(list(keys.values()), list(keys), loc="outside upper center", ncols=3)
        return save(figure, stem)


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], wanted: float | None) -> None:
    # A pool into which nothing fell has no place on a logarithmic axis.
    held = [row for row in rows if row["interactions"]]
    for column, (words, look) in CURVES.items():
        if any(row[column] is not None for row in held):
            axes.plot(
                [row["share"] for row in held],
                [row[column] for row in held],
                color=look.color,
                linestyle=look.linestyle,
                marker=look.marker,
                label=words,
            )
    if rows[0]["base_rate"] is not None:
        axes.axhline(rows[0]["base_rate"], color=SERIES[1].color, linestyle=SERIES[1].linestyle, label="base rate")
    if wanted is not None:
        axes.axhline(wanted, color="0.55", linestyle=GUIDES[2], linewidth=1.0, label="wanted")
