r"""The largest total variation that an affinity allows (Lemma 4): exact, with ends that prove themselves.

For laws :math:`P, F` with :math:`-\log\sum P^{1-\lambda}F^\lambda \le a`,

.. math::
    \mathrm{TV} \le V_\lambda(a) = \sup\left\{v : \max_{v\le p\le1}\left[p^{1-\lambda}(p-v)^\lambda
    + (1-p)^{1-\lambda}(1-p+v)^\lambda\right] \ge e^{-a}\right\} .

By the weighted inequality of the means, :math:`P^{1-\lambda}F^\lambda \le (1-\lambda)x^\lambda P + \lambda
x^{\lambda-1}F` for every :math:`x > 0`, so every pair :math:`x < 1 < y` proves an upper end

.. math::
    V_\lambda(a) \le \frac{\max\{h(x), h(y)\} - e^{-a}}{\lambda(x^{\lambda-1} - y^{\lambda-1})}, \qquad
    h(x) = (1-\lambda)x^\lambda + \lambda x^{\lambda-1},

and the two-point laws with ratios :math:`F/P` of :math:`x` and :math:`y` prove a lower end. A good pair makes both
tight; any pair makes them true.
"""

import math

import sympy
from flint import arb, ctx
from sympy.printing.printer import Printer

from conv4rec_bounds.formula import CertifiedFunction
from conv4rec_bounds.rounding import PRECISION_BITS

__all__ = ["AffinityRange"]

HALF = sympy.Rational(1, 2)
NEARLY_ONE = 45.0
"""Where a/lambda is beyond it, V is within exp(-45) of 1."""
LEAST_RATIO = 1e-7
STEPS, PRECISE = 60, 1e-10


class AffinityRange(CertifiedFunction):
    r"""The function :math:`V_\lambda(a)` of an exponent :math:`a \ge 0` and a power :math:`0 < \lambda < 1`.

    It is the same for :math:`\lambda` and :math:`1-\lambda`, and :math:`\sqrt{1-e^{-2a}}` at one half.

    Examples
    --------
    >>> round(AffinityRange.fast(0.02, 0.25), 6)
    0.228309
    >>> AffinityRange(sympy.Symbol("a"), HALF)
    sqrt(1 - exp(-2*a))
    """

    nargs = 2

    @classmethod
    def eval(cls, exponent: sympy.Expr, power: sympy.Expr) -> sympy.Expr | None:
        """Return the closed form at one half."""
        return sympy.sqrt(1 - sympy.exp(-2 * exponent)) if power == HALF else None

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the value at every point of the argument balls."""
        exponent, power = arguments
        power = power if power <= arb(1) / 2 else 1 - power
        if not exponent > 0:
            return (
                arb(0).union(_upper_end(exponent.upper(), power, (arb(1), arb(1)))) if exponent.upper() > 0 else arb(0)
            )
        if not exponent < NEARLY_ONE * power:
            return (1 - (-exponent / power).exp()).lower().union(arb(1))
        # Where the exponent is tiny, so are the differences from 1 that it is made of.
        with ctx.workprec(PRECISION_BITS + 2 * max(0, -math.frexp(float(exponent))[1])):
            pair = _pair(exponent, power)
            return _lower_end(exponent.lower(), power, pair).union(_upper_end(exponent.upper(), power, pair))

    @classmethod
    def fast(cls, *arguments: float) -> float:
        """Return the value in ordinary floating point."""
        exponent, power = arguments[0], min(arguments[1], 1 - arguments[1])
        if exponent <= 0:
            return 0.0
        if exponent > NEARLY_ONE * power:
            return 1.0
        first, second = _log_ratios(exponent, power)
        return math.expm1(-first) * math.expm1(-second) / -math.expm1(-first - second)

    def _latex(self, printer: Printer) -> str:
        exponent, power = (printer.doprint(argument) for argument in self.args)
        return rf"V_{{{power}}}\left({exponent}\right)"


def _upper_end(exponent: arb, power: arb, pair: tuple[arb, arb]) -> arb:
    """Return an upper end: Gilardoni's, or the less that a pair of ratios proves."""
    simple = arb.min(arb(1), (exponent / (2 * power * (1 - power))).sqrt()).upper()
    first, second = pair
    tangent = arb.max(_tangent(-first, power), _tangent(second, power))
    proved = (tangent - (-exponent).exp()) / _slope(pair, power)
    return arb.min(simple, proved).upper() if proved.is_finite() else simple


def _lower_end(exponent: arb, power: arb, pair: tuple[arb, arb]) -> arb:
    """Return a lower end: that of a point against a law, or the more that two-point laws prove by their affinity."""
    simple = (1 - (-exponent / power).exp()).lower()
    first, second = pair
    whole = 1 - (-first - second).exp()
    small, large = 1 - (-first).exp(), 1 - (-second).exp()
    mass, rest = large / whole, small * (-second).exp() / whole
    affinity = mass * (-power * first).exp() + rest * (power * second).exp()
    step = (exponent + affinity.log()) * affinity / _slope(pair, power)
    distance = ((small * mass + step) * (1 - arb(2) ** -45)).mid()
    kept = mass - distance
    if not (distance > 0 and kept > 0):
        return simple
    moved = mass * (kept / mass) ** power + rest * (1 + distance / rest) ** power
    return arb.max(simple, distance).lower() if -moved.log() <= exponent else simple


def _tangent(log_ratio: arb, power: arb) -> arb:
    return (1 - power) * (power * log_ratio).exp() + power * (-(1 - power) * log_ratio).exp()


def _slope(pair: tuple[arb, arb], power: arb) -> arb:
    return power * (((1 - power) * pair[0]).exp() - (-(1 - power) * pair[1]).exp())


def _pair(exponent: arb, power: arb) -> tuple[arb, arb]:
    """Return -log x and log y for a good pair: h(x) and h(y) agree far beyond a float."""
    low, high = _log_ratios(float(exponent), float(power))
    first, second = arb(low), arb(high)
    level = _tangent(second, power)
    for _ in range(2):
        slope = power * (1 - power) * (((1 - power) * first).exp() - (-power * first).exp())
        first = (first - (_tangent(-first, power) - level) / slope).mid()
    return first, second


def _log_ratios(exponent: float, power: float) -> tuple[float, float]:
    """Return -log x and log y of the pair that is best for this exponent, to the precision of a float."""
    around = 2 * math.sqrt(exponent / (2 * power * (1 - power)))
    if around < LEAST_RATIO:
        return around, around
    low = high = math.log(around)
    goal = math.log(exponent)
    above = below = _log_exponent(low, power)[0] - goal
    for _ in range(STEPS):
        if above >= 0:
            break
        low, below, high = high, above, high + 0.5
        above = _log_exponent(high, power)[0] - goal
    for _ in range(STEPS):
        if below <= 0:
            break
        high, above, low = low, below, low - 0.5
        below = _log_exponent(low, power)[0] - goal
    # Regula falsi with the Illinois halving: the logarithms are nearly on a line.
    middle, found = low, below
    for _ in range(STEPS):
        if abs(found) < PRECISE:
            break
        before, middle = found, (low * above - high * below) / (above - below)
        found = _log_exponent(middle, power)[0] - goal
        if found < 0:
            low, below, above = middle, found, above / 2 if before < 0 else above
        else:
            high, above, below = middle, found, below / 2 if before > 0 else below
    return _log_exponent(middle, power)[1], math.exp(middle)


def _log_exponent(log_second: float, power: float) -> tuple[float, float]:
    """Return log(-log A) for the affinity A of the two-point laws with ratios x and y, and -log x, given log log y."""
    second = math.exp(log_second)
    level = (1 - power) * math.expm1(power * second) + power * math.expm1(-(1 - power) * second)
    first = min(second, (math.log1p(level) - math.log(power)) / (1 - power))
    for _ in range(STEPS):
        value = (1 - power) * math.expm1(-power * first) + power * math.expm1((1 - power) * first) - level
        step = value / (power * (1 - power) * (math.exp((1 - power) * first) - math.exp(-power * first)))
        first = max(first - step, first / 2)
        if abs(step) <= 1e-14 * first:
            break
    whole = -math.expm1(-first - second)
    small, large = -math.expm1(-first), -math.expm1(-second)
    if second > 1:
        affinity = (large * math.exp(-power * first) + small * math.exp(-(1 - power) * second)) / whole
        return math.log(-math.log(affinity)), first
    # Close to 1 the affinity is taken as one minus two non-negative defects.
    low_defect = -math.expm1(-power * first) - power * small
    high_defect = power * math.expm1(second) - math.expm1(power * second)
    return math.log(-math.log1p(-(large * low_defect + small * math.exp(-second) * high_defect) / whole)), first
