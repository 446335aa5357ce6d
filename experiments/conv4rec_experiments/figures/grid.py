"""A table of small panels: one row for each name, one column for each case, a point with its interval in each cell."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from conv4rec_experiments.figures.style import SERIES, new_figure

__all__ = ["Point", "Scale", "grid", "key"]

ROW, COLUMN, LABELS = 0.19, 1.15, 1.7
LEAST_WIDTH = 5.0
POINT, CROSS = SERIES[0].color, SERIES[2].color


@dataclass(frozen=True)
class Point:
    """What a cell shows.

    Attributes
    ----------
    value, low, high
        The point and its interval; no value, no point.
    ticks
        Places of the theory: a full tick, and further short grey ones.
    crossed
        Whether the point is drawn as a cross, because something failed.
    words
        Shown in place of a point.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    ticks: tuple[float, ...] = ()
    crossed: bool = False
    words: str = ""


@dataclass(frozen=True)
class Scale:
    """The axis that all columns share: ``"linear"``, ``"log"`` or ``"root"``, its range, marks and words."""

    kind: str
    low: float
    high: float
    words: str
    marks: Sequence[float] | None = None


def grid(rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Point], scale: Scale) -> Figure:
    """Draw the cells that there are, and return the figure; an absent cell stays empty."""
    width = max(LEAST_WIDTH, LABELS + COLUMN * len(columns))
    heads = [textwrap.fill(column, 14) for column in columns]
    figure = new_figure(width, 1.15 + ROW * len(rows) + 0.14 * max(head.count("\n") for head in heads))
    drawn = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
    for axes, column, head in zip(drawn, columns, heads, strict=True):
        _frame(axes, scale)
        axes.set_title(head, fontsize=9)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        for place, row in enumerate(rows):
            # Alternate rows are shaded, so that the eye finds the name of a far point.
            if place % 2:
                axes.axhspan(place - 0.5, place + 0.5, color="0.95", linewidth=0, zorder=0)
            _cell(axes, place, cells.get((row, column), Point()))
    drawn[0].set_yticks(range(len(rows)), rows)
    drawn[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.supxlabel(scale.words, fontsize=10)
    return figure


def key(look: str, words: str) -> Line2D:
    """Make an entry of a grid's legend: ``"point"``, ``"cross"``, ``"tick"`` or ``"short tick"``."""
    if look == "point":
        return Line2D([], [], label=words, marker="o", color=POINT, markersize=4.5)
    if look == "cross":
        return Line2D([], [], label=words, marker="X", color=CROSS, markersize=6.5)
    long = look == "tick"
    color, size, width = ("black", 10, 1.2) if long else ("0.45", 5, 1.6)
    return Line2D([], [], label=words, marker="|", color=color, linestyle="", markersize=size, markeredgewidth=width)


def _frame(axes: Axes, scale: Scale) -> None:
    if scale.kind == "root":
        axes.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    else:
        axes.set_xscale(scale.kind)
    axes.set_xlim(scale.low, scale.high)
    if scale.marks is not None:
        axes.set_xticks(scale.marks, [f"{mark:g}".replace("-", "−") for mark in scale.marks])
        axes.set_xticks([], minor=True)
    axes.tick_params(axis="x", labelsize=7.5)


def _cell(axes: Axes, place: int, point: Point) -> None:
    for order, tick in enumerate(point.ticks):
        color, width, half = ("0.45", 1.6, 0.22) if order else ("black", 1.0, 0.5)
        axes.vlines(tick, place - half, place + half, color=color, linewidth=width)
    if point.words:
        # Across in shares of the panel, so that the axis may have any scale.
        across = axes.get_yaxis_transform()
        axes.text(0.5, place, point.words, transform=across, ha="center", va="center", fontsize=7, color="0.35")
    if point.value is None:
        return
    color = CROSS if point.crossed else POINT
    low, high = (point.value if end is None else end for end in (point.low, point.high))
    axes.plot([low, high], [place, place], color=color, linewidth=1.6, solid_capstyle="butt", clip_on=True)
    marker, size = ("X", 6.5) if point.crossed else ("o", 4.5)
    axes.plot(
        point.value,
        place,
        marker=marker,
        color=color,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.4,
        linestyle="",
        clip_on=False,
    )
