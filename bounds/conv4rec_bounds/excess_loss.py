r"""What T7a to T7d share: from the loss beyond the truth's own to total variation, over a finite grid of powers.

With :math:`g = \hat L - \hat L^*` and a price :math:`\Delta`, the exponents :math:`a_\lambda = \lambda g + \Delta`
bound :math:`-\log A_\lambda` for all :math:`\lambda\in\Lambda` at once, and Lemma 4 turns each into total variation.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

import sympy
from flint import arb, ctx

from conv4rec_bounds.affinity_range import AffinityRange
from conv4rec_bounds.certificate import WORTHLESS_MARGIN, Certificate
from conv4rec_bounds.evidence import Evidence, TruthLoss
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.rounding import PRECISION_BITS, ceil_float, exact, surprisal
from conv4rec_bounds.theorems.base import Assumption, Theorem

__all__ = ["GRID", "INDEPENDENT", "ExcessLoss", "excess_formula", "not_of_every_cell", "powers_price"]

GRID = tuple(Fraction(numerator, 64) for numerator in (1, 2, 4, 8, 16, 24, 32))
"""The powers lambda: small ones serve a loss far above the truth's, one half serves a loss close to it."""

N, delta_symbol = sympy.symbols("N delta", positive=True)
risk, truth_loss = sympy.symbols("Lhat Lhat_star", nonnegative=True)
gap = sympy.Symbol("g", real=True)
price = sympy.Symbol("Delta", real=True)
distances = sympy.symbols(f"v_1:{len(GRID) + 1}", nonnegative=True)
powers_price = sympy.log(len(GRID) / delta_symbol)

BASIS = {
    "known": "the truth's own loss is known",
    "realisable": "provided that the truth is a network of the class and its least loss is the global minimum (a local "
    "minimum makes the bound too small)",
    "plug-in": "nothing is assumed about the truth's form, whose loss is at least the plug-in entropy of the counts",
}


def excess_formula(cost: sympy.Expr, further: sympy.Expr = 0) -> Formula:
    """Return the least distance over the grid for a price ``cost`` of the exponent, plus what comes on top."""
    definitions = {gap: risk - truth_loss, price: cost}
    for distance, power in zip(distances, GRID, strict=True):
        power_number = sympy.Rational(power.numerator, power.denominator)
        # -log A is never negative, so an exponent below zero can be raised to zero.
        definitions[distance] = AffinityRange(sympy.Max(0, power_number * gap + price), power_number)
    return Formula(value=sympy.Min(*distances) + further, where=definitions)


def not_of_every_cell(loss: TruthLoss) -> str | None:
    """Return the reason why losses of coarse laws say nothing about the model's own laws."""
    if loss.coarse:
        return (
            "the losses are of segments of users and groups of cells; this theorem speaks of every user's law over all "
            "cells; use T7c, with one draw and a log-ratio of 0 for a single predictor"
        )
    return None


def _not_independent(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling != "independent":
        return (
            "the interactions are not independent draws: a pool without repeats has a law that is degenerate cell by "
            "cell, and changes from block to block; this theorem needs independent draws given the users; use T7c on "
            "groups of cells and a random subset of the pool"
        )
    return None


INDEPENDENT = Assumption(
    "A2",
    "Given users, profiles and masks, the interactions are independent, each from its user's law.",
    _not_independent,
)


class ExcessLoss(Theorem):
    """The certificate that T7a to T7d share."""

    claim = "the loss recovers the sampling distribution up to a small error in total variation"
    rate = r"\sqrt{1/N}"

    def of_exponent(
        self, balls: Mapping[str, arb], size: int, paid: Fraction, loss: TruthLoss, posterior: float | None = None
    ) -> Certificate:
        """Return the certificate whose terms make up the exponent at the best power.

        The price is shared by the powers, the confidence and, if there is one, the posterior's log-ratio.
        """
        quantities = upper_quantities(balls)
        best = best_power(quantities)
        with ctx.workprec(PRECISION_BITS):
            excess = ceil_float(balls[str(gap)] * exact(best))
        costs = {"powers": math.log(len(GRID)) / size, "confidence": surprisal(paid) / size}
        costs |= {} if posterior is None else {"posterior": posterior / size}
        spread = math.fsum(costs.values())
        return self.certificate(
            value=ceil_float(balls["value"]),
            trivial=1.0,
            margin=WORTHLESS_MARGIN,
            target=self.informed_target(loss),
            terms={"excess loss": excess, "price": spread},
            terms_of=(f"exponent at lambda = {best}", math.fsum([excess, spread])),
            attribution=costs,
            quantities=quantities | {"lambda": float(best)},
            spent=paid,
        )

    def informed_target(self, loss: TruthLoss) -> str:
        """Return the target with what its truth's loss rests on, so that levels of information are never mixed."""
        return f"{self.target}; {BASIS[loss.basis]}"


def best_power(quantities: Mapping[str, float]) -> Fraction:
    """Return the power of the grid whose distance is least."""
    return min(zip(GRID, distances, strict=True), key=lambda pair: quantities[str(pair[1])])[0]
