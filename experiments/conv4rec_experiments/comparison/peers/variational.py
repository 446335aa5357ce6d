"""Mult-VAE (Liang et al. 2018), by cornac."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv4rec_experiments.comparison.heads import fit_temperature
from conv4rec_experiments.comparison.peers.cornac_data import dataset
from conv4rec_experiments.comparison.systems import Fitted, Options, Task

__all__ = ["VAE_GRID", "fit_vae"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

VAE_GRID: tuple[Options, ...] = tuple(
    {"k": 200, "autoencoder_structure": [600], "n_epochs": epochs, "batch_size": 50, "beta": 0.1} for epochs in (15, 25)
)
"""Sizes are those of the paper."""


@dataclass(frozen=True)
class Decoder:
    """A trained network, and which of its places belong to which codes."""

    model: Any
    user_place: dict[int, int]
    item_codes: Codes
    n_items: int

    def scores(self, users: Codes) -> Array:
        """Return scores of all items, shape (user, item); items that training never met share the least."""
        rows = np.stack([self.model.score(self.user_place[user]) for user in users.tolist()]).astype(np.float64)
        rows = np.log(np.maximum(rows, np.finfo(np.float64).tiny)) if (rows >= 0).all() else rows
        scores = np.repeat(rows.min(axis=1, keepdims=True), self.n_items, axis=1)
        scores[:, self.item_codes] = rows
        return scores


def fit_vae(task: Task, options: Options) -> Fitted:
    """Fit a variational autoencoder with multinomial likelihood with cornac.

    Options: arguments of its ``VAECF``.
    """
    import torch
    from cornac.models import VAECF

    data = dataset(task)
    with torch.random.fork_rng():
        model = VAECF(**options, likelihood="mult", seed=task.seed).fit(data)
    codes = np.fromiter(data.iid_map.keys(), dtype=np.int64)
    ranker = Decoder(model, dict(data.uid_map), codes, task.training.n_items)
    return Fitted(ranker=ranker, temperature=fit_temperature(ranker, task))
