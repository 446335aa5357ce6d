r"""Inversions that turn a tail bound into a safe end: the binary Kullback-Leibler divergence, and binomial tails.

With :math:`\mathrm{kl}(u\|p) = u\log\frac up + (1-u)\log\frac{1-u}{1-p}`, the ends of :math:`\{p : \mathrm{kl}(u\|p)\le
c\}` have no closed form. They are found by bisection with a fixed number of steps; what is returned is never the
midpoint but the end of the bracket at which the sign of :math:`\mathrm{kl}-c` was checked in ball arithmetic.
"""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from numbers import Integral

import sympy
from flint import arb, ctx
from scipy.special import betainccinv, betaincinv

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.formula import CertifiedFunction, Formula
from conv4rec_bounds.rounding import PRECISION_BITS, Number, exact

__all__ = ["BERNSTEIN", "KL_LOWER", "KL_UPPER", "KlLower", "KlUpper", "binomial_lower", "binomial_upper"]

STEPS = 100
"""Halvings of a bracket that is at most a few times as long as its upper end: what is left is far below a float."""


class KlUpper(CertifiedFunction):
    r"""The upper inverse :math:`\sup\{p\in[u,1] : \mathrm{kl}(u\|p)\le c\}`; it rises in both arguments."""

    nargs = 2

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the inverse at every admissible point of two balls."""
        u, c = _checked(*arguments)
        with ctx.workprec(PRECISION_BITS):
            # By monotony the least and the greatest value are those at the ends of the balls.
            low = u.lower().max(arb(0))
            high = u.upper().min(arb(1))
            bottom = low + _reach(low, 1 - low, c.lower().max(arb(0)), outward=False)
            top = high + _reach(high, 1 - high, c.upper(), outward=True)
            return bottom.min(arb(1)).union(top.min(arb(1)))

    @classmethod
    def fast(cls, *arguments: Number) -> float:
        """Return the inverse in ordinary floating point."""
        u, c = (float(ball) for ball in _checked(*(exact(number) for number in arguments)))
        return min(1.0, u + _fast_reach(u, 1 - u, c))

    def _latex(self, printer: object) -> str:
        return _inverse_latex("+", self.args)


class KlLower(CertifiedFunction):
    r"""The lower inverse :math:`\inf\{p\in[0,u] : \mathrm{kl}(u\|p)\le c\}`; it rises in u and falls in c."""

    nargs = 2

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the inverse at every admissible point of two balls."""
        u, c = _checked(*arguments)
        with ctx.workprec(PRECISION_BITS):
            low = u.lower().max(arb(0))
            high = u.upper().min(arb(1))
            bottom = low * (-_descent(low, 1 - low, c.upper(), outward=True)).exp()
            top = high * (-_descent(high, 1 - high, c.lower().max(arb(0)), outward=False)).exp()
            return bottom.union(top)

    @classmethod
    def fast(cls, *arguments: Number) -> float:
        """Return the inverse in ordinary floating point."""
        u, c = (float(ball) for ball in _checked(*(exact(number) for number in arguments)))
        return u * math.exp(-_fast_descent(u, 1 - u, c)) if u > 0 else 0.0

    def _latex(self, printer: object) -> str:
        return _inverse_latex("-", self.args)


u_symbol, c_symbol = sympy.symbols("u c", nonnegative=True)

KL_UPPER = Formula(value=KlUpper(u_symbol, c_symbol), where={})
r"""The upper inverse as a formula: ``upper`` returns the safe end, at most one float above 1.

>>> KL_UPPER.upper(u=0.0, c=0.5), -math.expm1(-0.5)
(0.3934693402873666, 0.3934693402873666)
>>> KL_UPPER.upper(u=1.0, c=0.5)
1.0
"""

KL_LOWER = Formula(value=KlLower(u_symbol, c_symbol), where={})
r"""The lower inverse as a formula: ``lower`` returns the safe end, at most one float below 0.

>>> KL_LOWER.lower(u=1.0, c=0.5), math.exp(-0.5)
(0.6065306597126334, 0.6065306597126334)
"""

N, delta_symbol, mean, variance = sympy.symbols("N delta Xbar v", positive=True)

BERNSTEIN = Formula(
    value=mean + sympy.sqrt(2 * variance * sympy.log(1 / delta_symbol) / N) + sympy.log(1 / delta_symbol) / (3 * N),
    where={},
)
r"""Bernstein's upper bound for the mean of N independent variables in [0, 1], ``v`` their known mean variance.

>>> round(BERNSTEIN.upper(N=1000, delta=0.05, Xbar=0.3, v=0.01), 6)
0.308739
"""


def _inverse_latex(sign: str, arguments: Iterable[sympy.Expr]) -> str:
    inside = ", ".join(sympy.latex(argument) for argument in arguments)
    return rf"\mathrm{{kl}}^{{-1}}_{{{sign}}}\left({inside}\right)"


def _checked(u: arb, c: arb) -> tuple[arb, arb]:
    """Refuse what is no risk in [0, 1] or no non-negative level; rounding at the borders is let through."""
    if not (u.is_finite() and c.is_finite()):
        raise RefusedError(f"a kl inverse was asked for at u = {float(u):g}, c = {float(c):g}; expected finite numbers")
    if u < 0 or u > 1:
        raise RefusedError(
            f"a kl inverse was asked for at u = {float(u):.17g}; expected a mean in [0, 1]; scale losses"
        )
    if c < 0:
        raise RefusedError(f"a kl inverse was asked for at level c = {float(c):g}; expected at least 0")
    return u, c


def _kl_above(u: arb, w: arb, d: arb) -> arb:
    """Return a ball around kl(u || u + d), w being 1 - u: written in d, so that a tiny d loses nothing."""
    rising = u * (d / u).log1p() if u > 0 else arb(0)
    return -rising - w * (-d / w).log1p()


def _reach(u: arb, w: arb, c: arb, *, outward: bool) -> arb:
    r"""Return a certified end of :math:`\sup\{d\in[0,w] : \mathrm{kl}(u\|u+d)\le c\}`, w being 1 - u.

    The outer end starts from :math:`c+\sqrt{c^2+2uc}`, which is enough because
    :math:`\mathrm{kl}(u\|u+d)\ge d^2/(2(u+d))`, and moves in only where kl is certainly at least c; the inner end
    starts from 0 and moves out only where kl is certainly at most c.
    """
    if not w > 0:
        return arb(0)
    outer = (c + (c * c + 2 * u * c).sqrt()).min(w).upper()
    if outward:
        return _checked_end(lambda d: bool(_kl_above(u, w, d) >= c), good=outer, bad=arb(0))
    return _checked_end(lambda d: bool(_kl_above(u, w, d) <= c), good=arb(0), bad=outer)


def _kl_below(u: arb, w: arb, t: arb) -> arb:
    """Return a ball around kl(u || u exp(-t)), w being 1 - u."""
    miss = w * (-u * (-t).expm1() / w).log1p() if w > 0 else arb(0)
    return u * t - miss


def _descent(u: arb, w: arb, c: arb, *, outward: bool) -> arb:
    r"""Return a certified end of :math:`\sup\{t\ge0 : \mathrm{kl}(u\|ue^{-t})\le c\}`, w being 1 - u.

    In t, an inverse far below u keeps its relative accuracy. The outer end starts from :math:`(c-w\log w)/u`, because
    :math:`\mathrm{kl}(u\|ue^{-t}) = ut+w\log w-w\log(1-ue^{-t}) \ge ut+w\log w`.
    """
    if not u > 0:
        return arb(0)
    outer = ((c - (w * (-u).log1p() if w > 0 else 0)) / u).upper()
    if outward:
        return _checked_end(lambda t: bool(_kl_below(u, w, t) >= c), good=outer, bad=arb(0))
    return _checked_end(lambda t: bool(_kl_below(u, w, t) <= c), good=arb(0), bad=outer)


def _checked_end(certain: Callable[[arb], bool], *, good: arb, bad: arb) -> arb:
    """Halve the bracket a fixed number of times and return its end at which the check came out certain."""
    for _ in range(STEPS):
        middle = ((good + bad) / 2).mid()
        good, bad = (middle, bad) if certain(middle) else (good, middle)
    return good


def _fast_reach(u: float, w: float, c: float) -> float:
    if w <= 0:
        return 0.0
    low, high = 0.0, min(w, c + math.sqrt(c) * math.sqrt(c + 2 * u))
    for _ in range(STEPS):
        middle = (low + high) / 2
        # Where u + d rounds to 1 the divergence is larger than any level that matters.
        inside = middle < w and -_times_log1p(u, middle) - w * math.log1p(-middle / w) <= c
        low, high = (middle, high) if inside else (low, middle)
    return high


def _times_log1p(u: float, d: float) -> float:
    """Return u log(1 + d/u) and its limit 0 at u = 0; written as a difference of logarithms where d/u overflows."""
    if u <= 0:
        return 0.0
    return u * (math.log1p(d / u) if d < u * 1e300 else math.log(d) - math.log(u))


def _fast_descent(u: float, w: float, c: float) -> float:
    low, high = 0.0, min((c - (w * math.log1p(-u) if w > 0 else 0.0)) / u, 1e6)
    for _ in range(STEPS):
        middle = (low + high) / 2
        inside = u * middle - (w * math.log1p(-u * math.expm1(-middle) / w) if w > 0 else 0.0) <= c
        low, high = (middle, high) if inside else (low, middle)
    return high


def binomial_upper(successes: int, trials: int, delta: Fraction | float) -> float:
    r"""Return a float not below Clopper and Pearson's :math:`\sup\{p : \Pr(\mathrm{Bin}(n,p)\le k)\ge\delta\}`.

    The end comes from scipy; the binomial tail there is then enclosed in ball arithmetic, and the end is moved outward
    until the tail is certainly at most ``delta``.

    Parameters
    ----------
    successes, trials
        k and n, integers with :math:`0\le k\le n`, :math:`n\ge1`.
    delta
        The failure probability of this one side.

    Raises
    ------
    RefusedError
        If the counts do not fit together or delta is not strictly between 0 and 1.

    Examples
    --------
    >>> binomial_upper(0, 10, 0.05), 1 - 0.05**0.1
    (0.2588655508930549, 0.2588655508930523)
    """
    successes, trials = _check_counts(successes, trials, delta)
    if successes == trials:
        return 1.0
    guess = float(betainccinv(successes + 1, trials - successes, float(delta)))

    def excluded(p: float) -> bool:
        with ctx.workprec(PRECISION_BITS):
            tail = (1 - arb(p)).beta_lower(arb(trials - successes), arb(successes + 1), 1)
            return bool(p < 1 and tail <= exact(delta))

    return next((p for p in (guess * factor for factor in _outward(1)) if excluded(p)), 1.0)


def binomial_lower(successes: int, trials: int, delta: Fraction | float) -> float:
    r"""Return a float not above Clopper and Pearson's :math:`\inf\{p : \Pr(\mathrm{Bin}(n,p)\ge k)\ge\delta\}`.

    Parameters and refusals are those of `binomial_upper`.

    >>> binomial_lower(10, 10, 0.05), 0.05**0.1
    (0.7411344491069403, 0.7411344491069477)
    """
    successes, trials = _check_counts(successes, trials, delta)
    if successes == 0:
        return 0.0
    guess = float(betaincinv(successes, trials - successes + 1, float(delta)))

    def excluded(p: float) -> bool:
        with ctx.workprec(PRECISION_BITS):
            tail = arb(p).beta_lower(arb(successes), arb(trials - successes + 1), 1)
            return bool(p < 1 and tail <= exact(delta))

    return next((p for p in (guess * factor for factor in _outward(-1)) if excluded(p)), 0.0)


def _check_counts(successes: int, trials: int, delta: Fraction | float) -> tuple[int, int]:
    if not (isinstance(successes, Integral) and isinstance(trials, Integral)):
        raise RefusedError(f"{successes} successes in {trials} trials were given; expected whole numbers")
    if not 0 <= successes <= trials or trials < 1:
        raise RefusedError(f"{successes} successes in {trials} trials were given; expected 0 to n of at least 1 trial")
    if not 0 < delta < 1:
        raise RefusedError(f"delta is {float(delta)}; expected a failure probability strictly between 0 and 1")
    return int(successes), int(trials)


def _outward(sign: int) -> list[float]:
    """Return factors that move a computed end outward: first by less than 1e-14, at last by a tenth."""
    return [1 + sign * 10.0**-power for power in (*range(14, 0, -1),)]
