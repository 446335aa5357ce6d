r"""T9: the risk of any predictor from held-out interactions that are independent given their users.

With probability at least :math:`1-\delta`, half of it for each of the two inequalities,

.. math::
    L \le \bar\ell + \min\left\{ (b-a)\sqrt{\tfrac{\log(2/\delta)}{2N}},\;
    \sqrt{\tfrac{2V\log(4/\delta)}{N}} + \tfrac{7(b-a)\log(4/\delta)}{3(N-1)} \right\} .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence, HeldOut
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.loss import SmoothedLosses, uniform_risk
from conv4rec_bounds.rounding import Number, add_up, ceil_float
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["HeldOutRisk", "mean_upper", "untouched"]

N, delta_symbol = sympy.symbols("N delta", positive=True)
low, mean = sympy.symbols("l_min lbar", nonnegative=True)
high, variance = sympy.symbols("l_max V", nonnegative=True)
loss_range = sympy.Symbol("M", nonnegative=True)
hoeffding, bernstein = sympy.symbols("Delta_H Delta_B", positive=True)

HELD_OUT = Formula(
    value=mean + sympy.Min(hoeffding, bernstein),
    where={
        loss_range: high - low,
        hoeffding: loss_range * sympy.sqrt(sympy.log(2 / delta_symbol) / (2 * N)),
        bernstein: sympy.sqrt(2 * variance * sympy.log(4 / delta_symbol) / N)
        + 7 * loss_range * sympy.log(4 / delta_symbol) / (3 * (N - 1)),
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


def untouched(part: HeldOut) -> str | None:
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
    if evidence.protocol.sampling != "independent":
        return (
            "the held-out interactions are not independent, as ratings that cannot repeat never are; this theorem "
            "needs independent draws given the users; use T9-pool, which needs a random subset of the held-out pool"
        )
    return None


class HeldOutRisk(Theorem):
    """T9: risk of the smoothed predictor, the better of Hoeffding and empirical Bernstein, each with delta/2."""

    number = "T9"
    title = "Held-out risk"
    target = "risk of the smoothed predictor (nats)"
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
        "l_min": 0.0,
        "l_max": 13.0,
    }
    moves = ("N", "delta", "V", "l_max", "lbar")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return HELD_OUT

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk of the smoothed predictor."""
        part = given(evidence.held_out)
        paid = budget.spend(f"{self.number}: Hoeffding", delta / 2)
        paid += budget.spend(f"{self.number}: empirical Bernstein", delta / 2)
        losses = part.losses
        measured = mean_upper(losses)
        balls = HELD_OUT.enclose(
            N=part.size,
            delta=paid,
            lbar=measured,
            V=variance_upper(losses),
            l_min=losses.low,
            l_max=losses.high,
        )
        value = ceil_float(balls["value"])
        quantities = upper_quantities(balls) | {"alpha": part.smoothing, "V": variance_upper(losses)}
        parts = [measured, min(quantities[str(hoeffding)], quantities[str(bernstein)])]
        terms = dict(zip(("held-out mean loss", "deviation"), add_up(value, parts), strict=True))
        best = "Hoeffding" if quantities[str(hoeffding)] <= quantities[str(bernstein)] else "empirical Bernstein"
        return self.certificate(
            value=value,
            trivial=uniform_risk(part.cells),
            terms=terms,
            terms_of=("value", value),
            attribution={best: terms["deviation"]},
            quantities=quantities,
            spent=paid,
        )
