r"""T7a: the total variation of one predictor from its loss on a part that it has not seen, beside the truth's own.

With probability at least :math:`1-\delta`, with :math:`g = \hat L - \hat L(f^*)` and the :math:`V_\lambda` of Lemma 4,

.. math::
    \mathrm{TV} \le \min_{\lambda\in\Lambda} V_\lambda(a_\lambda), \qquad
    a_\lambda = \lambda g + \tfrac1N\log\tfrac{|\Lambda|}\delta .
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

__all__ = ["PointTotalVariation"]

POINT = excess_formula(powers_price / N)


def _touched(evidence: Evidence) -> str | None:
    if evidence.untouched is None:
        return "no untouched part was given; pass the predictor's mean loss on interactions that it has not seen"
    if not evidence.untouched.untouched:
        return (
            "training, early stopping or tuning has seen the part that the predictor is scored on, or its profiles "
            "hold it; expected interactions that played no role before; split again and keep a part aside, or use T7b"
        )
    return None


def _coarse(evidence: Evidence) -> str | None:
    return not_of_every_cell(given(evidence.untouched).truth_loss)


class PointTotalVariation(ExcessLoss):
    """T7a: total variation to the truth of a predictor that was made without the scored part."""

    number = "T7a"
    title = "Total variation, untouched part"
    target = "total variation (mean over the untouched part's users)"
    page = "theory/t7a"
    assumptions = (
        Assumption(
            "A1",
            "Training, early stopping and tuning have not seen the part, nor is it in the profiles that are read.",
            _touched,
        ),
        INDEPENDENT,
        Assumption(
            "A3",
            "The truth's own mean loss on the same interactions is at least the number given, for the laws of every "
            "user over all cells; what the number rests on is said with the target.",
            _coarse,
        ),
    )
    model_tv = "untouched"
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "delta": 0.05, "Lhat": 6.02, "Lhat_star": 6.0}
    moves = ("N", "delta", "Lhat", "Lhat_star")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return POINT

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified total variation under the users of the untouched part."""
        part = given(evidence.untouched)
        paid = budget.spend(f"{self.number}: all powers at once", delta)
        balls = POINT.enclose(N=part.size, delta=paid, Lhat=part.risk, Lhat_star=part.truth_loss.value)
        return self.of_exponent(balls, part.size, paid, part.truth_loss)
