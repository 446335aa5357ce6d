"""Who is learned well: total variation by user activity and by item popularity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_experiments.studies.measures import Comparison
from conv4rec_experiments.truths.truth import Counts

__all__ = ["Group", "activity_groups", "popularity_groups"]

Array = NDArray[np.float64]

GROUPS_MADE = 5


@dataclass(frozen=True)
class Group:
    """Users or items of like activity or popularity, and the total variation within.

    The fields are columns of `conv4rec_experiments.studies.tables.GROUPS`.
    """

    group: int
    share: float
    members: int
    tv: float | None


def activity_groups(comparison: Comparison, pi: Array, counts: Counts) -> list[Group]:
    r"""Total variation by user activity: five groups of equally many users, the least active first.

    Users are ordered by the truth's marginal ``pi``, then by their interactions in the sample, then by number; fewer
    than five users are a group each. A group's value is ``sum_i w_i TV_i / sum_i w_i`` under the sample's user mix.

    Parameters
    ----------
    pi
        The truth's user marginal, shape (user,).
    counts
        Interactions of every user in the sample, shape (user,).
    """
    mix, tv = counts / counts.sum(), comparison.tv
    found = []
    for group, members in enumerate(np.array_split(np.lexsort((counts, pi)), min(GROUPS_MADE, len(pi)))):
        weight = float(mix[members].sum())
        value = float((mix * tv)[members].sum()) / weight if weight > 0 else None
        found.append(Group(group, float(pi[members].sum()), len(members), value))
    return found


def popularity_groups(comparison: Comparison, pi: Array, counts: Counts) -> list[Group]:
    r"""Total variation by item popularity: five groups of equally many items, the least popular first.

    Items are ordered by the truth's mass under ``pi``, then by number. A group's value is
    ``sum_i w_i sum_j |Q - P| / 2`` over its cells, divided by the truth's mass of the group, both under the sample's
    user mix; it exceeds 1 where the estimate has far too much mass. Parameters as in `activity_groups`.
    """
    mix = counts / counts.sum()
    popularity = (pi[:, None] * comparison.item_mass).sum(axis=0)
    mass = (mix[:, None] * comparison.item_mass).sum(axis=0)
    tv = (mix[:, None] * comparison.item_tv).sum(axis=0)
    found = []
    order = np.argsort(popularity, kind="stable")
    for group, members in enumerate(np.array_split(order, min(GROUPS_MADE, len(popularity)))):
        weight = float(mass[members].sum())
        value = float(tv[members].sum()) / weight if weight > 0 else None
        found.append(Group(group, float(popularity[members].sum()), len(members), value))
    return found
