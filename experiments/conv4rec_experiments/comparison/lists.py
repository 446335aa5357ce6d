"""Ranked lists and what they are worth: NDCG and recall of every user, computed by trec_eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CUTOFFS", "DEPTH", "list_scores", "top_items"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

DEPTH = 100
"""How many items of a list count for NDCG."""

CUTOFFS = (20, 50)
"""How many count for recall."""


def top_items(scores: Array, shown: Mask, wanted: Mask, depth: int = DEPTH) -> list[Codes]:
    """List the best items of every user among those that are shown, the best first.

    Where scores are equal the items that are wanted come last: a system earns nothing by not telling items apart.

    Parameters
    ----------
    scores : float64 array (user, item)
        Greater is better; -inf is allowed, NaN is not.
    shown, wanted : bool arrays (user, item)
        Items that may stand in the list, and those that ought to.
    depth : int
        Length of the lists, where so many items are shown.

    Examples
    --------
    >>> scores, shown = np.array([[0.2, 0.5, 0.2, 0.9]]), np.array([[True, True, True, False]])
    >>> [items.tolist() for items in top_items(scores, shown, np.array([[True, False, False, False]]))]
    [[1, 2, 0]]
    """
    lists = []
    for values, allowed, relevant in zip(scores, shown, wanted, strict=True):
        items = np.flatnonzero(allowed)
        if len(items) > depth:
            # All that might be among the best, ties of the last one included.
            least = np.partition(values[items], len(items) - depth)[len(items) - depth]
            items = items[values[items] >= least]
        order = np.lexsort([relevant[items], -values[items]])
        lists.append(items[order[:depth]])
    return lists


def list_scores(lists: Sequence[Codes], relevant: Sequence[Codes]) -> Mapping[str, Array]:
    r"""Score every user's list against his relevant items; NaN for a user who has none.

    .. math:: \mathrm{Recall@}K = \frac{|\text{relevant}\cap\text{first } K|}{\min(K, |\text{relevant}|)},\qquad
              \mathrm{NDCG@}100 = \frac{\sum_{k\le100}[\text{item } k \text{ is relevant}]/\log_2(1+k)}
              {\sum_{k\le\min(100, |\text{relevant}|)} 1/\log_2(1+k)}

    trec_eval (through pytrec_eval) counts the hits and computes NDCG.

    Parameters
    ----------
    lists, relevant : sequences of int64 arrays, one for each user
        Items in their order, and relevant items.

    Returns
    -------
    dict of float64 arrays (user,)
        ``NDCG@100``, ``Recall@20``, ``Recall@50``.

    Examples
    --------
    >>> scores = list_scores([np.array([5, 2, 7]), np.array([1])], [np.array([2, 9]), np.array([], dtype=int)])
    >>> {name: values.round(4).tolist() for name, values in scores.items()}
    {'NDCG@100': [0.3869, nan], 'Recall@20': [0.5, nan], 'Recall@50': [0.5, nan]}
    """
    from pytrec_eval import RelevanceEvaluator

    wanted = {str(user): {str(item): 1 for item in items} for user, items in enumerate(relevant) if len(items)}
    # trec_eval sorts by score, so the places themselves are the scores.
    shown = {
        user: {str(item): float(-place) for place, item in enumerate(lists[int(user)].tolist())} for user in wanted
    }
    measures = {f"ndcg_cut.{DEPTH}", f"P.{','.join(map(str, CUTOFFS))}"}
    found = RelevanceEvaluator(wanted, measures).evaluate(shown)
    names = ["NDCG@100", *(f"Recall@{cutoff}" for cutoff in CUTOFFS)]
    scores = {name: np.full(len(lists), np.nan) for name in names}
    for user, values in found.items():
        place = int(user)
        scores["NDCG@100"][place] = values[f"ndcg_cut_{DEPTH}"]
        for cutoff in CUTOFFS:
            hits = round(values[f"P_{cutoff}"] * cutoff)
            scores[f"Recall@{cutoff}"][place] = hits / min(cutoff, len(relevant[place]))
    return scores
