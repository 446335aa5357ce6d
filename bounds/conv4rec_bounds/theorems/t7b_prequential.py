r"""T7b: the total variation of the user-wise mixture of predictors, each scored on the block that came after it.

With probability at least :math:`1-\delta`, :math:`g` being the mean loss over all blocks beyond the truth's own,

.. math::
    \mathrm{TV}(\bar f) \le \min_{\lambda\in\Lambda}
    V_\lambda\left(\lambda g + \tfrac1N\log\tfrac{|\Lambda|}\delta\right), \qquad
    \bar f_i = \sum_b \frac{n_{ib}}{n_i} f_b(\cdot\mid i) .
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.excess_loss import (
    INDEPENDENT,
    ExcessLoss,
    N,
    excess_formula,
    not_of_every_cell,
    powers_price,
)
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Assumption, given

__all__ = ["BLOCKS_IN_ORDER", "EVERY_CELL", "PrequentialTotalVariation"]

PREQUENTIAL = excess_formula(powers_price / N)


def _not_in_order(evidence: Evidence) -> str | None:
    if evidence.prequential is None:
        return (
            "no blocks were given, and one trained model has none: this theorem needs fits to growing parts of the "
            "data, each scored on the block that comes next; fit so in Python and pass Prequential(size, risk, "
            "truth_loss) as the evidence's prequential; on a known law `conv4rec study certificates` does it"
        )
    if not evidence.prequential.predictable:
        return (
            "a predictor had seen interactions of the block that it was scored on or of a later one, or read them in "
            "its profiles; expected predictors that are made from earlier blocks only; score each block before it is "
            "trained on or read"
        )
    return None


def _coarse(evidence: Evidence) -> str | None:
    return not_of_every_cell(given(evidence.prequential).truth_loss)


BLOCKS_IN_ORDER = Assumption(
    "A1",
    "Each block was scored by a predictor that was made without it and without later blocks, none of which is in the "
    "profiles that it reads; blocks were cut without a look at their cells.",
    _not_in_order,
)
EVERY_CELL = Assumption(
    "A3",
    "The truth's own mean loss over the same blocks is at least the number given, for the laws of every user over all "
    "cells; what the number rests on is said with the target.",
    _coarse,
)


class PrequentialTotalVariation(ExcessLoss):
    """T7b: total variation to the truth of the user-wise mixture of the blocks' predictors."""

    number = "T7b"
    title = "Total variation, block after block"
    target = "total variation of the mixture that weighs each block's predictor, user by user, by the user's share of "
    target += "interactions in the block"
    page = "theory/t7b"
    assumptions = (BLOCKS_IN_ORDER, INDEPENDENT, EVERY_CELL)
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "delta": 0.05, "Lhat": 6.02, "Lhat_star": 6.0}
    moves = ("N", "delta", "Lhat", "Lhat_star")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return PREQUENTIAL

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified total variation of the user-wise mixture under the users of all blocks."""
        blocks = given(evidence.prequential)
        paid = budget.spend(f"{self.number}: all powers at once", delta)
        balls = PREQUENTIAL.enclose(N=blocks.size, delta=paid, Lhat=blocks.risk, Lhat_star=blocks.truth_loss.value)
        return self.of_exponent(balls, blocks.size, paid, blocks.truth_loss)
