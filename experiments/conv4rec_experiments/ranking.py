"""Ranks of held-out items, and the scores of users that are made of them: NDCG, recall, and the share of hits.

One rank for each interaction is all that the scores and, for random subsets of a pool, their expectations need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conv4rec.batches import CellsByUser

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Split

__all__ = ["Cutoffs", "Lists", "RankedPart", "held_out_ranks", "ranks_in"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

BATCH_USERS = 64


@dataclass(frozen=True)
class Cutoffs:
    """How many items of a list count: for NDCG, and for recall and hits.

    Examples
    --------
    >>> Cutoffs.of(9_724), Cutoffs.of(12)
    (Cutoffs(ndcg=100, recall=20), Cutoffs(ndcg=12, recall=2))
    """

    ndcg: int
    recall: int

    @classmethod
    def of(cls, items: int) -> Cutoffs:
        """Return 100 and 20 as is usual; in a small catalogue at most all items, and a fifth of them."""
        return cls(min(100, items), max(1, min(20, items // 5)))


@dataclass(frozen=True)
class RankedPart:
    """Interactions with the ranks of their items in their users' lists.

    Attributes
    ----------
    user, item, rank : int64 arrays (interaction,)
        Codes, and the rank of the item among those that the user might be shown, from 1.
    cutoffs : Cutoffs
        How many items of a list count.

    Examples
    --------
    >>> part = RankedPart(np.array([0, 0, 1]), np.array([5, 6, 5]), np.array([1, 4, 3]), Cutoffs(ndcg=3, recall=2))
    >>> {name: values.round(4).tolist() for name, values in part.scores.items()}
    {'NDCG@3': [0.6131, 0.5], 'Recall@2': [0.5, 0.0], 'hit share@2': [0.5, 0.0]}
    """

    user: Codes
    item: Codes
    rank: Codes
    cutoffs: Cutoffs

    @property
    def users(self) -> Codes:
        """The users with an interaction, in the order of their scores."""
        return np.unique(self.user)

    @cached_property
    def _distinct(self) -> Codes:
        """Places of the first interaction of every user with every item."""
        _, places = np.unique(np.stack([self.user, self.item]), axis=1, return_index=True)
        return places

    @property
    def repeats(self) -> bool:
        """Whether a user meets an item twice."""
        return len(self._distinct) < len(self.user)

    @cached_property
    def _sums(self) -> tuple[Array, Array, Array, Array, Array]:
        """For each user: distinct items, all interactions, gains, distinct hits, all hits."""
        _, row = np.unique(self.user, return_inverse=True)
        once = row[self._distinct]
        rank, users = self.rank[self._distinct], int(row.max()) + 1
        gains = np.where(rank <= self.cutoffs.ndcg, 1 / np.log2(1 + rank), 0.0)
        hits = (self.rank <= self.cutoffs.recall).astype(np.float64)
        return (
            np.bincount(once, minlength=users).astype(np.float64),
            np.bincount(row, minlength=users).astype(np.float64),
            np.bincount(once, gains, minlength=users).astype(np.float64),
            np.bincount(once, hits[self._distinct], minlength=users).astype(np.float64),
            np.bincount(row, hits, minlength=users).astype(np.float64),
        )

    @property
    def scores(self) -> dict[str, Array]:
        """NDCG with gain 1, hits over min(K, distinct items), and hits over interactions; each of shape (user,)."""
        distinct, size, gains, once, hits = self._sums
        return self._named(distinct, size, gains, once, hits)

    def expected(self, part: Mapping[int, int]) -> dict[str, float]:
        """Return the mean expected scores of uniformly random subsets of users' interactions, of given sizes.

        ``part`` maps users to the sizes of their subsets. All three are linear in a subset if no item repeats; else
        only the share of hits is, and the others are left out.
        """
        _, size, gains, once, hits = self._sums
        drawn = np.array([part.get(user, 0) for user in self.users.tolist()], dtype=np.float64)
        kept = drawn > 0
        share = (drawn / size)[kept]
        found = self._named(drawn[kept], drawn[kept], share * gains[kept], share * once[kept], share * hits[kept])
        names = list(found)[2:] if self.repeats else list(found)
        return {name: float(found[name].mean()) for name in names}

    def _named(self, distinct: Array, size: Array, gains: Array, once: Array, hits: Array) -> dict[str, Array]:
        ideal = np.cumsum(1 / np.log2(1 + np.arange(1, self.cutoffs.ndcg + 1)))
        best = ideal[np.minimum(distinct, self.cutoffs.ndcg).astype(np.int64) - 1]
        # Rounding may leave a perfect list a hair above 1.
        return {
            f"NDCG@{self.cutoffs.ndcg}": np.minimum(gains / best, 1),
            f"Recall@{self.cutoffs.recall}": np.minimum(once / np.minimum(distinct, self.cutoffs.recall), 1),
            f"hit share@{self.cutoffs.recall}": np.minimum(hits / size, 1),
        }


def ranks_in(scores: Array, shown: Mask) -> Codes:
    """Return the rank of every item among those that are shown, shape (user, item); equal scores share the last rank.

    An item that is not shown has a rank beyond all items.

    Examples
    --------
    >>> ranks_in(np.array([[0.2, 0.5, 0.2, 0.1]]), np.array([[True, True, True, False]])).tolist()
    [[3, 1, 3, 5]]
    """
    items = scores.shape[1]
    ranks = np.full(scores.shape, items + 1, dtype=np.int64)
    for row, values in enumerate(scores):
        ordered = np.sort(values[shown[row]])
        ranks[row, shown[row]] = len(ordered) - np.searchsorted(ordered, values[shown[row]], side="left")
    return ranks


class Lists:
    """Which items each user might be shown: those inside his softmax.

    Where no user and item meet twice in the profile, scored and validation parts, a user is not shown the items that he
    has there.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        earlier = split.profile, split.scored, split.validation
        self.known = CellsByUser.of(*earlier)
        pairs = np.concatenate([part.user * part.n_items + part.item for part in earlier])
        self.again = len(np.unique(pairs)) < len(pairs)

    def shown(self, users: Codes) -> Mask:
        """Return a table (user, item), true where the user might be shown the item."""
        shown: Mask = ~self.split.item_mask(users)
        if not self.again:
            seen = self.known.batch(users)
            shown[seen.row, seen.item] = False
        return shown


def held_out_ranks(model: Conv4Rec) -> RankedPart:
    """Rank the items of the held-out part by P(item | user), among those that `Lists` shows to the user."""
    part, data = model.split.held_out, model.interactions
    lists = Lists(model.split)
    users, row = np.unique(part.user, return_inverse=True)
    rank = np.empty(len(part), dtype=np.int64)
    for first in range(0, len(users), BATCH_USERS):
        batch = users[first : first + BATCH_USERS]
        ranks = ranks_in(model.consumption(data.user_ids.gather(batch)), lists.shown(batch))
        here = np.flatnonzero((row >= first) & (row < first + len(batch)))
        rank[here] = ranks[row[here] - first, part.item[here]]
    return RankedPart(part.user, part.item, rank, Cutoffs.of(data.n_items))
