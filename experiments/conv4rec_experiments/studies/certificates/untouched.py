"""T7a, T7b, T7d and T7e: total variation from losses on blocks that a predictor had not seen."""

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import CellCounts, Evidence, Prequential, RefusedError, TruthLoss, Untouched
from conv4rec_bounds.divergences import total_variation
from conv4rec_bounds.theorems.t7e_truth_loss import plug_in_entropy
from conv4rec_experiments.studies.certificates.replicate import Replicate, mean_loss
from conv4rec_experiments.studies.certificates.statement import Statements, answer
from conv4rec_experiments.truths.truth import Counts, user_mix

__all__ = ["BASES", "least_loss", "least_loss_of_truth", "point", "point_evidence", "prequential", "transferred"]

Array = NDArray[np.float64]

BASES = ("known", "realisable", "plug-in")


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


def _mixture(replicate: Replicate) -> Array:
    r"""User-wise mixture of the blocks' predictors, weights :math:`n_{ib}/n_i`, shape (user, cell)."""
    if replicate.refits is None:
        return replicate.law
    weights = replicate.later.sum(axis=2).astype(np.float64)
    weights /= weights.sum(axis=0).clip(min=1)
    laws: Array = (weights[:, :, None] * np.exp(replicate.refits.log_laws)).sum(axis=0)
    return laws


def _blocks_evidence(replicate: Replicate, basis: str, mixture: Array) -> Evidence:
    counts: Counts = replicate.later.sum(axis=0)
    size, mix = int(counts.sum()), user_mix(counts)
    loss = least_loss_of_truth(replicate, basis, counts, 1)
    if replicate.refits is None:
        risk = mean_loss(counts, replicate.log_law)
    else:
        risk = float(-(replicate.later * replicate.refits.log_laws).sum()) / size
    part = Prequential(
        size,
        risk,
        loss,
        # Rounding must not make it too small.
        distance=min(1.0, total_variation(mixture, replicate.law, mix) + 1e-12),
        predictable=replicate.refits is not None,
    )
    return Evidence(cells=replicate.truth.cells, protocol=replicate.declared, prequential=part)


def _of_blocks(number: str, replicate: Replicate, delta: float, shipped: bool) -> Statements:
    for basis in BASES:

        def make(basis: str = basis) -> tuple[Evidence, float]:
            mixture, mix = _mixture(replicate), user_mix(replicate.later.sum(axis=0))
            evidence = _blocks_evidence(replicate, basis, mixture)
            return evidence, replicate.distance(replicate.law if shipped else mixture, mix)

        yield answer(number, delta, make, basis=basis)


def prequential(replicate: Replicate, delta: float) -> Statements:
    """T7b: the user-wise mixture of four predictors, each scored on the block after those that it was fitted to."""
    return _of_blocks("T7b", replicate, delta, shipped=False)


def transferred(replicate: Replicate, delta: float) -> Statements:
    """T7d: the fit to the whole sample, by its distance to that mixture."""
    return _of_blocks("T7d", replicate, delta, shipped=True)


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
