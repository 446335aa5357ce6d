"""The smoothed histogram of levels of the user and of the item: the log-loss to beat."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from conv4rec_experiments.comparison.systems import Fitted, Options, Task

__all__ = ["HISTOGRAM_GRID", "fit_histogram"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

HISTOGRAM_GRID: tuple[Options, ...] = tuple(
    {"user_smoothing": user, "item_smoothing": item}
    for user, item in product((1.0, 3.0, 10.0, 30.0), (3.0, 10.0, 30.0, 100.0))
)


@dataclass(frozen=True)
class Histogram:
    r"""Two tables of log ratios to the histogram of all levels, which add up.

    Attributes
    ----------
    overall : float64 array (level,)
    user, item : float64 arrays (user, level) and (item, level)
    values : float64 array (level,)
    """

    overall: Array
    user: Array
    item: Array
    values: Array

    def level_probabilities(self, user: Codes, item: Codes) -> Array:
        """Return P(level | consumed) of pairs, shape (pair, level); rows sum to 1."""
        probabilities: Array = np.exp(log_softmax(self.overall + self.user[user] + self.item[item], axis=1))
        return probabilities

    def expected_levels(self, user: Codes, item: Codes) -> Array:
        """Return the expected level of pairs, shape (pair,)."""
        expected: Array = self.level_probabilities(user, item) @ self.values
        return expected


def fit_histogram(task: Task, options: Options) -> Fitted:
    r"""Count levels, smooth towards the histogram of all, and multiply.

    With :math:`h` the histogram of all training levels (one added to each count) and :math:`c` counts,

    .. math:: P(r\mid i,j) \propto h_r\,\frac{p_{ir}}{h_r}\,\frac{q_{jr}}{h_r},\qquad
              p_{ir} = \frac{c_{ir} + a h_r}{c_i + a},\quad q_{jr} = \frac{c_{jr} + b h_r}{c_j + b}.

    Options: ``user_smoothing`` and ``item_smoothing``, the numbers :math:`a` and :math:`b`.
    """
    part = task.training
    counts = np.bincount(part.level, minlength=part.n_levels) + 1.0
    overall = np.log(counts / counts.sum())
    user = _log_ratio(part.user, part.level, part.n_users, overall, float(options["user_smoothing"]))
    item = _log_ratio(part.item, part.level, part.n_items, overall, float(options["item_smoothing"]))
    model = Histogram(overall, user, item, part.level_values)
    return Fitted(rater=model, levels=model)


def _log_ratio(code: Codes, level: Codes, size: int, overall: Array, smoothing: float) -> Array:
    """Log of a smoothed histogram over the one of all levels, shape (size, level)."""
    counts = np.zeros((size, len(overall)))
    np.add.at(counts, (code, level), 1)
    smoothed = (counts + smoothing * np.exp(overall)) / (counts.sum(axis=1, keepdims=True) + smoothing)
    ratio: Array = np.log(smoothed) - overall
    return ratio
