r"""Exact tails of independent trials whose chances differ: how large their mean chance is at least.

Of N independent trials with chances of mean :math:`\bar\theta`, S succeed. By Hoeffding (1956, Theorem 4) the binomial
tail of that mean bounds :math:`\Pr(S\ge h)` wherever :math:`h-1\ge N\bar\theta`; one success alone has Markov's bound.
"""

from fractions import Fraction

from conv4rec_bounds.inversions import binomial_lower
from conv4rec_bounds.rounding import exact, floor_float

__all__ = ["mean_chance_lower"]


def mean_chance_lower(successes: int, trials: int, delta: Fraction | float) -> float:
    r"""Return a float not above the lower end of the mean chance of trials that need not be alike.

    With h successes it is :math:`\min(\beta, \frac{h-1}N)` from two successes on, :math:`\beta` being Clopper and
    Pearson's lower end; :math:`\delta/N` for one; and 0 for none. The mean is below it with probability at most
    :math:`\delta`. (Clopper and Pearson's own end is below it too often: the proof is on the page of T9-gems.)

    Parameters
    ----------
    successes, trials
        h and N, integers with :math:`0\le h\le N`, :math:`N\ge1`.
    delta
        The failure probability.

    Raises
    ------
    RefusedError
        If the counts do not fit together or delta is not strictly between 0 and 1.

    Examples
    --------
    >>> [mean_chance_lower(h, 100, 0.05) for h in (0, 1, 2, 90)]
    [0.0, 0.0005, 0.003565152603256712, 0.8362823767241768]
    """
    by_binomial = binomial_lower(successes, trials, delta)
    h, size = int(successes), int(trials)
    if h == 1:
        return floor_float(exact(Fraction(delta) / size))
    return min(by_binomial, max(0.0, floor_float(exact(Fraction(h - 1, size)))))
