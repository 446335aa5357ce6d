"""Original identifiers, integers or text, and their codes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.errors import InputError

__all__ = ["codes_of", "identifier_series", "lookup"]


def lookup(ids: pl.Series, table: pl.Series) -> npt.NDArray[np.int64]:
    """Find the position of each identifier in a table of distinct ones, -1 where it is absent, in linear time."""
    places = pl.DataFrame({"id": table, "code": np.arange(len(table), dtype=np.int64)})
    found = pl.DataFrame({"id": ids}).join(places, on="id", how="left", maintain_order="left")
    return found["code"].fill_null(-1).to_numpy()


def identifier_series(ids: Iterable[int] | Iterable[str], axis: str) -> pl.Series:
    """Put identifiers of one type into a series named after their axis, user or item."""
    if isinstance(ids, str):
        raise InputError(f"{ids!r} is one text, expected a list of {axis} identifiers; write [{ids!r}].")
    try:
        if not isinstance(ids, Iterable):
            raise InputError(f"{ids!r} is one value, expected a list of {axis} identifiers; write [{ids!r}].")
        return pl.Series(axis, ids if isinstance(ids, pl.Series) else list(ids), strict=True)
    except (TypeError, OverflowError) as error:
        raise InputError(
            f"{axis} identifiers of several types or beyond 64 bits, expected all integers or all text; convert them."
        ) from error


def codes_of(ids: Iterable[int] | Iterable[str], table: pl.Series, axis: str) -> npt.NDArray[np.int64]:
    """Find the code of each identifier; refuse the wrong type and the first that is unknown."""
    asked = identifier_series(ids, axis)
    if not len(asked):
        return np.zeros(0, dtype=np.int64)
    if asked.dtype.is_integer() != table.dtype.is_integer() or (asked.dtype == pl.String) != (table.dtype == pl.String):
        raise InputError(
            f"{axis} identifiers came as {asked.dtype}, expected {table.dtype} as in the data; convert them."
        )
    codes = lookup(asked.cast(table.dtype, strict=False), table)
    if (codes < 0).any():
        unknown = asked[int((codes < 0).argmax())]
        raise InputError(
            f"{axis} {unknown!r} is not in the data, expected one of its {len(table)} {axis}s; correct it."
        )
    return codes
