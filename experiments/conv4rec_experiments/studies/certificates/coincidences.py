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

__all__ = ["by_coincidences"]

FIRST, BLOCKS = 6, 3
"""The first slice that is compared, and the number of blocks of slices, each with one predictor."""

GROUPS = 10


def by_coincidences(replicate: Replicate, delta: float) -> Statements:
    """T7f: three predictors, each compared with the slices of a fifth of the sample, and the fit by its distance.

    Over all cells, for the predictors and for the fit, and for the fit over up to ten groups of items, chosen from the
    first quarter, at each level.
    """
    users = replicate.truth.users
    every = np.eye(replicate.truth.cells, dtype=np.int64)
    cells = "every user over all cells"
    yield _answer(replicate, delta, every, f"the predictors, {cells}", shipped=False)
    yield _answer(replicate, delta, every, f"the fit, {cells}", shipped=True)
    member = groups_of_cells(replicate, replicate.sample.blocks[:TRAINED], GROUPS)
    yield _answer(replicate, delta, member, f"the fit, {users} users over groups of cells", shipped=True)


def _answer(replicate: Replicate, delta: float, member: NDArray[np.int64], whose: str, *, shipped: bool) -> Statement:
    def make() -> tuple[Evidence, float]:
        rounds = _rounds(replicate, member, whose)
        mix = rounds.mix.reshape(-1, replicate.truth.users)
        users = mix.sum(axis=0)
        laws = rounds.laws.reshape(*mix.shape, -1)
        mixture = (mix[:, :, None] * laws).sum(axis=0) / np.where(users > 0, users, 1)[:, None]
        true, law = replicate.sample.target_law @ member, replicate.law @ member
        if shipped:
            # Rounding must not make it too small.
            distance = min(1.0, total_variation(mixture, law, users) + 1e-12)
            rounds, target = replace(rounds, distance=distance), total_variation(true, law, users)
        else:
            target = sum(total_variation(true, of_block, weight) for of_block, weight in zip(laws, mix, strict=True))
        return Evidence(cells=replicate.truth.cells, protocol=replicate.declared, rounds=rounds), target

    return answer("T7f", delta, make, target=f"total variation of {whose}")


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
