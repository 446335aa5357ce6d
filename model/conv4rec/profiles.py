"""From logits to what a user sees: P(consume), P(level | consumed), high levels, hidden gems."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from conv4rec.arguments import real_number, whole_number
from conv4rec.errors import InputError

__all__ = ["UNLIKELY", "Prediction", "high_levels", "rank_gems", "unlikely_items", "well_known"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HIGH_SHARE = 0.6
UNLIKELY = 0.5


@dataclass(frozen=True)
class Prediction:
    r"""The predicted law over all cells for a batch of users, factored by the chain rule.

    Attributes
    ----------
    consume : float64 array (user, item)
        :math:`P(j\mid i)`: the probability that an interaction of the user is with the item; rows sum to 1.
    level : float64 array (user, item, level)
        :math:`P(r\mid i,j)`: the probability of the level given the item.
    """

    consume: Array
    level: Array

    @classmethod
    def of(cls, logits: torch.Tensor) -> Prediction:
        """Factor the softmax of logits (user, item, level) over all cells.

        Examples
        --------
        >>> prediction = Prediction.of(torch.tensor([[[0.0, 0.0], [0.0, -torch.inf]]], dtype=torch.float64))
        >>> prediction.consume.round(4).tolist(), prediction.level.tolist()
        ([[0.6667, 0.3333]], [[[0.5, 0.5], [1.0, 0.0]]])
        """
        consume = logits.logsumexp(dim=2).softmax(dim=1).cpu().numpy()
        return cls(consume, logits.softmax(dim=2).cpu().numpy())

    def cells(self) -> Array:
        """Return the joint probabilities (user, item, level); each user's sum to 1."""
        joint: Array = self.consume[:, :, None] * self.level
        return joint


def high_levels(level_values: Array, threshold: float | None = None) -> Mask:
    """Say which levels are high: those above `threshold`, by default above lo + 0.6 (hi - lo).

    Parameters
    ----------
    level_values : float64 array (level,)
        Values of the levels; lo and hi are the least and the greatest.
    threshold : float, optional
        A level is high if its value is greater.

    Raises
    ------
    InputError
        If no level or every level would be high, as happens with a single level, or the threshold is no number.

    Examples
    --------
    >>> high_levels(np.array([1.0, 2.0, 3.0, 4.0, 5.0])).tolist()
    [False, False, False, True, True]
    """
    low, top = float(level_values.min()), float(level_values.max())
    bound = low + HIGH_SHARE * (top - low) if threshold is None else real_number("high", threshold)
    high: Mask = level_values > bound
    if high.all() or not high.any():
        raise InputError(
            f"Levels above {bound:g} are to be high, and the {len(level_values)} levels run from {low:g} to {top:g}; "
            "high levels need a threshold with levels on both sides."
        )
    return high


def well_known(counts: Codes, least: int) -> Mask:
    """Say which items have at least so many training interactions.

    Parameters
    ----------
    counts : int64 array (item,)
        Training interactions of every item, see `conv4rec.splits.Split.item_counts`.
    least : int
        The floor, from 0 on; 0 leaves all items.

    Raises
    ------
    InputError
        If the floor is no whole number from 0 on, or no item reaches it.

    Examples
    --------
    >>> well_known(np.array([0, 7, 3]), 3).tolist()
    [False, True, True]
    """
    kept: Mask = counts >= whole_number("least_interactions", least, 0)
    if not kept.any():
        raise InputError(
            f"least_interactions is {least}, and no item has more than {counts.max()} training interactions; lower it."
        )
    return kept


def unlikely_items(consume: Array, candidates: Mask, unlikely: float = UNLIKELY) -> Mask:
    r"""Mark of every user's candidates the share `unlikely` with the least :math:`P(j\mid i)`, rounded up.

    Of equals the first are taken.

    Parameters
    ----------
    consume : float64 array (user, item)
        P(consume).
    candidates : bool array (user, item)
        Items to choose from, such as those that the user has not seen.
    unlikely : float
        A share above 0 and at most 1.

    Raises
    ------
    InputError
        If `unlikely` is out of its range.

    Examples
    --------
    >>> unlikely_items(np.array([[0.4, 0.3, 0.2, 0.1]]), np.array([[True, True, True, False]])).tolist()
    [[False, True, True, False]]
    """
    if not 0 < real_number("unlikely", unlikely) <= 1:
        raise InputError(f"unlikely is {unlikely}; expected a share above 0 and at most 1.")
    count = np.ceil(unlikely * candidates.sum(axis=1)).astype(np.int64)
    order = np.argsort(np.where(candidates, consume, np.inf), axis=1, kind="stable")
    marked = np.zeros(candidates.shape, dtype=bool)
    np.put_along_axis(marked, order, np.arange(candidates.shape[1]) < count[:, None], axis=1)
    return marked


def rank_gems(consume: Array, high: Array, candidates: Codes, k: int, unlikely: float = UNLIKELY) -> Codes:
    r"""Return items that the user would hardly find but would like: the best k of the unlikely.

    Of the candidates, the share `unlikely` with the least :math:`P(j\mid i)` is kept (rounded up); these are
    ordered by :math:`P(\text{high level}\mid i,j)`, the greatest first, ties by the order of the items.

    Parameters
    ----------
    consume, high : float64 arrays (item,)
        P(consume) and P(high level | consumed) of one user.
    candidates : int64 array
        Items to choose from: those that the user has not seen.
    k : int
        How many items at most.
    unlikely : float
        Share of the candidates that counts as unlikely, above 0 and at most 1.

    Raises
    ------
    InputError
        If `k` is below 1 or `unlikely` out of its range.

    Examples
    --------
    >>> consume, high = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.9, 0.8, 0.1, 0.6])
    >>> rank_gems(consume, high, np.arange(4), k=1).tolist()
    [3]
    """
    k = whole_number("k", k, 1)
    among = np.zeros((1, len(consume)), dtype=bool)
    among[0, candidates] = True
    kept = np.flatnonzero(unlikely_items(consume[None], among, unlikely))
    best: Codes = kept[np.argsort(-high[kept], kind="stable")[:k]]
    return best
