r"""Graf, Zeng, Rieck, Niethammer and Kwitt (2022), Theorem 3.5: the form by norms and the form by parameters.

With :math:`C_l` twice the loss's Lipschitz constant times the product of layer l (their :math:`4/\gamma` is twice the
constant :math:`2/\gamma` of their loss), every filter counted once:

.. math::
    \mathfrak R \le \frac4N + \frac{12H_{N-1}}{\sqrt N}\sqrt{\log(2p_{\max})}
    \Bigl(\sum_l\lceil C_l^{2/3}\rceil\Bigr)^{3/2}, \qquad
    \mathfrak R \le \frac{12}{\sqrt N}\sqrt{\sum_l2p_l\bigl(\log(1+\lceil m^2C_l^2\rceil)+2.7\bigr)} ,

for m layers.
"""

from functools import cache

import sympy
from flint import arb
from scipy.special import digamma

from conv4rec_bounds.formula import CertifiedFunction, Formula
from conv4rec_bounds.literature.chain import (
    SIZE,
    M,
    N,
    TwoThirds,
    euclidean_products,
    risk_bound,
    root_of_cube,
)

__all__ = ["PSI_MAX", "HarmonicNumber", "graf_norms_formula", "graf_parameters_formula"]

PSI_MAX = sympy.Rational(27, 10)
r"""Printed above their function psi, which :math:`\int_0^1\log\lceil\epsilon^{-2}\rceil d\epsilon<2.17` bounds."""

largest = sympy.Symbol("p_max", positive=True)
total = sympy.Symbol("T", real=True)
rademacher = sympy.Symbol("Rad", positive=True)


class HarmonicNumber(CertifiedFunction):
    r"""The harmonic number :math:`H_m = \sum_{i\le m}1/i` of a whole number, through the digamma function."""

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the value."""
        value: arb = (arguments[0] + 1).digamma() + arb.const_euler()
        return value

    @classmethod
    def fast(cls, *arguments: float) -> float:
        """Return the value in floating point."""
        return float(digamma(arguments[0] + 1) - digamma(1))


def _constants(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    return {name: 2 * sympy.sqrt(2) / M * product for name, product in euclidean_products(present).items()}


@cache
def graf_norms_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound on the risk by the first form of Theorem 3.5; p_max is the largest layer's parameter count."""
    ceilings = (sympy.ceiling(TwoThirds(constant)) for constant in _constants(present).values())
    steps = 12 * HarmonicNumber(N - 1) / sympy.sqrt(N)
    return Formula(
        value=risk_bound(rademacher),
        where={
            total: sum(ceilings, start=sympy.Integer(0)),
            rademacher: 4 / N + steps * sympy.sqrt(sympy.log(2 * largest)) * root_of_cube(total),
        },
    )


@cache
def graf_parameters_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound on the risk by the second form of Theorem 3.5, with their psi at its largest value."""
    layers = len(present)
    parts = (
        2 * SIZE[name] * (sympy.log(1 + sympy.ceiling(layers**2 * constant**2)) + PSI_MAX)
        for name, constant in _constants(present).items()
    )
    return Formula(
        value=risk_bound(rademacher),
        where={rademacher: 12 / sympy.sqrt(N) * sympy.sqrt(sum(parts, start=sympy.Integer(0)))},
    )
