"""The statistical floor and the histogram."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conv4rec_experiments.fits.floor import histogram_floor, histogram_law, statistical_floor
from conv4rec_experiments.studies.coverage import fits
from conv4rec_experiments.truths import reference_truth, small_truth, user_mix

SMALL = small_truth(0)


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
    assert floor.rank == np.linalg.matrix_rank(fisher, tol=1e-11 * np.linalg.norm(fisher, 2), hermitian=True)


def test_flat_directions_are_found_not_assumed() -> None:
    assert statistical_floor(SMALL).rank < SMALL.likelihood.size
    weights = dict(SMALL.weights) | {"decode": np.zeros_like(SMALL.weights["decode"])}
    log_law = SMALL.likelihood.log_law(SMALL.likelihood.pack(weights))
    degenerate = replace(SMALL, weights=weights, law=np.exp(log_law))
    assert statistical_floor(degenerate).rank < statistical_floor(SMALL).rank


def test_floor_falls_with_the_root_of_the_size() -> None:
    floor = statistical_floor(SMALL)
    assert floor.tv(4_000_000) == pytest.approx(floor.tv(1_000_000) / 2)


def test_fits_reach_the_floor() -> None:
    size = 100_000
    found = fits(SMALL, size, replicates=40, seed=1)
    tv = [
        SMALL.tv(np.exp(SMALL.likelihood.log_law(fit.theta)), user_mix(counts))
        for fit, counts in zip(found.fits, found.counts, strict=True)
    ]
    assert np.mean(tv) / statistical_floor(SMALL).tv(size) == pytest.approx(1, abs=0.06)


@given(arrays(np.int64, (3, 4), elements=st.integers(0, 5)))
def test_histogram_laws_are_laws_and_users_without_data_count_uniform(counts: np.ndarray) -> None:
    law = histogram_law(counts)
    np.testing.assert_allclose(law.sum(axis=1), 1)
    assert (law[counts.sum(axis=1) == 0] == 0.25).all()
    assert (law[(counts.sum(axis=1) > 0)[:, None] & (counts == 0)] == 0).all()


def test_histogram_floor_is_the_mean_of_large_samples() -> None:
    size = 1_000_000
    measured = [SMALL.tv(histogram_law(SMALL.sample(size, np.random.default_rng(seed)))) for seed in range(50)]
    assert np.mean(measured) == pytest.approx(histogram_floor(SMALL, size), rel=0.02)
    assert statistical_floor(SMALL).tv(size) < histogram_floor(SMALL, size)
