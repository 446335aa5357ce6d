"""The betting bound: every step of its proof, and that the certified end is the one that the definition gives."""

import math
from fractions import Fraction
from itertools import combinations, product

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from conv4rec_bounds import HeldOut, RefusedError
from conv4rec_bounds import betting as module
from conv4rec_bounds.betting import betting_upper, number_of_bets
from conv4rec_bounds.theorems.t9_held_out import betting_variance, mean_upper

unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
samples = st.lists(unit, min_size=1, max_size=40)
bets = st.floats(0, 1)
deltas = st.floats(1e-6, 0.5)


def capital(heights: np.ndarray, v: float) -> float:
    """Return K(v) as the page defines it, in plain floating point."""
    gammas = 2.0 ** -np.arange(number_of_bets(heights.size))
    return float(np.mean([np.prod(1 - gamma + gamma * heights / v) for gamma in gammas]))


def plain_end(values: np.ndarray, delta: float) -> float:
    """Return the bound without the grid: the exact root of K(v) = 1/delta."""
    heights = 1 - values

    def excess(v: float) -> float:
        with np.errstate(over="ignore"):
            return min(capital(heights, v), 1e300) * delta - 1

    return 1.0 if excess(1e-12) < 0 else 1 - float(brentq(excess, 1e-12, 1, xtol=1e-15))


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=6), bets)
def test_step_1_a_constant_bet_is_fair_whatever_the_means(laws: list[tuple[float, float]], bet: float) -> None:
    """Each variable is one of two values with equal chances; all outcomes are enumerated."""
    nu = float(np.mean(laws))
    if nu > 1e-6:
        outcomes = np.array(list(product(*laws)))
        assert np.prod(1 - bet + bet * outcomes / nu, axis=1).mean() <= 1 + 1e-9


@given(st.lists(unit, min_size=2, max_size=8), st.integers(1, 7), bets)
def test_step_1_a_constant_bet_is_fair_without_replacement(pool: list[float], size: int, bet: float) -> None:
    nu = float(np.mean(pool))
    if nu > 1e-6:
        subsets = np.array(list(combinations(pool, min(size, len(pool)))))
        assert np.prod(1 - bet + bet * subsets / nu, axis=1).mean() <= 1 + 1e-9


def test_step_1_is_attained_by_equal_means() -> None:
    outcomes = np.array(list(product((0.2, 0.8), repeat=8)))
    assert np.prod(1 - 0.7 + 0.7 * outcomes / 0.5, axis=1).mean() == pytest.approx(1, rel=1e-12)


def test_bets_that_follow_the_data_are_not_fair_for_unequal_means() -> None:
    heights = np.repeat([1.0, 0.0], 20)
    product_, betting = 1.0, True
    for height in heights:
        product_ *= 1 - 0.5 + 0.5 * height / heights.mean() if betting else 1.0
        betting = betting and height == 1
    assert product_ == pytest.approx(0.5 * 1.5**20)
    assert product_ > 1000
    assert capital(heights, float(heights.mean())) <= 1


@given(samples, st.floats(1e-3, 1), st.floats(1e-3, 1))
def test_step_2_the_capital_does_not_rise_in_v(sample: list[float], first: float, second: float) -> None:
    low, high = sorted((first, second))
    heights = np.array(sample)
    assert capital(heights, high) <= capital(heights, low) * (1 + 1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), bets, st.floats(1e-6, 1))
def test_splitting_a_value_between_neighbours_lowers_the_capital(
    first: float, second: float, share: float, bet: float, v: float
) -> None:
    middle = share * first + (1 - share) * second
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.log(1 - bet + bet * np.array([first, second]) / v)
        whole = np.log(1 - bet + bet * middle / v)
    split = sum(weight * end for weight, end in zip((share, 1 - share), ends, strict=True) if weight > 0)
    assert split <= whole + 1e-9 * (1 + abs(whole))


@given(samples)
def test_the_grid_keeps_the_number_and_the_sum_of_the_values(sample: list[float]) -> None:
    points, weights = module._grid(np.array(sample))
    unit_ = 2 ** (module.UNIT_LOG2 - module.BINS_LOG2)
    assert int(weights.sum()) == len(sample) * unit_
    total = sum(Fraction(p) * int(w) for p, w in zip(points.tolist(), weights, strict=True)) / unit_
    exact = sum(1 - Fraction(value) for value in sample)
    assert exact - Fraction(len(sample), 2**module.UNIT_LOG2) <= total <= exact


@given(samples, deltas)
def test_the_end_is_certified_and_next_to_the_one_of_the_definition(sample: list[float], delta: float) -> None:
    values = np.array(sample)
    end = betting_upper(values, delta)
    assert plain_end(values, delta) - 1e-9 <= end <= 1
    assert end >= values.mean()
    if end < 1:
        with mpmath.workdps(60):
            v = 1 - mpmath.mpf(end)
            gammas = [mpmath.mpf(2) ** -g for g in range(number_of_bets(values.size))]
            exact = [mpmath.fprod(1 - g + g * (1 - mpmath.mpf(x)) / v for x in sample) for g in gammas]
            assert mpmath.fsum(exact) * mpmath.mpf(delta) >= len(gammas)


@pytest.mark.parametrize("spread", [0.05, 0.2])
@pytest.mark.parametrize("size", [30, 1000, 100_000])
def test_the_grid_costs_next_to_nothing(spread: float, size: int) -> None:
    values = np.clip(np.random.default_rng(size).normal(0.4, spread, size), 0, 1)
    gap = plain_end_of_logs(values, 0.05) - values.mean()
    assert betting_upper(values, 0.05) - values.mean() == pytest.approx(gap, rel=2e-3)


def plain_end_of_logs(values: np.ndarray, delta: float) -> float:
    gammas = 2.0 ** -np.arange(number_of_bets(values.size))[:, None]

    def excess(v: float) -> float:
        with np.errstate(divide="ignore"):
            logs = np.log(1 - gammas + gammas * (1 - values) / v).sum(axis=1)
        return float(np.logaddexp.reduce(logs)) - math.log(gammas.size / delta)

    return 1 - float(brentq(excess, 1e-3, 1, xtol=1e-15))


def test_values_at_the_borders() -> None:
    assert betting_upper(np.ones(50), 0.05) == 1
    assert betting_upper(np.zeros(1), 0.05) == pytest.approx(0.95, rel=1e-9)
    all_on_one, split = (1 - share**1e-3 for share in (0.05, 0.05 / number_of_bets(1000)))
    assert all_on_one < betting_upper(np.zeros(1000), 0.05) < split


@pytest.mark.parametrize("values", [[], [math.nan], [-1e-9], [1.0000001], [math.inf], [[0.5]]])
def test_what_is_no_list_of_shares_is_refused(values: list[float]) -> None:
    with pytest.raises(RefusedError, match="expected scaled losses"):
        betting_upper(np.array(values), 0.05)


@pytest.mark.parametrize("delta", [0.0, 1.0, math.nan, -0.1])
def test_no_failure_probability_is_refused(delta: float) -> None:
    with pytest.raises(RefusedError, match="strictly between 0 and 1"):
        betting_upper(np.array([0.5]), delta)


def test_a_search_that_went_wrong_never_gives_too_low_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).random(200)
    right = betting_upper(values, 0.05)
    there = module._search
    monkeypatch.setattr(module, "_search", lambda *arguments: there(*arguments) * 1.0005)
    assert right <= betting_upper(values, 0.05) <= right + 0.01
    monkeypatch.setattr(module, "_search", lambda *arguments: math.nan)
    assert betting_upper(values, 0.05) == 1


@given(st.floats(-300, 0), st.integers(2, 30), st.floats(1e-6, 1 - 1e-9))
def test_the_variance_of_t9_stands_for_the_betting_end(log_probability: float, size: int, smoothing: float) -> None:
    losses = HeldOut(np.linspace(log_probability, 0, size), np.full(size, 9), smoothing=smoothing).losses
    width, share = losses.high - losses.low, Fraction(1, 60)
    found = betting_variance(losses, losses.low, losses.high, share)
    end = mean_upper(losses) + math.sqrt(2 * found * math.log(60) / size)
    scaled = np.clip((losses.losses - losses.low) / width, 0, 1)
    rounding = 64 * (losses.error + 1e-15) + 1e-12 * width
    assert losses.low + width * plain_end(scaled, 1 / 60) - rounding <= end <= losses.high * (1 + 1e-12) + rounding
