r"""How interactions come about: draws that are what theorems assume, and four ways in which real data differ.

The first ``size`` records are the sample, cut in time order into blocks of about 1/16, 1/16, 1/8, 1/4 and 1/2 of it;
the next ``max(1, size // 4)`` are the held-out part. Users ``i`` come from the marginal :math:`\pi`, cells from
:math:`Q_i`. Only under "independent" is each record an independent draw from its user's law.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_experiments.truths.truth import Counts, Truth

__all__ = ["COPIES", "REPEATS", "SAMPLINGS", "Sample", "draw", "part_sizes"]

Array = NDArray[np.float64]
Records = NDArray[np.int64]

REPEATS = 0.5
"""Probability that a user's next interaction repeats his last cell, under "dependent"."""

COPIES = 3
"""How often each drawn interaction is recorded, under "duplicated"."""

STEPS = 64
"""The law of "drifting" moves in so many equal steps."""

MOST_LISTED = 10_000_000
"""The greatest number of records that are drawn one by one."""

SHARES = (16, 16, 8, 4)


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample in blocks, what comes after it, and the law that a certificate's user would mean.

    Attributes
    ----------
    blocks
        Counts in time order, shape (block, user, cell).
    held_out
        Counts of the records that follow, shape (user, cell).
    target_law
        Law of a next interaction given its user, shape (user, cell), each row sums to one.
    """

    blocks: Counts
    held_out: Counts
    target_law: Array

    @property
    def total(self) -> Counts:
        """Counts of the whole sample, shape (user, cell)."""
        counts: Counts = self.blocks.sum(axis=0)
        return counts


def part_sizes(size: int) -> tuple[int, ...]:
    """Give the sizes of the five blocks and of the held-out part.

    Examples
    --------
    >>> part_sizes(1_000)
    (62, 62, 125, 250, 501, 250)
    """
    first = tuple(size // share for share in SHARES)
    return (*first, size - sum(first), max(1, size // 4))


def draw(sampling: str, truth: Truth, size: int, rng: np.random.Generator) -> Sample:
    """Draw a sample of ``size`` records and its held-out part.

    Raises
    ------
    InputError
        If the size is below 1 or larger than the sampling can draw, or nobody knows the sampling.

    Examples
    --------
    >>> from conv4rec_experiments.truths import small_truth
    >>> sample = draw("independent", small_truth(0), 1_000, np.random.default_rng(0))
    >>> sample.blocks.sum(axis=(1, 2)).tolist(), int(sample.held_out.sum())
    ([62, 62, 125, 250, 501], 250)
    """
    if sampling not in SAMPLINGS:
        raise InputError(f"There is no sampling named {sampling!r}; expected one of {', '.join(SAMPLINGS)}.")
    if size < 1:
        raise InputError(f"The sample size was {size}; a sample needs at least one interaction; raise it.")
    parts, law = SAMPLINGS[sampling](truth, size, rng)
    return Sample(parts[:-1], parts[-1], law)


def independent(truth: Truth, size: int, rng: np.random.Generator) -> tuple[Counts, Array]:
    r"""Draw every record independently, users from :math:`\pi` and cells from :math:`Q_i`, by counts: free of size."""
    return np.stack([_counts(truth, part, rng) for part in part_sizes(size)]), truth.law


def dependent(truth: Truth, size: int, rng: np.random.Generator) -> tuple[Counts, Array]:
    r"""Let users repeat themselves: with probability 1/2 a record has the cell of the same user's last one.

    .. math::
        y_t = y_{t'}\ \text{with probability}\ \rho,\quad y_t\sim Q_{i_t}\ \text{otherwise};\qquad
        t' = \max\{s<t: i_s=i_t\},\ \rho = \tfrac12 .

    The law of each single record is that of "independent"; a user's :math:`n` records carry about as much as
    :math:`n(1-\rho)/(1+\rho)`. Records are drawn one by one.
    """
    total = _listable(sum(part_sizes(size)))
    users = rng.choice(truth.users, size=total, p=truth.pi)
    order = np.argsort(users, kind="stable")
    fresh = rng.random(total) >= REPEATS
    first = np.flatnonzero(np.diff(users[order], prepend=-1))
    fresh[first] = True
    found = np.empty(int(fresh.sum()), dtype=np.int64)
    owner = users[order][fresh]
    for user in np.unique(owner).tolist():
        mine = owner == user
        found[mine] = rng.choice(truth.cells, size=int(mine.sum()), p=truth.law[user])
    cells = np.empty(total, dtype=np.int64)
    cells[order] = found[np.cumsum(fresh) - 1]
    return _tables(truth, users, cells, size), truth.law


def drifting(truth: Truth, size: int, rng: np.random.Generator) -> tuple[Counts, Array]:
    r"""Move every user's law in 64 equal steps to another one, which the held-out part and the target have.

    .. math::
        Q_i^{(u)} = (1-u)\,Q_i + u\,Q_i', \qquad Q_i'(j,r) = \tfrac12\left(Q_i(j,r)+Q_i(j-1,r)\right),

    items taken in a circle: half of an item's share goes over to the next one. :math:`u` goes from 0 to 1 over the
    sample. By counts, free of size.
    """
    table = truth.law.reshape(truth.users, truth.items, truth.levels)
    last = (table + np.roll(table, 1, axis=1)).reshape(truth.law.shape) / 2
    sizes = part_sizes(size)
    ends = np.cumsum(sizes)
    steps = size * np.arange(STEPS + 1) // STEPS
    edges = np.unique(np.concatenate([[0], ends, steps]))
    parts = np.zeros((len(sizes), *truth.law.shape), dtype=np.int64)
    for begin, end in pairwise(edges.tolist()):
        moved = 1.0 if begin >= size else (int(np.searchsorted(steps, begin, side="right")) - 1) / (STEPS - 1)
        now = replace(truth, law=(1 - moved) * truth.law + moved * last, weights=None, realisable=False)
        parts[np.searchsorted(ends, begin, side="right")] += _counts(now, end - begin, rng)
    return parts, last


def duplicated(truth: Truth, size: int, rng: np.random.Generator) -> tuple[Counts, Array]:
    """Record every independent draw three times in a row; sizes count records.

    A part that ends within such a row leaves the rest of it to the next part. By counts, free of size.
    """
    parts = np.zeros((len(part_sizes(size)), *truth.law.shape), dtype=np.int64)
    owed, pending = 0, np.zeros(truth.law.shape, dtype=np.int64)
    for part, records in zip(parts, part_sizes(size), strict=True):
        from_before = min(owed, records)
        owed -= from_before
        whole, rest = divmod(records - from_before, COPIES)
        part += from_before * pending + COPIES * _counts(truth, whole, rng)
        if rest:
            pending = _counts(truth, 1, rng)
            part += rest * pending
            owed = COPIES - rest
    return parts, truth.law


def without_replacement(truth: Truth, size: int, rng: np.random.Generator) -> tuple[Counts, Array]:
    r"""Let every user take an item at most once, as real ratings do.

    A user who has taken the items :math:`T` takes next :math:`j\notin T` with probability
    :math:`Q_i(j)/\sum_{j'\notin T}Q_i(j')` and gives it the level :math:`r` with :math:`Q_i(r\mid j)`; users come from
    :math:`\pi` among those with items left. The target is what one would naively claim, :math:`Q_i` itself.

    Raises
    ------
    InputError
        If there are fewer pairs of user and item with any probability than records.
    """
    total = sum(part_sizes(size))
    table = truth.law.reshape(truth.users, truth.items, truth.levels)
    of_items = table.sum(axis=2)
    capacity = (of_items > 0).sum(axis=1)
    if total > capacity.sum():
        raise InputError(
            f"{size} interactions and a held-out part of {total - size} were asked for, but without replacement there "
            f"are {capacity.sum()} pairs of user and item; ask for at most {4 * int(capacity.sum()) // 5}."
        )
    with np.errstate(divide="ignore"):
        keys = np.log(of_items) + rng.gumbel(size=of_items.shape)
    order = np.argsort(-keys, axis=1, kind="stable")
    users = _users_with_items_left(truth.pi, capacity, total, rng)
    items = order[users, _how_many_before(users)]
    shares = np.cumsum(table[users, items], axis=1)
    levels = (rng.random(total)[:, None] * shares[:, -1:] >= shares[:, :-1]).sum(axis=1)
    return _tables(truth, users, items * truth.levels + levels, size), truth.law


SAMPLINGS: Mapping[str, Callable[[Truth, int, np.random.Generator], tuple[Counts, Array]]] = {
    "independent": independent,
    "dependent": dependent,
    "drifting": drifting,
    "duplicated": duplicated,
    "without replacement": without_replacement,
}
"""Makers of the parts, shape (part, user, cell), held-out part last, and of the target law, by name."""


def _counts(truth: Truth, size: int, rng: np.random.Generator) -> Counts:
    """Count independent draws, of which there may be none."""
    return truth.sample_given(rng.multinomial(size, truth.pi), rng)


def _listable(total: int) -> int:
    if total > MOST_LISTED:
        raise InputError(
            f"{total:,} records were to be drawn one by one; at most {MOST_LISTED:,} are; lower the sample size."
        )
    return total


def _tables(truth: Truth, users: Records, cells: Records, size: int) -> Counts:
    """Count records in time order, part by part."""
    sizes = part_sizes(size)
    part = np.repeat(np.arange(len(sizes)), sizes)
    place = (part * truth.users + users) * truth.cells + cells
    counts = np.bincount(place, minlength=len(sizes) * truth.users * truth.cells)
    return counts.reshape(len(sizes), truth.users, truth.cells).astype(np.int64)


def _how_many_before(users: Records) -> Records:
    """For every record, how many earlier ones its user has."""
    order = np.argsort(users, kind="stable")
    first = np.flatnonzero(np.diff(users[order], prepend=-1))
    lengths = np.diff(np.append(first, len(users)))
    before = np.empty_like(users)
    before[order] = np.arange(len(users)) - np.repeat(first, lengths)
    return before


def _users_with_items_left(pi: Array, capacity: Records, total: int, rng: np.random.Generator) -> Records:
    """Draw users one after the other; a user whose items are used up is drawn again, that is, never more."""
    users = np.empty(0, dtype=np.int64)
    while len(users) < total:
        left = np.where(capacity > np.bincount(users, minlength=len(pi)), pi, 0.0)
        users = np.concatenate([users, rng.choice(len(pi), size=total - len(users), p=left / left.sum())])
        users = users[_how_many_before(users) < capacity[users]]
    return users
