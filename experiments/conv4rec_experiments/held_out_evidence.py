"""From a trained model's held-out part to the evidence of the theorems that read it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conv4rec.loss import LogProbabilities
from conv4rec.profiles import high_levels
from conv4rec_bounds import CellCounts, Evidence, GemPool, HeldOut, Paired, Protocol, TruthLoss, Untouched, certify
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk
from conv4rec_experiments.distances import random_order
from conv4rec_experiments.truths import user_mix

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions, Split
    from conv4rec_experiments.judging import Judged
    from conv4rec_experiments.truths import Truth

__all__ = ["count_table", "held_out_evidence", "random_half", "smoothing_for"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

SMOOTHING_GRID = (0.001, 0.003, DEFAULT_SMOOTHING, 0.03, 0.1, 0.2)


def random_half(split: Split, protocol: Protocol) -> Rows | None:
    """Return the places of a random half of the held-out part, the one sample of all that read it as a finite pool.

    None if it is read as independent draws, or is too small to have a half.
    """
    pool = len(split.held_out)
    return None if protocol.sampling == "independent" or pool < 2 else random_order(split)[: pool // 2]


def smoothing_for(validation: LogProbabilities | None, cells: int, delta: float) -> float:
    """Choose the smoothing that would give the best certificate if the validation part were the held-out one.

    No certificate calls the validation part held out, and no random number is drawn, so nothing is owed for the choice.
    """
    if validation is None or len(validation.joint) < 2:
        return DEFAULT_SMOOTHING

    def promised(smoothing: float) -> float:
        part = HeldOut(validation.joint, validation.cells, smoothing)
        evidence = Evidence(cells, Protocol("independent"), held_out=part)
        value = certify(evidence, delta, [HeldOutRisk()])["T9"].value
        return math.inf if value is None else value

    return min(SMOOTHING_GRID, key=promised)


def held_out_evidence(
    model: Conv4Rec,
    found: LogProbabilities,
    rival: LogProbabilities,
    judged: Judged,
    smoothing: float,
    protocol: Protocol,
    sample: Rows | None,
    truth: Truth | None,
) -> dict[str, Any]:
    """Return what theorems may look at: all interactions as independent draws, or a sample of them as those of a pool.

    The keys are the names of `conv4rec_bounds.Evidence`.
    """
    part = HeldOut(found.joint, found.cells, smoothing)
    parts: dict[str, Any] = {"held_out": part}
    if protocol.sampling == "independent":
        parts |= {"paired": Paired(part, rival.joint)} | judged.evidence(None)
        parts |= _independent_held_out(model, found, truth)
    elif sample is not None:
        half = HeldOut(found.joint[sample], found.cells[sample], smoothing, pool=found.cells)
        parts |= {"pool_sample": half, "paired": Paired(half, rival.joint[sample])} | judged.evidence(sample)
    return parts


def _independent_held_out(model: Conv4Rec, found: LogProbabilities, truth: Truth | None) -> dict[str, Any]:
    """Measure what only independent held-out interactions can tell."""
    part = model.split.held_out
    parts: dict[str, Any] = {
        "cell_counts": CellCounts.of_interactions(part.user, part.item * part.n_levels + part.level),
    }
    if truth is not None and bool(np.isfinite(found.joint).all()):
        counts = count_table(part)
        own = TruthLoss(truth.empirical_risk(counts), "known")
        parts["untouched"] = Untouched(len(part), found.losses()["joint"], own)
        parts["gem_pool"] = _gem_pool(model, user_mix(counts), truth)
    return parts


def _gem_pool(model: Conv4Rec, mix: Array, truth: Truth) -> GemPool | None:
    """For every user of the held-out part, take the half of the items that the model expects to be liked most."""
    if truth.levels < 2:
        return None
    high = high_levels(model.interactions.level_values)
    law = model.predict_proba(model.interactions.user_ids)
    liked = law[:, :, high].sum(axis=2)
    consumed = law.sum(axis=2)
    order = np.argsort(-liked / consumed, axis=1, kind="stable")[:, : max(1, truth.items // 2)]
    mass = float(mix @ np.take_along_axis(consumed, order, axis=1).sum(axis=1))
    high_mass = float(mix @ np.take_along_axis(liked, order, axis=1).sum(axis=1))
    return GemPool(mass=min(mass, 1.0), high=min(high_mass, mass, 1.0), users="untouched")


def count_table(part: Interactions) -> NDArray[np.int64]:
    """Count the interactions of a part in a table of shape (user, cell), which is as large as a known truth's law."""
    counts = np.zeros((part.n_users, part.n_items * part.n_levels), dtype=np.int64)
    np.add.at(counts, (part.user, part.item * part.n_levels + part.level), 1)
    return counts
