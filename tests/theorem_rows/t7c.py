"""T7c."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from hypothesis import strategies as st

from conv4rec_bounds import CellCounts, Certificate, Ensemble, Evidence, Protocol, TruthLoss
from conv4rec_bounds.excess_loss import GRID
from conv4rec_bounds.theorems.t7c_draws import DrawnTotalVariation
from theorem_rows.block_fits import FIRST, SIZES, Blocks, block_fits
from theorem_rows.common import CELLS, certified_value, scored_evidence, unrefused_value
from theorem_rows.row import Row
from theorem_rows.t7a import KNOWN, LOSS, TRUTH, by_hand, excess_inputs

COARSE = TruthLoss(2.0, "plug-in", coarse=True)
LATE = replace(COARSE, blind=False)
DRAWS, STEP, PRIOR_VARIANCE, POSTERIOR_VARIANCE, RIDGE = 3, 0.2, 0.5, 0.4, 0.01


def evidence(size: int = 10_000) -> Evidence:
    draws = Ensemble(size, [LOSS - 0.001, LOSS + 0.001], [29.0, 31.0], KNOWN)
    return replace(scored_evidence(size), ensemble=draws)


FULL = evidence()
GROUPED = replace(FULL, ensemble=Ensemble(10, [LOSS], [0.0], COARSE))
SEEN = CellCounts.of_table(np.array([[6, 4]]), blind=False)


def again(given: Evidence, certificate: Certificate) -> float:
    return by_hand(LOSS - TRUTH, (30 + math.log(len(GRID) * 20)) / given.ensemble.size)


def drawn(blocks: Blocks, rng: np.random.Generator) -> tuple[Evidence, float]:
    """Draw around a Fisher step that the first fit takes on the scored block, with a Gaussian prior around the fit."""
    likelihood, size, theta = blocks.truth.likelihood, SIZES[0], torch.as_tensor(blocks.weights[0])[None]
    fisher = likelihood.expand(theta, torch.as_tensor(blocks.counts[0] / FIRST)[None]).fisher[0].numpy()
    gradient = likelihood.expand(theta, torch.as_tensor(blocks.counts[1] / size)[None]).gradient[0].numpy()
    precision = fisher + RIDGE * np.eye(len(fisher))
    root = np.linalg.cholesky(FIRST * precision / PRIOR_VARIANCE)
    noise = rng.standard_normal((DRAWS, len(root)))
    narrow = math.sqrt(POSTERIOR_VARIANCE / PRIOR_VARIANCE)
    moves = narrow * np.linalg.solve(root.T, noise.T).T - STEP * np.linalg.solve(precision, gradient)
    from_prior, from_centre = np.square(moves @ root).sum(axis=1), np.square(noise).sum(axis=1)
    ratios = (from_prior - from_centre) / 2 - len(root) * math.log(narrow)
    log_laws = likelihood.log_laws(theta + torch.as_tensor(moves)).numpy()
    risks = -(blocks.counts[1] * log_laws).sum(axis=(1, 2)) / size
    part = Ensemble(size, risks, ratios, TruthLoss(blocks.truth_loss(1), "known"))
    found = Evidence(cells=CELLS, protocol=Protocol("independent"), ensemble=part)
    return found, blocks.distance(np.exp(log_laws).mean(axis=0), 1)


def replicates() -> Iterator[tuple[float, float]]:
    rng = np.random.default_rng(13)
    for blocks in block_fits():
        found, distance = drawn(blocks, rng)
        yield certified_value(DrawnTotalVariation(), found), distance


def self_reconstruction() -> Iterator[tuple[float, float]]:
    """Copy the profile, the scored part itself: almost no loss, and nine tenths off a law of ten equal cells."""
    cells, copied = 10, 1e-6
    protocol = Protocol("independent", profile="self-reconstruction")
    part = Ensemble(10**4, [copied], [0.0], TruthLoss(math.log(cells), "known"))
    far = math.exp(-copied) - 1 / cells
    yield from [(unrefused_value(DrawnTotalVariation(), Evidence(cells, protocol, ensemble=part)), far)] * 100


def prior_that_saw_the_part() -> Iterator[tuple[float, float]]:
    """Let the prior be the posterior, a point at the fit to the very part that is scored: nothing to pay."""
    for blocks in block_fits()[:100]:
        own = TruthLoss(blocks.truth_loss(0), "known")
        part = Ensemble(FIRST, [blocks.loss(0, 0) / FIRST], [0.0], own, blind_prior=False)
        found = Evidence(cells=CELLS, protocol=Protocol("independent"), ensemble=part)
        yield unrefused_value(DrawnTotalVariation(), found), blocks.distance(np.exp(blocks.log_laws[0]), 0)


ROW = Row(
    theorem=DrawnTotalVariation(),
    inputs=st.builds(lambda values, ratio: values | {"kappa": ratio}, excess_inputs, st.floats(0, 1e6)),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, ensemble=None), "no draws"),
        (replace(FULL, ensemble=Ensemble(10, [LOSS], [0.0], KNOWN, blind_prior=False)), "the prior has seen"),
        (replace(FULL, protocol=Protocol("finite pool")), "degenerate cell by cell"),
        (replace(GROUPED, protocol=Protocol("neither")), "not independent draws"),
        (replace(GROUPED, cell_counts=SEEN), "with a look at the scored interactions"),
        (replace(GROUPED, ensemble=Ensemble(10, [LOSS], [0.0], LATE)), "with a look at the scored interactions"),
        (replace(GROUPED, cell_counts=CellCounts.of_table(np.array([[6, 5]]))), "11 interactions were counted"),
    ),
    falls_in=("N", "delta", "Lhat_star"),
    rises_in=("Lhat", "kappa"),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": self_reconstruction, "A2": prior_that_saw_the_part},
)
