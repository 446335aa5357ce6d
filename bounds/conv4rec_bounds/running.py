r"""Means that hold at every look: bets with fixed sizes around centres that follow the data.

For :math:`X_t\in[0,1]` with means :math:`m_t` given the past, a size :math:`\lambda_g = 2^{1-g}` and centres
:math:`c_t\in[0,1]` that are functions of the past with :math:`\lambda_g(1-c_t)\le1`,

.. math::
    \exp\Big(\lambda_g\sum_{t\le n}(m_t-c_t)\Big)\prod_{t\le n}\big(1-\lambda_g(X_t-c_t)\big)

is a non-negative supermartingale that starts at 1 (proof on the page of T9-sequence). With the weights
:math:`w_g = 1/((g+1)(g+2))`, whose sum is 1, and Ville's inequality,

.. math::
    \sum_{t\le n}m_t \le \sum_{t\le n}c_t + \frac1{\lambda_g}
    \Big(\log\frac{(g+1)(g+2)}\delta-\sum_{t\le n}\log\big(1-\lambda_g(X_t-c_t)\big)\Big)
    \quad\text{for all } n \text{ and } g .
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.loss import SmoothedLosses
from conv4rec_bounds.rounding import surprisal

__all__ = ["SIZES", "RunningInterval", "Wager", "running_interval", "upper_ends", "wagers"]

Array = NDArray[np.float64]

SIZES = 16
"""Sizes of bets, from 2 down to 2^-14, which suits ten thousand million interactions."""

VALUE_BITS, CENTRE_BITS = 36, 20
UNIT = 2.0**-53


@dataclass(frozen=True)
class Wager:
    r"""What a bet of one size has come to after each interaction.

    Attributes
    ----------
    place
        The index g of the size :math:`2^{1-g}`.
    centres
        :math:`\sum_{t\le n}c_t`, exact, shape (interaction,).
    lost
        :math:`-\sum_{t\le n}\log(1-\lambda_g(X_t-c_t))`, rounded up, shape (interaction,).
    """

    place: int
    centres: Array
    lost: Array

    @property
    def size(self) -> float:
        r"""The size :math:`\lambda_g`."""
        return 2.0 ** (1 - self.place)

    def ends(self, delta: Fraction | float) -> Array:
        """Return upper ends of the mean of all means so far, from this bet alone, shape (interaction,)."""
        price = surprisal(delta) + float(np.log((self.place + 1) * (self.place + 2)))
        count = np.arange(1, self.centres.size + 1)
        ends: Array = (self.centres + (price + self.lost) / self.size) / count
        # Each of the few operations rounds by half a unit of what is added up at most.
        ends += 16 * UNIT * (self.centres + (price + np.abs(self.lost)) / self.size) / count
        return ends


def wagers(values: Array) -> Iterator[Wager]:
    """Yield what the bets of all sizes come to on values in [0, 1], rounded up, in the order of time.

    Values, centres and sizes have few bits, so that every argument of a logarithm is exact.

    Raises
    ------
    RefusedError
        If there is no value, or a value is NaN or leaves [0, 1].

    Examples
    --------
    >>> first = next(wagers(np.array([0.5, 0.25])))
    >>> first.size, first.centres, first.lost.round(4)
    (2.0, array([0.5, 1. ]), array([ 0.    , -0.4055]))
    """
    if values.ndim != 1 or values.size == 0 or not bool(((values >= 0) & (values <= 1)).all()):
        raise RefusedError("values to bet on are missing, NaN or outside [0, 1]; expected scaled losses, one each")
    shares = np.ceil(values * 2.0**VALUE_BITS) * 2.0**-VALUE_BITS
    count = np.arange(1, values.size + 1)
    # The mean of the values before, and of one half that stands for none: any function of the past will do.
    means = (0.5 + np.concatenate(([0.0], np.cumsum(shares)[:-1]))) / count
    means = np.clip(np.floor(means * 2.0**CENTRE_BITS) * 2.0**-CENTRE_BITS, 0.0, 1.0)
    for place in range(SIZES):
        size = 2.0 ** (1 - place)
        centres = np.maximum(means, 1 - 1 / size)
        with np.errstate(divide="ignore"):
            logs = np.log(1 - size * (shares - centres))
        # A sum of n terms rounds by n half units of the sum of their sizes at most; a logarithm by less than eight.
        lost = -np.cumsum(logs) + 1.001 * UNIT * (count + 8) * np.cumsum(np.abs(logs))
        yield Wager(place, np.cumsum(centres), lost)


def upper_ends(values: SmoothedLosses, delta: Fraction | float) -> Array:
    """Return upper ends for the mean of conditional means so far, valid at all looks at once, shape (interaction,).

    Parameters
    ----------
    values
        Losses, or differences, in the order of time, with a range that was fixed beforehand.
    delta
        The probability that the end is too low at any look.
    """
    least = np.full(values.losses.size, np.inf)
    for wager in wagers(values.shares(values.low, values.high)):
        np.minimum(least, wager.ends(delta), out=least)
    width = values.high - values.low
    ends = values.low + width * least
    ends += 8 * UNIT * (abs(values.low) + width * np.abs(least))
    found: Array = np.minimum(ends, values.high)
    return found


@dataclass(frozen=True)
class RunningInterval:
    """Where the running mean of conditional means lies, at every look.

    Attributes
    ----------
    mean
        The running mean of what was measured, in nats, shape (interaction,).
    lower, upper
        Both ends, rounded outward; all of them hold together.
    """

    mean: Array
    lower: Array
    upper: Array


def running_interval(values: SmoothedLosses, delta: Fraction | float = 0.05) -> RunningInterval:
    r"""Return both ends, each paid with half of delta, for the running mean of conditional means at every look.

    With probability at least :math:`1-\delta`, for all n at once, :math:`\frac1n\sum_{t\le n}m_t` lies between them:
    one may look as often as one likes, and stop when one likes.

    Parameters
    ----------
    values
        Losses, or differences of losses, in the order of time (`conv4rec_bounds.TimeOrdered.values`).
    delta
        The probability that any of the intervals misses.

    Raises
    ------
    RefusedError
        If delta is not strictly between 0 and 1.

    Examples
    --------
    >>> from conv4rec_bounds import TimeOrdered
    >>> ordered = TimeOrdered(np.log(np.full(1000, 0.2)), np.full(1000, 90), most_cells=90)
    >>> found = running_interval(ordered.values)
    >>> [float(end[-1].round(3)) for end in (found.lower, found.mean, found.upper)]
    [1.596, 1.619, 1.67]
    """
    if not 0 < delta < 1:
        raise RefusedError(f"delta is {float(delta)}; expected a failure probability strictly between 0 and 1")
    half = Fraction(delta) / 2
    count = np.arange(1, values.losses.size + 1)
    return RunningInterval(
        mean=np.cumsum(values.losses) / count,
        lower=-upper_ends(values.negative, half),
        upper=upper_ends(values, half),
    )
