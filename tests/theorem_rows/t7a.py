"""T7a."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Protocol, TruthLoss, Untouched
from conv4rec_bounds.affinity_range import AffinityRange
from conv4rec_bounds.excess_loss import GRID
from conv4rec_bounds.theorems.t7a_point import PointTotalVariation
from theorem_rows.block_fits import FIRST, SIZES, block_fits
from theorem_rows.common import (
    CELLS,
    certified_value,
    confidences,
    risks,
    scored_evidence,
    unrefused_value,
)
from theorem_rows.row import Row

KNOWN = TruthLoss(2.0, "known")
LOSS, TRUTH = 2.01, 2.0

excess_inputs = st.fixed_dictionaries(
    {"N": st.integers(1, 10**9), "delta": confidences, "Lhat": risks, "Lhat_star": risks}
)


def by_hand(gap: float, price: float) -> float:
    """Return the least distance over the grid, in ordinary floating point."""
    exponents = [(max(0.0, float(power) * gap + price), float(power)) for power in GRID]
    return min(AffinityRange.fast(exponent, power) for exponent, power in exponents)


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), untouched=Untouched(size, LOSS, KNOWN))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    return by_hand(LOSS - TRUTH, math.log(len(GRID) * 20) / given.untouched.size)


def replicates() -> Iterator[tuple[float, float]]:
    for blocks in block_fits():
        part = Untouched(SIZES[0], blocks.loss(0, 1) / SIZES[0], TruthLoss(blocks.truth_loss(1), "known"))
        found = Evidence(cells=blocks.truth.cells, protocol=Protocol("independent"), untouched=part)
        yield certified_value(PointTotalVariation(), found), blocks.distance(np.exp(blocks.log_laws[0]), 1)


def scored_on_its_own_sample() -> Iterator[tuple[float, float]]:
    """Score fits on the interactions that they were fitted to, as if they had not seen them."""
    for blocks in block_fits()[:100]:
        loss, own = blocks.loss(0, 0) / FIRST, TruthLoss(blocks.truth_loss(0), "known")
        part = Untouched(FIRST, loss, own, untouched=False)
        found = Evidence(cells=CELLS, protocol=Protocol("independent"), untouched=part)
        yield unrefused_value(PointTotalVariation(), found), blocks.distance(np.exp(blocks.log_laws[0]), 0)


ROW = Row(
    theorem=PointTotalVariation(),
    inputs=excess_inputs,
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, untouched=None), "no untouched part"),
        (replace(FULL, untouched=Untouched(10, LOSS, KNOWN, untouched=False)), "has seen the part"),
        (replace(FULL, protocol=Protocol("neither")), "not independent draws"),
        (replace(FULL, protocol=Protocol("finite pool")), "degenerate cell by cell"),
        (replace(FULL, untouched=Untouched(10, LOSS, TruthLoss(2.0, "plug-in", coarse=True))), "groups of cells"),
    ),
    falls_in=("N", "delta", "Lhat_star"),
    rises_in=("Lhat",),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": scored_on_its_own_sample},
)
