r"""A betting bound for the average of means: constant bets, so that the means may differ.

For independent :math:`X_t\in[0,1]` with means of average :math:`\mu` and :math:`Y_t = 1-X_t`, the capital

.. math::
    \mathcal K(v) = \frac1G\sum_{g=0}^{G-1}\prod_{t=1}^N\left(1-\gamma_g+\gamma_g\frac{Y_t}v\right),
    \qquad \gamma_g = 2^{-g},\; G = \max\left(1,\left\lceil\tfrac12\log_2N\right\rceil\right)

has expectation at most 1 at :math:`v = 1-\mu` (proof on the page of T9), so :math:`\mu` is below :math:`1-v` for
every v with :math:`\mathcal K(v)\ge1/\delta`, except with probability :math:`\delta`. Where :math:`1-\mu` may be small,
smaller bets are needed (`number_of_small_bets`).
"""

import math
from fractions import Fraction

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.rounding import PRECISION_BITS, exact, surprisal

__all__ = ["betting_lower", "betting_upper", "number_of_bets", "number_of_small_bets"]

Array = NDArray[np.float64]

BINS_LOG2 = 10
UNIT_LOG2 = 40
STEPS = 64
NUDGES = tuple(10.0**-power for power in range(13, 0, -1))


def number_of_bets(size: int) -> int:
    r"""Return G, a function of the sample size only: the smallest bet is about :math:`2/\sqrt N`.

    >>> [number_of_bets(size) for size in (1, 2, 100, 10_000, 1_000_000)]
    [1, 1, 4, 7, 10]
    """
    return max(1, -(-(size - 1).bit_length() // 2))


def number_of_small_bets(size: int) -> int:
    r"""Return the number of bets down to about :math:`1/N`, which rare gains ask for: also a function of N only.

    >>> [number_of_small_bets(size) for size in (1, 2, 100, 10_000, 1_000_000)]
    [1, 2, 8, 15, 21]
    """
    return 1 + (size - 1).bit_length()


def betting_lower(values: Array, delta: Fraction | float) -> float:
    r"""Return a certified lower bound for the average mean of variables in [0, 1], from one value of each.

    It is :math:`1-U` with the upper bound U for :math:`1-X_t`, with the bets of `number_of_small_bets`: scores such as
    shares of hits are often small.

    Parameters
    ----------
    values
        The :math:`X_t`, shape (user,), taken as the exact numbers given.
    delta
        The failure probability.

    Raises
    ------
    RefusedError
        As `betting_upper`.

    Examples
    --------
    >>> betting_lower(np.repeat([0.0, 1.0], [90, 10]), 0.05), betting_lower(np.zeros(10), 0.05)
    (0.03367311410554485, 0.0)
    """
    # Rounding upward, as the upper bound wants it.
    complements = np.minimum(np.nextafter(1 - values, 2), 1)
    upper = betting_upper(complements, delta, number_of_small_bets(values.size))
    return max(0.0, float(np.nextafter(1 - upper, -1)))


def betting_upper(values: Array, delta: Fraction | float, number: int | None = None) -> float:
    r"""Return a certified upper bound for the average mean of variables in [0, 1], from one value of each.

    The values are split between the two nearest of 1025 equidistant points without moving their sum; the logarithm is
    concave, so this can only lower the capital. The smallest :math:`1-v` is searched in floating point; that
    :math:`\mathcal K(v)\ge1/\delta` is then checked in ball arithmetic, on exact integer weights.

    Parameters
    ----------
    values
        The :math:`X_t`, shape (interaction,), rounded up; their order does not matter.
    delta
        The failure probability.
    number
        The number of bets, fixed by the number of values alone; by default `number_of_bets` of it.

    Raises
    ------
    RefusedError
        If there is no value, a value is NaN or leaves [0, 1], or delta is not strictly between 0 and 1.

    Examples
    --------
    >>> betting_upper(np.zeros(10), 0.05), 1 - 0.05**0.1
    (0.29565895467941644, 0.2588655508930523)
    """
    if not 0 < delta < 1:
        raise RefusedError(f"delta is {float(delta)}; expected a failure probability strictly between 0 and 1")
    if values.ndim != 1 or values.size == 0 or not bool(((values >= 0) & (values <= 1)).all()):
        raise RefusedError("values to bet on are missing, NaN or outside [0, 1]; expected scaled losses, one each")
    points, weights = _grid(values)
    bets = [2.0**-power for power in range(number_of_bets(values.size) if number is None else number)]
    start = _search(points, weights, bets, surprisal(delta))
    # What the search found is a guess: the first end whose capital is certainly large enough is taken.
    for nudge in NUDGES:
        candidate = start * (1 - nudge)
        if candidate > 0 and _capital_reaches(candidate, points, weights, bets, delta):
            return float(np.nextafter(1 - candidate, 2))
    return 1.0


def _grid(values: Array) -> tuple[Array, NDArray[np.int64]]:
    """Split every Y = 1 - X between its two neighbours on the grid; weights count units of 2^-30 of an interaction."""
    unit_bits = UNIT_LOG2 - BINS_LOG2
    heights = 2**UNIT_LOG2 - np.ceil(values * 2.0**UNIT_LOG2).astype(np.int64)
    cell, above = heights >> unit_bits, heights & (2**unit_bits - 1)
    weights = np.zeros(2**BINS_LOG2 + 2, dtype=np.int64)
    np.add.at(weights, cell, 2**unit_bits - above)
    np.add.at(weights, cell + 1, above)
    occupied = np.flatnonzero(weights)
    return occupied / 2.0**BINS_LOG2, weights[occupied]


def _search(points: Array, weights: NDArray[np.int64], bets: list[float], target: float) -> float:
    """Halve the interval of v a fixed number of times around the place where log K(v) crosses its target."""
    counts = weights / 2.0 ** (UNIT_LOG2 - BINS_LOG2)
    bet = np.array(bets)[:, None]

    def log_capital(v: float) -> float:
        with np.errstate(divide="ignore", over="ignore"):
            each = np.log(1 - bet + bet * (points / v)) @ counts
        return float(np.logaddexp.reduce(each)) - math.log(len(bets))

    low, high = 0.0, float(points @ counts / counts.sum())
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if middle > 0 and log_capital(middle) >= target else (low, middle)
    return low


def _capital_reaches(
    v: float, points: Array, weights: NDArray[np.int64], bets: list[float], delta: Fraction | float
) -> bool:
    """Return whether the capital at v is certainly at least 1/delta."""
    with ctx.workprec(PRECISION_BITS // 2):
        capital, level = arb(0), exact(v)
        for bet in bets:
            factors = [1 - arb(bet) + arb(bet) * (arb(point) / level) for point in points.tolist()]
            if all(factor > 0 for factor in factors):
                logs = (f.log() * count for f, count in zip(factors, weights.tolist(), strict=True))
                capital += (sum(logs, start=arb(0)) * arb(2) ** (BINS_LOG2 - UNIT_LOG2)).exp()
        return bool(capital * exact(delta) >= len(bets))
