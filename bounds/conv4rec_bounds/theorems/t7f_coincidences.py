r"""T7f: total variation by coincidences, nothing assumed of the truth and no entropy paid for.

For interactions in rounds, scored by how far earlier counts of their cell exceed the prediction, with probability at
least :math:`1-\delta`,

.. math::
    \mathrm{TV} \le d+\tfrac12\sqrt D, \qquad
    D = \frac{S+\frac{L_1}{Nt_1}+\frac{L_2}{Nt_2}}{1-t_2\,g\,a_2\,\rho}, \qquad
    g = \frac{e^x-1-x}{x^2},\; x = t_2b\beta .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import WORTHLESS_MARGIN, Certificate
from conv4rec_bounds.coincidences import LAWS, RATES, SCORES, coincidences
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.rounding import Number, ceil_float, split_exactly, surprisal
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["CoincidenceTotalVariation"]

N, delta_symbol, t1, t2, squares, rho, beta, heaviest = sympy.symbols("N delta t_1 t_2 a_2 rho beta b", positive=True)
distance = sympy.Symbol("d", nonnegative=True)
measured = sympy.Symbol("S", real=True)
of_scores, of_laws, x, bend = sympy.symbols("L_1 L_2 x g", positive=True)
divergence = sympy.Symbol("D", real=True)

POWERS = tuple(2.0**-power for power in range(3, 9))
"""The values of t_2 that are tried; all are paid for."""


def _rational(value: Fraction) -> sympy.Rational:
    return sympy.Rational(value.numerator, value.denominator)


COINCIDENCES = Formula(
    value=sympy.Min(1, distance + sympy.sqrt(sympy.Max(0, divergence)) / 2),
    where={
        of_scores: sympy.log(len(RATES) / (_rational(SCORES) * delta_symbol)),
        of_laws: sympy.log(len(POWERS) / (_rational(LAWS) * delta_symbol)),
        x: t2 * heaviest * beta,
        bend: (sympy.exp(x) - 1 - x) / x**2,
        divergence: (measured + of_scores / (N * t1) + of_laws / (N * t2)) / (1 - t2 * bend * squares * rho),
    },
)


def _touched(evidence: Evidence) -> str | None:
    if evidence.rounds is None:
        return "no rounds were given; pass the counts of untouched interactions in rounds, and the predictor's laws"
    if not evidence.rounds.untouched:
        return (
            "a law was made with interactions that it is compared with or with later ones, or profiles hold them; "
            "expected laws made before; split again and keep a part aside"
        )
    if not evidence.rounds.blind:
        return (
            "strata, cells or rounds were chosen with a look at the counted interactions; expected a choice made "
            "before; group by the training part, or by the catalogue"
        )
    return None


def _several_laws(evidence: Evidence) -> str | None:
    rounds, sampling = given(evidence.rounds), evidence.protocol.sampling
    if sampling == "finite pool":
        if rounds.pool is None:
            return "the sizes of the pools are missing; expected the number of pool interactions of each stratum"
        return None
    if sampling == "neither":
        return (
            "the interactions are neither independent draws nor a random subset of a pool; this theorem needs one of "
            "the two; take a random subset of the held-out part"
        )
    if rounds.pool is not None:
        return "pools were given for interactions that are declared independent draws; leave the pools out"
    if rounds.strata == "segments":
        return (
            "the interactions of a segment are draws from the laws of several users, and coincidences between users "
            "are too rare to bound the segment's mean law; make every user a stratum, or take a random subset of a pool"
        )
    return None


class CoincidenceTotalVariation(Theorem):
    """T7f: total variation to the truth at the rate of the square root of the number of cells."""

    number = "T7f"
    title = "Total variation by coincidences"
    target = "total variation (mean over strata by their interactions)"
    claim = "the loss recovers the sampling distribution up to a small error in total variation"
    rate = r"q^{1/4}/\sqrt N"
    page = "theory/t7f"
    assumptions = (
        Assumption(
            "A1",
            "Each stratum's law was made without the interactions of its rounds and of later ones, none of which is in "
            "the profiles that it reads; strata, cells and rounds were chosen without a look at their cells.",
            _touched,
        ),
        Assumption(
            "A2",
            "Given users, profiles and masks, the interactions are independent, and those of one stratum have one law "
            "(or strata are segments that were fixed beforehand, each with a finite pool of its own, of which its "
            "interactions are a uniformly random subset in a random order; its law is then that of the pool, and the "
            "predictor's depends neither on which interactions were drawn nor on their order).",
            _several_laws,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 10_000,
        "delta": 0.05,
        "S": 0.03,
        "t_1": 0.03,
        "a_2": 1.4,
        "rho": 3.0,
        "beta": 1.0,
        "b": 2.0,
        "d": 0.01,
    }
    moves = ("N", "delta", "S", "rho", "d")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return COINCIDENCES

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Return the inputs with the best t_2; all that are tried are paid for."""
        return dict(inputs) | {"t_2": min(POWERS, key=lambda power: _promised({**inputs, "t_2": power}))}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified total variation of the laws, or of a shipped model that is close to them."""
        rounds = given(evidence.rounds)
        paid = budget.spend(f"{self.number}: scores, laws and ceilings, all rates at once", delta)
        found = coincidences(rounds, paid)
        shared: dict[str, Number] = {"N": rounds.size, "delta": paid, "d": rounds.distance or 0.0}
        shared |= {"a_2": found.squares, "rho": found.rho, "beta": found.beta, "b": found.heaviest}
        points = [self.complete(shared | {"t_1": rate, "S": total}) for rate, total in found.scores]
        best = min(points, key=_promised, default=None)
        named: dict[str, Any] = {"target": self._informed(evidence), "spent": paid}
        named |= {"trivial": 1.0, "margin": WORTHLESS_MARGIN}
        if best is None or math.isinf(_promised(best)):
            return self._nothing(shared, named)
        balls = COINCIDENCES.enclose(**best)
        quantities = upper_quantities(balls)
        total, counted = quantities[str(divergence)], float(best["S"])
        if total < 0:
            raise RefusedError(
                "fewer interactions coincide than any law allows, but for a probability of delta; expected draws that "
                "may repeat; interactions that cannot are no independent draws: take a random subset of their pool"
            )
        parts = [counted, math.nextafter(total - counted, math.inf)]
        costs = [quantities[str(of_scores)] / float(best["t_1"]), quantities[str(of_laws)] / float(best["t_2"])]
        split = split_exactly(parts[1], costs)
        return self.certificate(
            value=ceil_float(balls["value"]),
            terms=dict(zip(("coincidences", "deviation"), parts, strict=True)),
            terms_of=("chi-square divergence", math.fsum(parts)),
            attribution=dict(zip(("scores", "laws that score"), split, strict=True)),
            quantities=quantities | {name: float(value) for name, value in best.items() if name not in ("N", "delta")},
            **named,
        )

    def _informed(self, evidence: Evidence) -> str:
        rounds = given(evidence.rounds)
        whose = "the predictor" if rounds.distance is None else "the shipped model"
        truth = "; the truth is the pool's own law" if evidence.protocol.sampling == "finite pool" else ""
        return f"total variation of {whose} ({rounds.resolution}){truth}; nothing is assumed about the truth's form"

    def _nothing(self, shared: Mapping[str, Number], named: Mapping[str, Any]) -> Certificate:
        """Return the trivial value: counts are too few for any of the rates."""
        return self.certificate(
            value=1.0,
            terms={"nothing to tell": 1.0},
            terms_of=("value", 1.0),
            attribution={"too few interactions for the cells": 1.0},
            quantities={name: float(value) for name, value in shared.items() if name not in ("N", "delta")},
            **named,
        )


def _promised(inputs: Mapping[str, Number]) -> float:
    """Return the divergence in floating point, infinite where the laws' noise eats it up."""
    power, size, unlikely = float(inputs["t_2"]), float(inputs["N"]), surprisal(inputs["delta"])
    exponent = power * float(inputs["b"]) * float(inputs["beta"])
    bent = (math.expm1(exponent) - exponent) / exponent**2 if exponent < 700 else math.inf
    rest = 1 - power * bent * float(inputs["a_2"]) * float(inputs["rho"])
    if not rest > 1e-3:
        return math.inf
    costs = (unlikely + math.log(len(RATES) / SCORES)) / float(inputs["t_1"])
    costs += (unlikely + math.log(len(POWERS) / LAWS)) / power
    return (max(0.0, float(inputs["S"]) + costs / size)) / rest
