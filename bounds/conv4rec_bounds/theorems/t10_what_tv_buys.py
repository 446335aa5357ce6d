r"""T10: what a bound on the total variation buys, for sure.

With :math:`\mathrm{TV} \le \tau` and the items as they are truly consumed,

.. math::
    \mathbb E_{Q}\,\mathrm{TV}\left(Q(\cdot\mid i,j), P(\cdot\mid i,j)\right) \le \tau(2-\tau) ,

and :math:`\tau` also bounds what a list of recommendations loses and what a pool of hidden gems holds at least.

Examples
--------
>>> EXPLICIT.upper(tau=0.125), LEVEL_ERROR.upper(tau=0.125, r_min=1, r_max=5), REGRET.upper(tau=0.125)
(0.234375, 0.9375, 0.25)
>>> GEMS.lower(tau=0.125, P_G=0.5, P_high=0.375)
0.5
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["EXPLICIT", "GEMS", "LEVEL_ERROR", "REGRET", "WhatTotalVariationBuys"]

tau, lowest, highest, pool_high = sympy.symbols("tau r_min r_max P_high", nonnegative=True)
pool_mass = sympy.Symbol("P_G", positive=True)
capped = sympy.Symbol("t", nonnegative=True)
AT_MOST_1 = {capped: sympy.Min(1, tau)}

EXPLICIT = Formula(value=capped * (2 - capped), where=AT_MOST_1)
r"""Mean total variation between the laws of the level of an item, over truly consumed items; tau in [0, 1].

A larger number counts as 1, here and in the next formula.
"""

LEVEL_ERROR = Formula(value=(highest - lowest) * capped * (2 - capped), where=AT_MOST_1)
r"""Mean error of the expected level of an item, over truly consumed items; the levels lie between two values."""

REGRET = Formula(value=sympy.Min(1, 2 * tau), where={})
r"""Mean probability, over users, that the best K items catch the next item and the model's K items do not, net."""

GEMS = Formula(value=sympy.Max(0, (pool_high - tau) / pool_mass), where={})
r"""Least probability of a high level in a pool to which the model gives :math:`P(G)` and :math:`P(\text{high},G)`."""


def _no_total_variation(evidence: Evidence) -> str | None:
    if evidence.total_variation is None:
        return (
            "no total variation of the model to the truth is bounded; expected a certificate of it in the same "
            "report (T6, T7a or T7d), or total_variation with its users"
        )
    return None


class WhatTotalVariationBuys(Theorem):
    """T10: items, levels, recommendations and hidden gems from one total variation; nothing is paid."""

    number = "T10"
    title = "What total variation buys"
    target = "total variation of the level given the item (mean over truly consumed items)"
    claim = "the loss recovers the sampling distribution up to a small error in total variation"
    rate = r"2\,\mathrm{TV}"
    page = "theory/t10"
    assumptions = (
        Assumption(
            "A1",
            "The total variation between the model and the truth, as joint laws of user, item and level, is at most "
            "tau; levels, lists and pools are those of the same predictor, and means over users, those of the pool "
            "among them, are under the user mix of that total variation.",
            _no_total_variation,
        ),
    )
    deterministic = True
    example: ClassVar[Mapping[str, Number]] = {"tau": 0.05}
    moves = ("tau",)

    @property
    def formula(self) -> Formula:
        """The bound on the explicit part."""
        return EXPLICIT

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return all that the total variation says about the parts that the evidence has.

        A pool whose means are over another mix of users than the total variation's gets no lower end.
        """
        distance = given(evidence.total_variation)
        value = EXPLICIT.upper(tau=distance)
        # The value lies between tau and, up to its rounding, 2 tau: the difference is exact.
        conditioning = value - distance
        quantities = {"implicit": distance, "explicit": value, "regret": REGRET.upper(tau=distance)}
        if evidence.level_values is not None:
            ends = {"r_min": min(evidence.level_values), "r_max": max(evidence.level_values)}
            quantities["level error"] = LEVEL_ERROR.upper(tau=distance, **ends)
        if evidence.gem_pool is not None and evidence.gem_pool.users == evidence.total_variation_users:
            pool = {"P_G": evidence.gem_pool.mass, "P_high": evidence.gem_pool.high}
            quantities["hidden gems, lower end"] = GEMS.lower(tau=distance, **pool)
        return self.certificate(
            value=value,
            trivial=1.0,
            target=f"{self.target.removesuffix(')')}, {evidence.total_variation_users} users)",
            terms={"total variation": distance, "conditioning on the item": conditioning},
            terms_of=("value", value),
            attribution={"conditioning on the item": conditioning},
            quantities=quantities,
        )
