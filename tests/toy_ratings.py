"""Ratings with structure: two kinds of users, two kinds of items, half-star levels, no pair twice."""

import numpy as np
import polars as pl

from conv4rec import Interactions

LEVELS = (0.5, 1.5, 2.5, 3.5, 4.5)


def toy_ratings(users: int = 60, items: int = 60, each: int = 14, seed: int = 0, rated: bool = True) -> Interactions:
    """Users of a kind consume items of the same kind and like them, but for every third one, which nobody likes."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = np.arange(items) % 2 == user % 2
        law = np.where(own, 10.0, 1.0) / (4 + np.arange(items) // 4)
        for item in rng.choice(items, each, replace=False, p=law / law.sum()):
            liked = own[item] and item % 3
            level = rng.choice(5, p=[0.05, 0.05, 0.1, 0.4, 0.4] if liked else [0.4, 0.3, 0.2, 0.05, 0.05])
            rows.append((user + 100, f"item {item:02}", LEVELS[level]))
    frame = pl.DataFrame(rows, ["user", "item", "rating"], orient="row")
    return Interactions.from_frame(frame if rated else frame.drop("rating"))
