r"""Ledent, Mustafa, Lei and Kloft (2021), Theorem 11: sup-norm covers, every filter once, classes in a logarithm.

.. math::
    \mathfrak R \le \frac4N + \frac{768\,R\log N}{\sqrt N}\sqrt{\log_2(32\Gamma N^2+7\bar WN)},
    \qquad R = \Bigl(\sum_lr_l^{2/3}\Bigr)^{3/2}, \quad r_l = a_l\,\beta_{l-1}\,\rho_{l+},

:math:`a_l` being a distance norm, :math:`\beta_{l-1}` the norm of an input patch, :math:`\rho_{l+}` the Lipschitz
constant from the layer to a later one over the norm there, and the margin the range M of the loss.
"""

from functools import cache

import sympy

from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import RADIUS, reach
from conv4rec_bounds.literature.chain import (
    DISTANCE,
    FROBENIUS,
    C,
    M,
    N,
    R,
    TwoThirds,
    k,
    n,
    norm,
    risk_bound,
    root_of_cube,
)

__all__ = ["ledent_formula"]

total, largest, outputs_max = sympy.symbols("S Gamma Wbar", real=True)
code_size = sympy.Symbol("h", nonnegative=True)
rademacher = sympy.Symbol("Rad", positive=True)


def _products(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    """Return r of every layer; maps into the logits have Frobenius norms, as their last layer has."""
    lift, encode, decode, project = (norm(RADIUS, name, present) for name in ("lift", "encode", "decode", "project"))
    # Checkpoints after the code: the decoded patches, whose norm is at most rho_D h, and the logits.
    from_code = sympy.Max(1 / code_size, reach(present) / M)
    everything = {
        "lift": sympy.sqrt(n) * encode * from_code * DISTANCE["lift"],
        "encode": lift * from_code * DISTANCE["encode"],
        "code_bias": from_code * DISTANCE["code_bias"],
        "decode": code_size * project / M * DISTANCE["decode"],
        "project": code_size * decode / M * FROBENIUS["project"],
        "offset": code_size / M * FROBENIUS["offset"],
        "cell_bias": FROBENIUS["cell_bias"] / M,
    }
    return {name: everything[name] for name in present}


def _outputs(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    """Return the number of outputs of every layer: patches times filters."""
    everything = {
        "lift": n * C,
        "encode": C * k,
        "code_bias": C * k,
        "decode": n * C,
        "project": n * R,
        "offset": R,
        "cell_bias": n * R,
    }
    return {name: everything[name] for name in present}


@cache
def ledent_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound on the risk by Theorem 11."""
    products, outputs = _products(present), _outputs(present)
    inside = sympy.log(32 * largest * N**2 + 7 * outputs_max * N) / sympy.log(2)
    code = norm(RADIUS, "encode", present) * norm(RADIUS, "lift", present) + norm(RADIUS, "code_bias", present)
    return Formula(
        value=risk_bound(rademacher),
        where={
            code_size: code,
            total: sum((TwoThirds(product) for product in products.values()), start=sympy.Integer(0)),
            largest: sympy.Max(*(product * outputs[name] for name, product in products.items())),
            outputs_max: sympy.Max(*outputs.values()),
            rademacher: 4 / N + 768 * root_of_cube(total) * sympy.log(N) / sympy.sqrt(N) * sympy.sqrt(inside),
        },
    )
