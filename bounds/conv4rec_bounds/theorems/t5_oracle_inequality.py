r"""T5: total variation to a known truth at the slow rate: an oracle inequality, not a certificate.

With probability at least :math:`1-\delta`, half of it for each of the two inequalities,

.. math::
    \mathrm{KL} \le \Xi = A + \eta + M_0\sqrt{\tfrac{\log(2/\delta)}{2N}} + 4\epsilon + \Delta(\delta/2), \qquad
    \mathrm{TV} \le \min\left\{\sqrt{\Xi/2},\; \sqrt{1-e^{-\Xi}}\right\} .
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import WORTHLESS_MARGIN, Certificate
from conv4rec_bounds.covered_risk import N, best_resolution, delta_symbol, deviation, empirical_risk
from conv4rec_bounds.covering import EXAMPLE, Cover, eps
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.loss import RANGE, w
from conv4rec_bounds.rounding import Number, add_up, ceil_float
from conv4rec_bounds.theorems.base import COVERED_NETWORK, FIXED_PROFILE, SCORED_SAMPLING, Assumption, Theorem, given
from conv4rec_bounds.theorems.t1_parameter_count import parameter_count_formula

__all__ = ["TV_FROM_DIVERGENCE", "OracleInequality"]

excess, gap, divergence = sympy.symbols("A eta Xi", nonnegative=True)
comparator_risk, comparator_oscillation = sympy.symbols("Lhat_0 w_0", nonnegative=True)
comparator_range, comparator_deviation = sympy.symbols("M_0 Delta_0", nonnegative=True)

TV_FROM_DIVERGENCE = Formula(
    value=sympy.Min(sympy.sqrt(divergence / 2), sympy.sqrt(1 - sympy.exp(-divergence))), where={}
)
r"""Lemma 4: the better of Pinsker and of Bretagnolle and Huber, for any upper bound :math:`\Xi` on KL.

>>> round(TV_FROM_DIVERGENCE.number(Xi=0.02), 6), round(TV_FROM_DIVERGENCE.number(Xi=3.0), 6)
(0.1, 0.974789)
"""


@cache
def oracle_formula(present: tuple[str, ...]) -> Formula:
    """Return the inequality for networks with the given layers: T1's deviation with half of delta, and what is paid."""
    definitions = dict(parameter_count_formula(present).where)
    definitions[deviation] = definitions[deviation].subs(delta_symbol, delta_symbol / 2)
    definitions[gap] = sympy.Max(0, empirical_risk - comparator_risk)
    definitions[comparator_range] = RANGE.subs(w, comparator_oscillation)
    definitions[comparator_deviation] = comparator_range * sympy.sqrt(sympy.log(2 / delta_symbol) / (2 * N))
    definitions[divergence] = excess + gap + comparator_deviation + 4 * eps + deviation
    return Formula(value=TV_FROM_DIVERGENCE.value, where=definitions)


def resolution_for(present: tuple[str, ...], inputs: Mapping[str, Number]) -> float:
    """Return the resolution that T1 takes with half of delta: it sees sizes, class, N and delta only."""
    return best_resolution(parameter_count_formula(present), dict(inputs) | {"delta": inputs["delta"] / 2})


def _not_independent(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling == "finite pool":
        return (
            "the interactions are a random subset of a finite pool, whose law is degenerate cell by cell, so that the "
            "divergence to it says nothing; this theorem needs independent draws from a known truth"
        )
    return SCORED_SAMPLING.broken(evidence)


def _no_blind_comparator(evidence: Evidence) -> str | None:
    if evidence.comparator is None:
        return (
            "no comparator was given; pass a predictor chosen without the scored part, with its divergence to the "
            "known truth, a bound on the oscillation of its logits and its mean loss; on real ratings use T9"
        )
    if not evidence.comparator.blind:
        return (
            "the comparator was chosen with a look at the scored interactions, so that its own mean loss on them need "
            "not be near its risk; pass one that was chosen without them, such as the truth itself"
        )
    return None


class OracleInequality(Theorem):
    """T5: total variation from the uniform deviation of the risk, relative to a comparator, at the slow rate."""

    number = "T5"
    title = "Total variation, slow rate (oracle inequality)"
    target = "total variation (mean over the scored users)"
    claim = "the loss recovers the sampling distribution up to a small error in total variation"
    rate = r"(p\log N/N)^{1/4}"
    page = "theory/t5"
    assumptions = (
        FIXED_PROFILE,
        Assumption(
            "A2",
            "Given users, profiles and masks, the scored interactions are independent, each from its user's law.",
            _not_independent,
        ),
        COVERED_NETWORK,
        Assumption(
            "A4",
            "The comparator was chosen without the scored part (from users, profiles, masks and data independent of it "
            "given these); its divergence to the truth and a bound on the oscillation of its logits for every user are "
            "known.",
            _no_blind_comparator,
        ),
    )
    example = EXAMPLE | {
        "N": 10**10,
        "delta": 0.05,
        "q": 5_000,
        "Lhat": 6.0,
        "Lhat_0": 6.0,
        "A": 0.01,
        "w_0": 8.0,
    }
    moves = ("N", "delta", "A", "w_0", "p_E", "s_B")

    @property
    def formula(self) -> Formula:
        """The inequality for a network that has every layer."""
        return oracle_formula(tuple(LAYERS))

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the resolution of the cover."""
        return dict(inputs) | {str(eps): resolution_for(tuple(LAYERS), inputs)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the inequality's right side under the users of the scored part."""
        network, scored, comparator = given(evidence.network), given(evidence.scored), given(evidence.comparator)
        paid = budget.spend(f"{self.number}: all weights, over radius classes and covers", delta / 2)
        paid += budget.spend(f"{self.number}: the comparator, Hoeffding", delta / 2)
        cover = Cover.of(network)
        inputs = cover.inputs() | {"N": scored.size, "delta": paid, "q": evidence.cells}
        resolution = resolution_for(network.layers, inputs)
        balls = oracle_formula(network.layers).enclose(
            **inputs,
            **{
                str(eps): resolution,
                str(empirical_risk): scored.risk,
                str(comparator_risk): comparator.risk,
                str(excess): comparator.excess,
                str(comparator_oscillation): comparator.oscillation,
            },
        )
        quantities = upper_quantities(balls) | {str(eps): resolution}
        total = quantities[str(divergence)]
        parts = {
            "comparator's divergence": comparator.excess,
            "optimization gap": quantities[str(gap)],
            "comparator's deviation": quantities[str(comparator_deviation)],
            "cover resolution": 4 * resolution,
            "deviation": quantities[str(deviation)],
        }
        terms = dict(zip(parts, add_up(total, list(parts.values())), strict=True))
        found = self.certificate(
            value=ceil_float(balls["value"]),
            trivial=1.0,
            margin=WORTHLESS_MARGIN,
            terms=terms,
            terms_of=("divergence Xi", total),
            attribution=cover.attribute(terms["deviation"], balls, paid / 2),
            quantities=quantities | cover.norm_quantities(),
            spent=paid,
        )
        return replace(found, reason=f"An oracle inequality for a known truth, no certificate. {found.reason}")
