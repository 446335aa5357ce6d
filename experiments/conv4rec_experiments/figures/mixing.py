"""The two 1x1 convolutions of a model as heat maps: levels into channels, channels into levels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from conv4rec_experiments.figures.heat import heat, plain
from conv4rec_experiments.figures.style import applied, new_figure, save

__all__ = ["draw_mixing"]

TITLES = {"lift": "lift: what a channel hears", "project": "project: what a channel says"}
CELL, LEVEL, LABELS = 0.62, 0.3, 1.1


def draw_mixing(rows: Sequence[Mapping[str, Any]], stem: Path) -> list[Path]:
    """Draw the matrices of `conv4rec_experiments.explaining.mixing.mixing_table`; return the paths of PDF and PNG.

    The greatest level stands on top. Values are printed; shades are relative to the channel's greatest magnitude,
    since the scale of a channel means nothing.
    """
    levels = list(dict.fromkeys(row["level"] for row in rows))
    channels = list(dict.fromkeys(row["channel"] for row in rows))
    with applied():
        figure = new_figure(2 * max(2.3, LABELS + CELL * len(channels)) + 0.9, max(2.4, 1.3 + LEVEL * len(levels)))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, name in ((left, "lift"), (right, "project")):
            _matrix(axes, [row for row in rows if row["map"] == name], levels, channels)
            axes.set_title(TITLES[name], fontsize=10)
            axes.set_xlabel("channel")
        left.set_ylabel("level")
        bar = figure.colorbar(right.images[0], ax=[left, right], shrink=0.9, ticks=[-1, 0, 1])
        bar.set_label("relative to the channel's\ngreatest magnitude", fontsize=8)
        bar.outline.set_visible(False)
        return save(figure, stem)


def _matrix(axes: Axes, rows: Sequence[Mapping[str, Any]], levels: Sequence[str], channels: Sequence[int]) -> None:
    found = {(row["level"], row["channel"]): row for row in rows}
    down = list(reversed(levels))
    heat(
        axes,
        [[found[level, channel]["relative"] for channel in channels] for level in down],
        [[f"{found[level, channel]['value']:.2f}".replace("-", "−") for channel in channels] for level in down],
        [plain(level) for level in down],
        [str(channel) for channel in channels],
        low=-1,
        high=1,
    )
