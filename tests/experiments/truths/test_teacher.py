"""Known truths: what is promised of them, and the distances measured against them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.batches import Cells, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.network import Architecture, Network
from conv4rec_experiments.truths import Truth, reference_truth, small_truth, user_mix

SMALL = small_truth(0)
seeds = st.integers(0, 10_000)


def random_law(truth: Truth, rng: np.random.Generator, spread: float) -> np.ndarray:
    """Log-probabilities of a random law over the truth's cells."""
    logits = spread * rng.standard_normal((truth.users, truth.cells))
    return torch.log_softmax(torch.from_numpy(logits), dim=1).numpy()


@settings(max_examples=5)
@given(seed=seeds)
def test_reference_truth_is_as_described(seed: int) -> None:
    truth = reference_truth(seed)
    assert (truth.users, truth.items, truth.levels) == (40, 30, 3)
    assert 0.80 < truth.entropy / np.log(90) < 0.90
    assert (truth.profiles.sum(axis=2).max(axis=1) == 1).all()
    assert (truth.profiles.sum(axis=(1, 2)) == 8).all()
    assert (truth.law > 0).all()
    np.testing.assert_allclose(truth.law.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(truth.pi, 1 / 40)


def test_same_seed_same_bits_other_seed_other_truth() -> None:
    again = small_truth(0)
    assert np.array_equal(SMALL.law, again.law)
    assert np.array_equal(SMALL.profiles, again.profiles)
    assert not np.allclose(SMALL.law, small_truth(1).law)


def test_law_is_the_softmax_of_the_networks_logits() -> None:
    architecture = Architecture(n_items=10, n_levels=3, channels=2, code=2, level_offset=False, code_activation="tanh")
    network = Network(architecture, dtype=torch.float64)
    network.set_weights(dict(SMALL.weights))
    profiles = ProfileBatch.of(Cells(*np.nonzero(SMALL.profiles)), 12, 10, 3, dtype=torch.float64)
    with torch.no_grad():
        law = torch.softmax(network(profiles).flatten(1), dim=1).numpy()
    np.testing.assert_allclose(SMALL.law, law, rtol=1e-12)


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


@given(seed=seeds, spread=st.floats(0, 5), own_mix=st.booleans())
def test_distances_obey_pinsker_and_le_cam_and_kl_is_the_excess_risk(seed: int, spread: float, own_mix: bool) -> None:
    rng = np.random.default_rng(seed)
    log_law = random_law(SMALL, rng, spread)
    mix = rng.dirichlet(np.ones(12)) if own_mix else None
    found = SMALL.distances(log_law, mix)
    slack = 1e-12
    assert found.tv <= np.sqrt(found.kl / 2) + slack
    assert found.hellinger**2 <= found.tv + slack
    assert found.tv <= found.hellinger * np.sqrt(2 - found.hellinger**2) + slack
    excess = SMALL.risk(log_law, mix) - SMALL.risk(np.log(SMALL.law), mix)
    assert found.kl == pytest.approx(excess, abs=1e-10)


def test_a_truth_is_at_no_distance_from_itself() -> None:
    found = SMALL.distances(np.log(SMALL.law))
    assert found.tv == 0
    assert found.kl == 0
    assert found.hellinger == pytest.approx(0, abs=1e-7)


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


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SMALL.sample(0, np.random.default_rng(0)), "sample size"),
        (lambda: reference_truth(profile_items=31), "profile of 31 items"),
        (lambda: reference_truth(entropy_share=1.0), "entropy share"),
        (lambda: user_mix(np.zeros((2, 3), dtype=np.int64)), "empty"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
