"""All certificates of one model side by side: what each promises, what was measured, and what is trivial."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save
from conv4rec_experiments.formatting import bound, unit

__all__ = ["draw_certificates", "refusals"]

WIDTH, TRIANGLE = 7.2, 5.5
ROW = 0.46
BOUND, MEASURED, TRIVIAL = SERIES[0].color, SERIES[2].color, "#000000"
VACUOUS = "0.62"
KINDS = ("value", "trivial", "measured")
# The tip is the bound and points to where the bounded quantity lies; a thin tick stands there, over all other marks.
# 4 and 5 are matplotlib's CARETLEFT and CARETRIGHT.
MARKERS: Mapping[str, Literal[4, 5]] = {"upper": 4, "lower": 5}
PANELS = {
    "nats": "nats",
    "share": "share: total variation or probability",
    "levels": "levels, in their own unit",
}
"""Quantities of one unit share a panel: its name and the label of its axis."""


def draw_certificates(rows: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw the table of certificates on logarithmic axes; write ``stem`` with .pdf and .png, return the paths.

    One panel for each unit. A line runs from what was measured to what is certified. Vacuous certificates are grey;
    refused ones have no place on an axis and are listed below with their reasons.

    Parameters
    ----------
    rows
        Rows with ``theorem, title, target, side, status, value, trivial, measured, reason``.
    stem
        Path without suffix.
    """
    panels = {
        name: [row for row in rows if row["value"] is not None and unit(str(row["target"])) == name] for name in PANELS
    }
    panels = {name: placed for name, placed in panels.items() if placed}
    notes = [textwrap.fill(sentence, 122, subsequent_indent="    ") for sentence in refusals(rows)]
    lines = sum(len(note.splitlines()) for note in notes)
    count = sum(len(placed) for placed in panels.values())
    with applied():
        figure = new_figure(WIDTH, 0.9 + ROW * count + 0.75 * len(panels) + 0.155 * lines)
        if panels:
            ratios = [len(placed) + 0.2 for placed in panels.values()]
            drawn = figure.subplots(len(panels), 1, squeeze=False, height_ratios=ratios).reshape(-1)
            for axes, (name, placed) in zip(drawn, panels.items(), strict=True):
                _panel(axes, PANELS[name], placed)
            figure.align_ylabels()
            keys = _keys()
            figure.legend(
                list(keys.values()),
                list(keys),
                loc="outside upper center",
                ncols=len(keys),
                columnspacing=1.4,
                handletextpad=0.5,
                handler_map={tuple: HandlerTuple(ndivide=None)},
            )
        if notes:
            figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize=7.5, color="0.25")
        return save(figure, stem)


def refusals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """List refused theorems, those that were refused for one reason together, with the first clause of the reason.

    >>> refusals([dict(theorem=number, value=None, reason=f"{number} refuses (A2): no weights were given; pass them.")
    ...           for number in ("T1", "T2")])
    ['Refused: T1 (A2), T2 (A2): no weights were given.']
    """
    together: dict[str, list[str]] = {}
    for row in rows:
        if row["value"] is None:
            who, _, why = str(row["reason"]).partition(": ")
            assumption = who.partition(" refuses ")[2]
            clause = why.split(";")[0].rstrip(".")
            together.setdefault(clause, []).append(f"{row['theorem']} {assumption}".rstrip())
    return [f"Refused: {', '.join(numbers)}: {clause}." for clause, numbers in together.items()]


def _panel(axes: Axes, label: str, placed: Sequence[Mapping[str, Any]]) -> None:
    numbers = [row[kind] for row in placed for kind in KINDS if row[kind] is not None]
    positive = [number for number in numbers if number > 0]
    # A logarithmic axis has no zero: what is not positive is drawn at its left end.
    left = min(positive, default=1.0) / 2
    for place, row in enumerate(placed):
        _draw(axes, place, row, left)
    axes.set(xscale="log", ylim=(len(placed) - 0.4, -0.75), xlabel=label)
    axes.set_yticks(range(len(placed)), [f"{row['theorem']}  {row['title']}" for row in placed])
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    narrow = max(positive, default=1.0) < 1000 * left
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", visible=False)


def _draw(axes: Axes, place: int, row: Mapping[str, Any], left: float) -> None:
    value = max(float(row["value"]), left)
    color = BOUND if row["status"] == "valid" else VACUOUS
    if row["trivial"] is not None and row["trivial"] > 0:
        axes.plot(row["trivial"], place, marker="|", color=TRIVIAL, markersize=13, markeredgewidth=1.5, linestyle="")
    axes.plot(value, place, marker=MARKERS[row["side"]], color=color, markersize=TRIANGLE, linestyle="")
    axes.plot(value, place, marker="|", color=color, markersize=10, markeredgewidth=0.9, linestyle="", zorder=4)
    if row["measured"] is not None:
        measured = max(float(row["measured"]), left)
        axes.plot([measured, value], [place, place], color=color, linewidth=3, alpha=0.45, solid_capstyle="butt")
        axes.plot(
            measured, place, marker="o", color=MEASURED, markersize=6, markeredgecolor="white", linestyle="", zorder=3
        )
    axes.annotate(
        bound(row),
        (value, place),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color="0.35" if color == VACUOUS else color,
    )


def _keys() -> dict[str, Any]:
    """Return the mark, or the pair of marks, of each word of the legend; vacuous bounds of both sides are grey."""
    upper, lower = MARKERS["upper"], MARKERS["lower"]
    return {
        "upper bound": _key(upper, BOUND),
        "lower bound": _key(lower, BOUND),
        "vacuous": (_key(upper, VACUOUS), _key(lower, VACUOUS)),
        "measured": _key("o", MEASURED),
        "trivial": _key("|", TRIVIAL),
    }


def _key(marker: Literal[4, 5, "o", "|"], color: str) -> Line2D:
    return Line2D([], [], marker=marker, color=color, linestyle="", markersize=7)
