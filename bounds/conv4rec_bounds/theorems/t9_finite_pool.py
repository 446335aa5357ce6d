r"""T9 for a finite pool: the mean loss over a held-out pool from a random subset of it, nothing independent.

With probability at least :math:`1-\delta` over the choice of the subset of :math:`N` out of :math:`H` interactions,
half of it for each of the two inequalities,

.. math::
    \frac1H\sum_{t\in H}\ell_t \le \bar\ell_N + \min\left\{
    M\sqrt{\left(1-\tfrac{N-1}{H}\right)\tfrac{\log(2/\delta)}{2N}},\;
    \sqrt{\tfrac{2V_W\log(2/\delta)}{N}} \right\} ,

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
from conv4rec_bounds.loss import smoothed_range, uniform_risk
from conv4rec_bounds.rounding import Number, add_up, ceil_float
from conv4rec_bounds.theorems.base import Assumption, Theorem, given
from conv4rec_bounds.theorems.t9_held_out import betting_variance, mean_upper, untouched

__all__ = ["HeldOutPool"]

N, H, delta_symbol = sympy.symbols("N H delta", positive=True)
low, high, mean = sympy.symbols("l_min l_max lbar", nonnegative=True)
loss_range, bet_variance = sympy.symbols("M V_W", nonnegative=True)
serfling, betting = sympy.symbols("Delta_S Delta_W", nonnegative=True)
METHODS = {serfling: "Hoeffding-Serfling", betting: "betting"}

POOL = Formula(
    value=mean + sympy.Min(*METHODS),
    where={
        loss_range: high - low,
        serfling: loss_range * sympy.sqrt((1 - (N - 1) / H) * sympy.log(2 / delta_symbol) / (2 * N)),
        betting: sympy.sqrt(2 * bet_variance * sympy.log(2 / delta_symbol) / N),
    },
)


def _not_a_pool_sample(evidence: Evidence) -> str | None:
    part = evidence.pool_sample
    if part is None or part.pool is None:
        return (
            "the held-out part was not given as a random subset of a finite pool; where interactions are "
            "independent draws, T9 says more; else pass the subset's log-probabilities and the cells of the whole pool"
        )
    if part.pool.size == part.size:
        return (
            "the sample is the whole pool, whose mean loss is then known and needs no inference; "
            "score a random proper subset"
        )
    return untouched(part)


class HeldOutPool(Theorem):
    """T9-pool: mean loss of the smoothed predictor over a finite held-out pool, by Serfling or by betting."""

    number = "T9-pool"
    title = "Held-out risk, finite pool"
    target = "mean loss of the smoothed predictor over the held-out pool (nats)"
    claim = "a generalization bound for the model as trained"
    rate = r"\sqrt{1/N}"
    page = "theory/t9_pool"
    assumptions = (
        Assumption(
            "A1",
            "Given the pool, its masks and everything that made the predictor and its smoothing, the sample is a "
            "uniformly random proper subset of fixed size: training and tuning saw nothing of the pool, and the draw "
            "used coins of its own.",
            _not_a_pool_sample,
        ),
    )

    example: ClassVar[Mapping[str, Number]] = {
        "N": 10_000,
        "H": 20_000,
        "delta": 0.05,
        "lbar": 6.0,
        "V_W": 3.0,
        "l_min": 0.0,
        "l_max": 13.0,
    }
    moves = ("N", "H", "delta", "V_W", "l_max", "lbar")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return POOL

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified mean loss over the pool."""
        part = given(evidence.pool_sample)
        pool = given(part.pool)
        paid = sum(budget.spend(f"{self.number}: {method}", delta / 2) for method in METHODS.values())
        losses = part.losses
        measured = mean_upper(losses)
        # The range must hold for every loss of the pool, not only for those that were drawn.
        low, high = smoothed_range(int(pool.min()), int(pool.max()), part.smoothing)
        variances = {str(bet_variance): betting_variance(losses, low, high, delta / 2)}
        balls = POOL.enclose(N=part.size, H=pool.size, delta=paid, lbar=measured, l_min=low, l_max=high, **variances)
        value = ceil_float(balls["value"])
        quantities = upper_quantities(balls) | {"alpha": part.smoothing, "H": float(pool.size)} | variances
        best = min(METHODS, key=lambda method: quantities[str(method)])
        parts = [measured, quantities[str(best)]]
        terms = dict(zip(("sample mean loss", "deviation"), add_up(value, parts), strict=True))
        return self.certificate(
            value=value,
            trivial=uniform_risk(pool),
            terms=terms,
            terms_of=("value", value),
            attribution={METHODS[best]: terms["deviation"]},
            quantities=quantities,
            spent=paid,
        )
