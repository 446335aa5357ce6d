"""What each channel listens to, what it says, and what is lost without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from conv4rec.network import ACTIVATIONS
from conv4rec_experiments.explaining.mixing import level_names
from conv4rec_experiments.explaining.titles import named

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["MOST_USERS", "channel_curves", "channel_effects", "channel_items", "some_users", "without_channel"]

Array = npt.NDArray[np.float64]

MOST_USERS = 500
"""Means over users are taken over so many at most, drawn at random."""
BATCH_CELLS = 2**21
"""Cells of users that are in memory at once."""


def some_users(model: Conv4Rec) -> pl.Series:
    """Return all users, or `MOST_USERS` of them drawn with a fixed seed."""
    ids = model.interactions.user_ids
    if len(ids) <= MOST_USERS:
        return ids
    return ids.gather(np.sort(np.random.default_rng(0).choice(len(ids), MOST_USERS, replace=False)))


def batches(model: Conv4Rec, users: pl.Series) -> Iterator[list[Any]]:
    """Cut users into batches whose cells fit in memory."""
    size = max(1, BATCH_CELLS // (model.interactions.n_items * model.interactions.n_levels))
    for first in range(0, len(users), size):
        yield users[first : first + size].to_list()


def channel_curves(model: Conv4Rec) -> pl.DataFrame:
    r"""Return for each channel and level what one interaction at that level adds, and how the channel moves the level.

    Columns: ``channel`` from 1; ``level``; ``hears``, :math:`\varphi(K_{rc}/\sqrt n)` for one item at level r in a
    profile of the median number n of cells; ``says``, :math:`G_{cr}`; ``profile``, that n.
    """
    weights, data = model.weights(), model.split.profile
    counts = np.bincount(data.user, minlength=1)
    cells = int(np.median(counts[counts > 0])) if len(data) else 1
    lift = torch.from_numpy(weights["lift"] / np.sqrt(cells))
    hears = ACTIVATIONS[model.architecture.lift_activation](lift).numpy()
    levels = level_names(model)
    channels = model.architecture.channels
    return pl.DataFrame(
        {
            "channel": np.repeat(np.arange(1, channels + 1), len(levels)),
            "level": levels * channels,
            "hears": hears.T.ravel(),
            "says": weights["project"].ravel(),
            "profile": [cells] * (channels * len(levels)),
        }
    )


def channel_items(model: Conv4Rec, titles: dict[str, str] | None = None, k: int = 10) -> pl.DataFrame:
    r"""Return of each channel the k items that it moves most, by :math:`\|D_{c,j}\|_2\,\|G_c\|_2`.

    Columns: ``channel`` from 1, ``rank`` from 1, ``item``, ``name``, ``norm``. With shared maps the items of all
    channels are the same.
    """
    weights, data = model.weights(), model.interactions
    tables = []
    for channel in range(model.architecture.channels):
        decode = weights["decode"][channel % len(weights["decode"])]
        norm = np.linalg.norm(decode, axis=1) * np.linalg.norm(weights["project"][channel])
        best = np.argsort(-norm, kind="stable")[:k]
        items = data.item_ids.gather(best)
        tables.append(
            pl.DataFrame(
                {
                    "channel": [channel + 1] * len(best),
                    "rank": np.arange(1, len(best) + 1),
                    "item": items,
                    "name": named(items, titles),
                    "norm": norm[best],
                }
            )
        )
    return pl.concat(tables)


def without_channel(model: Conv4Rec, channel: int) -> Conv4Rec:
    """Return the model with what a channel adds to the logits taken away; ``channel`` counts from 0."""
    weights = model.weights()
    for name in ("project", "offset"):
        if name in weights:
            weights[name][channel] = 0.0
    return model.with_weights(weights)


def channel_effects(model: Conv4Rec) -> pl.DataFrame:
    r"""Return for each channel how much of what differs between users is its work, and what is lost without it.

    With the logits :math:`Z_i = B + \sum_c T_{ic}` of user i, each centred over the cells, and cells weighted by the
    item's share of interactions,

    .. math:: \text{share}_c = \frac{\sum_{jr} w_j\operatorname{Cov}_i(T_{icjr}, Z_{ijr})}
                                   {\sum_{jr} w_j\operatorname{Var}_i(Z_{ijr})},

    so that shares sum to 1; one may be negative. Columns: ``channel`` from 1; ``variance_share``;
    ``consume_change``, the mean over users of the total variation between P(item | user) with and without the
    channel; ``level_change``, the mean over users of :math:`\sum_j P(j\mid i)` times the change of the expected level
    of j, in units of the levels; ``implicit`` and ``explicit``, by how many nats the losses on ``part`` grow without
    the channel: of the validation part, or of the scored part where there is none.
    """
    data, users = model.interactions, some_users(model)
    weight = np.bincount(data.item, minlength=data.n_items) / (len(data) * data.n_levels)
    others = [without_channel(model, channel) for channel in range(model.architecture.channels)]
    shape = data.n_items, data.n_levels
    # Sums over users of the centred logits Z, of Z squared, and for each channel of T and T Z.
    total, square = np.zeros(shape), np.zeros(shape)
    own, cross = np.zeros((len(others), *shape)), np.zeros((len(others), *shape))
    consume, level = np.zeros(len(others)), np.zeros(len(others))
    for batch in batches(model, users):
        cells = model.predict_proba(batch)
        logits, items, expected = _read(cells, weight, data.level_values)
        total += logits.sum(axis=0)
        square += (logits**2).sum(axis=0)
        for channel, other in enumerate(others):
            logits_off, items_off, expected_off = _read(other.predict_proba(batch), weight, data.level_values)
            part = logits - logits_off
            own[channel] += part.sum(axis=0)
            cross[channel] += (part * logits).sum(axis=0)
            consume[channel] += np.abs(items - items_off).sum() / 2
            level[channel] += (items * np.abs(expected - expected_off)).sum()
    count = len(users)
    variance = float((weight[:, None] * (square / count - (total / count) ** 2)).sum())
    shares = (weight[:, None] * (cross / count - own * total / count**2)).sum(axis=(1, 2))
    part_name = "validation" if len(model.split.validation) else "scored"
    measured = getattr(model.split, part_name)
    before = model.log_probabilities(measured).losses()
    after = [other.log_probabilities(measured).losses() for other in others]
    return pl.DataFrame(
        {
            "channel": np.arange(1, len(others) + 1),
            "variance_share": shares / variance if variance > 0 else np.full(len(others), np.nan),
            "consume_change": consume / count,
            "level_change": level / count,
            "implicit": [losses["implicit"] - before["implicit"] for losses in after],
            "explicit": [losses["explicit"] - before["explicit"] for losses in after],
            "part": [part_name] * len(others),
        }
    )


def _read(cells: Array, weight: Array, values: Array) -> tuple[Array, Array, Array]:
    """Return centred logits (user, item, level), P(item | user) and expected levels (user, item)."""
    logits = np.log(np.maximum(cells, np.finfo(np.float64).tiny))
    logits -= (logits * weight[:, None]).sum(axis=(1, 2), keepdims=True)
    items = cells.sum(axis=2)
    return logits, items, cells @ values / np.maximum(items, np.finfo(np.float64).tiny)
