"""Which column of a source holds users, items, levels and times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from conv4rec.errors import InputError

__all__ = ["Chosen", "Roles", "choose_columns", "names_ratings"]

Role: TypeAlias = Literal["user", "item", "level", "time"]

NUMBER_NAMES = frozenset({"rating", "ratings", "score", "stars"})
KNOWN_NAMES: dict[Role, frozenset[str]] = {
    "user": frozenset(
        {"user", "userid", "uid", "customer", "customerid", "member", "memberid", "reviewerid", "visitorid"}
    ),
    "item": frozenset(
        {
            "item",
            "itemid",
            "iid",
            "movie",
            "movieid",
            "product",
            "productid",
            "asin",
            "isbn",
            "book",
            "bookid",
            "track",
            "trackid",
            "song",
            "songid",
            "artist",
            "artistid",
            "joke",
            "jokeid",
            "business",
            "businessid",
        }
    ),
    "level": NUMBER_NAMES
    | {"level", "event", "eventtype", "action", "behavior", "behaviour", "interaction", "interactiontype"},
    "time": frozenset({"time", "timestamp", "datetime", "date", "unixtime", "unixreviewtime"}),
}


class Roles(NamedTuple):
    """The columns that a caller named, None where the name is to be guessed."""

    user: str | None = None
    item: str | None = None
    level: str | None = None
    time: str | None = None


class Chosen(NamedTuple):
    """The column of each role, None where there is none."""

    user: str
    item: str
    level: str | None
    time: str | None


def choose_columns(names: Sequence[str], given: Roles, implicit: bool, source: str) -> Chosen:
    """Say which column plays which role: the given ones, else the one whose name is well known.

    Raises
    ------
    InputError
        A given column is missing or has two roles, a role has several candidates, users or items have none, or no
        column is known to hold levels although columns are left that could.
    """
    seen = ", ".join(repr(name) for name in names)
    if len(set(names)) < len(names):
        raise InputError(f"{source}: two columns share a name among {seen}; rename one of them.")
    if implicit and given.level is not None:
        raise InputError(f"level={given.level!r} and implicit=True contradict each other; give one of them.")
    user = _choose(names, "user", given.user, source)
    item = _choose(names, "item", given.item, source)
    if user is None or item is None:
        role = "user" if user is None else "item"
        raise InputError(
            f"{source}: no column of {role}s among {seen}, expected a name such as {role!r} or '{role}_id'; "
            f"name the column with {role}=, or all columns with columns=[...] where a file has no header."
        )
    level = None if implicit else _choose(names, "level", given.level, source)
    chosen = Chosen(user, item, level, _choose(names, "time", given.time, source))
    for role, column in chosen._asdict().items():
        if column is not None and chosen.count(column) > 1:
            raise InputError(
                f"{source}: column {column!r} is to be the {role} and more; give each role its own column."
            )
    left = [name for name in names if name not in chosen]
    if level is None and left and not implicit:
        raise InputError(
            f"{source}: no column is known to hold levels, and {', '.join(map(repr, left))} could; "
            "name it with level=, or give implicit=True where every row counts the same."
        )
    return chosen


def names_ratings(column: str) -> bool:
    """Say whether a column of this name is known to hold numbers rather than names of events."""
    return _plain(column) in NUMBER_NAMES


def _choose(names: Sequence[str], role: Role, given: str | None, source: str) -> str | None:
    if given is not None and given not in names:
        seen = ", ".join(repr(name) for name in names)
        raise InputError(f"{source}: there is no column {given!r}, only {seen}; correct {role}={given!r}.")
    known = [name for name in names if _plain(name) in KNOWN_NAMES[role]] if given is None else [given]
    if len(known) > 1:
        found = " and ".join(repr(name) for name in known)
        raise InputError(f"{source}: columns {found} could each be the {role}; say which with {role}=.")
    return known[0] if known else None


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
