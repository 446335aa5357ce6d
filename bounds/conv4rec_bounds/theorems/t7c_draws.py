r"""T7c: the total variation of an ensemble of drawn networks: the draws themselves are the predictor.

With probability at least :math:`1-\delta` over data and draws :math:`\theta_1..\theta_K\sim\rho`, :math:`g` and
:math:`\kappa` being the draws' mean loss beyond the truth's own and their mean log-ratio,

.. math::
    \mathrm{TV}\left(\tfrac1K\sum_kf_{\theta_k}\right) \le \min_{\lambda\in\Lambda} V_\lambda\left(
    \lambda g + \tfrac1N\left(\kappa + \log\tfrac{|\Lambda|}\delta\right)\right), \qquad
    \kappa = \frac1K\sum_k\log\frac{d\rho}{d\pi}(\theta_k) .
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy
from numpy.typing import NDArray

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence, TruthLoss
from conv4rec_bounds.excess_loss import ExcessLoss, N, excess_formula, powers_price
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import FIXED_PROFILE, Assumption, given

__all__ = ["DrawnTotalVariation"]

log_ratio = sympy.Symbol("kappa", real=True)
DRAWN = excess_formula((log_ratio + powers_price) / N)


def _seen_prior(evidence: Evidence) -> str | None:
    if evidence.ensemble is None:
        return "no draws were given; pass the losses and log-ratios of networks drawn from a posterior"
    if not evidence.ensemble.blind_prior:
        return (
            "the prior has seen the part that the draws are scored on, or the rest of its finite pool; expected a "
            "prior that was made without either; centre it at a network trained on interactions outside the scored "
            "part and its pool"
        )
    return None


def _no_law_to_compare(evidence: Evidence) -> str | None:
    sampling, coarse = evidence.protocol.sampling, given(evidence.ensemble).truth_loss.coarse
    if sampling == "independent" or (sampling == "finite pool" and coarse):
        return None
    return (
        "the interactions are not independent draws: a pool without repeats has a law that is degenerate cell by cell; "
        "this theorem needs independent draws given the users, or a random subset of a pool and losses of segments "
        "and groups of cells"
    )


def _grouped_late(evidence: Evidence) -> str | None:
    ensemble, counts = given(evidence.ensemble), evidence.cell_counts
    loss = ensemble.truth_loss
    if not loss.coarse:
        return None
    if not loss.blind or (counts is not None and not counts.blind):
        return (
            "segments or groups of cells were chosen with a look at the scored interactions; expected a choice made "
            "before; group by the profiles, or by the catalogue"
        )
    if loss.basis == "plug-in" and counts is not None and counts.size != ensemble.size:
        return (
            f"{counts.size} interactions were counted, but the draws were scored on {ensemble.size}; expected the "
            "plug-in entropy of the very interactions that were scored; count these"
        )
    return None


class DrawnTotalVariation(ExcessLoss):
    """T7c: total variation to the truth of the equal-weight ensemble of drawn networks."""

    number = "T7c"
    title = "Total variation, drawn networks"
    target = "total variation of the equal-weight ensemble of the draws"
    page = "theory/t7c"
    assumptions = (
        FIXED_PROFILE,
        Assumption(
            "A2",
            "The prior has not seen the scored part, nor any other interaction of its finite pool; the draws are all "
            "that were drawn from the posterior, and the log-ratios are theirs.",
            _seen_prior,
        ),
        Assumption(
            "A3",
            "Given users, profiles, masks and the prior, the scored interactions are independent, each from its "
            "user's law (or, for losses of segments and groups of cells, a uniformly random subset of a finite pool "
            "outside the profiles, none of which the prior has seen, scored or not; a user's law is then that of his "
            "own pool).",
            _no_law_to_compare,
        ),
        Assumption(
            "A4",
            "The truth's own mean loss on the same interactions is at least the number given, for the same laws: of "
            "every user over all cells, or of segments over groups of cells, chosen beforehand, where a segment's law "
            "is the mean over its scored users, of the truth as of each draw.",
            _grouped_late,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 10_000,
        "delta": 0.05,
        "Lhat": 6.02,
        "Lhat_star": 6.0,
        "kappa": 30.0,
    }
    moves = ("N", "delta", "Lhat", "Lhat_star", "kappa")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return DRAWN

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified total variation of the ensemble under the users of the scored part."""
        part = given(evidence.ensemble)
        paid = budget.spend(f"{self.number}: all powers at once", delta)
        ratio = exact_mean(part.log_ratios)
        balls = DRAWN.enclose(
            N=part.size, delta=paid, Lhat=exact_mean(part.risks), Lhat_star=part.truth_loss.value, kappa=ratio
        )
        certificate = self.of_exponent(balls, part.size, paid, part.truth_loss, posterior=float(ratio))
        if evidence.protocol.sampling == "finite pool":
            return replace(certificate, target=f"{certificate.target}; the truth is the pool's own law")
        return certificate

    def informed_target(self, loss: TruthLoss) -> str:
        """Return the target with its laws and what the truth's loss rests on."""
        laws = " (segments' mean laws over groups of cells)" if loss.coarse else " (mean over the scored users)"
        return super().informed_target(loss).replace(self.target, self.target + laws, 1)


def exact_mean(values: NDArray[np.float64]) -> Fraction:
    """Return the exact mean of floats.

    >>> exact_mean(np.array([0.5, 0.25]))
    Fraction(3, 8)
    """
    return sum((Fraction(value) for value in values.tolist()), start=Fraction(0)) / values.size
