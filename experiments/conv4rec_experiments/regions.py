"""A coarse view of users and cells, chosen from the training part: segments of users, groups of items, levels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Rounds

if TYPE_CHECKING:
    from conv4rec import Interactions, Split

__all__ = [
    "CELLS",
    "SEGMENTS",
    "Laws",
    "Regions",
    "Table",
    "equal_shares",
    "regions_from",
    "regions_of",
    "rounds_of",
    "summed",
    "tabulate",
]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Laws = Callable[[Counts], Array]
"""A model's probabilities of shape (user, item, level), for users by their numbers, before any mask."""

SEGMENTS = 4
CELLS = 50
LEAST_GROUPS = 8
BATCH_USERS = 64
ROUNDS = 10
NUMBERS_AT_ONCE = 2**24


@dataclass(frozen=True, eq=False)
class Regions:
    """A partition of users and of cells.

    Attributes
    ----------
    segment
        Number of each user's segment, shape (user,).
    group
        Number of each item's group, shape (item,); group 0 holds the most popular items.
    segments, groups, levels
        How many there are.
    """

    segment: Counts
    group: Counts
    segments: int
    groups: int
    levels: int

    @property
    def cells(self) -> int:
        """Number of coarse cells, groups times levels."""
        return self.groups * self.levels

    @property
    def words(self) -> str:
        """The resolution in words."""
        return f"{self.segments} segments of users over {self.cells} groups of cells"

    def by_user(self) -> Regions:
        """Return the same groups of cells with every user as a segment of his own."""
        users = self.segment.size
        return replace(self, segment=np.arange(users), segments=users)


@dataclass(frozen=True, eq=False)
class Table:
    """A part of the data beside what a model says of it, at the resolution of regions.

    Attributes
    ----------
    regions
        The partition.
    stratum, cell
        Segment and coarse cell of every interaction, shape (interaction,).
    laws
        The model's mean law over the interactions of each segment, shape (segment, cell); rows sum to 1.
    """

    regions: Regions
    stratum: Counts
    cell: Counts
    laws: Array

    @property
    def sizes(self) -> Counts:
        """Interactions of each segment, shape (segment,)."""
        found: Counts = np.bincount(self.stratum, minlength=self.regions.segments)
        return found

    def counts(self, chosen: Counts | slice = slice(None)) -> Counts:
        """Count some of the interactions, shape (segment, cell)."""
        found = np.zeros((self.regions.segments, self.regions.cells), dtype=np.int64)
        np.add.at(found, (self.stratum[chosen], self.cell[chosen]), 1)
        return found


def regions_of(split: Split, segments: int = SEGMENTS, cells: int = CELLS) -> Regions:
    """Cut users by activity and items by popularity, at least ``cells`` groups of cells where there are items enough.

    Segments and groups have about equal shares of the interactions of the profile and scored parts, which alone are
    looked at. Segments without a user are left out.
    """
    return regions_from((split.profile, split.scored), segments, cells)


def regions_from(training: Sequence[Interactions], segments: int = SEGMENTS, cells: int = CELLS) -> Regions:
    """Cut users and items of the training's catalogue as `regions_of` does; the parts of the training share one."""
    data = training[0]
    of_users, of_items = np.zeros(data.n_users), np.zeros(data.n_items)
    for part in training:
        of_users += np.bincount(part.user, minlength=data.n_users)
        of_items += np.bincount(part.item, minlength=data.n_items)
    groups = min(data.n_items, max(LEAST_GROUPS, ceil(cells / data.n_levels)))
    segment, group = equal_shares(of_users, segments), equal_shares(of_items, groups)
    return Regions(segment, group, int(segment.max()) + 1, int(group.max()) + 1, data.n_levels)


def equal_shares(counts: Array, groups: int) -> Counts:
    """Return numbers of groups of about equal sums of counts, the greatest counts first; numbers have no gaps.

    >>> equal_shares(np.array([1.0, 5.0, 2.0, 2.0]), 2)
    array([1, 0, 1, 1])
    """
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    found = np.empty(counts.size, dtype=np.int64)
    found[order] = np.minimum(before * groups / max(counts.sum(), 1), groups - 1).astype(np.int64)
    numbers: Counts = np.unique(found, return_inverse=True)[1]
    return numbers


def tabulate(regions: Regions, split: Split, part: Interactions, laws: Laws) -> Table:
    """Count a part and sum up a model's laws over its users, under the mask of the split."""
    member = np.eye(regions.groups)[regions.group]

    def coarse(users: Counts) -> Array:
        law = laws(users)
        if split.masked:
            law = law * ~split.item_mask(users)[:, :, None]
        found: Array = np.einsum("ujr,jg->ugr", law, member, optimize=True).reshape(len(users), -1)
        found /= found.sum(axis=1, keepdims=True)
        return found

    return summed(regions, part.user, regions.group[part.item] * regions.levels + part.level, coarse)


def summed(regions: Regions, user: Counts, cell: Counts, coarse: Callable[[Counts], Array]) -> Table:
    """Put interactions beside the mean laws of their segments.

    Parameters
    ----------
    regions
        The partition.
    user, cell
        Number of the user and of the coarse cell of every interaction, shape (interaction,).
    coarse
        The model's probabilities of coarse cells, shape (user, cell), for users by their numbers; rows sum to 1.
    """
    users, numbers = np.unique(user, return_counts=True)
    sums = np.zeros((regions.segments, regions.cells))
    for first in range(0, len(users), BATCH_USERS):
        batch = users[first : first + BATCH_USERS]
        np.add.at(sums, regions.segment[batch], numbers[first : first + BATCH_USERS, None] * coarse(batch))
    total = sums.sum(axis=1, keepdims=True)
    # A segment without interactions gets a law nobody asks for.
    mean = np.where(total > 0, sums / np.where(total > 0, total, 1), 1 / regions.cells)
    return Table(regions, regions.segment[user], cell, mean)


def rounds_of(table: Table, order: Counts, *, whole: bool) -> tuple[Rounds, NDArray[np.bool_]] | None:
    """Lay interactions, in a random order, out in rounds beside the model's laws, and say which strata have pairs.

    None where no two interactions of a stratum can coincide, or a pool has a segment without pairs.

    Parameters
    ----------
    table
        Interactions beside a model.
    order
        Numbers of those that are compared, in an order that chance alone has made, shape (interaction,).
    whole
        Whether these are all: independent draws, every segment being one user. Otherwise they are a random subset of
        the table, the finite pool, and segments weigh as they do in the pool.
    """
    regions = table.regions
    rounds = min(ROUNDS, NUMBERS_AT_ONCE // max(1, regions.segments * regions.cells))
    if rounds < 2:
        return None
    counts = np.stack([table.counts(part) for part in np.array_split(order, rounds)])
    pairs = (counts.sum(axis=2) > 0).sum(axis=0) > 1
    if not pairs.any() or (not whole and not pairs[table.sizes > 0].all()):
        return None
    laid = Rounds(
        counts[:, pairs],
        table.laws[pairs],
        "users" if whole else "segments",
        f"{int(pairs.sum())} users over {regions.cells} groups of cells" if whole else regions.words,
        pool=None if whole else table.sizes[pairs],
        weights=None if whole else table.sizes[pairs] / table.sizes.sum(),
    )
    return laid, pairs
