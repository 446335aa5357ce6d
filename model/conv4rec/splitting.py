r"""Ways to split interactions, each by one protocol.

A statement about the sampling distribution needs, given the users and the profiles, independent scored interactions.
Each split below satisfies one protocol under which this holds, and says under which assumption (`Split.statement`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from conv4rec.arguments import whole_number
from conv4rec.coin import MAX_SEED, tails
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.splits import Part, Split

__all__ = ["split_by_coin", "split_by_interaction", "split_by_time", "split_from_parts"]


def split_by_coin(
    interactions: Interactions, shares: Sequence[float] = (0.5, 0.3, 0.1, 0.1), *, seed: int = 0
) -> Split:
    r"""Toss a coin for every user and item; interactions with items whose coin says so are the profile.

    The coin :math:`b_{ij} \sim \mathrm{Bernoulli}(\text{profile share})` is tossed for *every* pair, observed or not,
    by a counter-based generator (SplitMix64: Steele, Lea and Flood, 2014) keyed by the seed and the user's code: the
    profile is independent of the rest of the data given the user, and no table of users by items is ever stored. The
    other interactions are divided at random, and the softmax leaves the items of the profile out (`Split.item_mask`).

    Parameters
    ----------
    interactions : Interactions
    shares : four floats
        Of profile (the coin's probability), scored, validation, held out; they sum to 1.
    seed : int

    Raises
    ------
    InputError
        The shares or the seed cannot be used, or no interaction would be scored.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": [1, 1, 1, 1, 2, 2, 2, 2], "item": [1, 2, 3, 4, 1, 2, 3, 4]})
    >>> split = split_by_coin(Interactions.from_frame(frame), seed=1)
    >>> bool(split.item_mask([0, 1])[split.profile.user, split.profile.item].all())
    True
    >>> bool(split.item_mask([0, 1])[split.scored.user, split.scored.item].any())
    False
    """
    checked, rng = _checked_shares(shares), _generator(seed)
    profile = tails(seed, interactions.user, interactions.item, checked[0])
    part = np.full(len(interactions), Part.PROFILE, dtype=np.int8)
    rest = np.flatnonzero(~profile)
    if rest.size and checked[0] < 1:
        part[rng.permutation(rest)] = _cut(len(rest), np.concatenate(([0.0], checked[1:] / checked[1:].sum())))
    return Split(interactions, part, "coin", seed, float(checked[0]))


def split_by_interaction(
    interactions: Interactions, shares: Sequence[float] = (0.5, 0.3, 0.1, 0.1), *, seed: int = 0
) -> Split:
    """Cut a random permutation of all interactions; the softmax runs over all items.

    Parameters
    ----------
    interactions : Interactions
    shares : four floats
        Of profile, scored, validation, held out; they sum to 1 and hold up to rounding.
    seed : int

    Raises
    ------
    InputError
        The shares or the seed cannot be used, or no interaction would be scored.
    """
    checked, rng = _checked_shares(shares), _generator(seed)
    part = np.empty(len(interactions), dtype=np.int8)
    part[rng.permutation(len(interactions))] = _cut(len(interactions), checked)
    return Split(interactions, part, "interaction", seed)


def split_by_time(interactions: Interactions, shares: Sequence[float] = (0.5, 0.3, 0.1, 0.1)) -> Split:
    """Cut time at three dates, the same for all users: profile, scored, validation, held out follow one another.

    The dates are those between distinct times that come nearest to the shares, so that interactions at the same time
    are in the same part. Nothing is random, so there is no seed.

    Parameters
    ----------
    interactions : Interactions
        With times.
    shares : four floats
        Of profile, scored, validation, held out; they sum to 1.

    Raises
    ------
    InputError
        There are no times, the shares cannot be used, or no interaction would be scored.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "time": [4, 3, 1, 2]})
    >>> split_by_time(Interactions.from_frame(frame), (0.5, 0.25, 0.0, 0.25)).part.tolist()
    [3, 1, 0, 0]
    """
    checked = _checked_shares(shares)
    if interactions.time is None:
        raise InputError("the interactions have no times; name their column with time=, or split another way.")
    _, moment, sizes = np.unique(interactions.time, return_inverse=True, return_counts=True)
    before = np.concatenate(([0], np.cumsum(sizes)))
    wanted = np.cumsum(checked)[:-1] * len(interactions)
    cuts = np.abs(before[None, :] - wanted[:, None]).argmin(axis=1)
    return Split(interactions, np.searchsorted(cuts, moment, side="right").astype(np.int8), "time")


def split_from_parts(
    profile: Interactions, scored: Interactions, validation: Interactions, held_out: Interactions
) -> Split:
    """Take parts that were recorded or drawn apart from each other; repeats within and between them are allowed.

    Raises
    ------
    InputError
        The parts do not share identifiers and levels, some have times and others not, or no interaction is scored.

    Examples
    --------
    >>> import polars as pl
    >>> draws = Interactions.from_frame(pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1]}))
    >>> split_from_parts(draws.subset([0]), draws.subset([1, 2, 2]), draws.subset([]), draws.subset([0])).counts()
    {'profile': 1, 'scored': 3, 'validation': 0, 'held_out': 1}
    """
    parts = (profile, scored, validation, held_out)
    for part, given in zip(Part, parts, strict=True):
        same = given.user_ids.equals(profile.user_ids) and given.item_ids.equals(profile.item_ids)
        if not same or given.levels != profile.levels:
            raise InputError(
                f"the {part.name.lower()} part has other users, items or levels than the profile, expected the same; "
                "read all parts together and use subset()."
            )
    filled = [part for part in parts if len(part)]
    times = [part.time for part in filled if part.time is not None]
    if times and len(times) < len(filled):
        raise InputError("some parts have times and others not, expected all or none; add the times or drop them.")
    together = Interactions(
        user=np.concatenate([part.user for part in parts]),
        item=np.concatenate([part.item for part in parts]),
        level=np.concatenate([part.level for part in parts]),
        time=np.concatenate(times) if times else None,
        user_ids=profile.user_ids,
        item_ids=profile.item_ids,
        levels=profile.levels,
        merged=sum(part.merged for part in parts),
    )
    return Split(together, np.repeat(np.array(Part, dtype=np.int8), [len(part) for part in parts]), "period")


def _checked_shares(shares: Sequence[float]) -> npt.NDArray[np.float64]:
    try:
        checked = np.asarray(shares, dtype=np.float64)
    except (TypeError, ValueError):
        checked = np.zeros(0)
    if checked.shape != (len(Part),) or not (checked >= 0).all() or not abs(checked.sum() - 1) < 1e-9:
        raise InputError(
            f"shares {shares} must be four numbers, none negative, that sum to 1 (profile, scored, validation, "
            "held out); correct them."
        )
    return checked


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(whole_number("seed", seed, 0, MAX_SEED))


def _cut(count: int, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Parts of ``count`` places in a row, in proportion to the shares up to rounding."""
    ends = np.rint(np.cumsum(shares) * count).astype(np.int64)
    return np.repeat(np.array(Part, dtype=np.int8), np.diff(ends, prepend=0))
