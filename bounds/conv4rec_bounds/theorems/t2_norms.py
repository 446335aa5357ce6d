r"""T2: the risk of any network on given users, by the norms of its layers and their distances to references.

With probability at least :math:`1-\delta`, for all weights at once,

.. math::
    L \le \hat L + 4\epsilon + M\sqrt{\frac{\sum_l C_l(\epsilon_l) + P + \log(1/\delta)}{2N}},
    \qquad \epsilon = \sum_l\epsilon_l ,

where items, levels and users enter the covers of encode, decode and cell bias through logarithms only, if these layers
are close to their references.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.covered_risk import TARGETS, deviation, deviation_of, empirical_risk, loss_range
from conv4rec_bounds.covering import EXAMPLE, Cover, complexity_total, eps, radius_price
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.loss import RANGE
from conv4rec_bounds.nested_cover import Distances, best_shares, code_size, items, nested_definitions, users
from conv4rec_bounds.rounding import Number, add_up, ceil_float, floor_float
from conv4rec_bounds.theorems.base import COVERED_NETWORK, FIXED_PROFILE, SCORED_SAMPLING, Assumption, Theorem, given

__all__ = ["Norms"]


@cache
def norms_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound for networks with the given layers."""
    definitions = nested_definitions(present) | {
        loss_range: RANGE,
        deviation: deviation_of(complexity_total + radius_price),
    }
    return Formula(value=empirical_risk + 4 * eps + deviation, where=definitions)


def _references_not_blind(evidence: Evidence) -> str | None:
    if evidence.scored is not None and evidence.scored.users is None:
        return (
            "the number of users with scored interactions is not known; this theorem covers the network at these "
            "users' profiles; pass it as Scored(users=...), or use T1"
        )
    if evidence.references is not None and not evidence.references.blind:
        return (
            "the reference weights were made with a look at the scored interactions, or at the unscored rest of their "
            "finite pool, which gives them away; this theorem pays for distances to references that are functions of "
            "users, profiles, masks and of data that are independent of the scored part given these; use weights made "
            "from profiles or a seed, or none"
        )
    return None


class Norms(Theorem):
    """T2: deviation of the risk from the empirical risk by norms and distances to references, all radii paid for."""

    number = "T2"
    title = "Risk by norms"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder that depends on norms"
    rate = r"\min((\log(mnR)/N)^{1/4}, \sqrt{p\log N/N})"
    page = "theory/t2"
    assumptions = (
        FIXED_PROFILE,
        SCORED_SAMPLING,
        COVERED_NETWORK,
        Assumption(
            "A4",
            "The number of users with scored interactions is known, and the references from which distances are "
            "measured are functions of users, profiles, masks and of data that are independent of the scored part "
            "given these (in a finite pool the unscored rest of the pool is not); who tries g sets of references and "
            "keeps the best takes delta/g for each.",
            _references_not_blind,
        ),
    )
    example = EXAMPLE | {
        "m": 1_000,
        "n": 1_000,
        "k": 8,
        "t_E": 16,
        "t_D": 16,
        "t_B": 24,
        "N": 10**7,
        "delta": 0.05,
        "q": 5_000,
        "Lhat": 6.0,
    }
    moves = ("N", "delta", "m", "t_E", "t_D", "t_B")

    @property
    def formula(self) -> Formula:
        """The bound for a network that has every layer."""
        return norms_formula(tuple(LAYERS))

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the layers' shares of the resolution and the parameters of Lemma 6."""
        return dict(inputs) | best_shares(tuple(LAYERS), inputs)

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk of the network."""
        network, scored = given(evidence.network), given(evidence.scored)
        paid = budget.spend(f"{self.number}: all weights, over classes of norms and distances, and covers", delta)
        cover, distances = Cover.of(network), Distances.of(network, evidence.references)
        formula = norms_formula(network.layers)
        inputs = cover.inputs() | distances.inputs()
        inputs |= {"N": scored.size, "delta": paid, "q": evidence.cells}
        _, catalogue, codes = network.weights["decode"].shape
        inputs |= {str(users): given(scored.users), str(items): catalogue, str(code_size): codes}
        free = best_shares(network.layers, inputs)
        balls = formula.enclose(**inputs, **free, **{str(empirical_risk): scored.risk})
        value = ceil_float(balls["value"])
        parts = [scored.risk, floor_float(4 * balls[str(eps)]), ceil_float(balls[str(deviation)])]
        terms = dict(zip(("empirical risk", "cover resolution", "deviation"), add_up(value, parts), strict=True))
        return self.certificate(
            value=value,
            trivial=math.log(evidence.cells) if scored.uniform_risk is None else scored.uniform_risk,
            target=TARGETS[evidence.protocol.sampling],
            terms=terms,
            terms_of=("value", value),
            attribution=cover.attribute(terms["deviation"], balls, paid, distances.index),
            quantities=upper_quantities(balls) | free | cover.norm_quantities() | distances.quantities(),
            spent=paid,
        )
