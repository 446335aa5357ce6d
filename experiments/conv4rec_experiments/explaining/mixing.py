"""The 1x1 convolutions as tables: how levels are mixed into channels (lift) and channels into levels (project)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt

    from conv4rec import Conv4Rec

__all__ = ["level_names", "mixing_table"]


def level_names(model: Conv4Rec) -> list[str]:
    """Return the names of the levels as they are written: ``"4.5"``, ``"buy"``."""
    return [level if isinstance(level, str) else f"{level:g}" for level in model.interactions.levels]


def mixing_table(model: Conv4Rec) -> pl.DataFrame:
    r"""Return the entries of lift :math:`K` and project :math:`G`, one row for each.

    Columns: ``map`` ("lift" or "project"); ``channel`` from 1; ``level``; ``value``; ``relative``, the value divided
    by the greatest magnitude of the channel in that map. Only relative values can be compared between channels: what
    a channel's lift gains, its encode map may lose, and so for project and decode.
    """
    weights, levels = model.weights(), level_names(model)
    tables = [_entries("lift", weights["lift"].T, levels), _entries("project", weights["project"], levels)]
    return pl.concat(tables)


def _entries(name: str, of_channels: npt.NDArray[np.float64], levels: list[str]) -> pl.DataFrame:
    """List the entries of a table (channel, level)."""
    greatest = np.abs(of_channels).max(axis=1, keepdims=True)
    relative = np.divide(of_channels, greatest, out=np.zeros_like(of_channels), where=greatest > 0)
    channels = len(of_channels)
    return pl.DataFrame(
        {
            "map": [name] * of_channels.size,
            "channel": np.repeat(np.arange(1, channels + 1), len(levels)),
            "level": levels * channels,
            "value": of_channels.ravel(),
            "relative": relative.ravel(),
        }
    )
