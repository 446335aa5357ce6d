"""Inversions: the end that is returned is safe, tight and checked, and what has no inverse is refused."""

import math
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import RefusedError
from conv4rec_bounds import inversions as module
from conv4rec_bounds.inversions import BERNSTEIN, KL_LOWER, KL_UPPER, STEPS, binomial_lower, binomial_upper

means = st.one_of(st.sampled_from([0.0, 1.0, 1 - 1e-6, 1e-300, 0.5]), st.floats(0, 1), st.floats(0, 1e-9))
levels = st.one_of(st.sampled_from([0.0, 5e-324, 1e-300, 1e300]), st.floats(0, 2), st.floats(0, 1e6))
tiny = mpmath.mpf(10) ** -30


def divergence(u: float, p: mpmath.mpf) -> mpmath.mpf:
    """Return kl(u||p) at the working precision, infinite beyond the ends of [0, 1] and where p misses mass."""
    u = mpmath.mpf(u)
    if p < 0 or p > 1 or (p == 0 and u > 0) or (p == 1 and u < 1):
        return mpmath.inf
    return (u * mpmath.log(u / p) if u else 0) + ((1 - u) * mpmath.log((1 - u) / (1 - p)) if u < 1 else 0)


@given(means, levels)
def test_the_upper_inverse_lies_just_above_the_truth(u: float, c: float) -> None:
    with mpmath.workdps(700):
        safe = mpmath.mpf(KL_UPPER.upper(u=u, c=c))
        less = safe * (1 - mpmath.mpf(10) ** -9) - tiny
        assert safe == 1 or divergence(u, safe) >= c
        assert less <= u or divergence(u, less) <= c
        assert abs(KL_UPPER.number(u=u, c=c) - safe) <= mpmath.mpf(10) ** -9 * safe + tiny


@given(means, levels)
def test_the_lower_inverse_lies_just_below_the_truth(u: float, c: float) -> None:
    with mpmath.workdps(700):
        safe = mpmath.mpf(KL_LOWER.lower(u=u, c=c))
        more = safe * (1 + mpmath.mpf(10) ** -9) + mpmath.mpf(10) ** -320
        assert safe <= 0 or divergence(u, safe) >= c
        assert more >= u or divergence(u, more) <= c
        assert abs(KL_LOWER.number(u=u, c=c) - safe) <= mpmath.mpf(10) ** -9 * safe + tiny


def test_none_of_two_thousand_results_lies_on_the_wrong_side() -> None:
    """The midpoint of a bisection would, half of the time."""
    rng = np.random.default_rng(0)
    for u, c in zip(rng.random(2000), 10 ** rng.uniform(-6, 1, 2000), strict=True):
        upper, lower = KL_UPPER.upper(u=u, c=c), KL_LOWER.lower(u=u, c=c)
        with mpmath.workdps(60):
            assert upper >= 1 or divergence(u, mpmath.mpf(upper)) >= c
            assert lower <= 0 or divergence(u, mpmath.mpf(lower)) >= c
            assert lower <= u <= upper


@pytest.mark.parametrize(
    ("u", "c", "lower", "upper"),
    [
        (1.0, 0.1, math.exp(-0.1), 1.0),
        (1.0, 0.0, 1.0, 1.0),
        (1 - 1e-6, 0.1, 0.9048260502063464, 1.0),
        (0.0, 0.1, 0.0, -math.expm1(-0.1)),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 1e-300, 0.0, 1e-300),
        (0.3, 0.0, 0.3, 0.3),
        (0.3, 1e-300, 0.3, 0.3),
        (0.3, 1e300, 0.0, 1.0),
    ],
)
def test_the_borders_are_right(u: float, c: float, lower: float, upper: float) -> None:
    """A mean of 1 must not come out as 0, as a perfect certificate."""
    assert KL_UPPER.upper(u=u, c=c) == pytest.approx(upper, rel=1e-14)
    assert KL_LOWER.lower(u=u, c=c) == pytest.approx(lower, rel=1e-14, abs=1e-35)


@pytest.mark.parametrize("formula", [KL_UPPER, KL_LOWER])
@pytest.mark.parametrize(
    ("u", "c", "sentence"),
    [
        (math.nan, 0.1, "NaN"),
        (0.1, math.nan, "NaN"),
        (math.inf, 0.1, "expected finite numbers"),
        (0.1, math.inf, "expected finite numbers"),
        (0.1, -1e-300, "expected at least 0"),
        (1.0000000000000002, 0.1, "expected a mean in [0, 1]"),
        (-5e-324, 0.1, "expected a mean in [0, 1]"),
    ],
)
def test_what_has_no_inverse_is_refused(formula: module.Formula, u: float, c: float, sentence: str) -> None:
    for ask in (formula.upper, formula.lower, formula.number):
        with pytest.raises(RefusedError) as refusal:
            ask(u=u, c=c)
        assert sentence in str(refusal.value)


@given(means, levels)
def test_the_ends_leave_the_interval_by_one_float_at_most(u: float, c: float) -> None:
    assert KL_UPPER.upper(u=u, c=c) <= math.nextafter(1, 2)
    assert KL_LOWER.lower(u=u, c=c) >= -5e-324


def test_a_level_above_the_largest_float_has_its_inverse() -> None:
    assert KL_UPPER.number(u=0.1, c=10**400) == pytest.approx(1, abs=1e-15)
    assert KL_UPPER.upper(u=0.1, c=10**400) == pytest.approx(1, abs=1e-15)
    assert KL_LOWER.number(u=0.1, c=10**400) == 0
    assert KL_LOWER.lower(u=0.1, c=10**400) == pytest.approx(0, abs=1e-300)


@pytest.mark.parametrize("answer", [True, False])
def test_the_search_takes_a_fixed_number_of_steps_whatever_the_check_says(answer: bool) -> None:
    asked = []

    def check(point: arb) -> bool:
        asked.append(point)
        return answer

    end = module._checked_end(check, good=arb(1), bad=arb(0))
    assert len(asked) == STEPS
    assert end == (asked[-1] if answer else 1)


def test_a_check_that_is_never_certain_leaves_the_safe_end() -> None:
    nowhere = arb(0.5, 1e-3)
    wide = module.KlUpper.ball(nowhere, arb(0.1, 0.05))
    assert wide.lower() <= KL_UPPER.lower(u=0.5, c=0.05)
    assert wide.upper() >= KL_UPPER.upper(u=0.5, c=0.15)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 5), st.floats(0, 5))
def test_the_inverses_are_monotone(u: float, v: float, c: float, d: float) -> None:
    (u, v), (c, d) = sorted((u, v)), sorted((c, d))
    assert KL_UPPER.lower(u=u, c=c) <= KL_UPPER.upper(u=v, c=c)
    assert KL_UPPER.lower(u=u, c=c) <= KL_UPPER.upper(u=u, c=d)
    assert KL_LOWER.lower(u=u, c=c) <= KL_LOWER.upper(u=v, c=c)
    assert KL_LOWER.upper(u=u, c=c) >= KL_LOWER.lower(u=u, c=d)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_first_bracket_downward_is_wide_enough(u: float, p: float) -> None:
    p, u = sorted((u, p))
    if p > 0 and u < 1:
        with mpmath.workdps(400):
            exact_u = mpmath.mpf(u)
            least = exact_u * mpmath.log(exact_u / p) + (1 - exact_u) * mpmath.log(1 - exact_u)
            assert divergence(u, mpmath.mpf(p)) >= least - mpmath.mpf(10) ** -300


@given(st.floats(0, 1), st.floats(0, 1))
def test_t8_the_first_bracket_is_wide_enough(u: float, p: float) -> None:
    u, p = sorted((u, p))
    if u < p < 1:
        with mpmath.workdps(40):
            assert (
                divergence(u, mpmath.mpf(p)) >= (mpmath.mpf(p) - u) ** 2 / (2 * mpmath.mpf(p)) - mpmath.mpf(10) ** -30
            )


counts = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
deltas = st.one_of(st.floats(1e-12, 0.5), st.just(Fraction(1, 3)))


def binomial_tail(first: int, last: int, trials: int, p: float) -> mpmath.mpf:
    p = mpmath.mpf(p)
    return mpmath.fsum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(first, last + 1))


@given(counts, deltas)
def test_clopper_and_pearsons_ends_are_safe_and_tight(count: tuple[int, int], delta: float | Fraction) -> None:
    successes, trials = count
    upper, lower = (end(successes, trials, delta) for end in (binomial_upper, binomial_lower))
    with mpmath.workdps(60):
        share = mpmath.mpf(Fraction(delta).numerator) / Fraction(delta).denominator
        if successes < trials:
            assert binomial_tail(0, successes, trials, upper) <= share
            assert binomial_tail(0, successes, trials, upper * (1 - 1e-9)) > share
        else:
            assert upper == 1
        if successes > 0:
            assert binomial_tail(successes, trials, trials, lower) <= share
            assert binomial_tail(successes, trials, trials, lower * (1 + 1e-9)) > share
        else:
            assert lower == 0


@pytest.mark.parametrize(
    ("end", "inverse", "wrong"),
    [(binomial_upper, "betainccinv", 0.9999), (binomial_lower, "betaincinv", 1.0001)],
)
def test_an_end_that_comes_out_wrong_is_moved_outward(
    monkeypatch: pytest.MonkeyPatch, end: Callable[..., float], inverse: str, wrong: float
) -> None:
    right = end(40, 100, 0.05)
    there = getattr(module, inverse)
    monkeypatch.setattr(module, inverse, lambda *arguments: there(*arguments) * wrong)
    moved = end(40, 100, 0.05)
    assert moved != right
    assert (moved > right) == (end is binomial_upper)
    monkeypatch.setattr(module, inverse, lambda *arguments: math.nan)
    assert end(40, 100, 0.05) == (1.0 if end is binomial_upper else 0.0)


def test_counts_may_come_from_arrays() -> None:
    for end in (binomial_upper, binomial_lower):
        assert end(np.int64(4), np.int32(10), 0.05) == end(4, 10, 0.05)


def test_the_ends_of_large_counts_are_found() -> None:
    assert binomial_upper(5 * 10**8, 10**9, 0.05) == pytest.approx(0.5 + 1.645 * 0.5 / math.sqrt(10**9), abs=1e-8)
    assert binomial_lower(5, 10**7, 1e-9) > 0


@pytest.mark.parametrize(
    ("successes", "trials", "delta"),
    [
        (-1, 3, 0.1),
        (4, 3, 0.1),
        (0, 0, 0.1),
        (1, 3, 0.0),
        (1, 3, 1.0),
        (1, 3, math.nan),
        (2.5, 3, 0.1),
        (1, math.inf, 0.1),
        (1, math.nan, 0.1),
    ],
)
def test_impossible_counts_are_refused(successes: int, trials: int, delta: float) -> None:
    for end in (binomial_upper, binomial_lower):
        with pytest.raises(RefusedError, match="expected"):
            end(successes, trials, delta)


@given(st.integers(1, 40), st.floats(0.001, 0.999), st.floats(0.01, 0.5))
def test_bernstein_holds_for_every_binomial(trials: int, chance: float, delta: float) -> None:
    missed = 0.0
    for k in range(trials + 1):
        if BERNSTEIN.upper(N=trials, delta=delta, Xbar=k / trials, v=chance * (1 - chance)) >= chance:
            break
        missed += math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k)
    assert missed <= delta


@given(st.integers(1, 10**9), st.floats(0, 1), st.floats(0, 0.25), st.floats(1e-12, 0.5))
def test_bernstein_against_sixty_digits(sixty_digits, size: int, mean: float, variance: float, delta: float) -> None:
    inputs = {"N": size, "Xbar": mean, "v": variance, "delta": delta}
    true = sixty_digits(BERNSTEIN, inputs)
    assert true <= BERNSTEIN.upper(**inputs) <= float(true) * (1 + 1e-12)
