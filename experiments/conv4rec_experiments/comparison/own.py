"""Conv4Rec behind the interface of the comparison: one fit does everything."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from conv4rec import Conv4Rec
from conv4rec_experiments.comparison.systems import Fitted, Options, Task

if TYPE_CHECKING:
    from conv4rec.predictions import ProfileKind

__all__ = ["OWN", "PROFILE", "complete", "fit_conv4rec", "fitted_conv4rec"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

OWN = "Conv4Rec"
"""Its name in tables."""

PROFILE: Final[ProfileKind] = "training"
"""What the encoder reads: the training part."""


@dataclass(frozen=True)
class OneModel:
    """A trained model, asked by codes."""

    model: Conv4Rec

    def scores(self, users: Codes) -> Array:
        """Return log P(consume), shape (user, item)."""
        ids = self.model.interactions.user_ids.gather(users)
        return np.log(np.maximum(self.model.consumption(ids, profile=PROFILE), np.finfo(np.float64).tiny))

    def level_probabilities(self, user: Codes, item: Codes) -> Array:
        """Return P(level | consumed) of pairs, shape (pair, level)."""
        data = self.model.interactions
        return self.model.levels(data.user_ids.gather(user), data.item_ids.gather(item), profile=PROFILE)

    def expected_levels(self, user: Codes, item: Codes) -> Array:
        """Return the expected level of pairs, shape (pair,)."""
        expected: Array = self.level_probabilities(user, item) @ self.model.interactions.level_values
        return expected


def fitted_conv4rec(model: Conv4Rec) -> Fitted:
    """Put a trained model behind the interface; P(consume) is its own, renormalised over the items that are shown."""
    one = OneModel(model)
    return Fitted(ranker=one, temperature=1.0, rater=one, levels=one)


def complete(options: Options) -> dict[str, Any]:
    """Return all arguments of `conv4rec.Conv4Rec` but the seed: those given, and the defaults.

    Examples
    --------
    >>> found = complete({"code": 7})
    >>> found["code"], found["redraw"], "seed" in found
    (7, True, False)
    """
    defaults = {name: each.default for name, each in signature(Conv4Rec).parameters.items() if name != "seed"}
    return defaults | dict(options)


def fit_conv4rec(task: Task, options: Options) -> Fitted:
    """Train on the training part, whose profile and scored parts are drawn anew in every epoch unless said otherwise.

    Options: arguments of `conv4rec.Conv4Rec`; the seed is the task's.
    """
    model = Conv4Rec(**complete(options), seed=task.seed)
    return fitted_conv4rec(model.fit(task.split.interactions, task.split, progress=False))
