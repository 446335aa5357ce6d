"""How interactions are divided: nothing is lost, nobody is left without training, nothing leaks."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec import InputError, Interactions, Part
from conv4rec_experiments.comparison.protocol import comparison_split, eligible, without_held_out
from conv4rec_experiments.comparison.systems import Task
from toy_ratings import toy_ratings


@st.composite
def data(draw) -> Interactions:
    counts = draw(st.lists(st.integers(1, 9), min_size=1, max_size=8).filter(lambda found: sum(found) >= 10))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    frame = {
        "user": np.repeat(np.arange(len(counts)), counts),
        "item": np.concatenate([rng.choice(12, count, replace=False) for count in counts]),
    }
    frame["rating"] = rng.integers(1, 4, len(frame["user"]))
    return Interactions.from_frame(pl.DataFrame(frame))


def pairs(part: Interactions) -> set[tuple[int, int]]:
    return set(zip(part.user.tolist(), part.item.tolist(), strict=True))


@given(data(), st.integers(0, 50))
def test_parts_are_disjoint_complete_and_of_the_stated_sizes(interactions, seed) -> None:
    split = comparison_split(interactions, seed)
    training = Task(split, seed).training
    parts = [pairs(training), pairs(split.validation), pairs(split.held_out)]
    assert sum(map(len, parts)) == len(interactions)
    assert set.union(*parts) == pairs(interactions)
    assert set(training.user.tolist()) == set(range(interactions.n_users))
    # What is given back comes on top: at most one interaction for each user.
    extra = len(training) - round(0.8 * len(interactions))
    assert 0 <= extra < interactions.n_users
    assert abs(len(split.profile) - len(split.scored)) <= 1


@given(data(), st.integers(0, 50))
def test_only_users_without_training_get_one_back(interactions, seed) -> None:
    split = comparison_split(interactions, seed)
    order = np.random.default_rng(seed).permutation(len(interactions))
    cut = np.zeros(len(interactions), dtype=bool)
    cut[order[: round(0.8 * len(interactions))]] = True
    training = np.isin(split.part, [Part.PROFILE, Part.SCORED])
    back = np.flatnonzero(training & ~cut)
    assert not (cut & ~training).any()
    assert len(set(interactions.user[back].tolist())) == len(back)
    assert not np.isin(interactions.user[back], interactions.user[cut]).any()


@given(data(), st.integers(0, 50))
def test_tuning_never_sees_what_is_held_out(interactions, seed) -> None:
    split = comparison_split(interactions, seed)
    inner = without_held_out(split)
    assert pairs(inner.held_out) == pairs(split.validation)
    assert not pairs(inner.interactions) & pairs(split.held_out)
    assert pairs(Task(inner, seed).training) == pairs(Task(split, seed).training)


def test_a_seed_is_a_split_and_the_split_claims_no_permutation() -> None:
    interactions = toy_ratings()
    first, again, other = (comparison_split(interactions, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.part, again.part)
    assert not np.array_equal(first.part, other.part)
    assert first.protocol == "period"


@given(data(), st.integers(1, 6))
def test_users_with_enough_interactions_stay_whole(interactions, least) -> None:
    counts = np.bincount(interactions.user)
    if counts.max() < least:
        with pytest.raises(InputError, match="no user has"):
            eligible(interactions, least)
        return
    kept = eligible(interactions, least)
    wanted = interactions.frame().filter(pl.len().over("user") >= least)
    assert kept.frame().sort("user", "item").equals(wanted.sort("user", "item"))
    assert set(kept.item.tolist()) == set(range(kept.n_items))


def test_repeats_few_interactions_and_seeds_below_zero_are_refused() -> None:
    frame = pl.DataFrame({"user": [1] * 12, "item": [3] * 12})
    with pytest.raises(InputError, match="meet more than once"):
        eligible(Interactions.from_frame(frame, duplicates="keep"))
    few = Interactions.from_frame(pl.DataFrame({"user": [1, 1, 1], "item": [1, 2, 3]}))
    with pytest.raises(InputError, match="too few"):
        comparison_split(few, 0)
    with pytest.raises(InputError, match="seed is -1"):
        comparison_split(toy_ratings(), -1)
