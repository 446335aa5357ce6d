"""One user: consumption against enjoyment over all items with gems marked, and the levels of chosen items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from conv4rec_experiments.figures.heat import heat, plain, short
from conv4rec_experiments.figures.marks import name_marks
from conv4rec_experiments.figures.style import SERIES, applied, decades, new_figure, save

__all__ = ["draw_user"]

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Look:
    """How items of a kind are marked, the letter before their rank, and what they are called."""

    letter: str
    marker: str
    color: str
    size: float
    words: str


KINDS: Mapping[str, Look] = {
    "recommended": Look("r", "s", SERIES[0].color, 34, "recommended"),
    "gem": Look("g", "^", SERIES[2].color, 44, "hidden gem"),
    "seen": Look("s", "o", "black", 10, "seen"),
}


def draw_user(items: Rows, levels: Rows, stem: Path) -> list[Path]:
    """Draw the two panels of a user's profile page; return the paths of PDF and PNG.

    Parameters
    ----------
    items, levels
        Rows of `user_items` and `user_levels` of `conv4rec_experiments.explaining.people`.
    stem
        Path without suffix.
    """
    chosen = list(dict.fromkeys((row["kind"], row["rank"]) for row in levels))
    names = list(dict.fromkeys(row["level"] for row in levels))
    with applied():
        figure = new_figure(6.8 + max(1.9, 0.3 * len(names)), max(4.4, 1.3 + 0.27 * len(chosen)))
        left, right = figure.subplots(1, 2, width_ratios=(4.4, max(1.9, 0.3 * len(names))))
        _scatter(left, items, set(chosen))
        _levels(right, levels, chosen, names)
        return save(figure, stem)


def _scatter(axes: Axes, items: Rows, chosen: set[tuple[str, int]]) -> None:
    others = [row for row in items if row["kind"] is None]
    axes.scatter(
        [row["p_consume"] for row in others],
        [row["p_high"] for row in others],
        s=4,
        color="0.72",
        linewidths=0,
        label="other item",
    )
    for kind in ("seen", "recommended", "gem"):
        look, own = KINDS[kind], [row for row in items if row["kind"] == kind]
        axes.scatter(
            [row["p_consume"] for row in own],
            [row["p_high"] for row in own],
            s=look.size,
            marker=look.marker,
            facecolors="none" if kind == "seen" else look.color,
            edgecolors=look.color if kind == "seen" else "black",
            linewidths=0.6,
            label=look.words,
            zorder=3,
        )
        if kind != "seen":
            named = [row for row in own if (kind, row["rank"]) in chosen]
            places = [(row["p_consume"], row["p_high"]) for row in named]
            words = [f"{look.letter}{row['rank']}" for row in named]
            name_marks(axes, places, words, 0.07 if kind == "gem" else 1.01, gap=0.035)
    unlikely = [row["p_consume"] for row in items if row["unlikely"]]
    if unlikely:
        axes.axvline(max(unlikely), color="0.35", linestyle=(0, (4, 2)), linewidth=1, label="gems lie left of this")
    axes.set_xscale("log")
    decades(axes.xaxis, min(row["p_consume"] for row in items), max(row["p_consume"] for row in items))
    axes.set_xlabel("P(consume)")
    axes.set_ylabel("P(high level | consumed)")
    axes.set_ylim(-0.02, 1.02)
    axes.margins(x=0.1)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, handletextpad=0.3)


def _levels(axes: Axes, levels: Rows, chosen: Sequence[tuple[str, int]], names: Sequence[str]) -> None:
    found = {(row["kind"], row["rank"], row["level"]): row for row in levels}
    shades = [[found[kind, rank, name]["probability"] for name in names] for kind, rank in chosen]
    first = [found[kind, rank, names[0]] for kind, rank in chosen]
    rows = [f"{short(row['name'])}  {KINDS[row['kind']].letter}{row['rank']}" for row in first]
    words = [[f"{100 * value:.0f}" for value in row] for row in shades]
    heat(axes, shades, words, rows, [plain(name) for name in names], low=0, high=1, colors="Greys")
    axes.tick_params(axis="y", labelsize=7.5)
    axes.tick_params(axis="x", labelsize=8)
    for down, row in enumerate(first):
        for level in (row["observed"] or "").split(", "):
            if level in names:
                # A frame shows at which level the user met the item: dark with a light rim, on any shade.
                (frame,) = axes.plot(names.index(level), down, marker="s", markersize=15, color="black")
                frame.set(markerfacecolor="none", path_effects=[withStroke(linewidth=3, foreground="white")])
    for down, ((before, _), (after, _)) in enumerate(pairwise(chosen)):
        if before != after:
            axes.axhline(down + 0.5, color="black", linewidth=0.8)
    axes.set_xlabel("level")
    axes.set_title("P(level | consumed), percent\n(framed: as observed)", fontsize=9)
