"""T9, T9-pool and T9-lower: what interactions after the sample say about the fit."""

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Events, Evidence, HeldOut
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import Statements, answer
from conv4rec_experiments.truths.truth import Counts, user_mix

__all__ = ["falsification", "held_out_pool", "held_out_risk", "listed", "scored_subset", "smoothed_logs", "subset"]

Array = NDArray[np.float64]

MOST_SCORED = 20_000
"""Held-out interactions that are scored one by one at most: a random subset of them that is chosen blindly."""

POPULARITY_GROUPS = 8


def subset(counts: Counts, size: int, rng: np.random.Generator) -> Counts:
    """Draw a uniformly random subset of so many interactions of a count table, without replacement."""
    flat = counts.reshape(-1)
    # Marginals one after the other cost no more for many interactions than for few.
    drawn: Counts = rng.multivariate_hypergeometric(flat, size, method="marginals").reshape(counts.shape)
    return drawn


def scored_subset(replicate: Replicate, rng: np.random.Generator) -> Counts:
    """Draw the held-out interactions that are scored, at most 20,000, as a count table (user, cell)."""
    given = replicate.sample.held_out
    return subset(given, min(MOST_SCORED, int(given.sum())), rng)


def listed(counts: Counts, table: Array, rng: np.random.Generator) -> Array:
    """List the entries of a table (user, cell) as often as they were counted, in random order, shape (interaction,)."""
    entries: Array = rng.permutation(np.repeat(table.reshape(-1), counts.reshape(-1)))
    return entries


def smoothed_logs(law: Array) -> Array:
    """Logarithms of a law (user, cell) that was smoothed as the held-out theorems smooth it."""
    logs: Array = np.log((1 - DEFAULT_SMOOTHING) * law + DEFAULT_SMOOTHING / law.shape[1])
    return logs


def held_out_risk(replicate: Replicate, delta: float) -> Statements:
    """T9: risk of the smoothed fit under the users of the scored held-out interactions, at most 20,000."""

    def make() -> tuple[Evidence, float]:
        rng, cells = replicate.coins("T9"), replicate.truth.cells
        scored = scored_subset(replicate, rng)
        logs = listed(scored, replicate.log_law, rng)
        part = HeldOut(logs, np.full(logs.size, cells))
        evidence = Evidence(cells=cells, protocol=replicate.declared, held_out=part)
        return evidence, replicate.risk(smoothed_logs(replicate.law), user_mix(scored))

    yield answer("T9", delta, make)


def held_out_pool(replicate: Replicate, delta: float) -> Statements:
    """T9-pool: mean loss of the smoothed fit over the held-out part (at most 40,000), from a random half of it."""

    def make() -> tuple[Evidence, float]:
        given, rng, cells = replicate.sample.held_out, replicate.coins("T9-pool"), replicate.truth.cells
        pool = subset(given, min(2 * MOST_SCORED, int(given.sum())), rng)
        size = int(pool.sum())
        logs = listed(subset(pool, size // 2, rng), replicate.log_law, rng)
        part = HeldOut(logs, np.full(logs.size, cells), pool=np.full(size, cells))
        evidence = Evidence(cells=cells, protocol=replicate.declared, pool_sample=part)
        return evidence, float(-(pool * smoothed_logs(replicate.law)).sum() / size)

    yield answer("T9-pool", delta, make)


def falsification(replicate: Replicate, delta: float) -> Statements:
    """T9-lower: total variation of the fit under the held-out users, by events of item popularity and level.

    Items are put into at most eight groups of about equal shares of the sample; events are the groups, the levels, and
    both together, as in `conv4rec_experiments.events`.
    """

    def make() -> tuple[Evidence, float]:
        truth, part = replicate.truth, replicate.sample.held_out
        shape = truth.users, truth.items, truth.levels
        popular = replicate.total.reshape(shape).sum(axis=(0, 2))
        order = np.argsort(-popular, kind="stable")
        before = np.cumsum(popular[order]) - popular[order]
        groups = min(POPULARITY_GROUPS, truth.items)
        group = np.empty(truth.items, dtype=np.int64)
        group[order] = np.minimum(before * groups // replicate.size, groups - 1)
        member = np.eye(groups, dtype=np.int64)[group]
        mix = user_mix(part)
        seen = np.einsum("ijr,jg->gr", part.reshape(shape), member)
        expected = np.einsum("i,ijr,jg->gr", mix, replicate.law.reshape(shape), member)
        names = [f"item group {g + 1}" for g in range(groups)]
        names += [f"level {r + 1}" for r in range(truth.levels)]
        names += [f"item group {g + 1} at level {r + 1}" for g in range(groups) for r in range(truth.levels)]
        events = Events(
            int(part.sum()),
            np.concatenate([seen.sum(axis=1), seen.sum(axis=0), seen.ravel()]),
            # Sums of probabilities may leave [0, 1] by rounding.
            np.clip(np.concatenate([expected.sum(axis=1), expected.sum(axis=0), expected.ravel()]), 0, 1),
            tuple(names),
        )
        evidence = Evidence(cells=truth.cells, protocol=replicate.declared, events=events)
        return evidence, replicate.distance(replicate.law, mix)

    yield answer("T9-lower", delta, make)
