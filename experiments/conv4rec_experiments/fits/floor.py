r"""What a maximum-likelihood fit reaches for large N, and what needs no model: the statistical floor and the histogram.

The floor is part (c) of T11, where it is proved, and part (d) for truths outside the class. For the fit of a smooth
class of locally constant rank, the error of ``log P(cell)`` is asymptotically Gaussian with covariance
``J H^+ V H^+ J^T / N`` around the nearest law ``f0`` of the class: J is the Jacobian of the conditional
log-probabilities at ``f0``, H the Hessian of the population loss and ``V = J^T diag(pi_i Q_i) J`` the second moment of
the score. For a truth of the class ``H = V = F``, the Fisher matrix, and the covariance is ``J F^+ J^T / N``.
"""

from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.special import erf
from torch import Tensor
from torch.func import grad, jacrev

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings, fit_many, one_thread
from conv4rec_experiments.truths.truth import Counts, Truth

__all__ = ["Floor", "Nearest", "histogram_law", "nearest_law", "statistical_floor"]

Array = NDArray[np.float64]

LARGEST_JACOBIAN = 3 * 10**7
LARGEST_SEARCH = 50_000
POPULATION = 10**12
DIRECTIONS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Floor:
    r"""The statistical floor of a truth: the mean total variation of a Gaussian error around the nearest law.

    Attributes
    ----------
    shift
        ``pi_i (f0_i(y) - Q_i(y))`` of every user's cells, shape (user * cell,); zero for a truth of the class.
    deviation
        Standard deviation of ``pi_i f_i(y)`` times ``sqrt(N)``, shape (user * cell,).
    rank
        Numerical rank of the Jacobian: parameters less flat directions.
    """

    shift: Array
    deviation: Array
    rank: int

    @property
    def limit(self) -> float:
        """Total variation of the nearest law, which no sample size removes."""
        return float(np.abs(self.shift).sum()) / 2

    def tv(self, size: int) -> float:
        r"""Total variation that the maximum-likelihood fit of ``size`` interactions has on average for large sizes.

        It is ``sum_z E|b_z + s_z G / sqrt(N)| / 2`` with a standard Gaussian G, and for ``r = |b| sqrt(N) / s``

            ``E|b + s G / sqrt(N)| = s sqrt(2 / (pi N)) exp(-r^2 / 2) + |b| erf(r / sqrt(2))``.

        Raises
        ------
        InputError
            If the size is below 1.

        Examples
        --------
        >>> floor = Floor(shift=np.array([0.0, -0.1]), deviation=np.array([2.0, 0.0]), rank=1)
        >>> round(floor.tv(10_000), 6), floor.limit
        (0.057979, 0.05)
        """
        if size < 1:
            raise InputError(f"The sample size was {size}; a floor is for at least one interaction; raise it.")
        bias, spread = np.abs(self.shift), self.deviation / np.sqrt(size)
        ratio = np.divide(bias, spread, out=np.zeros_like(bias), where=spread > 0)
        # Beyond 40 deviations the exponential is zero to every digit, and its argument must not overflow.
        folded = spread * np.sqrt(2 / pi) * np.exp(-(np.minimum(ratio, 40.0) ** 2) / 2) + bias * erf(ratio / np.sqrt(2))
        return float(np.where(spread > 0, folded, bias).sum()) / 2


def statistical_floor(truth: Truth) -> Floor | None:
    r"""Compute the floor at the truth's nearest network, for users drawn from its user marginal.

    With ``sqrt(pi_i f0_i) J = U S W^T``, directions with a singular value at rounding level are dropped, whatever
    their number. In the coordinates ``S W^T theta`` of the others the Fisher matrix is the identity and the rows of
    ``sqrt(pi_i f0_i) J`` are those of U, so that for a truth of the class the variance of a cell is its leverage
    ``|U_z|^2``. Else it is ``U_z H^-1 V H^-1 U_z^T`` with H and V in these coordinates.

    Returns None where no nearest network is known, and where users times cells times parameters exceed 3e7: the
    Jacobian would be a table of that size, and its decomposition would take many minutes.

    Raises
    ------
    InputError
        If the loss is not strictly convex around the weights, so that they are no locally unique minimum.

    Examples
    --------
    >>> from conv4rec_experiments.truths import small_truth
    >>> floor = statistical_floor(small_truth(0))
    >>> floor.rank, round(floor.tv(10_000), 4)
    (109, 0.0378)
    """
    likelihood = truth.likelihood
    if truth.weights is None or truth.law.size * likelihood.size > LARGEST_JACOBIAN:
        return None
    theta = likelihood.pack(truth.weights)
    nearest = np.exp(likelihood.log_law(theta))
    root = np.sqrt(truth.pi[:, None] * nearest).reshape(-1)
    with one_thread(), torch.no_grad():
        jacobian = likelihood.jacobian(theta).reshape(-1, likelihood.size)
        factors = torch.linalg.svd(torch.from_numpy(root[:, None] * jacobian), full_matrices=False)
    singular = factors.S.numpy()
    rank = int((singular > singular[0] * max(jacobian.shape) * np.finfo(np.float64).eps).sum())
    left = factors.U.numpy()[:, :rank]
    if truth.realisable:
        shift = np.zeros(len(root))
        variance = (left**2).sum(axis=1)
    else:
        shift = (truth.pi[:, None] * (nearest - truth.law)).reshape(-1)
        curvature = _hessian(truth, theta, factors.Vh.numpy()[:rank].T / singular[:rank])
        try:
            factor = cho_factor(curvature)
        except LinAlgError:
            raise InputError(
                f"The weights of the truth {truth.name!r} are no locally unique minimum of the population loss; "
                "give those of the nearest network, or none."
            ) from None
        response = cho_solve(factor, left.T).T
        scores = left * np.sqrt((truth.law / nearest).reshape(-1, 1))
        variance = ((response @ (scores.T @ scores)) * response).sum(axis=1)
    return Floor(shift=shift, deviation=root * np.sqrt(variance), rank=rank)


def _hessian(truth: Truth, theta: Array, directions: Array) -> Array:
    """Hessian of the truth's population loss along directions (parameter, direction) from flat weights."""
    start, basis = torch.from_numpy(theta), torch.from_numpy(directions)
    joint = torch.from_numpy(truth.pi[:, None] * truth.law)

    def loss(step: Tensor) -> Tensor:
        return -(joint * truth.likelihood.log_laws((start + basis @ step)[None])[0]).sum()

    origin = torch.zeros(basis.shape[1], dtype=torch.float64)

    with one_thread():
        second = jacrev(grad(loss), chunk_size=DIRECTIONS_AT_ONCE)(origin)
    result: Array = second.numpy()
    return (result + result.T) / 2


@dataclass(frozen=True, eq=False)
class Nearest:
    """The network law that is nearest to a truth in KL, or the nearest that was found.

    Attributes
    ----------
    law
        Its conditional law, shape (user, cell).
    tv, kl
        Total variation and KL (nats) from the truth to it, under the user marginal.
    known
        Whether it is the nearest, by construction of the truth. Else it is the best of several searches, its KL is
        at least the least one, and its total variation is no bound of either side.
    """

    law: Array
    tv: float
    kl: float
    known: bool


def nearest_law(truth: Truth, *, seed: int = 0, settings: Settings | None = None) -> Nearest | None:
    """Give the nearest law of the class where it is known; else the nearest that blind fits to the truth itself find.

    The fits see the truth's own shares instead of a sample's. Returns None for a truth whose nearest network is
    unknown and that has more than 50,000 cells of all users together.

    Examples
    --------
    >>> from conv4rec_experiments.truths import twins_truth
    >>> found = nearest_law(twins_truth(0, users=4, items=3, profile_items=1))
    >>> found.known, round(found.tv, 4)
    (True, 0.2123)
    """
    log_law = truth.nearest
    if log_law is None:
        if truth.law.size > LARGEST_SEARCH:
            return None
        counts = np.rint(POPULATION * truth.pi[:, None] * truth.law).astype(np.int64)
        fit = fit_many(truth.likelihood, counts[None], [truth.empirical_risk(counts)], [seed], settings)[0]
        log_law = truth.likelihood.log_law(fit.theta)
    found = truth.distances(log_law)
    return Nearest(law=np.exp(log_law), tv=found.tv, kl=found.kl, known=truth.weights is not None)


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
