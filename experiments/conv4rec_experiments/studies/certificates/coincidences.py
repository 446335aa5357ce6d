"""T7f: total variation by coincidences of interactions in the slices that predictors had not seen."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Evidence, Rounds
from conv4rec_bounds.divergences import total_variation
from conv4rec_experiments.studies.certificates.drawn import groups_of_cells
from conv4rec_experiments.studies.certificates.refits import TRAINED
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import Statement, Statements, answer

__all__ = ["OF_THE_FIT", "TARGETS", "by_coincidences"]

FIRST, BLOCKS = 6, 3
"""The first slice that is compared, and the number of blocks of slices, each with one predictor."""

GROUPS = 10

OF_THE_FIT = "total variation of the fit"
TARGETS = (
    "total variation of the predictors, every user over all cells",
    f"{OF_THE_FIT}, every user over all cells",
    f"{OF_THE_FIT}, every user over groups of cells",
)
"""What is bounded, in the order of the statements; no number of a truth is in it, so that truths can be compared."""


def by_coincidences(replicate: Replicate, delta: float) -> Statements:
    """T7f: three predictors, each compared with the slices of a fifth of the sample, and the fit by its distance.

    Over all cells, for the predictors and for the fit, and for the fit over up to ten groups of items, chosen from the
    first quarter, at each level.
    """
    every = np.eye(replicate.truth.cells, dtype=np.int64)
    groups = groups_of_cells(replicate, replicate.sample.blocks[:TRAINED], GROUPS)
    for target, member in zip(TARGETS, (every, every, groups), strict=True):
        yield _answer(replicate, delta, member, target)


def _answer(replicate: Replicate, delta: float, member: NDArray[np.int64], target: str) -> Statement:
    shipped = target.startswith(OF_THE_FIT)

    def make() -> tuple[Evidence, float]:
        rounds = _rounds(replicate, member, target.removeprefix("total variation of "))
        mix = rounds.mix.reshape(-1, replicate.truth.users)
        users = mix.sum(axis=0)
        laws = rounds.laws.reshape(*mix.shape, -1)
        mixture = (mix[:, :, None] * laws).sum(axis=0) / np.where(users > 0, users, 1)[:, None]
        true, law = replicate.sample.target_law @ member, replicate.law @ member
        if shipped:
            # Rounding must not make it too small.
            distance = min(1.0, total_variation(mixture, law, users) + 1e-12)
            rounds, measured = replace(rounds, distance=distance), total_variation(true, law, users)
        else:
            measured = sum(total_variation(true, of_block, weight) for of_block, weight in zip(laws, mix, strict=True))
        return Evidence(cells=replicate.truth.cells, protocol=replicate.declared, rounds=rounds), measured

    return answer("T7f", delta, make, target=target)


def _rounds(replicate: Replicate, member: NDArray[np.int64], whose: str) -> Rounds:
    """Lay slices out as rounds; a stratum is a user in one block, in which his predictor stays the same."""
    users, refits = replicate.truth.users, replicate.refits
    if refits is None:
        counts, predictors, blocks = replicate.sample.blocks[1:], replicate.log_law[None], 1
    else:
        counts, blocks = refits.slices[FIRST:], BLOCKS
        predictors = refits.log_laws[FIRST :: len(counts) // BLOCKS]
    length = len(counts) // blocks
    table = np.zeros((len(counts), blocks, users, member.shape[1]), dtype=np.int64)
    for block in range(blocks):
        part = slice(block * length, (block + 1) * length)
        table[part, block] = counts[part] @ member
    laws = np.exp(predictors) @ member
    return Rounds(
        table.reshape(len(counts), blocks * users, -1),
        (laws / laws.sum(axis=2, keepdims=True)).reshape(blocks * users, -1),
        "users",
        whose,
        owners=np.tile(np.arange(users), blocks),
        untouched=refits is not None,
    )
