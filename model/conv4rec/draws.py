"""What each batch of a training reads and scores: the parts of the split as they are, or new draws of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conv4rec.batches import Cells, CellsByUser

if TYPE_CHECKING:
    from conv4rec.options import TrainingOptions
    from conv4rec.splits import Split

__all__ = ["Draws"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Draws:
    r"""What the encoder reads and what the loss scores in each batch: the split's own parts, or new draws of them.

    For new draws each user gets a share :math:`s`, uniform between the two `profile_shares`, and a coin with this
    chance of heads for every item (masked splits) or for every interaction of the profile and scored parts; heads goes
    to the profile. A masked split's softmax leaves out all items with heads. Another's leaves out the items of the
    drawn profile if no user and item meet twice in the parts that training sees: what was read cannot come again.

    Attributes
    ----------
    users : int64 array (user,)
        Those that may have scored interactions.
    expected : float
        How many interactions are scored in an epoch, on average over the draws.
    """

    def __init__(self, split: Split, options: TrainingOptions) -> None:
        self.split = split
        self.redraw = options.redraw
        self.dropout = options.profile_dropout
        self.shares = options.profile_shares
        if self.redraw:
            self.pool = CellsByUser.of(split.profile, split.scored)
            self.hides_profile = not split.masked and not _meet_twice(split)
            self.count = self.pool.count
            self.expected = float((1 - np.mean(self.shares)) * self.count.sum())
        else:
            self.profile = CellsByUser.of(split.profile)
            self.scored = CellsByUser.of(split.scored)
            self.count = self.scored.count
            self.expected = float(len(split.scored))
        self.users = np.flatnonzero(self.count)

    def weights(self, balance: float) -> Array:
        r"""Return what an implicit loss of each user weighs, shape (user,).

        With :math:`n_i` the user's interactions that may be scored and :math:`g` = `balance`, the weight is
        :math:`n_i^{-g}` times a constant with which the interactions' mean weight is 1: interactions count alike for
        :math:`g=0`, users for :math:`g=1`. Users without interactions weigh nothing.
        """
        weight = np.zeros(len(self.count))
        weight[self.users] = self.count[self.users] ** -balance
        scaled: Array = weight * (self.count.sum() / (weight * self.count).sum())
        return scaled

    def batch(self, users: Codes, rng: np.random.Generator) -> tuple[Cells, Cells, Mask | None]:
        """Return profile cells, scored cells and item mask of `users`."""
        if self.redraw:
            profile, scored, mask = self._drawn(users, rng)
        else:
            mask = self.split.item_mask(users) if self.split.masked else None
            profile, scored = self.profile.batch(users), self.scored.batch(users)
        if self.dropout:
            profile = profile.where(rng.random(len(profile)) >= self.dropout)
        return profile, scored, mask

    def _drawn(self, users: Codes, rng: np.random.Generator) -> tuple[Cells, Cells, Mask | None]:
        pool = self.pool.batch(users)
        table = len(users), self.split.interactions.n_items
        least, most = self.shares
        share = rng.uniform(least, most, size=len(users))
        if self.split.masked:
            mask = rng.random(table) < share[:, None]
            heads = mask[pool.row, pool.item]
            return pool.where(heads), pool.where(~heads), mask
        heads = rng.random(len(pool)) < share[pool.row]
        profile = pool.where(heads)
        if not self.hides_profile:
            return profile, pool.where(~heads), None
        mask = np.zeros(table, dtype=bool)
        mask[profile.row, profile.item] = True
        return profile, pool.where(~heads), mask


def _meet_twice(split: Split) -> bool:
    """Whether some user and item meet more than once in the profile, scored and validation parts together."""
    pairs = np.concatenate(
        [part.user * part.n_items + part.item for part in (split.profile, split.scored, split.validation)]
    )
    return len(np.unique(pairs)) < len(pairs)
