"""The statistical floor, within the class and outside, the nearest law, and the histogram."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings, fit_many, one_thread
from conv4rec_experiments.fits.floor import (
    Floor,
    histogram_law,
    nearest_law,
    statistical_floor,
)
from conv4rec_experiments.truths import (
    Truth,
    latent_classes_truth,
    reference_truth,
    sharp_truth,
    small_truth,
    twins_truth,
    user_mix,
)

SMALL = small_truth(0)
TWINS = twins_truth(1, users=6, items=4, levels=2, profile_items=2, channels=1, code=1)


def newton(truth: Truth, theta: np.ndarray, joints: list[np.ndarray], steps: int) -> list[np.ndarray]:
    """Minimise ``-sum joint log P_theta`` from nearby for every table, with the first table's Hessian at the start."""

    def loss(point: torch.Tensor, joint: torch.Tensor) -> torch.Tensor:
        return -(joint * truth.likelihood.log_laws(point[None])[0]).sum()

    found = []
    with one_thread():
        start, first = torch.from_numpy(theta), torch.from_numpy(joints[0])
        values, vectors = torch.linalg.eigh(torch.func.jacrev(torch.func.grad(loss))(start, first))
        keep = values > 1e-9 * values[-1]
        inverse = (vectors[:, keep] / values[keep]) @ vectors[:, keep].T
        for joint in joints:
            point = start
            for _ in range(steps):
                point = point - inverse @ torch.func.grad(loss)(point, torch.from_numpy(joint))
            found.append(point.numpy())
    return found


@cache
def misfit() -> Truth:
    """Make a truth far outside the class, with its nearest network, in which no two users have one profile."""
    base = latent_classes_truth(4, users=5, items=4, levels=2, channels=1, code=1, profile_items=2)
    fit = fit_many(base.likelihood, np.rint(10**12 * base.pi[:, None] * base.law).astype(np.int64)[None], [0.0], [0])[0]
    theta = newton(base, fit.theta, [base.pi[:, None] * base.law], steps=30)[0]
    return replace(base, weights=base.likelihood.unpack(theta))


@pytest.mark.parametrize("seed", range(3))
def test_floor_is_the_formula_with_a_pseudo_inverse(seed: int) -> None:
    truth = reference_truth(seed, users=5, items=4, levels=2, channels=1, code=1, profile_items=2)
    jacobian = truth.likelihood.jacobian(truth.likelihood.pack(truth.weights)).reshape(-1, truth.likelihood.size)
    cell = (truth.pi[:, None] * truth.law).reshape(-1)
    fisher = jacobian.T @ (cell[:, None] * jacobian)
    variance = np.einsum("yp,pr,yr->y", jacobian, np.linalg.pinv(fisher, rcond=1e-11, hermitian=True), jacobian)
    expected = 0.5 * (cell * np.sqrt(2 / np.pi) * np.sqrt(variance / 1_000)).sum()
    floor = statistical_floor(truth)
    assert floor.tv(1_000) == pytest.approx(expected, rel=1e-6)
    assert floor.limit == 0
    assert floor.rank == np.linalg.matrix_rank(fisher, tol=1e-11 * np.linalg.norm(fisher, 2), hermitian=True)


@pytest.mark.parametrize("truth", [SMALL, reference_truth(1, users=5, items=4, profile_items=2)], ids=["small", "tiny"])
def test_the_sandwich_of_a_truth_in_the_class_is_the_inverse_information(truth: Truth) -> None:
    within, outside = statistical_floor(truth), statistical_floor(replace(truth, realisable=False))
    assert outside.rank == within.rank
    np.testing.assert_allclose(outside.deviation, within.deviation, rtol=1e-6)
    assert outside.tv(10_000) == pytest.approx(within.tv(10_000), rel=1e-8)


@pytest.mark.parametrize("truth", [TWINS, misfit()], ids=["twins", "misfit"])
def test_deviations_are_those_of_the_change_of_the_nearest_law_with_the_data(truth: Truth) -> None:
    step, theta = 1e-4, truth.likelihood.pack(truth.weights)
    joint = truth.pi[:, None] * truth.law
    nearest = np.exp(truth.nearest)
    unit = step * np.eye(joint.size).reshape(-1, *joint.shape)
    found = newton(truth, theta, [joint, *(joint + unit), *(joint - unit)], steps=6)[1:]
    laws = np.stack([truth.pi[:, None] * np.exp(truth.likelihood.log_law(point)) for point in found])
    slopes = ((laws[: joint.size] - laws[joint.size :]) / (2 * step)).reshape(joint.size, -1).T
    share = joint.reshape(-1)
    variance = (slopes**2) @ share - (slopes @ share) ** 2
    floor = statistical_floor(truth)
    np.testing.assert_allclose(floor.deviation, np.sqrt(variance), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(floor.shift.reshape(joint.shape), truth.pi[:, None] * nearest - joint, atol=1e-12)
    assert floor.limit == pytest.approx(truth.tv(nearest))


def test_the_hessian_and_not_the_fisher_matrix_decides_outside_the_class() -> None:
    truth = misfit()
    jacobian = truth.likelihood.jacobian(truth.likelihood.pack(truth.weights)).reshape(-1, truth.likelihood.size)
    joint, near = ((truth.pi[:, None] * law).reshape(-1) for law in (truth.law, np.exp(truth.nearest)))
    inverse = np.linalg.pinv(jacobian.T @ (near[:, None] * jacobian), rcond=1e-11, hermitian=True)
    sandwich = jacobian @ inverse @ (jacobian.T @ (joint[:, None] * jacobian)) @ inverse @ jacobian.T
    deviation = near * np.sqrt(np.diag(sandwich))
    assert np.abs(deviation / statistical_floor(truth).deviation - 1).max() > 0.05


def test_flat_directions_are_found_not_assumed() -> None:
    assert statistical_floor(SMALL).rank < SMALL.likelihood.size
    weights = dict(SMALL.weights) | {"decode": np.zeros_like(SMALL.weights["decode"])}
    log_law = SMALL.likelihood.log_law(SMALL.likelihood.pack(weights))
    degenerate = replace(SMALL, weights=weights, law=np.exp(log_law))
    assert statistical_floor(degenerate).rank < statistical_floor(SMALL).rank


def test_floor_falls_with_the_root_of_the_size_within_the_class_and_to_its_limit_outside() -> None:
    floor = statistical_floor(SMALL)
    assert floor.tv(4_000_000) == pytest.approx(floor.tv(1_000_000) / 2)
    outside = statistical_floor(TWINS)
    values = [outside.tv(10**power) for power in range(2, 17, 2)]
    assert all(first >= second - 1e-12 for first, second in pairwise(values))
    assert values[0] > 1.1 * values[1]
    assert values[-1] == pytest.approx(outside.limit, rel=1e-6)
    assert min(values) >= outside.limit - 1e-12


@given(
    shift=arrays(np.float64, 5, elements=st.floats(-1, 1)),
    deviation=arrays(np.float64, 5, elements=st.floats(0, 3)),
    size=st.integers(1, 10**12),
)
def test_the_floor_is_half_the_mean_size_of_gaussians(shift: np.ndarray, deviation: np.ndarray, size: int) -> None:
    gaussian = np.linspace(-10, 10, 4_001)
    density = np.exp(-(gaussian**2) / 2)
    density /= density.sum()
    spread = deviation / np.sqrt(size)
    expected = (np.abs(shift[:, None] + spread[:, None] * gaussian) * density).sum() / 2
    assert Floor(shift, deviation, rank=1).tv(size) == pytest.approx(expected, rel=1e-4, abs=1e-300)


def total_variations(truth: Truth, size: int, replicates: int) -> tuple[np.ndarray, np.ndarray]:
    """Total variations of fits under their samples' mixes, and the fitted laws."""
    counts = np.stack([truth.sample(size, np.random.default_rng([7, seed])) for seed in range(replicates)])
    losses = [truth.empirical_risk(table) for table in counts]
    fits = fit_many(truth.likelihood, counts, losses, list(range(replicates)))
    laws = np.stack([np.exp(truth.likelihood.log_law(fit.theta)) for fit in fits])
    return np.array([truth.tv(law, user_mix(table)) for law, table in zip(laws, counts, strict=True)]), laws


def test_fits_reach_the_floor() -> None:
    size = 100_000
    tv, _ = total_variations(SMALL, size, replicates=40)
    assert tv.mean() / statistical_floor(SMALL).tv(size) == pytest.approx(1, abs=0.06)


def test_fits_reach_the_floor_and_spread_as_it_says_outside_the_class() -> None:
    size, replicates = 100_000, 120
    floor = statistical_floor(TWINS)
    tv, laws = total_variations(TWINS, size, replicates)
    error = 4 * tv.std() / np.sqrt(replicates)
    assert tv.mean() == pytest.approx(floor.tv(size), abs=error)
    assert error < 0.01 * floor.limit
    errors = np.sqrt(size) * TWINS.pi[:, None] * (laws - np.exp(TWINS.nearest))
    variance = (errors**2).mean(axis=0).reshape(-1)
    assert (variance / floor.deviation**2).mean() == pytest.approx(1, abs=0.15)


def test_the_nearest_law_is_exact_where_it_is_known() -> None:
    known = nearest_law(TWINS)
    assert known.known
    assert known.kl == pytest.approx(TWINS.comparator_excess())
    assert known.tv == pytest.approx(statistical_floor(TWINS).limit)
    own = nearest_law(SMALL)
    assert (own.known, own.tv) == (True, pytest.approx(0, abs=1e-12))


def test_the_nearest_law_is_searched_where_it_is_not_known() -> None:
    few = Settings(starts=4, rounds=1)
    found, again = (nearest_law(replace(TWINS, weights=None), settings=few) for _ in range(2))
    assert not found.known
    assert found.kl >= TWINS.comparator_excess() - 1e-12
    assert found.kl == pytest.approx(TWINS.comparator_excess(), rel=1e-3)
    assert found.tv == pytest.approx(nearest_law(TWINS).tv, rel=1e-2)
    assert np.array_equal(found.law, again.law)


def test_a_search_copes_with_empty_cells() -> None:
    truth = sharp_truth(0, users=6, items=4, profile_items=2)
    found = nearest_law(truth, settings=Settings(starts=3, rounds=1))
    assert found.kl < 0.01
    assert (found.law > 0).all()
    assert found.tv <= np.sqrt(found.kl / 2)


def test_there_is_no_floor_and_no_nearest_law_where_they_are_unknown_or_out_of_reach() -> None:
    assert statistical_floor(latent_classes_truth(0)) is None
    assert nearest_law(latent_classes_truth(0, users=200, items=100)) is None
    assert statistical_floor(reference_truth(0, users=120, items=100)) is None


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="at least one interaction"):
        statistical_floor(SMALL).tv(0)
    worst = replace(TWINS, law=1e-3 / TWINS.cells + (1 - 1e-3) * np.roll(np.eye(TWINS.cells)[:6], 3, axis=1))
    with pytest.raises(InputError, match="no locally unique minimum"):
        statistical_floor(worst)


@given(arrays(np.int64, (3, 4), elements=st.integers(0, 5)))
def test_histogram_laws_are_laws_and_users_without_data_count_uniform(counts: np.ndarray) -> None:
    law = histogram_law(counts)
    np.testing.assert_allclose(law.sum(axis=1), 1)
    assert (law[counts.sum(axis=1) == 0] == 0.25).all()
    assert (law[(counts.sum(axis=1) > 0)[:, None] & (counts == 0)] == 0).all()
