"""Lists and their scores, against a second library and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_experiments.comparison.lists import list_scores, top_items

ITEMS = 130


@given(st.sets(st.integers(0, ITEMS - 1), min_size=1, max_size=60), st.integers(0, 99))
def test_scores_are_those_of_cornac(relevant, seed) -> None:
    from cornac.metrics import NDCG, Precision, Recall

    scores = np.random.default_rng(seed).permutation(ITEMS).astype(float)[None]
    wanted = np.zeros((1, ITEMS), dtype=bool)
    wanted[0, list(relevant)] = True
    found = list_scores(top_items(scores, np.ones_like(wanted), wanted), [np.array(sorted(relevant))])
    items, ranked = np.array(sorted(relevant)), np.argsort(-scores[0])
    assert found["NDCG@100"][0] == pytest.approx(NDCG(100).compute(items, ranked))
    for cutoff in (20, 50):
        by_relevant, by_k = (metric(cutoff).compute(gt_pos=items, pd_rank=ranked) for metric in (Recall, Precision))
        assert found[f"Recall@{cutoff}"][0] == pytest.approx(max(by_relevant, by_k))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_lists_hold_the_best_of_what_is_shown_and_ties_are_against_the_system(values, data) -> None:
    size = len(values)
    scores = np.array([values], dtype=float)
    masks = st.lists(st.booleans(), min_size=size, max_size=size).map(lambda row: np.array([row]))
    shown, wanted, depth = data.draw(masks), data.draw(masks), data.draw(st.integers(1, 12))
    (items,) = top_items(scores, shown, wanted, depth)
    assert len(items) == min(depth, shown.sum())
    assert shown[0, items].all()
    ordered = sorted(np.flatnonzero(shown[0]), key=lambda item: (-values[item], wanted[0, item]))
    keys = [(values[item], bool(wanted[0, item])) for item in items]
    assert keys == [(values[item], bool(wanted[0, item])) for item in ordered[:depth]]


def test_a_perfect_list_scores_one_and_a_user_without_relevant_items_none() -> None:
    found = list_scores([np.array([4, 2, 9]), np.array([1])], [np.array([2, 4]), np.array([], dtype=int)])
    assert [values[0] for values in found.values()] == [1, 1, 1]
    assert all(np.isnan(values[1]) for values in found.values())
