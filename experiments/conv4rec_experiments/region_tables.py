"""Tables of what any model says about groups of cells, beside interactions over the same groups."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_bounds import Protocol
from conv4rec_experiments.distances import Distances, compare_draws, compare_pool, permuted
from conv4rec_experiments.log_probability_tables import numbers_of, read_table
from conv4rec_experiments.regions import Regions, Table, summed

__all__ = ["HELD_OUT", "PART", "TRAINING", "VALIDATION", "compare_tables", "parts_of"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

USER, SEGMENT, GROUP, LEVEL, PROBABILITY, PART, SAMPLED = (
    *("user", "segment", "group", "level", "probability", "part"),
    "sampled",
)
TRAINING, VALIDATION, HELD_OUT = "training", "validation", "held out"

SLACK = 1e-6
"""How far a sum of probabilities may be from 1: tables may hold numbers of single precision."""

ROUNDED = 1e-12
"""A sum that is nearer to 1 differs by rounding only and is left as it is."""


def compare_tables(
    laws: str | PathLike[str], interactions: str | PathLike[str], protocol: Protocol, *, seed: int = 0
) -> Distances:
    r"""Compare any model with held-out interactions over groups of cells, from two tables.

    Parameters
    ----------
    laws
        A CSV or Parquet file with the columns ``user``, ``group``, ``level`` (unless there is only one) and
        ``probability``, the model's :math:`P(\text{group}, \text{level}\mid\text{user})`: one row for each user, group
        and level; those of a user sum to 1. A column ``segment`` in the place of ``user`` gives all users of a segment
        one law.
    interactions
        A CSV or Parquet file with a row for each interaction: ``user``, ``segment``, ``group``, ``level`` as in the
        laws, and ``part``: held out (so are all rows if there is no such column), validation (which suggests events to
        T9-lower), or training (which is not looked at). Segments and groups are whole numbers from 1, levels numbers;
        all of them were chosen without the held-out rows.
    protocol
        ``"independent"``: given the users, the held-out rows are independent draws that may repeat; ``"finite pool"``:
        they are the pool, and a random half of it is drawn here; else both theorems refuse.
    seed
        Of the random half and of the random order, chosen before anything is looked at.

    Raises
    ------
    InputError
        If a file cannot be read, a law is none, or the tables do not fit together.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     laws, interactions = Path(folder, "laws.csv"), Path(folder, "interactions.csv")
    ...     _ = laws.write_text("segment,group,probability\n1,1,0.75\n1,2,0.25\n")
    ...     _ = interactions.write_text("user,segment,group\n" + "ann,1,1\nbo,1,2\n" * 50)
    ...     found = compare_tables(laws, interactions, Protocol("finite pool"))
    >>> found.at_most, found.parts["rounds"].size, found.parts["rounds"].pool
    (0.25, 50, array([100]))
    """
    tables = _Coarse.read(Path(laws), Path(interactions))
    table, hints = tables.table(HELD_OUT), tables.table(VALIDATION)
    if table is None or len(table.cell) < 2:
        raise InputError(f"{interactions} has fewer than two held-out interactions; expected many; correct {PART}.")
    order = permuted(len(table.cell), seed)
    if protocol.sampling == "independent":
        return Distances(compare_draws(table, tables.by_user(), hints, order)[0])
    found = compare_pool(table, hints, order[: len(order) // 2])
    return found if protocol.sampling == "finite pool" else Distances(found.parts)


@dataclass(frozen=True, eq=False)
class _Coarse:
    """Both tables as numbers: laws of shape (user, cell), and of every interaction its user, cell and part."""

    regions: Regions
    laws: Array
    user: Counts
    cell: Counts
    part: NDArray[np.str_]

    @classmethod
    def read(cls, laws: Path, interactions: Path) -> _Coarse:
        whose, keys, levels, law = _read_laws(laws)
        table = read_table(interactions)
        _refuse_missing(table, (USER, SEGMENT, GROUP, *([LEVEL] if levels.size > 1 else [])), interactions)
        if SAMPLED in table.columns:
            raise InputError(
                f"{interactions} has a column {SAMPLED}, but the random half is drawn here, by the seed; expected the "
                "whole pool; leave the column out."
            )
        part = parts_of(table, interactions)
        users, segment = _names(table, USER, interactions), _whole(table, SEGMENT, interactions)
        group, groups = _whole(table, GROUP, interactions), law.shape[1] // levels.size
        if (group > groups).any():
            row = int((group > groups).argmax())
            raise InputError(
                f"row {row + 1} of {interactions} has the group {group[row]}, but {laws} knows the groups 1 to "
                f"{groups}; expected the same groups in both."
            )
        cell = (group - 1) * levels.size + _level_places(table, levels, interactions, laws)
        used = part != TRAINING
        asked = (users if whose == USER else segment.astype(np.str_))[used]
        if not (known := np.isin(asked, keys)).all():
            raise InputError(
                f"{laws} has no row of {whose} {str(asked[~known][0])!r}, which has interactions in "
                f"{interactions}; expected the probabilities of all groups for every {whose}."
            )
        distinct = keys if whose == USER else np.unique(users)
        place = {name: number for number, name in enumerate(distinct.tolist())}
        user = np.array([place.get(name, -1) for name in users.tolist()])[used]
        of_user = _segments(users[used], user, segment[used], len(distinct), interactions)
        if whose == SEGMENT:
            row_of = {name: number for number, name in enumerate(keys.tolist())}
            law = law[[row_of.get(str(number), 0) for number in of_user + 1]]
        regions = Regions(of_user, np.arange(groups), int(segment.max()), groups, levels.size)
        return cls(regions, law, user, cell[used], part[used])

    def table(self, part: str) -> Table | None:
        """Put one part beside the laws, by segment; None if it is empty."""
        rows = self.part == part
        return summed(self.regions, self.user[rows], self.cell[rows], self._of) if rows.any() else None

    def by_user(self) -> Table:
        """Put the held-out part beside the laws, by user."""
        rows = self.part == HELD_OUT
        return summed(self.regions.by_user(), self.user[rows], self.cell[rows], self._of)

    def _of(self, users: Counts) -> Array:
        found: Array = self.laws[users]
        return found


def parts_of(table: pl.DataFrame, path: Path) -> NDArray[np.str_]:
    """Return the part of every row, held out where the table has no such column."""
    if PART not in table.columns:
        return np.full(len(table), HELD_OUT)
    found = table[PART].cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase().str.replace_all("[_-]", " ")
    if (odd := ~found.is_in([TRAINING, VALIDATION, HELD_OUT])).any():
        row = int(odd.arg_max() or 0)
        raise InputError(
            f"row {row + 1} of {path} has {table[PART][row]!r} as {PART}; expected {TRAINING}, {VALIDATION} or "
            f"{HELD_OUT}."
        )
    return found.to_numpy().astype(np.str_)


def _read_laws(path: Path) -> tuple[str, NDArray[np.str_], Array, Array]:
    """Return whose laws a table holds, their names in its order, the levels, and the laws, shape (name, cell)."""
    table = read_table(path)
    if (USER in table.columns) == (SEGMENT in table.columns):
        raise InputError(
            f"{path} has the columns {', '.join(table.columns)}; expected either {USER} or {SEGMENT}, and {GROUP}, "
            f"{LEVEL} (unless there is only one) and {PROBABILITY}."
        )
    whose = USER if USER in table.columns else SEGMENT
    _refuse_missing(table, (GROUP, PROBABILITY), path)
    # Segments are written as numbers in both tables, so that "01" is "1".
    names = _names(table, USER, path) if whose == USER else _whole(table, SEGMENT, path).astype(np.str_)
    group = _whole(table, GROUP, path)
    level = _numbers(table, LEVEL, path, "a number") if LEVEL in table.columns else np.zeros(len(table))
    probability = _numbers(table, PROBABILITY, path, "a probability")
    if (bad := (probability < 0) | (probability > 1 + SLACK)).any():
        row = int(bad.argmax())
        raise InputError(f"row {row + 1} of {path} has {probability[row]} as {PROBABILITY}; expected one from 0 to 1.")
    _, first, code = np.unique(names, return_index=True, return_inverse=True)
    keys, code = names[np.sort(first)], np.argsort(np.argsort(first))[code]
    levels, level_code = np.unique(level, return_inverse=True)
    cells = int(group.max()) * levels.size
    index = code * cells + (group - 1) * levels.size + level_code
    _, places, times = np.unique(index, return_index=True, return_counts=True)
    if (times > 1).any():
        row = int(places[times > 1][0])
        of_level = f" at level {level[row]:g}" if LEVEL in table.columns else ""
        raise InputError(
            f"{path} has group {group[row]}{of_level} of {whose} {str(names[row])!r} more than once; expected one "
            "row; add its probabilities up."
        )
    rows = np.bincount(code)
    if (rows < cells).any():
        short = int((rows < cells).argmax())
        raise InputError(
            f"{path} has {rows[short]} rows of {whose} {str(keys[short])!r}; expected {cells}, one for each "
            f"of the groups 1 to {group.max()} at each of {levels.size} levels; write 0 where the model gives none."
        )
    laid = np.empty(rows.size * cells)
    laid[index] = probability
    law = laid.reshape(-1, cells)
    total = law.sum(axis=1, keepdims=True)
    if (off := np.abs(total - 1) > SLACK).any():
        wrong = int(off.argmax())
        raise InputError(
            f"the probabilities of {whose} {str(keys[wrong])!r} in {path} sum to {total[wrong, 0]:.6g}; expected 1 "
            "over all groups and levels, masked cells left out; divide them by their sum."
        )
    return whose, keys, levels, np.where(np.abs(total - 1) > ROUNDED, law / total, law)


def _segments(names: NDArray[np.str_], user: Counts, segment: Counts, users: int, path: Path) -> Counts:
    """Return the segment of every user from 0; those without interactions are put into the first."""
    found = np.zeros(users, dtype=np.int64)
    found[user] = segment - 1
    if (other := found[user] != segment - 1).any():
        raise InputError(
            f"user {str(names[other][0])!r} is in more than one segment in {path}; expected one, chosen from the "
            "training part."
        )
    return found


def _level_places(table: pl.DataFrame, levels: Array, path: Path, laws: Path) -> Counts:
    """Return the place of every row's level among those of the laws."""
    if levels.size == 1:
        return np.zeros(len(table), dtype=np.int64)
    level = _numbers(table, LEVEL, path, "a number")
    if not (known := np.isin(level, levels)).all():
        row = int((~known).argmax())
        raise InputError(
            f"row {row + 1} of {path} has the level {level[row]:g}, which {laws} does not know; expected one of "
            f"{', '.join(f'{value:g}' for value in levels)}."
        )
    places: Counts = np.searchsorted(levels, level)
    return places


def _refuse_missing(table: pl.DataFrame, columns: tuple[str, ...], path: Path) -> None:
    if missing := [name for name in columns if name not in table.columns]:
        raise InputError(
            f"{path} has no column {missing[0]}; it has {', '.join(table.columns)}; expected {', '.join(columns)}."
        )


def _names(table: pl.DataFrame, name: str, path: Path) -> NDArray[np.str_]:
    found = table[name].cast(pl.String).fill_null("").str.strip_chars()
    if (found == "").any():
        row = int((found == "").arg_max() or 0)
        raise InputError(f"row {row + 1} of {path} has no {name}; expected one in every row.")
    return found.to_numpy().astype(np.str_)


def _numbers(table: pl.DataFrame, name: str, path: Path, expected: str) -> Array:
    found = numbers_of(table, name, pl.repeat(True, len(table), eager=True), path, expected)
    if not np.isfinite(found).all():
        row = int((~np.isfinite(found)).argmax())
        raise InputError(f"row {row + 1} of {path} has {found[row]} as {name}; expected {expected}.")
    return found


def _whole(table: pl.DataFrame, name: str, path: Path) -> Counts:
    """Return numbers from 1; more of them than there are rows would have gaps."""
    found = _numbers(table, name, path, "a whole number from 1")
    if (bad := (found != np.floor(found)) | (found < 1) | (found > len(table))).any():
        row = int(bad.argmax())
        raise InputError(
            f"row {row + 1} of {path} has {table[name][row]!r} as {name}; expected a whole number from 1, without gaps."
        )
    return found.astype(np.int64)
