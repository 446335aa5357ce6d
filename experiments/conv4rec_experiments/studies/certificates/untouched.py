"""T7a, T7b, T7d and T7e: total variation from losses on blocks that a predictor had not seen."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import CellCounts, Evidence, Prequential, RefusedError, TruthLoss, Untouched
from conv4rec_bounds.divergences import total_variation
from conv4rec_bounds.theorems.t7e_truth_loss import plug_in_entropy
from conv4rec_experiments.studies.certificates.replicate import Replicate, mean_loss
from conv4rec_experiments.studies.certificates.statement import Statements, answer
from conv4rec_experiments.truths.truth import Counts, user_mix

__all__ = [
    "BASES",
    "FIRST",
    "least_loss",
    "least_loss_of_truth",
    "mixture",
    "point",
    "point_evidence",
    "prequential",
    "transferred",
]

Array = NDArray[np.float64]

BASES = ("known", "realisable", "plug-in")

FIRST: Mapping[str, int] = {"known": 18, "realisable": 7, "plug-in": 0}
"""The first slice that T7b scores on each basis: what the truth's loss is not known by asks for more interactions."""


def least_loss_of_truth(replicate: Replicate, basis: str, counts: Counts, least: int) -> TruthLoss:
    """Return the truth's own mean loss on a count table (user, cell), or what it is at least, on one of `BASES`.

    ``"known"``: the exact loss of the target's law; ``"realisable"``: the least loss of the class that was found on
    the table from blind starts (number ``least`` of the replicate's); ``"plug-in"``: the plug-in entropy of the table.

    Raises
    ------
    RefusedError
        If the truth is no network of the fitted class and the basis would take it for one.
    """
    if basis == "known":
        return TruthLoss(replicate.truth_loss(counts), "known")
    if basis == "plug-in":
        return TruthLoss(plug_in_entropy(CellCounts.of_table(counts)), "plug-in")
    if replicate.least is None:
        raise RefusedError(
            "this basis takes the truth for a network of the fitted class, and this truth is none: the least loss of "
            "the class then lies above the truth's own, and a bound from it would be too small"
        )
    return TruthLoss(replicate.least[least], "realisable")


def point_evidence(replicate: Replicate, basis: str) -> Evidence:
    """Return the predictor of blocks 0 to 3 with its loss on the last block."""
    part = replicate.last
    loss = least_loss_of_truth(replicate, basis, part, 0)
    return Evidence(
        cells=replicate.truth.cells,
        protocol=replicate.declared,
        untouched=Untouched(
            int(part.sum()), mean_loss(part, replicate.before), loss, untouched=replicate.refits is not None
        ),
    )


def point(replicate: Replicate, delta: float) -> Statements:
    """T7a: the predictor of the first half, scored on the second."""
    for basis in BASES:

        def make(basis: str = basis) -> tuple[Evidence, float]:
            evidence = point_evidence(replicate, basis)
            return evidence, replicate.distance(np.exp(replicate.before), user_mix(replicate.last))

        yield answer("T7a", delta, make, basis=basis)


def mixture(slices: Counts, log_laws: Array) -> Array:
    r"""User-wise mixture of the predictors of slices, weights :math:`n_{ib}/n_i`, shape (user, cell)."""
    weights = slices.sum(axis=2).astype(np.float64)
    weights /= weights.sum(axis=0).clip(min=1)
    laws: Array = (weights[:, :, None] * np.exp(log_laws)).sum(axis=0)
    return laws


def _of_slices(number: str, replicate: Replicate, delta: float, shipped: bool) -> Statements:
    for basis in BASES:

        def make(basis: str = basis) -> tuple[Evidence, float]:
            slices, log_laws = _scored(replicate, basis)
            counts: Counts = slices.sum(axis=0)
            if not counts.any():
                raise RefusedError("the slices that this basis scores hold no interactions; take a larger sample")
            size, mix = int(counts.sum()), user_mix(counts)
            mixed = mixture(slices, log_laws)
            part = Prequential(
                size,
                float(-(slices * log_laws).sum()) / size,
                least_loss_of_truth(replicate, basis, counts, 1),
                # Rounding must not make it too small.
                distance=min(1.0, total_variation(mixed, replicate.law, mix) + 1e-12),
                predictable=replicate.refits is not None,
            )
            evidence = Evidence(cells=replicate.truth.cells, protocol=replicate.declared, prequential=part)
            return evidence, replicate.distance(replicate.law if shipped else mixed, mix)

        yield answer(number, delta, make, basis=basis)


def _scored(replicate: Replicate, basis: str) -> tuple[Counts, Array]:
    """Return the slices that a basis scores and the predictors made before them; the fit where there are none."""
    if replicate.refits is None:
        return replicate.sample.blocks[1:], np.broadcast_to(replicate.log_law, replicate.sample.blocks[1:].shape)
    first = FIRST[basis]
    return replicate.refits.slices[first:], replicate.refits.log_laws[first:]


def prequential(replicate: Replicate, delta: float) -> Statements:
    """T7b: the user-wise mixture of predictors, each scored on the slice that comes after what it was fitted to."""
    return _of_slices("T7b", replicate, delta, shipped=False)


def transferred(replicate: Replicate, delta: float) -> Statements:
    """T7d: the fit to the whole sample, by its distance to that mixture."""
    return _of_slices("T7d", replicate, delta, shipped=True)


def least_loss(replicate: Replicate, delta: float) -> Statements:
    """T7e: the truth's own mean loss on the last block, users and cells as they are; it holds for sure."""

    def make() -> tuple[Evidence, float]:
        evidence = Evidence(
            cells=replicate.truth.cells,
            protocol=replicate.declared,
            cell_counts=CellCounts.of_table(replicate.last),
        )
        return evidence, replicate.truth_loss(replicate.last)

    yield answer("T7e", delta, make)
