r"""T1: the risk of any network, by its number of parameters and the norms of its layers.

With probability at least :math:`1-\delta`, for all weights at once,

.. math::
    L \le \hat L + 4\epsilon + M\sqrt{\frac{C(\epsilon) + P + \log(1/\delta)}{2N}} .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.covered_risk import (
    TARGETS,
    best_resolution,
    covered_risk,
    deviation,
    deviation_of,
    empirical_risk,
    loss_range,
)
from conv4rec_bounds.covering import EXAMPLE, Cover, complexity_total, cover_definitions, eps, radius_price
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.loss import RANGE
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import COVERED_NETWORK, FIXED_PROFILE, SCORED_SAMPLING, Theorem, given

__all__ = ["ParameterCount", "parameter_count_formula"]


@cache
def parameter_count_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound for networks with the given layers."""
    definitions = cover_definitions(present) | {
        loss_range: RANGE,
        deviation: deviation_of(complexity_total + radius_price),
    }
    return Formula(value=empirical_risk + 4 * eps + deviation, where=definitions)


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
        return covered_risk(
            self,
            parameter_count_formula(network.layers),
            cover,
            cover.inputs() | {"N": scored.size, "delta": paid, "q": evidence.cells},
            risk=scored.risk,
            trivial=math.log(evidence.cells) if scored.uniform_risk is None else scored.uniform_risk,
            target=TARGETS[evidence.protocol.sampling],
            paid=paid,
        )
