"""How bounds fall with the number of interactions or users, and where each meets what is wanted."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save
from conv4rec_experiments.formatting import number

__all__ = ["draw_plans"]

COLUMNS = 3
CURVE, WANTED = SERIES[0].color, SERIES[2]


def draw_plans(plans: Sequence[Mapping[str, Any]], curves: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw one panel for each theorem; write ``stem`` with .pdf and .png, return the paths.

    The curve is the bound, the dashed line what is wanted, and the mark is where the plan stands.

    Parameters
    ----------
    plans
        Rows with ``theorem, unit, wanted, needed, counts, bound``.
    curves
        Rows with ``theorem, size, bound``.
    stem
        Path without suffix.
    """
    across = min(COLUMNS, math.ceil(math.sqrt(len(plans))))
    down = math.ceil(len(plans) / across)
    with applied():
        figure = new_figure(max(4.6, 3.3 * across), 0.35 + 2.75 * down)
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes, row in zip(panels, plans, strict=False):
            _draw(axes, row, [point for point in curves if point["theorem"] == row["theorem"]])
        for axes in panels[len(plans) :]:
            axes.set_visible(False)
        handles, words = panels[0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside upper center", ncols=3)
        return save(figure, stem)


def _draw(axes: Axes, row: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> None:
    sizes, bounds = [point["size"] for point in points], [point["bound"] for point in points]
    axes.plot(sizes, bounds, color=CURVE, label="bound")
    axes.axhline(row["wanted"], color=WANTED.color, linestyle="--", linewidth=1.2, label="wanted")
    axes.plot([], [], color=CURVE, marker="D", linestyle="", label="needed")
    if row["needed"] is not None:
        axes.plot(row["needed"], row["bound"], color=CURVE, marker="D", markersize=7)
        axes.annotate(
            f"{row['needed']:,}",
            (row["needed"], row["bound"]),
            xytext=(5, 6),
            textcoords="offset points",
            fontsize=9,
            color=CURVE,
        )
    label = "nats above the measured" if row["unit"] == "nats" else "total variation"
    axes.set(xscale="log", yscale="log", xlabel=row["counts"], ylabel=label)
    axes.set_title(f"{row['theorem']}: {number(row['wanted'])} wanted", fontsize=10)
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter(NullFormatter())
