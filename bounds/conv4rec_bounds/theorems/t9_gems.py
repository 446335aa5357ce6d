r"""T9-gems: how often the items of a pool of hidden gems have a high level once consumed, from below.

For K pools that were fixed beforehand, into which :math:`N_k` held-out interactions fell, the share :math:`s_k` of them
with a high level, with probability at least :math:`1-\delta`, for all k at once,

.. math::
    P(\text{high}\mid G_k) \ge
    \max\left(\mathrm{kl}^{-1}_-\left(s_k, \tfrac1{N_k}\log\tfrac K\delta\right), p_0\right) ,

where the lower end :math:`p_0` comes from exact tails: of independent levels, whose chances may differ
(`conv4rec_bounds.unequal_chances`), or, where the counted interactions are a random subset of a finite pool, of draws
without replacement (`conv4rec_bounds.hypergeometric`).

Examples
--------
>>> GEMS.lower(N=1000, K=32, delta=Fraction(1, 20), s=Fraction(9, 10), p_0=0)
0.8624899180100913
>>> GEMS.lower(N=1000, K=32, delta=Fraction(1, 20), s=Fraction(9, 10), p_0=mean_chance_lower(900, 1000, 1 / 640))
0.8689622868946145
>>> GEMS.lower(N=1000, K=32, delta=Fraction(1, 20), s=Fraction(9, 10), p_0=Fraction(1756, 2000))
0.8779999999999999
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence, GemCounts
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.hypergeometric import hypergeometric_lower
from conv4rec_bounds.inversions import KlLower
from conv4rec_bounds.rounding import Number, add_up, exact, floor_float, split_exactly, surprisal
from conv4rec_bounds.theorems.base import Assumption, Theorem, given
from conv4rec_bounds.unequal_chances import mean_chance_lower

__all__ = ["GEMS", "HiddenGems", "lower_end"]

N, K, delta_symbol = sympy.symbols("N K delta", positive=True)
share, level, by_exact_tails = sympy.symbols("s c p_0", nonnegative=True)

GEMS = Formula(
    value=sympy.Max(KlLower(share, level), sympy.Min(share, by_exact_tails)),
    where={level: sympy.log(K / delta_symbol) / N},
)


def lower_end(name: str) -> str:
    """Return under which name the quantities of a certificate hold the lower end of a pool.

    >>> lower_end("all users, 0.8")
    'all users, 0.8, lower end'
    """
    return f"{name}, lower end"


def _not_blind(evidence: Evidence) -> str | None:
    found = evidence.gem_counts
    if found is None:
        return (
            "no pools of hidden gems were given; choose pairs of user and item without the held-out part, and count "
            "the held-out interactions in them and their high levels"
        )
    if not found.blind:
        return (
            "the pools were chosen with a look at the held-out part, so the luckiest of very many would always look "
            "good; expected pools from the model and the training part alone"
        )
    parts = (evidence.held_out, evidence.pool_sample)
    if not found.untouched or any(part is not None and not part.untouched for part in parts):
        return (
            "training or tuning has seen the held-out part in which the pools were counted; expected interactions that "
            "played no role before; split again and keep a part aside"
        )
    return None


def _not_by_chance(evidence: Evidence) -> str | None:
    found = given(evidence.gem_counts)
    if found.levels == "neither":
        return (
            "the levels are neither independent given users and items nor those of a random subset of a finite pool; "
            "declare the first if it is true, or draw a random half of the held-out part"
        )
    if found.pool == found.size:
        return (
            "the subset is the whole pool, whose share of high levels is then known and needs no inference; count a "
            "random proper subset"
        )
    return None


class HiddenGems(Theorem):
    """T9-gems: the probability of a high level in pools of hidden gems, by a tail bound for each and a union."""

    number = "T9-gems"
    title = "Hidden gems"
    target = "probability of a high level in a pool of hidden gems (mean over its held-out interactions)"
    claim = "hidden gems: items that are hardly found and would be enjoyed"
    rate = r"\sqrt{\log K/N}"
    page = "theory/t9_gems"
    side = "lower"
    assumptions = (
        Assumption(
            "A1",
            "The model, the pools, the set of levels and the word high were made without the held-out interactions (in "
            "a finite pool, levels and the word high may depend on the pool as a whole).",
            _not_blind,
        ),
        Assumption(
            "A2",
            "Given users and items of the held-out interactions and everything that made the model and the pools, "
            "their levels are independent, each from a law of its own (or the counted interactions are a uniformly "
            "random proper subset, of fixed size, of a finite held-out pool; the probability is then its share).",
            _not_by_chance,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {"N": 1_000, "K": 32, "delta": 0.05, "s": 0.9}
    moves = ("N", "K", "delta", "s")

    @property
    def formula(self) -> Formula:
        """The lower end of one of K pools."""
        return GEMS

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the lower end by exact tails in the reading of levels; where the share is no count over N, of fewer."""
        size, price = int(inputs["N"]), Fraction(inputs["delta"]) / int(inputs["K"])
        # A product that rounding has left just below a whole number is that number.
        count = math.floor(float(inputs["s"]) * size + 1e-6)
        return dict(inputs) | {str(by_exact_tails): mean_chance_lower(count, size, price)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the best lower end, of pools that were not looked at as a whole; the quantities hold those of all."""
        found = given(evidence.gem_counts)
        paid = budget.spend(f"{self.number}: all pools", delta)
        count = len(found.names)
        # Where nothing fell into a pool its lower end is 0, as if one low level had.
        sizes = [max(1, held) for held in found.in_pool.tolist()]
        shares = [Fraction(high, size) for high, size in zip(found.high_in_pool.tolist(), sizes, strict=True)]
        exact_ends = self._by_exact_tails(found, sizes, paid / count)
        balls = [
            GEMS.enclose(N=N_k, K=count, delta=paid, s=s, p_0=end)
            for N_k, s, end in zip(sizes, shares, exact_ends, strict=True)
        ]
        ends = [max(0.0, floor_float(ball["value"])) for ball in balls]
        # A pool that was looked at as a whole is known; what half of a pool tells of the rest comes first.
        whole = [False] * count if found.all_in_pool is None else (found.in_pool == found.all_in_pool).tolist()
        best = max(range(count), key=lambda k: (not whole[k], ends[k]))
        value, measured = ends[best], float(shares[best])
        terms = dict(zip(("certified share", "deviation"), add_up(measured, [value, measured - value]), strict=True))
        split = split_exactly(terms["deviation"], [math.log(count), surprisal(paid)])
        known = {"N": float(sizes[best]), "K": float(count), "s": measured, "base rate": found.high / found.size}
        known |= {str(by_exact_tails): floor_float(exact(exact_ends[best]))}
        return self.certificate(
            value=value,
            trivial=0.0,
            target=f"{self.target.removesuffix(')')}: {found.names[best]})",
            terms=terms,
            terms_of=(f"share of high levels in the pool {found.names[best]!r}", measured),
            attribution=dict(zip(("all pools", "confidence"), split, strict=True)),
            quantities=upper_quantities(balls[best])
            | known
            | {lower_end(name): end for name, end in zip(found.names, ends, strict=True)},
            spent=paid,
        )

    def _by_exact_tails(self, found: GemCounts, sizes: list[int], share: Fraction) -> list[Number]:
        """Return the lower end of each pool by exact tails, for a failure probability of ``share`` each."""
        high, whole = found.high_in_pool.tolist(), found.all_in_pool
        if whole is None:
            return [mean_chance_lower(h, size, share) for h, size in zip(high, sizes, strict=True)]
        rows = zip(high, found.in_pool.tolist(), whole.tolist(), strict=True)
        return [Fraction(hypergeometric_lower(h, n, m, share), m) if n else 0 for h, n, m in rows]
