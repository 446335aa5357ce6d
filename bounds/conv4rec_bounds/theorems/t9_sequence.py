r"""T9-sequence: the running mean of losses to be expected, valid however often one looks.

With :math:`\bar\ell` the mean of the first N values, which lie in an interval of length M, and
:math:`\lambda_g = 2^{1-g}`, with probability at least :math:`1-\delta` for all N and all g at once,

.. math::
    \frac1N\sum_{t\le N}m_t \le \bar\ell + \frac{M}{\lambda_gN}\log\frac{(g+1)(g+2)}\delta
    + \frac{\lambda_gV_S}{2M} ,

where :math:`V_S` is measured (`conv4rec_bounds.running`), about the mean square distance from the running mean.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

import sympy
from flint import arb, ctx

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.loss import SmoothedLosses, uniform_risk
from conv4rec_bounds.rounding import PRECISION_BITS, Number, add_up, ceil_float, exact, floor_to_grid
from conv4rec_bounds.running import SIZES, Wager, wagers
from conv4rec_bounds.theorems.base import Assumption, Theorem, given
from conv4rec_bounds.theorems.t9_held_out import mean_upper

__all__ = ["RunningRisk"]

N, delta_symbol, bet = sympy.symbols("N delta lambda", positive=True)
place, loss_range, spread = sympy.symbols("g M V_S", nonnegative=True)
low, high, mean = sympy.symbols("l_min l_max lbar", real=True)
price, variation = sympy.symbols("Delta_P Delta_V", nonnegative=True)

SEQUENCE = Formula(
    value=mean + price + variation,
    where={
        loss_range: high - low,
        bet: 2 ** (1 - place),
        price: loss_range * sympy.log((place + 1) * (place + 2) / delta_symbol) / (bet * N),
        variation: bet * spread / (2 * loss_range),
    },
)

MARGIN = "running mean of the other predictor's expected loss less the model's, both smoothed, given the past (nats)"


def _not_predicted(evidence: Evidence) -> str | None:
    if evidence.time_ordered is None:
        return (
            "no interactions in time order were given; pass the log-probabilities that each was given before it was "
            "seen, in the order in which they came"
        )
    if not evidence.time_ordered.predicted:
        return (
            "a predictor has seen the interaction that it scores, or a later one; expected predictions made from what "
            "came before; score each interaction before it is trained on"
        )
    return None


def _a_pool(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling == "finite pool":
        return (
            "the interactions were declared to be drawn from a finite pool, which is used up as they come: what is to "
            "be expected then moves away from the pool's mean, which is another target; use T9-pool or T9-paired, or "
            "score interactions in the order of time"
        )
    return None


class RunningRisk(Theorem):
    """T9-sequence: mean of the losses to be expected given the past, under repeated looks, by a supermartingale."""

    number = "T9-sequence"
    title = "Running risk, repeated looks"
    target = "running mean of the smoothed predictor's expected loss given the past (nats)"
    claim = "a generalization bound for models in use, which learn as they go"
    rate = r"\sqrt{\log\log N/N}"
    page = "theory/t9_sequence"
    assumptions = (
        Assumption(
            "A1",
            "Every predictor, its user's mask and the smoothing were fixed before the interaction that it scores was "
            "seen, and the catalogue before the first; they may depend on all that came before.",
            _not_predicted,
        ),
        Assumption(
            "A2",
            "What is wanted is the mean of what was to be expected at each time, given the past; interactions are no "
            "draws from a finite pool whose mean is wanted.",
            _a_pool,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 10_000,
        "delta": 0.05,
        "lbar": 6.0,
        "V_S": 2.0,
        "l_min": 0.0,
        "l_max": 13.0,
    }
    moves = ("N", "delta", "V_S", "l_max", "lbar")

    @property
    def formula(self) -> Formula:
        """The bound by a bet of one size; all sizes hold together."""
        return SEQUENCE

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Choose the size of the bet that gives the least value."""
        choices = [dict(inputs) | {str(place): index} for index in range(SIZES)]
        return min(choices, key=lambda choice: SEQUENCE.number(**choice))

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the end at the last look: of the mean loss from above or, against another, of the margin from below.

        With another predictor the values are differences, and their mean's upper end, with the opposite sign, is the
        margin's lower end.
        """
        ordered = given(evidence.time_ordered)
        paid = budget.spend(f"{self.number}: bets of all sizes", delta)
        values = ordered.values
        # On the grid a margin and its deviation add up exactly, however small the margin is.
        measured = -floor_to_grid(-mean_upper(values))
        best = min(wagers(values.shares(values.low, values.high)), key=lambda wager: wager.ends(paid)[-1])
        inputs: dict[str, Number] = {"l_min": values.low, "l_max": values.high, "lbar": measured, "g": best.place}
        spreads = {str(spread): _spread(values, best, measured)}
        balls = SEQUENCE.enclose(N=ordered.size, delta=paid, **inputs, **spreads)
        value = -floor_to_grid(-ceil_float(balls["value"]))
        quantities = upper_quantities(balls) | {"alpha": ordered.smoothing, "g": float(best.place)} | spreads
        deviations = {"confidence": quantities[str(price)], "spread": quantities[str(variation)]}
        parts: dict[str, Any]
        if ordered.against is None:
            trivial = uniform_risk(ordered.cells)
            total, leading, told = value, ("mean loss so far", measured), ("value", value)
            parts = {"value": value, "trivial": trivial}
        else:
            total, leading, told = -measured, ("certified margin", -value), ("measured margin", -measured)
            parts = {"value": -value, "trivial": 0.0, "side": "lower", "target": MARGIN}
        terms = dict(zip((leading[0], "deviation"), add_up(total, [leading[1], value - measured]), strict=True))
        split = add_up(terms["deviation"], list(deviations.values()))
        return self.certificate(
            **parts,
            terms=terms,
            terms_of=told,
            attribution=dict(zip(deviations, split, strict=True)),
            quantities=quantities,
            spent=paid,
        )


def _spread(values: SmoothedLosses, best: Wager, measured: float) -> float:
    r"""Return the :math:`V_S` with which the formula gives the end of the bet, rounded up, in nats squared."""
    with ctx.workprec(PRECISION_BITS):
        width, size = exact(values.high) - exact(values.low), exact(best.size)
        lost = exact(float(best.lost[-1])) / size
        end = exact(values.low) + width * (exact(float(best.centres[-1])) + lost) / best.lost.size
        return ceil_float(((end - exact(measured)) * 2 * width / size).max(arb(0)))
