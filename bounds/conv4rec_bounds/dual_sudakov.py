r"""Covers that depend on norms and, through logarithms only, on counts: an explicit dual Sudakov bound (Lemma 6).

A subset of a Euclidean ball of radius :math:`a` is covered from inside, up to :math:`\epsilon`, in a seminorm that is
the largest of :math:`T` linear functionals of norm at most :math:`b`, or of :math:`m` linear maps of Frobenius norm at
most :math:`b`.
"""

import math
from dataclasses import dataclass

import numpy as np
import sympy
from flint import arb
from numpy.typing import NDArray
from scipy import special
from sympy.printing.latex import LatexPrinter

from conv4rec_bounds.formula import CertifiedFunction, Formula

__all__ = ["MAPS", "POINTS", "Choices", "LogChiSquare", "LogStrip", "cover_by_maps", "cover_by_points"]

Array = NDArray[np.float64]


class LogStrip(CertifiedFunction):
    r"""The logarithm of :math:`\mathbb P(|g|\le v) = 2\Phi(v)-1` for a standard normal :math:`g`.

    >>> round(LogStrip.fast(1.0), 6)
    -0.381715
    """

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the value at every point of the argument ball."""
        (v,) = arguments
        return (-(v / arb(2).sqrt()).erfc()).log1p()

    @classmethod
    def fast(cls, *arguments: float) -> float:
        """Return the value in ordinary floating point."""
        return float(_log_strip(np.array(arguments))[0])

    def _latex(self, printer: LatexPrinter, exp: str | None = None) -> str:
        (v,) = self.args
        return rf"\log \left(2 \Phi\left({printer._print(v)}\right) - 1\right)"


class LogChiSquare(CertifiedFunction):
    r"""The logarithm of the chi-square distribution function :math:`F_k(x)` with :math:`k` degrees of freedom.

    >>> round(LogChiSquare.fast(2, 4.0), 6)
    -0.145413
    """

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the value at every point of the argument balls."""
        k, x = arguments
        return (-(x / 2).gamma_upper(k / 2, regularized=1)).log1p()

    @classmethod
    def fast(cls, *arguments: float) -> float:
        """Return the value in ordinary floating point."""
        k, x = arguments
        return float(_log_chi_square(k, np.array([x]))[0])

    def _latex(self, printer: LatexPrinter, exp: str | None = None) -> str:
        k, x = (printer._print(argument) for argument in self.args)
        return rf"\log F_{{{k}}}\left({x}\right)"


def _log_strip(v: Array) -> Array:
    # Where the probability is near one its logarithm comes from the tail: nothing cancels.
    tail = special.erfc(v / math.sqrt(2))
    value: Array = np.where(tail < 0.5, np.log1p(-np.minimum(tail, 0.5)), np.log(special.erf(v / math.sqrt(2))))
    return value


def _log_chi_square(k: float, x: Array) -> Array:
    tail = special.gammaincc(k / 2, x / 2)
    value: Array = np.where(tail < 0.5, np.log1p(-np.minimum(tail, 0.5)), np.log(special.gammainc(k / 2, x / 2)))
    return value


def cover_by_points(ratio: sympy.Expr, points: sympy.Expr, v: sympy.Expr) -> sympy.Expr:
    r"""Return :math:`2(ab/\epsilon)^2v^2 - T\log(2\Phi(v)-1)`, a log-cardinality for every :math:`v>0`.

    ``ratio`` is :math:`ab/\epsilon`.
    """
    return 2 * ratio**2 * v**2 - points * LogStrip(v)


def cover_by_maps(ratio: sympy.Expr, maps: sympy.Expr, code: sympy.Expr, u: sympy.Expr) -> sympy.Expr:
    r"""Return :math:`2(ab/\epsilon)^2x - m\log F_k(x)` at :math:`x = k+2+u`, a log-cardinality for every :math:`u\ge0`.

    ``ratio`` is :math:`ab/\epsilon` and ``code`` is :math:`k`.
    """
    x = code + 2 + u
    return 2 * ratio**2 * x - maps * LogChiSquare(code, x)


_a, _b, _epsilon, _points, _maps, _code, _v = sympy.symbols("a b epsilon T m k v", positive=True)
_u = sympy.Symbol("u", nonnegative=True)

POINTS = Formula(value=cover_by_points(_a * _b / _epsilon, _points, _v), where={})
"""Lemma 6 for T functionals.

>>> round(POINTS.number(a=1.0, b=1.0, epsilon=1.0, T=10, v=2.0), 6)
8.465679
"""

MAPS = Formula(value=cover_by_maps(_a * _b / _epsilon, _maps, _code, _u), where={})
"""Lemma 6 for m linear maps into k columns.

>>> round(MAPS.number(a=1.0, b=1.0, epsilon=1.0, m=10, k=2, u=0.0), 6)
9.454135
"""


@dataclass(frozen=True)
class Choices:
    r"""A grid of values of Lemma 6's free parameter, from which the best is chosen; each is allowed.

    Attributes
    ----------
    parameter
        Values of :math:`v` or of :math:`u`.
    square
        The factor of :math:`2(ab/\epsilon)^2`: :math:`v^2` or :math:`k+2+u`.
    penalty
        The other summand, in nats.

    Examples
    --------
    >>> choices = Choices.for_points(10)
    >>> least = choices.least(1.0)
    >>> round(least, 2), least <= POINTS.number(a=1.0, b=1.0, epsilon=1.0, T=10, v=2.0)
    (5.49, True)
    """

    parameter: Array
    square: Array
    penalty: Array

    @classmethod
    def for_points(cls, points: float) -> "Choices":
        """Return the grid for that many functionals."""
        v = np.geomspace(1e-4, 20.0, 400)
        return cls(v, v**2, -points * _log_strip(v))

    @classmethod
    def for_maps(cls, maps: float, code: float) -> "Choices":
        """Return the grid for that many maps into ``code`` columns."""
        u = np.concatenate([[0.0], np.geomspace(1e-2, 4 * code + 400.0, 250)])
        return cls(u, code + 2 + u, -maps * _log_chi_square(code, code + 2 + u))

    def least(self, ratio: float) -> float:
        r"""Return the least log-cardinality on the grid for :math:`ab/\epsilon`."""
        return float(np.min(2 * ratio**2 * self.square + self.penalty))

    def at_prices(self, reach: float, prices: Array) -> tuple[Array, Array, Array]:
        r"""Return :math:`\epsilon`, log-cardinality and parameter that minimise log-cardinality + price times epsilon.

        ``reach`` is :math:`ab`. For a fixed parameter the best :math:`\epsilon` is
        :math:`(4(ab)^2x/\text{price})^{1/3}`, :math:`x` being the square.
        """
        resolutions = np.cbrt(4 * self.square / prices[:, None]) * np.cbrt(reach) ** 2
        costs = 1.5 * prices[:, None] * resolutions + self.penalty
        best = costs.argmin(axis=1)
        rows = np.arange(prices.size)
        resolution, square = resolutions[rows, best], self.square[best]
        return resolution, 2 * (reach / resolution) ** 2 * square + self.penalty[best], self.parameter[best]
