"""Groups of users and items: who is in them, and that they add up to the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_experiments.studies.groups import activity_groups, popularity_groups
from conv4rec_experiments.studies.measures import Comparison

SLACK = 1e-12


def logs(law: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(law)


@given(users=st.integers(1, 12), items=st.integers(1, 12), levels=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_groups_add_up_to_the_whole(users: int, items: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, estimate = (rng.dirichlet(np.full(items * levels, 0.3), size=users) for _ in range(2))
    empty = rng.integers(items)
    truth.reshape(users, items, levels)[:, empty] = 0
    truth = truth + (truth.sum(axis=1, keepdims=True) == 0)
    truth = truth / truth.sum(axis=1, keepdims=True)
    candidates = np.ones((users, items), dtype=bool)
    pi, counts = rng.dirichlet(np.ones(users)), rng.integers(0, 3, size=users)
    counts[rng.integers(users)] += 1
    comparison = Comparison.of(truth, logs(estimate), candidates)
    mix = counts / counts.sum()
    activity = activity_groups(comparison, pi, counts)
    if users % 5 == 0 or users < 5:
        assert [group.share for group in activity] == sorted(group.share for group in activity)
    order, begin, total = np.lexsort((counts, pi)), 0, 0.0
    for group in activity:
        members = order[begin : begin + group.members]
        begin += group.members
        weight = mix[members].sum()
        assert (group.tv is None) == (weight == 0)
        total += 0 if group.tv is None else weight * group.tv
    assert (begin, total) == (users, pytest.approx(comparison.mean(mix).tv, abs=SLACK))

    popularity = popularity_groups(comparison, pi, counts)
    mass = truth.reshape(users, items, -1).sum(axis=2)
    order, begin, total = np.argsort(pi @ mass, kind="stable"), 0, 0.0
    for group in popularity:
        members = order[begin : begin + group.members]
        begin += group.members
        weight = (mix @ mass)[members].sum()
        missed = mix @ np.abs(truth - estimate).reshape(users, items, -1).sum(axis=2)[:, members].sum(axis=1) / 2
        assert (group.tv is None) == (weight == 0)
        total += missed if group.tv is None else weight * group.tv
        assert group.share == pytest.approx((pi @ mass)[members].sum(), abs=SLACK)
    assert (begin, total) == (items, pytest.approx(comparison.mean(mix).tv, abs=SLACK))
    for groups in (activity, popularity):
        assert sum(group.share for group in groups) == pytest.approx(1)
        assert [group.group for group in groups] == list(range(len(groups)))
        assert max(group.members for group in groups) - min(group.members for group in groups) <= 1


def test_equally_active_users_are_grouped_by_what_the_sample_has_of_them() -> None:
    truth = np.tile([0.5, 0.5], (5, 1))
    estimate = np.array([[0.5 + e, 0.5 - e] for e in (0.1, 0.2, 0.3, 0.4, 0.0)])
    comparison = Comparison.of(truth, logs(estimate), np.ones((5, 2), dtype=bool))
    groups = activity_groups(comparison, np.full(5, 0.2), np.array([5, 4, 3, 0, 1]))
    assert [group.tv for group in groups] == [None, *(pytest.approx(tv) for tv in (0.0, 0.3, 0.2, 0.1))]
    groups = activity_groups(comparison, np.array([0.3, 0.1, 0.1, 0.1, 0.4]), np.full(5, 2))
    assert [group.tv for group in groups] == [pytest.approx(tv) for tv in (0.2, 0.3, 0.4, 0.1, 0.0)]
