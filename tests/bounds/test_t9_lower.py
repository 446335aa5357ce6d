"""T9-lower: every step of its proof, and the population constant that it must not use."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Certificate, Events, Evidence, Protocol, RefusedError, Status
from conv4rec_bounds.inversions import KL_LOWER, KL_UPPER
from conv4rec_bounds.theorems.t9_lower import LOWER, TotalVariationLower
from conv4rec_experiments.studies.coverage import coverage
from theorem_rows.common import DELTA, certified_value, held_out
from theorem_rows.t9_lower import FULL, events

unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def evaluate(evidence: Evidence) -> Certificate:
    return TotalVariationLower().evaluate(evidence, Fraction(DELTA), Budget(DELTA))


@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=2, max_size=6), st.integers(0, 15))
def test_step_1_an_event_is_never_farther_than_the_total_variation(laws: list[list[float]], event: int) -> None:
    weights = np.array(laws) + 1e-9
    half = len(laws) // 2
    truth, model = (part / part.sum(axis=1, keepdims=True) for part in (weights[:half], weights[half : 2 * half]))
    inside = np.array([event >> bit & 1 for bit in range(4)], dtype=float)
    gap = abs(((truth - model) @ inside).mean())
    assert gap <= np.abs(truth - model).sum(axis=1).mean() / 2 + 1e-12


@given(st.lists(unit, min_size=1, max_size=12), st.floats(1e-3, 3))
def test_step_2_shares_of_unequal_chances_leave_the_interval_seldom(chances: list[float], level: float) -> None:
    """All sums of independent zeros and ones are enumerated; either side fails with at most exp(-N c)."""
    size, mean = len(chances), float(np.mean(chances))
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])
    shares = np.arange(size + 1) / size
    above = sum(w for s, w in zip(shares, law, strict=True) if KL_LOWER.lower(u=s, c=level) > mean + 1e-12)
    below = sum(w for s, w in zip(shares, law, strict=True) if KL_UPPER.upper(u=s, c=level) < mean - 1e-12)
    assert max(above, below) <= math.exp(-size * level) * (1 + 1e-9)


def test_step_2_is_attained_by_a_sure_event() -> None:
    """All N shares are 1 with probability q^N, which is exactly exp(-N kl(1||q))."""
    size, chance = 5, 0.6
    level = -math.log(chance)
    assert KL_LOWER.lower(u=1.0, c=level) == pytest.approx(chance, rel=1e-12)
    assert chance**size == pytest.approx(math.exp(-size * level), rel=1e-12)


@given(unit, unit, st.integers(1, 10**6), st.integers(1, 1000), st.floats(1e-6, 0.5))
def test_step_4_the_simple_form_is_never_better(s: float, p: float, size: int, count: int, delta: float) -> None:
    simple = abs(s - p) - math.sqrt(math.log(2 * count / delta) / (2 * size))
    assert LOWER.lower(N=size, K=count, delta=delta, s=s, p=p) >= simple - 1e-12


@given(st.lists(st.tuples(unit, unit, st.floats(0.01, 1)), min_size=1, max_size=5), st.floats(0.01, 20))
def test_the_population_step_bounds_the_moment_around_the_total_variation(
    users: list[tuple[float, float, float]], slope: float
) -> None:
    truth, model, weight = np.array(users).T
    weight = weight / weight.sum()
    distance = weight @ np.abs(truth - model)
    for sign in (1, -1):
        hit, miss = sign * (1 - model) - distance, sign * -model - distance
        moment = weight @ (truth * np.exp(slope * hit) + (1 - truth) * np.exp(slope * miss))
        assert np.log(moment) <= slope**2 / 4 + 1e-9


@pytest.mark.parametrize(("half", "holds"), [(True, False), (False, True)])
def test_the_conditional_constant_fails_for_a_population_of_users(half: bool, holds: bool) -> None:
    """Three eighths of the users are always hit, which the model never expects; it is right about the others.

    Twice W is 2, 1 or -1; the law of the sum is convolved exactly.
    """
    size, delta, share = 200, 1e-6, 3 / 8
    law = np.ones(1)
    for _ in range(size):
        law = np.convolve(law, [(1 - share) / 2, 0, (1 - share) / 2, share])
    mean = (np.arange(law.size) - size) / (2 * size)
    deviation = math.sqrt(math.log(2 / delta) / (2 * size if half else size))
    missed = law[np.abs(mean) - deviation > share].sum()
    assert (missed <= delta) == holds
    assert (missed > 3 * delta) == half


def test_the_farthest_event_is_reported_by_name() -> None:
    certificate = evaluate(FULL)
    assert certificate.terms_of == ("gap of the event 'event 1'", pytest.approx(0.11))
    assert certificate.status is Status.VALID
    assert "above the trivial value" in certificate.reason


@pytest.mark.parametrize(("count", "probability"), [(50, 0.5), (0, 0.0), (100, 1.0), (50, 0.501)])
def test_a_model_that_is_right_gets_no_news(count: int, probability: float) -> None:
    certificate = evaluate(replace(FULL, events=events(100, [count], [probability])))
    assert certificate.value == 0
    assert certificate.status is Status.VACUOUS
    assert math.fsum(certificate.terms.values()) == certificate.terms_of[1]


@pytest.mark.parametrize(("count", "probability"), [(10**6, 0.0), (0, 1.0)])
def test_a_model_that_is_all_wrong_is_called_so(count: int, probability: float) -> None:
    value = evaluate(replace(FULL, events=events(10**6, [count], [probability]))).value
    assert 1 - 1e-5 < value < 1


@given(st.integers(1, 10**6), unit, unit)
def test_the_value_is_never_above_that_of_the_exact_fraction(size: int, part: float, p: float) -> None:
    count = int(part * size)
    exact = LOWER.lower(N=size, K=1, delta=Fraction(DELTA), s=Fraction(count, size), p=p)
    assert evaluate(replace(FULL, events=events(size, [count], [p]))).value == max(exact, 0.0)


def test_a_share_that_was_rounded_upward_would_give_too_much() -> None:
    sizes = {"N": 1000, "K": 1, "delta": Fraction(DELTA), "p": 0.05}
    exact, rounded = (LOWER.lower(**sizes, s=s) for s in (Fraction(1, 10), 0.1))
    assert evaluate(replace(FULL, events=events(1000, [100], [0.05]))).value == exact < rounded


@pytest.mark.parametrize(
    ("counts", "probabilities", "names", "why"),
    [
        ([0.5], [0.4], ("a",), "not its share"),
        ([], [0.4], ("a",), "expected a list of integers"),
        ([[1]], [0.4], ("a",), "expected a list of integers"),
        ([11], [0.4], ("a",), "leave 0 to 10"),
        ([-1], [0.4], ("a",), "leave 0 to 10"),
        ([1], [1.1], ("a",), "leave \\[0, 1\\]"),
        ([1, 2], [0.4], ("a",), "1 names, 2 counts and 1 probabilities"),
    ],
)
def test_what_is_no_list_of_events_is_refused(
    counts: list[float], probabilities: list[float], names: tuple[str, ...], why: str
) -> None:
    with pytest.raises(RefusedError, match=why):
        Events(10, counts, probabilities, names)


def test_events_of_another_part_than_the_held_out_one_are_refused() -> None:
    with pytest.raises(RefusedError, match="among 10000 interactions, but the held-out part has 9999"):
        replace(FULL, held_out=held_out(9_999))


def test_events_pay_for_their_number() -> None:
    one, many = (evaluate(replace(FULL, events=events(10_000, [3000] * k, [0.2] * k))) for k in (1, 1000))
    assert many.value < one.value


def test_random_subsets_of_a_pool_are_covered_over_groups_of_cells() -> None:
    """The whole pool's coarse law is known; events are unions of its groups, and the model is off in one of them."""
    rng = np.random.default_rng(16)
    pool = rng.multinomial(2000, rng.dirichlet(np.full(12, 2.0)))
    shares = pool / pool.sum()
    model = np.where(np.arange(12) < 6, 0.8, 1.2) * shares
    model /= model.sum()
    distance = np.abs(shares - model).sum() / 2
    inside = np.array([model > shares, np.arange(12) < 3, np.arange(12) % 2 == 0])
    members = np.repeat(np.arange(12), pool)
    found = []
    for _ in range(1000):
        counts = np.bincount(rng.permutation(members)[:1000], minlength=12)
        part = events(1000, inside.astype(int) @ counts, inside @ model, resolution="groups")
        found.append(certified_value(TotalVariationLower(), Evidence(12, Protocol("finite pool"), events=part)))
    bounds = np.array(found)
    assert coverage(np.full(1000, distance), bounds, DELTA).holds
    assert np.median(bounds) > 0.5 * distance
    assert not coverage(np.full(1000, distance), bounds * 1.1 * distance / np.median(bounds), DELTA).holds
