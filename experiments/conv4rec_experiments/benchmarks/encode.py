"""Lift and encode over observed cells only, against the dense product over all items and levels."""

from collections.abc import Iterator

import numpy as np
import torch

from conv4rec.batches import Cells, ProfileBatch
from conv4rec.network import Architecture, Network
from conv4rec_experiments.benchmarks.timing import best_time

__all__ = ["encode_ratios"]

USERS, OBSERVED, LEVELS = 64, 50, 5


def encode_ratios(items: tuple[int, ...] = (1_000, 10_000, 50_000)) -> Iterator[dict[str, float]]:
    """Yield, for each number of items, the dense time over ours and our time over that of the smallest catalogue."""
    rng = np.random.default_rng(0)
    smallest = 0.0
    for n_items in items:
        network = Network(Architecture(n_items=n_items, n_levels=LEVELS, channels=3, code=50, shared_maps=False))
        chosen = np.stack([rng.choice(n_items, OBSERVED, replace=False) for _ in range(USERS)])
        user, item = np.repeat(np.arange(USERS), OBSERVED), chosen.ravel()
        level = rng.integers(LEVELS, size=item.size)
        profiles = ProfileBatch.of(Cells(user, item, level), USERS, n_items, LEVELS)
        dense = torch.zeros(USERS, n_items, LEVELS)
        dense[user, item, level] = OBSERVED**-0.5
        with torch.no_grad():
            ours = best_time(network.codes, profiles)
            peer = best_time(torch.einsum, "ujr,rc,cjk->uck", dense, network.lift, network.encode)
        smallest = smallest or ours
        yield {"items": n_items, "dense over ours": peer / ours, "ours over smallest": ours / smallest}
