"""What the tests and the large verification both do to a theorem."""

from collections.abc import Callable, Mapping
from functools import cache

import mpmath
import numpy as np

from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number
from conv4rec_experiments.studies.coverage import Coverage, coverage, shrunk
from theorem_rows import ROWS
from theorem_rows.common import DELTA
from theorem_rows.row import Replicates, Row


def larger_and_smaller(row: Row, replicates: Replicates) -> np.ndarray:
    """Return what should be the larger (an upper bound, or the target of a lower one) and what the smaller."""
    bounds, targets = np.array(list(replicates)).T
    return np.array([bounds, targets] if row.theorem.side == "upper" else [targets, bounds])


@cache
def measured(number: str) -> np.ndarray:
    """Return the larger and the smaller of every replicate of a theorem."""
    return larger_and_smaller(ROWS[number], ROWS[number].replicates())


def covered(number: str) -> Coverage:
    """Count the misses of a theorem."""
    return coverage(*measured(number), DELTA)


def covered_when_shrunk(number: str) -> Coverage:
    """Count the misses of the same bound, divided by 1.1 times its median tightness."""
    larger, smaller = measured(number)
    return coverage(shrunk(larger, 1.1 * max(covered(number).tightness[1], 1.0)), smaller, DELTA)


def excess(
    row: Row, inputs: Mapping[str, Number], oracle: Callable[[Formula, Mapping[str, Number]], mpmath.mpf]
) -> mpmath.mpf:
    """Return by how much the safe value lies on the safe side of the true one, relatively; negative if it does not."""
    formula, true = row.theorem.formula, oracle(row.theorem.formula, inputs)
    safe = formula.upper(**inputs) - true if row.theorem.side == "upper" else true - formula.lower(**inputs)
    return safe / max(abs(true), mpmath.mpf(10) ** -290)
