r"""Exact tails of draws without replacement: how many successes a finite population has at least.

Of a population of M with j successes, N are drawn without replacement; h of the drawn are successes. The lower end is
:math:`J = \min\{j : \Pr_j(X\ge h) > \delta\}`, X being hypergeometric.
"""

from fractions import Fraction
from numbers import Integral

from flint import arb, ctx
from scipy.stats import hypergeom

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.rounding import PRECISION_BITS, exact

__all__ = ["hypergeometric_lower"]


def hypergeometric_lower(successes: int, draws: int, population: int, delta: Fraction | float) -> int:
    r"""Return a whole number not above :math:`\min\{j : \Pr_j(X\ge h) > \delta\}`.

    The end comes from scipy; the tail next to it is then enclosed in ball arithmetic, and the end is moved down until
    all below it are certainly excluded. With probability at least :math:`1-\delta` the population has so many.

    Parameters
    ----------
    successes, draws, population
        h, N and M, integers with :math:`0\le h\le N\le M`, :math:`N\ge1`.
    delta
        The failure probability.

    Raises
    ------
    RefusedError
        If the counts do not fit together or delta is not strictly between 0 and 1.

    Examples
    --------
    >>> hypergeometric_lower(90, 100, 200, 0.05), hypergeometric_lower(90, 100, 100, 0.05)
    (171, 90)
    """
    if not all(isinstance(count, Integral) for count in (successes, draws, population)):
        raise RefusedError(f"{successes} of {draws} drawn from {population} were given; expected whole numbers")
    if not 0 <= successes <= draws <= population or draws < 1:
        raise RefusedError(
            f"{successes} of {draws} drawn from {population} were given; expected at least 1 drawn, no more successes "
            "than were drawn, and no more drawn than there are"
        )
    if not 0 < delta < 1:
        raise RefusedError(f"delta is {float(delta)}; expected a failure probability strictly between 0 and 1")
    successes, draws, population = int(successes), int(draws), int(population)
    found, step = _guess(successes, draws, population, float(delta)), 1
    # Fewer than were seen are excluded for sure.
    while found > successes and not _excluded(found - 1, successes, draws, population, delta):
        found, step = max(successes, found - step), 2 * step
    return found


def _guess(successes: int, draws: int, population: int, delta: float) -> int:
    """Return the end in floating point: with ``high`` the tail is 1, as all that failed may have been drawn."""
    low, high = successes, population - draws + successes
    while low < high:
        middle = (low + high) // 2
        inside = float(hypergeom.sf(successes - 1, population, middle, draws)) > delta
        low, high = (low, middle) if inside else (middle + 1, high)
    return low


def _excluded(j: int, successes: int, draws: int, population: int, delta: Fraction | float) -> bool:
    r"""Say whether :math:`\Pr_j(X\ge h)\le\delta` for certain.

    Ratios of neighbouring terms fall, so what is left of the sum is at most a geometric series.
    """
    with ctx.workprec(PRECISION_BITS):
        logs = [_log_choose(j, successes), _log_choose(population - j, draws - successes)]
        term = (logs[0] + logs[1] - _log_choose(population, draws)).exp()
        total = rest = arb(0)
        for k in range(successes, min(draws, j) + 1):
            total += term
            ratio = arb((j - k) * (draws - k)) / ((k + 1) * (population - j - draws + k + 1))
            rest = term * ratio / (1 - ratio) if ratio < 1 else arb(1)
            if rest < total * arb(2) ** -80:
                break
            term *= ratio
        return bool(total + rest <= exact(delta))


def _log_choose(n: int, k: int) -> arb:
    whole: arb = arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma()
    return whole
