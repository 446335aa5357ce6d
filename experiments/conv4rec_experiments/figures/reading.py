"""What the figures of a study read off its tables: settings, quantiles over seeds, and words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_experiments.fits.outcomes import State
from conv4rec_experiments.studies.slopes import Slope
from conv4rec_experiments.studies.summary import reachable

__all__ = ["ESTIMATORS", "VARIATIONS", "Quantiles", "Setting", "counted", "interval", "joined"]
__all__ += ["only_setting", "plain_sizes", "quantiles", "settings", "signed", "sizes_and_seeds", "wanted"]

Array = NDArray[np.float64]

ESTIMATORS = {"fit": "fitted Conv4Rec", "smoothed": "smoothed histogram", "histogram": "histogram"}
"""Words of the estimators."""

VARIATIONS = ("T5", "T6", "T9-lower", "T7a", "T7b", "T7c", "T7d", "T7f")
"""Theorems that bound a total variation which falls with size."""


class Setting(NamedTuple):
    """What one figure is about: a truth with its seed, a protocol and a sampling."""

    truth: str
    truth_seed: int
    protocol: str
    sampling: str

    @property
    def words(self) -> str:
        """Say it in words.

        >>> Setting("zipf", 1, "fixed profile", "independent").words
        'truth zipf (seed 1), fixed profile, independent sampling'
        """
        return f"truth {self.truth} (seed {self.truth_seed}), {self.protocol}, {self.sampling} sampling"

    @property
    def stem(self) -> str:
        """Name a file by it; the usual protocol and sampling are left out.

        >>> Setting("zipf", 1, "fixed profile", "independent").stem
        'zipf_1'
        >>> Setting("zipf", 1, "self-reconstruction", "without replacement").stem
        'zipf_1_self-reconstruction_without-replacement'
        """
        parts = [self.truth, str(self.truth_seed)]
        parts += [part for part in self[2:] if part not in ("fixed profile", "independent")]
        return "_".join(part.replace(" ", "-") for part in parts)

    def rows(self, table: pl.DataFrame) -> pl.DataFrame:
        """Keep the setting's rows of a table."""
        return table.filter(pl.all_horizontal(pl.col(key) == value for key, value in self._asdict().items()))


def settings(table: pl.DataFrame) -> list[Setting]:
    """List the settings of a table in the order of their first rows."""
    return [Setting(*row) for row in table.select(Setting._fields).unique(maintain_order=True).rows()]


def only_setting(table: pl.DataFrame) -> Setting:
    """Return the one setting of a table.

    Raises
    ------
    InputError
        If the table has none, or several.
    """
    found = settings(table)
    if len(found) != 1:
        raise InputError(
            f"The table holds {len(found)} settings (truth, seed, protocol, sampling); this figure shows exactly one; "
            "keep the rows of one."
        )
    return found[0]


class Quantiles(NamedTuple):
    """First quartile, median and third quartile over seeds at each size."""

    size: NDArray[np.int64]
    low: Array
    middle: Array
    high: Array


def quantiles(table: pl.DataFrame, column: str) -> Quantiles:
    """Take quartiles of a column over seeds at each size; rows without a value are left out."""
    kept = (
        table.drop_nulls(column)
        .group_by("size")
        .agg(
            pl.col(column).quantile(share, "linear").alias(words)
            for share, words in ((0.25, "low"), (0.5, "middle"), (0.75, "high"))
        )
    )
    found = kept.sort("size")
    return Quantiles(*(found[words].to_numpy() for words in Quantiles._fields))


def signed(value: float) -> str:
    """Write a slope with a true minus sign.

    >>> signed(-0.5)
    '−0.500'
    """
    return f"{value:.3f}".replace("-", "−")


def interval(fitted: Slope) -> str:
    """Write a slope with its interval, or alone where nothing varies between seeds.

    >>> interval(Slope(-0.5, -0.51, -0.49, 100, 1_000)), interval(Slope(-0.5, -0.5, -0.5, 100, 1_000))
    ('−0.500 [−0.510, −0.490]', '−0.500')
    """
    if np.isclose(fitted.low, fitted.high, atol=1e-9):
        return signed(fitted.value)
    return f"{signed(fitted.value)} [{signed(fitted.low)}, {signed(fitted.high)}]"


def plain_sizes(sizes: Sequence[int]) -> str:
    """Write a range of sizes.

    >>> plain_sizes([1_000, 10_000]), plain_sizes([500])
    ('N = 1,000 to 10,000', 'N = 500')
    """
    first, last = min(sizes), max(sizes)
    return f"N = {first:,}" if first == last else f"N = {first:,} to {last:,}"


def sizes_and_seeds(table: pl.DataFrame) -> str:
    """Say how many sizes and how many seeds at each a table has."""
    sizes = table["size"].unique().sort().to_list()
    seeds = sorted(table.group_by("size").agg(pl.col("seed").n_unique())["seed"].to_list())
    each = counted(seeds[-1], "seed") if seeds[0] == seeds[-1] else f"{seeds[0]:,} to {seeds[-1]:,} seeds"
    return f"{counted(len(sizes), 'size')}, {plain_sizes(sizes)}, with {each} at each"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> counted(1, "seed"), counted(2_000, "seed")
    ('1 seed', '2,000 seeds')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def joined(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> joined(["T6"]), joined(["T5", "T6", "T9-lower"])
    ('T6', 'T5, T6 and T9-lower')
    """
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def wanted(measures: pl.DataFrame) -> State:
    """Give the state that fits of one setting should end in: accepted, or stationary where none can be accepted."""
    return State.ACCEPTED if measures.select(reachable().any()).item() else State.STATIONARY
