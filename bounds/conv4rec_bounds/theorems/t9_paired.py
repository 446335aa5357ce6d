r"""T9-paired: by how much one predictor is better than another on interactions that neither has seen.

With :math:`\bar d` the mean over N held-out interactions of the smoothed loss of the other predictor less that of the
model, with probability at least :math:`1-\delta`,

.. math::
    \text{margin} \ge \bar d - \sqrt{\tfrac{2V_W\log(1/\delta)}{N}} ,

where :math:`V_W` expresses the deviation of the betting bound (`conv4rec_bounds.betting`) as a variance.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.rounding import Number, floor_float, floor_to_grid
from conv4rec_bounds.theorems.base import Assumption, Theorem, given
from conv4rec_bounds.theorems.t9_held_out import betting_variance, mean_upper, untouched

__all__ = ["PairedRisk"]

N, delta_symbol = sympy.symbols("N delta", positive=True)
margin = sympy.Symbol("dbar", real=True)
bet_variance = sympy.Symbol("V_W", nonnegative=True)
betting = sympy.Symbol("Delta_W", nonnegative=True)

PAIRED = Formula(
    value=margin - betting,
    where={betting: sympy.sqrt(2 * bet_variance * sympy.log(1 / delta_symbol) / N)},
)


def _no_untouched_pair(evidence: Evidence) -> str | None:
    if evidence.paired is None:
        return (
            "no second model was given; pass the log-probabilities of two models for the same held-out interactions, "
            "in the same order"
        )
    return untouched(evidence.paired.model)


def _not_by_chance(evidence: Evidence) -> str | None:
    pair = given(evidence.paired).model
    if pair.pool is not None:
        if pair.pool.size > pair.size:
            return None
        return (
            "the sample is the whole pool, on which the difference of the mean losses is then known and needs no "
            "inference; score a random proper subset"
        )
    if evidence.protocol.sampling != "independent":
        return (
            "the held-out interactions are neither declared independent draws given the users nor given as a random "
            "subset of a finite pool; this theorem needs one of the two; declare independence if it is true, else "
            "score a random proper subset of the held-out part and pass the cells of the whole pool"
        )
    return None


class PairedRisk(Theorem):
    """T9-paired: margin of one smoothed predictor over another, by betting on the differences of their losses."""

    number = "T9-paired"
    title = "One model against another"
    target = (
        "margin over the other smoothed predictor: its mean loss less the model's, over the held-out user mix or the "
        "pool (nats)"
    )
    claim = "a generalization bound for the model as trained, beside another"
    rate = r"\sqrt{1/N}"
    page = "theory/t9_paired"
    side = "lower"
    assumptions = (
        Assumption(
            "A1",
            "Both predictors, their smoothing and the choice of the two were made without the held-out interactions, "
            "and the catalogue (items and levels) was fixed without them.",
            _no_untouched_pair,
        ),
        Assumption(
            "A2",
            "Given all that, users and masks, held-out interactions are independent, each from its user's law; or "
            "they are a uniformly random proper subset, of fixed size, of a finite pool.",
            _not_by_chance,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "delta": 0.05, "dbar": 0.3, "V_W": 1.0}
    moves = ("N", "delta", "V_W", "dbar")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return PAIRED

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified margin of the model over the other."""
        pair = given(evidence.paired)
        paid = budget.spend(f"{self.number}: betting", delta)
        differences = pair.differences
        # The margin is the mean of the differences with the opposite sign: rounded down where they are rounded up.
        measured = floor_to_grid(-mean_upper(differences))
        variances = {str(bet_variance): betting_variance(differences, differences.low, differences.high, delta)}
        balls = PAIRED.enclose(N=pair.model.size, delta=paid, dbar=measured, **variances)
        value = floor_to_grid(floor_float(balls["value"]))
        terms = {"certified margin": value, "deviation": measured - value}
        return self.certificate(
            value=value,
            trivial=0.0,
            terms=terms,
            terms_of=("measured margin", measured),
            attribution={"betting": terms["deviation"]},
            quantities=upper_quantities(balls) | {"alpha": pair.model.smoothing, "W": differences.high} | variances,
            spent=paid,
        )
