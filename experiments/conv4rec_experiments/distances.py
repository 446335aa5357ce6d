"""How far a model is from what it predicts, at least and at most, on regions chosen from the training part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Certificate, Evidence, Report
from conv4rec_experiments.events import coarse_events
from conv4rec_experiments.regions import Laws, Table, regions_of, rounds_of, tabulate

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Popularity, Split

__all__ = [
    "AT_LEAST",
    "AT_MOST",
    "Distances",
    "Interval",
    "compare",
    "compare_draws",
    "compare_pool",
    "interval",
    "laws_of",
    "laws_of_popularity",
    "permuted",
    "random_order",
]

Counts = NDArray[np.int64]

RANDOM_ORDER = 0x9001
AT_LEAST, AT_MOST = "T9-lower", "T7f"


@dataclass(frozen=True)
class Distances:
    """What theorems on total variation may look at, and the distances themselves where they are known.

    Attributes
    ----------
    parts
        Events and rounds, as `conv4rec_bounds.Evidence` names them.
    at_most, at_least
        What T7f and T9-lower bound, where it can be measured: over a whole pool, or under a known truth.
    """

    parts: dict[str, Any]
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Interval:
    """One model's distance from the truth (the pool's law, for a pool) over groups of cells, from both sides.

    Attributes
    ----------
    model
        Whose.
    lower, upper
        The certificates; either may be refused.
    measured
        The distance itself, where it is known.
    """

    model: str
    lower: Certificate
    upper: Certificate
    measured: float | None


def compare(split: Split, laws: Laws, evidence: Evidence, truth: Laws | None = None) -> Distances:
    """Compare any model with the held-out part on regions chosen from the training part.

    A finite pool is compared through the random half of it that stands in the evidence, and its own law is the truth;
    independent draws, all of them, user by user.
    """
    part, sampling = split.held_out, evidence.protocol.sampling
    if evidence.held_out is None or sampling == "neither":
        return Distances({})
    regions, order = regions_of(split), random_order(split)
    hints = tabulate(regions, split, split.validation, laws) if len(split.validation) else None
    table = tabulate(regions, split, part, laws)
    if sampling == "finite pool":
        if evidence.pool_sample is None:
            return Distances({})
        return compare_pool(table, hints, order[: evidence.pool_sample.size])
    of_users = tabulate(regions.by_user(), split, part, laws)
    parts, used = compare_draws(table, of_users, hints, order)
    if truth is None or used is None:
        return Distances(parts)
    true = tabulate(regions.by_user(), split, part, truth).laws
    mix = np.zeros(len(true))
    mix[used] = parts["rounds"].mix
    return Distances(parts, _far(true, of_users, mix), _far(true, of_users, of_users.sizes / len(part)))


def compare_pool(table: Table, hints: Table | None, sample: Counts) -> Distances:
    """Compare a model with a random subset of a table that holds a whole pool; the pool's own law is the truth.

    Parameters
    ----------
    table, hints
        The pool beside the model, and interactions that are not held out, if there are any.
    sample
        Numbers of the pool's interactions that were drawn, in a random order.
    """
    laid = rounds_of(table, sample, whole=False)
    parts = {"events": coarse_events(table, sample, hints), "rounds": None if laid is None else laid[0]}
    far = _far(table.counts() / np.maximum(table.sizes, 1)[:, None], table, table.sizes / table.sizes.sum())
    return Distances(parts, far, far)


def compare_draws(
    table: Table, of_users: Table, hints: Table | None, order: Counts
) -> tuple[dict[str, Any], NDArray[np.bool_] | None]:
    """Compare a model with independent draws, user by user; say which users have pairs, None if nobody has.

    Parameters
    ----------
    table, of_users, hints
        The held-out part beside the model, by segment and by user, and interactions that are not held out.
    order
        Numbers of all held-out interactions, in a random order.
    """
    laid = rounds_of(of_users, order, whole=True)
    rounds, used = (None, None) if laid is None else laid
    return {"events": coarse_events(table, slice(None), hints), "rounds": rounds}, used


def interval(model: str, report: Report, measured: float | None) -> Interval:
    """Read both sides off a report."""
    return Interval(model, report[AT_LEAST], report[AT_MOST], measured)


def laws_of(model: Conv4Rec) -> Laws:
    """Return a model's probabilities as a function of numbers of users."""
    return lambda users: model.predict_proba(model.interactions.user_ids.gather(users))


def laws_of_popularity(popularity: Popularity) -> Laws:
    """Return the popularity model's probabilities, the same for all users."""
    law = np.exp(popularity.cell_logits)
    return lambda users: np.broadcast_to(law, (len(users), *law.shape))


def random_order(split: Split) -> Counts:
    """Put the held-out part into a random order, without a look at it: a pool's sample is the first half."""
    return permuted(len(split.held_out), split.seed or 0)


def permuted(size: int, seed: int) -> Counts:
    """Put as many interactions into the random order that a seed gives."""
    # A key of its own keeps the draw apart from the streams that split the data and trained the model.
    stream = np.random.SeedSequence(seed, spawn_key=(RANDOM_ORDER,))
    order: Counts = np.random.default_rng(stream).permutation(size)
    return order


def _far(true: NDArray[np.float64], table: Table, mix: NDArray[np.float64]) -> float:
    return float(mix @ np.abs(true - table.laws).sum(axis=1)) / 2
