r"""T9-lower: total variation from below, by events that happen more or less often than the model says.

For K events that were fixed beforehand, of share :math:`s_k` among N held-out interactions and of mean probability
:math:`p_k` under the model, with probability at least :math:`1-\delta`,

.. math::
    \mathrm{TV} \ge \max_k \max\left\{0,\; \mathrm{kl}^{-1}_-(s_k, c) - p_k,\; p_k - \mathrm{kl}^{-1}_+(s_k, c)\right\},
    \qquad c = \tfrac1N\log\tfrac{2K}\delta .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.inversions import KlLower, KlUpper
from conv4rec_bounds.rounding import Number, add_up, floor_float, split_exactly, surprisal
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["TotalVariationLower"]

N, K, delta_symbol = sympy.symbols("N K delta", positive=True)
share, probability, level = sympy.symbols("s p c", nonnegative=True)

LOWER = Formula(
    value=sympy.Max(0, KlLower(share, level) - probability, probability - KlUpper(share, level)),
    where={level: sympy.log(2 * K / delta_symbol) / N},
)


def _no_blind_events(evidence: Evidence) -> str | None:
    if evidence.events is None:
        return (
            "no events were given; choose events of user and cell without the held-out part, and pass how often each "
            "happened there and how probable the model calls it"
        )
    if not evidence.events.blind:
        return (
            "the events were chosen with a look at the held-out part, so the farthest of very many would always look "
            "far; expected events from the training part, or from the catalogue alone"
        )
    if not evidence.events.untouched or (evidence.held_out is not None and not evidence.held_out.untouched):
        return (
            "training or tuning has seen the held-out part in which the events were counted; expected interactions "
            "that played no role before; split again and keep a part aside"
        )
    return None


def _no_law_to_compare(evidence: Evidence) -> str | None:
    sampling, coarse = evidence.protocol.sampling, given(evidence.events).resolution
    if sampling == "independent" or (sampling == "finite pool" and coarse):
        return None
    return (
        "the held-out interactions are not independent draws: a pool without repeats has a law that is degenerate "
        "cell by cell, and every model is far from it; this theorem needs independent draws given the users, or a "
        "random subset of a pool and events that are unions of segments of users by groups of cells"
    )


def _rank(pair: tuple[Fraction, float], sizes: Mapping[str, Number]) -> tuple[float, float]:
    s, p = float(pair[0]), pair[1]
    return LOWER.number(**sizes, s=s, p=p), abs(s - p)


class TotalVariationLower(Theorem):
    """T9-lower: total variation of the model from below, by the Chernoff bound for each event and a union."""

    number = "T9-lower"
    title = "Total variation from below"
    target = "total variation of the model (mean over the held-out user mix)"
    claim = "the loss recovers the sampling distribution up to a small error in total variation (put to the test)"
    rate = r"\sqrt{\log K/N}"
    page = "theory/t9_lower"
    side = "lower"
    assumptions = (
        Assumption(
            "A1",
            "The model and the events were made without the held-out interactions, and the catalogue (items and "
            "levels) was fixed without them.",
            _no_blind_events,
        ),
        Assumption(
            "A2",
            "Given the users, masks and everything that made the model and the events, held-out interactions are "
            "independent, each from its user's law (or, for events that are unions of segments of users by groups of "
            "cells, a uniformly random subset of a finite held-out pool, whose law then stands for the truth).",
            _no_law_to_compare,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "K": 100, "delta": 0.05, "s": 0.3, "p": 0.2}
    moves = ("N", "K", "delta", "s", "p")

    @property
    def formula(self) -> Formula:
        """The bound that one of K events gives."""
        return LOWER

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the total variation that the farthest of all events certifies."""
        events = given(evidence.events)
        paid = budget.spend(f"{self.number}: all events, from both sides", delta)
        count = len(events.names)
        # A share is the fraction of whole numbers that it is: a float of it may lie beyond, and the value with it.
        shares = [Fraction(happened, events.size) for happened in events.counts.tolist()]
        pairs = list(zip(shares, events.probabilities.clip(max=1).tolist(), strict=True))
        # Every event holds, so any may be reported: the fast value chooses, the safe one is certified.
        sizes: dict[str, Number] = {"N": events.size, "K": count, "delta": paid}
        best = max(range(count), key=lambda k: _rank(pairs[k], sizes))
        s, p = pairs[best]
        balls = LOWER.enclose(**sizes, s=s, p=p)
        value = max(0.0, floor_float(balls["value"]))
        gap = float(abs(s - Fraction(p)))
        terms = dict(zip(("certified distance", "deviation"), add_up(gap, [value, gap - value]), strict=True))
        split = split_exactly(terms["deviation"], [math.log(2 * count), surprisal(paid)])
        return self.certificate(
            value=value,
            trivial=0.0,
            target=self._informed(evidence),
            terms=terms,
            terms_of=(f"gap of the event {events.names[best]!r}", gap),
            attribution=dict(zip(("all events, both sides", "confidence"), split, strict=True)),
            quantities=upper_quantities(balls) | {"s": float(s), "p": p, "K": float(count)},
            spent=paid,
        )

    def _informed(self, evidence: Evidence) -> str:
        """Return the target with its resolution, if it has one."""
        resolution = given(evidence.events).resolution
        if evidence.protocol.sampling == "finite pool":
            return f"total variation of the model to the pool's own law ({resolution})"
        return f"{self.target}, also over {resolution}" if resolution else self.target
