"""T7e."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import CellCounts, Certificate, Evidence
from conv4rec_bounds.theorems.t7e_truth_loss import TruthsLeastLoss
from theorem_rows.common import scored_evidence
from theorem_rows.row import Row

SHARES = np.array([[5, 3, 2], [1, 0, 9]])


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), cell_counts=CellCounts.of_table(SHARES * (size // SHARES.sum())))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    shares = SHARES / SHARES.sum(axis=1, keepdims=True)
    seen = shares[shares > 0]
    return -float((seen * np.log(seen)).sum()) / 2


ROW = Row(
    theorem=TruthsLeastLoss(),
    inputs=st.builds(
        lambda size, segments, cells: {"N": size, "T_seg": segments, "T_cell": cells},
        st.integers(1, 10**9),
        st.floats(0, 1e11),
        st.floats(0, 1e11),
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, cell_counts=None), "no counts"),
        (replace(FULL, cell_counts=CellCounts.of_table(SHARES, blind=False)), "with a look at the counted"),
    ),
    falls_in=("N", "T_cell"),
    rises_in=("T_seg",),
    instead="bounds/test_t7.py::test_t7e_no_law_that_is_the_same_throughout_a_segment_does_better",
)
