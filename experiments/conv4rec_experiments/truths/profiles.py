"""Profiles of the users of a truth: at random, or drawn from the users' own laws."""

import numpy as np
from numpy.typing import NDArray

from conv4rec_experiments.truths.sizes import Sizes
from conv4rec_experiments.truths.truth import Array

__all__ = ["profiles_from_law", "random_profiles"]


def random_profiles(rng: np.random.Generator, sizes: Sizes) -> NDArray[np.int64]:
    """Draw profiles (user, item, level) of random items, each at a random level.

    Examples
    --------
    >>> sizes = Sizes(users=2, items=5, levels=3, channels=1, code=1, profile_items=4)
    >>> random_profiles(np.random.default_rng(0), sizes).sum(axis=(1, 2)).tolist()
    [4, 4]
    """
    profiles = np.zeros((sizes.users, sizes.items, sizes.levels), dtype=np.int64)
    for profile in profiles:
        items = rng.choice(sizes.items, sizes.profile_items, replace=False)
        profile[items, rng.integers(sizes.levels, size=sizes.profile_items)] = 1
    return profiles


def profiles_from_law(rng: np.random.Generator, law: Array, sizes: Sizes) -> NDArray[np.int64]:
    r"""Draw profiles (user, item, level) from the users' laws (user, cell), each item once.

    The items of a profile are those that come first when a user draws from ``Q_i(j)`` without replacement: the
    largest of ``log Q_i(j) + g_j`` with independent Gumbel variables ``g_j``. The level of an item follows
    ``Q_i(r | j)``. A profile is shorter where the law has fewer items.

    Examples
    --------
    >>> sizes = Sizes(users=1, items=3, levels=2, channels=1, code=1, profile_items=2)
    >>> profiles_from_law(np.random.default_rng(0), np.array([[0.0, 0.5, 0.0, 0.0, 0.5, 0.0]]), sizes).tolist()
    [[[0, 1], [0, 0], [1, 0]]]
    """
    table = law.reshape(sizes.users, sizes.items, sizes.levels)
    mass = table.sum(axis=2)
    consumed = mass > 0
    keys = np.where(consumed, np.log(np.where(consumed, mass, 1.0)), -np.inf) + rng.gumbel(size=mass.shape)
    items = np.argsort(-keys, axis=1, kind="stable")[:, : sizes.profile_items]
    chosen = np.take_along_axis(table, items[:, :, None], axis=1)
    within = np.cumsum(chosen, axis=2)
    # The first level whose share reaches the threshold is never empty, for thresholds are positive.
    threshold = (1.0 - rng.random(items.shape)) * within[:, :, -1]
    levels = (within < threshold[:, :, None]).sum(axis=2)
    profiles = np.zeros(table.shape, dtype=np.int64)
    user = np.arange(sizes.users)[:, None]
    profiles[user, items, np.minimum(levels, sizes.levels - 1)] = np.take_along_axis(consumed, items, axis=1)
    return profiles
