"""Start values of the weights: polynomials of the level, the popularity of the cells, small random item maps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from conv4rec.network import Architecture

__all__ = ["level_polynomials", "start_stream", "start_weights"]

Array = npt.NDArray[np.float64]

ENCODE_SCALE = 0.1
DECODE_SCALE = 0.01
EXTRA_CHANNEL_SCALE = 0.1

STREAM = 0x5354415254
"""The key of the stream below: the letters of its name, longer than any key that is a size or a count."""


def level_polynomials(level_values: Array, count: int) -> Array:
    r"""Return orthogonal polynomials of the level: constant, linear, quadratic and so on.

    Column :math:`d` is a polynomial :math:`p_d` of degree :math:`d` with
    :math:`\frac1R\sum_r p_d(v_r)p_e(v_r)=\delta_{de}` and positive leading coefficient.

    Parameters
    ----------
    level_values : float64 array (level,)
        Distinct values :math:`v_r` of the levels.
    count : int
        How many columns; at most R are returned.

    Examples
    --------
    >>> level_polynomials(np.array([1.0, 2.0, 3.0]), 2).round(4).tolist()
    [[1.0, -1.2247], [1.0, -0.0], [1.0, 1.2247]]
    """
    spread = float(np.ptp(level_values)) or 1.0
    centred = (level_values - level_values.mean()) / spread
    basis, triangle = np.linalg.qr(np.vander(centred, min(count, len(level_values)), increasing=True))
    values: Array = basis * np.sign(np.diag(triangle)) * np.sqrt(len(level_values))
    return values


def start_stream(seed: int) -> np.random.Generator:
    """Return the source of the start's random values: independent of the streams that cut the data with this seed.

    A start that came from the same random bits as the split would tell which interactions are scored.

    Parameters
    ----------
    seed : int
        The seed of the model.

    Examples
    --------
    >>> bool(start_stream(7).standard_normal() == np.random.default_rng(7).standard_normal())
    False
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))


def start_weights(
    architecture: Architecture, level_values: Array, cell_bias: Array, rng: np.random.Generator
) -> dict[str, Array]:
    """Return the weights from which training starts.

    Lift and project start at the polynomials of the level (so the channels read: was it consumed, how much was it
    liked, how far from the middle), channels beyond the number of levels small and random; the cell bias at
    `cell_bias`; code bias and offset at 0; the item maps and hidden layers small and random.

    Parameters
    ----------
    architecture : Architecture
        Sizes.
    level_values : float64 array (level,)
        Values of the levels.
    cell_bias : float64 array (item, level)
        Log-probabilities of the cells under a model that ignores the user.
    rng : numpy.random.Generator
        Source of all random values: `start_stream`.

    Examples
    --------
    >>> sizes = Architecture(n_items=4, n_levels=2, channels=3, code=5)
    >>> start = start_weights(sizes, np.array([0.0, 1.0]), np.zeros((4, 2)), start_stream(0))
    >>> start["lift"][:, :2].round(4).tolist(), start["offset"].any().item()
    ([[1.0, -1.0], [1.0, 1.0]], False)
    """
    weights = {name: np.zeros(shape) for name, shape in architecture.shapes().items()}
    polynomials = level_polynomials(level_values, architecture.channels)
    known = polynomials.shape[1]
    for name, axis in (("lift", 1), ("project", 0)):
        weights[name] = EXTRA_CHANNEL_SCALE * rng.standard_normal(weights[name].shape)
        np.moveaxis(weights[name], axis, 0)[:known] = polynomials.T
    weights["encode"] = ENCODE_SCALE * rng.standard_normal(weights["encode"].shape)
    weights["decode"] = DECODE_SCALE * rng.standard_normal(weights["decode"].shape)
    for name, value in weights.items():
        if name.startswith("hidden.") and name.endswith(".weight"):
            weights[name] = rng.standard_normal(value.shape) / np.sqrt(value.shape[1])
    weights["cell_bias"] = cell_bias
    return weights
