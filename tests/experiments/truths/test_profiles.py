"""Profiles drawn from the users' own laws."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_experiments.truths.profiles import profiles_from_law
from conv4rec_experiments.truths.sizes import Sizes


@given(seed=st.integers(0, 10_000), held=st.integers(1, 5), empty=st.floats(0, 0.8))
def test_profiles_hold_items_once_and_only_what_the_law_has(seed: int, held: int, empty: float) -> None:
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.ones(15), 7) * (rng.random((7, 15)) >= empty)
    law[:, 0] += 0.01
    law /= law.sum(axis=1, keepdims=True)
    profiles = profiles_from_law(rng, law, Sizes(7, 5, 3, 1, 1, profile_items=held))
    consumed = (law.reshape(7, 5, 3).sum(axis=2) > 0).sum(axis=1)
    assert (profiles.sum(axis=2) <= 1).all()
    assert np.array_equal(profiles.sum(axis=(1, 2)), np.minimum(held, consumed))
    assert (law.reshape(7, 5, 3)[profiles == 1] > 0).all()


def test_one_item_is_drawn_from_the_law_itself() -> None:
    users = 40_000
    row = np.array([0.05, 0.15, 0.3, 0.1, 0.0, 0.4])
    sizes = Sizes(users, 3, 2, 1, 1, profile_items=1)
    profiles = profiles_from_law(np.random.default_rng(0), np.tile(row, (users, 1)), sizes)
    shares = profiles.reshape(users, 6).mean(axis=0)
    assert np.abs(shares - row).max() < 5 * 0.5 / np.sqrt(users)


def test_two_items_are_drawn_one_after_the_other_without_replacement() -> None:
    users = 40_000
    row = np.array([0.6, 0.3, 0.1])
    sizes = Sizes(users, 3, 1, 1, 1, profile_items=2)
    profiles = profiles_from_law(np.random.default_rng(1), np.tile(row, (users, 1)), sizes)
    left_out = 1 - profiles.reshape(users, 3).mean(axis=0)
    expected = [0.3 * 0.1 / 0.7 + 0.1 * 0.3 / 0.9, 0.6 * 0.1 / 0.4 + 0.1 * 0.6 / 0.9, 0.6 * 0.3 / 0.4 + 0.3 * 0.6 / 0.7]
    assert np.abs(left_out - expected).max() < 5 * 0.5 / np.sqrt(users)
