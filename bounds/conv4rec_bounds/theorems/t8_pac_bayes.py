r"""T8: the risk of predictors drawn from a posterior, from the interactions that the posterior was fitted to.

With probability at least :math:`1-\delta`, the mean smoothed loss :math:`\hat L` of :math:`K` draws
:math:`\theta_k\sim\rho` and the mean :math:`L` of their risks satisfy

.. math::
    \mathrm{kl}\left(\tfrac{\hat L-\ell_{\min}}M \middle\| \tfrac{L-\ell_{\min}}M\right) \le
    \frac1N\left(\frac1K\sum_k\log\frac{d\rho}{d\pi}(\theta_k) + \log\frac{\bar\xi(N)}\delta\right) .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy
from flint import arb, ctx

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.inversions import KlUpper
from conv4rec_bounds.rounding import PRECISION_BITS, Number, add_up, ceil_float, exact, split_exactly, surprisal
from conv4rec_bounds.theorems.base import FIXED_PROFILE, Assumption, Theorem, given

__all__ = ["PacBayes"]

N, delta_symbol = sympy.symbols("N delta", positive=True)
low, high, empirical_risk = sympy.symbols("l_min l_max Lhat", nonnegative=True)
log_ratio, raw_level = sympy.symbols("D c_0", real=True)
loss_range, moment = sympy.symbols("M xi", positive=True)
share, level = sympy.symbols("u c", nonnegative=True)

PAC_BAYES = Formula(
    value=low + loss_range * KlUpper(share, level),
    where={
        loss_range: high - low,
        moment: sympy.sqrt(sympy.pi * N / 2) * (1 + 1 / (12 * N)) + sympy.Rational(2, 3),
        raw_level: (log_ratio + sympy.log(moment / delta_symbol)) / N,
        # The divergence is never negative: wherever the bound's event holds, the level is not below zero.
        level: sympy.Max(0, raw_level),
        share: (empirical_risk - low) / loss_range,
    },
)

TARGETS = {
    "independent": "mean risk of the drawn smoothed predictors (nats)",
    "finite pool": "mean loss of the drawn smoothed predictors over the scored users' own pools (nats)",
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
            "on the scored part and the logarithms of posterior over prior"
        )
    if not evidence.posterior.blind_prior:
        return (
            "the prior has seen the interactions that the draws are scored on, so its distance from the posterior "
            "measures nothing; expected a prior made without them, for example from the profiles or from a part that "
            "is not scored"
        )
    return None


def upper_mean(numbers: list[float]) -> float:
    """Return a float that is not below the exact mean."""
    with ctx.workprec(PRECISION_BITS):
        return ceil_float(sum((exact(number) for number in numbers), start=arb(0)) / len(numbers))


class PacBayes(Theorem):
    """T8: risk of draws from a posterior by the PAC-Bayes-kl inequality, all scored data used for the fit as well."""

    number = "T8"
    title = "PAC-Bayes risk of drawn predictors"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder, from the data it was fitted to"
    rate = r"\sqrt{(\mathrm{KL}+\log N)/N}"
    page = "theory/t8"
    assumptions = (
        FIXED_PROFILE,
        Assumption(
            "A2",
            "Given users, profiles and masks, the scored interactions are independent, each from its user's law (or a "
            "uniformly random subset of a finite pool outside the profiles; a user's law is then that of his own "
            "pool).",
            _not_drawn_by_chance,
        ),
        Assumption(
            "A3",
            "The prior on predictors, with the sizes, activations and seed from which it is built, the smoothing and "
            "the catalogue were made without the scored interactions; if these are a subset of a pool, they may depend "
            "on the pool as a whole, but on nothing that tells which of it is scored, as its other parts do. Given the "
            "interactions and all that chose the posterior, each draw has the posterior's law, and none was dropped.",
            _no_blind_prior,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 1_000_000,
        "delta": 0.05,
        "Lhat": 6.0,
        "l_min": 0.0,
        "l_max": 13.0,
        "D": 10_000.0,
    }
    moves = ("N", "delta", "D", "l_max", "Lhat")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return PAC_BAYES

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified mean risk of the draws.

        Raises
        ------
        RefusedError
            If the draws are so much likelier under the prior that the divergence would have to be negative.
        """
        drawn = given(evidence.posterior)
        paid = budget.spend(f"{self.number}: the scored interactions and the draws", delta)
        measured = min(upper_mean(drawn.risks.tolist()), drawn.high)
        ratio = upper_mean(drawn.log_ratios.tolist())
        balls = PAC_BAYES.enclose(N=drawn.size, delta=paid, Lhat=measured, l_min=drawn.low, l_max=drawn.high, D=ratio)
        if balls[str(raw_level)] < 0:
            raise RefusedError(
                f"the draws' mean log-ratio {ratio:g} is so far below 0 that no losses agree with it: either the "
                f"exceptional event of probability {float(paid):g} has happened or the log-ratios are wrong; expected "
                "logarithms of posterior over prior at the draws; check their sign"
            )
        # The exact value lies in the range of the losses; rounding up may leave it.
        value = min(ceil_float(balls["value"]), drawn.high)
        parts = add_up(value, [measured, value - measured])
        terms = dict(zip(("mean loss of the draws", "deviation"), parts, strict=True))
        quantities = upper_quantities(balls) | {str(log_ratio): ratio, "K": float(drawn.risks.size)}
        # A draw may be likelier under the prior than under the posterior; such a gain is no complexity.
        nats = [max(0.0, ratio), math.log(quantities[str(moment)]), surprisal(paid)]
        names = ("posterior against prior", "moment of the divergence", "confidence")
        split = split_exactly(terms["deviation"], nats)
        return self.certificate(
            value=value,
            trivial=drawn.uniform_risk,
            target=TARGETS[evidence.protocol.sampling],
            terms=terms,
            terms_of=("value", value),
            attribution=dict(zip(names, split, strict=True)),
            quantities=quantities,
            spent=paid,
        )
