"""Interactions of users with items at levels: the one data type that every split and every model reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.columns import Duplicates, Levels, encode
from conv4rec.errors import InputError
from conv4rec.identifiers import codes_of
from conv4rec.roles import Roles
from conv4rec.sources import Frame, columns_of_frame, columns_of_matrix

if TYPE_CHECKING:
    from scipy.sparse import sparray, spmatrix

__all__ = ["Interactions"]


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
        Lengths differ, a code is out of range, a time is not finite, identifiers or levels are not distinct, or
        rating values are not finite and ascending.

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
        _check_levels(self.levels)

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
        columns = columns_of_frame(frame, Roles(user, item, level, time), implicit)
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
        return cls(*encode(columns_of_matrix(matrix, user_ids, item_ids, implicit), levels, duplicates))

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
        """Select interactions by positions or by a mask of length N; identifiers and levels stay the same.

        Raises
        ------
        InputError
            A position is out of range, or the mask has another length.
        """
        index = np.asarray(which)
        index = index.astype(np.int64) if index.size == 0 and index.dtype != bool else index
        try:
            index = np.arange(len(self))[index]
        except IndexError as error:
            raise InputError(
                f"{error}: expected positions from 0 to {len(self) - 1} or a mask of that many."
            ) from error
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


def _check_levels(levels: Sequence[float] | Sequence[str]) -> None:
    if all(isinstance(level, str) for level in levels):
        fine = 0 < len(levels) == len(set(levels))
    else:
        numbers = np.array([np.nan if isinstance(level, str) else level for level in levels], dtype=np.float64)
        fine = bool(np.isfinite(numbers).all() and (np.diff(numbers) > 0).all())
    if not fine:
        raise InputError(
            f"levels {levels!r} must be distinct names, or finite numbers in ascending order; correct them."
        )


def _frozen(values: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """View of an array that refuses to be written to; the caller's own array stays as it was."""
    view = values.astype(dtype, copy=False).view()
    view.flags.writeable = False
    return view
