"""Popularity against enjoyment: how often each item is consumed, and how it is liked by those who consume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from conv4rec.profiles import high_levels
from conv4rec.splits import Part
from conv4rec_experiments.explaining.channels import batches, some_users
from conv4rec_experiments.explaining.titles import named

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["ENOUGH", "catalogue_table", "rank_correlations"]

ENOUGH = 10
"""An item with so many interactions has a share of high levels that is worth a mark."""
MARKED = 3
"""How many items of each kind are named."""


def catalogue_table(model: Conv4Rec, titles: dict[str, str] | None = None) -> pl.DataFrame:
    """Return one row for each item: what the model believes on the mean over users, and what was observed.

    Columns: ``item``; ``name``; ``p_consume`` and ``p_high``, means over users of P(item | user) and of
    P(high level | user, item consumed); ``interactions`` with the item in the training parts, ``share``, their share of
    all there; ``high_share``, the share of high levels among them (none if there is none); and ``mark``: "popular" for
    the likeliest items, "enjoyed" for those with the greatest ``p_high`` in the less likely half of the items that have
    at least `ENOUGH` interactions, else none.
    """
    data, users = model.interactions, some_users(model)
    is_high = high_levels(data.level_values)
    consume, high = np.zeros(data.n_items), np.zeros(data.n_items)
    for batch in batches(model, users):
        cells = model.predict_proba(batch)
        items = cells.sum(axis=2)
        consume += items.sum(axis=0)
        high += (cells[:, :, is_high].sum(axis=2) / np.maximum(items, np.finfo(np.float64).tiny)).sum(axis=0)
    trained = data.subset(model.split.part != Part.HELD_OUT)
    counts = np.bincount(trained.item, minlength=data.n_items)
    liked = np.bincount(trained.item[is_high[trained.level]], minlength=data.n_items)
    table = pl.DataFrame(
        {
            "item": data.item_ids,
            "name": named(data.item_ids, titles),
            "p_consume": consume / len(users),
            "p_high": high / len(users),
            "interactions": counts,
            "share": counts / max(len(trained), 1),
            "high_share": pl.Series(liked) / pl.Series(np.where(counts > 0, counts, 1)),
        }
    ).with_columns(high_share=pl.when(pl.col("interactions") > 0).then("high_share"))
    return table.with_columns(mark=_marks(table))


def rank_correlations(table: pl.DataFrame) -> dict[str, float | None]:
    """Return Spearman's correlation of popularity and enjoyment, over items with at least `ENOUGH` interactions.

    Keys: "model" for ``p_consume`` and ``p_high``, "observed" for ``share`` and ``high_share``; None where all are
    alike.
    """
    some = table.filter(pl.col("interactions") >= ENOUGH)
    pairs = {"model": ("p_consume", "p_high"), "observed": ("share", "high_share")}
    found: dict[str, float | None] = {}
    for name, (x, y) in pairs.items():
        value = some.select(pl.corr(x, y, method="spearman")).item() if len(some) > 1 else None
        found[name] = None if value is None or np.isnan(value) else float(value)
    return found


def _marks(table: pl.DataFrame) -> pl.Series:
    consume, high = table["p_consume"].to_numpy(), table["p_high"].to_numpy()
    marks: list[str | None] = [None] * len(table)
    for place in np.argsort(-consume, kind="stable")[:MARKED].tolist():
        marks[place] = "popular"
    enough = table["interactions"].to_numpy() >= ENOUGH
    if enough.any():
        tail = enough & (consume <= np.median(consume[enough]))
        for place in np.argsort(np.where(tail, -high, np.inf), kind="stable")[: min(MARKED, int(tail.sum()))].tolist():
            marks[place] = "enjoyed"
    return pl.Series(marks, dtype=pl.String)
