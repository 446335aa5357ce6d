"""Interactions of users with items at levels: the one data type that every split and every model reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.columns import Columns, Duplicates, Levels, encode
from conv4rec.errors import InputError
from conv4rec.identifiers import codes_of, identifier_series
from conv4rec.roles import Roles, choose_columns

if TYPE_CHECKING:
    from scipy.sparse import sparray, spmatrix

__all__ = ["Interactions"]


class Frame(Protocol):
    """What is asked of a data frame, be it of polars or of pandas: names, and a column for each name."""

    def __len__(self) -> int: ...

    @property
    def columns(self) -> Any: ...

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    r"""Interactions :math:`z_t = (i_t, j_t, r_t)`, ``t = 0..N-1``, as codes, and the identifiers behind the codes.

    Of the cells of a user, :math:`X_i \in \{0,1\}^{n \times R}`, only the observed ones are stored: memory goes
    with N and the number of distinct identifiers, never with the largest identifier nor with n R.

    Parameters
    ----------
    user, item, level : int64 arrays, shape (N,)
        Codes: positions in ``user_ids``, ``item_ids`` and ``levels``.
    time : float64 array, shape (N,), or None
        When each interaction happened, in any unit (seconds since 1970 where dates were read).
    user_ids, item_ids : polars.Series
        Distinct original identifiers, integers or text, in ascending order when they were read.
    levels : tuple of float or tuple of str
        Rating values, ascending, or event names in their order.
    merged : int
        How many rows the duplicates policy took away when the data was read.

    Raises
    ------
    InputError
        Lengths differ, a code is out of range, a time is not finite, identifiers or levels are not distinct.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": ["ann", "bo", "bo"], "item": [7, 7, 10**18], "rating": [4.5, 3.0, 4.5]})
    >>> data = Interactions.from_frame(frame)
    >>> data.summary
    '3 interactions of 2 users with 2 items at 2 levels (3.0 < 4.5), without times; 0 duplicates merged'
    >>> data.item_ids.to_list(), data.item.tolist(), data.level_values.tolist()
    ([7, 1000000000000000000], [0, 0, 1], [3.0, 4.5])
    """

    user: npt.NDArray[np.int64]
    item: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64] | None
    user_ids: pl.Series
    item_ids: pl.Series
    levels: tuple[float, ...] | tuple[str, ...]
    merged: int = 0

    def __post_init__(self) -> None:
        sizes = {"user": len(self.user_ids), "item": len(self.item_ids), "level": len(self.levels)}
        for axis, size in sizes.items():
            codes = np.asarray(getattr(self, axis))
            if codes.ndim != 1 or not (codes.dtype.kind in "iu" or codes.size == 0) or len(codes) != len(self.user):
                raise InputError(
                    f"{axis} has shape {codes.shape} and type {codes.dtype}, expected {len(self.user)} integer "
                    "codes; give one code per interaction."
                )
            if codes.size and not 0 <= codes.min() <= codes.max() < size:
                raise InputError(
                    f"{axis} codes run from {codes.min()} to {codes.max()}, expected 0 to {size - 1}; "
                    f"give positions in {axis}s' identifiers."
                )
            object.__setattr__(self, axis, _frozen(codes, np.int64))
        if self.time is not None:
            time = np.asarray(self.time)
            if time.shape != self.user.shape or time.dtype.kind not in "iuf" or not np.isfinite(time).all():
                raise InputError(
                    f"time must be {len(self)} finite numbers, one per interaction; correct it or give None."
                )
            object.__setattr__(self, "time", _frozen(time, np.float64))
        for name in ("user_ids", "item_ids"):
            ids = getattr(self, name)
            if ids.null_count() or ids.n_unique() < len(ids):
                raise InputError(f"{name} must be distinct and complete; give each identifier once.")
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise InputError(f"levels {self.levels!r} must be distinct and at least one; give each level once.")

    @classmethod
    def from_frame(
        cls,
        frame: Frame,
        *,
        user: str | None = None,
        item: str | None = None,
        level: str | None = None,
        time: str | None = None,
        implicit: bool = False,
        levels: Levels | None = None,
        duplicates: Duplicates = "last",
    ) -> Self:
        """Take interactions from a polars or pandas data frame, with the arguments of `conv4rec.reading.read`.

        Identifiers keep the type of their column; text is kept letter by letter, ``"007"`` is not ``"7"``.

        Raises
        ------
        InputError
            A column is missing or ambiguous, or a value cannot be used; rows are counted from 0.

        Examples
        --------
        >>> import polars as pl
        >>> clicks = pl.DataFrame({"user": ["a", "a"], "item": ["x", "y"], "event": ["view", "buy"]})
        >>> Interactions.from_frame(clicks, levels=["view", "buy"]).level.tolist()
        [0, 1]
        """
        if not isinstance(frame, pl.DataFrame) and not hasattr(frame, "iloc"):
            raise InputError(
                f"expected a data frame of polars or pandas, not {type(frame).__name__}; convert it first."
            )
        if not len(frame):
            raise InputError("the frame has no rows, expected at least one interaction; give another frame.")
        names = [str(name) for name in frame.columns]
        chosen = choose_columns(names, Roles(user, item, level, time), implicit, "frame")
        columns = Columns.take(
            chosen,
            lambda name: _series(frame, name),
            lambda row, column: f"frame, row {row} (from 0), column {column!r}",
        )
        return cls(*encode(columns, levels, duplicates))

    @classmethod
    def from_sparse(
        cls,
        matrix: sparray | spmatrix,
        *,
        user_ids: Sequence[int] | Sequence[str] | None = None,
        item_ids: Sequence[int] | Sequence[str] | None = None,
        implicit: bool = False,
        levels: Sequence[float] | None = None,
        duplicates: Duplicates = "last",
    ) -> Self:
        """Take interactions from a scipy sparse matrix of levels, shape (users, items).

        Every *stored* entry is an interaction and its value is the level: a stored zero is the level 0, what is
        not stored is no interaction. Boolean matrices and ``implicit=True`` have the one level ``"consumed"``.
        Rows and columns without a stored entry are no users and items; the numbers of the others, or
        ``user_ids[row]`` and ``item_ids[column]``, are the identifiers. Entries stored twice (COO) are not added
        up: they fall under the duplicates policy of `conv4rec.reading.read`.

        Raises
        ------
        InputError
            The matrix is not two-dimensional, stores nothing, or stores what is no finite number.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> data = Interactions.from_sparse(csr_array([[5.0, 0.0], [3.5, 4.0]]), item_ids=["x", "y"])
        >>> data.frame().rows()
        [(0, 'x', 5.0), (1, 'x', 3.5), (1, 'y', 4.0)]
        """
        if not hasattr(matrix, "tocoo"):
            raise InputError(f"expected a sparse matrix of scipy, not {type(matrix).__name__}; convert it first.")
        entries = matrix.tocoo()
        if entries.ndim != 2:
            raise InputError(f"expected a matrix of users and items, not {entries.ndim} dimensions; reshape it first.")
        if not entries.nnz:
            raise InputError("the matrix stores no entry, expected at least one interaction; give another matrix.")
        implicit = implicit or entries.dtype.kind == "b"
        if implicit and not entries.data.all():
            raise InputError(
                "an implicit matrix stores zeros, expected only what was consumed; call eliminate_zeros()."
            )
        rows, cols = entries.row, entries.col
        columns = Columns(
            _named(rows, user_ids, entries.shape[0], "user"),
            _named(cols, item_ids, entries.shape[1], "item"),
            None if implicit else pl.Series("level", entries.data),
            None,
            lambda index, column: f"matrix, entry ({rows[index]}, {cols[index]}), {column}",
        )
        return cls(*encode(columns, levels, duplicates))

    def __len__(self) -> int:
        """Count the interactions, N."""
        return len(self.user)

    def __repr__(self) -> str:
        return f"Interactions({self.summary})"

    @property
    def n_users(self) -> int:
        """Number of users, m."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items, n."""
        return len(self.item_ids)

    @property
    def n_levels(self) -> int:
        """Number of levels, R."""
        return len(self.levels)

    @property
    def level_values(self) -> npt.NDArray[np.float64]:
        """The levels as numbers, shape (R,): the rating values, or 0..R-1 for event names."""
        named = isinstance(self.levels[0], str)
        return np.arange(self.n_levels, dtype=np.float64) if named else np.array(self.levels, dtype=np.float64)

    @property
    def has_repeats(self) -> bool:
        """Whether some user and item meet more than once."""
        return len(np.unique(self.user * self.n_items + self.item)) < len(self)

    @property
    def summary(self) -> str:
        """One line: counts, order of the levels, whether times are known, how many duplicates were merged."""
        order = " < ".join(map(str, self.levels))
        if isinstance(self.levels[0], str) and self.n_levels > 1 and list(self.levels) == sorted(map(str, self.levels)):
            order += ", in alphabetical order"
        return (
            f"{len(self)} interactions of {self.n_users} users with {self.n_items} items at {self.n_levels} "
            f"levels ({order}), {'without' if self.time is None else 'with'} times; {self.merged} duplicates merged"
        )

    def subset(self, which: npt.ArrayLike) -> Self:
        """Select interactions by positions or by a mask of length N; identifiers and levels stay the same."""
        index = np.asarray(which)
        index = index.astype(np.int64) if index.size == 0 and index.dtype != bool else index
        time = None if self.time is None else self.time[index]
        return replace(self, user=self.user[index], item=self.item[index], level=self.level[index], time=time, merged=0)

    def frame(self) -> pl.DataFrame:
        """Give a polars frame with the original identifiers and levels: user, item, level and, if known, time."""
        levels = pl.Series("level", self.levels)
        columns = [
            self.user_ids.gather(self.user).rename("user"),
            self.item_ids.gather(self.item).rename("item"),
            levels.gather(self.level),
        ]
        return pl.DataFrame(columns if self.time is None else [*columns, pl.Series("time", self.time)])

    def user_codes(self, ids: Iterable[int] | Iterable[str]) -> npt.NDArray[np.int64]:
        """Codes of users by their original identifiers, in the order asked.

        Raises
        ------
        InputError
            An identifier is unknown or of the wrong type.

        Examples
        --------
        >>> import polars as pl
        >>> data = Interactions.from_frame(pl.DataFrame({"user": ["bo", "ann"], "item": [1, 2]}))
        >>> data.user_codes(["bo", "ann"]).tolist()
        [1, 0]
        """
        return codes_of(ids, self.user_ids, "user")

    def item_codes(self, ids: Iterable[int] | Iterable[str]) -> npt.NDArray[np.int64]:
        """Codes of items by their original identifiers, in the order asked; raises as `user_codes` does."""
        return codes_of(ids, self.item_ids, "item")


def _frozen(values: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """View of an array that refuses to be written to; the caller's own array stays as it was."""
    view = values.astype(dtype, copy=False).view()
    view.flags.writeable = False
    return view


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
