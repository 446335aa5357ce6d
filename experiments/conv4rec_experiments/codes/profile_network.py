r"""A network that profiles alone give: item maps from their leading factors, a cell bias from their popularity.

It is made without the scored, validation and held-out parts and without the random numbers that cut the data, so a
decoder may know it: a file has to tell only how another network differs from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import svds

from conv4rec.network import Architecture
from conv4rec.start import level_polynomials
from conv4rec_experiments.draws import profile_popularity

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Split

__all__ = ["ProfileNetwork"]

Array = NDArray[np.float64]

MOST_CHANNELS, MOST_FACTORS = 3, 16
CODE_SCALE, ITEM_SCALE = 0.5, 0.25
LEVEL_SMOOTHING = 10.0
GRID = 2.0**20


@dataclass(frozen=True, eq=False)
class ProfileNetwork:
    r"""Sizes and weights that profiles alone give.

    Channel :math:`c` reads :math:`U_c = \bar XK_c`, :math:`K_c` a polynomial of the level. The first code of a channel
    reads all items alike; the others read, and their decode maps are, the leading right singular vectors of
    :math:`U_c\,\mathrm{diag}(\text{users of the item})^{-1/2}`, as in correspondence analysis. Codes are centred at the
    mean user and spread by `CODE_SCALE`. The offset is the least-squares fit, on the first codes, of the logarithms of
    the users' shares of the levels.

    Attributes
    ----------
    architecture
        Three channels, or as many as there are levels, and up to 17 codes each, whatever the trained model has.
    weights
        The arrays by name, rounded to multiples of :math:`2^{-20}`: the last bits of a library's sums are no weight.
    """

    architecture: Architecture
    weights: dict[str, Array]

    @classmethod
    def of(cls, model: Conv4Rec) -> ProfileNetwork:
        """Make the network from the profile part of the model's split; nothing else of the model is read."""
        split = model.split
        data, profile = split.interactions, split.profile
        channels = min(MOST_CHANNELS, data.n_levels)
        factors = max(0, min(MOST_FACTORS, data.n_items - 1, data.n_users - 1))
        # All that a file of numbers is decoded with is spelled out: it must not move with the model's defaults.
        architecture = Architecture(
            data.n_items,
            data.n_levels,
            channels,
            1 + factors,
            shared_maps=False,
            level_offset=True,
            lift_activation="identity",
            code_activation="tanh",
            decode_activation="identity",
        )
        weights = {name: np.zeros(shape) for name, shape in architecture.shapes().items()}
        polynomials = level_polynomials(data.level_values, channels)
        weights["lift"], weights["project"] = polynomials, polynomials.T
        weights["cell_bias"] = profile_popularity(model)
        readers = 1 + np.bincount(profile.item, minlength=data.n_items)
        norm = np.sqrt(np.bincount(profile.user, minlength=data.n_users))[profile.user]
        first = np.zeros((data.n_users, channels))
        for channel in range(channels):
            values = polynomials[profile.level, channel] / norm
            read = csr_array(coo_array((values, (profile.user, profile.item)), shape=(data.n_users, data.n_items)))
            vectors, shares = _leading(read @ diags_array(1 / np.sqrt(readers)), factors)
            encode = np.column_stack([np.ones(data.n_items), vectors])
            encode *= CODE_SCALE / _spread(read @ encode)
            codes = read @ encode
            weights["encode"][channel] = encode
            weights["code_bias"][channel] = -codes.mean(axis=0)
            weights["decode"][channel, :, 1:] = ITEM_SCALE * shares * vectors / _spread(vectors)
            first[:, channel] = np.tanh(codes[:, 0] - codes[:, 0].mean())
        weights["offset"][:, 0] = _level_habits(split, first)
        return cls(architecture, {name: np.round(value * GRID) / GRID for name, value in weights.items()})


def _leading(matrix: csr_array, count: int) -> tuple[Array, Array]:
    """Leading right singular vectors, their signs fixed, and their singular values over the largest."""
    vectors, shares = np.zeros((matrix.shape[1], count)), np.zeros(count)
    if count and matrix.nnz:
        _, values, right = svds(matrix, k=count, v0=np.ones(min(matrix.shape)))
        order = np.argsort(-values)
        vectors, shares = right[order].T, values[order] / values.max()
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(count)]
        vectors = vectors * np.where(largest < 0, -1.0, 1.0)
    return vectors, shares


def _spread(values: Array) -> Array:
    spread: Array = values.std(axis=0)
    return np.where(spread > 1e-9, spread, 1.0)


def _level_habits(split: Split, codes: Array) -> Array:
    """Fit the logarithms of the users' smoothed shares of the levels by their codes, shape (channel, level)."""
    profile, data = split.profile, split.interactions
    counts = np.zeros((data.n_users, data.n_levels))
    np.add.at(counts, (profile.user, profile.level), 1)
    total = counts.sum(axis=1, keepdims=True)
    overall = (counts.sum(axis=0) + 1) / (counts.sum() + data.n_levels)
    logs = np.log((counts + LEVEL_SMOOTHING * overall) / (total + LEVEL_SMOOTHING) / overall)
    found: Array = np.linalg.lstsq(np.sqrt(total) * codes, np.sqrt(total) * logs, rcond=None)[0]
    return found
