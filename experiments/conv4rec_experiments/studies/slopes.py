r"""Log-log slopes of a table's columns against size, with bootstrap intervals over seeds.

A rate :math:`N^{-a}` is a straight line of slope :math:`-a` in a log-log figure. Seeds of different sizes are drawn
apart from each other, so the bootstrap resamples them within each size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec.errors import InputError

__all__ = ["LEAST_SIZE", "Slope", "least_size", "slope", "slopes"]

Array = NDArray[np.float64]

LEAST_SIZE = 10_000
"""Slopes are fitted from this size on, where the large-sample theory is meant to hold."""


@dataclass(frozen=True)
class Slope:
    """A log-log slope with its 95 % interval and the range of sizes that it was fitted on."""

    value: float
    low: float
    high: float
    least_size: int
    greatest_size: int


def least_size(table: pl.DataFrame) -> int:
    """Give the size from which slopes of a table are fitted: ``LEAST_SIZE``, or its least if fewer than two reach it.

    Examples
    --------
    >>> least_size(pl.DataFrame({"size": [1_000, 10_000, 100_000]})), least_size(pl.DataFrame({"size": [10, 10_000]}))
    (10000, 10)
    """
    sizes = table["size"].unique().to_numpy()
    return LEAST_SIZE if (sizes >= LEAST_SIZE).sum() >= 2 else int(sizes.min())


def slope(table: pl.DataFrame, column: str, least_size: int = 1, resamples: int = 2_000, seed: int = 0) -> Slope:
    r"""Fit the slope of the log of a column's median over seeds against log size, by least squares.

    With :math:`x_s` the centred log sizes and :math:`v_s` the median at size :math:`s`, the slope is
    :math:`\sum_sx_s\log v_s/\sum_sx_s^2`. Its 95 % interval is that of the percentile bootstrap, which resamples the
    seeds of each size (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    Parameters
    ----------
    table
        Rows with ``size`` and the column; rows without a value are left out, and sizes may differ in their seeds.
    column
        What falls or rises with size; positive.
    least_size
        Smaller sizes are left out.
    resamples, seed
        Number of bootstrap samples, and the seed that they are drawn with.

    Raises
    ------
    InputError
        If fewer than two sizes are left, a value is not positive and finite, or there are no resamples.

    Examples
    --------
    >>> table = pl.DataFrame({"size": [100, 100, 400, 400, 400], "tv": [0.1, 0.1, 0.05, 0.05, None]})
    >>> round(slope(table, "tv").value, 6)
    -0.5
    """
    if resamples < 1:
        raise InputError(f"{resamples} resamples were asked for; an interval needs at least 1; raise the number.")
    kept = table.filter((pl.col("size") >= least_size) & pl.col(column).is_not_null()).sort("size")
    sizes = kept["size"].unique(maintain_order=True).to_numpy()
    if len(sizes) < 2:
        raise InputError(
            f"{len(kept)} values of {column} over {len(sizes)} sizes from {least_size} on are left; a slope needs at "
            "least two sizes; run more of the study or lower the least size."
        )
    values = kept[column].to_numpy().astype(np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise InputError(
            f"A value of {column} from size {least_size} on is not a positive finite number, so it has no logarithm; "
            "leave its rows or its sizes out."
        )
    by_size = [np.log(values[kept["size"].to_numpy() == size]) for size in sizes]
    place = np.log(sizes) - np.log(sizes).mean()
    direction = place / (place @ place)
    source = np.random.default_rng(seed)
    drawn = np.stack([_medians(logs, resamples, source) for logs in by_size], axis=1)
    low, high = np.quantile(drawn @ direction, (0.025, 0.975))
    value = np.array([np.median(logs) for logs in by_size]) @ direction
    return Slope(float(value), float(low), float(high), int(sizes[0]), int(sizes[-1]))


def _medians(logs: Array, resamples: int, source: np.random.Generator) -> Array:
    picks = source.integers(len(logs), size=(resamples, len(logs)))
    medians: Array = np.median(logs[picks], axis=1)
    return medians


def slopes(table: pl.DataFrame, column: str, by: Sequence[str], resamples: int = 2_000, seed: int = 0) -> pl.DataFrame:
    """Fit the slope of a column in each group of rows, from each group's `least_size` on.

    Parameters
    ----------
    table, column, resamples, seed
        As for `slope`.
    by
        Columns that tell the groups apart, for instance truth and estimator.

    Returns
    -------
    polars.DataFrame
        The columns of ``by`` with ``slope, low, high, least_size, greatest_size``, in the order in which the groups
        first appear; a group that has no slope has no row.

    Raises
    ------
    InputError
        If there are no columns to group by, or as for `slope`.

    Examples
    --------
    >>> table = pl.DataFrame({"estimator": ["a", "a", "b", "b"], "size": [1, 4, 1, 4], "tv": [4.0, 2.0, 4.0, 1.0]})
    >>> slopes(table, "tv", ["estimator"])["slope"].round(6).to_list()
    [-0.5, -1.0]
    """
    if not by:
        raise InputError("No columns to group by were given; slopes are told apart by them; use slope for all rows.")
    schema = {name: table.schema[name] for name in by} | {
        "slope": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "least_size": pl.Int64,
        "greatest_size": pl.Int64,
    }
    rows = [
        (*key, found.value, found.low, found.high, found.least_size, found.greatest_size)
        for key, found in _found(table, column, by, resamples, seed)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _found(
    table: pl.DataFrame, column: str, by: Sequence[str], resamples: int, seed: int
) -> Iterator[tuple[tuple[object, ...], Slope]]:
    for key, group in table.group_by(by, maintain_order=True):
        least = least_size(group)
        used = group.filter((pl.col("size") >= least) & pl.col(column).is_not_null())
        values = used[column].to_numpy().astype(np.float64)
        if used["size"].n_unique() >= 2 and (np.isfinite(values) & (values > 0)).all():
            yield key, slope(used, column, least, resamples, seed)
