r"""T8: the risk of predictors drawn from a posterior, from the interactions that the posterior was fitted to.

With probability at least :math:`1-\delta`, the mean smoothed loss :math:`\hat L` of :math:`K` draws
:math:`\theta_k\sim\rho` and the mean :math:`L` of their risks satisfy, with :math:`D` the mean of
:math:`\log\frac{d\rho}{d\pi}(\theta_k)`,

.. math::
    \mathrm{kl}\left(\tfrac{\hat L-\ell_{\min}}M \middle\| \tfrac{L-\ell_{\min}}M\right) \le
    \frac1N\left(D + \log\frac{2\bar\xi(N)}\delta\right)
    \quad\text{and}\quad
    L \le \hat L + M\frac{D+\log(2G/\delta)}{\eta N} + \frac{-\log(1-\eta)-\eta}{\eta}\frac{V_b}M

for every rate :math:`\eta` of a grid of :math:`G`, where :math:`V_b` is the draws' mean square of the distance of the
loss from a number :math:`b` that was fixed without the scored interactions.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy
from flint import arb, ctx

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.inversions import KlUpper
from conv4rec_bounds.loss import SmoothedLosses
from conv4rec_bounds.rounding import PRECISION_BITS, Number, add_up, ceil_float, exact, split_exactly, surprisal
from conv4rec_bounds.theorems.base import FIXED_PROFILE, Assumption, Theorem, given

__all__ = ["BLIND_PRIOR", "DRAWN_BY_CHANCE", "RATES", "PacBayes", "best_rate", "square_upper", "upper_mean"]

RATES: tuple[float, ...] = tuple(2.0**-power for power in range(1, 9))
"""The grid of the rate of the Bernstein bound, on which a choice is free: each has its share of delta/2."""

N, delta_symbol, eta = sympy.symbols("N delta eta", positive=True)
low, high, empirical_risk = sympy.symbols("l_min l_max Lhat", nonnegative=True)
log_ratio, raw_level = sympy.symbols("D c_0", real=True)
loss_range, moment = sympy.symbols("M xi", positive=True)
share, level, square, bernstein_level = sympy.symbols("u c V_b c_B", nonnegative=True)
divergence, bernstein = sympy.symbols("Delta_K Delta_B", real=True)
METHODS = {divergence: "kl", bernstein: "Bernstein"}

PAC_BAYES = Formula(
    value=empirical_risk + sympy.Min(*METHODS),
    where={
        loss_range: high - low,
        moment: sympy.sqrt(sympy.pi * N / 2) * (1 + 1 / (12 * N)) + sympy.Rational(2, 3),
        raw_level: (log_ratio + sympy.log(2 * moment / delta_symbol)) / N,
        # The divergence is never negative: wherever the bound's event holds, the level is not below zero.
        level: sympy.Max(0, raw_level),
        share: (empirical_risk - low) / loss_range,
        divergence: low + loss_range * KlUpper(share, level) - empirical_risk,
        bernstein_level: sympy.Max(0, (log_ratio + sympy.log(2 * len(RATES) / delta_symbol)) / N),
        bernstein: loss_range * bernstein_level / eta + (-sympy.log(1 - eta) - eta) / eta * square / loss_range,
    },
)

TARGETS = {
    "independent": "mean risk of the drawn smoothed predictors (nats)",
    "finite pool": "mean loss of the drawn smoothed predictors over the scored users' own pools (nats)",
    "pool left": "mean loss of the drawn smoothed predictors over what the prior left of the scored users' own pools "
    "(nats)",
}


def _not_drawn_by_chance(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling == "neither":
        return (
            "the scored interactions are neither independent draws nor a random subset of a pool; this theorem needs "
            "one of the two; split at random, or use T9-pool on a random subset of the held-out part"
        )
    return None


def _no_blind_prior(evidence: Evidence) -> str | None:
    if evidence.posterior is None:
        return (
            "no draws from a posterior were given; draw around the weights, and pass the draws' mean smoothed losses "
            "and their mean squares on the scored part, and the logarithms of posterior over prior"
        )
    if not evidence.posterior.blind_prior:
        return (
            "the prior has seen the interactions that the draws are scored on, so its distance from the posterior "
            "measures nothing; expected a prior made without them, for example from the profiles or from a part that "
            "is not scored"
        )
    return None


DRAWN_BY_CHANCE = Assumption(
    "A2",
    "Given users, profiles and masks, the scored interactions are independent, each from its user's law (or a "
    "uniformly random subset of a finite pool outside the profiles; a user's law is then that of his own "
    "pool).",
    _not_drawn_by_chance,
)
BLIND_PRIOR = Assumption(
    "A3",
    "The prior on predictors, with the sizes, activations and seed from which it is built, the smoothing and "
    "the catalogue were made without the scored interactions; if these are a subset of a pool, they may depend "
    "on the pool as a whole, but on nothing that tells which of it is scored, as its other parts do. "
    "Interactions that made the prior were set apart at random beforehand: they are not scored, and not in "
    "the pool. (That a prior's weights were made from nothing else is trusted, not checked.) Given the "
    "interactions and all that chose the posterior, each draw has the posterior's law, and none was dropped.",
    _no_blind_prior,
)


def upper_mean(numbers: list[float]) -> float:
    """Return a float that is not below the exact mean."""
    with ctx.workprec(PRECISION_BITS):
        return ceil_float(sum((exact(number) for number in numbers), start=arb(0)) / len(numbers))


def square_upper(losses: SmoothedLosses, centre: float) -> float:
    """Return a float that is not below the exact mean square of the distance of the exact losses from a number."""
    mean = math.fsum(np.square(losses.losses - centre)) / losses.losses.size
    # The factors cover the roundings of the differences, the squares and the mean.
    root = math.sqrt(mean) * (1 + 8 * 2.0**-53) + 2 * losses.error
    return math.nextafter(root * root * (1 + 8 * 2.0**-53), math.inf)


def best_rate(price: float, square: float) -> float:
    r"""Return the rate of the grid at which :math:`(c+(-\log(1-\eta)-\eta)v)/\eta` is least, c being the price.

    Parameters
    ----------
    price
        :math:`c`, what the draws cost for each interaction.
    square
        :math:`v`, the mean square in units of the squared range.

    Examples
    --------
    >>> best_rate(0.001, 0.02), best_rate(1.0, 0.02)
    (0.25, 0.5)
    """
    return min(RATES, key=lambda rate: (price - (math.log1p(-rate) + rate) * square) / rate)


class PacBayes(Theorem):
    """T8: risk of draws from a posterior by the kl and a Bernstein inequality of PAC-Bayes, each with delta/2."""

    number = "T8"
    title = "PAC-Bayes risk of drawn predictors"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder, from the data it was fitted to"
    rate = r"\sqrt{(\mathrm{KL}+\log N)/N}"
    page = "theory/t8"
    assumptions = (
        FIXED_PROFILE,
        DRAWN_BY_CHANCE,
        BLIND_PRIOR,
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 1_000_000,
        "delta": 0.05,
        "Lhat": 6.0,
        "l_min": 0.0,
        "l_max": 13.0,
        "D": 10_000.0,
        "V_b": 3.0,
    }
    moves = ("N", "delta", "D", "V_b", "l_max", "Lhat")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return PAC_BAYES

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the rate of the grid that gives the least deviation."""
        size, ratio, spread = (float(inputs[name]) for name in ("N", "D", "V_b"))
        width = float(inputs["l_max"]) - float(inputs["l_min"])
        price = max(0.0, ratio + math.log(2 * len(RATES)) + surprisal(inputs["delta"])) / size
        return dict(inputs) | {str(eta): best_rate(price, spread / width / width)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified mean risk of the draws.

        Raises
        ------
        RefusedError
            If the draws are so much likelier under the prior that the divergence would have to be negative.
        """
        drawn, sampling = given(evidence.posterior), evidence.protocol.sampling
        paid = sum(
            (budget.spend(f"{self.number}: {method}", delta / 2) for method in METHODS.values()), start=Fraction(0)
        )
        measured = min(upper_mean(drawn.risks.tolist()), drawn.high)
        ratio = upper_mean(drawn.log_ratios.tolist())
        spread = upper_mean(drawn.squares.tolist())
        inputs: dict[str, Number] = {"N": drawn.size, "delta": paid, "Lhat": measured, "D": ratio, "V_b": spread}
        inputs = self.complete(inputs | {"l_min": drawn.low, "l_max": drawn.high})
        balls = PAC_BAYES.enclose(**inputs)
        if balls[str(raw_level)] < 0:
            raise RefusedError(
                f"the draws' mean log-ratio {ratio:g} is so far below 0 that no losses agree with it: either the "
                f"exceptional event of probability {float(paid / 2):g} has happened or the log-ratios are wrong; "
                "expected logarithms of posterior over prior at the draws; check their sign"
            )
        # The exact value lies in the range of the losses; rounding up may leave it.
        value = min(ceil_float(balls["value"]), drawn.high)
        parts = add_up(value, [measured, value - measured])
        terms = dict(zip(("mean loss of the draws", "deviation"), parts, strict=True))
        quantities = upper_quantities(balls) | {str(log_ratio): ratio, "K": float(drawn.risks.size)}
        quantities |= {str(square): spread, "b": drawn.centre, str(eta): float(inputs[str(eta)])}
        quantities |= {"N_1": float(drawn.prior_size)} if drawn.prior_size else {}
        by_kl = quantities[str(divergence)] <= quantities[str(bernstein)]
        # A draw may be likelier under the prior than under the posterior; such a gain is no complexity.
        price = {"posterior against prior": max(0.0, ratio)}
        price |= (
            {"moment of the divergence": math.log(quantities[str(moment)])}
            if by_kl
            else {"choice of the rate": math.log(len(RATES))}
        )
        price |= {"confidence": surprisal(paid / 2)}
        split = split_exactly(terms["deviation"], list(price.values()))
        return self.certificate(
            value=value,
            trivial=drawn.uniform_risk,
            target=TARGETS["pool left" if sampling == "finite pool" and drawn.prior_size else sampling],
            terms=terms,
            terms_of=("value", value),
            attribution=dict(zip(price, split, strict=True)),
            quantities=quantities,
            spent=paid,
        )
