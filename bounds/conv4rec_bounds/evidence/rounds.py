"""Interactions counted round by round, beside laws that were made before: total variation by coincidences."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError

__all__ = ["Rounds"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

ROUNDING = 1e-9
MOST = 2**53


@dataclass(frozen=True, eq=False)
class Rounds:
    r"""Counts of scored interactions in rounds, by stratum and cell, and the laws that they are compared with.

    A stratum is a user (in one block, if predictors are remade between blocks), or a segment of users in a finite pool.
    Cells may be groups of cells.

    Attributes
    ----------
    counts
        Interactions of each round, shape (round, stratum, cell), integers.
    laws
        The predictor's law of each stratum, shape (stratum, cell), rows sum to 1.
    strata
        ``"users"``: all interactions of a stratum have one law; ``"segments"``: they have those of several users.
    resolution
        What strata and cells are, for people.
    pool
        Interactions of the finite pool of each stratum, shape (stratum,); no pool serves two strata. None for
        independent draws.
    owners
        Number of the user of each stratum, shape (stratum,): strata of one user have one true law. By default every
        stratum has its own.
    weights
        Weight of each stratum in what is certified, chosen from users and sizes alone, shape (stratum,), sum 1,
        positive for strata with interactions in two rounds and zero for others; by default their shares of such
        interactions.
    distance
        Total variation between a shipped model and the laws, under `mix`, each user's laws averaged with the weights of
        `mix`; None if the laws themselves are the predictor.
    untouched
        False if a law was made with interactions of its stratum's rounds or of later ones, or if profiles hold them.
    blind
        False if strata, cells or rounds were chosen with a look at the cells of the counted interactions.

    Raises
    ------
    RefusedError
        If shapes do not fit together, counts are negative or no integers, laws are none, a pool is smaller than what
        was counted, or no stratum has interactions in two rounds.

    Examples
    --------
    >>> rounds = Rounds(np.array([[[3, 1]], [[2, 2]]]), np.array([[0.5, 0.5]]), "users", "one user")
    >>> rounds.size, rounds.mix, rounds.pairs
    (8, array([1.]), array([16.]))
    """

    counts: Counts
    laws: Array
    strata: Literal["users", "segments"]
    resolution: str
    pool: Counts | None = None
    owners: Counts | None = None
    weights: Array | None = None
    distance: float | None = None
    untouched: bool = True
    blind: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what does not fit together."""
        counts, laws = np.array(self.counts), np.array(self.laws, dtype=np.float64)
        if counts.ndim != 3 or counts.size == 0 or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise RefusedError(
                f"the counts have shape {counts.shape} and type {counts.dtype}; expected integers of at least 0 of "
                "shape (round, stratum, cell); count the interactions of each round"
            )
        if laws.shape != counts.shape[1:]:
            raise RefusedError(
                f"laws of shape {laws.shape} came with counts of shape {counts.shape}; expected a law "
                "for each stratum over the same cells"
            )
        if not np.isfinite(laws).all() or (laws < 0).any() or (np.abs(laws.sum(axis=1) - 1) > ROUNDING).any():
            raise RefusedError("a law holds NaN or negative numbers or does not sum to 1; expected probabilities")
        if self.strata not in ("users", "segments"):
            raise RefusedError(f"the strata are {self.strata!r}; expected users or segments")
        if counts.sum(dtype=np.float64) > MOST:
            raise RefusedError(f"the counts add up to more than {MOST:.0e}; expected fewer; take a part of them")
        self._keep("counts", counts.astype(np.int64))
        self._keep("laws", laws / laws.sum(axis=1, keepdims=True))
        for name in ("pool", "owners"):
            if getattr(self, name) is not None:
                self._keep(name, self._of_strata(name))
        if self.weights is not None:
            self._keep("weights", self._checked_weights())
        if self.pool is not None and (self.owners is not None or (self.pool < counts.sum(axis=(0, 2))).any()):
            raise RefusedError(
                "a pool is smaller than what was counted of it, or came with owners; expected at least the counted "
                "interactions of each stratum, each with a pool of its own"
            )
        if self.distance is not None and not 0 <= self.distance <= 1:
            raise RefusedError(f"the distance of the shipped model is {self.distance}; expected between 0 and 1")
        if not self.size:
            raise RefusedError(
                "no stratum has interactions in two rounds, so nothing can coincide; expected at least one; take more "
                "interactions or coarser strata"
            )

    def _of_strata(self, name: str) -> Counts:
        kept = np.array(getattr(self, name))
        if kept.shape != self.counts.shape[1:2] or kept.dtype.kind not in "iu" or (kept < 0).any():
            raise RefusedError(
                f"{name} has shape {kept.shape} and type {kept.dtype}; expected a whole number for each "
                f"of {self.counts.shape[1]} strata"
            )
        return kept.astype(np.int64)

    def _checked_weights(self) -> Array:
        kept = np.array(self.weights, dtype=np.float64)
        fits = kept.shape == self.pairs.shape and bool(np.isfinite(kept).all()) and abs(kept.sum() - 1) <= ROUNDING
        if not fits or ((kept > 0) != (self.pairs > 0)).any() or (kept < 0).any():
            raise RefusedError(
                f"the weights of the strata have shape {kept.shape} and sum to {kept.sum():g}; expected a positive "
                "weight for every stratum with interactions in two rounds, zero for the others, and the sum 1; leave "
                "such strata out of the weights, or take fewer strata"
            )
        normalised: Array = kept / kept.sum()
        return normalised

    def _keep(self, name: str, array: NDArray[np.generic]) -> None:
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @cached_property
    def of_rounds(self) -> Array:
        """Interactions of each round and stratum, shape (round, stratum)."""
        sums: Array = self.counts.sum(axis=2).astype(np.float64)
        return sums

    @cached_property
    def earlier(self) -> Array:
        """Interactions of the stratum in earlier rounds, shape (round, stratum)."""
        before: Array = self.of_rounds.cumsum(axis=0) - self.of_rounds
        return before

    @cached_property
    def pairs(self) -> Array:
        """Pairs of interactions of two rounds in each stratum, shape (stratum,)."""
        found: Array = (self.of_rounds * self.earlier).sum(axis=0)
        return found

    @cached_property
    def sizes(self) -> Array:
        """Interactions of each stratum, 0 where there are no pairs, shape (stratum,)."""
        found: Array = np.where(self.pairs > 0, self.of_rounds.sum(axis=0), 0.0)
        return found

    @property
    def size(self) -> int:
        """Number of interactions in strata with pairs."""
        return int(self.sizes.sum())

    @property
    def mix(self) -> Array:
        """Weight of each stratum in what is certified, shape (stratum,)."""
        shares: Array = self.sizes / self.sizes.sum() if self.weights is None else self.weights
        return shares
