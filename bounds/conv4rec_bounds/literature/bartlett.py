r"""Bartlett, Foster and Telgarsky (2017): the covering number of Theorem 3.3 and the bound that follows from it.

.. math::
    \log\mathcal N(\epsilon) \le \frac{\|X\|^2\log(2W^2)}{\epsilon^2}
    \prod_js_j^2\rho_j^2\Bigl(\sum_l(b_l/s_l)^{2/3}\Bigr)^3 .

A 1x1 convolution is read as the full matrix that it is: :math:`I_n\otimes K` has n copies of every filter, and a map
that all channels share has one for each channel.
"""

from functools import cache

import sympy

from conv4rec_bounds.formula import Formula
from conv4rec_bounds.literature.chain import (
    COPIES,
    M,
    N,
    TwoThirds,
    euclidean_products,
    n,
    risk_bound,
    root_of_cube,
)

__all__ = ["bartlett_formula", "covering_formula"]

width = sympy.Symbol("W", positive=True)
eps = sympy.Symbol("epsilon", positive=True)
total = sympy.Symbol("S", real=True)
rademacher = sympy.Symbol("Rad", positive=True)


def _copied(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    """Return the products of the chain with every filter copied to where it is used."""
    # The offset's n copies are outputs of the full matrix; the chain has already paid the root of n for them.
    copies = {"lift": n, "project": n, "offset": sympy.sqrt(n), "encode": COPIES["encode"], "decode": COPIES["decode"]}
    return {name: copies.get(name, 1) * product for name, product in euclidean_products(present).items()}


@cache
def covering_formula(present: tuple[str, ...]) -> Formula:
    r"""Return Theorem 3.3 for the logits of N inputs of norm 1: :math:`NS^3\log(2W^2)/\epsilon^2`.

    >>> layers = ("lift", "encode", "decode", "project", "cell_bias")
    >>> ones = {f"{kind}_{letter}": 1.0 for kind in "b sigma".split() for letter in "KEDGB"}
    >>> formula = covering_formula(layers)
    >>> sizes = dict(N=100, n=8, W=24, epsilon=10.0, c_E=1, c_D=1, h_max=5.0)
    >>> round(formula.number(**{name: (ones | sizes)[name] for name in formula.inputs}), 4)
    9382.5582
    """
    products = sum((TwoThirds(product) for product in _copied(present).values()), start=sympy.Integer(0))
    return Formula(value=N * total**3 * sympy.log(2 * width**2) / eps**2, where={total: products})


@cache
def bartlett_formula(present: tuple[str, ...]) -> Formula:
    r"""Return the bound on the risk that Theorem 3.3 gives by Dudley's integral.

    The loss over its range M is :math:`\sqrt2/M`-Lipschitz in the Euclidean norm. With the ceilings that the covering
    of a layer has, :math:`\log\mathcal N(\epsilon)\le\log(2W^2)(S^3/\epsilon^2+m)` for m layers, so

    .. math::
        \mathfrak R \le \frac4N + \frac{12\sqrt{\log(2W^2)}}{\sqrt N}\bigl(S^{3/2}\log N + \sqrt m\bigr) .
    """
    lipschitz = sympy.sqrt(2) / M
    products = (TwoThirds(lipschitz * product) for product in _copied(present).values())
    integral = root_of_cube(total) * sympy.log(N) + sympy.sqrt(len(present))
    return Formula(
        value=risk_bound(rademacher),
        where={
            total: sum(products, start=sympy.Integer(0)),
            rademacher: 4 / N + 12 * sympy.sqrt(sympy.log(2 * width**2)) / sympy.sqrt(N) * integral,
        },
    )
