"""Exact values, under a known truth, of what a model is judged by: losses of both tasks, hits, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conv4rec_experiments.judging import EXPLICIT, IMPLICIT, LEVEL_ERROR, Judged
from conv4rec_experiments.ranking import Lists, ranks_in
from conv4rec_experiments.truths import user_mix

if TYPE_CHECKING:
    from conv4rec import Conv4Rec
    from conv4rec_experiments.truths import Truth

__all__ = ["expected_hits", "expected_losses", "expected_miscalibration", "judged_under_truth", "level_law"]

Array = NDArray[np.float64]


def level_law(law: Array) -> Array:
    """Return P(level | user, item), shape (user, item, level), of joint probabilities; uniform where none is.

    >>> level_law(np.array([[[0.2, 0.6], [0.0, 0.0]]])).round(2).tolist()
    [[[0.25, 0.75], [0.5, 0.5]]]
    """
    items = law.sum(axis=2, keepdims=True)
    levels: Array = np.divide(law, items, out=np.full_like(law, 1 / law.shape[2]), where=items > 0)
    return levels


def expected_losses(true: Array, law: Array, mix: Array, smoothing: float, values: Array) -> dict[str, float]:
    """Return the expected smoothed losses of both tasks and the expected error of the level.

    ``true`` and ``law`` are the true and the model's probabilities, shape (user, item, level), ``mix`` the weights of
    the users, ``values`` those of the levels.
    """
    weight = mix[:, None, None] * true
    items, levels = law.sum(axis=2), level_law(law)
    item_loss = -np.log((1 - smoothing) * items + smoothing / law.shape[1])
    found = {IMPLICIT: float((weight.sum(axis=2) * item_loss).sum())}
    if law.shape[2] == 1:
        return found
    level_loss = -np.log((1 - smoothing) * levels + smoothing / law.shape[2])
    error = np.abs(values - (levels @ values)[:, :, None])
    return {EXPLICIT: float((weight * level_loss).sum()), LEVEL_ERROR: float((weight * error).sum())} | found


def expected_hits(true: Array, law: Array, shown: NDArray[np.bool_], cutoff: int) -> float:
    """Return the mean over users of the probability that an interaction's item is among the first of the user's list.

    Lists hold the items that are shown, shape (user, item), by the model's probabilities; other shapes are those of
    `expected_losses`.
    """
    listed = ranks_in(law.sum(axis=2), shown) <= cutoff
    return float((true.sum(axis=2) * listed).sum(axis=1).mean())


def expected_miscalibration(true: Array, law: Array, mix: Array, chosen: NDArray[np.bool_], edges: Array) -> float:
    """Return the calibration error of the probability that the level is one of the chosen, on bins with these edges."""
    consumed = true.sum(axis=2)
    claimed = level_law(law)[:, :, chosen].sum(axis=2)
    gap = mix[:, None] * (true[:, :, chosen].sum(axis=2) - consumed * claimed)
    bins = np.searchsorted(edges, claimed, side="right")
    return float(np.abs(np.bincount(bins.ravel(), gap.ravel())).sum())


def judged_under_truth(
    model: Conv4Rec, judged: Judged, truth: Truth, law: Array, smoothing: float
) -> dict[str, dict[str, float]]:
    """Return, by theorem and name, the exact values of all that is known in closed form.

    ``law`` holds the model's probabilities, shape (user, cell).
    """
    shape = truth.users, truth.items, truth.levels
    true, table = truth.law.reshape(shape), law.reshape(shape)
    part, values = model.split.held_out, model.interactions.level_values
    mix = user_mix(np.bincount(part.user, minlength=truth.users)[:, None])
    users, cutoff = judged.ranked.users, judged.ranked.cutoffs.recall
    hits = expected_hits(true[users], table[users], Lists(model.split).shown(users), cutoff)
    found = {
        "T9-parts": expected_losses(true, table, mix, smoothing, values),
        "T9-users": {f"hit share@{cutoff}": hits},
    }
    if judged.events is not None:
        found["T9-calibration"] = {
            name: expected_miscalibration(true, table, mix, judged.levels[name], edges)
            for name, edges in judged.edges.items()
        }
    return found
