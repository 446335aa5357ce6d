r"""T6: the total variation between a network and a known truth, at the fast rate.

With probability at least :math:`1-\delta`, for all weights at once and with :math:`\lambda = 1/2`,

.. math::
    -\log A_{1/2} \le a = \tfrac12[\hat L - \hat L(f^*)] + 2\epsilon + \frac{C(\epsilon) + P + \log(1/\delta)}{N},
    \qquad \mathrm{TV} \le \sqrt{1 - e^{-2a}} .
"""

from fractions import Fraction
from functools import cache

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import WORTHLESS_MARGIN, Certificate
from conv4rec_bounds.covering import (
    EXAMPLE,
    Cover,
    complexity_total,
    cover_definitions,
    eps,
    parameters_total,
    radius_price,
)
from conv4rec_bounds.divergences import TV_FROM_EXPONENT, exponent
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.geometry import LAYERS, oscillation_bound
from conv4rec_bounds.rounding import add_up, ceil_float
from conv4rec_bounds.theorems.base import (
    COVERED_NETWORK,
    FIXED_PROFILE,
    Assumption,
    Theorem,
    given,
)

__all__ = ["FastTotalVariation"]

N, delta_symbol = sympy.symbols("N delta", positive=True)
empirical_risk, truth_risk = sympy.symbols("Lhat Lhat_star", nonnegative=True)
complexity_rate = sympy.Symbol("Gamma", positive=True)
raw_exponent = sympy.Symbol("a_0", real=True)


@cache
def total_variation_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound for networks with the given layers; its resolution p/(2N) is where its slope in eps vanishes."""
    cover = cover_definitions(present)
    # No range of the loss enters, so the bound on the oscillation is not among the definitions.
    del cover[oscillation_bound]
    definitions = {parameters_total: cover[parameters_total], eps: parameters_total / (2 * N)} | cover
    definitions[complexity_rate] = (complexity_total + radius_price + sympy.log(1 / delta_symbol)) / N
    definitions[raw_exponent] = (empirical_risk - truth_risk) / 2 + 2 * eps + complexity_rate
    # -log A is never negative, so an exponent below zero can be raised to zero.
    definitions[exponent] = sympy.Max(0, raw_exponent)
    return Formula(value=TV_FROM_EXPONENT.value, where=definitions)


def _no_known_truth(evidence: Evidence) -> str | None:
    if evidence.scored is None:
        return "no scored part was given; pass its size, the model's mean loss and the truth's own mean loss on it"
    if evidence.scored.truth_risk is None:
        return (
            "the truth's own mean loss on the scored part is unknown; it is known for synthetic truths only; "
            "on real ratings use T9"
        )
    return None


def _pool_has_no_law_to_compare(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling != "independent":
        return (
            "the interactions are not independent draws: a pool without repeats has a law that is degenerate cell by "
            "cell; this theorem needs independent draws from a known truth"
        )
    return None


class FastTotalVariation(Theorem):
    """T6: total variation to a known truth from the excess of the empirical risk, by covering."""

    number = "T6"
    title = "Total variation, fast rate"
    target = "total variation (mean over the scored users)"
    claim = "the loss recovers the sampling distribution up to a small error in total variation"
    rate = r"\sqrt{p\log N/N}"
    page = "theory/t6"
    assumptions = (
        FIXED_PROFILE,
        Assumption(
            "A2",
            "Given users, profiles and masks, the scored interactions are independent, each from its user's law.",
            _pool_has_no_law_to_compare,
        ),
        COVERED_NETWORK,
        Assumption("A4", "The truth's own mean loss on the scored part is known.", _no_known_truth),
    )
    model_tv = "scored"
    example = EXAMPLE | {"N": 10**7, "delta": 0.05, "Lhat": 6.0, "Lhat_star": 6.0}
    moves = ("N", "delta", "p_E", "s_E", "s_B", "Lhat")

    @property
    def formula(self) -> Formula:
        """The bound for a network that has every layer."""
        return total_variation_formula(tuple(LAYERS))

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified total variation under the users of the scored part."""
        network, scored = given(evidence.network), given(evidence.scored)
        paid = budget.spend(f"{self.number}: all weights, over radius classes and covers", delta)
        cover = Cover.of(network)
        risks = {str(empirical_risk): scored.risk, str(truth_risk): given(scored.truth_risk)}
        balls = total_variation_formula(network.layers).enclose(**cover.inputs(), **risks, N=scored.size, delta=paid)
        value = ceil_float(balls["value"])
        quantities = upper_quantities(balls)
        gap = (scored.risk - given(scored.truth_risk)) / 2
        parts = [gap, 2 * quantities[str(eps)], quantities[str(complexity_rate)]]
        total = quantities[str(raw_exponent)]
        terms = dict(
            zip(("risk gap to the truth", "cover resolution", "complexity"), add_up(total, parts), strict=True)
        )
        return self.certificate(
            value=value,
            trivial=1.0,
            margin=WORTHLESS_MARGIN,
            terms=terms,
            terms_of=("exponent a_0", total),
            attribution=cover.attribute(terms["complexity"], balls, paid),
            quantities=quantities | cover.norm_quantities(),
            spent=paid,
        )
