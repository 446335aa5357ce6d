r"""T11: what no estimator can do with N interactions, and what plain counting does.

For every estimator that sees N interactions in all, the supremum of its mean total variation over the laws that are
common to all users is at least

.. math::
    \mathcal R_a(N,q) = \frac q2 \sum_{k=0}^N \Pr\{k\}\,\mathbb E|X_k-\mathrm{med}X_k| , \qquad
    k\sim\mathrm{BetaBin}(N,a,(q-1)a), \quad X_k \sim \mathrm{Beta}(a+k, (q-1)a+N-k) .

Examples
--------
>>> round(BAYES_RISK.lower(N=10_000, q=26, a=9), 5), round(HISTOGRAM.upper(N=10_000, m=4, q=26), 5)
(0.01943, 0.05)
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.minimax import BAYES_RISK, good_prior
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["HISTOGRAM", "Limits"]

N, users, q = sympy.symbols("N m q", positive=True)

HISTOGRAM = Formula(value=sympy.Min(1, sympy.sqrt(users * (q - 1) / N) / 2), where={})
r"""Mean total variation of every user's histogram, at most, whatever the laws; m users have N scored interactions."""


def _not_independent(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling != "independent":
        return (
            "the interactions are not independent draws: a pool that is seen whole is known exactly; this limit "
            "needs independent draws given the users"
        )
    if evidence.seen is None:
        return (
            "it is not known how many interactions the estimator has seen: profiles and a validation part tell of the "
            "users' laws as well; pass seen, the number of all of them with the scored part"
        )
    return None


def _unequal_cells(evidence: Evidence) -> str | None:
    if evidence.cells < 2:
        return f"there is {evidence.cells} cell, and nothing to learn; expected at least 2"
    seen = [part.cells.min() for part in (evidence.held_out, evidence.pool_sample) if part is not None]
    masked = evidence.user_means is not None and evidence.user_means.masked
    hidden = evidence.network is not None and evidence.cells < evidence.network.cells
    if masked or hidden or any(least < evidence.cells for least in seen):
        return (
            "masks leave different cells to different users, whose laws are then not common; this limit needs one "
            "set of cells for all; train without a mask, or ask T9 what the model does"
        )
    return None


class Limits(Theorem):
    """T11: the worst law of the best estimator is at least as far as its mean under a Dirichlet prior."""

    number = "T11"
    title = "Limits"
    target = "mean total variation of any estimator on its worst law"
    claim = "the loss recovers the sampling distribution up to a small error in total variation: how small is possible"
    rate = r"\sqrt{q/N}"
    page = "theory/t11"
    assumptions = (
        Assumption(
            "A1",
            "All that the estimator sees of the users' laws is N interactions, or a function of them, which given the "
            "users are independent, each from its user's law: profiles, validation and scored part are all counted.",
            _not_independent,
        ),
        Assumption("A2", "All users have the same q unmasked cells, at least two.", _unequal_cells),
    )
    side = "lower"
    deterministic = True
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "q": 90}
    moves = ("N", "q")

    @property
    def formula(self) -> Formula:
        """The Bayes risk under a symmetric Dirichlet prior."""
        return BAYES_RISK

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the prior's weight."""
        return dict(inputs) | {"a": good_prior(float(inputs["N"]), float(inputs["q"]))}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the total variation below which no estimator can promise to stay in the mean, whatever the truth."""
        inputs = self.complete({"N": given(evidence.seen), "q": evidence.cells})
        value = BAYES_RISK.lower(**inputs)
        quantities = {"a": float(inputs["a"])}
        scored = evidence.scored
        if scored is not None and scored.users is not None:
            quantities["histogram, upper end"] = HISTOGRAM.upper(N=scored.size, m=scored.users, q=evidence.cells)
        return self.certificate(
            value=value,
            trivial=0.0,
            terms={"mean under the prior": value},
            terms_of=("value", value),
            attribution={"cells": value},
            quantities=quantities,
        )
