r"""What an efficient fit reaches for large N, and what needs no model: the statistical floor and the histogram.

The floor is part (c) of T11, where it is proved: for an efficient estimator of a smooth class of locally constant
rank, the error of ``log P(cell)`` is asymptotically Gaussian with variance ``(J F^+ J^T)_cell / N``, J the Jacobian of
the conditional log-probabilities and ``F = J^T diag(P) J``, ``P_cell = pi_i Q_i(y)``; a mean absolute Gaussian is
``sqrt(2/pi)`` standard deviations.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import one_thread
from conv4rec_experiments.truths.truth import Counts, Truth

__all__ = ["Floor", "histogram_floor", "histogram_law", "statistical_floor"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Floor:
    r"""The statistical floor of a truth: ``TV_floor(N) = constant / sqrt(N)``.

    Attributes
    ----------
    constant
        ``sum_cells P_cell sqrt(2/pi) sqrt((J F^+ J^T)_cell) / 2``.
    rank
        Numerical rank of F: parameters less flat directions.
    """

    constant: float
    rank: int

    def tv(self, size: int) -> float:
        """Total variation that the maximum-likelihood fit of ``size`` interactions has on average.

        Examples
        --------
        >>> Floor(constant=7.0, rank=341).tv(10_000)
        0.07
        """
        return self.constant / sqrt(size)


def statistical_floor(truth: Truth) -> Floor:
    r"""Compute the floor at the truth's weights, under its user marginal.

    With ``sqrt(P) J = U S V^T`` the leverage of a cell is ``|U_cell|^2 = P_cell (J F^+ J^T)_cell``, so no matrix is
    inverted: directions with a singular value at rounding level are dropped, whatever their number.

    Examples
    --------
    >>> from conv4rec_experiments.truths import small_truth
    >>> floor = statistical_floor(small_truth(0))
    >>> floor.rank, round(floor.tv(10_000), 4)
    (109, 0.0378)
    """
    if truth.weights is None or not truth.realisable:
        raise InputError(f"The truth {truth.name!r} is no network of its class; a floor is known for teachers only.")
    likelihood = truth.likelihood
    jacobian = likelihood.jacobian(likelihood.pack(truth.weights)).reshape(-1, likelihood.size)
    root = np.sqrt(truth.pi[:, None] * truth.law).reshape(-1)
    with one_thread():
        factors = torch.linalg.svd(torch.from_numpy(root[:, None] * jacobian), full_matrices=False)
    left, singular = factors.U.numpy(), factors.S.numpy()
    rank = int((singular > singular[0] * max(jacobian.shape) * np.finfo(np.float64).eps).sum())
    leverage = np.sqrt((left[:, :rank] ** 2).sum(axis=1))
    return Floor(constant=float(root @ leverage / np.sqrt(2 * np.pi)), rank=rank)


def histogram_law(counts: Counts) -> Array:
    """Observed shares of cells for every user, shape (user, cell); a user without data counts the uniform law.

    Examples
    --------
    >>> histogram_law(np.array([[3, 1], [0, 0]])).tolist()
    [[0.75, 0.25], [0.5, 0.5]]
    """
    total = counts.sum(axis=1, keepdims=True)
    law: Array = np.where(total > 0, counts / np.maximum(total, 1), 1 / counts.shape[1])
    return law


def histogram_floor(truth: Truth, size: int) -> float:
    r"""Large-sample total variation of the histogram, ``sum_iy pi_i sqrt(2 p (1-p) / (pi n_i)) / 2``.

    Here ``p = Q_i(y)`` and ``n_i = N pi_i``.
    """
    deviation = np.sqrt(2 * truth.law * (1 - truth.law) / (np.pi * size * truth.pi[:, None]))
    return float(0.5 * (truth.pi[:, None] * deviation).sum())
