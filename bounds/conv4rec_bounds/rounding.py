"""Symbolic formulas whose numbers are rounded to the safe side.

A bound is printed from one symbolic object. Its ball-arithmetic value encloses the exact real number, so an
upper bound is never printed below it and a lower bound never above it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from functools import cached_property, reduce

import sympy
from flint import arb, ctx, fmpq

from conv4rec_bounds.errors import RefusedError

__all__ = [
    "Formula",
    "Number",
    "add_up",
    "ceil_float",
    "exact",
    "floor_float",
    "printed_up",
    "split_exactly",
    "upper_quantities",
]

Number = int | float | Fraction

PRECISION_BITS = 256


def exact(value: Number) -> arb:
    """Return the ball of radius zero (or one ulp at 256 bits) that holds ``value``.

    Raises
    ------
    RefusedError
        If the value is NaN.

    Examples
    --------
    >>> exact(0.5)
    0.500000000000000
    """
    if isinstance(value, float):
        if math.isnan(value):
            raise RefusedError("a quantity is NaN; expected a number; check the input that it was measured on")
        return arb(value)
    with ctx.workprec(PRECISION_BITS):
        ratio = Fraction(value)
        return arb(fmpq(ratio.numerator, ratio.denominator))


def ceil_float(ball: arb) -> float:
    """Return the smallest convenient float that is not below any number in the ball.

    >>> third = exact(Fraction(1, 3))
    >>> Fraction(ceil_float(third)) >= Fraction(1, 3)
    True
    """
    if not ball.is_finite():
        raise RefusedError(
            "a bound is not finite; expected sizes, norms and losses of moderate magnitude; "
            "check the weights and the measured losses for values that are far too large"
        )
    with ctx.workprec(PRECISION_BITS):
        end = ball.upper()
        candidate = float(end)
        while not arb(candidate) >= end:
            candidate = math.nextafter(candidate, math.inf)
    if math.isinf(candidate):
        raise RefusedError("a bound exceeds the largest float; expected weights and losses of moderate size")
    return candidate


def floor_float(ball: arb) -> float:
    """Return the largest convenient float that is not above any number in the ball.

    >>> Fraction(floor_float(exact(Fraction(1, 3)))) <= Fraction(1, 3)
    True
    """
    with ctx.workprec(PRECISION_BITS):
        mirrored = -ball
    return -ceil_float(mirrored)


def printed_up(value: float, digits: int) -> Decimal:
    """Return ``value`` with that many significant digits, rounded up: what is printed is never below it.

    >>> print(printed_up(6.5684799, 6), printed_up(0.125, 6))
    6.56848 0.125
    """
    return Context(prec=digits, rounding=ROUND_CEILING).create_decimal(value).normalize()


def upper_quantities(balls: Mapping[str, arb]) -> dict[str, float]:
    """Return the upper ends of all named balls but the value itself."""
    return {name: ceil_float(ball) for name, ball in balls.items() if name != "value"}


def add_up(total: float, parts: Sequence[float]) -> list[float]:
    """Move the rounding of ``parts`` into the last that can take it: ``math.fsum`` of the result is ``total``.

    Raises
    ------
    RefusedError
        If the parts are further from the total than rounding explains.

    Examples
    --------
    >>> math.fsum(add_up(0.3, [0.1, 0.2])), math.fsum([0.1, 0.2])
    (0.3, 0.30000000000000004)
    """
    largest = max((abs(part) for part in parts), default=0.0)
    for chosen in reversed([i for i, part in enumerate(parts) if part != 0]):
        others = [part for i, part in enumerate(parts) if i != chosen]
        moved = math.fsum([total, *(-part for part in others)])
        exact_sum = math.fsum([*others, moved]) == total
        if exact_sum and abs(moved - parts[chosen]) <= 1e-9 * max(largest, abs(total)):
            return [moved if i == chosen else part for i, part in enumerate(parts)]
    raise RefusedError(f"parts that sum to {math.fsum(parts)!r} do not make up {total!r}")


def split_exactly(total: float, weights: Sequence[float]) -> list[float]:
    """Split ``total`` in proportion to non-negative ``weights`` into floats whose exact sum is ``total``.

    >>> math.fsum(split_exactly(1.0, [1, 1, 1]))
    1.0
    """
    scale = math.fsum(weights)
    if not scale > 0:
        raise RefusedError("a quantity was to be split by weights that are all zero; expected a positive weight")
    return add_up(total, [total * (weight / scale) for weight in weights])


def _root(ball: arb) -> arb:
    # The radicands of this package are non-negative reals: the part of a ball below zero is rounding only.
    if ball.upper() < 0:
        raise RefusedError("a square root of a negative number was asked for; check the measured quantities")
    return ball.nonnegative_part().sqrt() if not ball.lower() >= 0 else ball.sqrt()


def _enclose(expression: sympy.Expr, known: Mapping[sympy.Symbol, arb]) -> arb:
    """Evaluate a sympy expression in ball arithmetic, node by node."""
    if expression.is_Symbol:
        return known[expression]
    if expression.is_Rational:
        return arb(fmpq(int(expression.p), int(expression.q)))
    parts = [_enclose(part, known) for part in expression.args]
    match expression:
        case sympy.Add():
            return sum(parts[1:], start=parts[0])
        case sympy.Mul():
            return math.prod(parts[1:], start=parts[0])
        case sympy.Pow():
            return _power(expression, parts)
        case sympy.exp():
            return parts[0].exp()
        case sympy.log():
            return parts[0].log()
        case sympy.ceiling():
            return parts[0].ceil()
        case sympy.Min():
            return reduce(arb.min, parts)
        case sympy.Max():
            return reduce(arb.max, parts)
    raise TypeError(f"no enclosure is written for the sympy node {type(expression).__name__}")


def _power(expression: sympy.Expr, parts: Sequence[arb]) -> arb:
    if expression.exp == sympy.Rational(1, 2):
        return _root(parts[0])
    if expression.exp == -sympy.Rational(1, 2):
        return 1 / _root(parts[0])
    if expression.exp.is_Integer:
        return parts[0] ** int(expression.exp)
    return (parts[0].log() * parts[1]).exp()


@dataclass(frozen=True)
class Formula:
    r"""One symbolic object from which come the page, the fast number and the safe number.

    Attributes
    ----------
    value
        The expression of the bound.
    where
        Definitions, in order, of the names that ``value`` uses; each may use inputs and earlier names.

    Examples
    --------
    >>> x, y = sympy.symbols("x y", positive=True)
    >>> formula = Formula(value=sympy.sqrt(y), where={y: x / 3})
    >>> formula.number(x=1)
    0.5773502691896257
    >>> formula.upper(x=1)
    0.5773502691896258
    >>> print(formula.latex("B"))
    B = \sqrt{y}, \qquad y = \frac{x}{3}
    """

    value: sympy.Expr
    where: Mapping[sympy.Symbol, sympy.Expr]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names that a caller has to give."""
        used = set(self.value.free_symbols).union(*(e.free_symbols for e in self.where.values()))
        return tuple(sorted(str(s) for s in used - set(self.where)))

    @cached_property
    def expanded(self) -> sympy.Expr:
        """The value in terms of the inputs alone."""
        expression = self.value
        for name, definition in reversed(list(self.where.items())):
            expression = expression.xreplace({name: definition})
        return expression

    def latex(self, left: str) -> str:
        """Return the formula and its definitions in LaTeX, ``left`` being the left side of the first equation."""
        equations = [f"{left} = {sympy.latex(self.value)}"]
        equations += [f"{sympy.latex(name)} = {sympy.latex(e)}" for name, e in self.where.items()]
        return ", \\qquad ".join(equations)

    @cached_property
    def _function(self) -> Callable[..., float]:
        arguments = [sympy.Symbol(name) for name in self.inputs]
        plain = {s: sympy.Symbol(str(s)) for s in self.expanded.free_symbols}
        function: Callable[..., float] = sympy.lambdify(
            arguments, self.expanded.xreplace(plain), modules="math", cse=True
        )
        return function

    def number(self, **inputs: Number) -> float:
        """Return the value in ordinary floating point: fast, not certified."""
        return float(self._function(*(inputs[name] for name in self.inputs)))

    def enclose(self, **inputs: Number) -> dict[str, arb]:
        """Return balls that hold every defined name and, under ``"value"``, the value.

        Raises
        ------
        RefusedError
            If an input is missing, unknown or NaN.
        """
        if set(inputs) != set(self.inputs):
            odd = ", ".join(sorted(set(inputs) ^ set(self.inputs)))
            raise RefusedError(f"the formula needs exactly {', '.join(self.inputs)}; missing or unknown: {odd}")
        symbols = {str(s): s for e in (self.value, *self.where.values()) for s in e.free_symbols}
        with ctx.workprec(PRECISION_BITS):
            known = {symbols[name]: exact(number) for name, number in inputs.items()}
            for name, definition in self.where.items():
                known[name] = _enclose(definition, known)
            named = {str(name): known[name] for name in self.where}
            return named | {"value": _enclose(self.value, known)}

    def upper(self, **inputs: Number) -> float:
        """Return a float that is never below the exact real value."""
        return ceil_float(self.enclose(**inputs)["value"])

    def lower(self, **inputs: Number) -> float:
        """Return a float that is never above the exact real value."""
        return floor_float(self.enclose(**inputs)["value"])
