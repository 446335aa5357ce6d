"""Text files of interactions: how each format writes fields, its lines, and where in it a value stands."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from conv4rec.errors import InputError

__all__ = ["FORMATS", "Table", "table_of_text"]


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


def table_of_text(file: Path, name: str | None, columns: Sequence[str] | None) -> Table:
    """Read a text file in a format by name; otherwise its first line decides.

    Raises
    ------
    InputError
        The file cannot be read, is empty, or has a record with a missing or an extra field.
    """
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
