r"""What bounds of the form :math:`\hat L + 4\epsilon + \Delta` over a cover share: symbols, resolution, certificate."""

import math
from collections.abc import Mapping
from fractions import Fraction

import sympy
from scipy.optimize import minimize_scalar

from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.covering import Cover, eps
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.rounding import Number, add_up, ceil_float
from conv4rec_bounds.theorems.base import Theorem

__all__ = [
    "TARGETS",
    "N",
    "best_resolution",
    "covered_risk",
    "delta_symbol",
    "deviation",
    "deviation_of",
    "empirical_risk",
    "loss_range",
]

N, delta_symbol, empirical_risk = sympy.symbols("N delta Lhat", positive=True)
loss_range = sympy.Symbol("M", positive=True)
deviation = sympy.Symbol("Delta", positive=True)

TARGETS = {
    "independent": "risk under the scored user mix (nats)",
    "finite pool": "mean loss over the scored users' own pools (nats)",
}


def deviation_of(nats: sympy.Expr) -> sympy.Expr:
    r"""Return :math:`\Delta = M\sqrt{(\mathrm{nats} + \log(1/\delta))/(2N)}` for a union over that many nats.

    >>> deviation_of(sympy.Integer(0))
    sqrt(2)*M*sqrt(log(1/delta))/(2*sqrt(N))
    """
    return loss_range * sympy.sqrt((nats + sympy.log(1 / delta_symbol)) / (2 * N))


def best_resolution(formula: Formula, inputs: Mapping[str, Number]) -> float:
    """Return the resolution that makes the bound least; it sees sizes, class, N and delta, never a measured risk."""

    def bound(log_eps: float) -> float:
        try:
            return formula.number(**dict(inputs) | {str(eps): math.exp(log_eps), str(empirical_risk): 0})
        except (OverflowError, ValueError):  # weights too large for floating point: any resolution is as good
            return math.inf

    found = minimize_scalar(
        bound,
        bounds=(math.log(1e-12), math.log(1e3)),
        method="bounded",
    )
    return math.exp(float(found.x))


def covered_risk(
    theorem: Theorem,
    formula: Formula,
    cover: Cover,
    inputs: Mapping[str, Number],
    *,
    risk: float,
    trivial: float,
    target: str,
    paid: Fraction,
) -> Certificate:
    r"""Return the certificate of :math:`L \le \hat L + 4\epsilon + \Delta` at the resolution that makes it least.

    Parameters
    ----------
    inputs
        The formula's inputs but :math:`\epsilon` and :math:`\hat L`, which the resolution may not depend on.
    risk
        The measured :math:`\hat L`.
    """
    resolution = best_resolution(formula, inputs)
    balls = formula.enclose(**inputs, **{str(eps): resolution, str(empirical_risk): risk})
    value = ceil_float(balls["value"])
    parts = [risk, 4 * resolution, ceil_float(balls[str(deviation)])]
    terms = dict(zip(("empirical risk", "cover resolution", "deviation"), add_up(value, parts), strict=True))
    return theorem.certificate(
        value=value,
        trivial=trivial,
        target=target,
        terms=terms,
        terms_of=("value", value),
        attribution=cover.attribute(terms["deviation"], balls, paid),
        quantities=upper_quantities(balls) | {str(eps): resolution} | cover.norm_quantities(),
        spent=paid,
    )
