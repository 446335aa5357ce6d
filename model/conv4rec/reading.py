"""Files of interactions: which format a file has, its lines and fields, and where in it a value stands."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.columns import Columns, Duplicates, Levels, encode
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.roles import Roles, choose_columns

__all__ = ["FORMATS", "read"]


Part = TypeVar("Part")


class Format(NamedTuple):
    """How a text format writes fields: separators (the first that the first line holds), quotes, and header."""

    separators: tuple[str, ...]
    quoted: bool = False
    columns: tuple[str, ...] | None = None


MOVIELENS = ("user", "item", "rating", "timestamp")
TEXT_FORMATS = {
    "csv": Format((",", ";", "\t"), quoted=True),
    "tsv": Format(("\t",), quoted=True),
    "u.data": Format(("\t",), columns=MOVIELENS),
    "ratings.dat": Format(("::",), columns=MOVIELENS),
    "inter": Format(("\t",)),
}
FORMATS = (*TEXT_FORMATS, "parquet")
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


class Records(NamedTuple):
    """The records of a text: the fields of the first, line (from 1) and size of each, k-th fields as a column."""

    first: list[str]
    lines: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    field: Callable[[int], pl.Series]


class Table(NamedTuple):
    """A file's column names, a way to fetch each, the place of a value for an error message, types of columns."""

    names: list[str]
    column: Callable[[str], pl.Series]
    where: Callable[[int, str], str]
    kinds: dict[str, str]


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
        table = _text(file, name, columns)
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


def _text(file: Path, name: str | None, columns: Sequence[str] | None) -> Table:
    text = _decode(file)
    first = next((line for line in io.StringIO(text) if line.strip()), None)
    if first is None:
        raise InputError(f"{file}: the file is empty, expected at least one interaction; give another file.")
    name = name or _sniff(file, first)
    form = TEXT_FORMATS[name]
    separator = next((mark for mark in form.separators if mark in first), form.separators[0])
    records = _quoted(file, text, separator) if form.quoted and '"' in text else _unquoted(text, separator)
    fixed = columns if columns is not None else form.columns
    header = [name.strip(" \t") for name in records.first] if fixed is None else list(fixed)
    _check_sizes(file, records, header, separator)
    names, kinds = _typed(header) if name == "inter" and fixed is None else (header, {})
    start = 1 if fixed is None else 0
    return Table(
        names,
        lambda wanted: _canonical(records.field(names.index(wanted))[start:].alias(wanted)),
        lambda row, wanted: f"{file}, line {records.lines[start + row]}, column {wanted!r}",
        kinds,
    )


def _decode(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: the file cannot be read ({error.strerror}); check its permissions.") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        value = content[error.start : error.start + 1]
        raise InputError(
            f"{file}, line {line}: the byte {value!r} is not UTF-8, expected UTF-8 text; save the file as "
            "UTF-8, or give format='parquet' if it is one."
        ) from error


def _sniff(file: Path, first: str) -> str:
    """Name the format of a file with an unknown suffix by its first line."""
    if re.search(r":(token|float)(_seq)?\b", first):
        return "inter"
    for name, mark in (("ratings.dat", "::"), ("tsv", "\t"), ("csv", ","), ("csv", ";")):
        if mark in first:
            return name
    raise InputError(
        f"{file}: the first line {first.strip()!r} shows no known format; give format=, one of {', '.join(FORMATS)}."
    )


def _unquoted(text: str, separator: str) -> Records:
    content = (
        pl.DataFrame({"content": [text]}).select(pl.col("content").str.split("\n").explode()).with_row_index("line", 1)
    )
    content = content.with_columns(pl.col("content").str.strip_suffix("\r"))
    content = content.filter(pl.col("content").str.strip_chars(" ") != "")
    records = content["content"]
    return Records(
        records[0].split(separator),
        content["line"].cast(pl.Int64).to_numpy(),
        records.str.count_matches(separator, literal=True).cast(pl.Int64).to_numpy() + 1,
        lambda place: _stripped(records.str.split_exact(separator, place).struct.field(f"field_{place}")),
    )


def _quoted(file: Path, text: str, separator: str) -> Records:
    """Split a text with quoted fields, which may hold separators and line ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows, lines, line = [], [], 1
    try:
        for row in reader:
            if row and row != [""]:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{file}, line {line}: quotes cannot be paired ({error}), expected them around whole fields; "
            'close the quote, or double a quote inside a field as "".'
        ) from error
    return Records(
        rows[0],
        np.array(lines, dtype=np.int64),
        np.array([len(row) for row in rows], dtype=np.int64),
        lambda place: _stripped(pl.Series([row[place] for row in rows], dtype=pl.String)),
    )


def _stripped(fields: pl.Series) -> pl.Series:
    return fields.str.strip_chars(" \t")


def _check_sizes(file: Path, records: Records, names: Sequence[str], separator: str) -> None:
    """Refuse the first record with a missing or an extra field."""
    ragged = np.flatnonzero(records.sizes != len(names))
    if ragged.size:
        row = ragged[0]
        raise InputError(
            f"{file}, line {records.lines[row]}: {records.sizes[row]} fields separated by {separator!r}, expected "
            f"{len(names)} ({', '.join(names)}); complete or quote them, or give another format= or columns=."
        )


def _typed(header: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Split the names of a RecBole header, ``user_id:token``, from their types."""
    pairs = [name.partition(":") for name in header]
    return [name for name, _, _ in pairs], {name: kind for name, _, kind in pairs}


def _canonical(fields: pl.Series) -> pl.Series:
    """Integers where every field is an integer as integers are written, so that ``007`` stays text."""
    numbers = fields.cast(pl.Int64, strict=False)
    return numbers if (numbers.cast(pl.String) == fields).fill_null(False).all() else fields
