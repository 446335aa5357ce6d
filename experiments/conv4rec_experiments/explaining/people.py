"""The profile page of one user: consumption against enjoyment over all items, and levels of chosen ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from conv4rec.profiles import UNLIKELY, unlikely_items
from conv4rec_experiments.explaining.mixing import level_names
from conv4rec_experiments.explaining.titles import named

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["user_items", "user_levels"]

KINDS = ("recommended", "gem", "seen")


def user_items(model: Conv4Rec, user: int | str, titles: dict[str, str] | None = None, k: int = 5) -> pl.DataFrame:
    """Return what `Conv4Rec.profile` says of every item, with its name and what it is to the user.

    Columns beside those of the profile: ``name``; ``unlikely``, whether it is in the less likely half of what the user
    has not seen, from which gems are taken; ``kind``: "recommended" and "gem" for the first k of both, else "seen", or
    none; ``rank`` among those of its kind from 1, for seen items by ``p_consume``; ``observed``, the level or levels at
    which the user met the item, as text.
    """
    table = model.profile(user)
    data = model.interactions
    alone: list[Any] = [user]
    of_user = data.subset(data.user == data.user_codes(alone)[0])
    names = level_names(model)
    observed: dict[int, list[str]] = {}
    for item, level in sorted(set(zip(of_user.item.tolist(), of_user.level.tolist(), strict=True))):
        observed.setdefault(item, []).append(names[level])
    kinds: list[str | None] = ["seen" if seen else None for seen in table["seen"]]
    consume = table["p_consume"].to_numpy()
    ranks: list[int | None] = [None] * len(table)
    chosen = {"recommended": model.recommend(alone, k), "gem": model.hidden_gems(user, k)}
    # An item of both lists is a gem only, as gems are the rarer.
    for kind, found in chosen.items():
        for rank, place in enumerate(data.item_codes(found["item"]).tolist(), start=1):
            kinds[place], ranks[place] = kind, rank
    for rank, place in enumerate(np.argsort(np.where(table["seen"], -consume, np.inf), kind="stable").tolist(), 1):
        if kinds[place] == "seen":
            ranks[place] = rank
    return table.with_columns(
        named(table["item"], titles),
        pl.Series("unlikely", unlikely_items(consume[None], ~table["seen"].to_numpy()[None], UNLIKELY)[0]),
        pl.Series("kind", kinds, dtype=pl.String),
        pl.Series("rank", ranks, dtype=pl.Int64),
        pl.Series("observed", [", ".join(observed.get(place, [])) or None for place in range(len(table))]),
    )


def user_levels(model: Conv4Rec, items: pl.DataFrame, k: int = 5) -> pl.DataFrame:
    """Return P(level | consumed) of the first k items of each kind of `user_items`, one row for each level.

    Columns: ``kind``, ``rank``, ``item``, ``name``, ``observed``, ``level``, ``probability``.
    """
    columns = [name for name in items.columns if name.startswith("p_")]
    levels = dict(zip(level_names(model), columns[-model.interactions.n_levels :], strict=True))
    chosen = items.filter(pl.col("kind").is_not_null() & (pl.col("rank") <= k))
    rows = [
        {name: row[name] for name in ("kind", "rank", "item", "name", "observed")}
        | {"level": level, "probability": row[column]}
        for kind in KINDS
        for row in chosen.filter(kind=kind).sort("rank").iter_rows(named=True)
        for level, column in levels.items()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)
