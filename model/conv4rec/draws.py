"""What each batch of a training reads and scores: the parts of the split as they are, or new draws of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conv4rec.batches import Cells, CellsByUser

if TYPE_CHECKING:
    from conv4rec.splits import Split

__all__ = ["Draws"]

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Draws:
    """What the encoder reads and what the loss scores in each batch: the split's own parts, or new draws of them.

    New draws toss a coin with the split's share for every item of a user (masked splits) or for every interaction
    of the profile and scored parts; heads goes to the profile. `users` are those that may have scored interactions,
    `expected` is how many of these there are in an epoch, on average over the draws.
    """

    def __init__(self, split: Split, *, dropout: float, redraw: bool) -> None:
        self.split = split
        self.dropout = dropout
        self.redraw = redraw
        if redraw:
            self.pool = CellsByUser.of(split.profile, split.scored)
            sizes = len(split.profile), len(split.scored)
            self.share = sizes[0] / sum(sizes) if split.coin is None else split.coin
            self.expected = (1 - self.share) * sum(sizes)
            self.users = np.flatnonzero(self.pool.count)
        else:
            self.profile = CellsByUser.of(split.profile)
            self.scored = CellsByUser.of(split.scored)
            self.expected = float(len(split.scored))
            self.users = np.flatnonzero(self.scored.count)

    def batch(self, users: Codes, rng: np.random.Generator) -> tuple[Cells, Cells, Mask | None]:
        """Return profile cells, scored cells and item mask of `users`."""
        if not self.redraw:
            mask = self.split.item_mask(users) if self.split.masked else None
            profile, scored = self.profile.batch(users), self.scored.batch(users)
        else:
            pool = self.pool.batch(users)
            if self.split.masked:
                mask = rng.random((len(users), self.split.interactions.n_items)) < self.share
                heads = mask[pool.row, pool.item]
            else:
                mask = None
                heads = rng.random(len(pool)) < self.share
            profile, scored = pool.where(heads), pool.where(~heads)
        if self.dropout:
            profile = profile.where(rng.random(len(profile)) >= self.dropout)
        return profile, scored, mask
