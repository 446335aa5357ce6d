r"""A rival of the fit that knows of no network: every user's histogram, shrunk to popularity.

It is Dirichlet smoothing with its weight chosen by the leave-one-out likelihood, as Zhai and Lafferty
("Two-stage language models for information retrieval", SIGIR 2002) chose it for language models, and with a smoothed
background chosen in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError

__all__ = ["Smoothing", "smoothed_law", "smoothing"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

CELLS_AT_ONCE = 2**20
ROUNDING = 1e-12
BACKGROUND_WEIGHTS = np.append(np.geomspace(1e4, 1e-8, 49), 0.0)
COARSE = np.append(np.inf, np.geomspace(1e10, 1e-4, 29))
FINE = np.geomspace(10**0.5, 10**-0.5, 11)


@dataclass(frozen=True, eq=False)
class Smoothing:
    """What smooths the shares of users.

    Attributes
    ----------
    background
        Law b that shares are shrunk to, shape (cell,): the sample's popularity, itself smoothed.
    background_weight
        Pseudo-counts alpha that each cell of the background got.
    weight
        Pseudo-counts lambda that each user gets from the background; infinity makes all users equal.
    """

    background: Array
    background_weight: float
    weight: float


def smoothed_law(counts: Counts) -> Array:
    r"""Shares shrunk to popularity, ``(c_iy + lambda b_y) / (n_i + lambda)``, with `smoothing`'s choices.

    As the weight stays bounded where users differ, the law is consistent, as the histogram is.

    Parameters
    ----------
    counts
        Count table of shape (user, cell), not empty.

    Examples
    --------
    >>> smoothed_law(np.array([[6, 2], [3, 1], [0, 0]])).round(4).tolist()
    [[0.6637, 0.3363], [0.6637, 0.3363], [0.6637, 0.3363]]
    """
    chosen = smoothing(counts)
    if np.isinf(chosen.weight):
        return np.tile(chosen.background, (len(counts), 1))
    total = counts.sum(axis=1, keepdims=True)
    law: Array = (counts + chosen.weight * chosen.background) / (total + chosen.weight)
    return law


def smoothing(counts: Counts) -> Smoothing:
    r"""Choose the background and its weight by the likelihood of each interaction given all the others.

    With ``c_y`` the counts of all users together, ``q`` cells and ``N`` interactions, the background is
    ``b_y = (c_y + alpha) / (N + q alpha)``; alpha maximises the leave-one-out likelihood
    ``sum_y c_y log((c_y - 1 + alpha) / (N - 1 + q alpha))``. Then lambda maximises

    .. math:: \sum_{iy} c_{iy}\log\frac{c_{iy} - 1 + \lambda b^-_y}{n_i - 1 + \lambda} ,

    where ``b^-`` is the background without the interaction that is left out. Both are chosen on geometric grids that
    include 0 for alpha and infinity for lambda; of equals the one that smooths more is taken.

    Raises
    ------
    InputError
        If the table is empty, or not of whole numbers from 0 on in shape (user, cell).

    Examples
    --------
    >>> found = smoothing(np.array([[90, 10], [10, 90]]))
    >>> found.background.tolist(), round(found.weight, 2)
    ([0.5, 0.5], 2.51)
    """
    size = int(_checked(counts).sum())
    popularity, cells = counts.sum(axis=0), counts.shape[1]
    seen = popularity[popularity > 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (seen - 1 + BACKGROUND_WEIGHTS[:, None]) / (size - 1 + cells * BACKGROUND_WEIGHTS[:, None])
        likelihoods = (seen * np.log(shares)).sum(axis=1)
    alpha = float(BACKGROUND_WEIGHTS[_first_best(likelihoods)])
    without_one = (popularity - 1 + alpha) / max(size - 1 + cells * alpha, np.finfo(np.float64).tiny)
    coarse = COARSE[_first_best(_left_out(counts, without_one, COARSE))]
    weight = coarse
    if np.isfinite(coarse):
        fine = coarse * FINE
        weight = fine[_first_best(_left_out(counts, without_one, fine))]
    return Smoothing((popularity + alpha) / (size + cells * alpha), alpha, float(weight))


def _first_best(likelihoods: Array) -> int:
    """Return the first place whose likelihood is the greatest but for rounding, which differs between processors."""
    greatest = np.nanmax(likelihoods)
    return int(np.argmax(likelihoods >= greatest - ROUNDING * abs(greatest)))


def _left_out(counts: Counts, background: Array, weights: Array) -> Array:
    """Leave-one-out log-likelihood of the sample for every weight lambda; the background lacks the one left out."""
    total = np.zeros(len(weights))
    for count, others, share in _observed(counts, background):
        for place, weight in enumerate(weights):
            left = share if np.isinf(weight) else (count - 1 + weight * share) / (others + weight)
            with np.errstate(divide="ignore"):
                total[place] += (count * np.log(left)).sum()
    return total


def _observed(counts: Counts, background: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Walk through the cells that were observed, some users at a time: ``c_iy``, ``n_i - 1`` and ``b^-_y``."""
    step = max(1, CELLS_AT_ONCE // counts.shape[1])
    for begin in range(0, len(counts), step):
        part = counts[begin : begin + step]
        user, cell = part.nonzero()
        yield part[user, cell].astype(np.float64), part.sum(axis=1)[user] - 1.0, background[cell]


def _checked(counts: Counts) -> Counts:
    whole = isinstance(counts, np.ndarray) and counts.ndim == 2 and np.issubdtype(counts.dtype, np.integer)
    if not whole or counts.size == 0 or (counts < 0).any() or not counts.any():
        raise InputError(
            "An estimator was given an empty table or one that does not count; expected whole numbers from 0 on in "
            "shape (user, cell), at least one of them positive; draw a sample first."
        )
    return counts
