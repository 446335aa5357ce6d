r"""T7d: the total variation of a shipped model by its distance to the mixture that T7b certifies.

With probability at least :math:`1-\delta`, :math:`d` being the distance of the model :math:`h` under the blocks' user
mix,

.. math::
    \mathrm{TV}(h) \le \min_{\lambda\in\Lambda}
    V_\lambda\left(\lambda g + \tfrac1N\log\tfrac{|\Lambda|}\delta\right) + d, \qquad d = \mathrm{TV}(h, \bar f) .
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import WORTHLESS_MARGIN, Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.excess_loss import (
    INDEPENDENT,
    ExcessLoss,
    N,
    best_power,
    distances,
    excess_formula,
    powers_price,
)
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.rounding import Number, add_up, ceil_float
from conv4rec_bounds.theorems.base import Assumption, given
from conv4rec_bounds.theorems.t7b_prequential import BLOCKS_IN_ORDER, EVERY_CELL

__all__ = ["TransferredTotalVariation"]

distance_to_mixture = sympy.Symbol("d", nonnegative=True)
TRANSFERRED = excess_formula(powers_price / N, further=distance_to_mixture)


def _nothing_shipped(evidence: Evidence) -> str | None:
    if given(evidence.prequential).distance is None:
        return (
            "no distance was given between the shipped model and the mixture of the blocks' predictors; compute both "
            "laws for every user of the blocks and pass their total variation, or use T7b"
        )
    return None


class TransferredTotalVariation(ExcessLoss):
    """T7d: total variation to the truth of any model whose distance to the blocks' mixture is known."""

    number = "T7d"
    title = "Total variation, shipped model"
    target = "total variation of the shipped model (mean over the blocks' users)"
    page = "theory/t7d"
    assumptions = (
        BLOCKS_IN_ORDER,
        INDEPENDENT,
        EVERY_CELL,
        Assumption(
            "A4",
            "The shipped model's total variation to the user-wise mixture of the blocks' predictors, under the user "
            "mix of the blocks, is at most the number given.",
            _nothing_shipped,
        ),
    )
    model_tv = "blocks"
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "delta": 0.05, "Lhat": 6.02, "Lhat_star": 6.0, "d": 0.02}
    moves = ("N", "delta", "Lhat", "Lhat_star", "d")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return TRANSFERRED

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified total variation of the shipped model under the users of all blocks."""
        blocks = given(evidence.prequential)
        distance = given(blocks.distance)
        paid = budget.spend(f"{self.number}: all powers at once", delta)
        balls = TRANSFERRED.enclose(
            N=blocks.size, delta=paid, Lhat=blocks.risk, Lhat_star=blocks.truth_loss.value, d=distance
        )
        value, quantities = ceil_float(balls["value"]), upper_quantities(balls)
        best = best_power(quantities)
        mixture = min(quantities[str(symbol)] for symbol in distances)
        parts = add_up(value, [distance, mixture])
        terms = dict(zip(("distance to the mixture", "mixture to the truth"), parts, strict=True))
        return self.certificate(
            value=value,
            trivial=1.0,
            margin=WORTHLESS_MARGIN,
            target=self.informed_target(blocks.truth_loss),
            terms=terms,
            terms_of=("value", value),
            attribution={f"exponent at lambda = {best}": terms["mixture to the truth"]},
            quantities=quantities | {"lambda": float(best), "d": distance},
            spent=paid,
        )
