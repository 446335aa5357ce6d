"""What each channel listens to and says, which items it moves, and what is lost without it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from conv4rec_experiments.figures.heat import plain, short
from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save

__all__ = ["draw_channels", "draw_effects"]

Rows = Sequence[Mapping[str, Any]]

EFFECTS: Mapping[str, str] = {
    "variance_share": "share of logits' variance\nacross users",
    "consume_change": "change of P(consume)\n(total variation)",
    "level_change": "change of expected level\n(units of the levels)",
    "implicit": "implicit loss without it\n(nats more)",
    "explicit": "explicit loss without it\n(nats more)",
}
"""Columns of the table of effects, and their words."""


def draw_channels(curves: Rows, items: Rows, stem: Path) -> list[Path]:
    """Draw a row of panels for each channel; return the paths of PDF and PNG.

    Parameters
    ----------
    curves, items
        Rows of `channel_curves` and `channel_items` of `conv4rec_experiments.explaining.channels`.
    stem
        Path without suffix.
    """
    channels = list(dict.fromkeys(row["channel"] for row in curves))
    most = max(sum(row["channel"] == channel for row in items) for channel in channels)
    with applied():
        figure = new_figure(8.6, 0.6 + len(channels) * max(1.6, 0.5 + 0.15 * most))
        panels = figure.subplots(len(channels), 3, squeeze=False, width_ratios=(1, 1, 1.1))
        for (hears, says, moves), channel in zip(panels, channels, strict=True):
            own = [row for row in curves if row["channel"] == channel]
            _bars(hears, own, "hears")
            _bars(says, own, "says")
            _items(moves, [row for row in items if row["channel"] == channel])
            hears.set_ylabel(f"channel {channel}")
        cells = curves[0]["profile"]
        panels[0, 0].set_title(f"hears: one item lifted\n(of a profile of {cells})", fontsize=10)
        panels[0, 1].set_title("says: project", fontsize=10)
        panels[0, 2].set_title("moves most: items by norm of\ndecode times project", fontsize=10)
        panels[-1, 0].set_xlabel("level")
        panels[-1, 1].set_xlabel("level")
        panels[-1, 2].set_xlabel("norm")
        return save(figure, stem)


def draw_effects(effects: Rows, stem: Path) -> list[Path]:
    """Draw what is lost without each channel, a panel for each measure; return the paths of PDF and PNG."""
    with applied():
        figure = new_figure(9.4, 1.15 + 0.3 * len(effects))
        panels = figure.subplots(1, len(EFFECTS), sharey=True)
        for axes, (column, words) in zip(panels, EFFECTS.items(), strict=True):
            values = [row[column] for row in effects]
            axes.barh(range(len(effects)), values, height=0.6, color="0.75", edgecolor="0.25")
            axes.axvline(0, color="black", linewidth=0.8)
            for place, value in enumerate(values):
                # A number stands right of its bar, or of the axis where the bar points left.
                axes.annotate(
                    f"{value:.3g}".replace("-", "−"),
                    (max(value, 0.0), place),
                    xytext=(3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
            axes.set_title(words, fontsize=9)
            axes.margins(x=0.45)
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
            axes.tick_params(axis="x", labelsize=7.5)
            axes.tick_params(axis="y", length=0)
            axes.locator_params(axis="x", nbins=3)
        panels[0].set_yticks(range(len(effects)), [f"channel {row['channel']}" for row in effects])
        panels[0].invert_yaxis()
        return save(figure, stem)


def _bars(axes: Axes, rows: Rows, column: str) -> None:
    axes.bar(range(len(rows)), [row[column] for row in rows], width=0.7, color="0.75", edgecolor="0.25")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.plot(range(len(rows)), [row[column] for row in rows], color=SERIES[0].color, marker="o", markersize=3)
    axes.set_xticks(range(len(rows)), [plain(row["level"]) for row in rows], fontsize=7.5)
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="y", labelsize=7.5)


def _items(axes: Axes, rows: Rows) -> None:
    axes.barh(range(len(rows)), [row["norm"] for row in rows], height=0.75, color="0.82", edgecolor="0.6")
    for place, row in enumerate(rows):
        axes.text(0, place, f" {short(row['name'], 38)}", va="center", fontsize=7)
    axes.set_yticks([])
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(axis="x", labelsize=7.5)
