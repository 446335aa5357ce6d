"""The figures that a comparison reports: how each is made of per-user columns, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["FIGURES", "Figure", "figures_of", "joint_criterion"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One figure: the mean of a column over users who have it, or a ratio of sums.

    Attributes
    ----------
    name : str
        As in tables.
    column : str
        What is summed over users.
    weight : str or None
        The column that counts; None counts users whose value is there.
    root : bool
        Whether the square root of the ratio is meant.
    higher : bool
        Whether more is better.

    Examples
    --------
    >>> figure = Figure("RMSE", "squared_error", "ratings", root=True, higher=False)
    >>> figure.value(pl.DataFrame({"squared_error": [3.0, 5.0], "ratings": [1, 1]}))
    2.0
    """

    name: str
    column: str
    weight: str | None = None
    root: bool = False
    higher: bool = True

    def sums(self, users: pl.DataFrame) -> tuple[Array, Array]:
        """Return numerator and denominator of every user, 0 and 0 where he has none."""
        values = users[self.column].cast(pl.Float64).fill_null(np.nan).to_numpy()
        counts = (
            np.ones(len(values)) if self.weight is None else users[self.weight].cast(pl.Float64).fill_null(0).to_numpy()
        )
        there = ~np.isnan(values)
        return np.where(there, values, 0.0), np.where(there, counts, 0.0)

    def of_sums(self, numerator: Array, denominator: Array) -> Array:
        """Return the figure of sums over users; NaN where nobody counts."""
        with np.errstate(invalid="ignore"):
            ratio = np.asarray(numerator / denominator)
        found: Array = np.sqrt(ratio) if self.root else ratio
        return found

    def value(self, users: pl.DataFrame) -> float | None:
        """Return the figure of a table with a row for each user; None where nobody counts."""
        numerator, denominator = self.sums(users)
        if not denominator.sum():
            return None
        return float(self.of_sums(numerator.sum(), denominator.sum()))


FIGURES: tuple[Figure, ...] = (
    Figure("NDCG@100", "ndcg_100"),
    Figure("Recall@20", "recall_20"),
    Figure("Recall@50", "recall_50"),
    Figure("positive NDCG@100", "positive_ndcg_100"),
    Figure("positive Recall@20", "positive_recall_20"),
    Figure("positive Recall@50", "positive_recall_50"),
    Figure("item log-loss", "item_log_loss", "interactions", higher=False),
    Figure("RMSE", "squared_error", "interactions", root=True, higher=False),
    Figure("MAE", "absolute_error", "interactions", higher=False),
    Figure("level log-loss", "level_log_loss", "interactions", higher=False),
)


def figures_of(users: pl.DataFrame) -> dict[str, float | None]:
    """Return every figure of a table with a row for each user; None for what the system cannot do."""
    return {figure.name: figure.value(users) for figure in FIGURES}


def joint_criterion(found: dict[str, float | None]) -> float:
    r"""Weigh both tasks by one number, the less the better.

    .. math:: \log \mathrm{RMSE} + \log(\text{level log-loss}) - \log \mathrm{NDCG@100},

    so that one per cent of each counts the same; without levels the last term alone. It is infinite where a list has
    no hit at all.

    Examples
    --------
    >>> round(joint_criterion({"NDCG@100": 0.5, "RMSE": 1.0, "level log-loss": 2.0}), 4)
    1.3863
    """
    tiny = np.finfo(np.float64).tiny
    terms = [(found.get("RMSE"), 1), (found.get("level log-loss"), 1), (found.get("NDCG@100"), -1)]
    return float(sum(sign * np.log(max(value, tiny)) for value, sign in terms if value is not None))
