"""T9 and its finite-pool reading: what only they promise."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Evidence, HeldOut, Protocol, betting
from conv4rec_bounds.theorems.t9_finite_pool import HeldOutPool
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk, mean_upper, variance_upper
from theorem_rows.common import DELTA


@given(st.floats(-300, 0), st.integers(2, 30))
def test_the_mean_and_variance_of_losses_are_upper_ends(log_probability: float, size: int) -> None:
    log_probabilities = np.linspace(log_probability, 0, size)
    losses = HeldOut(log_probabilities, np.full(size, 9), smoothing=0.2).losses
    alpha = mpmath.mpf(0.2)
    with mpmath.workdps(40):
        values = [
            -mpmath.log((1 - alpha) * mpmath.exp(mpmath.mpf(lp)) + alpha / 9) for lp in map(float, log_probabilities)
        ]
    mean = sum(values) / size
    variance = sum((v - mean) ** 2 for v in values) / (size - 1)
    assert float(mean) <= mean_upper(losses) <= float(mean) + 1e-12
    assert float(variance) <= variance_upper(losses) <= float(variance) + 1e-10


def test_float32_log_probabilities_are_the_numbers_they_store() -> None:
    stored = np.log(np.random.default_rng(0).uniform(0.01, 0.9, size=50)).astype(np.float32)
    cells = np.full(50, 9)
    narrow, wide = (HeldOut(lp, cells).losses for lp in (stored, stored.astype(np.float64)))
    np.testing.assert_array_equal(narrow.losses, wide.losses)
    assert narrow.error == wide.error


def test_the_range_of_a_pool_holds_for_interactions_that_were_not_drawn() -> None:
    """Users differ in their cells: the sample alone would give too small a range, and certificates that miss."""
    few = HeldOut(np.zeros(5), np.ones(5, dtype=np.int64), pool=np.array([1] * 9 + [10**6]))
    evidence = Evidence(cells=10**6, protocol=Protocol("finite pool"), pool_sample=few)
    certificate = HeldOutPool().evaluate(evidence, Fraction(DELTA), Budget(DELTA))
    assert certificate.quantities["M"] >= math.log(10**6 / 0.01)
    assert certificate.trivial == pytest.approx(math.log(10**6) / 10)


def test_a_predictor_that_knows_which_rows_were_drawn_would_be_certified_for_the_others() -> None:
    """All rows have the same cell, which the predictor gives only to drawn ones; it has seen none of the pool."""
    rng, drawn, rows = np.random.default_rng(3), 200, 400
    for _ in range(50):
        inside = np.isin(np.arange(rows), rng.choice(rows, size=drawn, replace=False))
        everywhere = HeldOut(np.log(np.where(inside, 0.9, 0.002)), np.full(rows, 50))
        part = HeldOut(
            everywhere.log_probabilities[inside], np.full(drawn, 50), pool=np.full(rows, 50), untouched=False
        )
        evidence = Evidence(50, Protocol("finite pool"), pool_sample=part)
        assert "T9-pool refuses (A1)" in str(HeldOutPool().refusal(evidence))
        unrefused = HeldOutPool().evaluate(evidence, Fraction(DELTA), Budget(DELTA)).value
        assert unrefused < everywhere.losses.losses.mean() / 2


@pytest.mark.parametrize(
    ("size", "probabilities", "best"),
    [
        (100, [1e-300, 1.0], "Hoeffding"),
        (2_000, [0.2, 0.4], "betting"),
        (1_000_000, [1e-3, 0.9], "empirical Bernstein"),
    ],
)
def test_each_of_the_three_deviations_can_be_the_least(size: int, probabilities: list[float], best: str) -> None:
    log_probabilities = np.log(np.resize(probabilities, size))
    evidence = Evidence(9, Protocol("independent"), held_out=HeldOut(log_probabilities, np.full(size, 9)))
    certificate = HeldOutRisk().evaluate(evidence, Fraction(DELTA), Budget(DELTA))
    assert list(certificate.attribution) == [best]


def test_the_betting_end_of_a_million_interactions_needs_a_short_sum_only() -> None:
    rng = np.random.default_rng(2)
    part = HeldOut(np.log(rng.uniform(0.001, 0.9, 1_000_000)), np.full(1_000_000, 90))
    points, _ = betting._grid(np.clip(part.losses.losses / 10, 0, 1))
    assert points.size <= 1025
