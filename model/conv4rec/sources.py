"""Data frames and sparse matrices: their columns, and where in them a value stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.columns import Columns
from conv4rec.errors import InputError
from conv4rec.identifiers import identifier_series
from conv4rec.roles import Roles, choose_columns

if TYPE_CHECKING:
    from scipy.sparse import sparray, spmatrix

__all__ = ["columns_of_frame", "columns_of_matrix"]


class Frame(Protocol):
    """What is asked of a data frame, be it of polars or of pandas: names, and a column for each name."""

    def __len__(self) -> int: ...

    @property
    def columns(self) -> Any: ...

    def __getitem__(self, name: Any, /) -> Any: ...


def columns_of_frame(frame: Frame, roles: Roles, implicit: bool) -> Columns:
    """Choose the columns of a data frame of polars or pandas.

    Raises
    ------
    InputError
        It is no data frame, has no rows, or a column is missing or ambiguous.
    """
    if not isinstance(frame, pl.DataFrame) and not hasattr(frame, "iloc"):
        raise InputError(f"expected a data frame of polars or pandas, not {type(frame).__name__}; convert it first.")
    if not len(frame):
        raise InputError("the frame has no rows, expected at least one interaction; give another frame.")
    names = list(frame.columns)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"frame: columns are named {names}, expected text; rename them, as with columns.astype(str).")
    return Columns.take(
        choose_columns(names, roles, implicit, "frame"),
        lambda name: _series(frame, name),
        lambda row, column: f"frame, row {row} (from 0), column {column!r}",
    )


def columns_of_matrix(
    matrix: sparray | spmatrix,
    user_ids: Sequence[int] | Sequence[str] | None,
    item_ids: Sequence[int] | Sequence[str] | None,
    implicit: bool,
) -> Columns:
    """Turn the stored entries of a sparse matrix into rows of user, item and level.

    Raises
    ------
    InputError
        It is no sparse matrix, has not two dimensions, stores nothing, or does not fit its identifiers.
    """
    if not hasattr(matrix, "tocoo"):
        raise InputError(f"expected a sparse matrix of scipy, not {type(matrix).__name__}; convert it first.")
    entries = matrix.tocoo()
    if entries.ndim != 2:
        raise InputError(f"expected a matrix of users and items, not {entries.ndim} dimensions; reshape it first.")
    if not entries.nnz:
        raise InputError("the matrix stores no entry, expected at least one interaction; give another matrix.")
    implicit = implicit or entries.dtype.kind == "b"
    rows, cols = entries.row, entries.col
    if implicit and not entries.data.all():
        first = int((entries.data == 0).argmax())
        raise InputError(
            f"matrix, entry ({rows[first]}, {cols[first]}): an implicit matrix stores a zero, expected only what was "
            "consumed; call eliminate_zeros()."
        )
    return Columns(
        _named(rows, user_ids, entries.shape[0], "user"),
        _named(cols, item_ids, entries.shape[1], "item"),
        None if implicit else pl.Series("level", entries.data),
        None,
        lambda index, column: f"matrix, entry ({rows[index]}, {cols[index]}), {column}",
    )


def _series(frame: Frame, name: str) -> pl.Series:
    column = frame[name]
    if isinstance(column, pl.Series):
        return column
    values, missing = column.to_numpy(), column.isna().to_numpy()
    if values.dtype.kind == "M":
        values = values.astype("M8[us]")
    elif values.dtype.kind not in "biuf":
        values = [None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)]
    try:
        return pl.Series(name, values, strict=True)
    except TypeError as error:
        raise InputError(
            f"frame, column {name!r}: values of several types, expected one; convert the column."
        ) from error


def _named(
    codes: npt.NDArray[np.integer[Any]], ids: Sequence[int] | Sequence[str] | None, size: int, axis: str
) -> pl.Series:
    if ids is None:
        return pl.Series(axis, codes)
    table = identifier_series(ids, axis)
    if len(table) != size or table.n_unique() < size:
        raise InputError(
            f"{axis}_ids holds {table.n_unique()} distinct identifiers, expected {size}; give one for each."
        )
    return table.gather(codes).rename(axis)
