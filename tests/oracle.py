"""The sixty-digit oracle that certified numbers are held against: mpmath on the symbolic object, no ball arithmetic."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import mpmath
import numpy as np
import sympy
from scipy.optimize import brentq
from scipy.special import betaincinv

from conv4rec_bounds.formula import Formula

TWINS: dict[str, Callable[..., mpmath.mpf]] = {}
"""Independent sixty-digit versions of the functions that have no closed form, by the names of their classes."""


def _kl(u: mpmath.mpf, p: mpmath.mpf) -> mpmath.mpf:
    if p >= 1:
        return mpmath.inf if u < 1 else mpmath.mpf(0)
    return (u * mpmath.log(u / p) if u > 0 else 0) + (1 - u) * mpmath.log((1 - u) / (1 - p) if u < 1 else 1)


def _last(inside: Callable[[mpmath.mpf], bool], end: mpmath.mpf) -> mpmath.mpf:
    """Return the end of the part of [0, end] where a property holds, by halving at the working precision."""
    low, high = mpmath.mpf(0), end
    for _ in range(4 * mpmath.mp.dps):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return low


def _kl_upper(u: mpmath.mpf, c: mpmath.mpf) -> mpmath.mpf:
    return u + (1 - u) * _last(lambda share: _kl(u, u + (1 - u) * share) <= c, mpmath.mpf(1)) if u < 1 else u


def _kl_lower(u: mpmath.mpf, c: mpmath.mpf) -> mpmath.mpf:
    return u * mpmath.exp(-_last(lambda t: _kl(u, u * mpmath.exp(-t)) <= c, (c + 1) / u)) if u > 0 else u


TWINS |= {"KlUpper": _kl_upper, "KlLower": _kl_lower}


def _polished(function: Callable[[mpmath.mpf], mpmath.mpf], guess: mpmath.mpf) -> mpmath.mpf:
    """Return the root next to a guess by secants."""
    start = guess, guess * (1 + mpmath.mpf(10) ** -7)
    return mpmath.findroot(function, start, solver="secant", verify=False, maxsteps=80)


def _affinity_range(exponent: mpmath.mpf, power: mpmath.mpf) -> mpmath.mpf:
    """Return the largest total variation: at two points whose ratios x < 1 < y have equal slopes of the affinity."""
    if exponent <= 0:
        return mpmath.mpf(0)
    lam = min(power, 1 - power)
    s_guess, t_guess = map(mpmath.mpf, _affinity_guess(float(exponent), float(lam)))

    def slope(log_ratio: mpmath.mpf) -> mpmath.mpf:
        return mpmath.log((1 - lam) * mpmath.exp(lam * log_ratio) + lam * mpmath.exp((lam - 1) * log_ratio))

    def at(s: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
        target = slope(-s)
        x, y = mpmath.exp(-s), mpmath.exp(_polished(lambda t: slope(t) - target, t_guess))
        p = (y - 1) / (y - x)
        return mpmath.log(p * x**lam + (1 - p) * y**lam) + exponent, p * (1 - x)

    return at(_polished(lambda s: at(s)[0], s_guess))[1]


def _affinity_guess(exponent: float, lam: float) -> tuple[float, float]:
    """Solve the same two equations in floating point; where floats cancel, take the first term of the expansion."""
    if exponent < 1e-6:
        return (math.sqrt(2 * exponent / (lam * (1 - lam))),) * 2

    # Exponentials of positive numbers are drawn out of the logarithms, so that nothing overflows.
    def fall(s: float) -> float:
        return (1 - lam) * s + math.log(lam + (1 - lam) * math.exp(-s))

    def other(s: float) -> float:
        def rise(t: float) -> float:
            return lam * t + math.log(1 - lam + lam * math.exp(-t)) - fall(s)

        # A little beyond the end of the range, which rounding may put on either side of a root close to it.
        end = (fall(s) - math.log(1 - lam)) / lam * (1 + 1e-9)
        return brentq(rise, s / 1000, end, xtol=1e-12 * s)

    def excess(s: float) -> float:
        t = other(s)
        left, right = math.log(-math.expm1(-t)) - lam * s, math.log(-math.expm1(-s)) + (lam - 1) * t
        return float(np.logaddexp(left, right)) - math.log(-math.expm1(-s - t)) + exponent

    high = 1.0
    while excess(high) > 0:
        high *= 2
    low = high / 2
    while excess(low) < 0:
        low /= 2
    s = brentq(excess, low, high, xtol=1e-12 * low)
    return s, other(s)


def _minimax(size: mpmath.mpf, cells: mpmath.mpf, prior: mpmath.mpf) -> mpmath.mpf:
    """Return the Bayes risk as a plain sum; medians are floats polished once, which doubles their digits.

    The risk is least at the median, so that an error there of 32 digits leaves one of 64 in it.
    """
    total, risk = cells * prior + size, mpmath.mpf(0)
    for k in range(int(size) + 1):
        first, second = prior + k, total - prior - k
        median = mpmath.mpf(float(betaincinv(float(first), float(second), 0.5)))
        miss = mpmath.betainc(first, second, 0, median, regularized=True) - mpmath.mpf(1) / 2
        median -= miss * mpmath.beta(first, second) / (median ** (first - 1) * (1 - median) ** (second - 1))
        risk += mpmath.binomial(size, k) * median**first * (1 - median) ** second
    return cells * risk / (total * mpmath.beta(prior, total - size - prior))


TWINS |= {
    "LogStrip": lambda v: mpmath.log1p(-mpmath.erfc(v / mpmath.sqrt(2))),
    "LogChiSquare": lambda k, x: mpmath.log1p(-mpmath.gammainc(k / 2, x / 2, mpmath.inf, regularized=True)),
    "AffinityRange": _affinity_range,
    "MinimaxTotalVariation": _minimax,
    "TwoThirds": lambda x: mpmath.cbrt(x) ** 2,
    "HarmonicNumber": mpmath.harmonic,
}

Oracle = Callable[[Formula, Mapping[str, float | Fraction]], mpmath.mpf]


def sixty_digit_value(formula: Formula, inputs: Mapping[str, float | Fraction]) -> mpmath.mpf:
    """Evaluate a formula with mpmath at sixty digits: a road that shares only the symbolic object with ours."""
    function = _function(formula)
    with mpmath.workdps(90):
        return +function(*(_exactly(inputs[name]) for name in formula.inputs))


_FUNCTIONS: dict[int, tuple[Formula, Callable[..., mpmath.mpf]]] = {}


def _function(formula: Formula) -> Callable[..., mpmath.mpf]:
    # The formula is kept beside its function, so that no other object can come to have its address.
    if id(formula) not in _FUNCTIONS:
        plain = formula.expanded.xreplace({s: sympy.Symbol(str(s)) for s in formula.expanded.free_symbols})
        _FUNCTIONS[id(formula)] = formula, sympy.lambdify(formula.inputs, plain, modules=[TWINS, "mpmath"], cse=True)
    return _FUNCTIONS[id(formula)][1]


def _exactly(number: float | Fraction) -> mpmath.mpf:
    if isinstance(number, float) and math.isinf(number):
        return mpmath.inf
    ratio = Fraction(number)
    return mpmath.mpf(ratio.numerator) / ratio.denominator
