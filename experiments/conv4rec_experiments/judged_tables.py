"""Further columns of a table of held-out interactions, and tables of users' scores: what any model is judged by."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl

from conv4rec.errors import InputError
from conv4rec_bounds import BinnedEvents, NamedLoss, NamedLosses, UserScores
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, smoothed_losses, smoothed_range
from conv4rec_experiments.judging import EXPLICIT, HIGH, IMPLICIT, LEVEL_ERROR
from conv4rec_experiments.log_probability_tables import (
    cells_of,
    marked_rows,
    numbers_of,
    pool_size,
    read_table,
    truths_of,
)

__all__ = ["LOSSES", "read_events", "read_losses", "read_user_scores"]

LEVEL, ITEM, ERROR = "log_probability_level", "log_probability_item", "level_error"
LOSSES = (LEVEL, ITEM, ERROR)
PROBABILITY_HIGH, HAPPENED, BIN = "probability_high", "high", "bin"
USER = "user"


def read_losses(
    path: str | PathLike[str],
    *,
    levels: int | None = None,
    level_range: float | None = None,
    cells: int | None = None,
    finite_pool: bool = False,
    pool: int | None = None,
    smoothing: float = DEFAULT_SMOOTHING,
) -> NamedLosses | None:
    r"""Read the losses of both tasks of a table of held-out interactions; None if it has no column for them.

    Parameters
    ----------
    path
        A CSV or Parquet file with any of the columns ``log_probability_level``, :math:`\log P(r_t\mid i_t,j_t)` in
        nats, ``log_probability_item``, :math:`\log P(j_t\mid i_t)`, and ``level_error``,
        :math:`|r_t-\hat r(i_t,j_t)|` in the unit of the levels.
    levels
        The number R of levels, which both losses need: items inside a softmax are its cells over R.
    level_range
        The greatest level minus the least, which the error needs.
    cells, finite_pool, pool, smoothing
        As in `conv4rec_experiments.log_probability_tables.read_held_out`.

    Raises
    ------
    InputError
        If the file cannot be read, or levels or their range are not given though they are needed.
    RefusedError
        If a value is none that a model can give.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("level_error\n0.5\n1.5\n")
    ...     found = read_losses(path, level_range=4.0)
    >>> found.losses[0].name, found.losses[0].values
    ('level error', array([0.5, 1.5]))
    """
    path = Path(path)
    table = read_table(path)
    columns = [name for name in LOSSES if name in table.columns]
    if not columns:
        return None
    sample = marked_rows(table, path)
    if levels is None and (LEVEL in columns or ITEM in columns):
        raise InputError(f"{path} has the column {columns[0]}, for which the number of levels is needed; give it.")
    found = []
    if LEVEL in columns and levels is not None:
        logs = numbers_of(table, LEVEL, sample, path, "a number of at most 0")
        loss = smoothed_losses(logs, np.full(logs.size, levels), smoothing)
        found.append(
            NamedLoss(EXPLICIT, "nats", loss.losses, loss.low, loss.high, trivial=math.log(levels), error=loss.error)
        )
    if ITEM in columns and levels is not None:
        counts = cells_of(table, path, cells)
        if (counts % levels).any():
            raise InputError(f"{path} has {counts[(counts % levels) > 0][0]} cells, no multiple of {levels} levels.")
        items, logs = counts // levels, numbers_of(table, ITEM, sample, path, "a number of at most 0")
        loss = smoothed_losses(logs, items[sample.to_numpy()], smoothing)
        if finite_pool and pool is not None and len(set(items.tolist())) > 1:
            raise InputError(
                f"the size of the pool was given, but the interactions of {path} have different numbers of items, and "
                "those of the rest of the pool are unknown; expected a table of the whole pool that marks the sample."
            )
        # The interval holds for all rows, also for those of a pool that were not drawn.
        low, high = smoothed_range(int(items.min()), int(items.max()), smoothing)
        trivial = float(np.log(items).mean())
        found.append(NamedLoss(IMPLICIT, "nats", loss.losses, low, high, trivial=trivial, error=loss.error))
    if ERROR in columns:
        if level_range is None:
            raise InputError(f"{path} has the column {ERROR}, for which the range of the levels is needed; give it.")
        errors = numbers_of(table, ERROR, sample, path, "a number of at least 0")
        found.append(NamedLoss(LEVEL_ERROR, "levels", errors, 0.0, level_range, trivial=level_range / 2))
    return NamedLosses(tuple(found), pool_size(table, path, pool) if finite_pool else None)


def read_events(
    path: str | PathLike[str], *, finite_pool: bool = False, pool: int | None = None
) -> BinnedEvents | None:
    r"""Read probabilities of high levels, whether they were high, and their bins; None if no column is there.

    Parameters
    ----------
    path
        A CSV or Parquet file with the columns ``probability_high``, ``high`` (true or false) and ``bin`` (whole numbers
        from 0, from edges that were fixed without the held-out part).
    finite_pool, pool
        As in `conv4rec_experiments.log_probability_tables.read_held_out`.

    Raises
    ------
    InputError
        If the file cannot be read, or has some of the columns only.
    RefusedError
        If a probability leaves [0, 1] or a bin is none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("probability_high,high,bin\n0.7,true,1\n0.2,false,0\n")
    ...     found = read_events(path)
    >>> found.happened["high level"], found.bins["high level"]
    (array([ True, False]), array([1, 0]))
    """
    path = Path(path)
    table = read_table(path)
    columns = {PROBABILITY_HIGH, HAPPENED, BIN}
    if not columns & set(table.columns):
        return None
    if missing := sorted(columns - set(table.columns)):
        raise InputError(
            f"{path} has no column {missing[0]}; expected {PROBABILITY_HIGH}, {HAPPENED} and {BIN} or none of them; "
            "bins come from edges that were fixed without these interactions."
        )
    sample = marked_rows(table, path)
    bins = numbers_of(table, BIN, sample, path, "a whole number from 0")
    if (bins != np.floor(bins)).any():
        raise InputError(f"{path} has {bins[bins != np.floor(bins)][0]} as {BIN}; expected a whole number from 0.")
    return BinnedEvents(
        {HIGH: truths_of(table, HAPPENED, sample, path).to_numpy()},
        {HIGH: numbers_of(table, PROBABILITY_HIGH, sample, path, "a probability")},
        {HIGH: bins.astype(np.int64)},
        pool_size(table, path, pool) if finite_pool else None,
    )


def read_user_scores(path: str | PathLike[str], *, pools: bool = False, whole_users: bool = False) -> UserScores:
    r"""Read scores of users' held-out parts: a column ``user``, and one for each kind of score in [0, 1].

    Parameters
    ----------
    path
        A CSV or Parquet file with one row for each user who has a held-out part.
    pools, whole_users
        Declarations (see `conv4rec_bounds.UserScores`).

    Raises
    ------
    InputError
        If the file cannot be read, has no column of users or of scores, or a user occurs twice.
    RefusedError
        If a score leaves [0, 1].

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "users.csv")
    ...     _ = path.write_text("user,NDCG@10\na,0.5\nb,0.25\n")
    ...     read_user_scores(path).scores
    {'NDCG@10': array([0.5 , 0.25])}
    """
    path = Path(path)
    table = read_table(path)
    kinds = [name for name in table.columns if name != USER]
    if USER not in table.columns or not kinds:
        raise InputError(
            f"{path} has the columns {', '.join(table.columns)}; expected {USER} and at least one kind of score."
        )
    twice = table[USER].cast(pl.String).is_duplicated()
    if twice.any() or table[USER].null_count():
        user = table[USER].filter(twice | table[USER].is_null())[0]
        raise InputError(f"{path} has no user, or one twice: {user!r}; expected one row for each user.")
    every = pl.repeat(True, len(table), eager=True)
    scores = {name: numbers_of(table, name, every, path, "a score in [0, 1]") for name in kinds}
    return UserScores(scores, pools=pools, whole_users=whole_users)
