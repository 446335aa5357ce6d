r"""T8-code: the risk of a predictor that was written to a file of :math:`B` bytes and read back.

With probability at least :math:`1-\delta`, for all files at once,

.. math::
    L \le \hat L + \min\left\{ \ell_{\min} + M\,\mathrm{kl}^{-1}_+\left(\tfrac{\hat L-\ell_{\min}}M, c\right)
    - \hat L,\; \sqrt{2V_Wc} \right\} , \qquad
    c = \frac1N\left(8B\log2 + \log\frac{2(B+1)(B+2)}\delta\right) ,

where :math:`V_W` expresses the deviation of the betting bound (`conv4rec_bounds.betting`) as a variance.
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
from conv4rec_bounds.inversions import KlUpper
from conv4rec_bounds.rounding import Number, add_up, ceil_float, split_exactly, surprisal
from conv4rec_bounds.theorems.base import FIXED_PROFILE, Assumption, Theorem, given
from conv4rec_bounds.theorems.t9_held_out import betting_variance, mean_upper

__all__ = ["CompressedRisk", "file_weight"]

N, delta_symbol = sympy.symbols("N delta", positive=True)
low, high, empirical_risk, length = sympy.symbols("l_min l_max Lhat B", nonnegative=True)
bet_variance = sympy.Symbol("V_W", nonnegative=True)
loss_range = sympy.Symbol("M", positive=True)
share, level = sympy.symbols("u c", nonnegative=True)
divergence, betting = sympy.symbols("Delta_K Delta_W", real=True)
METHODS = {divergence: "kl", betting: "betting"}

COMPRESSED = Formula(
    value=empirical_risk + sympy.Min(*METHODS),
    where={
        loss_range: high - low,
        share: (empirical_risk - low) / loss_range,
        level: (8 * length * sympy.log(2) + sympy.log(2 * (length + 1) * (length + 2) / delta_symbol)) / N,
        divergence: low + loss_range * KlUpper(share, level) - empirical_risk,
        betting: sympy.sqrt(2 * bet_variance * level),
    },
)

TARGETS = {
    "independent": "risk of the smoothed decoded predictor (nats)",
    "finite pool": "mean loss of the smoothed decoded predictor over the scored users' own pools (nats)",
}


def file_weight(length: int) -> Fraction:
    r"""Return what the prior gives to each file of a length in bytes; the weights of all files sum to 1.

    >>> sum(256**length * file_weight(length) for length in range(100)) == 1 - Fraction(1, 101)
    True
    """
    return Fraction(1, 256**length * (length + 1) * (length + 2))


def _not_drawn_by_chance(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling == "neither":
        return (
            "the scored interactions are neither independent draws nor a random subset of a pool; this theorem needs "
            "one of the two; split at random, or use T9-pool on a random subset of the held-out part"
        )
    return None


def _no_blind_decoder(evidence: Evidence) -> str | None:
    if evidence.compressed is None:
        return (
            "no compressed predictor was given; write the model to a file, decode it, and pass the decoded "
            "predictor's log-probabilities on the scored part and the length of the file"
        )
    if not evidence.compressed.blind_decoder:
        return (
            "the decoder has seen the interactions that the predictor is scored on, so the length of the file "
            "measures nothing; expected a decoder made without them, for example from the profiles or from a part "
            "that is not scored"
        )
    return None


class CompressedRisk(Theorem):
    """T8-code: risk of a decoded file, for all files at once, by Chernoff and by betting, each with delta/2."""

    number = "T8-code"
    title = "Risk of a compressed predictor"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder, compressed, from the data it was fitted to"
    rate = r"\sqrt{B/N}"
    page = "theory/t8_code"
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
            "The decoder, which maps every file to one predictor with its smoothing, and the catalogue were made "
            "without the scored interactions; if these are a subset of a pool, they may depend on the pool as a "
            "whole, but on nothing that tells which of it is scored, as its other parts do. The predictor is what the "
            "decoder makes of the file whose length is given.",
            _no_blind_decoder,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 1_000_000,
        "delta": 0.05,
        "Lhat": 6.0,
        "l_min": 0.0,
        "l_max": 13.0,
        "B": 1_000,
        "V_W": 3.0,
    }
    moves = ("N", "delta", "B", "V_W", "l_max", "Lhat")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return COMPRESSED

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk of the decoded predictor."""
        file = given(evidence.compressed)
        paid = [budget.spend(f"{self.number}: {method}", delta / 2) for method in METHODS.values()]
        losses = file.losses
        # Rounding up must not lift a predictor that misses everything out of the range of its losses.
        measured = min(mean_upper(losses), losses.high)
        variance = betting_variance(losses, losses.low, losses.high, delta / 2 * file_weight(file.length))
        inputs: dict[str, Number] = {"N": losses.losses.size, "delta": delta, "B": file.length, "Lhat": measured}
        balls = COMPRESSED.enclose(**inputs, l_min=losses.low, l_max=losses.high, V_W=variance)
        # The exact value lies in the range of the losses; rounding up may leave it.
        value = min(ceil_float(balls["value"]), losses.high)
        parts = add_up(value, [measured, value - measured])
        terms = dict(zip(("mean loss of the decoded predictor", "deviation"), parts, strict=True))
        named = {str(bet_variance): variance, "B": float(file.length), "alpha": file.smoothing}
        # The price in nats: the bits of every part of the file, its length, and the confidence.
        price = {name: bits * math.log(2) for name, bits in file.bits.items()}
        price |= {"length of the file": math.log((file.length + 1) * (file.length + 2))}
        price |= {"confidence": surprisal(delta / 2)}
        split = split_exactly(terms["deviation"], list(price.values()))
        named |= {f"bits of {name}": float(bits) for name, bits in file.bits.items()}
        return self.certificate(
            value=value,
            trivial=file.uniform_risk,
            target=TARGETS[evidence.protocol.sampling],
            terms=terms,
            terms_of=("value", value),
            attribution=dict(zip(price, split, strict=True)),
            quantities=upper_quantities(balls) | named,
            spent=sum(paid, start=Fraction(0)),
        )
