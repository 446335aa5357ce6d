"""Titles of items, where a table names them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from conv4rec.errors import InputError
from conv4rec.roles import Roles, choose_columns

__all__ = ["named", "read_titles"]

TITLES = ("title", "name", "titles", "names")


def read_titles(path: Path) -> dict[str, str]:
    """Read the titles of items from a CSV file with a column of items and one of titles, by item as it is written.

    The item column is found by its well-known name, as in interactions; the title column is called title or name, or
    is the only other one.

    Raises
    ------
    InputError
        If the file is no table, a column is missing or ambiguous, or an item has two titles.
    """
    try:
        table = pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{path}: not a CSV table ({' '.join(str(error).split())}); give items and titles separated by commas."
        ) from error
    # Titles say nothing of users: any other column stands in for that role.
    others = [name for name in table.columns if name.lower() in TITLES]
    if len(others) != 1 and len(table.columns) == 2:
        others = table.columns[1:]
    if len(others) != 1:
        seen = ", ".join(map(repr, table.columns))
        raise InputError(f"{path}: no single column of titles among {seen}; call one of them 'title'.")
    (title,) = others
    item = choose_columns(table.columns, Roles(user=title), True, str(path)).item
    table = table.drop_nulls([item, title])
    if table[item].n_unique() < len(table):
        twice = table[item].filter(table[item].is_duplicated())[0]
        raise InputError(f"{path}: item {twice!r} has several titles; give one line for each item.")
    return dict(zip(table[item], table[title], strict=True))


def named(items: pl.Series, titles: dict[str, str] | None) -> pl.Series:
    """Return the title of each item, or the item itself where there is none.

    Examples
    --------
    >>> named(pl.Series([3, 5]), {"3": "Alien"}).to_list()
    ['Alien', '5']
    """
    written = items.cast(pl.String)
    return pl.Series("name", [(titles or {}).get(item, item) for item in written], dtype=pl.String)
