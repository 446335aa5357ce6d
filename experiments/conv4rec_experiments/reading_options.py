"""Options of the commands that read interactions, and what they do."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conv4rec_experiments.words import names, numbers_or_names

if TYPE_CHECKING:
    from conv4rec import Interactions

__all__ = [
    "Columns",
    "Data",
    "Duplicates",
    "FileFormat",
    "Implicit",
    "ItemColumn",
    "LevelColumn",
    "Levels",
    "OneRow",
    "TimeColumn",
    "UserColumn",
    "read_data",
]


class Duplicates(StrEnum):
    """What happens to rows of the same user and item."""

    LAST = "last"
    FIRST = "first"
    KEEP = "keep"
    ERROR = "error"


Data = Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, or a folder with one.")]
FileFormat = Annotated[str | None, typer.Option("--format", help="Format of the file; else sniffed.")]
UserColumn = Annotated[str | None, typer.Option(help="Column of the users.")]
ItemColumn = Annotated[str | None, typer.Option(help="Column of the items.")]
LevelColumn = Annotated[str | None, typer.Option(help="Column of the ratings or events.")]
TimeColumn = Annotated[str | None, typer.Option(help="Column of the times.")]
Implicit = Annotated[bool, typer.Option("--implicit", help="Every row counts the same.")]
Levels = Annotated[str | None, typer.Option(help="All levels in their order, such as view,cart,buy.")]
Columns = Annotated[str | None, typer.Option(help="All columns of a file without a header, in order.")]
OneRow = Annotated[Duplicates, typer.Option(help="Which row of the same user and item stays.")]


def read_data(
    data: Path,
    file_format: str | None,
    user: str | None,
    item: str | None,
    level: str | None,
    time: str | None,
    implicit: bool,
    levels: str | None,
    columns: str | None,
    duplicates: Duplicates,
) -> Interactions:
    """Read interactions as the options say, and print what they are."""
    from conv4rec import read
    from conv4rec_experiments.printing import print_lines

    interactions = read(
        data,
        format=file_format,
        columns=None if columns is None else names(columns),
        user=user,
        item=item,
        level=level,
        time=time,
        implicit=implicit,
        levels=None if levels is None else numbers_or_names(levels),
        duplicates=duplicates.value,
    )
    print_lines(f"{data}: {interactions.summary}.")
    return interactions
