"""Paired bootstrap over users: by how much one system is better than another, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import bootstrap

from conv4rec.errors import InputError
from conv4rec_experiments.comparison.merits import FIGURES, Figure

__all__ = ["CONFIDENCE", "RESAMPLES", "Difference", "differences", "paired"]

Array = NDArray[np.float64]

RESAMPLES = 2_000
CONFIDENCE = 0.95
BATCH_NUMBERS = 2**23


@dataclass(frozen=True)
class Difference:
    """The figure of one system less that of another, with its interval.

    Attributes
    ----------
    figure : str
        Name of the figure.
    value, low, high : float
        The difference and the ends of its 95 % interval.
    verdict : {"better", "worse", "undecided"}
        Of the first system: undecided where the interval holds 0.
    users : int
        Over how many users.
    """

    figure: str
    value: float
    low: float
    high: float
    verdict: str
    users: int


def paired(figure: Figure, first: pl.DataFrame, second: pl.DataFrame, *, seed: int = 0) -> Difference:
    r"""Compare a figure of two systems on the same held-out parts.

    Users are drawn with replacement, each with all his held-out interactions of all seeds, and both figures are
    computed for the same draw; the interval has the 2.5 and 97.5 per cent quantiles of the difference over 2,000 draws
    (Efron 1979, by scipy). It speaks of other users like these, not of other draws of the training part.

    Parameters
    ----------
    figure : Figure
    first, second : polars.DataFrame
        Rows for each user and seed, with the columns `user`, `seed` and those of the figure.
    seed : int
        Of the draws.

    Raises
    ------
    InputError
        If the tables hold other users or seeds, or fewer than two users have the figure.
    """
    keys = ["user", "seed"]
    one, other = (table.sort(keys) for table in (first, second))
    if not one.select(keys).equals(other.select(keys)):
        raise InputError(
            "the two systems were scored on other users or seeds, expected the same; compare what one run has scored."
        )
    summed = (
        pl.DataFrame({"user": one["user"]} | _columns(figure, "first", one) | _columns(figure, "second", other))
        .group_by("user", maintain_order=True)
        .sum()
        .filter(pl.col("first_denominator") > 0, pl.col("second_denominator") > 0)
    )
    users = len(summed)
    if users < 2:
        raise InputError(f"{users} users have {figure.name} in both systems; a bootstrap needs at least two.")
    sums = tuple(summed.drop("user").to_numpy().T)

    def difference(a: Array, b: Array, c: Array, d: Array, axis: int = -1) -> Array:
        found: Array = figure.of_sums(a.sum(axis), b.sum(axis)) - figure.of_sums(c.sum(axis), d.sum(axis))
        return found

    value = float(difference(*sums))
    if all(np.array_equal(sums[place], sums[place + 2]) for place in (0, 1)):
        return Difference(figure.name, 0.0, 0.0, 0.0, "undecided", users)
    found = bootstrap(
        sums,
        difference,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH_NUMBERS // users),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = map(float, found.confidence_interval)
    better = low > 0 if figure.higher else high < 0
    worse = high < 0 if figure.higher else low > 0
    return Difference(figure.name, value, low, high, "better" if better else "worse" if worse else "undecided", users)


def differences(first: pl.DataFrame, second: pl.DataFrame) -> list[Difference]:
    """Compare every figure that both systems have."""
    return [
        paired(figure, first, second)
        for figure in FIGURES
        if figure.value(first) is not None and figure.value(second) is not None
    ]


def _columns(figure: Figure, name: str, table: pl.DataFrame) -> dict[str, Array]:
    numerator, denominator = figure.sums(table)
    return {f"{name}_numerator": numerator, f"{name}_denominator": denominator}
