"""Systems side by side: what each reaches on every split, and how reliable its probabilities are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from conv4rec_experiments.figures.style import GUIDES, SERIES, applied, decades, new_figure, save

__all__ = ["draw_comparison", "draw_reliability"]

PANELS: Mapping[str, str] = {
    "NDCG@100": "NDCG@100 →",
    "RMSE": "← RMSE",
    "level log-loss": "← level log-loss, nats",
    "ECE of P(level | consumed)": "← ECE of P(level | consumed)",
}
"""Figures of the panels, and their words; the arrow points to where it is better."""

RELIABILITY: Mapping[str, str] = {"consumption": "P(consume)", "levels": "P(level | consumed)"}


def draw_comparison(found: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw a panel for each figure and a row for each system: rings are splits, the disc is their mean.

    Systems that cannot do what a panel shows have no mark in it. Returns the paths, ``stem`` with .pdf and .png.

    Parameters
    ----------
    found
        Fits of `conv4rec_experiments.comparison.comparing.Compared`.
    stem
        Path without suffix.
    """
    systems = list(dict.fromkeys(fit["system"] for fit in found))
    shown = [name for name in PANELS if any(fit["figures"][name] is not None for fit in found)]
    with applied():
        figure = new_figure(1.4 + 2.0 * len(shown), 0.9 + 0.32 * len(systems))
        panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axes, name in zip(panels, shown, strict=True):
            for row, system in enumerate(systems):
                values = [fit["figures"][name] for fit in found if fit["system"] == system]
                _marks(axes, row, [value for value in values if value is not None])
            axes.set_xlabel(PANELS[name], fontsize=9)
            axes.tick_params(axis="x", labelsize=8)
            axes.locator_params(axis="x", nbins=4)
        panels[0].set_yticks(range(len(systems)), systems)
        panels[0].set_ylim(len(systems) - 0.5, -0.5)
        return save(figure, stem)


def _marks(axes: Axes, row: int, values: Sequence[float]) -> None:
    look = SERIES[0] if row == 0 else SERIES[1]
    rings = [row] * len(values)
    axes.plot(values, rings, linestyle="", marker="o", markersize=7, markerfacecolor="none", color=look.color)
    if values:
        axes.plot(sum(values) / len(values), row, linestyle="", marker="o" if row else "D", color=look.color)


def draw_reliability(found: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw what was predicted against what came about, for six systems: those first that give both probabilities.

    The first split of each is shown; the thin line is where the two agree. Returns the paths, ``stem`` with .pdf and
    .png; none where no system gives probabilities.

    Parameters
    ----------
    found
        Fits of `conv4rec_experiments.comparison.comparing.Compared`.
    stem
        Path without suffix.
    """
    first = {fit["system"]: fit["reliability"] for fit in reversed(found)}
    systems = list(dict.fromkeys(fit["system"] for fit in found))
    shown = [name for name in RELIABILITY if any(name in first[system] for system in systems)]
    if not shown:
        return []
    systems.sort(key=lambda system: -sum(name in first[system] for name in shown))
    looks = dict(zip(systems, SERIES, strict=False))
    with applied():
        figure = new_figure(0.6 + 3.4 * len(shown), 3.9)
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, name in zip(panels, shown, strict=True):
            drawn = [system for system in looks if name in first[system]]
            for system in drawn:
                look = looks[system]
                rows = [row for row in first[system][name] if row["predicted"] > 0 and row["observed"] > 0]
                axes.plot(
                    [row["predicted"] for row in rows],
                    [row["observed"] for row in rows],
                    color=look.color,
                    linestyle=look.linestyle,
                    marker=look.marker,
                    markersize=4,
                    label=system,
                )
            told = [row[column] for each in drawn for row in first[each][name] for column in ("predicted", "observed")]
            ends = (min((value for value in told if value > 0), default=0.1), max(told))
            if name == "consumption":
                axes.set(xscale="log", yscale="log")
                decades(axes.xaxis, *ends)
                decades(axes.yaxis, *ends)
            axes.plot(ends, ends, color="0.55", linestyle=GUIDES[2], linewidth=1.0)
            axes.set(xlabel=f"predicted {RELIABILITY[name]}", ylabel="came about")
            axes.legend(fontsize=8)
        return save(figure, stem)
