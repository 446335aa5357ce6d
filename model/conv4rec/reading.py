"""Files of interactions: which file is meant, which format it has, and its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeVar

import polars as pl

from conv4rec.columns import Columns, Duplicates, Levels, encode
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.roles import Roles, choose_columns
from conv4rec.text_files import FORMATS, Table, table_of_text

__all__ = ["read"]

Part = TypeVar("Part")


SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".data": "u.data",
    ".base": "u.data",
    ".test": "u.data",
    ".dat": "ratings.dat",
    ".inter": "inter",
    ".parquet": "parquet",
}
RATING_FILES = {"u.data", "ratings.dat"} | {
    f"{stem}.{suffix}" for stem in ("ratings", "interactions") for suffix in ("csv", "tsv", "parquet")
}


def read(
    path: str | PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word that users look for
    columns: Sequence[str] | None = None,
    user: str | None = None,
    item: str | None = None,
    level: str | None = None,
    time: str | None = None,
    implicit: bool = False,
    levels: Levels | None = None,
    duplicates: Duplicates = "last",
) -> Interactions:
    r"""Read interactions from a file, or from a directory that holds exactly one known ratings file.

    Formats: ``"csv"``, ``"tsv"``, ``"parquet"``, ``"u.data"`` and ``"ratings.dat"`` (MovieLens), ``"inter"``
    (RecBole). In text files, blanks around a field and empty lines mean nothing, and identifiers become
    integers where every one of the column is written as an integer is (``7``, not ``007``) and fits 64 bits.

    Parameters
    ----------
    path : str or path
        UTF-8 text or Parquet.
    format : str, optional
        One of the formats by name; otherwise the file's suffix decides, otherwise its first line.
    columns : sequence of str, optional
        Names of all columns of a text file that has no header.
    user, item, level, time : str, optional
        Columns by name; otherwise well-known names are recognised (``userId``, ``movieId``, ``rating``, ...).
    implicit : bool
        Every row counts the same: one level, ``"consumed"``, even where there is a column of levels.
    levels : sequence of float or of str, optional
        All levels in their order; a value that is none of them is an error. Otherwise numbers are sorted, and
        event names are ordered alphabetically.
    duplicates : {"last", "first", "keep", "error"}
        What to do with rows of the same user and item, whatever their levels: the last or first stays (by time
        where there is one, then by position in the file), all stay, or none is accepted. The number taken away
        is ``merged``.

    Returns
    -------
    Interactions
        In the order of the file, with identifiers sorted, so that codes do not depend on the order of rows.

    Raises
    ------
    InputError
        The file cannot be read or a value cannot be used: with file, line (from 1, header included), column.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "ratings.csv")
    >>> _ = path.write_text("userId,movieId,rating\n1,31,2.5\n1,1029,3.0\n7,31,4.0\n")
    >>> read(path).summary
    '3 interactions of 2 users with 2 items at 3 levels (2.5 < 3.0 < 4.0), without times; 0 duplicates merged'
    >>> folder.cleanup()
    """
    file = _find(Path(path))
    name = format if format is not None else SUFFIXES.get(file.suffix.lower())
    if name is not None and name not in FORMATS:
        raise InputError(f"format={name!r} is not known, expected one of {', '.join(FORMATS)}; correct it.")
    if name == "parquet":
        if columns is not None:
            raise InputError(f"{file}: a Parquet file names its columns itself; leave out columns=.")
        table = _parquet(file)
    else:
        table = table_of_text(file, name, columns)
    chosen = choose_columns(table.names, Roles(user, item, level, time), implicit, str(file))
    for column in chosen:
        if column is not None and table.kinds.get(column, "").endswith("_seq"):
            raise InputError(f"{file}: column {column!r} holds sequences, expected one value per row; choose another.")
    numbers = chosen.level is not None and table.kinds.get(chosen.level) == "float"
    found = Columns.take(chosen, table.column, table.where, numbers)
    if not len(found.user):
        raise InputError(f"{file}: there are no rows, expected at least one interaction; give another file.")
    return Interactions(*encode(found, levels, duplicates))


def _find(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: there is no such file or directory; correct the path.")
    if not path.is_dir():
        return path
    inside = sorted(file for file in path.iterdir() if file.is_file())
    known = [file for file in inside if file.name in RATING_FILES or file.suffix == ".inter"]
    if len(known) == 1:
        return known[0]
    seen = ", ".join(file.name for file in known or inside) or "nothing"
    count = f"{len(known)} known ratings files" if known else "no known ratings file"
    raise InputError(f"{path}: the directory holds {count} ({seen}), expected exactly one; give the file's own path.")


def _parquet(file: Path) -> Table:
    # A plain path: an asterisk or a bracket in it is no pattern.
    lazy = pl.scan_parquet(file, glob=False, hive_partitioning=False)

    def column(name: str) -> pl.Series:
        return _parquet_part(file, lambda: lazy.select(name).collect())[name]

    return Table(
        _parquet_part(file, lazy.collect_schema).names(),
        column,
        lambda row, column: f"{file}, row {row} (from 0), column {column!r}",
        {},
    )


def _parquet_part(file: Path, part: Callable[[], Part]) -> Part:
    try:
        return part()
    # Where a file is damaged in the middle, the library panics instead of raising one of its errors.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{file}: not a Parquet file, or a damaged one ({reason}); give format= or write it anew."
        ) from error
