r"""T9: the risk of any predictor from held-out interactions that are independent given their users.

With probability at least :math:`1-\delta`, a third of it for each of the three inequalities,

.. math::
    L \le \bar\ell + \min\left\{ M\sqrt{\tfrac{\log(3/\delta)}{2N}},\;
    \sqrt{\tfrac{2V\log(6/\delta)}{N}} + \tfrac{7M\log(6/\delta)}{3(N-1)},\;
    \sqrt{\tfrac{2V_W\log(3/\delta)}{N}} \right\} ,

where :math:`V_W` expresses the deviation of the betting bound (`conv4rec_bounds.betting`) as a variance.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy
from flint import arb, ctx

from conv4rec_bounds.betting import betting_upper
from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import BinnedEvents, Evidence, HeldOut, NamedLosses
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.loss import SmoothedLosses, uniform_risk
from conv4rec_bounds.rounding import PRECISION_BITS, Number, add_up, ceil_float, exact
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["HeldOutRisk", "betting_variance", "mean_upper", "untouched"]

N, delta_symbol = sympy.symbols("N delta", positive=True)
low, mean = sympy.symbols("l_min lbar", nonnegative=True)
high, variance, bet_variance = sympy.symbols("l_max V V_W", nonnegative=True)
loss_range = sympy.Symbol("M", nonnegative=True)
hoeffding, bernstein, betting = sympy.symbols("Delta_H Delta_B Delta_W", positive=True)
METHODS = {hoeffding: "Hoeffding", bernstein: "empirical Bernstein", betting: "betting"}

HELD_OUT = Formula(
    value=mean + sympy.Min(*METHODS),
    where={
        loss_range: high - low,
        hoeffding: loss_range * sympy.sqrt(sympy.log(3 / delta_symbol) / (2 * N)),
        bernstein: sympy.sqrt(2 * variance * sympy.log(6 / delta_symbol) / N)
        + 7 * loss_range * sympy.log(6 / delta_symbol) / (3 * (N - 1)),
        betting: sympy.sqrt(2 * bet_variance * sympy.log(3 / delta_symbol) / N),
    },
)


def mean_upper(losses: SmoothedLosses) -> float:
    """Return a float that is not below the exact mean of the exact losses."""
    computed = math.fsum(losses.losses) / losses.losses.size
    return math.nextafter(computed + losses.error, math.inf)


def variance_upper(losses: SmoothedLosses) -> float:
    """Return a float that is not below the exact sample variance (divisor N - 1) of the exact losses."""
    values = losses.losses
    # Squares around any centre sum to no less than around the exact mean; the factor covers the three roundings.
    around = math.fsum(np.square(values - math.fsum(values) / values.size)) / (values.size - 1)
    root = math.sqrt(around * (1 + 8 * 2.0**-53)) + 2 * losses.error
    return math.nextafter(root * root * (1 + 8 * 2.0**-53), math.inf)


def betting_variance(losses: SmoothedLosses, low: float, high: float, delta: Fraction) -> float:
    r"""Return the variance :math:`V_W` for which :math:`\sqrt{2V_W\log(1/\delta)/N}` is the betting deviation.

    The deviation is that of the betting bound at failure probability ``delta`` for losses in ``[low, high]`` above
    `mean_upper`; the variance is rounded up, in nats squared.
    """
    end = betting_upper(losses.shares(low, high), delta)
    with ctx.workprec(PRECISION_BITS):
        deviation = exact(low) + (exact(high) - exact(low)) * exact(end) - exact(mean_upper(losses))
        size, price = losses.losses.size, -exact(delta).log()
        return ceil_float(deviation.max(arb(0)) ** 2 * size / (2 * price))


def untouched(part: HeldOut | NamedLosses | BinnedEvents) -> str | None:
    """Return the reason why the held-out part is none, if training or tuning has seen it."""
    if not part.untouched:
        return (
            "training or tuning has seen the held-out part; expected interactions that played no role before; "
            "split again and keep a part aside"
        )
    if part.size < 2:
        return f"the held-out part holds {part.size} interaction; expected at least 2; hold out more"
    return None


def _not_held_out(evidence: Evidence) -> str | None:
    if evidence.held_out is None:
        return "no held-out part was given; pass the log-probabilities of interactions that training never saw"
    return untouched(evidence.held_out)


def _not_independent(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling == "neither":
        return (
            "independence of the held-out interactions was not declared; this theorem needs independent draws given "
            "the users, which ratings that cannot repeat never are; declare it if it is true, or use T9-pool, which "
            "needs a random subset of the held-out pool"
        )
    if evidence.protocol.sampling != "independent":
        return (
            "the held-out interactions are not independent, as ratings that cannot repeat never are; this theorem "
            "needs independent draws given the users; use T9-pool, which needs a random subset of the held-out pool"
        )
    return None


class HeldOutRisk(Theorem):
    """T9: risk of the smoothed predictor, the best of Hoeffding, empirical Bernstein and betting, each with delta/3."""

    number = "T9"
    title = "Held-out risk"
    target = "risk of the smoothed predictor over the held-out user mix (nats)"
    claim = "a generalization bound for the model as trained"
    rate = r"\sqrt{1/N}"
    page = "theory/t9"
    assumptions = (
        Assumption(
            "A1",
            "Training and tuning have not seen the held-out interactions, and the catalogue (items and levels) was "
            "fixed without them.",
            _not_held_out,
        ),
        Assumption(
            "A2",
            "Given the users, masks and everything that made the predictor and its smoothing, held-out interactions "
            "are independent, each from its user's law.",
            _not_independent,
        ),
    )

    example: ClassVar[Mapping[str, Number]] = {
        "N": 10_000,
        "delta": 0.05,
        "lbar": 6.0,
        "V": 2.0,
        "V_W": 3.0,
        "l_min": 0.0,
        "l_max": 13.0,
    }
    moves = ("N", "delta", "V", "V_W", "l_max", "lbar")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return HELD_OUT

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk of the smoothed predictor."""
        part = given(evidence.held_out)
        paid = sum(budget.spend(f"{self.number}: {method}", delta / 3) for method in METHODS.values())
        losses = part.losses
        measured = mean_upper(losses)
        variances = {
            str(variance): variance_upper(losses),
            str(bet_variance): betting_variance(losses, losses.low, losses.high, delta / 3),
        }
        balls = HELD_OUT.enclose(
            N=part.size, delta=paid, lbar=measured, l_min=losses.low, l_max=losses.high, **variances
        )
        value = ceil_float(balls["value"])
        quantities = upper_quantities(balls) | {"alpha": part.smoothing} | variances
        best = min(METHODS, key=lambda method: quantities[str(method)])
        parts = [measured, quantities[str(best)]]
        terms = dict(zip(("held-out mean loss", "deviation"), add_up(value, parts), strict=True))
        return self.certificate(
            value=value,
            trivial=uniform_risk(part.cells),
            terms=terms,
            terms_of=("value", value),
            attribution={METHODS[best]: terms["deviation"]},
            quantities=quantities,
            spent=paid,
        )
