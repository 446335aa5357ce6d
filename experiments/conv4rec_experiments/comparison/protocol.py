"""Which interactions are evaluated and how they are divided: the same for every system of a comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conv4rec import InputError, Interactions, Part, Split

__all__ = ["LEAST", "SHARES", "comparison_split", "eligible", "without_held_out"]

LEAST = 5
"""How many interactions a user needs."""

SHARES = (0.8, 0.1, 0.1)
"""Of training (profile and scored), validation and held-out part."""

Codes = NDArray[np.int64]


def eligible(interactions: Interactions, least: int = LEAST) -> Interactions:
    """Keep the users with at least so many interactions, and the items that they have.

    Raises
    ------
    InputError
        If a user and an item meet twice, or no user has enough interactions.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": [1, 1, 2, 3, 3], "item": [1, 2, 9, 2, 4]})
    >>> kept = eligible(Interactions.from_frame(frame), least=2)
    >>> kept.user_ids.to_list(), kept.item_ids.to_list(), kept.user.tolist()
    ([1, 3], [1, 2, 4], [0, 0, 1, 1])
    """
    if interactions.has_repeats:
        raise InputError(
            "some user and item meet more than once, and an item that a user had in training is left out of his list; "
            "keep one row of each pair: read the data with duplicates='last'."
        )
    counts = np.bincount(interactions.user, minlength=interactions.n_users)
    kept = counts[interactions.user] >= least
    if not kept.any():
        raise InputError(
            f"no user has {least} interactions, the most are {counts.max(initial=0)}; give data with more of them."
        )
    user, item = interactions.user[kept], interactions.item[kept]
    users, items = np.unique(user), np.unique(item)
    return replace(
        interactions,
        user=np.searchsorted(users, user),
        item=np.searchsorted(items, item),
        level=interactions.level[kept],
        time=None if interactions.time is None else interactions.time[kept],
        user_ids=interactions.user_ids.gather(users),
        item_ids=interactions.item_ids.gather(items),
    )


def comparison_split(interactions: Interactions, seed: int) -> Split:
    """Shuffle all interactions; 80 % train, 10 % validate, 10 % are held out.

    A user who is left without a training interaction gets one back: his first in the order of the shuffle. The
    training part is cut into halves, profile and scored, for models that read the one to predict the other; systems
    that do not tell them apart learn from both.

    Parameters
    ----------
    interactions : Interactions
        Such as `eligible` returns.
    seed : int
        Not negative.

    Raises
    ------
    InputError
        If the seed is out of range, or there are too few interactions for every part to have one.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": [1] * 10 + [2] * 10, "item": list(range(10)) * 2})
    >>> comparison_split(Interactions.from_frame(frame), seed=0)
    Split(period: 8 profile, 8 scored, 2 validation, 2 held_out)
    """
    if seed < 0:
        raise InputError(f"seed is {seed}; expected a whole number from 0 on.")
    count = len(interactions)
    order = np.random.default_rng(seed).permutation(count)
    ends = np.rint(np.cumsum(SHARES) * count).astype(np.int64)
    if np.diff(ends).min() < 1 or ends[0] < 2:
        raise InputError(f"{count} interactions are too few to train, validate and hold out; give at least 10.")
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    training = place < ends[0]
    training[_given_back(interactions.user, place, training)] = True
    part = np.full(count, Part.HELD_OUT, dtype=np.int8)
    part[~training & (place < ends[1])] = Part.VALIDATION
    shuffled = order[training[order]]
    part[shuffled] = Part.SCORED
    part[shuffled[: len(shuffled) // 2]] = Part.PROFILE
    # What was given back was chosen for its user, so the parts are no cut of one permutation.
    return Split(interactions, part, "period", seed)


def without_held_out(split: Split) -> Split:
    """Return the split that tuning may look at: the held-out part is gone, and the validation part in its place.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": [1] * 10 + [2] * 10, "item": list(range(10)) * 2})
    >>> without_held_out(comparison_split(Interactions.from_frame(frame), seed=0))
    Split(period: 8 profile, 8 scored, 0 validation, 2 held_out)
    """
    kept = split.part != Part.HELD_OUT
    part = split.part[kept].copy()
    part[part == Part.VALIDATION] = Part.HELD_OUT
    return Split(split.interactions.subset(kept), part, split.protocol, split.seed, split.coin)


def _given_back(user: Codes, place: Codes, training: NDArray[np.bool_]) -> Codes:
    """Find the first interaction, in the order of the shuffle, of every user who has none in training."""
    order = np.lexsort([place, user])
    _, first = np.unique(user[order], return_index=True)
    # The training part is the beginning of the shuffle: who does not have his first interaction in it has none.
    firsts: Codes = order[first]
    return firsts[~training[firsts]]
