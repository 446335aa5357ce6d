r"""T9-parts: the means of J named bounded losses of one model at once, from held-out interactions.

With probability at least :math:`1-\delta`, a J-th of it for each loss,

.. math::
    \mathbb E\bar\ell \le \bar\ell + \sqrt{\tfrac{2V_P\log(J/\delta)}{N}} ,

where :math:`V_P` expresses the deviation of the betting bound (`conv4rec_bounds.betting`) as a variance.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import BinnedEvents, Evidence, NamedLosses
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Assumption, Theorem, given
from conv4rec_bounds.theorems.t9_held_out import betting_variance, mean_upper, untouched

__all__ = ["HeldOutParts", "neither_draws_nor_a_pool"]

N, J, delta_symbol = sympy.symbols("N J delta", positive=True)
mean = sympy.Symbol("lbar", real=True)
bet_variance = sympy.Symbol("V_P", nonnegative=True)
deviation = sympy.Symbol("Delta_P", nonnegative=True)

PARTS = Formula(
    value=mean + deviation,
    where={deviation: sympy.sqrt(2 * bet_variance * sympy.log(J / delta_symbol) / N)},
)


def neither_draws_nor_a_pool(evidence: Evidence, part: NamedLosses | BinnedEvents) -> str | None:
    """Return the reason why a held-out part can be read neither as independent draws nor as a subset of a pool."""
    if part.pool == part.size:
        return "the sample is the whole pool, of which everything is known; score a random proper subset"
    if part.pool is None and evidence.protocol.sampling != "independent":
        return (
            "the held-out interactions were neither declared independent draws given the users nor given as a random "
            "subset of a pool; declare independence if it is true, or score a random proper subset and pass the "
            "pool's size"
        )
    return None


def _touched(evidence: Evidence) -> str | None:
    if evidence.named_losses is None:
        return "no named losses were given; pass bounded losses of interactions that training never saw"
    return untouched(evidence.named_losses)


def _sampling(evidence: Evidence) -> str | None:
    return neither_draws_nor_a_pool(evidence, given(evidence.named_losses))


class HeldOutParts(Theorem):
    """T9-parts: means of several bounded losses, by one betting bound for each."""

    number = "T9-parts"
    title = "Held-out losses of the parts"
    target = "mean of a named loss over the held-out users' laws or pool (nats)"
    claim = "a generalization bound for both tasks, which item and which level"
    rate = r"\sqrt{\log J/N}"
    page = "theory/t9_parts"
    assumptions = (
        Assumption(
            "A1",
            "Training and tuning have not seen the held-out interactions; predictors, losses and their intervals were "
            "chosen, and the catalogue (items and levels) was fixed, without them.",
            _touched,
        ),
        Assumption(
            "A2",
            "Given the users, masks and everything that made the predictors, held-out interactions are independent, "
            "each from its user's law; or they are a uniformly random proper subset of fixed size of a finite pool.",
            _sampling,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "J": 3, "delta": 0.05, "lbar": 1.4, "V_P": 0.5}
    moves = ("N", "J", "delta", "V_P", "lbar")

    @property
    def formula(self) -> Formula:
        """The bound on one of J losses."""
        return PARTS

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the upper ends of all means under their names; the value is that of the first."""
        part = given(evidence.named_losses)
        count = len(part.losses)
        paid = [budget.spend(f"{self.number}: {loss.name}", delta / count) for loss in part.losses]
        means = [mean_upper(loss.bounded) for loss in part.losses]
        variances = [
            betting_variance(loss.bounded, loss.low, loss.high, share)
            for loss, share in zip(part.losses, paid, strict=True)
        ]
        sizes: dict[str, Number] = {"N": part.size, "J": count, "delta": delta}
        ends = [PARTS.upper(**sizes, lbar=m, V_P=v) for m, v in zip(means, variances, strict=True)]
        # Of unlike signs the mean and the deviation may lie on a coarser grid than their sum, which is raised to it.
        deviation = math.nextafter(ends[0] - means[0], math.inf)
        first, value = part.losses[0], math.fsum([means[0], deviation])
        ends[0] = value
        quantities = {loss.name: end for loss, end in zip(part.losses, ends, strict=True)}
        quantities |= {f"{loss.name}, sample mean": m for loss, m in zip(part.losses, means, strict=True)}
        quantities |= {"J": float(count), str(bet_variance): variances[0]}
        terms = {"sample mean": means[0], "deviation": deviation}
        mixed = "users' laws" if part.pool is None else "pool"
        return self.certificate(
            value=value,
            trivial=first.trivial,
            target=f"{first.name}, mean over the held-out {mixed} ({first.unit})",
            terms=terms,
            terms_of=("value", value),
            attribution={"betting": terms["deviation"]},
            quantities=quantities,
            spent=sum(paid),
        )
