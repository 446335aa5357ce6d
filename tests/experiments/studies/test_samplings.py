"""Samplings draw what their formulas say: totals, laws of parts, and what they break on purpose."""

from collections.abc import Callable
from itertools import permutations
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from conv4rec.errors import InputError
from conv4rec_experiments.studies.samplings import COPIES, REPEATS, SAMPLINGS, draw, part_sizes
from conv4rec_experiments.truths import Truth, small_truth

TRUTH = small_truth(0)
LEAST = 1e-6


def one_user(law: np.ndarray, levels: int = 1, users: int = 1) -> Truth:
    items = law.shape[-1] // levels
    return Truth(
        name="given",
        seed=0,
        profiles=np.ones((users, items, levels), dtype=np.int64),
        pi=np.full(users, 1 / users),
        law=np.tile(law, (users, 1)),
        channels=1,
        code=1,
    )


def agrees(count: int, trials: int, probability: float) -> bool:
    """Whether a binomial count is not all but impossible, from either side."""
    below, above = binom.cdf(count, trials, probability), binom.sf(count - 1, trials, probability)
    return bool(min(below, above) > LEAST)


def cells_agree(counts: np.ndarray, joint: np.ndarray) -> bool:
    size = int(counts.sum())
    return all(agrees(int(c), size, float(p)) for c, p in zip(counts.ravel(), joint.ravel(), strict=True))


@given(st.sampled_from(sorted(SAMPLINGS)), st.integers(1, 90), st.integers(0, 2**32))
def test_every_sampling_has_exactly_the_records_asked_for_in_blocks_in_order(name: str, size: int, seed: int) -> None:
    sample = draw(name, TRUTH, size, np.random.default_rng(seed))
    again = draw(name, TRUTH, size, np.random.default_rng(seed))
    assert sample.blocks.dtype == np.int64
    assert sample.blocks.min() >= 0
    assert (*sample.blocks.sum(axis=(1, 2)), sample.held_out.sum()) == part_sizes(size)
    assert sample.total.sum() == size
    assert sample.held_out.sum() == max(1, size // 4)
    assert np.array_equal(sample.blocks, again.blocks)
    assert np.array_equal(sample.held_out, again.held_out)
    assert np.allclose(sample.target_law.sum(axis=1), 1)
    assert sample.total[TRUTH.law == 0].sum() == 0


@pytest.mark.parametrize("name", ["independent", "dependent", "duplicated"])
def test_single_records_have_the_truths_law(name: str) -> None:
    joint = TRUTH.pi[:, None] * TRUTH.law
    # Copies and repeats widen the spread of counts, so one record of each of many small samples is looked at.
    records = np.zeros_like(TRUTH.law, dtype=np.int64)
    for seed in range(1_500):
        records += draw(name, TRUTH, 5, np.random.default_rng([3, seed])).held_out
    assert cells_agree(records, joint)
    if name == "independent":
        sample = draw(name, TRUTH, 10**9, np.random.default_rng(1))
        assert all(cells_agree(part, joint) for part in (*sample.blocks, sample.held_out))


def test_users_repeat_themselves_half_of_the_time_beyond_chance() -> None:
    law = np.full(50, 1 / 50)
    repeats = draws = 0
    for seed in range(3_000):
        sample = draw("dependent", one_user(law), 2, np.random.default_rng([4, seed]))
        repeats += int(sample.total.max() == 2)
        draws += 1
    assert agrees(repeats, draws, REPEATS + (1 - REPEATS) / 50)


def test_a_repeat_is_one_of_the_users_own_record_across_blocks() -> None:
    # Two users with laws on different cells: a repeat of the other's record would leave the user's support.
    truth = one_user(np.array([0.5, 0.5, 0, 0]), users=2)
    law = truth.law.copy()
    law[1] = law[1][::-1]
    apart = Truth("apart", 0, truth.profiles, truth.pi, law, 1, 1)
    sample = draw("dependent", apart, 4_000, np.random.default_rng(5))
    assert sample.total[apart.law == 0].sum() == 0
    assert sample.held_out[apart.law == 0].sum() == 0
    # A long sample of one user that holds its first cell for ever would show a single cell.
    assert (sample.blocks[-1][apart.law > 0] > 0).all()


def test_dependent_counts_spread_as_much_as_a_third_of_the_records_would() -> None:
    truth = one_user(np.array([0.5, 0.5]))
    size, repeats = 400, 400
    counts = [int(draw("dependent", truth, size, np.random.default_rng([6, s])).total[0, 0]) for s in range(repeats)]
    inflation = np.var(counts) / (size / 4)
    expected = (1 + REPEATS) / (1 - REPEATS)
    assert 0.75 * expected < inflation < 1.3 * expected


def test_drifting_starts_at_the_truth_and_ends_at_the_target() -> None:
    size = 64_000_000
    sample = draw("drifting", TRUTH, size, np.random.default_rng(7))
    steps = np.arange(64) / 63
    place = 0
    for block, length in zip(sample.blocks, (4, 4, 8, 16, 32), strict=True):
        moved = steps[place : place + length].mean()
        law = (1 - moved) * TRUTH.law + moved * sample.target_law
        assert np.abs(block / block.sum() - TRUTH.pi[:, None] * law).max() < 6 * np.sqrt(0.25 / block.sum())
        place += length
    assert cells_agree(sample.held_out, TRUTH.pi[:, None] * sample.target_law)
    shape = TRUTH.users, TRUTH.items, TRUTH.levels
    true, target = TRUTH.law.reshape(shape), sample.target_law.reshape(shape)
    assert np.allclose(target[:, 1], (true[:, 1] + true[:, 0]) / 2)
    assert np.allclose(target[:, 0], (true[:, 0] + true[:, -1]) / 2)


@given(st.integers(1, 2_000), st.integers(0, 2**32))
def test_duplicates_come_in_threes_but_for_the_last(size: int, seed: int) -> None:
    sample = draw("duplicated", TRUTH, size, np.random.default_rng(seed))
    everything = sample.total + sample.held_out
    assert (everything % COPIES != 0).sum() <= 1
    # A cut between parts splits at most one row of copies.
    assert all((part % COPIES != 0).sum() <= 2 for part in (*sample.blocks, sample.held_out))


@given(st.integers(1, 90), st.integers(0, 2**32))
def test_without_replacement_nobody_takes_an_item_twice(size: int, seed: int) -> None:
    sample = draw("without replacement", TRUTH, size, np.random.default_rng(seed))
    shape = TRUTH.users, TRUTH.items, TRUTH.levels
    taken = (sample.total + sample.held_out).reshape(shape).sum(axis=2)
    assert taken.max() <= 1


def test_without_replacement_takes_sets_of_items_as_often_as_renormalised_draws_do() -> None:
    law = np.array([0.5, 0.3, 0.15, 0.05])
    sets = {frozenset(pair): 0.0 for pair in permutations(range(4), 2)}
    for first, second in permutations(range(4), 2):
        sets[frozenset((first, second))] += law[first] * law[second] / (1 - law[first])
    found = dict.fromkeys(sets, 0)
    trials = 3_000
    for seed in range(trials):
        sample = draw("without replacement", one_user(law), 2, np.random.default_rng([8, seed]))
        found[frozenset(np.flatnonzero(sample.total[0]).tolist())] += 1
    assert all(agrees(found[pair], trials, probability) for pair, probability in sets.items())


def test_without_replacement_draws_levels_given_the_item_and_users_with_items_left() -> None:
    law = np.array([0.4, 0.2, 0.1, 0.3])
    low = sum(
        int(draw("without replacement", one_user(law, levels=2), 1, np.random.default_rng([9, s])).total[0, 0])
        for s in range(2_000)
    )
    assert agrees(low, 2_000, 0.4)
    # Four users with three items each can give twelve records and no more.
    four = one_user(np.array([0.5, 0.3, 0.2]), users=4)
    full = draw("without replacement", four, 10, np.random.default_rng(10))
    assert np.array_equal(full.total + full.held_out, np.ones((4, 3)))
    with pytest.raises(InputError, match="at most 9"):
        draw("without replacement", four, 11, np.random.default_rng(10))


@pytest.mark.parametrize("name", ["independent", "drifting", "duplicated"])
def test_a_billion_records_cost_no_more_than_a_thousand(name: str) -> None:
    def seconds(size: int) -> float:
        times = []
        for seed in range(5):
            begin = perf_counter()
            draw(name, TRUTH, size, np.random.default_rng(seed))
            times.append(perf_counter() - begin)
        return min(times)

    assert seconds(10**9) < 0.05 + 10 * seconds(10**3)


def refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    rng = np.random.default_rng(0)
    refused(lambda: draw("bootstrap", TRUTH, 10, rng), "no sampling named 'bootstrap'")
    refused(lambda: draw("independent", TRUTH, 0, rng), "at least one")
    refused(lambda: draw("dependent", TRUTH, 10**9, rng), "one by one")
    refused(lambda: draw("without replacement", TRUTH, 97, rng), "pairs of user and item")
