"""T9-sequence: every step of its proof, certified ends, and what repeated looks do to a fixed number."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Evidence, Protocol, RefusedError, TimeOrdered, certify, running_interval
from conv4rec_bounds.betting import betting_upper, number_of_bets
from conv4rec_bounds.loss import SmoothedLosses
from conv4rec_bounds.running import SIZES, UNIT, upper_ends, wagers
from conv4rec_bounds.theorems.t9_sequence import RunningRisk
from conv4rec_experiments.studies.coverage import binomial_tail, coverage
from theorem_rows.common import DELTA, REPLICATES
from theorem_rows.t9_sequence import FULL, NEITHER, direct, learning

unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
samples = st.lists(unit, min_size=1, max_size=40)


def centre(before: list[float], size: float) -> float:
    return max((0.5 + math.fsum(before)) / (len(before) + 1), 1 - 1 / size)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=5), st.integers(0, SIZES - 1), unit)
def test_step_1_a_bet_is_fair_or_worse(law: list[tuple[float, float]], place: int, free: float) -> None:
    size = 2.0 ** (1 - place)
    c = max(free, 1 - 1 / size)
    values, weights = np.array([v for v, _ in law]), np.array([w for _, w in law]) + 1e-3
    weights /= weights.sum()
    factors = 1 - size * (values - c)
    assert (factors >= -1e-12).all()
    assert math.log(max(weights @ factors, 1e-300)) <= -size * (weights @ values - c) + 1e-9


@given(
    st.lists(unit, min_size=7, max_size=7), st.lists(st.tuples(unit, unit), min_size=7, max_size=7), st.integers(0, 4)
)
def test_step_2_the_product_is_a_supermartingale_on_every_tree(
    chances: list[float], values: list[tuple[float, float]], place: int
) -> None:
    """Three steps; the law of each depends on the path so far, one node of a binary tree for each path."""
    size, expected = 2.0 ** (1 - place), 0.0
    for path in product((0, 1), repeat=3):
        node, before, chance, log = 0, [], 1.0, 1.0
        for branch in path:
            p, x = chances[node], values[node][branch]
            mean = (1 - p) * values[node][0] + p * values[node][1]
            c = centre(before, size)
            log *= (1 - size * (x - c)) * math.exp(size * (mean - c))
            chance *= p if branch else 1 - p
            before, node = [*before, x], 2 * node + 1 + branch
        expected += chance * log
    assert expected <= 1 + 1e-9


def test_step_3_the_weights_sum_to_one() -> None:
    assert sum(1 / ((g + 1) * (g + 2)) for g in range(SIZES)) == pytest.approx(1 - 1 / (SIZES + 1))


@given(samples, st.integers(0, SIZES - 1))
def test_arguments_of_the_logarithms_are_exact_and_sums_are_upper_ends(sample: list[float], place: int) -> None:
    values = np.array(sample)
    wager = list(wagers(values))[place]
    rounded = np.ceil(values * 2.0**36) / 2.0**36
    centres = np.diff(wager.centres, prepend=0)
    assert (centres >= 1 - 1 / wager.size).all()
    arguments = 1 - wager.size * (rounded - centres)
    assert all(float(argument).as_integer_ratio()[1] <= 2**53 and argument >= 0 for argument in arguments)
    with np.errstate(divide="ignore"):
        exact = -math.fsum(np.log(arguments)) if (arguments > 0).all() else math.inf
    assert exact <= wager.lost[-1] <= exact + 1e3 * UNIT * len(sample) ** 2 * (1 + abs(exact))


@given(st.lists(st.floats(-9, 0), min_size=1, max_size=40), st.floats(1e-6, 0.5))
def test_the_ends_are_those_of_a_direct_loop(logs: list[float], delta: float) -> None:
    ordered = TimeOrdered(np.array(logs), np.full(len(logs), 30), 30)
    ends, values = upper_ends(ordered.values, delta), ordered.values
    for look in {1, len(logs) // 2 + 1, len(logs)}:
        plain = min([*direct(values.losses[:look], values.high, delta), values.high])
        assert plain - 1e-12 <= ends[look - 1] <= plain + 1e-9


def test_ten_thousand_values_agree_with_a_direct_loop_without_rounding() -> None:
    rng = np.random.default_rng(51)
    values, high, best = np.clip(rng.normal(6, 1.5, 10_000), 0, 15), 15.0, math.inf
    for place in range(SIZES):
        size, before, total, logs = 2.0 ** (1 - place), 0.5, 0.0, 0.0
        for t, value in enumerate((values / high).tolist(), start=1):
            c = max(before / t, 1 - 1 / size)
            logs, total, before = logs + math.log(1 - size * (value - c)), total + c, before + value
        price = math.log((place + 1) * (place + 2) / DELTA)
        best = min(best, high * (total + (price - logs) / size) / values.size)
    found = upper_ends(SmoothedLosses(values, 0.0, high, 0.0), DELTA)[-1]
    assert found == pytest.approx(best, abs=1e-6)


def test_the_interval_holds_the_certificate_and_the_mean() -> None:
    values = FULL.time_ordered.values
    ends = running_interval(values, 2 * DELTA)
    certificate = certify(FULL, DELTA, [RunningRisk()])["T9-sequence"]
    assert certificate.value == pytest.approx(ends.upper[-1], rel=1e-12)
    assert certificate.value >= ends.mean[-1] + certificate.terms["deviation"] - 1e-9
    assert (ends.lower < ends.mean).all()
    assert (ends.mean < ends.upper).all()
    assert (ends.lower >= values.low).all()
    assert (ends.upper <= values.high).all()


def test_a_comparison_is_certified_from_below_by_the_same_end() -> None:
    rng, size = np.random.default_rng(52), 3000
    model = -rng.uniform(1, 8, size)
    other = np.minimum(model - rng.normal(0.4, 0.3, size), 0)
    ordered = TimeOrdered(model, np.full(size, 5000), 5000, against=other)
    certificate = certify(Evidence(5000, NEITHER, time_ordered=ordered), DELTA)["T9-sequence"]
    assert (certificate.side, certificate.trivial) == ("lower", 0.0)
    assert "less the model's" in certificate.target
    assert certificate.value == pytest.approx(-upper_ends(ordered.values, DELTA)[-1], rel=1e-9)
    assert 0 < certificate.value < -ordered.values.losses.mean()
    assert math.fsum(certificate.terms.values()) == certificate.terms_of[1]
    assert math.fsum(certificate.attribution.values()) == certificate.terms["deviation"]


def test_no_independence_has_to_be_declared() -> None:
    found = {
        sampling: certify(Evidence(18, Protocol(sampling), time_ordered=FULL.time_ordered))["T9-sequence"].value
        for sampling in ("independent", "neither")
    }
    assert found["independent"] == pytest.approx(found["neither"], rel=0.1)


def test_both_ends_hold_at_all_looks_for_users_who_answer_to_a_model_that_learns() -> None:
    rng, steps, missed = np.random.default_rng(53), 150, np.zeros(REPLICATES)
    for replicate in range(REPLICATES):
        ordered, expected = learning(rng, steps)
        ends, means = running_interval(ordered.values, DELTA), np.cumsum(expected) / np.arange(1, steps + 1)
        missed[replicate] = ((means < ends.lower) | (means > ends.upper)).any()
    assert coverage(1.5 - missed, np.ones(REPLICATES), DELTA).holds


def test_the_width_is_near_that_of_betting_for_a_number_fixed_beforehand() -> None:
    rng = np.random.default_rng(54)
    for size in (100, 1_000, 10_000, 100_000, 1_000_000):
        for mean, spread in ((0.4, 0.1), (0.49, 0.01), (0.485, 0.033)):
            values = np.clip(rng.normal(mean, spread, size), 0, 1)
            fixed = betting_upper(values, DELTA) - values.mean()
            sequence = upper_ends(SmoothedLosses(values, 0.0, 1.0, 0.0), DELTA)[-1] - values.mean()
            assert sequence < 1.3 * fixed


def test_a_number_for_one_look_misses_more_often_than_it_says_if_it_is_looked_at_again_and_again() -> None:
    """Coins that are 1 with probability 0.7; the shares of T9's betting and Hoeffding's deviation at 150 looks."""
    rng, p, delta, runs = np.random.default_rng(55), 0.7, 0.4, 2000
    looks = np.unique(np.geomspace(2, 10**6, 150).astype(int))
    heads = np.cumsum(rng.binomial(np.tile(np.diff(looks, prepend=0), (runs, 1)), p), axis=1)
    betting, hoeffding, sequence = (np.zeros(heads.shape, dtype=bool) for _ in range(3))
    for place, size in enumerate(looks.tolist()):
        # The end misses the mean 1 - p of 1 - Y exactly if the capital at p has reached 1/delta.
        bets = 2.0 ** -np.arange(number_of_bets(size))
        count = heads[:, place, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            capital = np.where(count > 0, count * np.log(1 - bets + bets / p), 0)
            capital += np.where(size > count, (size - count) * np.log(1 - bets), 0)
        betting[:, place] = np.logaddexp.reduce(capital, axis=1) >= math.log(bets.size / delta)
        hoeffding[:, place] = heads[:, place] / size - p > math.sqrt(math.log(1 / delta) / (2 * size))
    for missed in (betting, hoeffding):
        assert missed[:, -1].mean() < 0.15
        assert missed.any(axis=1).mean() > 5 * missed[:, -1].mean()
        assert binomial_tail(int(missed.any(axis=1).sum()), runs, delta) < 1e-6
    for run in range(200):
        coins = (rng.random(5000) >= p).astype(float)
        ends = upper_ends(SmoothedLosses(coins, 0.0, 1.0, 0.0), delta)
        sequence[run, 0] = (ends < 1 - p).any()
    assert binomial_tail(int(sequence[:200, 0].sum()), 200, delta) > 0.5


@pytest.mark.parametrize("values", [[], [math.nan], [-1e-9], [1.0000001], [[0.5]]])
def test_what_is_no_list_of_shares_is_refused(values: list[float]) -> None:
    with pytest.raises(RefusedError, match="expected scaled losses"):
        next(wagers(np.array(values)))


def test_lists_that_do_not_fit_are_refused_at_once() -> None:
    cells = np.full(3, 9)
    with pytest.raises(RefusedError, match="at most 8 were said to be possible"):
        TimeOrdered(np.zeros(3), cells, 8)
    with pytest.raises(RefusedError, match="whole number"):
        TimeOrdered(np.zeros(3), cells, 9.5)
    with pytest.raises(RefusedError, match="3 cell counts for 2"):
        TimeOrdered(np.zeros(3), cells, 9, against=np.zeros(2))
    with pytest.raises(RefusedError, match="strictly between 0 and 1"):
        running_interval(TimeOrdered(np.zeros(3), cells, 9).values, 1.0)
