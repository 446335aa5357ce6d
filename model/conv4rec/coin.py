"""A coin for every user and item, tossed anew whenever it is asked for and the same each time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_SEED", "splitmix64", "tails"]

# A seed is one word of the generator.
MAX_SEED = 2**64 - 1


def tails(
    seed: int, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], probability: float
) -> npt.NDArray[np.bool_]:
    """Toss the coin of each (user, item), broadcast: True with the given probability, in steps of 2**-64.

    One SplitMix64 stream from the seed gives each user a start, one from that start gives each item a coin.
    """
    if probability >= 1:
        return np.ones(np.broadcast_shapes(users.shape, items.shape), dtype=bool)
    start = splitmix64(np.uint64(seed), users)
    return splitmix64(start, items) < np.uint64(int(probability * 2**64))


def splitmix64(start: npt.NDArray[np.uint64] | np.uint64, place: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Compute output number ``place`` of the SplitMix64 generator with the given start, modulo 2**64 throughout."""
    word = (place.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + start
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word
