r"""T8-paired: by how much predictors drawn from a posterior are better than one law that was fixed beforehand.

With probability at least :math:`1-\delta`, the mean :math:`\bar d` over :math:`K` draws :math:`\theta_k\sim\rho` and
:math:`N` scored interactions of the other law's smoothed loss less that of the draw satisfies

.. math::
    \text{margin} \ge \bar d - 2W\frac{D+\log(G/\delta)}{\eta N} - \frac{-\log(1-\eta)-\eta}{\eta}\frac{V_b}{2W}

for every rate :math:`\eta` of a grid of :math:`G`: the Bernstein form of T8 for differences in :math:`[-W,W]`.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import log
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula, upper_quantities
from conv4rec_bounds.rounding import Number, floor_float, floor_to_grid, split_exactly, surprisal
from conv4rec_bounds.theorems.base import FIXED_PROFILE, Assumption, Theorem, given
from conv4rec_bounds.theorems.t8_pac_bayes import BLIND_PRIOR, DRAWN_BY_CHANCE, RATES, best_rate, upper_mean

__all__ = ["PairedDraws"]

N, delta_symbol, eta, gap = sympy.symbols("N delta eta W", positive=True)
margin, log_ratio = sympy.symbols("dbar D", real=True)
level, square, deviation = sympy.symbols("c_B V_b Delta_B", nonnegative=True)

PAIRED = Formula(
    value=margin - deviation,
    where={
        level: sympy.Max(0, log_ratio + sympy.log(len(RATES) / delta_symbol)) / N,
        deviation: 2 * gap * level / eta + (-sympy.log(1 - eta) - eta) / eta * square / (2 * gap),
    },
)

MARGIN = "margin of the drawn smoothed predictors over the other smoothed law: its {} (nats)"
TARGETS = {
    "independent": MARGIN.format("risk less their mean risk"),
    "finite pool": MARGIN.format("mean loss less theirs, over the scored users' own pools"),
    "pool left": MARGIN.format("mean loss less theirs, over what the prior left of the scored users' own pools"),
}


def _no_other_law(evidence: Evidence) -> str | None:
    against = given(evidence.posterior).against
    if against is None:
        return (
            "no other law was given; pass the means and mean squares of the draws' smoothed losses less those of a law "
            "that was made without the scored interactions, as what is popular in the profiles is"
        )
    if not against.blind:
        return (
            "the other law was made or chosen with a look at the interactions that the draws are scored on, so one "
            "that misses them would look worse than it is; expected a law made without them, for example from the "
            "profiles and from what the prior has seen"
        )
    return None


class PairedDraws(Theorem):
    """T8-paired: margin of draws from a posterior over a law fixed beforehand, by a Bernstein inequality."""

    number = "T8-paired"
    title = "PAC-Bayes margin of drawn predictors"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder, from the data it was fitted to, beside another predictor"
    rate = r"\sqrt{\mathrm{KL}/N}"
    page = "theory/t8_paired"
    side = "lower"
    assumptions = (
        FIXED_PROFILE,
        DRAWN_BY_CHANCE,
        BLIND_PRIOR,
        Assumption(
            "A4",
            "The other law, over the same unmasked cells, and the choice of it were made without the scored "
            "interactions and, in a pool, without what tells which of it is scored; what made the prior may have made "
            "it, too.",
            _no_other_law,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        "N": 1_000_000,
        "delta": 0.05,
        "dbar": 0.3,
        "W": 14.0,
        "D": 100.0,
        "V_b": 0.5,
    }
    moves = ("N", "delta", "D", "V_b", "W", "dbar")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return PAIRED

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the rate of the grid that gives the least deviation."""
        size, ratio, spread, width = (float(inputs[name]) for name in ("N", "D", "V_b", "W"))
        price = max(0.0, ratio + log(len(RATES)) + surprisal(inputs["delta"])) / size
        return dict(inputs) | {str(eta): best_rate(price, spread / (2 * width) ** 2)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified margin of the draws over the other law."""
        drawn, sampling = given(evidence.posterior), evidence.protocol.sampling
        against = given(drawn.against)
        paid = budget.spend(f"{self.number}: Bernstein", delta)
        # The margin is the mean of the differences with the opposite sign: rounded down where they are rounded up.
        measured = floor_to_grid(-upper_mean(against.differences.tolist()))
        ratio, spread = upper_mean(drawn.log_ratios.tolist()), upper_mean(against.squares.tolist())
        inputs: dict[str, Number] = {"N": drawn.size, "delta": paid, "dbar": measured, "W": against.gap}
        inputs = self.complete(inputs | {"D": ratio, "V_b": spread})
        balls = PAIRED.enclose(**inputs)
        value = floor_to_grid(floor_float(balls["value"]))
        terms = {"certified margin": value, "deviation": measured - value}
        # A draw may be likelier under the prior than under the posterior; such a gain is no complexity.
        price = {"posterior against prior": max(0.0, ratio), "choice of the rate": log(len(RATES))}
        price |= {"confidence": surprisal(paid)}
        split = split_exactly(terms["deviation"], list(price.values()))
        quantities = upper_quantities(balls) | {name: float(inputs[name]) for name in ("D", "V_b", "W", "eta")}
        quantities |= {"K": float(against.differences.size), "b": against.centre}
        quantities |= {"N_1": float(drawn.prior_size)} if drawn.prior_size else {}
        return self.certificate(
            value=value,
            trivial=0.0,
            target=TARGETS["pool left" if sampling == "finite pool" and drawn.prior_size else sampling],
            terms=terms,
            terms_of=("measured margin", measured),
            attribution=dict(zip(price, split, strict=True)),
            quantities=quantities,
            spent=paid,
        )
