r"""Ledent, Mustafa, Lei and Kloft (2021), Theorem 11: sup-norm covers, every filter once, classes in a logarithm.

.. math::
    \mathfrak R \le \frac4N + \frac{768\,R\log N}{\sqrt N}\sqrt{\log_2(32\Gamma N^2+7\bar WN)},
    \qquad R = \Bigl(\sum_lr_l^{2/3}\Bigr)^{3/2}, \quad r_l = a_l\,\beta_{l-1}\,\rho_{l+},

:math:`a_l` being a distance norm, :math:`\beta_{l-1}` the norm of an input patch, :math:`\rho_{l+}` the largest ratio
of the Lipschitz constant from the layer to a later checkpoint, its own output included, to the norm there, and the
margin the range M of the loss.
"""

from functools import cache

import sympy

from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import RADIUS, code_cap, reach
from conv4rec_bounds.literature.chain import (
    COPIES,
    DISTANCE,
    FROBENIUS,
    C,
    M,
    N,
    R,
    TwoThirds,
    code_bound,
    k,
    n,
    risk_bound,
    root_of_cube,
)

__all__ = ["ledent_formula"]

rademacher = sympy.Symbol("Rad", positive=True)


def _products(present: tuple[str, ...], code: sympy.Symbol) -> dict[str, sympy.Expr]:
    """Return r of every layer; maps into the logits have Frobenius norms, as their last layer has."""
    lift, encode, decode, project = (RADIUS[name] for name in ("lift", "encode", "decode", "project"))
    # Checkpoints: the lifted channels, the code, the decoded patches, whose norm is at most rho_D h, and the logits.
    from_code = sympy.Max(1 / code, reach(present) / M)
    from_lift = sympy.Max(1 / lift, encode * from_code)
    from_decode = sympy.Max(1 / (decode * code), project / M)
    everything = {
        "lift": sympy.sqrt(n) * from_lift * DISTANCE["lift"],
        # One map for all channels errs in every channel: the root of their number, in the Euclidean norm over them.
        "encode": sympy.sqrt(COPIES["encode"]) * lift * from_code * DISTANCE["encode"],
        "code_bias": from_code * DISTANCE["code_bias"],
        "decode": sympy.sqrt(COPIES["decode"]) * code * from_decode * DISTANCE["decode"],
        "project": code * decode / M * FROBENIUS["project"],
        "offset": code / M * FROBENIUS["offset"],
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


def _definitions(present: tuple[str, ...], mark: str, bound: sympy.Expr) -> dict[sympy.Symbol, sympy.Expr]:
    """Return the Rademacher term, as the last name, for one bound on the norm of the code."""
    code = sympy.Symbol(f"h{mark}", positive=True)
    total, largest, outputs_max = sympy.symbols(f"S{mark} Gamma{mark} Wbar{mark}", real=True)
    products, outputs = _products(present, code), _outputs(present)
    inside = sympy.log(32 * largest * N**2 + 7 * outputs_max * N) / sympy.log(2)
    return {
        code: bound,
        total: sum((TwoThirds(product) for product in products.values()), start=sympy.Integer(0)),
        largest: sympy.Max(*(product * outputs[name] for name, product in products.items())),
        outputs_max: sympy.Max(*outputs.values()),
        sympy.Symbol(f"Rad{mark}", positive=True): (
            4 / N + 768 * root_of_cube(total) * sympy.log(N) / sympy.sqrt(N) * sympy.sqrt(inside)
        ),
    }


@cache
def ledent_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound on the risk by Theorem 11, by the better of two bounds on the code: by norms, and capped."""
    code = code_bound(RADIUS, present)
    by_norms, capped = _definitions(present, "_1", code), _definitions(present, "_2", sympy.Min(code, code_cap))
    better = sympy.Min(list(by_norms)[-1], list(capped)[-1])
    return Formula(value=risk_bound(rademacher), where=by_norms | capped | {rademacher: better})
