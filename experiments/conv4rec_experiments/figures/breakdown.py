"""Where the total variation sits: by how active users and how popular items are."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from conv4rec_experiments.figures.panels import LOOKS
from conv4rec_experiments.figures.reading import ESTIMATORS, only_setting, sizes_and_seeds
from conv4rec_experiments.figures.style import applied, decades, new_figure, save
from conv4rec_experiments.files import write_text

__all__ = ["caption", "draw_breakdown"]

KINDS = {
    "user activity": "group of users, least active first\n(share of interactions)",
    "item popularity": "group of items, least popular first\n(share of interactions)",
}


def draw_breakdown(groups: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw the groups of one setting at its least and greatest size; write .pdf, .png and .txt, return the paths.

    Lines are medians over seeds, bands run from the first to the third quartile.

    Raises
    ------
    InputError
        If the groups are of no or several settings.
    """
    only_setting(groups)
    sizes = _sizes(groups)
    with applied():
        figure = new_figure(7.2, 0.9 + 2.5 * len(sizes))
        panels = figure.subplots(len(sizes), 2, squeeze=False, sharex="col", sharey=True)
        for row, size in zip(panels, sizes, strict=True):
            for axes, kind in zip(row, KINDS, strict=True):
                _panel(axes, groups.filter((pl.col("kind") == kind) & (pl.col("size") == size)))
            row[0].set_ylabel(f"total variation\nat $N$ = {size:,}")
        for axes, kind in zip(panels[0], KINDS, strict=True):
            axes.set_title(f"by {kind}", fontsize=10)
        for axes, words in zip(panels[-1], KINDS.values(), strict=True):
            axes.set_xlabel(words)
        handles, words = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside upper center", ncols=3, handlelength=3.0)
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), caption(groups) + "\n")]


def _sizes(groups: pl.DataFrame) -> list[int]:
    sizes = groups["size"].unique().sort().to_list()
    return sizes if len(sizes) < 2 else [sizes[0], sizes[-1]]


def _panel(axes: Axes, rows: pl.DataFrame) -> None:
    values = []
    for estimator, words in ESTIMATORS.items():
        found = _by_group(rows, estimator)
        look = LOOKS[estimator]
        axes.plot(
            found["group"], found["middle"], label=words, color=look.color, linestyle=look.linestyle, marker=look.marker
        )
        axes.fill_between(found["group"], found["low"], found["high"], color=look.color, alpha=0.25, linewidth=0)
        values += found["middle"].to_list()
    shares = rows.group_by("group").agg(pl.col("share").first()).sort("group")
    labels = [f"{group}\n{100 * share:.2g} %" for group, share in shares.rows()]
    axes.set_xticks(shares["group"].to_list(), labels, fontsize=7)
    axes.set(yscale="log")
    low, high = axes.get_ylim()
    decades(axes.yaxis, low, high)


def _by_group(rows: pl.DataFrame, estimator: str) -> pl.DataFrame:
    kept = rows.filter((pl.col("estimator") == estimator) & (pl.col("tv") > 0))
    quartiles = (
        pl.col("tv").quantile(share, "linear").alias(words)
        for share, words in ((0.25, "low"), (0.5, "middle"), (0.75, "high"))
    )
    return kept.group_by("group").agg(quartiles).sort("group")


def caption(groups: pl.DataFrame) -> str:
    """Say in words what the figure shows: medians of the least and the greatest group at each drawn size."""
    setting = only_setting(groups)
    told = []
    for size in _sizes(groups):
        for kind in KINDS:
            rows = groups.filter((pl.col("kind") == kind) & (pl.col("size") == size))
            for estimator, words in ESTIMATORS.items():
                found = _by_group(rows, estimator)
                if not found.is_empty():
                    first, last = (float(found["middle"][place]) for place in (0, -1))
                    told.append(f"{words} by {kind} at {size:,}: {first:.3g} to {last:.3g}")
    members = _members(groups)
    return (
        f"Total variation within groups of users and of items: {setting.words}; {sizes_and_seeds(groups)}. Groups run "
        f"from the least to the most active users ({members['user activity']}) and from the least to the most popular "
        f"items ({members['item popularity']}); below each is its share of the truth's interactions. For users it is "
        "the mean over the group's users; for items the distance on the group's cells over the group's true mass. "
        "Lines are medians over seeds, bands run from the first to the third quartile. Medians of the first and the "
        f"last group: {'; '.join(told)}."
    )


def _members(groups: pl.DataFrame) -> dict[str, str]:
    found = {}
    for kind in KINDS:
        rows = groups.filter(pl.col("kind") == kind)
        members = rows.group_by("group").agg(pl.col("members").first())["members"].to_numpy()
        least, most = int(np.min(members, initial=10**12)), int(np.max(members, initial=0))
        found[kind] = f"{len(members)} groups of {least}" + ("" if least == most else f" to {most}")
    return found
