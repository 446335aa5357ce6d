"""From codes to the places that a library gives to users and items, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from conv4rec_experiments.comparison.systems import Task

__all__ = ["dataset", "expanded"]

Array = NDArray[np.float64]


def dataset(task: Task) -> Any:
    """Give the training part as cornac's ``Dataset``, with its levels as ratings."""
    from cornac.data import Dataset

    part = task.training
    rows = zip(part.user.tolist(), part.item.tolist(), task.ratings.tolist(), strict=True)
    return Dataset.from_uir(list(rows), seed=task.seed)


def expanded(place: Mapping[int, int], values: Any, size: int) -> Array:
    """Put rows that a library keeps in an order of its own at their codes; what it never saw is 0.

    Examples
    --------
    >>> expanded({7: 0, 2: 1}, np.array([0.5, 0.25]), size=8).tolist()
    [0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.5]
    """
    found = np.asarray(values, dtype=np.float64)
    table = np.zeros((size, *found.shape[1:]))
    table[np.fromiter(place.keys(), dtype=np.int64)] = found[np.fromiter(place.values(), dtype=np.int64)]
    return table
