r"""The joint softmax cross-entropy: its Lipschitz constant, its range, smoothing, and its split (Lemmas 1 to 3).

For logits :math:`Z` over :math:`q` cells, :math:`\ell(Z, y) = \log\sum_{y'} e^{Z_{y'}} - Z_y` in nats. Masked
cells carry the logit :math:`-\infty` and do not count in :math:`q`.
"""

import math
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.formula import Formula

__all__ = [
    "DEFAULT_SMOOTHING",
    "LOSS_RANGE",
    "SMOOTHED_GAP",
    "SmoothedLosses",
    "cross_entropy",
    "loss_differences",
    "oscillation",
    "smoothed_losses",
    "smoothed_range",
    "uniform_risk",
]

Array = NDArray[np.float64]

DEFAULT_SMOOTHING = 0.01
"""The weight of the uniform law in a certified predictor where none is chosen: fixed, it owes nothing to any data."""

q, w, alpha, q_min, q_max = sympy.symbols("q w alpha q_min q_max", positive=True)

# The textbook form log[(1+(q-1)e^w)/(1+(q-1)e^-w)] with e^w drawn out, so that no w overflows.
RANGE = w + sympy.log((q - 1 + sympy.exp(-w)) / (1 + (q - 1) * sympy.exp(-w)))

LOSS_RANGE = Formula(value=RANGE, where={})
r"""Lemma 1: with ``osc(Z) <= w`` over ``q`` cells the loss lies in an interval of this length.

>>> round(LOSS_RANGE.number(q=4, w=1.0), 6)
1.471396
"""

SMOOTHED_LOW = Formula(value=-sympy.log(1 - alpha + alpha / q_min), where={})
SMOOTHED_HIGH = Formula(value=sympy.log(q_max / alpha), where={})

SMOOTHED_GAP = Formula(value=sympy.log(1 + (1 - alpha) * q_max / alpha), where={})
r"""No difference of two losses that are smoothed alike, over at most ``q_max`` cells, is larger in absolute value.

>>> round(SMOOTHED_GAP.upper(alpha=0.5, q_max=4), 6)
1.609438
"""


def oscillation(logits: Array) -> float:
    r"""Return :math:`\operatorname{osc}(Z) = \max Z - \min Z` over the unmasked cells.

    >>> oscillation(np.array([1.0, -2.0, -np.inf]))
    3.0
    """
    unmasked = logits[np.isfinite(logits)]
    return float(unmasked.max() - unmasked.min())


def cross_entropy(logits: Array) -> Array:
    r"""Return :math:`\ell(Z, y)` for every cell :math:`y` of a flat vector of logits, in nats.

    >>> cross_entropy(np.array([0.0, 0.0])).round(6)
    array([0.693147, 0.693147])
    """
    shifted = logits - logits.max()
    losses: Array = np.log(np.exp(shifted).sum()) - shifted
    return losses


@dataclass(frozen=True)
class SmoothedLosses:
    r"""Losses of the smoothed predictor :math:`(1-\alpha)P + \alpha\,\mathrm{Uniform}` and their range (Lemma 2).

    Differences of the losses of two such predictors have the same form (`loss_differences`).

    Attributes
    ----------
    losses
        :math:`-\log((1-\alpha)P(y_t) + \alpha/q_t)` for each interaction, in nats.
    low, high
        An interval that holds every possible loss, rounded outward.
    error
        An upper bound on the floating-point error of any single loss.
    """

    losses: Array
    low: float
    high: float
    error: float

    @property
    def negative(self) -> "SmoothedLosses":
        """The same with the opposite sign: an upper end of its mean is a lower end of the mean here."""
        return SmoothedLosses(-self.losses, -self.high, -self.low, self.error)

    def shares(self, low: float, high: float) -> Array:
        """Return the losses as shares of the way from ``low`` to ``high``, in [0, 1], none below its exact value."""
        # Twice the error covers the rounding of the sum as well, the factor those of scaling.
        scaled = (self.losses + 2 * self.error - low) / (high - low) * (1 + 8 * 2.0**-53)
        shares: Array = np.clip(scaled, 0, 1)
        return shares


def smoothed_losses(log_probabilities: Array, cells: NDArray[np.int64], smoothing: float) -> SmoothedLosses:
    r"""Return the losses of the smoothed predictor on given interactions.

    Parameters
    ----------
    log_probabilities
        The model's :math:`\log P(y_t \mid i_t)`, one for each interaction, in nats; :math:`-\infty` is a
        probability of zero and is allowed, smoothing makes its loss :math:`\log(q_t/\alpha)`.
    cells
        The number :math:`q_t` of unmasked cells of the interaction's user.
    smoothing
        :math:`\alpha` in (0, 1), chosen without these interactions.

    Raises
    ------
    RefusedError
        If the arrays are empty, of unequal length, hold NaN or positive log-probabilities or fewer than one cell, or
        if the smoothing is not strictly between 0 and 1.

    Examples
    --------
    >>> smoothed_losses(np.log([0.5, 0.25]), np.array([4, 4]), 0.5).losses.round(6)
    array([0.980829, 1.386294])
    """
    log_probabilities = np.asarray(log_probabilities, dtype=np.float64)
    _check_log_probabilities(log_probabilities, cells)
    check_cells(cells)
    low, high = smoothed_range(int(cells.min()), int(cells.max()), smoothing)
    losses: Array = -np.log((1 - smoothing) * np.exp(log_probabilities) + smoothing / cells)
    # exp, log and the four roundings between them stay within 32 units of the argument's and the result's size.
    error = 32 * 2.0**-53 * (1 + float(np.abs(losses).max()))
    return SmoothedLosses(
        losses=losses,
        low=low,
        high=high,
        error=error,
    )


def loss_differences(first: SmoothedLosses, second: SmoothedLosses, most: int, smoothing: float) -> SmoothedLosses:
    r"""Return the losses of one predictor less those of another, smoothed alike, over at most ``most`` cells.

    Both laws lie between :math:`\alpha/q` and :math:`1-\alpha+\alpha/q`, so a difference is at most
    :math:`W = \log(1+(1-\alpha)q/\alpha)` in absolute value, and W grows with q.

    >>> one, other = (smoothed_losses(np.log([p, p]), np.array([4, 4]), 0.5) for p in (0.5, 0.25))
    >>> found = loss_differences(one, other, 4, 0.5)
    >>> found.losses.round(6), round(found.high, 6)
    (array([-0.405465, -0.405465]), 1.609438)
    """
    gap = SMOOTHED_GAP.upper(alpha=smoothing, q_max=most)
    # The subtraction rounds by less than the least error that a loss is given.
    error = 2 * (first.error + second.error)
    return SmoothedLosses(first.losses - second.losses, -gap, gap, error)


def smoothed_range(fewest: int, most: int, smoothing: float) -> tuple[float, float]:
    r"""Return an interval that holds the smoothed loss of every user with ``fewest`` to ``most`` unmasked cells.

    >>> [round(end, 6) for end in smoothed_range(2, 4, 0.5)]
    [0.287682, 2.079442]
    """
    if not 0 < smoothing < 1:
        raise RefusedError(
            f"smoothing is {smoothing}; expected strictly between 0 and 1; take a value such as {DEFAULT_SMOOTHING}"
        )
    # Among subnormal numbers alpha/q would lose the relative accuracy on which the stated error rests.
    if smoothing / most < 2.0**-1000:
        raise RefusedError(
            f"smoothing is {smoothing}, too close to 0 for {most} cells; take a value such as {DEFAULT_SMOOTHING}"
        )
    return SMOOTHED_LOW.lower(alpha=smoothing, q_min=fewest), SMOOTHED_HIGH.upper(alpha=smoothing, q_max=most)


def check_cells(cells: NDArray[np.int64]) -> None:
    """Refuse counts of cells that are empty, no integers, or below one."""
    if cells.ndim != 1 or cells.size == 0 or cells.dtype.kind not in "iu":
        raise RefusedError(
            f"cell counts have shape {cells.shape} and type {cells.dtype}; expected one integer for each interaction"
        )
    if (cells < 1).any():
        where = int(np.flatnonzero(cells < 1)[0])
        raise RefusedError(f"interaction {where} has {cells[where]} cells; expected at least 1")


def _check_log_probabilities(log_probabilities: Array, cells: NDArray[np.int64]) -> None:
    if log_probabilities.ndim != 1 or log_probabilities.size == 0:
        raise RefusedError(
            f"log-probabilities have shape {log_probabilities.shape}; expected one for each of at least one interaction"
        )
    if cells.shape != log_probabilities.shape:
        raise RefusedError(
            f"there are {cells.size} cell counts for {log_probabilities.size} log-probabilities; expected one for each"
        )
    if np.isnan(log_probabilities).any():
        where = int(np.flatnonzero(np.isnan(log_probabilities))[0])
        raise RefusedError(f"log-probability {where} is NaN; expected a number at most 0; check the model's output")
    if (log_probabilities > 0).any():
        where = int(np.flatnonzero(log_probabilities > 0)[0])
        raise RefusedError(
            f"log-probability {where} is {log_probabilities[where]:g}; expected at most 0; "
            "pass logarithms of probabilities, not losses or densities"
        )


def uniform_risk(cells: NDArray[np.int64]) -> float:
    """Return the mean loss of the uniform law, the mean of log q_t: the trivial value of a risk, in nats.

    >>> round(uniform_risk(np.array([90, 90])), 6)
    4.49981
    """
    return math.fsum(np.log(cells)) / cells.size
