"""Symbolic formulas: the page, the fast number and the safe number of a bound come from one object.

The ball-arithmetic value of a formula encloses the exact real number, so an upper bound is never printed below it
and a lower bound never above it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import sympy
from flint import arb, ctx, fmpq

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.rounding import PRECISION_BITS, Number, ceil_float, exact, floor_float

__all__ = ["CertifiedFunction", "Formula", "upper_quantities"]


class CertifiedFunction(sympy.Function):
    """A function without a closed form in sympy.

    Attributes
    ----------
    ball
        Class method of every subclass: a ball that holds the value at every point of the argument balls.
    fast
        Class method of every subclass: the value in ordinary floating point.
    """

    ball: Callable[..., arb]
    fast: Callable[..., float]


def upper_quantities(balls: Mapping[str, arb]) -> dict[str, float]:
    """Return the upper ends of all named balls but the value itself."""
    return {name: ceil_float(ball) for name, ball in balls.items() if name != "value"}


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
        case sympy.pi:
            return arb.pi()
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
        case sympy.erf():
            return parts[0].erf()
        case sympy.erfc():
            return parts[0].erfc()
        case CertifiedFunction():
            value: arb = expression.func.ball(*parts)
            return value
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
    def _symbols(self) -> dict[str, sympy.Symbol]:
        """The symbols of inputs and definitions by their names: writing a name takes sympy longer than most sums."""
        used = self.value.free_symbols.union(*(e.free_symbols for e in self.where.values()), self.where)
        return {str(symbol): symbol for symbol in used}

    @cached_property
    def _function(self) -> Callable[..., float]:
        arguments = [sympy.Symbol(name) for name in self.inputs]
        plain = {s: sympy.Symbol(str(s)) for s in self.expanded.free_symbols}
        special = {type(part).__name__: type(part).fast for part in self.expanded.atoms(CertifiedFunction)}
        function: Callable[..., float] = sympy.lambdify(
            arguments, self.expanded.xreplace(plain), modules=[special, "math"], cse=True
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
        with ctx.workprec(PRECISION_BITS):
            known = {self._symbols[name]: exact(number) for name, number in inputs.items()}
            for name, definition in self.where.items():
                known[name] = _enclose(definition, known)
            named = {name: known[symbol] for name, symbol in self._symbols.items() if symbol in self.where}
            return named | {"value": _enclose(self.value, known)}

    def upper(self, **inputs: Number) -> float:
        """Return a float that is never below the exact real value."""
        return ceil_float(self.enclose(**inputs)["value"])

    def lower(self, **inputs: Number) -> float:
        """Return a float that is never above the exact real value."""
        return floor_float(self.enclose(**inputs)["value"])
