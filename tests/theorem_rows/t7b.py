"""T7b."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conv4rec_bounds import Certificate, Evidence, Prequential, Protocol, TruthLoss
from conv4rec_bounds.divergences import total_variation
from conv4rec_bounds.excess_loss import GRID
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_bounds.theorems.t7b_prequential import PrequentialTotalVariation
from theorem_rows.block_fits import SIZES, Blocks, block_fits
from theorem_rows.common import CELLS, certified_value, scored_evidence, unrefused_value
from theorem_rows.row import Row
from theorem_rows.t7a import KNOWN, LOSS, TRUTH, by_hand, excess_inputs

SCORED = (1, 2, 3, 4)
SIZE = sum(SIZES)
BEFORE = {block: block - 1 for block in SCORED}
INCLUDED = {block: block for block in SCORED}


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), prequential=Prequential(size, LOSS, KNOWN, distance=0.01))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    return by_hand(LOSS - TRUTH, math.log(len(GRID) * 20) / given.prequential.size)


def prequential(blocks: Blocks, predictors: dict[int, int]) -> tuple[Evidence, np.ndarray]:
    """Return the evidence of predictors given as block -> predictor, and the laws of their user-wise mixture."""
    mixture = blocks.mixture(predictors)
    loss = sum(blocks.loss(predictor, block) for block, predictor in predictors.items()) / SIZE
    mix = blocks.counts[list(SCORED)].sum(axis=(0, 2)) / SIZE
    part = Prequential(
        SIZE,
        loss,
        TruthLoss(blocks.truth_loss(*SCORED), "known"),
        distance=total_variation(mixture, np.exp(blocks.log_laws[-1]), mix),
        predictable=predictors == BEFORE,
    )
    return Evidence(cells=CELLS, protocol=Protocol("independent"), prequential=part), mixture


def replicates() -> Iterator[tuple[float, float]]:
    for blocks in block_fits():
        found, mixture = prequential(blocks, BEFORE)
        yield certified_value(PrequentialTotalVariation(), found), blocks.distance(mixture, *SCORED)


def trained_before_scored(theorem: Theorem) -> Iterator[tuple[float, float]]:
    """Train on each block first and score it afterwards."""
    for blocks in block_fits()[:100]:
        found, mixture = prequential(blocks, INCLUDED)
        yield unrefused_value(theorem, found), blocks.distance(mixture, *SCORED)


def trained_first() -> Iterator[tuple[float, float]]:
    yield from trained_before_scored(PrequentialTotalVariation())


def used_up_pool() -> Iterator[tuple[float, float]]:
    """Predict what is left of a pool without repeats: each loss falls, yet the mixture is far from the pool's law."""
    rng, size = np.random.default_rng(12), 200
    left = np.arange(size, 0, -1)
    # The cell at place k of the order was still there in blocks 0 to k.
    mixture = np.cumsum(1 / left) / size
    found = Evidence(
        cells=size,
        protocol=Protocol("finite pool"),
        prequential=Prequential(size, float(np.log(left).mean()), TruthLoss(math.log(size), "known")),
    )
    for _ in range(100):
        law = mixture[rng.permutation(size)][None]
        far = total_variation(np.full((1, size), 1 / size), law, np.ones(1))
        yield unrefused_value(PrequentialTotalVariation(), found), far


ROW = Row(
    theorem=PrequentialTotalVariation(),
    inputs=excess_inputs,
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, prequential=None), "no blocks"),
        (replace(FULL, prequential=Prequential(10, LOSS, KNOWN, predictable=False)), "had seen interactions"),
        (replace(FULL, protocol=Protocol("finite pool")), "changes from block to block"),
        (replace(FULL, prequential=Prequential(10, LOSS, TruthLoss(2.0, "plug-in", coarse=True))), "groups of cells"),
    ),
    falls_in=("N", "delta", "Lhat_star"),
    rises_in=("Lhat",),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": trained_first, "A2": used_up_pool},
)
