r"""Distances between the joint laws of a user and a cell, and the inequalities that tie them (Lemma 4).

Arrays hold conditional laws over cells in the last axis; ``users`` holds the weight of each user in the mix. All
distances are of the joint laws :math:`\pi_i Q_i(y)` and :math:`\pi_i f_i(y)`.
"""

import math

import numpy as np
import sympy
from numpy.typing import NDArray

from conv4rec_bounds.formula import Formula

__all__ = ["TV_FROM_EXPONENT", "affinity", "kullback_leibler", "squared_hellinger", "total_variation"]

Array = NDArray[np.float64]

exponent = sympy.Symbol("a", nonnegative=True)

TV_FROM_EXPONENT = Formula(value=sympy.sqrt(1 - sympy.exp(-2 * exponent)), where={})
r"""Lemma 4: if :math:`-\log\sum\sqrt{Qf} \le a` then :math:`\mathrm{TV} \le \sqrt{1 - e^{-2a}}`.

>>> round(TV_FROM_EXPONENT.number(a=0.02), 6)
0.198013
"""


def total_variation(truth: Array, model: Array, users: Array) -> float:
    r"""Return :math:`\sum_i \pi_i \tfrac12\sum_y |Q_i(y) - f_i(y)|`.

    >>> total_variation(np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]]), np.array([1.0]))
    0.25
    """
    return float(users @ np.abs(truth - model).sum(axis=-1)) / 2


def kullback_leibler(truth: Array, log_model: Array, users: Array) -> float:
    r"""Return :math:`\sum_i \pi_i \sum_y Q_i(y)\log(Q_i(y)/f_i(y))` in nats, infinite where the model misses mass.

    The model comes as log-probabilities, so that a probability too small for a float does not count as zero.

    >>> round(kullback_leibler(np.array([[0.5, 0.5]]), np.log([[0.75, 0.25]]), np.array([1.0])), 6)
    0.143841
    >>> kullback_leibler(np.array([[0.5, 0.5]]), np.array([[0.0, -800.0]]), np.array([1.0]))
    399.3068528194401
    """
    counted = (truth > 0) & (users[..., None] > 0)
    if bool(np.isneginf(log_model[counted]).any()):
        return math.inf
    ratio = np.log(np.where(counted, truth, 1.0)) - np.where(counted, log_model, 0.0)
    return max(0.0, float(users @ (np.where(counted, truth, 0.0) * ratio).sum(axis=-1)))


def affinity(truth: Array, model: Array, users: Array, power: float = 0.5) -> float:
    r"""Return :math:`A_\lambda = \sum_i \pi_i \sum_y Q_i(y)^{1-\lambda} f_i(y)^\lambda`.

    >>> round(affinity(np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]]), np.array([1.0])), 6)
    0.965926
    """
    return float(users @ (truth ** (1 - power) * model**power).sum(axis=-1))


def squared_hellinger(truth: Array, model: Array, users: Array) -> float:
    r"""Return :math:`H^2 = 1 - A_{1/2}`, computed as half the squared distance of the roots.

    >>> round(squared_hellinger(np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]]), np.array([1.0])), 6)
    0.034074
    """
    return float(users @ np.square(np.sqrt(truth) - np.sqrt(model)).sum(axis=-1)) / 2
