"""Popularity: the same list for everybody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_experiments.comparison.heads import fit_temperature
from conv4rec_experiments.comparison.systems import Fitted, Options, Task

__all__ = ["fit_popularity"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """One score for each item."""

    score: Array

    def scores(self, users: Codes) -> Array:
        """Return the same scores for every user, shape (user, item)."""
        return np.tile(self.score, (len(users), 1))


def fit_popularity(task: Task, options: Options) -> Fitted:
    """Score items by the logarithm of one more than how often they occur in training."""
    counts = np.bincount(task.training.item, minlength=task.training.n_items)
    ranker = Counts(np.log1p(counts))
    return Fitted(ranker=ranker, temperature=fit_temperature(ranker, task))
