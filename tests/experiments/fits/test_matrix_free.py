"""Matrix-free derivatives and fits against the dense ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.benchmarks.large_fit import large_fit_ratios
from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.fitting import Settings, State, fit
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.fits.matrix_free import descend, fit_large
from conv4rec_experiments.fits.matrix_free_map import FactoredMap
from conv4rec_experiments.fits.matrix_free_solver import Blocks, conjugate_gradients
from conv4rec_experiments.truths import reference_truth

TRUTH = reference_truth(0, users=60, items=12, levels=2, profile_items=3, channels=1)
LIKELIHOOD = TRUTH.likelihood
START = LIKELIHOOD.pack(TRUTH.weights)

maps = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10_000),
        "users": st.integers(1, 5),
        "items": st.integers(1, 4),
        "levels": st.integers(1, 3),
        "channels": st.integers(1, 3),
        "code": st.integers(1, 3),
        "lift": st.sampled_from(["identity", "tanh"]),
        "coding": st.sampled_from(["identity", "tanh"]),
    }
)


def build(case: dict) -> tuple[Likelihood, torch.Tensor, torch.Tensor, np.random.Generator]:
    """A map with random profiles, random weights, random frequencies; the first user has neither."""
    rng = np.random.default_rng(case["seed"])
    profiles = rng.integers(0, 2, (case["users"], case["items"], case["levels"]))
    counts = rng.integers(0, 3, (case["users"], case["items"] * case["levels"]))
    if case["users"] > 1:
        profiles[0], counts[0] = 0, 0
    counts[-1, -1] += 1
    likelihood = Likelihood(profiles, case["channels"], case["code"], case["lift"], case["coding"])
    theta = torch.from_numpy(rng.standard_normal(likelihood.size))
    return likelihood, theta, torch.from_numpy(counts / counts.sum()), rng


def sample(size: int, seed: int) -> np.ndarray:
    return TRUTH.sample(size, np.random.default_rng(seed))


def strips(likelihood: Likelihood, frequencies: torch.Tensor) -> FactoredMap:
    """The map with two users in a strip, so that a small table has several and a last one that is shorter."""
    factored = FactoredMap(likelihood, frequencies)
    factored.strips = [slice(begin, begin + 2) for begin in range(0, likelihood.users, 2)]
    return factored


@given(case=maps)
def test_value_gradient_and_products_are_the_dense_ones(case: dict) -> None:
    likelihood, theta, frequencies, rng = build(case)
    direction = torch.from_numpy(rng.standard_normal(likelihood.size))
    dense = likelihood.expand(theta[None], frequencies[None])
    factored = strips(likelihood, frequencies)
    point = factored.point(theta)
    assert point.loss == pytest.approx(float(dense.loss[0]), rel=1e-12)
    torch.testing.assert_close(point.gradient, dense.gradient[0], rtol=0, atol=1e-12)
    product = factored.fisher_times(point, direction)
    torch.testing.assert_close(product, dense.fisher[0] @ direction, rtol=1e-11, atol=1e-11)
    exact = likelihood.expand(theta[None], frequencies[None], exact=True).hessian
    product = factored.hessian_times(point, direction)
    torch.testing.assert_close(product, exact[0] @ direction, rtol=1e-11, atol=1e-11)
    moved = np.abs(likelihood.jacobian(theta.numpy()) @ direction.numpy()).max()
    assert factored.greatest_move(point, direction) == pytest.approx(moved, rel=1e-11, abs=1e-12)
    np.testing.assert_allclose(point.law, np.exp(likelihood.log_law(theta.numpy())), rtol=1e-12)


@given(case=maps)
def test_blocks_lie_on_the_diagonal_and_are_no_smaller_than_the_fisher_matrix(case: dict) -> None:
    likelihood, theta, frequencies, _ = build(case)
    fisher = likelihood.expand(theta[None], frequencies[None]).fisher[0]
    factored = strips(likelihood, frequencies)
    blocks = Blocks(factored, factored.point(theta))
    indices = torch.cat([index.reshape(-1) for index, _ in blocks.groups])
    assert indices.sort().values.tolist() == list(range(likelihood.size))
    _, _, encoder, rest = [(fisher[index[:, :, None], index[:, None, :]], matrix) for index, matrix in blocks.groups]
    for exact, found in (encoder, rest):
        torch.testing.assert_close(found, exact, rtol=1e-11, atol=1e-11)
    for index, matrix in blocks.groups:
        left_out = matrix - fisher[index[:, :, None], index[:, None, :]]
        assert float(torch.linalg.eigvalsh(left_out).min()) >= -1e-11 * max(1.0, float(matrix.abs().max()))


def test_blocks_of_items_miss_little_where_cells_are_many() -> None:
    truth = reference_truth(0, users=20, items=60, levels=2, entropy_share=0.95)
    map_, theta = truth.likelihood, torch.from_numpy(truth.likelihood.pack(truth.weights))
    frequencies = torch.from_numpy(truth.pi[:, None] * truth.law)
    fisher = map_.expand(theta[None], frequencies[None]).fisher[0]
    factored = FactoredMap(map_, frequencies)
    index, matrix = Blocks(factored, factored.point(theta)).groups[0]
    exact = fisher[index[:, :, None], index[:, None, :]]
    for one, other in zip(matrix, exact, strict=True):
        assert float(torch.linalg.norm(one - other) / torch.linalg.norm(other)) < 0.15


@given(case=maps, damping=st.sampled_from([1e-3, 1.0]))
def test_conjugate_gradients_solve_the_damped_system(case: dict, damping: float) -> None:
    likelihood, theta, frequencies, rng = build(case)
    right = torch.from_numpy(rng.standard_normal(likelihood.size))
    ridge = torch.full_like(right, damping)
    fisher = likelihood.expand(theta[None], frequencies[None]).fisher[0]
    factored = FactoredMap(likelihood, frequencies)
    point = factored.point(theta)
    found, products = conjugate_gradients(
        lambda vector: factored.fisher_times(point, vector) + ridge * vector,
        right,
        Blocks(factored, point).inverse(ridge),
        accuracy=1e-10,
        most=2_000,
    )
    assert products < 2_000
    expected = torch.linalg.solve(fisher + torch.diag(ridge), right)
    assert float(torch.linalg.norm(found - expected)) <= 1e-6 * float(torch.linalg.norm(expected))


def test_good_blocks_save_products() -> None:
    frequencies = torch.from_numpy(TRUTH.pi[:, None] * TRUTH.law)
    factored = FactoredMap(LIKELIHOOD, frequencies)
    point = factored.point(torch.from_numpy(START))
    blocks = Blocks(factored, point)
    damping = 1e-3 * blocks.diagonal.clamp(min=1e-6)
    right = factored.fisher_times(point, torch.from_numpy(np.random.default_rng(0).standard_normal(LIKELIHOOD.size)))
    with_blocks, without = (
        conjugate_gradients(
            lambda vector: factored.fisher_times(point, vector) + damping * vector, right, inverse, 1e-6, 5_000
        )[1]
        for inverse in (blocks.inverse(damping), lambda vector: vector)
    )
    assert 1.5 * with_blocks < without


@settings(max_examples=3)
@given(seed=st.integers(0, 1_000), size=st.sampled_from([1_000_000, 100_000_000]))
def test_descent_ends_where_the_dense_one_ends(seed: int, size: int) -> None:
    counts = sample(size, seed)
    frequencies = counts / counts.sum()
    dense = Descent(
        LIKELIHOOD,
        torch.from_numpy(frequencies)[None],
        torch.tensor([float(size)], dtype=torch.float64),
        torch.from_numpy(START)[None],
    )
    dense.run(iterations=60, tolerance=1e-4)
    found = descend(LIKELIHOOD, frequencies, size, START, iterations=60, tolerance=1e-4)
    assert not found.stuck
    assert found.gradient_norm <= 1e-4
    assert found.loss == pytest.approx(float(dense.loss[0]), abs=1e-12)
    assert found.loss < TRUTH.empirical_risk(counts)
    assert found.gradient_max == pytest.approx(_gradient(found.theta, frequencies).abs().max().item(), abs=1e-13)


def _gradient(theta: np.ndarray, frequencies: np.ndarray) -> torch.Tensor:
    return LIKELIHOOD.expand(torch.from_numpy(theta)[None], torch.from_numpy(frequencies)[None]).gradient[0]


def test_gradient_norm_is_in_standard_errors() -> None:
    counts = sample(1_000_000, 1)
    frequencies = counts / counts.sum()
    found = descend(LIKELIHOOD, frequencies, 1e6, START, iterations=0, tolerance=1.0)
    dense = LIKELIHOOD.expand(torch.from_numpy(START)[None], torch.from_numpy(frequencies)[None])
    matrix = dense.fisher[0] + torch.eye(LIKELIHOOD.size, dtype=torch.float64) / 1e6
    expected = (1e6 * dense.gradient[0] @ torch.linalg.solve(matrix, dense.gradient[0])).sqrt()
    assert found.gradient_norm == pytest.approx(float(expected), rel=1e-3)
    assert found.iterations == 0
    assert np.array_equal(found.theta, START)


def test_a_blind_fit_is_accepted_and_never_above_the_truth_or_a_dense_fit() -> None:
    counts = sample(1_000_000, 3)
    truth_loss = TRUTH.empirical_risk(counts)
    found = fit_large(LIKELIHOOD, counts, truth_loss, 1)
    assert found.state is State.ACCEPTED
    assert found.gap <= 0
    assert found.gradient_max <= 1e-12
    assert found.training_loss == pytest.approx(-(counts * LIKELIHOOD.log_law(found.theta)).sum() / 1e6, rel=1e-12)
    assert found.training_loss == pytest.approx(fit(LIKELIHOOD, counts, truth_loss, 1).training_loss, abs=1e-12)


def test_a_given_start_needs_no_random_one_and_no_truth() -> None:
    found = fit_large(LIKELIHOOD, sample(1_000_000, 3), None, 0, Settings(starts=0, kept=1, tolerance=0.01), START)
    assert found.state is State.STATIONARY
    assert found.starts == 0
    assert np.isnan(found.truth_loss)


def test_same_seed_same_bits() -> None:
    counts = sample(10_000, 3)
    plan = Settings(starts=2, kept=1, screening=3, iterations=5, rounds=1)
    one, other, third = (fit_large(LIKELIHOOD, counts, 0.0, seed, plan) for seed in (5, 5, 6))
    assert np.array_equal(one.theta, other.theta)
    assert not np.array_equal(one.theta, third.theta)


def test_rounds_of_starts_end_where_none_reaches_the_truths_loss() -> None:
    counts = sample(1_000, 3)
    plan = Settings(starts=2, kept=1, screening=2, iterations=2, rounds=3)
    found = fit_large(LIKELIHOOD, counts, 0.0, 0, plan)
    assert found.state is State.ABOVE_TRUTH
    assert found.starts == 6


def test_cells_that_nobody_took_leave_a_finite_fit() -> None:
    counts = sample(100_000, 0)
    counts[:, :4] = 0
    found = descend(LIKELIHOOD, counts / counts.sum(), float(counts.sum()), START, 100, 1e-2)
    law = np.exp(LIKELIHOOD.log_law(found.theta))
    assert np.isfinite(found.theta).all()
    assert law[:, :4].max() < 1e-3
    assert found.gradient_norm < 1


@pytest.mark.parametrize(
    ("frequencies", "theta"),
    [
        (np.ones((1, 1)), START),
        (np.full((TRUTH.users, TRUTH.cells), 1 / TRUTH.users / TRUTH.cells), START[1:]),
        (np.ones((TRUTH.users, TRUTH.cells)), START),
        (np.full((TRUTH.users, TRUTH.cells), np.nan), START),
        (np.full((TRUTH.users, TRUTH.cells), 1 / TRUTH.users / TRUTH.cells), np.full_like(START, np.inf)),
    ],
)
def test_wrong_shapes_and_values_are_refused(frequencies: np.ndarray, theta: np.ndarray) -> None:
    with pytest.raises(InputError):
        descend(LIKELIHOOD, frequencies, 1.0, theta, 1, 1.0)


@pytest.mark.parametrize("counts", [np.zeros((TRUTH.users, TRUTH.cells), dtype=np.int64), np.ones((2, 2), np.int64)])
def test_wrong_counts_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(InputError):
        fit_large(LIKELIHOOD, counts, 0.0, 0)


@pytest.mark.parametrize("theta0", [None, START[1:], np.full_like(START, np.nan)])
def test_wrong_starts_are_refused(theta0: np.ndarray | None) -> None:
    with pytest.raises(InputError):
        fit_large(LIKELIHOOD, sample(100, 0), 0.0, 0, Settings(starts=0, kept=1), theta0)


def test_the_benchmark_reports_a_fit_below_the_truths_loss() -> None:
    (row,) = large_fit_ratios(users=60, items=12, levels=2, size=10**7)
    assert row["parameters"] == 12 * 6 + 4 + 4 + 48 + 4
    assert row["loss less the truth's, nats"] <= 0
    assert 0 < row["memory over 4 GB"] < 1
    assert row["processor time over 600 s"] > 0
