"""Lemma 4: the inequalities between affinity, Hellinger, Kullback-Leibler and total variation."""

import math

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import assume, given
from hypothesis import strategies as st

from conv4rec_bounds.affinity_range import AffinityRange
from conv4rec_bounds.divergences import (
    TV_FROM_EXPONENT,
    affinity,
    kullback_leibler,
    squared_hellinger,
    total_variation,
)
from conv4rec_bounds.rounding import PRECISION_BITS, ceil_float, floor_float

Laws = tuple[np.ndarray, np.ndarray, np.ndarray]
powers = st.one_of(st.sampled_from([1 / 64, 1 / 4, 3 / 8, 1 / 2, 3 / 4]), st.floats(0.01, 0.99))
exponents = st.one_of(st.just(0.0), st.floats(-12, 12).map(lambda tens: 10.0**tens))


@st.composite
def joint_laws(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    users, cells = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = 10.0 ** draw(st.integers(-8, 2))
    truth, model = (rng.dirichlet(np.full(cells, 1.0), size=users) for _ in range(2))
    if draw(st.booleans()):  # nearby laws
        model = (1 - min(sharpness, 1)) * truth + min(sharpness, 1) * model
    if draw(st.booleans()) and cells > 1:  # cells that the truth never uses
        truth[:, 0] = 0.0
        truth /= truth.sum(axis=1, keepdims=True)
    return truth, model, rng.dirichlet(np.ones(users))


@given(joint_laws())
def test_lemma_4_hellinger_bounds_total_variation(laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    hellinger = squared_hellinger(*laws)
    assert total_variation(*laws) <= math.sqrt(hellinger * (2 - hellinger)) + 1e-7
    exponent = -math.log1p(-hellinger) if hellinger < 1 else math.inf
    assert total_variation(*laws) <= TV_FROM_EXPONENT.number(a=exponent) + 1e-7


@given(joint_laws())
def test_lemma_4_pinsker_and_bretagnolle_huber(laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, model, users = laws
    with np.errstate(divide="ignore"):
        divergence = kullback_leibler(truth, np.log(model), users)
    distance = total_variation(*laws)
    assert distance <= math.sqrt(max(divergence, 0.0) / 2) + 1e-7
    assert distance <= math.sqrt(1 - math.exp(-max(divergence, 0.0))) + 1e-7


@given(joint_laws(), st.floats(0.01, 0.99))
def test_lemma_4_gilardoni(laws: tuple[np.ndarray, np.ndarray, np.ndarray], power: float) -> None:
    assert -math.log(affinity(*laws, power)) >= 2 * power * (1 - power) * total_variation(*laws) ** 2 - 1e-9


@given(joint_laws())
def test_lemma_4_hellinger_is_one_minus_the_affinity(laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert squared_hellinger(*laws) == pytest.approx(1 - affinity(*laws), abs=1e-12)


@given(joint_laws(), st.floats(0.05, 0.95))
def test_lemma_4_the_mean_of_log_affinities_is_below_the_log_of_the_mean(
    laws: tuple[np.ndarray, np.ndarray, np.ndarray], power: float
) -> None:
    truth, model, users = laws
    each = np.array([affinity(truth[[i]], model[[i]], np.ones(1), power) for i in range(len(users))])
    assert users @ np.log(each) <= math.log(affinity(truth, model, users, power)) + 1e-12


def test_the_hellinger_bound_is_attained_by_two_points() -> None:
    truth, model = np.array([[0.5 + 0.3, 0.5 - 0.3]]), np.array([[0.5 - 0.3, 0.5 + 0.3]])
    hellinger = squared_hellinger(truth, model, np.ones(1))
    assert total_variation(truth, model, np.ones(1)) == pytest.approx(math.sqrt(hellinger * (2 - hellinger)), rel=1e-12)


def test_a_model_that_misses_mass_has_infinite_divergence() -> None:
    assert kullback_leibler(np.array([[0.5, 0.5]]), np.array([[0.0, -math.inf]]), np.ones(1)) == math.inf
    nobody = np.array([1.0, 0.0])
    truth, log_model = np.full((2, 2), 0.5), np.array([[math.log(0.5)] * 2, [0.0, -math.inf]])
    assert kullback_leibler(truth, log_model, nobody) == 0


def ends(exponent: float, power: float) -> tuple[float, float]:
    with ctx.workprec(PRECISION_BITS):
        ball = AffinityRange.ball(arb(exponent), arb(power))
    return floor_float(ball), ceil_float(ball)


def two_point_affinity(p: np.ndarray, v: float, power: float) -> np.ndarray:
    rest = 1 - p
    return p ** (1 - power) * np.maximum(p - v, 0) ** power + rest ** (1 - power) * np.minimum(rest + v, 1) ** power


@given(joint_laws(), powers)
def test_lemma_4_the_exact_range_bounds_total_variation(laws: Laws, power: float) -> None:
    exponent = max(0.0, -math.log(affinity(*laws, power)))
    assert total_variation(*laws) <= ends(exponent, power)[1] + 1e-7


@given(st.floats(0, 0.999), powers)
def test_lemma_4_two_point_laws_attain_the_range(v: float, power: float) -> None:
    around, half = (1 + v) / 2, (1 - v) / 2
    for _ in range(12):  # zoom in on the best mass; the affinity is concave in it
        grid = np.linspace(max(v, around - half), min(1.0, around + half), 201)
        around, half = float(grid[two_point_affinity(grid, v, power).argmax()]), half / 20
    exponent = -math.log(float(two_point_affinity(np.array([around]), v, power)[0]))
    assert AffinityRange.fast(max(0.0, exponent), power) == pytest.approx(v, abs=1e-6)


@given(exponents, powers)
def test_lemma_4_the_range_lies_between_its_simple_ends_and_is_one_for_both_orders(a: float, power: float) -> None:
    low, high = ends(a, power)
    assert 0 <= low <= AffinityRange.fast(a, power) * (1 + 1e-9) + 1e-300
    assert AffinityRange.fast(a, power) <= high * (1 + 1e-9)
    assert high - low <= 1e-12 * high + 1e-300
    assert high <= min(1.0, math.sqrt(a / (2 * power * (1 - power)))) * (1 + 1e-15)
    assert high >= -math.expm1(-a / min(power, 1 - power)) * (1 - 1e-13)
    assert AffinityRange.fast(a, 1 - power) == pytest.approx(AffinityRange.fast(a, power), rel=1e-9)


@given(exponents)
def test_lemma_4_the_range_has_its_closed_form_at_one_half(a: float) -> None:
    low, high = ends(a, 0.5)
    closed = math.sqrt(-math.expm1(-2 * a))
    assert low <= closed * (1 + 1e-15)
    assert closed <= high * (1 + 1e-15)
    assert AffinityRange.fast(a, 0.5) == pytest.approx(closed, rel=1e-9)


@given(exponents, exponents, powers)
def test_lemma_4_the_range_rises_and_is_concave(a: float, b: float, power: float) -> None:
    assume(a != b)
    first, second = (AffinityRange.fast(x, power) for x in (min(a, b), max(a, b)))
    assert first <= second * (1 + 1e-9)
    assert AffinityRange.fast((a + b) / 2, power) >= (first + second) / 2 * (1 - 1e-9)


@given(exponents, powers, st.floats(-8, 2), st.floats(-8, 2))
def test_lemma_4_every_pair_of_ratios_proves_an_upper_end(a: float, power: float, s: float, t: float) -> None:
    with mpmath.workdps(60):
        lam, x, y = mpmath.mpf(power), mpmath.exp(-(mpmath.mpf(10) ** s)), mpmath.exp(mpmath.mpf(10) ** t)
        tangent = max((1 - lam) * u**lam + lam * u ** (lam - 1) for u in (x, y))
        proved = (tangent - mpmath.exp(-mpmath.mpf(a))) / (lam * (x ** (lam - 1) - y ** (lam - 1)))
        assert ends(a, power)[0] <= proved


@pytest.mark.parametrize("power", [1 / 64, 1 / 4, 3 / 8])
@pytest.mark.parametrize("exponent", [1e-9, 1e-3, 0.1, 0.3])
def test_the_range_agrees_with_its_definition(exponent: float, power: float) -> None:
    """Maximise over the mass by halving on the sign of the slope, then halve on the sign of the exponent."""
    with mpmath.workdps(30):
        lam = mpmath.mpf(power)

        def least_exponent(v: mpmath.mpf) -> mpmath.mpf:
            def value(p: mpmath.mpf) -> mpmath.mpf:
                return p ** (1 - lam) * (p - v) ** lam + (1 - p) ** (1 - lam) * (1 - p + v) ** lam

            def tangent(u: mpmath.mpf) -> mpmath.mpf:
                return (1 - lam) * u**lam + lam * u ** (lam - 1)

            low, high = v, mpmath.mpf(1)
            for _ in range(70):
                p = (low + high) / 2
                rising = tangent((p - v) / p) > tangent((1 - p + v) / (1 - p))
                low, high = (p, high) if rising else (low, p)
            return -mpmath.log(value((low + high) / 2))

        low, high = mpmath.mpf(0), min(mpmath.mpf(1), mpmath.sqrt(exponent / (2 * lam * (1 - lam))))
        for _ in range(60):
            v = (low + high) / 2
            low, high = (v, high) if least_exponent(v) < exponent else (low, v)
        lower, upper = ends(exponent, power)
        assert lower <= high * (1 + mpmath.mpf(10) ** -12)
        assert low * (1 - mpmath.mpf(10) ** -12) <= upper


def test_the_range_survives_exponents_of_any_size() -> None:
    for a in (1e-300, 1e-200, 1e-30, 1e3, 1e300, math.inf):
        low, high = ends(a, 1 / 64)
        assert 0 <= low <= high <= 1 + 1e-15
    with ctx.workprec(PRECISION_BITS):
        wide = AffinityRange.ball(arb(0.5, 0.4), arb(0.25))
        below = AffinityRange.ball(arb(0, 1e-3), arb(0.25))
    assert wide.lower() <= AffinityRange.fast(0.1, 0.25)
    assert wide.upper() >= AffinityRange.fast(0.9, 0.25)
    assert below.lower() <= 0
    assert below.upper() >= AffinityRange.fast(1e-3, 0.25)
    assert AffinityRange.fast(0.0, 0.25) == 0


def test_gilardonis_constant_is_attained_by_nearby_laws() -> None:
    for power in (1 / 64, 1 / 8, 3 / 8):
        ratio = AffinityRange.fast(1e-6, power) / math.sqrt(1e-6 / (2 * power * (1 - power)))
        assert 0.999 <= ratio <= 1


@given(joint_laws(), st.floats(0.01, 0.99))
def test_lemma_4_the_law_between_two_laws_splits_the_exponent(laws: Laws, power: float) -> None:
    """The step behind Gilardoni's inequality: the geometric mixture R has both divergences at hand."""
    truth, model, users = laws
    between = truth ** (1 - power) * model**power
    joint = between * users[:, None] / affinity(*laws, power)
    split = 0.0
    for weight, law in ((1 - power, truth), (power, model)):
        kept = joint > 0
        split += weight * float((joint[kept] * np.log(joint[kept] / (law * users[:, None])[kept])).sum())
    assert split == pytest.approx(-math.log(affinity(*laws, power)), abs=1e-8)


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.floats(0, 1))
def test_lemma_4_two_distances_that_reach_a_third(share: float, power: float, distance: float) -> None:
    first, second = share * distance, (1 - share) * distance
    assert (1 - power) * first**2 + power * second**2 >= power * (1 - power) * distance**2 - 1e-15


@given(st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9))
def test_lemma_4_pinsker_for_two_points(p: float, u: float) -> None:
    divergence = p * math.log(p / u) + (1 - p) * math.log((1 - p) / (1 - u))
    assert divergence >= 2 * (p - u) ** 2 - 1e-12


@given(joint_laws(), powers)
def test_lemma_4_merging_cells_does_not_lower_the_affinity(laws: Laws, power: float) -> None:
    truth, model, users = laws
    joint, other = truth * users[:, None], model * users[:, None]
    more = joint > other
    merged = [np.array([[law[more].sum(), law[~more].sum()]]) for law in (joint, other)]
    assert affinity(*merged, np.ones(1), power) >= affinity(*laws, power) - 1e-12
    assert total_variation(*merged, np.ones(1)) == pytest.approx(total_variation(*laws), abs=1e-12)


@given(joint_laws(), powers, st.floats(0, 1))
def test_lemma_4_the_log_affinity_is_jointly_concave(laws: Laws, power: float, weight: float) -> None:
    truth, model, users = laws
    other_truth, other_model = np.roll(truth, 1, axis=1), model[:, ::-1]
    mixed = (
        weight * truth + (1 - weight) * other_truth,
        weight * model + (1 - weight) * other_model,
    )
    ends_ = affinity(truth, model, users, power), affinity(other_truth, other_model, users, power)
    chord = weight * math.log(ends_[0]) + (1 - weight) * math.log(ends_[1])
    assert math.log(affinity(*mixed, users, power)) >= chord - 1e-9
