"""The concentration steps of T1 and T9, on laws and pools that are small enough to be enumerated."""

from itertools import combinations, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

unit = st.floats(0, 1)
pools = st.lists(unit, min_size=2, max_size=6)


@given(pools, st.integers(1, 3), st.floats(-5, 5))
def test_hoeffding_theorem_4_sampling_without_replacement_has_the_smaller_moments(
    pool: list[float], size: int, slope: float
) -> None:
    size = min(size, len(pool))
    without = np.mean([np.exp(slope * sum(chosen)) for chosen in combinations(pool, size)])
    with_replacement = np.mean(np.exp(slope * np.array(pool))) ** size
    assert without <= with_replacement * (1 + 1e-12)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=5), st.floats(-20, 20))
def test_hoeffdings_lemma(law: list[tuple[float, float]], slope: float) -> None:
    values, weights = np.array([v for v, _ in law]), np.array([w for _, w in law]) + 1e-3
    weights /= weights.sum()
    centred = values - weights @ values
    assert np.log(weights @ np.exp(slope * centred)) <= slope**2 / 8 + 1e-12


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=5), st.floats(0.01, 2.9))
def test_t9_step_1_the_moments_of_bernstein(law: list[tuple[float, float]], slope: float) -> None:
    values, weights = np.array([v for v, _ in law]), np.array([w for _, w in law]) + 1e-3
    weights /= weights.sum()
    below = weights @ values - values
    variance = weights @ below**2
    assert np.log(weights @ np.exp(slope * below)) <= slope**2 * variance / (2 * (1 - slope / 3)) + 1e-12


@given(st.lists(st.lists(unit, min_size=2, max_size=2), min_size=2, max_size=5))
def test_t9_step_2_the_mean_of_the_sample_variance_is_no_less_than_the_mean_variance(laws: list[list[float]]) -> None:
    """Each variable is one of two values with equal chances; all outcomes are enumerated."""
    expected = np.mean([np.var(outcome, ddof=1) for outcome in product(*laws)])
    assert np.mean([np.var(law) for law in laws]) <= expected + 1e-12


@given(st.lists(unit, min_size=2, max_size=12))
def test_t9_step_3_the_sample_variance_is_self_bounding(sample: list[float]) -> None:
    values = np.array(sample)
    size = values.size

    def scaled_variance(chosen: np.ndarray) -> float:
        return size * float(np.var(chosen, ddof=1))

    here, drops = scaled_variance(values), []
    for index in range(size):
        others = np.delete(values, index)
        least = values.copy()
        least[index] = others.mean()
        grid = [scaled_variance(np.insert(others, index, x)) for x in np.linspace(0, 1, 21)]
        assert scaled_variance(least) <= min(grid) + 1e-12
        drops.append(here - scaled_variance(least))
        assert drops[-1] <= (values[index] - others.mean()) ** 2 + 1e-12 <= 1 + 1e-11
    assert np.square(drops).sum() <= size / (size - 1) * here + 1e-9


@given(st.lists(unit, min_size=3, max_size=7), st.integers(1, 6), st.floats(0.01, 0.99))
def test_serfling_holds_for_every_enumerated_pool(pool: list[float], size: int, delta: float) -> None:
    size = min(size, len(pool) - 1)
    means = np.array([np.mean(chosen) for chosen in combinations(pool, size)])
    width = max(pool) - min(pool)
    deviation = width * np.sqrt((1 - (size - 1) / len(pool)) * np.log(1 / delta) / (2 * size))
    assert (np.mean(pool) - means > deviation + 1e-12).mean() <= delta
