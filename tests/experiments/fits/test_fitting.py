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
WARM = Settings(starts=0, kept=1)

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
        shared_maps=False,
        level_offset=False,
        lift_activation=case["lift"],
        code_activation=case["coding"],
        decode_activation="identity",
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


@given(case=maps)
def test_hessian_agrees_with_automatic_differentiation(case: dict) -> None:
    likelihood, theta, frequencies = build(case)
    table, point = torch.from_numpy(frequencies)[None], torch.from_numpy(theta)
    found = likelihood.expand(point[None], table, exact=True).hessian
    expected = torch.func.jacrev(torch.func.grad(lambda weights: likelihood.loss(weights[None], table)[0]))(point)
    np.testing.assert_allclose(found[0], expected, atol=1e-11)
    assert likelihood.expand(point[None], table).hessian is None


@settings(max_examples=8)
@given(seed=st.integers(0, 1_000), size=st.sampled_from([3_000, 30_000, 1_000_000, 100_000_000]))
def test_accepted_fits_are_maxima_and_not_above_the_truths_training_loss(seed: int, size: int) -> None:
    counts = sample(size, seed)
    found = fit(LIKELIHOOD, counts, TRUTH.empirical_risk(counts), seed, QUICK)
    assert found.state in (State.ACCEPTED, State.BOUNDARY)
    assert found.gap <= 0
    assert found.gradient_norm <= QUICK.tolerance
    assert found.saturated_gap >= 0
    loss = -(counts * LIKELIHOOD.log_law(found.theta)).sum() / size
    assert found.training_loss == pytest.approx(loss, rel=1e-12)
    table = torch.from_numpy(counts / size)[None]
    value = LIKELIHOOD.expand(torch.from_numpy(found.theta)[None], table, exact=True)
    assert found.gradient_max == pytest.approx(float(value.gradient.abs().max()), abs=1e-15)
    assert found.newton_decrement == pytest.approx(found.gradient_norm**2 / (2 * size))
    if found.state is State.ACCEPTED:
        assert found.gradient_max <= 1e-12
        assert found.gradient_norm <= 1e-4
        assert torch.linalg.eigvalsh(value.hessian[0]).min() > -1e-10


def test_most_large_samples_have_a_maximum_and_it_is_found() -> None:
    counts = np.stack([sample(10_000_000, seed) for seed in range(8)])
    losses = [TRUTH.empirical_risk(table) for table in counts]
    found = fit_many(LIKELIHOOD, counts, losses, range(8), QUICK)
    assert sum(fit.state is State.ACCEPTED for fit in found) >= 6


def test_blind_fits_reach_the_optimum_that_a_start_at_the_truth_reaches() -> None:
    counts = sample(1_000_000, 5)
    at_truth = LIKELIHOOD.pack(TRUTH.weights)[None]
    oracle = fit_many(LIKELIHOOD, counts[None], [None], [0], WARM, at_truth)[0]
    found = fit(LIKELIHOOD, counts, TRUTH.empirical_risk(counts), 0)
    assert found.training_loss <= oracle.training_loss * (1 + 1e-9)


def test_a_warm_start_ends_no_higher_than_it_began_and_joins_the_others() -> None:
    half, counts = sample(100_000, 2), sample(100_000, 3)
    before = fit(LIKELIHOOD, half, None, 0, QUICK)
    total = half + counts
    warm = fit_many(LIKELIHOOD, total[None], [None], [1], WARM, before.theta[None])[0]
    cold = fit(LIKELIHOOD, total, None, 1, QUICK)
    both = fit_many(LIKELIHOOD, total[None], [None], [1], QUICK, before.theta[None])[0]
    assert warm.training_loss < -(total * LIKELIHOOD.log_law(before.theta)).sum() / total.sum()
    assert both.training_loss <= min(warm.training_loss, cold.training_loss) + 0.5 / total.sum()
    assert warm.iterations < cold.iterations
    idle = Settings(starts=1, kept=1, screening=0, iterations=0, polishing=0)
    kept = fit_many(LIKELIHOOD, total[None], [None], [1], idle, warm.theta[None])[0]
    assert np.array_equal(kept.theta, warm.theta)
    assert (warm.starts, cold.starts, both.starts) == (0, 3, 3)


def test_without_a_truth_a_maximum_is_stationary() -> None:
    counts = sample(1_000_000, 5)
    found = fit(LIKELIHOOD, counts, None, 0)
    assert found.state is State.STATIONARY
    assert found.gradient_max <= 1e-12
    assert np.isnan(found.truth_loss)
    assert np.isnan(found.gap)
    assert found.starts == Settings().starts


def test_a_cell_that_nobody_ever_chose_puts_the_maximum_at_infinity() -> None:
    likelihood = Likelihood(np.ones((2, 3, 1)), channels=1, code=1)
    counts = np.array([[3, 1, 0], [1, 4, 0]])
    found = fit(likelihood, counts, 10.0, 0)
    assert found.state is State.BOUNDARY
    assert found.gap < 0
    assert found.newton_decrement < 0.5**2 / counts.sum()
    assert np.exp(likelihood.log_law(found.theta))[:, 2].max() < 1e-3


def test_agreement_counts_continued_starts_that_end_together() -> None:
    likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    found = fit(likelihood, np.array([[30, 10]]), None, 0, Settings(starts=3, kept=3))
    assert found.agreement == 3
    assert found.state is State.STATIONARY
    assert found.saturated_gap == pytest.approx(0, abs=1e-14)


def test_the_truths_loss_only_judges() -> None:
    counts = sample(5_000, 1)
    once = Settings(starts=2, kept=1, screening=10, iterations=20, polishing=5, rounds=1)
    kind, strict = fit(LIKELIHOOD, counts, np.inf, 4, once), fit(LIKELIHOOD, counts, 0.0, 4, once)
    assert np.array_equal(kind.theta, strict.theta)
    assert strict.state is State.ABOVE_TRUTH
    assert strict.gap == strict.training_loss


def test_a_fit_above_the_truth_gets_further_starts() -> None:
    counts = sample(5_000, 1)
    thrice = Settings(starts=2, kept=1, screening=5, iterations=5, polishing=0, rounds=3)
    assert fit(LIKELIHOOD, counts, np.inf, 4, thrice).starts == 2
    more = fit(LIKELIHOOD, counts, 0.0, 4, thrice)
    assert more.starts == 6
    assert more.training_loss <= fit(LIKELIHOOD, counts, np.inf, 4, thrice).training_loss


def test_an_unfinished_fit_says_so() -> None:
    found = fit(
        LIKELIHOOD, sample(5_000, 1), np.inf, 0, Settings(starts=1, kept=1, screening=1, iterations=1, polishing=0)
    )
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
    counts = np.stack([sample(3_000_000, seed) for seed in range(3)])
    losses = [TRUTH.empirical_risk(table) for table in counts]
    together = fit_many(LIKELIHOOD, counts, losses, range(3), QUICK)
    again = fit_many(LIKELIHOOD, counts, losses, range(3), QUICK)
    for first, second in zip(together, again, strict=True):
        assert np.array_equal(first.theta, second.theta)
    alone = fit(LIKELIHOOD, counts[2], losses[2], 2, QUICK)
    assert together[2].training_loss == pytest.approx(alone.training_loss, rel=1e-12)


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
    with pytest.raises(InputError, match="no start"):
        fit(LIKELIHOOD, counts, 1.0, 0, WARM)
    with pytest.raises(InputError, match="Starting weights"):
        fit_many(LIKELIHOOD, counts[None], [1.0], [0], WARM, np.zeros((1, 3)))
    with pytest.raises(InputError, match="Starting weights"):
        fit_many(LIKELIHOOD, counts[None], [1.0], [0], WARM, np.full((1, LIKELIHOOD.size), np.nan))
    with pytest.raises(InputError, match="kept"):
        Settings(starts=2, kept=3)
    with pytest.raises(InputError, match="polishing"):
        Settings(polishing=-1)
    with pytest.raises(InputError, match="sharpness"):
        Settings(sharpness=float("nan"))
    with pytest.raises(InputError, match="ridge"):
        Settings(ridge=-1.0)
