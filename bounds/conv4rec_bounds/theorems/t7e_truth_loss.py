r"""T7e: what the truth's own mean loss is at least, whatever the truth: the plug-in conditional entropy of the counts.

For counts :math:`n_{sc}` of cells :math:`c` in segments :math:`s` and every family of laws that is the same throughout
each segment,

.. math::
    \hat L(f) \ge \frac1N\left(\sum_sn_s\log n_s - \sum_{s,c}n_{sc}\log n_{sc}\right) .
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import numpy as np
import sympy
from flint import arb, ctx
from numpy.typing import NDArray

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.evidence import CellCounts, Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import PRECISION_BITS, Number, ceil_float, floor_float
from conv4rec_bounds.theorems.base import Assumption, Theorem, given

__all__ = ["TruthsLeastLoss", "plug_in_entropy"]

N = sympy.Symbol("N", positive=True)
segment_sum, cell_sum = sympy.symbols("T_seg T_cell", nonnegative=True)

PLUG_IN = Formula(value=sympy.Max(0, (segment_sum - cell_sum) / N), where={})


def count_sum(counts: NDArray[np.integer]) -> arb:
    r"""Return a ball that holds :math:`\sum_kn_k\log n_k`: one logarithm for each distinct count.

    >>> round(float(count_sum(np.array([2, 2, 1, 0]))), 6)
    2.772589
    """
    found, times = np.unique(counts[counts > 0], return_counts=True)
    with ctx.workprec(PRECISION_BITS):
        parts = (
            arb(many * count) * arb(count).log() for count, many in zip(found.tolist(), times.tolist(), strict=True)
        )
        return sum(parts, start=arb(0))


def plug_in_inputs(counts: CellCounts) -> dict[str, Number]:
    """Return the inputs of the formula, each rounded to the side that lowers the entropy."""
    return {
        "N": counts.size,
        "T_seg": max(0.0, floor_float(count_sum(counts.segments))),
        "T_cell": ceil_float(count_sum(counts.counts)),
    }


def plug_in_entropy(counts: CellCounts) -> float:
    r"""Return the plug-in conditional entropy :math:`\frac1N\sum_{s,c}n_{sc}\log(n_s/n_{sc})` in nats, rounded down.

    It is what a `TruthLoss` with basis ``"plug-in"`` takes for its value.

    >>> round(plug_in_entropy(CellCounts.of_table(np.array([[1, 1], [0, 2]]))), 6)
    0.346574
    """
    return PLUG_IN.lower(**plug_in_inputs(counts))


def _chosen_late(evidence: Evidence) -> str | None:
    if evidence.cell_counts is None:
        return "no counts were given; pass how often each cell was seen in each segment of users"
    if not evidence.cell_counts.blind:
        return (
            "segments or cells were chosen with a look at the counted interactions, whose laws then are not the "
            "truth's; expected a choice made before; group by the profiles, or by the catalogue"
        )
    return None


class TruthsLeastLoss(Theorem):
    """T7e: the truth's own mean loss is at least the plug-in conditional entropy, nothing being assumed."""

    number = "T7e"
    title = "Least loss of the truth"
    target = "the truth's own mean loss on the counted interactions, its law averaged over each segment's users (nats)"
    claim = "the loss recovers the sampling distribution up to a small error in total variation"
    rate = "SC/N"
    page = "theory/t7e"
    assumptions = (
        Assumption(
            "A1",
            "Segments of users and groups of cells were chosen without a look at the counted interactions.",
            _chosen_late,
        ),
    )
    side = "lower"
    deterministic = True
    example: ClassVar[Mapping[str, Number]] = {"N": 10_000, "T_seg": 69_077.0, "T_cell": 30_000.0}
    moves = ("N", "T_seg", "T_cell")

    @property
    def formula(self) -> Formula:
        """The bound."""
        return PLUG_IN

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the least mean loss of the truth; it holds for sure, so nothing is paid."""
        inputs = plug_in_inputs(given(evidence.cell_counts))
        value = PLUG_IN.lower(**inputs)
        return self.certificate(
            value=value,
            trivial=0.0,
            terms={"plug-in entropy": value},
            terms_of=("value", value),
            attribution={"cells given segments": value},
            quantities={name: float(number) for name, number in inputs.items()},
        )
