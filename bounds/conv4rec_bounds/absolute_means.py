r"""Betting on a sum of absolute means: both ends of :math:`E=\sum_b|\mathbb E\bar Z_b|`, whatever the number of bins.

Every :math:`Z_t\in[-1,1]` lies in one bin :math:`b_t`, :math:`\bar Z_b = \frac1N\sum_t1\{b_t=b\}Z_t`, and
:math:`\mathbb E` is the mean over the laws of the draws (or over a finite pool). As
:math:`E = \max_{s\in\{-1,1\}^B}\sum_bs_b\mathbb E\bar Z_b`, it is the mean of variables in [-1, 1] for one unknown
choice of signs. With the bets of `conv4rec_bounds.betting` and

.. math::
    F_{g,b}^\pm(v) = \sum_{t:b_t=b}\log\left(1-\gamma_g+\gamma_g\frac{1\mp Z_t}{2v}\right),

.. math::
    \mathcal K_{\min}(v) = \frac1G\sum_g\prod_b e^{\min(F_{g,b}^+,F_{g,b}^-)},\qquad
    \mathcal K_{\mathrm{mean}}(v) = \frac1G\sum_g\prod_b\tfrac12\left(e^{F_{g,b}^+}+e^{F_{g,b}^-}\right),

:math:`E\le1-2v` for every v with :math:`\mathcal K_{\min}(v)\ge1/\delta`, and :math:`E\ge2v-1` for every v with
:math:`\mathcal K_{\mathrm{mean}}(v)\ge1/\delta`, each but for a probability :math:`\delta` (proof on the page of
T9-calibration).
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from conv4rec_bounds.betting import BINS_LOG2, NUDGES, STEPS, UNIT_LOG2, number_of_bets
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.rounding import PRECISION_BITS, exact

__all__ = ["absolute_means_lower", "absolute_means_upper"]

Array = NDArray[np.float64]
Weights = NDArray[np.int64]

UNIT_BITS = UNIT_LOG2 - BINS_LOG2
MARGIN = 2.0**-50
"""More than the rounding of a value in [-1, 1] and of its way into [0, 1]."""


def absolute_means_upper(values: Array, bins: NDArray[np.int64], delta: Fraction | float) -> float:
    r"""Return a certified upper end of the sum over bins of the absolute values of :math:`\mathbb E\bar Z_b`.

    Parameters
    ----------
    values
        The :math:`Z_t` in [-1, 1], each within :math:`2^{-52}` of the exact one, shape (interaction,).
    bins
        Numbers of their bins from 0, shape (interaction,); bins were fixed beforehand.
    delta
        The failure probability.

    Raises
    ------
    RefusedError
        If there is no value, one leaves [-1, 1], bins are none of these values, or delta is no failure probability.

    Examples
    --------
    >>> values = np.resize([0.5, -0.5], 1000)
    >>> absolute_means_upper(values, np.zeros(1000, dtype=np.int64), 0.05)
    0.04632151024204657
    >>> absolute_means_upper(values, np.arange(1000) % 2, 0.05)
    0.502214476686425
    """
    v = _largest(values, bins, delta, np.minimum, _least)
    return float(np.nextafter(1 - 2 * v, 2))


def absolute_means_lower(values: Array, bins: NDArray[np.int64], delta: Fraction | float) -> float:
    r"""Return a certified lower end of the sum over bins of the absolute values of :math:`\mathbb E\bar Z_b`.

    Parameters and refusals are those of `absolute_means_upper`.

    >>> values = np.resize([0.5, -0.5], 1000)
    >>> absolute_means_lower(values, np.zeros(1000, dtype=np.int64), 0.05)
    0.0
    >>> absolute_means_lower(values, np.arange(1000) % 2, 0.05)
    0.4911452654356973
    """
    v = _largest(values, bins, delta, lambda up, down: np.logaddexp(up, down) - math.log(2), _average)
    return max(0.0, float(np.nextafter(2 * v - 1, -2)))


def _least(up: arb, down: arb) -> arb:
    return up.min(down)


def _average(up: arb, down: arb) -> arb:
    return (up + down) / 2


def _largest(
    values: Array,
    bins: NDArray[np.int64],
    delta: Fraction | float,
    fast: Callable[[Array, Array], Array],
    safe: Callable[[arb, arb], arb],
) -> float:
    """Return a v at which the capital is certainly at least 1/delta, close to the largest; 0 if none was found."""
    if not 0 < delta < 1:
        raise RefusedError(f"delta is {float(delta)}; expected a failure probability strictly between 0 and 1")
    if values.ndim != 1 or values.size == 0 or not bool((np.abs(values) <= 1).all()):
        raise RefusedError("values to bet on are missing, NaN or outside [-1, 1]; expected differences, one each")
    if bins.shape != values.shape or bins.dtype.kind not in "iu" or bool((bins < 0).any()):
        raise RefusedError("bins are no integers from 0, one for each value; number the bins that were fixed before")
    _, place = np.unique(bins, return_inverse=True)
    points, weights = _grid(values, place)
    bets = [2.0**-power for power in range(number_of_bets(values.size))]
    start = _search(points, weights, bets, math.log(1 / delta), fast)
    for nudge in NUDGES:
        candidate = start * (1 - nudge)
        if candidate > 0 and _capital_reaches(candidate, points, weights, bets, delta, safe):
            return candidate
    return 0.0


def _grid(values: Array, place: NDArray[np.int64]) -> tuple[Array, Weights]:
    """Split both (1 - Z)/2 and (1 + Z)/2 between neighbours on the grid; weights (bin, sign, point) count 2^-30."""
    weights = np.zeros((int(place.max()) + 1, 2, 2**BINS_LOG2 + 2), dtype=np.int64)
    for sign, signed in enumerate((-values, values)):
        heights = np.floor(np.maximum((1 + signed) / 2 - MARGIN, 0) * 2.0**UNIT_LOG2).astype(np.int64)
        cell, above = heights >> UNIT_BITS, heights & (2**UNIT_BITS - 1)
        np.add.at(weights[:, sign], (place, cell), 2**UNIT_BITS - above)
        np.add.at(weights[:, sign], (place, cell + 1), above)
    occupied = np.flatnonzero(weights.any(axis=(0, 1)))
    return occupied / 2.0**BINS_LOG2, weights[:, :, occupied]


def _search(
    points: Array, weights: Weights, bets: list[float], target: float, fast: Callable[[Array, Array], Array]
) -> float:
    """Halve [0, 1] a fixed number of times around the place where the logarithm of the capital crosses its target."""
    counts = weights.reshape(-1, points.size).T / 2.0**UNIT_BITS
    bet = np.array(bets)[:, None]

    def log_capital(v: float) -> float:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            logs = np.maximum(np.log(1 - bet + bet * (points / v)), -1e300)
            each = (logs @ counts).reshape(bet.size, -1, 2)
            total = fast(each[:, :, 0], each[:, :, 1]).sum(axis=1)
            return float(np.logaddexp.reduce(total)) - math.log(bet.size)

    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if log_capital(middle) >= target else (low, middle)
    return low


def _capital_reaches(
    v: float,
    points: Array,
    weights: Weights,
    bets: list[float],
    delta: Fraction | float,
    safe: Callable[[arb, arb], arb],
) -> bool:
    """Return whether the capital at v is certainly at least 1/delta."""
    with ctx.workprec(PRECISION_BITS // 2):
        capital, level, unit = arb(0), exact(v), arb(2) ** -UNIT_BITS
        for bet in bets:
            factors = [1 - arb(bet) + arb(bet) * (arb(point) / level) for point in points.tolist()]
            # Only the point 0 with all of the capital at stake has no logarithm: what is bet there is lost.
            logs = [factor.log() if factor > 0 else None for factor in factors]
            capital += math.prod(
                (safe(_product(up, logs, unit), _product(down, logs, unit)) for up, down in weights), start=arb(1)
            )
        return bool(capital * exact(delta) >= len(bets))


def _product(row: Weights, logs: list[arb | None], unit: arb) -> arb:
    total = arb(0)
    for k in np.flatnonzero(row).tolist():
        if (log := logs[k]) is None:
            return arb(0)
        total += log * int(row[k])
    return (total * unit).exp()
