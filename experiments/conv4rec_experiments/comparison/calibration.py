"""Reliability: how often what was predicted with some probability came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

__all__ = ["BINS", "ConsumptionReliability", "Reliability", "levels_reliability", "likeliest_reliability"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

BINS = 15
FINE = 4096
SMALLEST = 1e-12


@dataclass(frozen=True)
class Reliability:
    r"""A reliability table, and the expected calibration error that goes with it.

    Attributes
    ----------
    mass : float64 array (bin,)
        Share of the whole that falls into each bin.
    predicted, observed : float64 arrays (bin,)
        Mean predicted probability, and how often it came about.
    scale : float
        What the error is multiplied with: 1, or the number of pairs for each interaction.
    noise : float or None
        The expectation of the error if all had come about with the predicted probabilities, as far as it is known.

    Examples
    --------
    >>> table = Reliability(np.array([0.5, 0.5]), np.array([0.1, 0.7]), np.array([0.2, 0.6]))
    >>> round(table.error, 12)
    0.1
    """

    mass: Array
    predicted: Array
    observed: Array
    scale: float = 1.0
    noise: float | None = None

    @property
    def error(self) -> float:
        r"""Expected calibration error, :math:`\sum_b \text{mass}_b\,|\text{observed}_b - \text{predicted}_b|`."""
        return float(self.scale * (self.mass * np.abs(self.observed - self.predicted)).sum())

    def rows(self) -> list[dict[str, float]]:
        """Give the table row by row."""
        names = ("mass", "predicted", "observed")
        columns = zip(self.mass.tolist(), self.predicted.tolist(), self.observed.tolist(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in columns]


def equal_bins(predicted: Array, came: Array, bins: int = BINS) -> Reliability:
    r"""Sort predictions into bins of as nearly as possible the same number.

    Where the levels of an interaction are drawn from their predicted law, at most one of those in a bin comes about,
    and the number that does is a sum of independent indicators, one for each interaction: `noise` is
    :math:`\sum_b\mathbb E|S_b-\mathbb ES_b|/n`, computed exactly. Bins do not depend on what came about.

    Parameters
    ----------
    predicted, came : float64 arrays (interaction, level)
        Probabilities of levels, or of some of them, and whether each came about.
    bins : int

    Examples
    --------
    >>> predicted, came = np.array([[0.1], [0.2], [0.8], [0.9]]), np.array([[0.0], [1.0], [1.0], [1.0]])
    >>> table = equal_bins(predicted, came, bins=2)
    >>> table.predicted.round(2).tolist(), table.observed.tolist(), round(table.error, 3), round(table.noise, 3)
    ([0.15, 0.85], [0.5, 1.0], 0.25, 0.216)
    """
    each, came = predicted.ravel(), came.ravel()
    order = np.argsort(each, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    interaction = np.repeat(np.arange(len(predicted)), predicted.shape[1])
    chances = [np.bincount(interaction[part], each[part], len(predicted)).astype(np.float64) for part in parts]
    return Reliability(
        np.array([len(part) / len(order) for part in parts]),
        np.array([each[part].mean() for part in parts]),
        np.array([came[part].mean() for part in parts]),
        noise=fsum(mean_deviation(chance[chance > 0]) for chance in chances) / len(order),
    )


def mean_deviation(chances: Array) -> float:
    r"""Return :math:`\mathbb E|S-\mathbb ES|` of a sum S of independent indicators with these chances.

    The law of S is the product of the polynomials :math:`1-p_t+p_tz`, multiplied in pairs.

    Examples
    --------
    >>> round(mean_deviation(np.array([0.5, 0.5])), 12), mean_deviation(np.array([]))
    (0.5, 0.0)
    """
    sure = np.clip(chances, 0, 1)
    laws = np.stack([1 - sure, sure], axis=1) if len(sure) else np.ones((1, 1))
    while len(laws) > 1:
        if len(laws) % 2:
            laws = np.concatenate([laws, np.eye(1, laws.shape[1])])
        laws = fftconvolve(laws[::2], laws[1::2], axes=1)
    return float(np.abs(np.arange(laws.shape[1]) - sure.sum()) @ laws[0])


def levels_reliability(probabilities: Array, level: Codes) -> Reliability:
    """Put all levels of all interactions into 15 bins: each is predicted with a probability and came or not.

    Parameters
    ----------
    probabilities : float64 array (interaction, level)
    level : int64 array (interaction,)
    """
    came = np.zeros(probabilities.shape)
    came[np.arange(len(level)), level] = 1
    return equal_bins(probabilities, came)


def likeliest_reliability(probabilities: Array, level: Codes) -> Reliability:
    """Put the likeliest level of each interaction into 15 bins (Guo et al. 2017).

    Examples
    --------
    >>> table = likeliest_reliability(np.array([[0.6, 0.4], [0.1, 0.9]]), np.array([0, 0]))
    >>> table.predicted.tolist(), table.observed.tolist()
    ([0.6, 0.9], [1.0, 0.0])
    """
    likeliest = probabilities.argmax(axis=1)
    return equal_bins(probabilities.max(axis=1, keepdims=True), (likeliest == level).astype(np.float64)[:, None])


@dataclass
class ConsumptionReliability:
    r"""Reliability of P(consume), gathered from batches of users.

    For each user with :math:`n_i` interactions in the part, :math:`n_i p_{ij}` of them are expected to be with item
    :math:`j`. Pairs (user, item) are sorted by :math:`p_{ij}` into 15 bins in which the same number of interactions
    is expected, and the error is :math:`\sum_b |O_b - E_b| / N`, with :math:`O_b` the interactions found and
    :math:`E_b` those expected: a number of [0, 2]. Bins are joined from 4,096 narrow ones, even on a logarithmic
    scale, so that no table of users and items is kept.

    Examples
    --------
    >>> gathered = ConsumptionReliability()
    >>> gathered.add(np.array([[0.75, 0.25]]), np.array([[True, False]]))
    >>> gathered.table(bins=2).error
    0.5
    """

    expected: Array = field(default_factory=lambda: np.zeros(FINE))
    found: Array = field(default_factory=lambda: np.zeros(FINE))
    weight: Array = field(default_factory=lambda: np.zeros(FINE))

    def add(self, probabilities: Array, consumed: Mask) -> None:
        """Add a batch: P(consume) of each user's shown items (0 elsewhere), and which of them he consumed."""
        each = consumed.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            place = np.log(probabilities / SMALLEST) / -np.log(SMALLEST) * FINE
        bins = np.clip(place, 0, FINE - 1).astype(np.int64).ravel()
        weights = np.broadcast_to(each, probabilities.shape) * (probabilities > 0)
        self.weight += np.bincount(bins, weights.ravel(), FINE)
        self.expected += np.bincount(bins, (weights * probabilities).ravel(), FINE)
        self.found += np.bincount(bins, consumed.ravel().astype(np.float64), FINE)

    def table(self, bins: int = BINS) -> Reliability:
        """Join the narrow bins into so many, each with about the same number of expected interactions."""
        total = self.expected.sum()
        place = np.minimum((np.cumsum(self.expected) - self.expected / 2) / total * bins, bins - 1).astype(np.int64)
        weight, expected, found = (
            np.bincount(place, column, bins) for column in (self.weight, self.expected, self.found)
        )
        kept = weight > 0
        weight, expected, found = weight[kept], expected[kept], found[kept]
        pairs = float(weight.sum())
        return Reliability(weight / pairs, expected / weight, found / weight, scale=pairs / float(found.sum()))
