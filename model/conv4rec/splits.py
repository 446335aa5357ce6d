"""A split of interactions into profile, scored, validation and held-out part, and what it allows to conclude."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from conv4rec.arguments import real_number, whole_number
from conv4rec.coin import MAX_SEED, tails
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.protocols import PROTOCOLS, Protocol, statement

__all__ = ["Part", "Split"]


class Part(IntEnum):
    """What an interaction is used for."""

    PROFILE = 0
    SCORED = 1
    VALIDATION = 2
    HELD_OUT = 3


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Interactions, each with the part that it belongs to: the four parts are disjoint and together complete.

    Parameters
    ----------
    interactions : Interactions
        All of them.
    part : int8 array, shape (N,)
        A `Part` for each interaction.
    protocol : {"coin", "interaction", "time", "period"}
        How the parts were made.
    seed : int or None
        The seed of the random protocols.
    coin : float or None
        The probability that the coin of a (user, item) says "profile"; given exactly for the protocol ``"coin"``.

    Raises
    ------
    InputError
        The parts do not fit the interactions, or no interaction is scored.

    Examples
    --------
    >>> import polars as pl
    >>> from conv4rec import split_by_interaction
    >>> frame = pl.DataFrame({"user": [1, 1, 1, 1, 2, 2, 2, 2], "item": [1, 2, 3, 4, 1, 2, 3, 4]})
    >>> split = split_by_interaction(Interactions.from_frame(frame), (0.5, 0.25, 0.125, 0.125), seed=0)
    >>> split
    Split(interaction: 4 profile, 2 scored, 1 validation, 1 held_out)
    >>> split.scored.n_users, len(split.scored)
    (2, 2)
    """

    interactions: Interactions
    part: npt.NDArray[np.int8]
    protocol: Protocol
    seed: int | None = None
    coin: float | None = None

    def __post_init__(self) -> None:
        part = np.asarray(self.part)
        if part.shape != (len(self.interactions),) or not np.isin(part, list(Part)).all():
            raise InputError(
                f"part must hold one of 0..3 for each of {len(self.interactions)} interactions; correct it."
            )
        if self.protocol not in PROTOCOLS:
            raise InputError(f"protocol={self.protocol!r} is not known, expected one of {', '.join(PROTOCOLS)}.")
        if self.seed is not None:
            object.__setattr__(self, "seed", whole_number("seed", self.seed, 0, MAX_SEED))
        if self.coin is not None:
            object.__setattr__(self, "coin", real_number("coin", self.coin))
            if not 0 <= self.coin <= 1:
                raise InputError(f"coin is {self.coin!r}; expected a probability from 0 to 1.")
        if (self.protocol == "coin") != (self.coin is not None and self.seed is not None):
            raise InputError("a coin needs its probability and a seed, and only the protocol 'coin' has one.")
        if self.masked and (self.is_masked(self.interactions) != (part == Part.PROFILE)).any():
            raise InputError("the profile is not where the coin says; make the split with split_by_coin.")
        if not (part == Part.SCORED).any():
            raise InputError(
                f"no interaction is scored among {len(part)}, so there would be nothing to learn from; "
                "raise the scored share or give more interactions."
            )
        part = part.astype(np.int8, copy=False).view()
        part.flags.writeable = False
        object.__setattr__(self, "part", part)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts().items())
        return f"Split({self.protocol}: {counts})"

    @cached_property
    def profile(self) -> Interactions:
        """The encoder's input."""
        return self._subset(Part.PROFILE)

    @cached_property
    def scored(self) -> Interactions:
        """The targets of the loss."""
        return self._subset(Part.SCORED)

    @cached_property
    def validation(self) -> Interactions:
        """For early stopping and tuning only."""
        return self._subset(Part.VALIDATION)

    @cached_property
    def held_out(self) -> Interactions:
        """For certificates and final figures only."""
        return self._subset(Part.HELD_OUT)

    def _subset(self, part: Part) -> Interactions:
        return self.interactions.subset(self.part == part)

    @property
    def masked(self) -> bool:
        """Whether the softmax of a user leaves items out."""
        return self.coin is not None

    def item_mask(self, users: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Say which items are *outside* the softmax of each user, shape (len(users), n_items).

        Computed anew from ``(seed, user, item)`` at each call, never from the data; all False where nothing is masked.

        Parameters
        ----------
        users : int array
            Codes of users.

        Raises
        ------
        InputError
            A code is no user's.
        """
        codes = np.asarray(users)
        if codes.ndim != 1 or (codes.size and codes.dtype.kind not in "iu"):
            raise InputError(f"users must be a list of integer codes, not {codes.dtype} of shape {codes.shape}.")
        if codes.size and not 0 <= codes.min() <= codes.max() < self.interactions.n_users:
            raise InputError(
                f"user codes run from {codes.min()} to {codes.max()}, expected 0 to {self.interactions.n_users - 1}; "
                "translate identifiers with user_codes()."
            )
        if self.coin is None or self.seed is None:
            return np.zeros((len(codes), self.interactions.n_items), dtype=bool)
        items = np.arange(self.interactions.n_items)
        mask = np.empty((len(codes), len(items)), dtype=bool)
        for row, user in enumerate(codes.astype(np.int64)):  # one user's words fit the cache, a batch's do not
            mask[row] = tails(self.seed, user[None], items, self.coin)
        return mask

    def is_masked(self, part: Interactions) -> npt.NDArray[np.bool_]:
        """Say for each interaction whether its item is outside the softmax of its user, shape (N,)."""
        if self.coin is None or self.seed is None:
            return np.zeros(len(part), dtype=bool)
        return tails(self.seed, part.user, part.item, self.coin)

    def counts(self) -> dict[str, int]:
        """Count the interactions of each part."""
        sizes = np.bincount(self.part, minlength=len(Part)).tolist()
        return {part.name.lower(): size for part, size in zip(Part, sizes, strict=True)}

    @cached_property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """How many interactions of each item train a model, those of the profile and scored parts, shape (n_items,)."""
        trained = np.isin(self.part, (Part.PROFILE, Part.SCORED))
        return np.bincount(self.interactions.item[trained], minlength=self.interactions.n_items).astype(np.int64)

    @cached_property
    def statement(self) -> str:
        """Which protocol the split satisfies, under which assumption, and whether the data is a finite pool."""
        return statement(self.protocol, has_repeats=self.interactions.has_repeats)
