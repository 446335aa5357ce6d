"""What is promised of every truth: samples, distances with empty cells, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.truths import Truth, small_truth, twins_truth, user_mix

SMALL = small_truth(0)
TWINS = twins_truth(0, users=6, items=4, profile_items=2)
seeds = st.integers(0, 10_000)


def random_log_law(truth: Truth, rng: np.random.Generator, spread: float) -> np.ndarray:
    """Log-probabilities of a random law over the truth's cells."""
    logits = spread * rng.standard_normal((truth.users, truth.cells))
    return torch.log_softmax(torch.from_numpy(logits), dim=1).numpy()


def with_empty_cells(seed: int) -> Truth:
    """Make a truth with about half of its cells empty, and no network that is known to be near."""
    kept = SMALL.law * (np.random.default_rng(seed).random(SMALL.law.shape) < 0.5)
    kept[:, 0] += 1e-3
    return replace(SMALL, law=kept / kept.sum(axis=1, keepdims=True), weights=None, realisable=False)


@given(seed=seeds, size=st.integers(1, 10**15))
def test_a_sample_holds_exactly_as_many_interactions_as_asked_for(seed: int, size: int) -> None:
    counts = SMALL.sample(size, np.random.default_rng(seed))
    assert counts.shape == (12, 30)
    assert counts.dtype == np.int64
    assert counts.sum() == size
    assert user_mix(counts).sum() == pytest.approx(1)


def test_shares_of_a_large_sample_are_the_joint_law() -> None:
    size = 10**8
    shares = SMALL.sample(size, np.random.default_rng(3)) / size
    joint = SMALL.pi[:, None] * SMALL.law
    assert np.abs((shares - joint) / np.sqrt(joint * (1 - joint) / size)).max() < 5


@given(seed=seeds)
def test_empty_cells_stay_empty_in_samples_of_any_size(seed: int) -> None:
    truth = with_empty_cells(seed)
    counts = truth.sample(10**18, np.random.default_rng(seed))
    assert (counts[truth.law == 0] == 0).all()
    assert counts.sum() == 10**18


def test_what_rounding_leaves_over_never_falls_on_an_empty_last_cell() -> None:
    row = np.append(np.full(10, 0.1), 0.0)
    truth = replace(
        SMALL,
        profiles=np.ones((1, 11, 1), dtype=np.int64),
        pi=np.ones(1),
        law=row[None] * (1 - 5e-10),
        weights=None,
        realisable=False,
    )
    counts = truth.sample(10**15, np.random.default_rng(0))
    assert counts[0, -1] == 0
    assert counts.sum() == 10**15


def test_numbers_of_the_users_may_be_given() -> None:
    numbers = np.arange(12) * 10**6
    counts = SMALL.sample_given(numbers, np.random.default_rng(0))
    assert np.array_equal(counts.sum(axis=1), numbers)
    shares = counts[1:] / numbers[1:, None]
    assert np.abs(shares - SMALL.law[1:]).max() < 5 / np.sqrt(4 * 10**6)


@given(seed=seeds, spread=st.floats(0, 5), own_mix=st.booleans(), empty=st.booleans())
def test_distances_obey_pinsker_and_le_cam_and_kl_is_the_excess_risk(
    seed: int, spread: float, own_mix: bool, empty: bool
) -> None:
    truth = with_empty_cells(seed) if empty else SMALL
    rng = np.random.default_rng(seed)
    log_law = random_log_law(truth, rng, spread)
    mix = rng.dirichlet(np.ones(12)) if own_mix else None
    found = truth.distances(log_law, mix)
    slack = 1e-12
    assert found.tv <= np.sqrt(found.kl / 2) + slack
    assert found.hellinger**2 <= found.tv + slack
    assert found.tv <= found.hellinger * np.sqrt(2 - found.hellinger**2) + slack
    own = np.log(truth.law, where=truth.law > 0, out=np.full_like(truth.law, -np.inf))
    excess = truth.risk(log_law, mix) - truth.risk(own, mix)
    assert found.kl == pytest.approx(excess, abs=1e-10)


def test_a_truth_is_at_no_distance_from_itself() -> None:
    for truth in (SMALL, with_empty_cells(0)):
        own = np.log(truth.law, where=truth.law > 0, out=np.full_like(truth.law, -np.inf))
        found = truth.distances(own)
        assert found.tv == pytest.approx(0, abs=1e-12)
        assert found.kl == pytest.approx(0, abs=1e-12)
        assert found.hellinger == pytest.approx(0, abs=1e-7)
        assert truth.risk(own) == pytest.approx(truth.entropy, rel=1e-12)


def test_kl_and_risk_are_infinite_only_where_a_law_misses_what_the_truth_has() -> None:
    truth = with_empty_cells(0)
    log_law = np.log(truth.law, where=truth.law > 0, out=np.full_like(truth.law, -np.inf))
    user, cell = np.argwhere(truth.law > 0)[0]
    log_law[user, cell] = -np.inf
    found = truth.distances(log_law)
    assert found.kl == inf
    assert truth.risk(log_law) == inf
    assert found.tv == pytest.approx(truth.law[user, cell] / 12 / 2)
    assert 0 < found.hellinger < 1
    others = np.where(np.arange(12) == user, 0.0, 1 / 11)
    assert truth.distances(log_law, others).kl == pytest.approx(0, abs=1e-12)
    assert np.isfinite(truth.risk(log_law, others))


def test_a_sample_with_what_the_truth_does_not_have_costs_it_infinitely_much() -> None:
    truth = with_empty_cells(0)
    user, cell = np.argwhere(truth.law == 0)[0]
    counts = truth.sample(100, np.random.default_rng(0))
    assert np.isfinite(truth.empirical_risk(counts))
    counts[user, cell] = 1
    assert truth.empirical_risk(counts) == inf


def test_the_mix_decides_whose_error_counts() -> None:
    law = SMALL.law.copy()
    law[0] = np.roll(law[0], 1)
    alone = np.eye(12)[0]
    assert SMALL.tv(law, np.eye(12)[1]) == 0
    assert SMALL.tv(law) == pytest.approx(SMALL.tv(law, alone) / 12)


def test_empirical_risk_is_the_mean_loss_over_interactions() -> None:
    counts = SMALL.sample(200, np.random.default_rng(0))
    user, cell = np.repeat(np.argwhere(counts), counts[counts > 0], axis=0).T
    assert SMALL.empirical_risk(counts) == pytest.approx(-np.log(SMALL.law[user, cell]).mean(), rel=1e-12)
    large = SMALL.sample(10**12, np.random.default_rng(0))
    assert SMALL.empirical_risk(large) == pytest.approx(SMALL.entropy, abs=1e-5)


@given(seed=seeds)
def test_the_comparators_excess_is_what_its_network_has_under_the_mix(seed: int) -> None:
    mix = np.random.default_rng(seed).dirichlet(np.ones(TWINS.users))
    log_law = TWINS.likelihood.log_law(TWINS.likelihood.pack(TWINS.weights))
    own = TWINS.risk(np.log(TWINS.law), mix)
    assert TWINS.comparator_excess(mix) == pytest.approx(TWINS.risk(log_law, mix) - own, abs=1e-12)
    assert SMALL.comparator_excess(np.full(12, 1 / 12)) == 0
    assert with_empty_cells(seed).comparator_excess() is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SMALL.sample(0, np.random.default_rng(0)), "sample size"),
        (lambda: SMALL.sample(1e9, np.random.default_rng(0)), "sample size"),
        (lambda: SMALL.sample(10**18 + 1, np.random.default_rng(0)), "sample size"),
        (lambda: user_mix(np.zeros((2, 3), dtype=np.int64)), "empty"),
        (lambda: SMALL.empirical_risk(np.zeros((12, 30), dtype=np.int64)), "empty"),
        (lambda: replace(SMALL, profiles=SMALL.profiles[0]), "Profiles of shape"),
        (lambda: replace(SMALL, law=SMALL.law[:, :-1]), "shape"),
        (lambda: replace(SMALL, pi=SMALL.pi[:-1]), "shape"),
        (lambda: replace(SMALL, law=2 * SMALL.law), "row of the law"),
        (lambda: replace(SMALL, law=SMALL.law * np.where(np.arange(30) == 0, np.nan, 1)), "row of the law"),
        (lambda: replace(SMALL, law=np.tile(np.append([-0.1, 1.1], np.zeros(28)), (12, 1))), "row of the law"),
        (lambda: replace(SMALL, pi=np.append(np.zeros(11), 1.0)), "user marginal"),
        (lambda: replace(SMALL, pi=SMALL.pi / 2), "user marginal"),
        (lambda: replace(SMALL, weights=None), "without weights"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
