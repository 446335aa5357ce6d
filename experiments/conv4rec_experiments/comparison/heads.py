"""From scores to probabilities: a temperature for P(consume), and an ordered logit for levels, fitted on validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp

from conv4rec.batches import CellsByUser
from conv4rec_experiments.ranking import BATCH_USERS

if TYPE_CHECKING:
    from conv4rec_experiments.comparison.systems import Ranker, Rater, Task

__all__ = ["OrderedLogit", "fit_temperature", "log_consumption"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

GAP = 1e-3
SPAN = 8.0
USERS = 1_000


def log_consumption(scores: Array, shown: Mask, temperature: float) -> Array:
    """Return log P(consume), shape (user, item): the log-softmax of scores over a temperature among shown items.

    Examples
    --------
    >>> log_consumption(np.array([[1.0, 2.0, 9.0]]), np.array([[True, True, False]]), 1.0).round(4).tolist()
    [[-1.3133, -0.3133, -inf]]
    """
    logits = np.where(shown, scores / temperature, -np.inf)
    logs: Array = logits - logsumexp(logits, axis=1, keepdims=True)
    return logs


def fit_temperature(ranker: Ranker, task: Task) -> float:
    """Return the temperature with the least mean of -log P(consume) on the validation part; training items are out.

    One number needs no more than the validation interactions of 1,000 users, drawn by the seed of the task.
    """
    part = task.validation
    users = np.unique(part.user)
    if len(users) > USERS:
        users = np.sort(np.random.default_rng(task.seed).choice(users, USERS, replace=False))
        part = part.subset(np.isin(part.user, users))
    seen = CellsByUser.of(task.training)
    row = np.searchsorted(users, part.user)
    batches = []
    for first in range(0, len(users), BATCH_USERS):
        batch = users[first : first + BATCH_USERS]
        shown = np.ones((len(batch), part.n_items), dtype=bool)
        known = seen.batch(batch)
        shown[known.row, known.item] = False
        here = np.flatnonzero((row >= first) & (row < first + len(batch)))
        scores = np.where(shown, ranker.scores(batch), -np.inf)
        own = scores[row[here] - first, part.item[here]]
        batches.append((scores.astype(np.float32), row[here] - first, own))

    def loss(log_temperature: float) -> float:
        inverse = float(np.exp(-log_temperature))
        total = 0.0
        for scores, place, own in batches:
            total += float((logsumexp(scores * np.float32(inverse), axis=1)[place] - own * inverse).sum())
        return total / len(part)

    finite = np.concatenate([scores[np.isfinite(scores)] for scores, _, _ in batches])
    centre = float(np.log(finite.std() + np.finfo(np.float64).tiny))
    found = minimize_scalar(loss, bounds=(centre - SPAN, centre + SPAN), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


@dataclass(frozen=True)
class OrderedLogit:
    r"""Probabilities of levels around a point prediction :math:`s`.

    .. math:: P(\text{level} \le r) = \sigma(\theta_r - a s)

    with increasing thresholds :math:`\theta` and a slope :math:`a > 0` (McCullagh 1980), fitted by maximum likelihood.

    Attributes
    ----------
    rater : Rater
        Gives the point predictions.
    thresholds : float64 array (level - 1,)
    slope : float
    """

    rater: Rater
    thresholds: Array
    slope: float

    @classmethod
    def fit(cls, rater: Rater, task: Task) -> OrderedLogit:
        """Fit thresholds and slope on the validation part."""
        part = task.validation
        thresholds, slope = fit_ordered(rater.expected_levels(part.user, part.item), part.level, part.n_levels)
        return cls(rater, thresholds, slope)

    def level_probabilities(self, user: Codes, item: Codes) -> Array:
        """Return P(level | consumed) of pairs, shape (pair, level); rows sum to 1."""
        return ordered_probabilities(self.rater.expected_levels(user, item), self.thresholds, self.slope)


def ordered_probabilities(predicted: Array, thresholds: Array, slope: float) -> Array:
    """Return the probabilities of levels around predictions, shape (pair, level).

    Examples
    --------
    >>> ordered_probabilities(np.array([0.0, 2.0]), np.array([-1.0, 1.0]), 1.0).round(4).tolist()
    [[0.2689, 0.4621, 0.2689], [0.0474, 0.2215, 0.7311]]
    """
    below = expit(thresholds[None] - slope * predicted[:, None])
    ends = np.ones((len(predicted), 1))
    probabilities: Array = np.diff(np.hstack([0 * ends, below, ends]), axis=1)
    return probabilities


def fit_ordered(predicted: Array, level: Codes, n_levels: int) -> tuple[Array, float]:
    """Return the thresholds and the slope of greatest likelihood; a level that never occurs is given half a count."""
    share = (np.bincount(level, minlength=n_levels) + 0.5) / (len(level) + 0.5 * n_levels)
    below = np.cumsum(share)[:-1]
    centre = float(predicted.mean())
    start = np.log(below / (1 - below)) + centre
    raw = np.concatenate([[start[0]], np.log(np.maximum(np.diff(start), GAP)), [0.0]])

    def unpacked(values: Array) -> tuple[Array, float]:
        return np.cumsum(np.concatenate([values[:1], np.exp(values[1:-1])])), float(np.exp(values[-1]))

    rows = np.arange(len(level))

    def loss(values: Array) -> tuple[float, Array]:
        thresholds, slope = unpacked(values)
        probabilities = ordered_probabilities(predicted, thresholds, slope)
        own = np.maximum(probabilities[rows, level], np.finfo(np.float64).tiny)
        below = expit(thresholds[None] - slope * predicted[:, None])
        density = below * (1 - below)
        upper = np.hstack([density, np.zeros((len(rows), 1))])[rows, level] / own
        lower = np.hstack([np.zeros((len(rows), 1)), density])[rows, level] / own
        towards = np.bincount(level, upper, n_levels)[:-1] - np.bincount(level, lower, n_levels)[1:]
        gradient = np.empty_like(values)
        gradient[0] = towards.sum()
        gradient[1:-1] = np.cumsum(towards[::-1])[::-1][1:] * np.exp(values[1:-1])
        gradient[-1] = -((upper - lower) * predicted).sum() * slope
        return float(-np.log(own).mean()), -gradient / len(rows)

    found = minimize(loss, raw, jac=True, method="L-BFGS-B")
    return unpacked(found.x)
