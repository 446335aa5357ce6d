r"""T9-users: the mean over users of the expected score of each one's held-out part, from below.

Scores :math:`S_i\in[0,1]` of N users are independent; their laws may differ. With probability at least
:math:`1-\delta`, a J-th of it for each of J kinds of scores,

.. math::
    \frac1N\sum_i\mathbb ES_i \ge \max\left\{0, \bar S - \sqrt{\tfrac{2V_U\log(J/\delta)}{N}}\right\} ,

where :math:`V_U` expresses the deviation of the betting bound (`conv4rec_bounds.betting`) as a variance.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy
from flint import arb, ctx
from numpy.typing import NDArray

from conv4rec_bounds.betting import betting_lower
from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import PRECISION_BITS, Number, add_up, ceil_float, exact
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["UserScoreMeans", "deviation_variance"]

N, J, delta_symbol = sympy.symbols("N J delta", positive=True)
mean, bet_variance, deviation = sympy.symbols("Sbar V_U Delta_S", nonnegative=True)

USERS = Formula(
    value=sympy.Max(0, mean - deviation),
    where={deviation: sympy.sqrt(2 * bet_variance * sympy.log(J / delta_symbol) / N)},
)


def deviation_variance(distance: arb, size: int, delta: Fraction) -> float:
    r"""Return, rounded up, the variance V for which :math:`\sqrt{2V\log(1/\delta)/N}` is a distance, or 0 below 0."""
    with ctx.workprec(PRECISION_BITS):
        return ceil_float(distance.max(arb(0)) ** 2 * size / (-2 * exact(delta).log()))


def mean_lower(scores: NDArray[np.float64]) -> float:
    """Return a float that is not above the exact mean of scores in [0, 1]: the sum and the division are rounded."""
    return max(0.0, math.fsum(scores) / scores.size * (1 - 4 * 2.0**-53))


def _touched(evidence: Evidence) -> str | None:
    part = evidence.user_scores
    if part is None:
        return "no scores of users were given; pass, for every user with a held-out part, its score in [0, 1]"
    if not part.untouched:
        return (
            "training or tuning has seen the held-out parts of the users; expected interactions that played no role "
            "before; split again and keep a part aside"
        )
    if part.size < 2:
        return f"{part.size} user has a score; expected at least 2; hold out parts of more users"
    return None


def _dependent(evidence: Evidence) -> str | None:
    part = given(evidence.user_scores)
    if part.whole_users:
        if evidence.protocol.users != "independent":
            return (
                "whole users were held out, but users were not declared independent draws from one population; "
                "declare it if it is true"
            )
        return None
    if not part.pools and evidence.protocol.sampling != "independent":
        return (
            "the users' held-out parts were neither declared independent draws given the users nor given as random "
            "subsets of each one's own pool, so their scores may depend on each other; declare the one that is true"
        )
    return None


class UserScoreMeans(Theorem):
    """T9-users: mean expected scores of users from below, by one betting bound for each kind of score."""

    number = "T9-users"
    title = "Scores of users"
    target = "mean over the held-out users of the expected score of a new held-out part of the same size"
    claim = "generalization of what a recommender is judged by"
    rate = r"\sqrt{\log J/N}"
    page = "theory/t9_users"
    side = "lower"
    assumptions = (
        Assumption(
            "A1",
            "Training and tuning have not seen the held-out parts of the users; the scores were chosen, and the "
            "catalogue was fixed, without them.",
            _touched,
        ),
        Assumption(
            "A2",
            "Given everything that made the model, the users and the sizes of their held-out parts, these parts are "
            "independent of each other: independent draws, or uniformly random subsets of each user's own pool (or "
            "users, with all they have, are independent draws from one population and were held out whole).",
            _dependent,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {"N": 1000, "J": 2, "delta": 0.05, "Sbar": 0.3, "V_U": 0.1}
    moves = ("N", "J", "delta", "V_U", "Sbar")

    @property
    def formula(self) -> Formula:
        """The bound on one of J kinds of scores."""
        return USERS

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the lower ends of all mean scores under their names; the value is that of the first."""
        part = given(evidence.user_scores)
        count = len(part.scores)
        sizes: dict[str, Number] = {"N": part.size, "J": count, "delta": delta}
        quantities: dict[str, float] = {}
        first: list[tuple[str, float, float]] = []
        for name, scores in part.scores.items():
            share = budget.spend(f"{self.number}: {name}", delta / count)
            measured = mean_lower(scores)
            distance = exact(measured) - exact(betting_lower(scores, share))
            variance = deviation_variance(distance, part.size, share)
            end = max(0.0, USERS.lower(**sizes, Sbar=measured, V_U=variance))
            quantities |= {f"{name}, lower end": end, f"{name}, sample mean": measured}
            first.append((name, end, variance))
        name, value, variance = first[0]
        measured = quantities[f"{name}, sample mean"]
        parts = add_up(measured, [value, measured - value])
        terms = dict(zip(("certified score", "deviation"), parts, strict=True))
        whom = (
            "expected score of a new user"
            if part.whole_users
            else "expected score of a new held-out part of the same size, mean over the held-out users"
        )
        return self.certificate(
            value=value,
            trivial=0.0,
            target=f"{name}: {whom}",
            terms=terms,
            terms_of=("mean score", measured),
            attribution={"betting": terms["deviation"]},
            quantities=quantities | {"J": float(count), str(bet_variance): variance},
            spent=delta,
        )
