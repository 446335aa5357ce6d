r"""Zhang (2002), Theorem 4, for every layer, put together by Dudley's integral: the classical road for fixed profiles.

The profiles are fixed, so a layer is a linear class on finitely many points, given the covers of the layers before it.
With :math:`A_l` the radius times the norm of the points times the Lipschitz constant from there to the loss over its
range, :math:`S = \sum_lA_l^{2/3}` and P the largest number of points,

.. math::
    \mathfrak R \le \frac4N + \frac{72\log N}{\sqrt N}S^{3/2}\sqrt{\log(2\lceil4S^{3/2}N+2\rceil P+1)} .
"""

from functools import cache

import sympy

from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import RADIUS, code_cap, reach
from conv4rec_bounds.literature.chain import (
    COPIES,
    DISTANCE,
    FROBENIUS,
    M,
    N,
    TwoThirds,
    code_bound,
    n,
    norm,
    risk_bound,
    root_of_cube,
)

__all__ = ["zhang_dudley_formula"]

points, users, cells = sympy.symbols("P u q", positive=True)
total = sympy.Symbol("S", real=True)
code_size, rademacher = sympy.symbols("h Rad", real=True)


def _products(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    """Return A of every layer: (2,1) norms up to the code, whose columns are covered one by one, Frobenius beyond."""
    lift, encode, decode, project = (norm(RADIUS, name, present) for name in ("lift", "encode", "decode", "project"))
    everything = {
        "lift": sympy.sqrt(n) * encode * reach(present) * DISTANCE["lift"],
        # One map for all channels errs in every channel: the root of their number, in the Euclidean norm over them.
        "encode": sympy.sqrt(COPIES["encode"]) * lift * reach(present) * DISTANCE["encode"],
        "code_bias": reach(present) * DISTANCE["code_bias"],
        "decode": sympy.sqrt(COPIES["decode"]) * project * code_size * FROBENIUS["decode"],
        "project": decode * code_size * FROBENIUS["project"],
        "offset": code_size * FROBENIUS["offset"],
        "cell_bias": FROBENIUS["cell_bias"],
    }
    return {name: 2 / M * everything[name] for name in present}


@cache
def zhang_dudley_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound on the risk by sup-norm covers of Zhang (2002) and Dudley's integral."""
    products = (TwoThirds(product) for product in _products(present).values())
    inside = sympy.log(2 * sympy.ceiling(4 * root_of_cube(total) * N + 2) * points + 1)
    return Formula(
        value=risk_bound(rademacher),
        where={
            code_size: sympy.Min(code_bound(RADIUS, present), code_cap),
            total: sum(products, start=sympy.Integer(0)),
            # Lift: users and items; encode: users; decode: users and items; from there on: users and cells.
            points: users * sympy.Max(n * COPIES["decode"], COPIES["encode"], cells),
            rademacher: 4 / N + 72 * sympy.log(N) / sympy.sqrt(N) * root_of_cube(total) * sympy.sqrt(inside),
        },
    )
