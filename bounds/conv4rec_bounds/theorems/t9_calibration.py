r"""T9-calibration: the calibration error of J events on bins fixed beforehand, from above and from below.

With :math:`Z_t = 1\{\text{event}\}-p_t` and :math:`\hat E = \sum_b|\frac1N\sum_{t\in b}Z_t|`, with probability at least
:math:`1-\delta`, a 2J-th of it for either end of each event,

.. math::
    E \le \hat E + \sqrt{\tfrac{2V_E\log(2J/\delta)}{N}} ,

where :math:`V_E` expresses the deviation of a betting bound (`conv4rec_bounds.absolute_means`) as a variance.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy
from numpy.typing import NDArray

from conv4rec_bounds.absolute_means import absolute_means_lower, absolute_means_upper
from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number, add_up, exact
from conv4rec_bounds.theorems.base import Assumption, Theorem, given
from conv4rec_bounds.theorems.t9_held_out import untouched
from conv4rec_bounds.theorems.t9_parts import neither_draws_nor_a_pool
from conv4rec_bounds.theorems.t9_users import deviation_variance

__all__ = ["CalibrationError"]

N, J, delta_symbol = sympy.symbols("N J delta", positive=True)
measured_error, bet_variance, deviation = sympy.symbols("Ehat V_E Delta_E", nonnegative=True)

CALIBRATION = Formula(
    value=measured_error + deviation,
    where={deviation: sympy.sqrt(2 * bet_variance * sympy.log(2 * J / delta_symbol) / N)},
)


def binned_error_upper(values: NDArray[np.float64], bins: NDArray[np.int64]) -> float:
    """Return a float that is not below the sum over bins of the absolute means, each mean over all interactions."""
    total = math.fsum(abs(math.fsum(values[bins == b])) for b in np.unique(bins)) / values.size
    # Differences of a probability and 0 or 1 are rounded by less than 2^-53, the sums by less than a relative 2^-52.
    return total * (1 + 8 * 2.0**-53) + 2.0**-52


def _touched(evidence: Evidence) -> str | None:
    part = evidence.binned_events
    if part is None:
        return (
            "no events with probabilities in bins were given; pass, for interactions that training never saw, whether "
            "each event happened, its probability, and its bin"
        )
    if not part.blind:
        return (
            "the bins were chosen with a look at the held-out part, so that errors may cancel in them; choose bins on "
            "the training or validation part"
        )
    return untouched(part)


def _sampling(evidence: Evidence) -> str | None:
    return neither_draws_nor_a_pool(evidence, given(evidence.binned_events))


class CalibrationError(Theorem):
    """T9-calibration: binned calibration errors, by betting on all signs of their bins at once."""

    number = "T9-calibration"
    title = "Calibration error"
    target = "calibration error of an event's probability on the given bins"
    claim = "recovery of the sampling distribution: what probabilities of levels are worth"
    rate = r"\sqrt{\log J/N}"
    page = "theory/t9_calibration"
    assumptions = (
        Assumption(
            "A1",
            "Training and tuning have not seen the held-out interactions; events and bins were chosen, and the "
            "catalogue (items and levels) was fixed, without them.",
            _touched,
        ),
        Assumption(
            "A2",
            "Given the users, masks and everything that made the model and the bins, held-out interactions are "
            "independent, each from its user's law; or they are a uniformly random proper subset of fixed size of a "
            "finite pool.",
            _sampling,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "J": 1, "delta": 0.05, "Ehat": 0.02, "V_E": 0.2}
    moves = ("N", "J", "delta", "V_E", "Ehat")

    @property
    def formula(self) -> Formula:
        """The upper end for one of J events."""
        return CALIBRATION

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return both ends of every event's error under its name; the value is the upper end of the first."""
        part = given(evidence.binned_events)
        count = len(part.happened)
        sizes: dict[str, Number] = {"N": part.size, "J": count, "delta": delta}
        quantities: dict[str, float] = {}
        variances = []
        for name, happened in part.happened.items():
            shares = [
                budget.spend(f"{self.number}: {name}, {side}", delta / (2 * count)) for side in ("upper", "lower")
            ]
            values, bins = happened - part.probabilities[name], part.bins[name]
            measured = binned_error_upper(values, bins)
            distance = exact(absolute_means_upper(values, bins, shares[0])) - exact(measured)
            variance = deviation_variance(distance, part.size, shares[0])
            quantities |= {
                name: CALIBRATION.upper(**sizes, Ehat=measured, V_E=variance),
                f"{name}, lower end": absolute_means_lower(values, bins, shares[1]),
                f"{name}, sample error": measured,
                f"{name}, bins": float(np.unique(bins).size),
            }
            variances.append(variance)
        first = next(iter(part.happened))
        value, measured = quantities[first], quantities[f"{first}, sample error"]
        parts = add_up(value, [measured, value - measured])
        terms = dict(zip(("sample error", "deviation"), parts, strict=True))
        mixed = "users' laws" if part.pool is None else "pool"
        return self.certificate(
            value=value,
            trivial=1.0,
            target=f"calibration error of the probability of {first} on the given bins, held-out {mixed}",
            terms=terms,
            terms_of=("value", value),
            attribution={"betting": terms["deviation"]},
            quantities=quantities | {"J": float(count), str(bet_variance): variances[0]},
            spent=delta,
        )
