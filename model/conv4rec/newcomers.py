"""Users whom training has not met: the fitted network reads what they did, and nothing is trained again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.batches import CellsByUser
from conv4rec.errors import InputError
from conv4rec.fitted import Fitted
from conv4rec.identifiers import codes_of, lookup
from conv4rec.interactions import Interactions
from conv4rec.predictions import Predictions

if TYPE_CHECKING:
    from conv4rec.options import TrainingOptions
    from conv4rec.sources import Frame

__all__ = ["Newcomers", "UnknownItems", "meet", "reading_of"]

UnknownItems: TypeAlias = Literal["refuse", "skip"]

NAMED = 5
"""How many unknown items a refusal names."""


@dataclass(frozen=True)
class Met(Fitted):
    """A fitted network beside the histories of new users, which are their whole profiles."""

    met: Interactions

    @cached_property
    def seen(self) -> CellsByUser:
        """The histories, by user."""
        return CellsByUser.of(self.met)

    @cached_property
    def certified(self) -> CellsByUser:
        """The histories: a newcomer has no other profile."""
        return self.seen

    @cached_property
    def trained(self) -> CellsByUser:
        """The histories, likewise."""
        return self.seen

    @cached_property
    def known(self) -> CellsByUser:
        """The histories: nothing else is known of a newcomer."""
        return self.seen


class Newcomers(Predictions):
    """What a fitted model says about users whom it has not met; `Conv4Rec.for_new_users` makes it.

    It has the methods of the model that predict, and `interactions` are those of the new users. Their whole history is
    their profile, whichever `profile` is asked for. `log_probabilities` needs a split of these users' interactions,
    whose profile part it reads.

    Attributes
    ----------
    skipped : polars.DataFrame
        Rows of `user` and `item` that were left out because the model does not know the item.
    """

    def __init__(self, options: TrainingOptions, state: Met, skipped: pl.DataFrame) -> None:
        self.options = options
        self._state = state
        self._histories = state.met
        self.skipped = skipped

    @property
    def interactions(self) -> Interactions:
        """The histories of the new users, with the items and levels of the model."""
        return self._histories


def reading_of(own: Interactions) -> dict[str, Any]:
    """Return the arguments of `conv4rec.read` that read histories as interactions were: levels and repeats.

    Examples
    --------
    >>> data = Interactions.from_frame(pl.DataFrame({"user": [1, 1], "item": [1, 2], "rating": [0.5, 5.0]}))
    >>> reading_of(data)
    {'implicit': False, 'levels': (0.5, 5.0), 'duplicates': 'last'}
    """
    implicit = own.levels == ("consumed",)
    return {
        "implicit": implicit,
        "levels": None if implicit else own.levels,
        "duplicates": "keep" if own.has_repeats else "last",
    }


def meet(
    fitted: Fitted, options: TrainingOptions, history: Interactions | Frame, unknown_items: UnknownItems = "refuse"
) -> Newcomers:
    """Read the histories of new users with the items and levels of a fitted model.

    Parameters
    ----------
    fitted, options
        The state of the model, and how it computes.
    history : Interactions or data frame
        What the users did. Of a frame the columns are found by well-known names; a user and item that meet twice keep
        all their levels if they do so in the model's own data, and else the last.
    unknown_items : {"refuse", "skip"}
        What happens to items that the model does not know; "skip" leaves their interactions out and lists them.

    Raises
    ------
    InputError
        If a level is not the model's, an item is unknown and is not to be skipped, or identifiers of items have
        another type.
    """
    if unknown_items not in get_args(UnknownItems):
        raise InputError(f'unknown_items is {unknown_items!r}; expected "refuse" or "skip".')
    own = fitted.split.interactions
    given = history if isinstance(history, Interactions) else Interactions.from_frame(history, **reading_of(own))
    items = _items(given.item_ids, own.item_ids)
    code = lookup(items, own.item_ids)
    unknown = given.item_ids.filter(pl.Series(code < 0))
    if len(unknown) and unknown_items == "refuse":
        raise InputError(
            f"{_several(unknown, len(items))} not among the {own.n_items} items of the model; correct the history, or "
            'leave them out with unknown_items="skip".'
        )
    kept = code[given.item] >= 0
    met = Interactions(
        user=given.user[kept],
        item=code[given.item[kept]],
        level=_levels(given, own)[given.level[kept]],
        time=None if given.time is None else given.time[kept],
        user_ids=given.user_ids,
        item_ids=own.item_ids,
        levels=own.levels,
    )
    skipped = given.subset(~kept).frame().select("user", "item")
    return Newcomers(options, Met(fitted.network, fitted.split, fitted.history, met), skipped)


def _items(ids: pl.Series, own: pl.Series) -> pl.Series:
    """Bring identifiers to the type of the model's: integers may be written as text, text is no integer."""
    if ids.dtype.is_integer() and own.dtype == pl.String:
        return ids.cast(pl.String)
    if ids.dtype.is_integer() != own.dtype.is_integer():
        codes_of(ids, own, "item")
    return ids.cast(own.dtype, strict=False)


def _levels(given: Interactions, own: Interactions) -> npt.NDArray[np.int64]:
    """Find the model's code of each level of the history that occurs; -1 for those that do not."""
    places = {level: place for place, level in enumerate(own.levels)}
    for code in np.unique(given.level).tolist():
        if given.levels[code] not in places:
            raise InputError(
                f"level {given.levels[code]!r} of the history is not among the model's levels "
                f"{', '.join(map(str, own.levels))}; correct it."
            )
    return np.array([places.get(level, -1) for level in given.levels], dtype=np.int64)


def _several(unknown: pl.Series, total: int) -> str:
    """Name the first of some unknown items, and count them."""
    named = ", ".join(repr(item) for item in unknown.head(NAMED))
    if len(unknown) == 1:
        return f"item {named} is"
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    return f"items {named}{more}, {len(unknown)} of the history's {total}, are"
