"""T8: every step of its proof on cases that can be enumerated, and what only it promises."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
import sympy
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Certificate, Evidence, Posterior, Protocol, RefusedError
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.inversions import KL_UPPER
from conv4rec_bounds.loss import smoothed_losses, smoothed_range
from conv4rec_bounds.theorems.t8_pac_bayes import (
    PAC_BAYES,
    RATES,
    PacBayes,
    bernstein,
    bernstein_level,
    loss_range,
    moment,
    square_upper,
)
from theorem_rows.common import CELLS, DELTA
from theorem_rows.t8 import FULL, drawn

MOMENT = Formula(value=PAC_BAYES.where[moment], where={})
unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(1e-12, 1))
chances = st.lists(unit, min_size=1, max_size=10)


def kl(u: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the binary divergence, infinite where p misses mass."""
    u, p = np.broadcast_arrays(np.asarray(u, dtype=float), np.asarray(p, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        hit = np.where(u > 0, u * np.log(u / p), 0.0)
        miss = np.where(u < 1, (1 - u) * np.log((1 - u) / (1 - p)), 0.0)
    return np.maximum(hit + miss, 0.0)


def exact_moment(size: int) -> float:
    return math.fsum(math.comb(size, k) * (k / size) ** k * (1 - k / size) ** (size - k) for k in range(size + 1))


def law_of_the_sum(chances: list[float]) -> np.ndarray:
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])
    return law


@given(chances)
def test_step_1_zeros_and_ones_with_unequal_chances_have_no_larger_moment(chances: list[float]) -> None:
    size, mean = len(chances), float(np.mean(chances))
    exponent = size * kl(np.arange(size + 1) / size, mean)
    unequal = law_of_the_sum(chances)
    equal = law_of_the_sum([mean] * size)
    counted, binomial = unequal > 0, equal > 0
    moment = unequal[counted] @ np.exp(exponent[counted])
    assert moment <= (equal[binomial] @ np.exp(exponent[binomial])) * (1 + 1e-9)
    assert moment <= exact_moment(size) * (1 + 1e-9)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=6))
def test_step_1_values_between_have_no_larger_moment_than_zeros_and_ones(pairs: list[tuple[float, float]]) -> None:
    """Each variable is one of two values with equal chances; all outcomes are enumerated."""
    size, values = len(pairs), np.array(pairs)
    mean = values.mean()
    sums = np.array([np.mean(outcome) for outcome in product(*pairs)])
    assert np.exp(size * kl(np.clip(sums, 0, 1), mean)).mean() <= exact_moment(size) * (1 + 1e-9)


@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_step_1_is_attained_by_equal_chances(size: int, chance: float) -> None:
    law = law_of_the_sum([chance] * size)
    counted = law > 0
    found = law[counted] @ np.exp(size * kl(np.arange(size + 1) / size, chance))[counted]
    assert found == pytest.approx(exact_moment(size), rel=1e-6)


@given(
    st.lists(st.tuples(st.lists(unit, min_size=1, max_size=5), st.integers(1, 4)), min_size=1, max_size=3),
)
def test_step_1_holds_for_random_subsets_of_the_users_own_pools(users: list[tuple[list[float], int]]) -> None:
    drawn = [(pool, min(size, len(pool))) for pool, size in users]
    size = sum(n for _, n in drawn)
    mean = sum(n * float(np.mean(pool)) for pool, n in drawn) / size
    sums = [sum(sum(part) for part in outcome) for outcome in product(*(combinations(p, n) for p, n in drawn))]
    exponent = size * kl(np.clip(np.array(sums) / size, 0, 1), np.clip(mean, 0, 1))
    # A mean that is 0 or 1 but for rounding would divide rounding by rounding.
    if 1e-9 < mean < 1 - 1e-9:
        assert np.exp(exponent).mean() <= exact_moment(size) * (1 + 1e-9)


@given(st.integers(1, 40))
def test_step_2_the_moment_is_the_sum_that_lagrange_gives(size: int) -> None:
    left = sum(Fraction(math.comb(size, k) * k**k * (size - k) ** (size - k), size**size) for k in range(size + 1))
    right = sum(Fraction(math.factorial(size), math.factorial(size - j) * size**j) for j in range(size + 1))
    assert left == right


def test_step_2_the_bound_of_the_moment_is_tight_and_never_below_it() -> None:
    """The integral is an incomplete gamma function, which ball arithmetic knows."""
    with ctx.workprec(256):
        for size in (*range(1, 400), 1_000, 10_000, 100_000):
            n = arb(size)
            exact = n.exp() * n.gamma_upper(n + 1) / n**size
            bound = MOMENT.enclose(N=size)["value"]
            assert exact < bound < exact + arb(4) / (135 * n)
            if size <= 50:
                assert float(exact) == pytest.approx(exact_moment(size), rel=1e-12)


def test_step_2_the_polynomial_identity_and_its_least_value() -> None:
    v = sympy.Symbol("v", positive=True)
    p = 1 + 2 * v / 3 + v**2 / 12
    d = p - v
    bracket = sympy.Rational(2, 27) - v / 144 + v**3 / 1728
    assert sympy.expand(d**2 * p - 1 + v**2 / 12 - v**3 * bracket) == 0
    assert sympy.solve(sympy.diff(bracket, v), v) == [2]
    assert bracket.subs(v, 2) == sympy.Rational(7, 108)
    assert sympy.discriminant(d, v) < 0
    g = v / d
    f = v**2 / 2 - g + sympy.log(1 + g)
    assert sympy.simplify(sympy.diff(f, v) - v / (d**2 * p) * (d**2 * p - 1 + v**2 / 12)) == 0
    assert sympy.limit(f, v, 0) == 0
    N = sympy.Symbol("N", positive=True)
    integral = sympy.integrate(N * sympy.exp(-N * v**2 / 2) * p, (v, 0, sympy.oo))
    size = next(iter(PAC_BAYES.where[moment].free_symbols))
    assert sympy.simplify(integral - PAC_BAYES.where[moment].subs(size, N)) == 0


@given(st.data())
def test_step_3_any_posterior_on_a_finite_set_keeps_the_moment(data: st.DataObject) -> None:
    """Three predictors, four interactions of two outcomes: every sample, every pair of draws, any choice of rho."""
    size, models = 4, 3
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    losses = data.draw(st.sampled_from([rng.random((models, size, 2)), rng.integers(0, 2, (models, size, 2))]))
    losses = np.asarray(losses, dtype=float)
    chance = rng.random(size)
    prior = rng.dirichlet(np.ones(models))
    risks = (losses[:, :, 0] * (1 - chance) + losses[:, :, 1] * chance).mean(axis=1)
    total = 0.0
    for outcome in product((0, 1), repeat=size):
        weight = np.prod([chance[t] if y else 1 - chance[t] for t, y in enumerate(outcome)])
        measured = losses[:, range(size), outcome].mean(axis=1)
        posterior = rng.dirichlet(np.full(models, 0.3))
        single = size * kl(measured, risks) - np.log(posterior / prior)
        pairs = np.add.outer(single, single) / 2
        total += weight * float(np.exp(pairs) @ posterior @ posterior)
    assert total <= exact_moment(size) * (1 + 1e-9)


def test_step_3_a_prior_may_know_the_pool_but_not_what_is_left_of_it() -> None:
    """Each predictor misses nothing on one half of a pool of four, and everything on the other; all are enumerated."""
    halves = list(combinations(range(4), 2))
    drawn_from_one_half = math.exp(2 * float(kl(0, 0.5)))
    knows_the_pool = np.mean([drawn_from_one_half / len(halves) for _ in halves])
    told_the_rest = np.mean([drawn_from_one_half for _ in halves])
    assert knows_the_pool <= exact_moment(2) < told_the_rest


@given(st.lists(st.tuples(unit, st.floats(0.01, 0.99)), min_size=1, max_size=8))
def test_step_4_the_divergence_is_jointly_convex(points: list[tuple[float, float]]) -> None:
    u, p = np.array(points).T
    assert kl(u.mean(), p.mean()) <= kl(u, p).mean() + 1e-12


def growth(values: np.ndarray, rate: float, centre: float) -> np.ndarray:
    """Return the factor by which one interaction moves the moment of the Bernstein bound."""
    return np.exp(rate * (values - centre) + (math.log1p(-rate) + rate) * (values - centre) ** 2)


rates = st.one_of(st.sampled_from(RATES), st.floats(1e-6, 0.999))


@given(unit, unit, rates)
def test_step_5_one_factor_lies_below_its_chord(value: float, centre: float, rate: float) -> None:
    assert growth(np.array(value), rate, centre) <= (1 + rate * (value - centre)) * (1 + 1e-12)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=8), unit, rates)
def test_step_5_factors_of_unequal_laws_have_the_moment_of_the_mean(pairs: list, centre: float, rate: float) -> None:
    """Each variable is one of two values with equal chances."""
    values = np.array(pairs)
    moment = growth(values, rate, centre).mean(axis=1).prod()
    assert moment <= math.exp(len(pairs) * rate * (values.mean() - centre)) * (1 + 1e-9)


@given(st.lists(st.tuples(st.lists(unit, min_size=1, max_size=5), st.integers(1, 4)), min_size=1, max_size=3), unit)
def test_step_5_holds_for_random_subsets_of_the_users_own_pools(users: list, centre: float) -> None:
    drawn = [(pool, min(size, len(pool))) for pool, size in users]
    mean = sum(n * float(np.mean(pool)) for pool, n in drawn)
    moment = 1.0
    for pool, n in drawn:
        moment *= np.mean([growth(np.array(part), 0.5, centre).prod() for part in combinations(pool, n)])
    assert moment <= math.exp(0.5 * (mean - centre * sum(n for _, n in drawn))) * (1 + 1e-9)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=9), st.floats(0, 4))
def test_mean_squares_are_rounded_up(shares: list[float], centre: float) -> None:
    losses = smoothed_losses(np.log(np.array(shares)), np.full(len(shares), CELLS), 0.01)
    exact = sum((Fraction(loss) - Fraction(centre)) ** 2 for loss in losses.losses.tolist()) / len(shares)
    assert exact <= square_upper(losses, centre) <= float(exact) * (1 + 1e-12) + 1e-10


@given(st.floats(0, 500), st.floats(0, 12), st.integers(10, 10**7))
def test_the_rate_is_the_best_of_the_grid(ratio: float, square: float, size: int) -> None:
    inputs = {"N": size, "delta": 0.01, "l_min": 0.0, "l_max": 12.0, "Lhat": 3.0, "D": ratio, "V_b": square}
    chosen = PacBayes().complete(inputs)
    bound = Formula(
        value=PAC_BAYES.where[bernstein], where={k: PAC_BAYES.where[k] for k in (loss_range, bernstein_level)}
    )
    del inputs["Lhat"]
    found = bound.number(**inputs, eta=chosen["eta"])
    assert found <= min(bound.number(**inputs, eta=rate) for rate in RATES) * (1 + 1e-9)


def test_losses_that_spread_little_are_certified_by_the_bernstein_form() -> None:
    near = evaluate(replace(FULL, posterior=drawn(1_000, [2.1], [30.0], squares=[0.5])))
    far = evaluate(replace(FULL, posterior=drawn(1_000, [2.1], [30.0])))
    assert near.value < far.value
    assert "choice of the rate" in near.attribution
    assert "moment of the divergence" in far.attribution


@pytest.mark.parametrize(
    ("squares", "sentence"),
    [
        ([0.005], "below that of the mean loss"),
        ([1.0, 1.0], "1 risks came with 2 squares"),
        ([math.nan], "squares holds"),
    ],
)
def test_squares_that_no_losses_have_are_refused(squares: list[float], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        drawn(1000, [2.1], [0.0], squares=squares)


@pytest.mark.parametrize("centre", [math.nan, -1.0, 100.0])
def test_a_centre_outside_the_losses_is_refused(centre: float) -> None:
    with pytest.raises(RefusedError, match="squares were taken around"):
        replace(drawn(1000, [2.0], [0.0]), centre=centre)


@given(st.lists(st.lists(st.floats(1e-12, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_averaged_probabilities_do_no_worse_than_the_draws_on_average(laws: list[list[float]]) -> None:
    draws = np.array(laws)
    assert (-np.log(draws.mean(axis=0)) <= -np.log(draws).mean(axis=0) + 1e-12).all()


def evaluate(evidence: Evidence) -> Certificate:
    return PacBayes().evaluate(evidence, Fraction(DELTA), Budget(DELTA))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e4))
def test_the_bound_rises_with_the_measured_loss(first: float, second: float, ratio: float) -> None:
    low, high = sorted((first, second))
    inputs = {"N": 500, "delta": 0.05, "l_min": 0.25, "l_max": 1.25, "D": ratio, "V_b": 0.1, "eta": 0.25}
    assert PAC_BAYES.lower(**inputs, Lhat=0.25 + low) <= PAC_BAYES.upper(**inputs, Lhat=0.25 + high)


def test_a_draw_that_the_prior_likes_better_never_gives_less_than_the_measured_loss() -> None:
    lucky = evaluate(replace(FULL, posterior=drawn(1000, [2.0], [-5.0])))
    assert 2.0 <= lucky.value < evaluate(replace(FULL, posterior=drawn(1000, [2.0], [0.0]))).value
    assert min(lucky.attribution.values()) >= 0
    assert lucky.attribution["posterior against prior"] == 0


def test_a_level_below_zero_is_refused() -> None:
    """The event on which the bound holds has failed there, or the log-ratios are wrong."""
    least = -math.log(2 * MOMENT.number(N=1000) / DELTA)
    border = evaluate(replace(FULL, posterior=drawn(1000, [2.0], [least + 1e-9])))
    assert border.value == pytest.approx(2.0, abs=1e-3)
    for ratio in (least - 1e-9, -1e6):
        with pytest.raises(RefusedError, match="has happened or the log-ratios are wrong"):
            evaluate(replace(FULL, posterior=drawn(1000, [2.0], [ratio])))


def test_any_confidence_has_a_certificate() -> None:
    tiny = Fraction(1, 10**400)
    certificate = PacBayes().evaluate(FULL, tiny, Budget(tiny))
    shares = certificate.attribution
    assert shares["confidence"] / shares["posterior against prior"] == pytest.approx(
        (400 * math.log(10) + math.log(2)) / 35
    )


@pytest.mark.parametrize("size", [math.nan, 2.5, math.inf, True, "3", 0])
def test_what_is_no_number_of_interactions_is_refused(size: object) -> None:
    with pytest.raises(RefusedError, match=r"the part that the draws are scored on holds .* expected"):
        drawn(size, [2.0], [0.0])


def test_sizes_may_be_counted_by_arrays() -> None:
    counted = replace(FULL, posterior=drawn(np.int64(1000), [2.0], [3.0]))
    assert evaluate(counted).value == evaluate(replace(FULL, posterior=drawn(1000, [2.0], [3.0]))).value


@given(unit, st.floats(1e-12, 1e3))
def test_the_bound_stays_below_the_page_s_simpler_ones(u: float, c: float) -> None:
    inverse = KL_UPPER.lower(u=u, c=c)
    assert inverse <= u + math.sqrt(c / 2) * (1 + 1e-12)
    assert inverse <= (u + math.sqrt(2 * u * c) + 2 * c) * (1 + 1e-12)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.floats(1e-6, 0.9))
def test_the_range_under_masks_is_the_page_s(first: int, second: int, smoothing: float) -> None:
    least, most = sorted((first, second))
    low, high = smoothed_range(least, most, smoothing)
    width = math.log(most / smoothing) + math.log(1 - smoothing + smoothing / least)
    assert high - low == pytest.approx(width, rel=1e-9)


def test_losses_at_the_top_of_their_range_give_the_top() -> None:
    found = drawn(10, [1.0], [0.0])
    top = Posterior(10, [found.high], [0.0], found.high, found.low, found.high, [0.0], uniform_risk=1.0)
    certificate = evaluate(replace(FULL, posterior=top))
    assert certificate.value == found.high
    assert math.fsum(certificate.attribution.values()) == certificate.terms["deviation"]


def test_the_pool_reading_names_its_target() -> None:
    pool = evaluate(replace(FULL, protocol=Protocol("finite pool")))
    assert "own pools" in pool.target
    assert pool.value == evaluate(FULL).value
    assert "own pools" not in evaluate(FULL).target
