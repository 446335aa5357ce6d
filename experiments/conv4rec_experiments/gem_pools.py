"""Pools of hidden gems that a model chooses for its users, nested by how sure it is that they would be liked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec.batches import CellsByUser
from conv4rec.profiles import high_levels, unlikely_items, well_known
from conv4rec_bounds import GemCounts
from conv4rec_experiments.formatting import floor_words

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["EVERYBODY", "SEGMENTS", "THRESHOLDS", "GemPools", "activity", "choose_pools", "pool_name"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""A pool holds the unlikely items of which the model says P(high | consumed) >= threshold; fixed without data."""

EVERYBODY = "all"
SEGMENTS = (EVERYBODY, "quiet", "middle", "active")
"""Everybody, and thirds of the users by their activity in the training part."""

BATCH_USERS = 64


def pool_name(segment: str, threshold: float, least_interactions: int = 0) -> str:
    """Name a pool.

    >>> pool_name("quiet", 0.8), pool_name("all", 0.5, 10)
    ('quiet users, at least 0.8', 'all users, at least 0.5, items of 10 training interactions or more')
    """
    return f"{segment} users, at least {threshold:g}{floor_words(least_interactions, ', ')}"


@dataclass(frozen=True, eq=False)
class GemPools:
    """Pools, one for each segment and threshold, and the held-out interactions that fell into them.

    Attributes
    ----------
    least_interactions
        How many training interactions the items of the pools have at least.
    names
        Names of the pools: segments in their order, thresholds rising, shape (pool,).
    member
        Whether a user belongs to a segment, shape (segment, user).
    user, claim, high, inside
        Of every held-out interaction: its user; P(high | user, item consumed) under the model; whether its level is
        high; and whether it lies in each pool, shape (pool, interaction).
    pairs
        The number of pairs of user and item in each pool that the user has not met in any part, shape (pool,).
    mass, high_mass
        P(G) and P(high, G) of each pool under the model, without a mask and under the held-out user mix.
    best, best_claim, best_consume
        Of every user: the unmet item of the largest pool with the greatest P(high | consumed), that probability, and
        P(item | user); the claim is negative if the user has no such item.
    """

    least_interactions: int
    names: tuple[str, ...]
    member: Mask
    user: Codes
    claim: Array
    high: Mask
    inside: Mask
    pairs: Codes
    mass: Array
    high_mass: Array
    best: Codes
    best_claim: Array
    best_consume: Array

    def counts(self, sample: Codes | None) -> GemCounts:
        """Count what fell into the pools: of all interactions, whose levels are then independent draws, or of a sample.

        Parameters
        ----------
        sample
            Places of a uniformly random subset of the held-out interactions, which is then a finite pool.
        """
        high, inside = (self.high, self.inside) if sample is None else (self.high[sample], self.inside[:, sample])
        return GemCounts(
            size=high.size,
            high=int(high.sum()),
            in_pool=inside.sum(axis=1),
            high_in_pool=(inside & high).sum(axis=1),
            names=self.names,
            levels="independent" if sample is None else "finite pool",
            pool=None if sample is None else self.high.size,
            all_in_pool=None if sample is None else self.inside.sum(axis=1),
        )


def activity(model: Conv4Rec) -> Mask:
    """Put every user into everybody and one of three segments with about equal shares of the training interactions.

    The profile, scored and validation parts are counted; shape (segment, user).
    """
    split = model.split
    users = split.interactions.n_users
    parts = (split.profile, split.scored, split.validation)
    counts = sum((np.bincount(part.user, minlength=users) for part in parts), np.zeros(users, dtype=np.int64))
    order = np.argsort(counts, kind="stable")
    middle = np.cumsum(counts[order]) - counts[order] / 2
    third = np.empty(users, dtype=np.int64)
    third[order] = np.minimum(3 * middle / max(counts.sum(), 1), 2).astype(np.int64)
    return np.stack([np.ones(users, dtype=bool), *(third == place for place in range(3))])


def choose_pools(
    model: Conv4Rec, candidates: Literal["unmet", "all"] = "unmet", least_interactions: int = 0
) -> GemPools:
    """Choose the pools of a model from its training part, and find what of its held-out part fell into them.

    Of the candidates of a user, the less likely half by P(item | user) are unlikely, as in `Conv4Rec.hidden_gems`.

    Parameters
    ----------
    model
        A trained model with a held-out part and at least two levels.
    candidates
        ``"unmet"``: the items that the user has not met in the training part; ``"all"``: every item, where
        interactions repeat, as in draws from a known truth.
    least_interactions
        Only items of at least so many training interactions are candidates, as in `Conv4Rec.hidden_gems`.

    Raises
    ------
    InputError
        If no item has so many.
    """
    split, data = model.split, model.split.interactions
    part, high = split.held_out, high_levels(data.level_values)
    trained = CellsByUser.of(split.profile, split.scored, split.validation)
    ever, held = CellsByUser.of(data), np.argsort(part.user, kind="stable")
    starts = np.searchsorted(part.user[held], np.arange(data.n_users + 1))
    mix = np.bincount(part.user, minlength=data.n_users) / len(part)
    member, known = activity(model), well_known(split.item_counts, least_interactions)
    claim, unlikely = np.zeros(len(part)), np.zeros(len(part), dtype=bool)
    pairs = np.zeros((len(SEGMENTS), len(THRESHOLDS)), dtype=np.int64)
    mass, high_mass = np.zeros(pairs.shape), np.zeros(pairs.shape)
    best, best_claim = np.zeros(data.n_users, dtype=np.int64), np.zeros(data.n_users)
    best_consume = np.zeros(data.n_users)
    for first in range(0, data.n_users, BATCH_USERS):
        users = np.arange(first, min(first + BATCH_USERS, data.n_users))
        law = model.predict_proba(data.user_ids.gather(users))
        consume, liked = law.sum(axis=2), law[:, :, high].sum(axis=2)
        share = np.divide(liked, consume, out=np.zeros_like(liked), where=consume > 0)
        shape = consume.shape
        open_to = np.ones(shape, dtype=bool) if candidates == "all" else ~_met(trained, users, shape)
        chosen = unlikely_items(consume, open_to & known)
        unmet = ~_met(ever, users, shape)
        for place, threshold in enumerate(THRESHOLDS):
            pool = chosen & (share >= threshold)
            of_segment = member[:, users]
            pairs[:, place] += of_segment @ (pool & unmet).sum(axis=1)
            mass[:, place] += of_segment @ (mix[users] * (consume * pool).sum(axis=1))
            high_mass[:, place] += of_segment @ (mix[users] * (liked * pool).sum(axis=1))
        rows = held[starts[users[0]] : starts[users[-1] + 1]]
        cell = part.user[rows] - first, part.item[rows]
        claim[rows], unlikely[rows] = share[cell], chosen[cell]
        found = np.where(chosen & unmet, share, -1.0)
        best[users] = found.argmax(axis=1)
        best_claim[users], best_consume[users] = found.max(axis=1), consume[users - first, best[users]]
    above = unlikely & (claim >= np.array(THRESHOLDS)[:, None])
    return GemPools(
        least_interactions=least_interactions,
        names=tuple(
            pool_name(segment, threshold, least_interactions) for segment in SEGMENTS for threshold in THRESHOLDS
        ),
        member=member,
        user=part.user,
        claim=claim,
        high=high[part.level],
        inside=(member[:, None, part.user] & above).reshape(-1, len(part)),
        pairs=pairs.ravel(),
        mass=mass.ravel(),
        high_mass=high_mass.ravel(),
        best=best,
        best_claim=best_claim,
        best_consume=best_consume,
    )


def _met(cells: CellsByUser, users: Codes, shape: tuple[int, ...]) -> Mask:
    """Mark the items of the cells of users, shape (user, item)."""
    found, marked = cells.batch(users), np.zeros(shape, dtype=bool)
    marked[found.row, found.item] = True
    return marked
