"""Events of user and cell, chosen from the training part, with which a model can be caught out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Events

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["popularity_events", "popularity_groups"]

T = TypeVar("T", np.int64, np.float64)

GROUPS = 8
BATCH_USERS = 64


def popularity_groups(model: Conv4Rec, groups: int = GROUPS) -> NDArray[np.int64]:
    """Put every item into one of ``groups`` groups of about equal shares of the training interactions, shape (item,).

    Group 0 holds the most popular items. Only the profile and scored parts are counted.
    """
    split = model.split
    counts = np.zeros(split.interactions.n_items)
    for part in (split.profile, split.scored):
        counts += np.bincount(part.item, minlength=counts.size)
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    found = np.empty(counts.size, dtype=np.int64)
    found[order] = np.minimum(before * groups / max(counts.sum(), 1), groups - 1).astype(np.int64)
    return found


def popularity_events(model: Conv4Rec, groups: int = GROUPS) -> Events:
    r"""Compare shares and probabilities on the held-out part: of item groups, of levels, and of both together.

    For every group g of `popularity_groups` and level r the events are "an item of g", "level r" and "an item of g at
    level r". Probabilities are the model's under the mask of the split, a mean over the users of the held-out part.
    """
    split = model.split
    data, part = split.interactions, split.held_out
    group = popularity_groups(model, groups)
    member = np.eye(groups)[group]
    users, counts = np.unique(part.user, return_counts=True)
    expected = np.zeros((groups, data.n_levels))
    for first in range(0, len(users), BATCH_USERS):
        batch = users[first : first + BATCH_USERS]
        law = model.predict_proba(data.user_ids.gather(batch))
        if split.masked:
            law = law * ~split.item_mask(batch)[:, :, None]
            law /= law.sum(axis=(1, 2), keepdims=True)
        expected += np.einsum("u,ujr,jg->gr", counts[first : first + BATCH_USERS], law, member, optimize=True)
    seen = np.zeros((groups, data.n_levels), dtype=np.int64)
    np.add.at(seen, (group[part.item], part.level), 1)
    names = [f"item group {g + 1}" for g in range(groups)]
    names += [f"level {level}" for level in data.levels]
    names += [f"item group {g + 1} at level {level}" for g in range(groups) for level in data.levels]
    return Events(
        size=len(part),
        counts=_events(seen),
        # Sums of probabilities may leave [0, 1] by rounding.
        probabilities=np.clip(_events(expected / len(part)), 0, 1),
        names=tuple(names),
    )


def _events(table: NDArray[T]) -> NDArray[T]:
    return np.concatenate([table.sum(axis=1), table.sum(axis=0), table.ravel()])
