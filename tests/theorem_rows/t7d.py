"""T7d."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Prequential, Protocol, TruthLoss
from conv4rec_bounds.excess_loss import GRID
from conv4rec_bounds.theorems.t7d_transfer import TransferredTotalVariation
from theorem_rows.block_fits import block_fits
from theorem_rows.common import certified_value
from theorem_rows.row import Row
from theorem_rows.t7a import KNOWN, LOSS, TRUTH, by_hand, excess_inputs
from theorem_rows.t7b import BEFORE, FULL, SCORED, evidence, prequential, trained_before_scored


def again(given: Evidence, certificate: Certificate) -> float:
    return by_hand(LOSS - TRUTH, math.log(len(GRID) * 20) / given.prequential.size) + 0.01


def replicates() -> Iterator[tuple[float, float]]:
    for blocks in block_fits():
        found, _ = prequential(blocks, BEFORE)
        shipped = blocks.distance(np.exp(blocks.log_laws[-1]), *SCORED)
        yield certified_value(TransferredTotalVariation(), found), shipped


def trained_first() -> Iterator[tuple[float, float]]:
    yield from trained_before_scored(TransferredTotalVariation())


ROW = Row(
    theorem=TransferredTotalVariation(),
    inputs=st.builds(lambda values, d: values | {"d": d}, excess_inputs, st.floats(0, 1)),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, prequential=None), "no blocks"),
        (replace(FULL, prequential=Prequential(10, LOSS, KNOWN, 0.01, predictable=False)), "had seen interactions"),
        (replace(FULL, protocol=Protocol("finite pool")), "changes from block to block"),
        (replace(FULL, prequential=Prequential(9, LOSS, TruthLoss(2.0, "plug-in", coarse=True))), "groups of cells"),
        (replace(FULL, prequential=Prequential(10, LOSS, KNOWN)), "no distance was given"),
    ),
    falls_in=("N", "delta", "Lhat_star"),
    rises_in=("Lhat", "d"),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": trained_first},
)
