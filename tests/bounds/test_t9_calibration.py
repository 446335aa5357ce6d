"""T9-calibration: every step of its proof with all signs, both ends, pools, and bins in great number."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import BinnedEvents, Budget, Evidence, Protocol, RefusedError
from conv4rec_bounds.absolute_means import absolute_means_lower, absolute_means_upper
from conv4rec_bounds.betting import betting_upper, number_of_bets
from conv4rec_bounds.theorems.t9_calibration import CalibrationError, binned_error_upper
from theorem_rows.common import DELTA, REPLICATES
from theorem_rows.t9_calibration import CLAIMED, FULL, INDEPENDENT, SHARES, TRUE, drawn, events

signed = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1))
placed = st.lists(st.tuples(signed, st.integers(0, 2)), min_size=1, max_size=30)


def capitals(values: np.ndarray, bins: np.ndarray, v: float, direction: int) -> list[float]:
    """Return the capital of every choice of signs, as the page defines it; direction -1 is that from above."""
    gammas = 2.0 ** -np.arange(number_of_bets(values.size))
    found = []
    for signs in product((-1, 1), repeat=3):
        heights = (1 + direction * np.array(signs)[bins] * values) / 2
        found.append(float(np.mean([np.prod(1 - g + g * heights / v) for g in gammas])))
    return found


def error(values: np.ndarray, bins: np.ndarray) -> float:
    return sum(abs(values[bins == b].sum()) for b in np.unique(bins)) / values.size


def evaluate(evidence: Evidence) -> dict[str, float]:
    return dict(CalibrationError().evaluate(evidence, Fraction(DELTA), Budget(DELTA)).quantities)


@given(placed, st.floats(0.01, 0.5))
def test_both_ends_have_the_capital_that_the_proof_asks_for(pairs: list[tuple[float, int]], delta: float) -> None:
    values, bins = np.array([z for z, _ in pairs]), np.array([b for _, b in pairs])
    upper, lower = absolute_means_upper(values, bins, delta), absolute_means_lower(values, bins, delta)
    assert 0 <= lower <= error(values, bins) + 1e-12
    assert error(values, bins) - 1e-12 <= upper <= 1 + 1e-12
    if upper < 1:
        assert min(capitals(values, bins, (1 - upper) / 2, -1)) >= (1 - 1e-9) / delta
    if lower > 0:
        assert np.mean(capitals(values, bins, (1 + lower) / 2, 1)) >= (1 - 1e-9) / delta


def test_ends_are_close_to_the_best_that_the_capitals_allow() -> None:
    rng = np.random.default_rng(0)
    bins, values = rng.integers(0, 3, 200), rng.uniform(-0.8, 1, 200)
    upper, lower = absolute_means_upper(values, bins, 0.05), absolute_means_lower(values, bins, 0.05)
    # The least over signs bin by bin and bet by bet is a little below the least of all capitals.
    assert min(capitals(values, bins, (1 - upper) / 2 * 0.99, -1)) > 20
    assert min(capitals(values, bins, (1 - upper) / 2 * 1.01, -1)) < 20
    assert np.mean(capitals(values, bins, (1 + lower) / 2 * 1.001, 1)) < 20


@given(st.lists(st.tuples(signed, signed, st.integers(0, 2)), min_size=1, max_size=6))
def test_step_2_the_mean_of_the_capitals_is_fair_at_the_error(laws: list[tuple[float, float, int]]) -> None:
    """Each value is one of two with equal chances; all outcomes are enumerated."""
    bins, means = np.array([b for *_, b in laws]), np.array([(x + y) / 2 for x, y, _ in laws])
    true = error(means, bins)
    outcomes = product(*((x, y) for x, y, _ in laws))
    found = [np.mean(capitals(np.array(outcome), bins, (1 + true) / 2, 1)) for outcome in outcomes]
    assert np.mean(found) <= 1 + 1e-9


@given(placed)
def test_a_split_bin_never_has_a_smaller_error(pairs: list[tuple[float, int]]) -> None:
    values, bins = np.array([z for z, _ in pairs]), np.array([b for _, b in pairs])
    assert error(values, bins) >= error(values, np.minimum(bins, 1)) - 1e-12


@given(placed)
def test_the_measured_error_is_never_rounded_down(pairs: list[tuple[float, int]]) -> None:
    values, bins = np.array([z for z, _ in pairs]), np.array([b for _, b in pairs])
    sums = [abs(sum(Fraction(z) for z, b in pairs if b == k)) for k in range(3)]
    exact = sum(sums) / len(pairs)
    assert exact <= Fraction(binned_error_upper(values, bins)) <= exact + Fraction(1, 10**12)


def test_one_bin_is_a_two_sided_betting_bound() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(-0.2, 0.9, 400)
    one_sided = 2 * betting_upper((1 + values) / 2, 0.05) - 1
    assert absolute_means_upper(values, np.zeros(400, dtype=int), 0.05) == pytest.approx(one_sided, rel=1e-6)


@pytest.mark.parametrize(("true", "count"), [(TRUE, 4), (CLAIMED, 20)])
def test_both_ends_hold_as_often_as_they_say(true: np.ndarray, count: int) -> None:
    """A calibrated and a miscalibrated model, in four bins and in twenty of the same probabilities."""
    rng, target = np.random.default_rng(54), float(SHARES @ np.abs(true - CLAIMED))
    above = below = 0
    for _ in range(REPLICATES):
        place = rng.choice(4, 100, p=SHARES)
        bins = place * (count // 4) + rng.integers(0, count // 4, 100)
        gaps = (rng.random(100) < true[place]) - CLAIMED[place]
        above += absolute_means_upper(gaps, bins, DELTA) < target
        below += absolute_means_lower(gaps, bins, DELTA) > target
    assert max(above, below) <= 0.05 * REPLICATES


def test_both_ends_hold_for_subsets_of_a_pool() -> None:
    rng = np.random.default_rng(55)
    pool = drawn(rng, 400)
    gaps, bins = pool.happened["high"] - pool.probabilities["high"], pool.bins["high"]
    target, missed = error(gaps, bins), 0
    for _ in range(REPLICATES):
        rows = rng.choice(400, 100, replace=False)
        part = events(*(array["high"][rows] for array in (pool.happened, pool.probabilities, pool.bins)), pool=400)
        found = evaluate(Evidence(9, Protocol("finite pool"), binned_events=part))
        missed += not found["high, lower end"] <= target <= found["high"]
    assert missed <= 0.05 * REPLICATES


def test_the_lower_end_is_news_about_a_model_that_is_wrong() -> None:
    found = evaluate(replace(FULL, binned_events=drawn(np.random.default_rng(2), 10_000)))
    target = float(SHARES @ np.abs(TRUE - CLAIMED))
    assert 0.5 * target < found["high, lower end"] < target < found["high"] < 1.5 * target


def test_bins_cost_the_upper_end_nothing() -> None:
    """A union over bins with both sides of each would be several times as wide."""
    rng = np.random.default_rng(3)
    bins = np.arange(10_000) % 10
    gaps = (rng.random(10_000) < 0.5) - 0.5
    gaps += np.where(bins < 5, 0.1, -0.1) * (1 - 2 * np.abs(gaps))
    width = absolute_means_upper(gaps, bins, 0.05) - error(gaps, bins)
    union = 0.0
    for b in range(10):
        own = np.where(bins == b, gaps, 0)
        union += 2 * betting_upper((1 + own) / 2, 0.05 / 20) - 1 - own.mean()
    assert 3 * width < union


def test_events_share_delta_for_both_of_their_ends() -> None:
    part = FULL.binned_events
    two = BinnedEvents(*({"high": one["high"], "low": one["high"]} for one in vars(part).values() if type(one) is dict))
    budget = Budget(DELTA)
    CalibrationError().evaluate(Evidence(9, INDEPENDENT, binned_events=two), Fraction(DELTA), budget)
    assert [purpose for purpose, _ in budget.entries] == [
        f"T9-calibration: {name}, {side}" for name in ("high", "low") for side in ("upper", "lower")
    ]
    assert {amount for _, amount in budget.entries} == {Fraction(DELTA) / 4}


YES, HALF, FIRST = np.array([True, False]), np.array([0.5, 0.5]), np.array([0, 0])


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (({}, {}, {}), "at least one event"),
        (({"a": YES}, {"b": HALF}, {"a": FIRST}), "both for each"),
        (({"a": HALF}, {"a": HALF}, {"a": FIRST}), "true or false"),
        (({"a": YES}, {"a": HALF}, {"a": HALF}), "and integers"),
        (({"a": YES}, {"a": HALF + 0.6}, {"a": FIRST}), r"leave \[0, 1\]"),
        (({"a": YES}, {"a": HALF * np.nan}, {"a": FIRST}), "expected finite numbers"),
        (({"a": YES}, {"a": HALF}, {"a": FIRST - 1}), "expected numbers from 0"),
        (({"a": YES}, {"a": HALF}, {"a": FIRST[:1]}), "one for each interaction"),
    ],
)
def test_what_are_no_binned_events_is_refused(parts, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        BinnedEvents(*parts)


@pytest.mark.parametrize(
    ("values", "bins", "delta", "why"),
    [
        (np.array([]), FIRST[:0], 0.05, "values to bet on are missing"),
        (HALF * 3, FIRST, 0.05, "values to bet on are missing, NaN or outside"),
        (HALF * np.nan, FIRST, 0.05, "NaN"),
        (HALF, FIRST - 1, 0.05, "no integers from 0"),
        (HALF, HALF, 0.05, "no integers from 0"),
        (HALF, FIRST, 1.0, "strictly between 0 and 1"),
    ],
)
def test_nothing_is_bet_on_what_is_no_difference(values, bins, delta: float, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        absolute_means_upper(values, bins, delta)
