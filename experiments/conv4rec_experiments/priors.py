"""A prior that has learnt: a network trained on a random share of the scored part; draws are scored on the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from conv4rec.errors import InputError
from conv4rec.splits import Part, Split

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions

__all__ = ["Prior", "prior_split"]

STREAM = 0x5052494F52
"""The key of the random numbers that cut the scored part: independent of those that cut the data with the same seed."""

STOPPING = 0.1
"""The share of the prior's interactions on which its training stops, in place of the validation part."""


def prior_split(split: Split, share: float, seed: int) -> Split:
    """Return the split on which a prior may be trained: the profile, and a random share of the scored part.

    A tenth of that share is its validation part. What is not in it, the rest of the scored part and the split's own
    validation and held-out parts, is not in its interactions: nothing that is trained on it can have seen the rest.

    Parameters
    ----------
    split
        The split of the model.
    share
        The share of the scored part, strictly between 0 and 1.
    seed
        The seed of the model.

    Raises
    ------
    InputError
        If the share is out of range, or the scored part has too few interactions to leave some for each purpose.

    Examples
    --------
    >>> import polars as pl
    >>> from conv4rec import Interactions, split_by_interaction
    >>> data = Interactions.from_frame(pl.DataFrame({"user": [1, 2] * 50, "item": list(range(50)) * 2}))
    >>> prior_split(split_by_interaction(data, seed=0), 0.5, seed=0)
    Split(interaction: 25 profile, 7 scored, 1 validation, 0 held_out)
    """
    if not 0 < share < 1:
        raise InputError(f"the prior's share is {share}; expected a number strictly between 0 and 1.")
    scored = int((split.part == Part.SCORED).sum())
    count = round(share * scored)
    if not 2 <= count < scored:
        raise InputError(
            f"a share of {share} of {scored} scored interactions is {count}; expected at least 2 for the prior and 1 "
            "for the draws; give another share or more interactions."
        )
    return _split(split, _cut(split, count, seed))


@dataclass(frozen=True, eq=False)
class Prior:
    """A network that has learnt from a part of the scored interactions, and what it has left of them.

    Attributes
    ----------
    model
        The network; the interactions of its split are, as is trusted, all that it has seen.
    left
        The scored interactions that it has not seen.
    """

    model: Conv4Rec
    left: Interactions

    @classmethod
    def of(cls, model: Conv4Rec, trained: Conv4Rec) -> Prior:
        """Take a network as the prior's centre of a model, if the split it carries is what `prior_split` gives.

        That its weights were trained on that split and on nothing else is trusted.

        Raises
        ------
        InputError
            If it carries another split, or has other sizes or activations than the model.
        """
        if trained.architecture != model.architecture:
            raise InputError(
                "the prior's network has other sizes or activations than the model; train both with the same options."
            )
        count = len(trained.split.scored) + len(trained.split.validation)
        part = _cut(model.split, min(count, len(model.split.scored)), model.options.seed)
        if not _same(trained.split, _split(model.split, part)):
            raise InputError(
                "the prior's network was trained on other interactions than the model's split and seed set apart for "
                "it; train both in one call with --prior-share, or on prior_split(model.split, share, seed)."
            )
        left = model.interactions.subset((model.split.part == Part.SCORED) & (part < 0))
        if not len(left):
            raise InputError("the prior's network has seen all scored interactions; leave some, with a smaller share.")
        return cls(trained, left)

    @property
    def size(self) -> int:
        """How many of the scored interactions it has seen."""
        return len(self.model.split.scored) + len(self.model.split.validation)


def _cut(split: Split, count: int, seed: int) -> np.ndarray:
    """Give every interaction its part for the prior, -1 where the prior may not see it."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))
    chosen = rng.permutation(np.flatnonzero(split.part == Part.SCORED))[:count]
    part = np.where(split.part == Part.PROFILE, Part.PROFILE, -1).astype(np.int8)
    part[chosen] = Part.SCORED
    part[chosen[: max(1, round(STOPPING * count))]] = Part.VALIDATION
    return part


def _split(split: Split, part: np.ndarray) -> Split:
    known = part >= 0
    return Split(split.interactions.subset(known), part[known], split.protocol, split.seed, split.coin)


def _same(first: Split, second: Split) -> bool:
    one, other = first.interactions, second.interactions
    named = one.user_ids.equals(other.user_ids) and one.item_ids.equals(other.item_ids) and one.levels == other.levels
    arrays = (
        (first.part, second.part),
        *((getattr(one, name), getattr(other, name)) for name in ("user", "item", "level")),
    )
    rules = (first.protocol, first.seed, first.coin) == (second.protocol, second.seed, second.coin)
    return named and rules and all(np.array_equal(a, b) for a, b in arrays)
