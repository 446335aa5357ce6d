"""Tables of log-probabilities that any model gave to held-out interactions."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_bounds import HeldOut, Paired
from conv4rec_bounds.loss import DEFAULT_SMOOTHING

__all__ = [
    "LOG_PROBABILITY",
    "cells_of",
    "marked_rows",
    "numbers_of",
    "pool_size",
    "read_held_out",
    "read_paired",
    "read_table",
    "truths_of",
]

LOG_PROBABILITY, CELLS, SAMPLED, ID = "log_probability", "cells", "sampled", "id"
LOG_RANGE = "a number of at most 0"


def read_held_out(
    path: str | PathLike[str],
    *,
    cells: int | None = None,
    finite_pool: bool = False,
    pool: int | None = None,
    smoothing: float = DEFAULT_SMOOTHING,
) -> HeldOut:
    r"""Read held-out interactions and, if they are declared to be a sample of a finite pool, the cells of that pool.

    Parameters
    ----------
    path
        A CSV or Parquet file with a row for each interaction: ``log_probability``, the model's
        :math:`\log P(y_t\mid i_t)` in nats, and ``cells``, the number :math:`q_t` of cells that the user's softmax
        ranges over. A table of a whole pool has a column ``sampled`` too: where it is false, the interaction belongs to
        the pool only, and its log-probability may be empty.
    cells
        :math:`q`, if it is the same for all interactions and the table has no such column.
    finite_pool
        Declares that the (sampled) rows are a uniformly random subset of a pool.
    pool
        The size of the pool, if its interactions all have the same number of cells and the table holds the sample only.
    smoothing
        The weight of the uniform law in the certified predictor, chosen without these interactions.

    Raises
    ------
    InputError
        If the file cannot be read, or its columns are missing or contradict what is declared.
    RefusedError
        If a value is none that a model can give: above 0, NaN, fewer than one cell.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("log_probability,cells,sampled\n-1.5,9,true\n,8,false\n-2,8,true\n")
    ...     part = read_held_out(path, finite_pool=True)
    >>> part.log_probabilities, part.pool
    (array([-1.5, -2. ]), array([9, 8, 8]))
    """
    path = Path(path)
    table = _scored_table(path)
    counts = cells_of(table, path, cells)
    if not finite_pool and pool is not None:
        raise InputError("the size of a pool was given; declare, too, that the rows are a random subset of it.")
    if not finite_pool and SAMPLED in table.columns:
        raise InputError(
            f"{path} has a column {SAMPLED!r}, which marks a random subset of its rows; declare it, or leave the "
            "column and the other rows out."
        )
    sample = marked_rows(table, path)
    return HeldOut(
        numbers_of(table, LOG_PROBABILITY, sample, path, LOG_RANGE),
        counts[sample.to_numpy()],
        smoothing,
        pool=_pool(counts, pool_size(table, path, pool), path) if finite_pool else None,
    )


def read_paired(
    path: str | PathLike[str], against: str | PathLike[str], part: HeldOut, *, cells: int | None = None
) -> Paired:
    r"""Join what was read from a table with another model's table of the same interactions in the same order.

    Parameters
    ----------
    path, part
        The model's table, and what `read_held_out` has made of it.
    against
        The other model's table, with the same columns. A column ``id`` in both names the interactions.
    cells
        As for the model's table.

    Raises
    ------
    InputError
        If the tables differ in length, in cells, in what is marked as sampled, or in identifiers.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [Path(folder, f"{name}.csv") for name in "ab"]
    ...     for path, log_probability in zip(paths, (-1, -2)):
    ...         _ = path.write_text(f"log_probability,id\n{log_probability},first\n{log_probability},second\n")
    ...     pair = read_paired(*paths, read_held_out(paths[0], cells=9), cells=9)
    >>> pair.against
    array([-2., -2.])
    """
    paths = Path(path), Path(against)
    tables = [_scored_table(one) for one in paths]
    _refuse_other("number of rows", paths, [np.array([len(table)]) for table in tables])
    _refuse_other(CELLS, paths, [cells_of(table, one, cells) for table, one in zip(tables, paths, strict=True)])
    samples = [marked_rows(table, one) for table, one in zip(tables, paths, strict=True)]
    _refuse_other(SAMPLED, paths, [sample.to_numpy() for sample in samples])
    if all(ID in table.columns for table in tables):
        _refuse_other(ID, paths, [table[ID].cast(pl.String).fill_null("").to_numpy() for table in tables])
    return Paired(part, numbers_of(tables[1], LOG_PROBABILITY, samples[1], paths[1], LOG_RANGE))


def _refuse_other(what: str, paths: tuple[Path, Path], lists: Sequence[NDArray[Any]]) -> None:
    """Refuse tables that are not of the same interactions in the same order."""
    if (differs := lists[0] != lists[1]).any():
        row = int(differs.argmax())
        values = " and ".join(repr(column.tolist()[row]) for column in lists)
        place = "" if len(lists[0]) == 1 else f" in row {row + 1}"
        raise InputError(
            f"{paths[0]} and {paths[1]} differ in {what}{place}: {values}; expected two models' log-probabilities of "
            "the same interactions in the same order; write both tables from one list of interactions."
        )


def _scored_table(path: Path) -> pl.DataFrame:
    """Read a table of log-probabilities."""
    table = read_table(path)
    if LOG_PROBABILITY not in table.columns:
        found = ", ".join(table.columns)
        raise InputError(f"{path} has the columns {found}; expected {LOG_PROBABILITY}, and {CELLS} unless it is given.")
    return table


def read_table(path: Path) -> pl.DataFrame:
    """Read a table with at least one row, every column of a text file as text."""
    content = BytesIO(path.read_bytes())
    try:
        table = pl.read_parquet(content) if path.suffix == ".parquet" else pl.read_csv(content, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} is no table ({str(error).splitlines()[0]}); expected CSV or Parquet.") from error
    if not len(table):
        raise InputError(f"{path} has no rows; expected one for each held-out interaction or user.")
    return table


def cells_of(table: pl.DataFrame, path: Path, cells: int | None) -> NDArray[np.int64]:
    """Return how many cells the softmax of each row's user ranges over."""
    if (cells is None) == (CELLS not in table.columns):
        both = "has a column cells, and a number of cells was given too" if cells is not None else "has no column cells"
        raise InputError(
            f"{path} {both}; expected the column, which holds how many cells each interaction's softmax ranges over, "
            "or one number for all of them."
        )
    if cells is not None:
        return np.full(len(table), cells)
    column = table[CELLS]
    column = column.str.strip_chars() if column.dtype == pl.String else column
    whole = column.cast(pl.Int64, strict=False) if column.dtype == pl.String or column.dtype.is_integer() else None
    if whole is None or whole.null_count():
        row = 0 if whole is None else int(whole.is_null().arg_max() or 0)
        raise InputError(f"row {row + 1} of {path} has {column[row]!r} cells; expected a whole number of at least 1.")
    return whole.to_numpy()


def marked_rows(table: pl.DataFrame, path: Path) -> pl.Series:
    """Return which rows are scored: all of them, unless the table marks a sample of its pool."""
    if SAMPLED not in table.columns:
        return pl.repeat(True, len(table), eager=True)
    marked = truths_of(table, SAMPLED, pl.repeat(True, len(table), eager=True), path)
    if not marked.any():
        raise InputError(f"no row of {path} is marked as {SAMPLED}; expected some of the pool.")
    return marked


def truths_of(table: pl.DataFrame, name: str, sample: pl.Series, path: Path) -> pl.Series:
    """Return a column of true and false of the sampled rows, as people write them."""
    text = table[name].cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
    words = {"true": True, "1": True, "false": False, "0": False}
    found = text.replace_strict(words, default=None, return_dtype=pl.Boolean)
    if (bad := found.is_null() & sample).any():
        row = int(bad.arg_max() or 0)
        raise InputError(f"row {row + 1} of {path} has {table[name][row]!r} as {name}; expected true or false.")
    return found.filter(sample)


def numbers_of(
    table: pl.DataFrame, name: str, sample: pl.Series, path: Path, expected: str = "a number"
) -> NDArray[np.float64]:
    """Return the numbers of a column of the sampled rows; refusals say what was expected."""
    column = table[name]
    numbers = column.str.strip_chars() if column.dtype == pl.String else column
    numbers = numbers.cast(pl.Float64, strict=False)
    if (bad := numbers.is_null() & sample).any():
        row = int(bad.arg_max() or 0)
        raise InputError(f"row {row + 1} of {path} has {column[row]!r} as {name}; expected {expected}.")
    return numbers.filter(sample).to_numpy()


def pool_size(table: pl.DataFrame, path: Path, pool: int | None) -> int:
    """Return how many interactions the pool has: those of the table, if it marks a sample, or as many as were given."""
    marked = SAMPLED in table.columns
    if marked == (pool is not None):
        said = (
            "marks a sample, and a size was given too" if marked else f"has no column {SAMPLED}, and no size is given"
        )
        raise InputError(
            f"the pool of {path} is unclear: the table {said}; expected either a table of the whole pool with the "
            f"column {SAMPLED}, or the size of the pool."
        )
    if pool is None:
        return len(table)
    if pool < len(table):
        raise InputError(
            f"a pool of {pool} interactions cannot have given the {len(table)} rows of {path}; correct it."
        )
    return pool


def _pool(counts: NDArray[np.int64], size: int, path: Path) -> NDArray[np.int64]:
    """Return the cells of every interaction of the pool."""
    if size == len(counts):
        return counts
    if len(set(counts.tolist())) > 1:
        raise InputError(
            f"the size of the pool was given, but the interactions of {path} have different numbers of cells, and "
            f"those of the rest of the pool are unknown; expected a table of the whole pool with the column {SAMPLED}."
        )
    return np.full(size, counts[0])
