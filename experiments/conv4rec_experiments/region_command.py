"""The command that cuts users and items for a model made elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from conv4rec_experiments.words import numbers_or_names

__all__ = ["regions"]


def regions(
    split: Annotated[
        Path,
        typer.Argument(
            metavar="SPLIT",
            help="All interactions with a column part: training, validation or held out; CSV or Parquet.",
        ),
    ],
    segments: Annotated[int, typer.Option(min=1, help="Segments of users by their activity.")] = 4,
    cells: Annotated[int, typer.Option(min=1, help="At least so many pairs of item group and level.")] = 50,
    implicit: Annotated[bool, typer.Option("--implicit", help="Every row counts the same: one level.")] = False,
    levels: Annotated[str | None, typer.Option(help="All levels in their order, such as view,cart,buy.")] = None,
    out: Annotated[
        Path, typer.Option(help="The folder of the tables, whose files of the same names are replaced.")
    ] = Path("regions"),
) -> None:
    """Cut users by activity and items by popularity, as tables for `conv4rec certify --laws`."""
    from conv4rec_experiments.partition import write_partition
    from conv4rec_experiments.printing import print_lines, print_paths

    words, paths = write_partition(
        split,
        out,
        segments=segments,
        cells=cells,
        implicit=implicit,
        levels=None if levels is None else numbers_or_names(levels),
    )
    print_lines(f"{split}: {words}, chosen from the training rows alone.")
    print_paths(paths)
