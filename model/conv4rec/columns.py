"""From raw columns of any source to checked codes: identifiers, levels, times and the duplicates policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.errors import InputError
from conv4rec.identifiers import lookup
from conv4rec.roles import Chosen, names_ratings

__all__ = ["Codes", "Columns", "Duplicates", "Levels", "encode"]

Duplicates: TypeAlias = Literal["last", "first", "keep", "error"]
Levels: TypeAlias = Sequence[float] | Sequence[str]

MAX_INFERRED_LEVELS = 64


@dataclass(frozen=True)
class Columns:
    """The columns of one source as they were found, with the way to say where a value stands.

    ``where(row, column)`` names the place of a value, say ``ratings.csv, line 12, column 'rating'``; the name of
    each series is the name of its column; ``numbers`` says that the level column must hold numbers.
    """

    user: pl.Series
    item: pl.Series
    level: pl.Series | None
    time: pl.Series | None
    where: Callable[[int, str], str]
    numbers: bool = False

    @classmethod
    def take(
        cls,
        chosen: Chosen,
        column: Callable[[str], pl.Series],
        where: Callable[[int, str], str],
        numbers: bool = False,
    ) -> Self:
        """Fetch each chosen column by its name."""
        level = None if chosen.level is None else column(chosen.level)
        time = None if chosen.time is None else column(chosen.time)
        return cls(column(chosen.user), column(chosen.item), level, time, where, numbers)


class Codes(NamedTuple):
    """What `encode` makes of the columns: the fields of an ``Interactions``, in its order."""

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64] | None
    user_ids: pl.Series
    item_ids: pl.Series
    levels: tuple[float, ...] | tuple[str, ...]
    merged: int


def encode(columns: Columns, levels: Levels | None, duplicates: Duplicates) -> Codes:
    """Check every value and turn it into a code, then apply the duplicates policy.

    Raises
    ------
    InputError
        There is no row, or a value cannot be used; the message says where it stands.
    """
    if duplicates not in get_args(Duplicates):
        allowed = ", ".join(map(repr, get_args(Duplicates)))
        raise InputError(f"duplicates={duplicates!r} is not a policy; expected one of {allowed}.")
    user, user_ids = _identifiers(columns.user, columns)
    item, item_ids = _identifiers(columns.item, columns)
    level, names = _levels(columns, levels, len(user))
    time = _times(columns)
    kept = _without_duplicates(user, item, time, duplicates, columns)
    merged = len(user) - len(kept)
    time = None if time is None else time[kept]
    return Codes(user[kept], item[kept], level[kept], time, user_ids, item_ids, names, merged)


def _refuse(columns: Columns, column: pl.Series, bad: pl.Series, expected: str, change: str) -> None:
    """Refuse the first value that is marked bad: where it stands, what it is, what was expected."""
    if bad.any():
        row = int(bad.to_numpy().argmax())
        value = column[row]
        found = "the value is missing" if value is None or value == "" else f"{value!r} cannot be used"
        raise InputError(f"{columns.where(row, column.name)}: {found}, expected {expected}; {change}.")


def _missing(column: pl.Series) -> pl.Series:
    return (column.is_null() | (column == "")).fill_null(True) if column.dtype == pl.String else column.is_null()


def _text(column: pl.Series) -> pl.Series:
    """Categories as the text they stand for; every other column as it is."""
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column


def _identifiers(column: pl.Series, columns: Columns) -> tuple[npt.NDArray[np.int64], pl.Series]:
    ids = _text(column)
    if ids.dtype.is_integer():
        missing = ids.is_null()
        narrow = ids.cast(pl.Int64, strict=False)
        if narrow.null_count() > missing.sum():
            narrow = ids.cast(pl.UInt64, strict=False)
        _refuse(columns, ids, narrow.is_null() & ~missing, "an integer of 64 bits", "write the column as text")
        ids = narrow
    elif ids.dtype not in (pl.String, pl.Null):
        raise InputError(
            f"{columns.where(0, column.name)}: identifiers of type {ids.dtype} cannot be compared exactly, "
            "expected integers or text; convert the column."
        )
    _refuse(columns, ids, _missing(ids), "an identifier", "fill it in or delete the row")
    table = ids.unique().sort().rename("id")
    return lookup(ids, table), table


def _levels(
    columns: Columns, levels: Levels | None, size: int
) -> tuple[npt.NDArray[np.int64], tuple[float, ...] | tuple[str, ...]]:
    given = None if levels is None else _checked_levels(levels)
    if columns.level is None:
        if given is not None and len(given) > 1:
            raise InputError(f"levels= names {len(given)} levels, but there is no level column; name it with level=.")
        return np.zeros(size, dtype=np.int64), given or ("consumed",)
    column = _text(columns.level)
    if column.dtype not in (pl.String, pl.Null) and not column.dtype.is_numeric():
        raise InputError(
            f"{columns.where(0, column.name)}: levels of type {column.dtype} cannot be used, "
            "expected numbers or names; convert the column, or leave it out with implicit=True."
        )
    _refuse(columns, column, _missing(column), "a level", "fill it in or delete the row")
    values = _level_values(columns, column, given)
    if given is None:
        names = values.unique().sort()
        if len(names) > MAX_INFERRED_LEVELS:
            raise InputError(
                f"{columns.where(0, column.name)}: the column holds {len(names)} distinct values, "
                f"expected at most {MAX_INFERRED_LEVELS} levels; cut them into fewer, or list all with levels=[...]."
            )
        return lookup(values, names), tuple(names.to_list())
    code = lookup(values, pl.Series(given, dtype=values.dtype))
    expected = f"one of the levels {', '.join(map(str, given))}"
    _refuse(columns, column, pl.Series(code < 0), expected, "correct it, or add it to levels=")
    return code, given


def _checked_levels(levels: Levels) -> tuple[float, ...] | tuple[str, ...]:
    if not isinstance(levels, Sized):
        raise InputError(f"levels={levels!r} is no list of numbers or names; correct it.")
    names = [level for level in levels if isinstance(level, str)]
    if len(names) == len(levels) and not isinstance(levels, str):
        if not names or len(set(names)) < len(names) or "" in names:
            raise InputError(f"levels={list(levels)!r} must name each level once, and at least one; correct the list.")
        return tuple(names)
    if names:
        raise InputError(f"levels={levels!r} mixes names and numbers or is one text; give a list of one kind.")
    try:
        numbers = tuple(float(level) for level in levels)
    except (TypeError, ValueError) as error:
        raise InputError(f"levels={levels!r} is no list of numbers or names; correct it.") from error
    if not np.isfinite(numbers).all() or (np.diff(numbers) <= 0).any():
        raise InputError(f"levels={list(levels)!r} must be finite and increase strictly; sort the list.")
    return numbers


def _level_values(columns: Columns, column: pl.Series, given: tuple[float, ...] | tuple[str, ...] | None) -> pl.Series:
    """Levels as Float64 where they are numbers, as String where they are names."""
    if given is not None and isinstance(given[0], str):
        return column.cast(pl.String)
    values = column.cast(pl.Float64, strict=False)
    bad = values.is_null()
    if given is None and bad.all() and not (columns.numbers or names_ratings(column.name)):
        return column
    _refuse(columns, column, bad, "a number", "correct it, or give levels=[...] where the column holds names")
    _refuse(columns, column, ~values.is_finite(), "a finite number", "correct it or delete the row")
    return values


def _times(columns: Columns) -> npt.NDArray[np.float64] | None:
    """Read times as finite numbers, dates as seconds since 1970; None where there is no column or nothing in it."""
    column = columns.time
    if column is None or _missing(column).all():
        return None
    _refuse(columns, column, _missing(column), "a time in every row or in none", "fill it in or empty the column")
    values = column
    if column.dtype == pl.String:
        values = column.cast(pl.Float64, strict=False)
        if values.is_null().all():
            values = _dates(column)
    if values.dtype.is_temporal() and values.dtype != pl.Time and values.dtype != pl.Duration:
        values = values.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
    if not values.dtype.is_numeric():
        raise InputError(
            f"{columns.where(0, column.name)}: times of type {values.dtype} cannot be ordered, "
            "expected numbers or dates; convert the column."
        )
    expected = "a number or a date, written the same way in every row"
    _refuse(columns, column, values.is_null(), expected, "correct it or delete the row")
    values = values.cast(pl.Float64)
    _refuse(columns, column, ~values.is_finite(), "a finite time", "correct it or delete the row")
    return values.to_numpy()


def _dates(column: pl.Series) -> pl.Series:
    try:
        return column.str.to_datetime(strict=False)
    except pl.exceptions.ComputeError:  # polars found no date format that fits any row
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)


def _without_duplicates(
    user: npt.NDArray[np.int64],
    item: npt.NDArray[np.int64],
    time: npt.NDArray[np.float64] | None,
    policy: Duplicates,
    columns: Columns,
) -> npt.NDArray[np.int64]:
    """Rows that stay, in their order: one for each (user, item) unless the policy keeps them all."""
    if policy == "keep":
        return np.arange(len(user), dtype=np.int64)
    keys: Iterable[npt.NDArray[np.generic]] = (item, user) if time is None else (time, item, user)
    order = np.lexsort(tuple(keys)).astype(np.int64)
    repeats = (np.diff(user[order]) == 0) & (np.diff(item[order]) == 0)
    if policy == "error" and repeats.any():
        rows = np.sort(np.column_stack((order[:-1], order[1:]))[repeats], axis=1)
        earlier, later = rows[rows[:, 1].argmin()]
        raise InputError(
            f"{columns.where(int(later), columns.item.name)}: user {columns.user[int(later)]!r} and item "
            f"{columns.item[int(later)]!r} were already at {columns.where(int(earlier), columns.item.name)}, "
            "expected each pair once; delete one, or choose duplicates='last', 'first' or 'keep'."
        )
    outer = np.ones(1, dtype=bool)
    stays = np.concatenate((~repeats, outer)) if policy == "last" else np.concatenate((outer, ~repeats))
    return np.sort(order[stays])
