"""The likelihood's derivatives, and fits that do not know the truth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.batches import Cells, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.network import Architecture, Network
from conv4rec_experiments.fits.descent import DAMPING_MOST, Descent
from conv4rec_experiments.fits.fitting import Settings, State, fit, fit_many
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.truths import small_truth

TRUTH = small_truth(0)
LIKELIHOOD = TRUTH.likelihood
QUICK = Settings(starts=3, kept=1, screening=20, iterations=60)

maps = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "users": st.integers(1, 4),
        "items": st.integers(1, 4),
        "levels": st.integers(1, 3),
        "channels": st.integers(1, 3),
        "code": st.integers(1, 3),
        "lift": st.sampled_from(["identity", "tanh"]),
        "coding": st.sampled_from(["identity", "tanh"]),
    }
)


def build(case: dict) -> tuple[Likelihood, np.ndarray, np.ndarray]:
    """A map with random profiles (empty ones too), random weights and random frequencies."""
    rng = np.random.default_rng(case["seed"])
    shape = case["users"], case["items"], case["levels"]
    likelihood = Likelihood(rng.integers(0, 2, shape), case["channels"], case["code"], case["lift"], case["coding"])
    theta = rng.standard_normal(likelihood.size)
    counts = rng.integers(0, 3, (likelihood.users, likelihood.cells)) + np.eye(1, likelihood.cells, dtype=np.int64)
    return likelihood, theta, counts / counts.sum()


def sample(size: int, seed: int) -> np.ndarray:
    return TRUTH.sample(size, np.random.default_rng(seed))


@given(case=maps)
def test_log_law_is_that_of_the_network(case: dict) -> None:
    likelihood, theta, _ = build(case)
    architecture = Architecture(
        n_items=likelihood.items,
        n_levels=likelihood.levels,
        channels=likelihood.channels,
        code=likelihood.code,
        level_offset=False,
        lift_activation=case["lift"],
        code_activation=case["coding"],
    )
    network = Network(architecture, dtype=torch.float64)
    network.set_weights(likelihood.unpack(theta))
    shape = likelihood.users, likelihood.items, likelihood.levels
    cells = Cells(*np.nonzero(likelihood.inputs.numpy()))
    with torch.no_grad():
        logits = network(ProfileBatch.of(cells, *shape, dtype=torch.float64))
    expected = torch.log_softmax(logits.flatten(1), dim=1).numpy()
    np.testing.assert_allclose(likelihood.log_law(theta), expected, atol=1e-12)


@given(case=maps)
def test_pack_and_unpack_are_inverse(case: dict) -> None:
    likelihood, theta, _ = build(case)
    assert np.array_equal(likelihood.pack(likelihood.unpack(theta)), theta)


@given(case=maps)
def test_jacobian_agrees_with_automatic_differentiation(case: dict) -> None:
    likelihood, theta, _ = build(case)
    expected = torch.func.jacrev(lambda point: likelihood.log_laws(point[None])[0])(torch.from_numpy(theta))
    np.testing.assert_allclose(likelihood.jacobian(theta), expected.numpy(), atol=1e-11)


@given(case=maps)
def test_jacobian_agrees_with_finite_differences(case: dict) -> None:
    likelihood, theta, _ = build(case)
    direction = np.random.default_rng(case["seed"] + 1).standard_normal(likelihood.size)
    step = 1e-5
    slope = (likelihood.log_law(theta + step * direction) - likelihood.log_law(theta - step * direction)) / (2 * step)
    np.testing.assert_allclose(likelihood.jacobian(theta) @ direction, slope, atol=1e-6)


@given(case=maps)
def test_expansion_is_what_the_dense_jacobian_says(case: dict) -> None:
    likelihood, theta, frequencies = build(case)
    found = likelihood.expand(torch.from_numpy(theta)[None], torch.from_numpy(frequencies)[None])
    jacobian, log_law = likelihood.jacobian(theta), likelihood.log_law(theta)
    weight = np.exp(log_law) * frequencies.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.loss.item(), -(frequencies * log_law).sum(), atol=1e-12)
    np.testing.assert_allclose(found.gradient[0], -np.einsum("iy,iyp->p", frequencies, jacobian), atol=1e-12)
    fisher = np.einsum("iy,iyp,iyr->pr", weight, jacobian, jacobian)
    np.testing.assert_allclose(found.fisher[0], fisher, atol=1e-11)


@settings(max_examples=5)
@given(seed=st.integers(0, 1_000), size=st.sampled_from([3_000, 30_000, 1_000_000]))
def test_fits_are_accepted_and_not_above_the_truths_training_loss(seed: int, size: int) -> None:
    counts = sample(size, seed)
    found = fit(LIKELIHOOD, counts, TRUTH.empirical_risk(counts), seed, QUICK)
    assert found.state is State.ACCEPTED
    assert found.gap <= 0
    assert found.gradient_norm <= QUICK.tolerance
    loss = -(counts * LIKELIHOOD.log_law(found.theta)).sum() / size
    assert found.training_loss == pytest.approx(loss, rel=1e-12)


def test_blind_fits_reach_the_optimum_that_a_start_at_the_truth_reaches() -> None:
    counts = sample(1_000_000, 5)
    frequencies = torch.from_numpy(counts / counts.sum())[None]
    start = torch.from_numpy(LIKELIHOOD.pack(TRUTH.weights))[None]
    oracle = Descent(LIKELIHOOD, frequencies, torch.tensor([1e6], dtype=torch.float64), start)
    oracle.run(100, tolerance=0.01)
    found = fit(LIKELIHOOD, counts, TRUTH.empirical_risk(counts), 0)
    assert (found.training_loss - float(oracle.loss[0])) * 1e6 < 0.5


def test_the_truths_loss_only_judges() -> None:
    counts = sample(5_000, 1)
    once = Settings(starts=2, kept=1, screening=10, iterations=20, rounds=1)
    kind, strict = fit(LIKELIHOOD, counts, np.inf, 4, once), fit(LIKELIHOOD, counts, 0.0, 4, once)
    assert np.array_equal(kind.theta, strict.theta)
    assert strict.state is State.ABOVE_TRUTH
    assert strict.gap == strict.training_loss


def test_a_fit_above_the_truth_gets_further_starts() -> None:
    counts = sample(5_000, 1)
    thrice = Settings(starts=2, kept=1, screening=5, iterations=5, rounds=3)
    assert fit(LIKELIHOOD, counts, np.inf, 4, thrice).starts == 2
    more = fit(LIKELIHOOD, counts, 0.0, 4, thrice)
    assert more.starts == 6
    assert more.training_loss <= fit(LIKELIHOOD, counts, np.inf, 4, thrice).training_loss


def test_an_unfinished_fit_says_so() -> None:
    found = fit(LIKELIHOOD, sample(5_000, 1), np.inf, 0, Settings(starts=1, kept=1, screening=1, iterations=1))
    assert found.state is State.GRADIENT
    assert found.gradient_norm > 1


def test_a_member_that_no_step_can_move_is_stuck_and_left_alone() -> None:
    frequencies = torch.from_numpy(sample(1_000, 0) / 1_000)[None]
    start = torch.from_numpy(np.random.default_rng(0).standard_normal((1, LIKELIHOOD.size)))
    descent = Descent(LIKELIHOOD, frequencies, torch.tensor([1e3], dtype=torch.float64), start)
    assert not descent.stuck(0)
    descent.damping[:] = DAMPING_MOST
    descent.run(10, tolerance=0.1)
    assert descent.stuck(0)
    assert torch.equal(descent.theta, start)
    assert int(descent.steps[0]) == 0


def test_same_seed_same_bits_and_replicates_do_not_disturb_each_other() -> None:
    counts = np.stack([sample(10_000, seed) for seed in range(4)])
    losses = [TRUTH.empirical_risk(table) for table in counts]
    together = fit_many(LIKELIHOOD, counts, losses, range(4), QUICK)
    again = fit_many(LIKELIHOOD, counts, losses, range(4), QUICK)
    for first, second in zip(together, again, strict=True):
        assert np.array_equal(first.theta, second.theta)
    alone = fit(LIKELIHOOD, counts[2], losses[2], 2, QUICK)
    assert together[2].training_loss == pytest.approx(alone.training_loss, abs=1e-6)


def test_the_number_of_threads_is_given_back() -> None:
    before = torch.get_num_threads()
    fit(LIKELIHOOD, sample(1_000, 0), np.inf, 0, Settings(starts=1, kept=1, screening=1, iterations=1))
    assert torch.get_num_threads() == before


def test_what_cannot_be_fitted_is_refused_in_words() -> None:
    counts = sample(1_000, 0)
    with pytest.raises(InputError, match="shape"):
        fit_many(LIKELIHOOD, counts, [1.0], [0])
    with pytest.raises(InputError, match="one loss for each seed"):
        fit_many(LIKELIHOOD, counts[None], [], [0])
    with pytest.raises(InputError, match="empty"):
        fit(LIKELIHOOD, np.zeros_like(counts), 1.0, 0)
    with pytest.raises(InputError, match="zeros and ones"):
        Likelihood(np.full((1, 2, 1), np.nan), 1, 1)
    with pytest.raises(InputError, match="relu"):
        Likelihood(np.ones((1, 2, 1)), 1, 1, code_activation="relu")
    with pytest.raises(InputError, match="kept"):
        Settings(starts=2, kept=3)
