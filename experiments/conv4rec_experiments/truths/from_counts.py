"""A table of interactions made into a truth: studies on users, items and levels as they occur."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec_experiments.truths.sizes import Sizes, between, generator
from conv4rec_experiments.truths.truth import Truth

__all__ = ["truth_from_counts", "truth_from_file", "truth_from_interactions"]


def truth_from_counts(
    counts: NDArray[np.integer[Any]],
    seed: int = 0,
    *,
    channels: int = 2,
    code: int = 2,
    profile_share: float = 0.5,
    smoothing: float = 5.0,
    name: str = "from_counts",
) -> Truth:
    r"""Make a truth of a table of counts of shape (user, item, level).

    A coin sends every interaction to the profile with probability ``profile_share``; a cell is in the profile if at
    least one of its interactions is. With ``r_iy`` what is left, ``r_i = sum_y r_iy`` and the popularity ``p_y``, the
    share of the cell among all interactions of all users,

        ``Q_i(y) = (r_iy + smoothing p_y) / (r_i + smoothing)``.

    The smoothing counts in interactions: a user with as many left is half his own and half popular. The user marginal
    is the share of each user among all interactions. Cells that nobody has are empty. The nearest network is unknown.

    Raises
    ------
    InputError
        If the counts are no table of whole numbers, not negative, of shape (user, item, level); a user has none; the
        share does not lie between 0 and 1 or the smoothing not between 0 and 1e9.

    Examples
    --------
    >>> truth = truth_from_counts(np.array([[[4], [0]], [[1], [3]]]), smoothing=4.0)
    >>> truth.pi.tolist(), truth.law.sum(axis=1).tolist(), bool((truth.law > 0).all())
    ([0.5, 0.5], [1.0, 1.0], True)
    """
    table = np.asarray(counts)
    if table.ndim != 3 or table.size == 0 or table.dtype.kind not in "iu" or (table < 0).any():
        raise InputError(
            f"Counts of shape {table.shape} and type {table.dtype} were given; expected whole numbers of at least 0 "
            "of shape (user, item, level)."
        )
    users, items, levels = table.shape
    sizes = Sizes(users, items, levels, channels, code, profile_items=1)
    between("share of the profile", profile_share, 0, 1)
    between("smoothing", smoothing, 0, 1e9)
    table = table.reshape(users, sizes.cells).astype(np.int64)
    totals = table.sum(axis=1)
    if (totals == 0).any():
        raise InputError(
            f"{int((totals == 0).sum())} of {users} users have no interaction, the first of them user "
            f"{int(np.argmax(totals == 0))}; a law cannot be made of none; leave these users out."
        )
    taken = generator(seed).binomial(table, profile_share)
    rest = table - taken
    popularity = table.sum(axis=0) / totals.sum()
    law = (rest + smoothing * popularity) / (rest.sum(axis=1, keepdims=True) + smoothing)
    return Truth(
        name=name,
        seed=seed,
        profiles=(taken > 0).astype(np.int64).reshape(users, items, levels),
        pi=totals / totals.sum(),
        law=law / law.sum(axis=1, keepdims=True),
        channels=channels,
        code=code,
    )


def truth_from_interactions(interactions: Interactions, seed: int = 0, **options: Any) -> Truth:
    """Make a truth of interactions as `truth_from_counts` does, with the same options; levels count 1 to R.

    Raises
    ------
    InputError
        If the table (user, item, level) has more than 1e8 cells, or for the reasons of `truth_from_counts`.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": ["ann", "bo", "bo"], "item": [7, 7, 8], "rating": [4.5, 3.0, 4.5]})
    >>> truth = truth_from_interactions(Interactions.from_frame(frame))
    >>> truth.users, truth.items, truth.levels
    (2, 2, 2)
    """
    shape = (interactions.n_users, interactions.n_items, interactions.n_levels)
    if min(shape) == 0 or len(interactions) == 0:
        raise InputError("There are no interactions; a truth needs at least one of every user; give a table with rows.")
    Sizes(*shape, channels=1, code=1, profile_items=1)
    cell = np.ravel_multi_index((interactions.user, interactions.item, interactions.level), shape)
    return truth_from_counts(np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape), seed, **options)


def truth_from_file(
    seed: int = 0,
    *,
    path: str | PathLike[str],
    reading: Mapping[str, Any] | None = None,
    channels: int = 2,
    code: int = 2,
    profile_share: float = 0.5,
    smoothing: float = 5.0,
    name: str = "from_counts",
) -> Truth:
    """Make a truth of a file of interactions as `truth_from_counts` does, with the same options.

    ``reading`` holds arguments of `conv4rec.reading.read` by keyword, such as ``{"duplicates": "keep"}``.

    Raises
    ------
    InputError
        If the file cannot be read as interactions, or for the reasons of `truth_from_interactions`.
    """
    from conv4rec.reading import read

    return truth_from_interactions(
        read(Path(path), **(reading or {})),
        seed,
        channels=channels,
        code=code,
        profile_share=profile_share,
        smoothing=smoothing,
        name=name,
    )
