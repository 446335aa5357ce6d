"""Held-out interactions that fell into pools of hidden gems, and how many of them have a high level."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import refuse_bad_size

__all__ = ["GemCounts"]

Levels = Literal["independent", "finite pool", "neither"]


@dataclass(frozen=True)
class GemCounts:
    """Pools of pairs of user and item, chosen without the held-out part, and what of that part fell into them.

    Attributes
    ----------
    size, high
        The number N of held-out interactions that were counted, and how many of them have a high level.
    in_pool, high_in_pool
        The same two numbers for every pool: integers, shape (pool,).
    names
        What the pools are, for people, shape (pool,).
    levels
        How the levels came about. ``"independent"``: given users and items, they are independent draws;
        ``"finite pool"``: the counted interactions are a uniformly random subset of a finite held-out pool, drawn with
        coins of its own; ``"neither"``.
    pool, all_in_pool
        For the second reading: the number of all interactions of the finite held-out pool, and of those among them that
        fell into each pool of gems, whether they were counted or not, shape (pool,).
    blind
        False if the pools were chosen with a look at the held-out part.
    untouched
        False if training, early stopping or tuning of the model has seen the held-out part.

    Raises
    ------
    RefusedError
        If counts are no whole numbers that fit into each other, the lists differ in length, a name occurs twice, or the
        finite pool is missing or smaller than its subset.

    Examples
    --------
    >>> GemCounts(100, 60, [40, 20], [30, 18], ("likely", "likelier"), levels="independent").in_pool
    array([40, 20])
    """

    size: int
    high: int
    in_pool: NDArray[np.int64]
    high_in_pool: NDArray[np.int64]
    names: tuple[str, ...]
    levels: Levels = field(kw_only=True)
    pool: int | None = None
    all_in_pool: NDArray[np.int64] | None = None
    blind: bool = True
    untouched: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what cannot have been counted."""
        refuse_bad_size("the held-out part", self.size)
        if self.levels not in get_args(Levels):
            raise RefusedError(f"levels are {self.levels!r}; expected one of {', '.join(get_args(Levels))}")
        for name in ("in_pool", "high_in_pool", "all_in_pool"):
            if getattr(self, name) is None:
                continue
            counts = np.array(getattr(self, name))
            if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu":
                raise RefusedError(
                    f"the counts {name} have shape {counts.shape} and type {counts.dtype}; expected a list of "
                    "integers; pass how many interactions there are, not their share"
                )
            counts = counts.astype(np.int64)
            counts.flags.writeable = False
            object.__setattr__(self, name, counts)
        if not len(self.names) == self.in_pool.size == self.high_in_pool.size:
            raise RefusedError(
                f"{len(self.names)} names, {self.in_pool.size} counts and {self.high_in_pool.size} counts of high "
                "levels were given; expected as many of each"
            )
        if len(set(self.names)) < len(self.names):
            raise RefusedError("two pools have one name; expected a name of its own for each")
        low, others = self.in_pool - self.high_in_pool, self.size - self.high
        if not 0 <= self.high <= self.size or (self.high_in_pool < 0).any() or (low < 0).any():
            raise RefusedError("more high levels than interactions were counted, or fewer than none; count them again")
        if (self.high_in_pool > self.high).any() or (low > others).any():
            raise RefusedError(
                f"a pool holds more than all of the {self.size} interactions, of which {self.high} have a high level; "
                "count the pools in the same part"
            )
        if {self.pool is not None, self.all_in_pool is not None} != {self.levels == "finite pool"}:
            raise RefusedError(
                f"levels are {self.levels!r} and the finite pool is {self.pool}; expected its size and all_in_pool, "
                "what of it fell into each pool of gems, exactly for a random subset of a finite pool"
            )
        if self.pool is not None and self.all_in_pool is not None:
            refuse_bad_size("the finite pool", self.pool)
            if self.pool < self.size:
                raise RefusedError(f"{self.size} interactions cannot be a subset of a pool of {self.pool}")
            if self.all_in_pool.size != self.in_pool.size:
                raise RefusedError("the lists of what fell into the pools differ in length; expected as many of each")
            rest = self.all_in_pool - self.in_pool
            if (rest < 0).any() or (rest > self.pool - self.size).any():
                raise RefusedError(
                    f"what was not counted of a pool is less than none or more than all of the {self.pool - self.size} "
                    "other interactions; count the pools in the whole finite pool"
                )
