"""All certificates of one model side by side: what each promises, what was measured, and what is trivial."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save
from conv4rec_experiments.formatting import upper

__all__ = ["draw_certificates"]

WIDTH = 7.2
BOUND, MEASURED, TRIVIAL = SERIES[0].color, SERIES[2].color, "#000000"
VACUOUS = "0.62"


def draw_certificates(rows: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw the table of certificates on a logarithmic axis; write ``stem`` with .pdf and .png, return the paths.

    A line runs from what was measured to what is certified. Vacuous certificates are grey; refused ones have no place
    on an axis and are listed below it with their reasons.

    Parameters
    ----------
    rows
        Rows with ``theorem, title, target, status, value, trivial, measured, reason``.
    stem
        Path without suffix.
    """
    placed = [row for row in rows if row["value"] is not None]
    refused = [textwrap.fill(row["reason"], 108) for row in rows if row["value"] is None]
    notes = "\n".join(refused)
    height = 1.35 + 0.6 * max(1, len(placed)) + 0.155 * len(notes.splitlines())
    with applied():
        figure = new_figure(WIDTH, height)
        axes = figure.subplots()
        for place, row in enumerate(placed):
            _draw(axes, place, row)
        axes.set(xscale="log", ylim=(len(placed) - 0.4, -0.6), xlabel="nats for losses, a share for total variation")
        axes.set_yticks(range(len(placed)), [_label(row) for row in placed])
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.12)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(axis="y", visible=False)
        figure.legend(handles=_keys(), loc="outside upper center", ncols=4)
        if notes:
            figure.supxlabel(notes, x=0.01, ha="left", fontsize=7.5, color="0.25")
        return save(figure, stem)


def _draw(axes: Axes, place: int, row: Mapping[str, Any]) -> None:
    value, trivial, measured = row["value"], row["trivial"], row["measured"]
    color = BOUND if row["status"] == "valid" else VACUOUS
    axes.plot(trivial, place, marker="|", color=TRIVIAL, markersize=13, markeredgewidth=1.5, linestyle="")
    axes.plot(value, place, marker="D", color=color, markersize=8, linestyle="")
    if measured is not None:
        axes.plot([measured, value], [place, place], color=color, linewidth=3, alpha=0.45, solid_capstyle="butt")
        axes.plot(
            measured, place, marker="o", color=MEASURED, markersize=6, markeredgecolor="white", linestyle="", zorder=3
        )
    axes.annotate(
        upper(value),
        (value, place),
        xytext=(0, 9),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color="0.35" if color == VACUOUS else color,
    )


def _label(row: Mapping[str, Any]) -> str:
    return f"{row['theorem']}  {row['title']}"


def _keys() -> list[Line2D]:
    looks = (
        ("certified upper bound", "D", BOUND),
        ("vacuous", "D", VACUOUS),
        ("measured", "o", MEASURED),
        ("trivial", "|", TRIVIAL),
    )
    return [
        Line2D([], [], marker=marker, color=color, linestyle="", markersize=8, label=words)
        for words, marker, color in looks
    ]
