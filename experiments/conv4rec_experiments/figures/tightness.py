"""How far a bound lies from what it bounds: bound over measured, by size and over certificates."""

import math
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from conv4rec_experiments.figures.grid import Point, Scale, grid, key
from conv4rec_experiments.figures.naming import Key, in_order, names
from conv4rec_experiments.figures.reading import Setting, counted, only_setting, plain_sizes, settings
from conv4rec_experiments.figures.style import SERIES, Series, applied, decades, new_figure, save
from conv4rec_experiments.files import write_text
from conv4rec_experiments.formatting import number
from conv4rec_experiments.studies.coverage import coverage_table

__all__ = ["caption", "caption_over_truths", "draw_tightness", "draw_tightness_over_truths"]

ACROSS, PANEL = 4, (1.8, 1.55)
DODGE = 1.16
"""Marks of one size stand beside each other, each this factor further right."""

BEYOND = 5.0
"""Whiskers are cut at so many times the greatest median."""

RATIO = "tightness: bound / measured (from below: measured / bound)"
SHORT_RATIO = "bound / measured\n(from below: inverse)"
"""A single row of panels has no room for more at its side."""


def draw_tightness(certificates: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one panel for each theorem of one setting, by size; write .pdf, .png and .txt, return the paths.

    Marks are medians over seeds, whiskers run from the 5 % to the 95 % quantile. The line at 1 is where bound and
    target are equal; below it a bound misses.

    Raises
    ------
    InputError
        If the certificates are of no or several settings.
    """
    only_setting(certificates)
    rows, named = _ratios(certificates), names(certificates)
    theorems = rows["theorem"].unique(maintain_order=True).to_list()
    across = min(ACROSS, len(theorems))
    down = math.ceil(len(theorems) / across)
    with applied():
        figure = new_figure(max(3.5, PANEL[0] * across), 0.5 + PANEL[1] * down)
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes, theorem in zip(panels.flat, theorems, strict=False):
            _panel(axes, theorem, rows.filter(pl.col("theorem") == theorem), named)
        low, high = _range(rows)
        panels[0, 0].set_ylim(low, high)
        decades(panels[0, 0].yaxis, low, high)
        for axes in panels.flat[len(theorems) :]:
            axes.set_visible(False)
        for column in range(across):
            lowest = max(row for row in range(down) if row * across + column < len(theorems))
            panels[lowest, column].tick_params(labelbottom=True)
        figure.supxlabel("scored interactions $N$", fontsize=10)
        figure.supylabel(SHORT_RATIO, fontsize=9)
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), caption(certificates) + "\n")]


def draw_tightness_over_truths(certificates: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one row for each certificate and one column for each truth, over all sizes; write .pdf, .png and .txt."""
    found, named = settings(certificates), names(certificates)
    cells = {}
    for setting in found:
        for words, of_one in in_order(_ratios(setting.rows(certificates)), named):
            middle, low, high = (of_one[f"tightness_{share}"][0] for share in ("50", "05", "95"))
            cells[words, _column(setting)] = Point(middle, low, high, ticks=(1.0,))
    told = {words for words, _ in cells}
    rows = [words for words in named.values() if words in told]
    for setting in found:
        for words in rows:
            cells.setdefault((words, _column(setting)), Point(ticks=(1.0,)))
    tops = [point.high for point in cells.values() if point.high is not None]
    lows = [point.low for point in cells.values() if point.low is not None]
    greatest = max([1.0, *(point.value for point in cells.values() if point.value is not None)])
    top = min(BEYOND * greatest, max([2.0, *(top * 1.3 for top in tops)]))
    scale = Scale("log", min([0.8, *(low / 1.3 for low in lows)]), top, RATIO)
    with applied():
        figure = grid(rows, [_column(setting) for setting in found], cells, scale)
        for axes in figure.axes:
            decades(axes.xaxis, scale.low, scale.high)
        entries = [key("point", "median, 5 % to 95 % of replicates"), key("tick", "1: bound equals target")]
        figure.legend(handles=entries, loc="outside upper center", ncols=2, fontsize=8)
        words = caption_over_truths(certificates)
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), words + "\n")]


def _column(setting: Setting) -> str:
    return f"{setting.truth} {setting.truth_seed}".replace("_", " ")


def _ratios(certificates: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows of the coverage table that have a finite median, certificates in order."""
    counted_rows = coverage_table(certificates).drop_nulls("tightness_50")
    return pl.concat([counted_rows.clear(), *(rows for _, rows in in_order(counted_rows))])


def _range(rows: pl.DataFrame) -> tuple[float, float]:
    """Range of the axis: all medians, and whiskers unless they are far beyond, as where a target is nearly 0."""
    middle, low, high = (rows[f"tightness_{share}"].drop_nulls().to_numpy() for share in ("50", "05", "95"))
    return min(0.8, float(low.min()) / 1.3), min(1.3 * float(high.max(initial=2)), BEYOND * float(middle.max()))


def _panel(axes: Axes, theorem: str, rows: pl.DataFrame, named: Mapping[Key, str]) -> None:
    kinds = list(in_order(rows, named))
    for place, (words, of_one) in enumerate(kinds):
        _marks(
            axes,
            of_one.sort("size"),
            # The title says the theorem, except where one target has no other name.
            words.removeprefix(theorem).strip(" ,:") or theorem,
            SERIES[place % len(SERIES)],
            DODGE ** (place - (len(kinds) - 1) / 2),
        )
    axes.axhline(1, color="black", linewidth=1.0)
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(theorem, fontsize=9, pad=3)
    axes.tick_params(labelsize=7.5)
    if len(kinds) > 1 or theorem == "T10":
        axes.legend(
            fontsize=6,
            handlelength=1.2,
            labelspacing=0.15,
            borderpad=0.1,
            frameon=True,
            edgecolor="none",
            framealpha=0.6,
        )


def _marks(axes: Axes, rows: pl.DataFrame, words: str, look: Series, shift: float) -> None:
    size = rows["size"].to_numpy() * shift
    middle, high = (rows[f"tightness_{share}"].to_numpy() for share in (50, 95))
    low = rows["tightness_05"].to_numpy()
    axes.vlines(size, low, high, color=look.color, linewidth=1.3)
    axes.plot(
        size,
        middle,
        color=look.color,
        marker=look.marker or "P",
        markersize=4,
        linestyle=look.linestyle,
        linewidth=0.7,
        label=words,
    )


def caption(certificates: pl.DataFrame) -> str:
    """Say in words what the figure of one setting shows: medians of tightness at the least and greatest size."""
    setting = only_setting(certificates)
    rows = _ratios(certificates)
    sizes = certificates["size"].unique().sort().to_list()
    return (
        f"Tightness of each certificate by size: {setting.words}; {plain_sizes(sizes)}, "
        f"{counted(certificates['seed'].n_unique(), 'seed')}. Bound over the exact value of its target, for bounds "
        "from below target over bound; marks are medians over seeds, whiskers run from the 5 % to the 95 % quantile "
        f"(cut at {BEYOND:g} times the greatest median), and below the line at 1 a bound misses. Medians: "
        f"{_told(rows, names(certificates))}.{_left_out(certificates)}"
    )


def caption_over_truths(certificates: pl.DataFrame) -> str:
    """Say in words what the figure over truths shows, with its numbers."""
    found, named = settings(certificates), names(certificates)
    told = [f"{setting.words}: {_told(_ratios(setting.rows(certificates)), named)}" for setting in found]
    sizes = certificates["size"].unique().to_list()
    return (
        f"Tightness of each certificate on {counted(len(found), 'truth')} at {plain_sizes(sizes)}, "
        f"{counted(certificates['seed'].n_unique(), 'seed')}. Bound over the exact value of its target, for bounds "
        "from below target over bound; points are medians over replicates, lines run from the 5 % to the 95 % "
        f"quantile, the tick at 1 is where they are equal. Medians: {'. '.join(told)}.{_left_out(certificates)}"
    )


def _told(rows: pl.DataFrame, named: Mapping[Key, str]) -> str:
    told = []
    for words, of_one in in_order(rows, named):
        values = of_one.sort("size")
        sizes, middle = values["size"].to_list(), values["tightness_50"].to_list()
        ends = f" at {sizes[0]:,} and {number(middle[-1], 3)} at {sizes[-1]:,}" if len(sizes) > 1 else ""
        told.append(f"{words} {number(middle[0], 3)}{ends}")
    return ", ".join(told)


def _left_out(certificates: pl.DataFrame) -> str:
    """Name certificates that never have a finite median ratio."""
    refused: list[str] = []
    infinite: list[str] = []
    for words, rows in in_order(coverage_table(certificates)):
        if rows["tightness_50"].is_null().all():
            (infinite if rows["replicates"].sum() else refused).append(words)
    parts = []
    if refused:
        parts.append(f" Always refused: {', '.join(refused)}.")
    if infinite:
        parts.append(f" Infinite in the median, because a bound from below or a target is 0: {', '.join(infinite)}.")
    return "".join(parts)
