"""A partition of users and items for a model made elsewhere: chosen from the training part, written as tables."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from conv4rec.errors import InputError
from conv4rec.reading import read
from conv4rec_experiments.files import write_bytes
from conv4rec_experiments.log_probability_tables import read_table
from conv4rec_experiments.region_tables import PART, TRAINING, parts_of
from conv4rec_experiments.regions import CELLS, SEGMENTS, regions_from

__all__ = ["write_partition"]


def write_partition(
    path: str | PathLike[str], folder: Path, *, segments: int = SEGMENTS, cells: int = CELLS, **reading: Any
) -> tuple[str, list[Path]]:
    r"""Cut users by activity and items by popularity, write who and what is where; say how finely, and the files.

    Parameters
    ----------
    path
        A CSV or Parquet file of all interactions with a column ``part``: training, validation or held out. Segments and
        groups are chosen from the training rows alone; every user and item of the file is in one of them.
    folder
        Where ``users.csv`` (``user, segment``), ``items.csv`` (``item, group``) and ``interactions.csv`` are written:
        the rows that are not training, as `conv4rec_experiments.region_tables.compare_tables` wants them.
    segments, cells
        How many segments, and at least how many pairs of group and level, where there are users and items enough.
    reading
        Arguments of `conv4rec.read`, such as ``implicit=True``.

    Raises
    ------
    InputError
        If the file cannot be read, has no column ``part``, or no training rows, or the numbers are none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     split = Path(folder, "split.csv")
    ...     _ = split.write_text("user,item,part\nann,x,training\nann,y,held out\nbo,x,training\n")
    ...     words, paths = write_partition(split, Path(folder), implicit=True)
    ...     print(words, paths[2].read_text(), sep="; ")
    2 segments of users over 2 groups of cells; user,segment,group,part
    ann,1,2,held out
    <BLANKLINE>
    """
    path = Path(path)
    if segments < 1 or cells < 1:
        raise InputError(f"{segments} segments and {cells} cells were asked for; expected at least 1 of each.")
    table = read_table(path)
    if PART not in table.columns:
        raise InputError(f"{path} has no column {PART}; expected training, validation or held out in every row.")
    part = parts_of(table, path)
    data = read(path, duplicates="keep", **reading)
    if len(data) != len(table):
        raise InputError(f"{path} has empty lines; expected an interaction in every row; leave them out.")
    if not (part == TRAINING).any():
        raise InputError(f"{path} has no training rows, from which groups could be chosen; correct the column {PART}.")
    regions = regions_from([data.subset(part == TRAINING)], segments, cells)
    levels = {"level": data.level_values[data.level]} if data.n_levels > 1 else {}
    mapped = pl.DataFrame(
        {
            "user": data.user_ids.gather(data.user),
            "segment": regions.segment[data.user] + 1,
            "group": regions.group[data.item] + 1,
            **levels,
            PART: part,
        }
    )
    tables = {
        "users.csv": pl.DataFrame({"user": data.user_ids, "segment": regions.segment + 1}),
        "items.csv": pl.DataFrame({"item": data.item_ids, "group": regions.group + 1}),
        "interactions.csv": mapped.filter(pl.col(PART) != TRAINING),
    }
    return regions.words, [write_bytes(folder / name, one.write_csv().encode()) for name, one in tables.items()]
