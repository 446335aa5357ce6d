r"""T1: the risk of any network, by its number of parameters and the norms of its layers.

With probability at least :math:`1-\delta`, for all weights at once,

.. math::
    L \le \hat L + 4\epsilon + M\sqrt{\frac{C(\epsilon) + P + \log(1/\delta)}{2N}} .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

import sympy
from scipy.optimize import minimize_scalar

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.covering import (
    EXAMPLE,
    Cover,
    complexity_total,
    cover_definitions,
    eps,
    radius_price,
)
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.loss import RANGE
from conv4rec_bounds.rounding import Number, add_up, ceil_float
from conv4rec_bounds.theorems.base import COVERED_NETWORK, FIXED_PROFILE, SCORED_SAMPLING, Theorem, given

__all__ = ["ParameterCount"]

N, delta_symbol, empirical_risk = sympy.symbols("N delta Lhat", positive=True)
loss_range = sympy.Symbol("M", positive=True)
deviation = sympy.Symbol("Delta", positive=True)


@cache
def parameter_count_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound for networks with the given layers."""
    deviation_definition = loss_range * sympy.sqrt(
        (complexity_total + radius_price + sympy.log(1 / delta_symbol)) / (2 * N)
    )
    definitions = cover_definitions(present) | {loss_range: RANGE, deviation: deviation_definition}
    return Formula(value=empirical_risk + 4 * eps + deviation, where=definitions)


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


TARGETS = {
    "independent": "risk under the scored user mix (nats)",
    "finite pool": "mean loss over the scored users' own pools (nats)",
}


class ParameterCount(Theorem):
    """T1: deviation of the risk from the empirical risk by parameter count, radii paid for."""

    number = "T1"
    title = "Risk by parameter count"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder"
    rate = r"\sqrt{p\log N/N}"
    page = "theory/t1"
    assumptions = (FIXED_PROFILE, SCORED_SAMPLING, COVERED_NETWORK)
    example = EXAMPLE | {"N": 10**9, "delta": 0.05, "q": 5_000, "Lhat": 6.0}
    moves = ("N", "delta", "q", "p_E", "s_E", "s_B")

    @property
    def formula(self) -> Formula:
        """The bound for a network that has every layer."""
        return parameter_count_formula(tuple(LAYERS))

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the resolution of the cover."""
        return dict(inputs) | {str(eps): best_resolution(self.formula, inputs)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk of the network."""
        network, scored = given(evidence.network), given(evidence.scored)
        paid = budget.spend(f"{self.number}: all weights, over radius classes and covers", delta)
        cover = Cover.of(network)
        formula = parameter_count_formula(network.layers)
        inputs = cover.inputs() | {"N": scored.size, "delta": paid, "q": evidence.cells}
        resolution = best_resolution(formula, inputs)
        balls = formula.enclose(**inputs, **{str(eps): resolution, str(empirical_risk): scored.risk})
        value = ceil_float(balls["value"])
        parts = [scored.risk, 4 * resolution, ceil_float(balls[str(deviation)])]
        terms = dict(zip(("empirical risk", "cover resolution", "deviation"), add_up(value, parts), strict=True))
        return self.certificate(
            value=value,
            trivial=math.log(evidence.cells) if scored.uniform_risk is None else scored.uniform_risk,
            target=TARGETS[evidence.protocol.sampling],
            terms=terms,
            terms_of=("value", value),
            attribution=cover.attribute(terms["deviation"], balls, paid),
            quantities=upper_quantities(balls) | {str(eps): resolution} | cover.norm_quantities(),
            spent=paid,
        )
