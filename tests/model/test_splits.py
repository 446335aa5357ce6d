"""Every split is disjoint, complete, reproducible and says what it satisfies; the coin never looks at the data."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chi2

from conv4rec.coin import splitmix64, tails
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.splits import Part, Split
from conv4rec.splitting import split_by_coin, split_by_interaction, split_by_time, split_from_parts

SHARES = (0.5, 0.3, 0.1, 0.1)
SPLITS = {"coin": split_by_coin, "interaction": split_by_interaction, "time": split_by_time}


def drawn(seed: int, size: int, users: int = 12, items: int = 15, repeats: bool = True) -> Interactions:
    """Random interactions over a fixed universe of users and items, with coarse times."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(users * items, size=size) if repeats else rng.permutation(users * items)[:size]
    return Interactions(
        pairs // items,
        pairs % items,
        rng.integers(3, size=size),
        rng.integers(size, size=size).astype(float),
        pl.Series([f"u{k}" for k in range(users)]),
        pl.Series(range(items)),
        (1.0, 2.0, 3.0),
    )


def in_parts(split: Split) -> dict[str, Interactions]:
    return {
        "profile": split.profile,
        "scored": split.scored,
        "validation": split.validation,
        "held_out": split.held_out,
    }


@pytest.mark.parametrize("name", SPLITS)
@given(seed=st.integers(0, 2**64 - 1), size=st.integers(40, 150), repeats=st.booleans())
def test_parts_are_disjoint_and_complete(name, seed, size, repeats):
    data = drawn(seed, size, repeats=repeats)
    split = SPLITS[name](data, **({} if name == "time" else {"seed": seed}))
    parts = in_parts(split)
    assert split.counts() == {part: len(rows) for part, rows in parts.items()}
    assert sum(split.counts().values()) == size
    together = pl.concat([rows.frame() for rows in parts.values()])
    assert together.sort(together.columns).equals(data.frame().sort(together.columns))
    for rows in parts.values():
        assert rows.user_ids is data.user_ids
        assert rows.levels == data.levels
    assert split.protocol == name
    assert split.masked == (name == "coin")
    assert "finite pool" in split.statement if not data.has_repeats else "finite pool" not in split.statement


@pytest.mark.parametrize("name", ["coin", "interaction"])
def test_seeds_decide(name):
    data = drawn(0, 150)
    parts = [SPLITS[name](data, seed=seed).part for seed in (3, 3, 4)]
    assert (parts[0] == parts[1]).all()
    assert (parts[0] != parts[2]).any()


@given(size=st.integers(4, 300), weights=st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(lambda w: w[1]))
def test_interactions_are_divided_as_the_shares_say(size, weights):
    shares = np.array(weights) / sum(weights)
    try:
        counts = split_by_interaction(drawn(1, size), tuple(shares), seed=1).counts()
    except InputError:
        assert shares[1] * size <= 1
    else:
        assert np.abs(np.array(list(counts.values())) - shares * size).max() <= 1


def test_every_interaction_is_equally_likely_to_be_scored():
    size, rounds = 40, 2000
    data = drawn(0, size)
    hits = sum((split_by_interaction(data, seed=seed).part == Part.SCORED).astype(int) for seed in range(rounds))
    # The sum of the hits is fixed, which costs one degree of freedom and correlates them by -1 / (size - 1).
    variance = rounds * 0.3 * 0.7 * size / (size - 1)
    assert ((hits - 0.3 * rounds) ** 2).sum() / variance < chi2.isf(1e-9, size - 1)


def test_coin_protocol_masks_exactly_the_profile_side():
    data = drawn(2, 150)
    split = split_by_coin(data, seed=9)
    outside = split.item_mask(np.arange(data.n_users))
    assert outside.shape == (data.n_users, data.n_items)
    assert ((split.part == Part.PROFILE) == outside[data.user, data.item]).all()
    assert (split.is_masked(split.scored) == outside[split.scored.user, split.scored.item]).all()
    assert split.is_masked(split.profile).all()
    assert not split_by_interaction(data).is_masked(data).any()
    some = [5, 0, 5]
    assert (split.item_mask(some) == outside[some]).all()
    assert split.item_mask([]).shape == (0, data.n_items)


@given(seed=st.integers(0, 2**64 - 1), first=st.integers(0, 100), second=st.integers(0, 100))
def test_coin_does_not_depend_on_the_data(seed, first, second):
    masks = [split_by_coin(drawn(data, 60 + data), seed=seed).item_mask(range(12)) for data in (first, second)]
    assert (masks[0] == masks[1]).all()


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.5, 0.9])
def test_coin_frequency_is_binomial(probability):
    users, items = np.arange(300)[:, None], np.arange(400)[None, :]
    for seed in range(5):
        coins = tails(seed, users, items, probability)
        for counts, trials in ((coins.sum(), coins.size), (coins.sum(axis=0), 300), (coins.sum(axis=1), 400)):
            assert np.min(binom.sf(np.asarray(counts) - 1, trials, probability)) > 1e-8
            assert np.min(binom.cdf(counts, trials, probability)) > 1e-8


def test_coins_of_users_items_and_seeds_are_unrelated():
    users, items = np.arange(300)[:, None], np.arange(400)[None, :]
    coins, other = tails(0, users, items, 0.5), tails(1, users, items, 0.5)
    pairs = [(coins, other), (coins[1:], coins[:-1]), (coins[:, 1:], coins[:, :-1]), (coins[:, :200], coins[:, 200:])]
    for left, right in [*pairs, (coins[1:, :-1], coins[:-1, 1:])]:
        assert 1e-8 < binom.cdf((left == right).sum(), left.size, 0.5) < 1 - 1e-8


def test_generator_is_the_published_one():
    # First outputs of the reference implementation of SplitMix64 started at 1234567.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert splitmix64(np.uint64(1234567), np.arange(4)).tolist() == published


@given(seed=st.integers(0, 1000), size=st.integers(40, 150))
def test_periods_follow_one_another_for_all_users(seed, size):
    data = drawn(seed, size)
    split = split_by_time(data)
    order = np.argsort(data.time)
    assert (np.diff(split.part[order]) >= 0).all()
    latest = {moment: set(split.part[data.time == moment]) for moment in data.time}
    assert all(len(parts) == 1 for parts in latest.values())
    most = np.unique(data.time, return_counts=True)[1].max()
    ends = np.cumsum(list(split.counts().values())) - np.cumsum(SHARES) * size
    assert np.abs(ends).max() <= most / 2 + 1e-9


def test_parts_may_repeat_each_other():
    draws = drawn(5, 60)
    split = split_from_parts(draws.subset([0, 1]), draws, draws.subset([2]), draws.subset([]))
    assert split.counts() == {"profile": 2, "scored": 60, "validation": 1, "held_out": 0}
    assert (split.protocol, split.masked, split.seed) == ("period", False, None)
    assert not split.item_mask([0, 11]).any()
    assert split.scored.frame().equals(draws.frame())
    assert "(a)" in split.statement


def test_statements_name_their_protocol():
    data = drawn(0, 100, repeats=False)
    assert "(c)" in split_by_coin(data).statement
    assert "(b)" in split_by_interaction(data).statement
    assert "(a)" in split_by_time(data).statement
    for random in (split_by_coin(data), split_by_interaction(data)):
        assert "random subset, without replacement" in random.statement
    assert "no random subset" in split_by_time(data).statement


@pytest.mark.parametrize("split", SPLITS.values())
@pytest.mark.parametrize(
    "shares",
    [
        (0.5, 0.3, 0.1),
        (0.5, 0.3, 0.1, 0.2),
        (1.1, -0.1, 0.0, 0.0),
        (np.nan, 0.5, 0.25, 0.25),
        (np.inf, 0.0, 0.0, 0.0),
        0.5,
        None,
        "half",
        ("a", "b", "c", "d"),
    ],
)
def test_bad_shares_are_refused(split, shares):
    with pytest.raises(InputError, match="sum to 1"):
        split(drawn(0, 50), shares)


@pytest.mark.parametrize("split", SPLITS.values())
@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0, 0.0), (0.5, 0.0, 0.25, 0.25)])
def test_nothing_to_score_is_refused(split, shares):
    with pytest.raises(InputError, match="no interaction is scored among 50"):
        split(drawn(0, 50), shares)


@pytest.mark.parametrize("split", [split_by_coin, split_by_interaction])
@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, None])
def test_bad_seeds_are_refused(split, seed):
    with pytest.raises(InputError, match="seed is"):
        split(drawn(0, 50), seed=seed)


def test_time_needs_times():
    data = Interactions.from_frame(pl.DataFrame({"user": [1, 1], "item": [1, 2]}))
    with pytest.raises(InputError, match="no times"):
        split_by_time(data)


def test_parts_must_fit_together():
    draws, others = drawn(0, 50), drawn(0, 50, items=14)
    with pytest.raises(InputError, match="scored part has other users, items or levels"):
        split_from_parts(draws, others, draws, draws)
    timeless = Interactions(draws.user, draws.item, draws.level, None, draws.user_ids, draws.item_ids, draws.levels)
    with pytest.raises(InputError, match="some parts have times"):
        split_from_parts(draws, timeless, draws, draws)
    with pytest.raises(InputError, match="no interaction is scored"):
        split_from_parts(draws, draws.subset([]), draws, draws)


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"part": np.ones(49)}, "for each of 50"),
        ({"part": np.full(50, 4)}, "0..3"),
        ({"protocol": "random"}, "'random'"),
        ({"protocol": "coin"}, "coin needs"),
        ({"coin": 0.5, "seed": 1}, "coin needs"),
        ({"protocol": "coin", "coin": 0.5, "seed": 1}, "where the coin says"),
        ({"protocol": "coin", "coin": np.nan, "seed": 1}, "coin is nan"),
        ({"protocol": "coin", "coin": -0.5, "seed": 1}, "coin is -0.5"),
        ({"protocol": "coin", "coin": 1.5, "seed": 1}, "coin is 1.5"),
        ({"protocol": "coin", "coin": 0.5, "seed": -1}, "seed is -1"),
        ({"protocol": "coin", "coin": 0.5, "seed": 2**64}, "seed is"),
    ],
)
def test_inconsistent_splits_are_refused(fields, part):
    with pytest.raises(InputError, match=part):
        Split(**({"interactions": drawn(0, 50), "part": np.ones(50, int), "protocol": "interaction"} | fields))


@pytest.mark.parametrize("users", [[12], [-1], [0.5], [[0]], ["u1"]])
@pytest.mark.parametrize("split", [split_by_coin, split_by_interaction])
def test_unknown_users_have_no_mask(users, split):
    with pytest.raises(InputError, match="user"):
        split(drawn(0, 50)).item_mask(users)
