"""One certificate at a glance: where it puts its target, what was measured, what is trivial; and what it is made of."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from conv4rec_experiments.figures.inline import COLORS, inline, new_drawing
from conv4rec_experiments.formatting import bound, number, unit

__all__ = ["Mark", "draw_glance", "draw_shares"]

# In points, of which a narrow telephone shows about 290 across.
WIDTH, ROW, BELOW, ABOVE = 290.0, 24.0, 34.0, 6.0
LEFT, RIGHT = 102.0, 70.0
FONT, SMALL = 9.0, 8.0
LETTERS, DIGITS = 19, 10
WIDE = 30.0
# matplotlib's CARETLEFTBASE and CARETRIGHTBASE.
TRIANGLES: Mapping[str, Literal[8, 9]] = {"upper": 8, "lower": 9}
AXES = {"nats": "nats", "levels": "levels", "share": "share"}


@dataclass(frozen=True)
class Mark:
    """A number on the axis beside the bound: what it is, and whether it was measured or holds without any theorem."""

    words: str
    value: float
    kind: Literal["measured", "trivial"]


def draw_glance(row: Mapping[str, Any], marks: Sequence[Mark], name: str) -> str:
    """Draw one certificate on an axis as an inline picture; the shaded part is where it puts its target.

    Parameters
    ----------
    row
        A row of a certificate with a value, with ``target``, ``side``, ``status`` and ``value``.
    marks
        What stands below the bound, in this order.
    name
        Goes before the identifiers of the picture.
    """
    value, told = float(row["value"]), [mark for mark in marks if math.isfinite(mark.value)]
    color = "bound" if row["status"] == "valid" else "vacuous"
    band = "band" if row["status"] == "valid" else "vacuous-band"
    upper = row["side"] == "upper"
    rows = 1 + len(told)
    description = "; ".join([f"certified {bound(row)}", *(f"{mark.words} {number(mark.value)}" for mark in told)])
    with new_drawing(WIDTH, ROW * rows + BELOW + ABOVE) as figure:
        axes = _axes(figure.add_axes(_place(rows)), rows)
        low, high, wide = _span([value, *(mark.value for mark in told)])
        axes.set(xscale="log" if wide else "linear", xlim=(low, high))
        axes.axvspan(*((low, value) if upper else (value, high)), color=COLORS[band], linewidth=0, zorder=0)
        axes.plot([value, value], [-0.5, rows - 0.5], color=COLORS[color], linewidth=1.2, zorder=1)
        # The triangle lies inside the shaded part, its flat side on the bound.
        axes.plot(value, 0, marker=TRIANGLES[row["side"]], color=COLORS[color], markersize=7, linestyle="", zorder=3)
        _label(axes, 0, "certified", bound(row), heavy=True)
        for place, mark in enumerate(told, start=1):
            if mark.kind == "measured":
                axes.plot(mark.value, place, marker="o", color=COLORS["measured"], markersize=6.5, linestyle="")
            else:
                axes.plot(mark.value, place, marker="|", color=COLORS["ink"], markersize=13, markeredgewidth=1.8)
            _label(axes, place, mark.words, number(mark.value))
        _ticks(axes, low, high, wide)
        axes.set_xlabel(AXES[unit(str(row["target"]))], fontsize=SMALL, color=COLORS["soft"], labelpad=2)
        return inline(figure, name, description)


def draw_shares(amounts: Mapping[str, float], name: str) -> str:
    """Draw parts of one quantity as bars, from above in the order given, as an inline picture.

    >>> "encode 0.3" in draw_shares({"lift": 0.1, "encode": 0.3}, "parts")
    True
    """
    description = "; ".join(f"{part} {number(amount)}" for part, amount in amounts.items())
    # Rows have room for the longest name.
    row = max(0.8, *(0.4 * len(textwrap.wrap(part, LETTERS)) for part in amounts))
    with new_drawing(WIDTH, ROW * row * len(amounts) + BELOW - 12 + ABOVE) as figure:
        axes = _axes(figure.add_axes(_place(len(amounts), row, BELOW - 12)), len(amounts))
        axes.barh(range(len(amounts)), list(amounts.values()), height=0.5 / row, color=COLORS["bound"])
        low, high = min(0.0, *amounts.values()), max(0.0, *amounts.values())
        axes.set_xlim(low, low + 1.02 * max(high - low, math.ulp(0.0)))
        for place, (part, amount) in enumerate(amounts.items()):
            _label(axes, place, part, number(amount))
        _ticks(axes, *axes.get_xlim(), wide=False)
        return inline(figure, name, description)


def _place(rows: int, row: float = 1.0, below: float = BELOW) -> tuple[float, float, float, float]:
    height = ROW * rows * row + below + ABOVE
    return LEFT / WIDTH, below / height, (WIDTH - LEFT - RIGHT) / WIDTH, ROW * rows * row / height


def _axes(axes: Axes, rows: int) -> Axes:
    axes.set(ylim=(rows - 0.5, -0.5))
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(COLORS["soft"])
    axes.grid(axis="x", color=COLORS["grid"], linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _span(values: Sequence[float]) -> tuple[float, float, bool]:
    """Return the ends of the axis and whether it is logarithmic, as for positive numbers far from one another."""
    low, high = min(values), max(values)
    if low > 0 and high > WIDE * low:
        margin = (high / low) ** 0.12
        return low / margin, high * margin, True
    margin = 0.14 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin, False


def _ticks(axes: Axes, low: float, high: float, wide: bool) -> None:
    locator = (
        LogLocator(subs=(1.0, 3.0) if high < 300 * low else (1.0,), numticks=5)
        if wide
        else MaxNLocator(3, steps=[1, 2, 5, 10])
    )
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in locator.tick_values(low, high) if low <= tick <= high]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=SMALL, labelcolor=COLORS["soft"], color=COLORS["soft"], length=3, pad=2)


def _label(axes: Axes, place: int, words: str, value: str, heavy: bool = False) -> None:
    """Write what a row of the picture is on its left, and its number on its right."""
    look: dict[str, Any] = {
        "fontsize": FONT,
        "color": COLORS["ink"],
        "fontweight": "bold" if heavy else "normal",
        "va": "center_baseline",
    }
    across = axes.get_yaxis_transform()
    lines = textwrap.wrap(words, LETTERS)
    small = look | {"fontsize": SMALL if len(lines) > 1 else FONT}
    axes.text(-0.04, place, "\n".join(lines), transform=across, ha="right", linespacing=0.95, **small)
    narrow = look | {"fontsize": SMALL if len(value) > DIGITS else FONT}
    axes.text(1.04, place, value, transform=across, ha="left", **narrow)
