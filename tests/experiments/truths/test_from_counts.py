"""Truths made of a user's own interactions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec_experiments.truths import TRUTHS, truth_from_counts, truth_from_interactions

ROWS = {
    "user": ["ann", "ann", "bo", "bo", "bo", "cy"],
    "item": [1, 2, 1, 3, 3, 2],
    "rating": [5.0, 3.0, 4.0, 5.0, 3.0, 4.0],
}


@given(
    table=arrays(np.int64, (4, 3, 2), elements=st.integers(0, 30)),
    share=st.floats(0.05, 0.95),
    smoothing=st.floats(0.01, 100),
    seed=st.integers(0, 1_000),
)
def test_law_profile_and_marginal_are_as_defined(table: np.ndarray, share: float, smoothing: float, seed: int) -> None:
    table[:, 0, 0] += 1
    truth = truth_from_counts(table, seed, profile_share=share, smoothing=smoothing)
    flat = table.reshape(4, 6)
    popularity = flat.sum(axis=0) / flat.sum()
    taken = np.random.default_rng(seed).binomial(flat, share)
    rest = flat - taken
    for user in range(4):
        expected = (rest[user] + smoothing * popularity) / (rest[user].sum() + smoothing)
        np.testing.assert_allclose(truth.law[user], expected, rtol=1e-12)
    assert np.array_equal(truth.profiles.reshape(4, 6) == 1, taken > 0)
    np.testing.assert_allclose(truth.pi, flat.sum(axis=1) / flat.sum())
    assert ((truth.law == 0) == (popularity == 0)).all()


def test_the_coin_sends_the_stated_share_to_the_profile() -> None:
    table = np.ones((50, 40, 5), dtype=np.int64)
    kept = truth_from_counts(table, profile_share=0.2).profiles.mean()
    assert kept == pytest.approx(0.2, abs=5 * 0.4 / 100)


def test_little_smoothing_gives_the_users_shares_and_much_the_popularity() -> None:
    table = np.random.default_rng(0).integers(1, 1_000, (5, 4, 3)) * 10**9
    own = table.reshape(5, 12) / table.sum(axis=(1, 2))[:, None]
    popularity = table.sum(axis=0).reshape(12) / table.sum()
    np.testing.assert_allclose(truth_from_counts(table, smoothing=1e-3).law, own, rtol=1e-3)
    np.testing.assert_allclose(truth_from_counts(table // 10**9, smoothing=9e8).law[0], popularity, rtol=1e-3)


def test_a_file_interactions_and_counts_make_the_same_truth(tmp_path: Path) -> None:
    frame = pl.DataFrame(ROWS)
    path = tmp_path / "ratings.csv"
    frame.write_csv(path)
    table = np.zeros((3, 3, 3), dtype=np.int64)
    for user, item, level in [(0, 0, 2), (0, 1, 0), (1, 0, 1), (1, 2, 2), (1, 2, 0), (2, 1, 1)]:
        table[user, item, level] = 1
    by_hand = truth_from_counts(table, 7, smoothing=2.0, code=1)
    data = Interactions.from_frame(frame, duplicates="keep")
    for truth in (
        truth_from_interactions(data, 7, smoothing=2.0, code=1),
        TRUTHS["from_counts"](7, path=str(path), reading={"duplicates": "keep"}, smoothing=2.0, code=1),
    ):
        assert np.array_equal(truth.law, by_hand.law)
        assert np.array_equal(truth.profiles, by_hand.profiles)
        assert (truth.name, truth.code) == ("from_counts", 1)
    merged = TRUTHS["from_counts"](7, path=path, name="mine")
    assert merged.pi == pytest.approx([2 / 5, 2 / 5, 1 / 5])
    assert merged.name == "mine"


def with_known(users: int, items: int) -> Interactions:
    """Make interactions of the first three of so many known users and items."""
    data = Interactions.from_frame(pl.DataFrame(ROWS))
    ids = (pl.Series(np.arange(number)) for number in (users, items))
    return Interactions(data.user, data.item, data.level, None, *ids, data.levels)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: truth_from_counts(np.ones((2, 3), dtype=np.int64)), "of shape"),
        (lambda: truth_from_counts(np.ones((2, 3, 1))), "whole numbers"),
        (lambda: truth_from_counts(-np.ones((2, 3, 1), dtype=np.int64)), "whole numbers"),
        (lambda: truth_from_counts(np.array([[[1], [2]], [[0], [0]]])), "1 of 2 users have no interaction.*user 1"),
        (lambda: truth_from_counts(np.ones((2, 1, 1), dtype=np.int64)), "at least two cells"),
        (lambda: truth_from_counts(np.ones((2, 3, 1), dtype=np.int64), profile_share=0.0), "share of the profile"),
        (lambda: truth_from_counts(np.ones((2, 3, 1), dtype=np.int64), smoothing=0.0), "smoothing"),
        (lambda: truth_from_interactions(with_known(4, 3)), "1 of 4 users have no interaction"),
        (lambda: truth_from_interactions(with_known(10**5, 10**4)), "memory"),
        (lambda: TRUTHS["from_counts"](0, path="no such file.csv"), "no such file"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
