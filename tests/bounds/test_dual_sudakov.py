"""Lemma 6: covers by an explicit dual Sudakov bound, step by step."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from conv4rec_bounds.dual_sudakov import MAPS, POINTS, Choices, LogChiSquare, LogStrip
from conv4rec_bounds.rounding import PRECISION_BITS, ceil_float

scales = st.integers(-12, 12).map(lambda power: 10.0**power)
seeds = st.integers(0, 2**32 - 1)


def separated(values: np.ndarray, distance: float) -> int:
    """Return the size of a maximal subset of points (first axis) whose distances (norm of the last axis, largest
    over the middle one) exceed ``distance``."""
    chosen: list[np.ndarray] = []
    for value in values:
        if all(np.linalg.norm(value - other, axis=-1).max() > distance for other in chosen):
            chosen.append(value)
    return len(chosen)


def in_a_ball(rng: np.random.Generator, count: int, dimension: int, radius: float) -> np.ndarray:
    """Return points of a ball, half of them on its sphere."""
    directions = rng.normal(size=(count, dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = np.where(np.arange(count) % 2 == 0, 1.0, rng.uniform(size=count) ** (1 / dimension))
    return radius * lengths[:, None] * directions


@given(st.integers(1, 3), st.integers(1, 12), st.floats(0.05, 3.0), scales, scales, seeds)
def test_lemma_6_no_separated_set_exceeds_the_bound_for_functionals(
    dimension: int, count: int, relative: float, a: float, b: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    functionals = in_a_ball(rng, count, dimension, b)
    functionals[: count // 3] = functionals[0]  # ties
    weights = in_a_ball(rng, 300, dimension, a)
    found = separated((weights @ functionals.T)[..., None], relative * a * b)
    assert math.log(found) <= Choices.for_points(count).least(1 / relative)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 5), st.floats(0.1, 3.0), scales, seeds)
def test_lemma_6_no_separated_set_exceeds_the_bound_for_maps(
    items: int, channels: int, code: int, count: int, relative: float, kappa: float, seed: int
) -> None:
    """The maps of encode: E (channel, item, code), or one E for all channels, to (E_c^T U_c)_c, U of norm kappa."""
    rng = np.random.default_rng(seed)
    lifted = in_a_ball(rng, count, items * channels, kappa).reshape(count, items, channels)
    shared = in_a_ball(rng, 150, items * code, 1.0).reshape(-1, items, code)
    own = in_a_ball(rng, 150, channels * items * code, 1.0).reshape(-1, channels, items, code)
    bound = Choices.for_maps(count, code).least(1 / relative)
    for values in (np.einsum("bjc,sjk->sbck", lifted, shared), np.einsum("bjc,scjk->sbck", lifted, own)):
        found = separated(values.reshape(150, count, channels * code), relative * kappa)
        assert math.log(found) <= bound


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 4),
    st.floats(0.1, 3.0),
    scales,
    st.sampled_from([lambda x: x, np.arcsinh, np.tanh]),
    seeds,
)
def test_lemma_6_no_separated_set_exceeds_the_bound_for_the_maps_of_decode(
    items: int, channels: int, code: int, users: int, relative: float, h: float, chi: Callable, seed: int
) -> None:
    """D (channel, item, code), or one D for all channels, to row j of V = (D_c H_ic)_c, H of norm h, for users i and
    items j; logits chi(V) G that are further apart than the norm of G's columns times the resolution count as well."""
    rng = np.random.default_rng(seed)
    codes = in_a_ball(rng, users, channels * code, h).reshape(users, channels, code)
    project = in_a_ball(rng, 3, channels, 2.0).T
    reach = np.linalg.norm(project, axis=0).max()
    shared = in_a_ball(rng, 150, items * code, 1.0).reshape(-1, 1, items, code)
    own = in_a_ball(rng, 150, channels * items * code, 1.0).reshape(-1, channels, items, code)
    bound = Choices.for_maps(users * items, 1).least(1 / relative)
    for decode in (shared, own):
        full = np.broadcast_to(decode, (150, channels, items, code))
        decoded = np.einsum("scjk,ick->sijc", full, codes).reshape(150, users * items, channels)
        logits = (chi(decoded) @ project).reshape(150, -1, 1)
        assert math.log(separated(decoded, relative * h)) <= bound
        assert math.log(separated(logits, reach * relative * h * (1 + 1e-9))) <= bound


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.integers(0, 2), seeds)
def test_lemma_6_the_map_of_decode_has_one_column_and_weights_that_sum_to_the_squared_code(
    items: int, channels: int, code: int, shared: bool, item: int, seed: int
) -> None:
    """The covariance of D -> (<D_c[j,:], H_c>)_c at a standard normal D, written out as a matrix on all of D."""
    codes = np.random.default_rng(seed).normal(size=(channels, code))
    maps = 1 if shared else channels
    matrix = np.zeros((channels, maps, items, code))
    for channel in range(channels):
        matrix[channel, channel % maps, item % items] = codes[channel]
    flat = matrix.reshape(channels, -1)
    covariance = flat @ flat.T
    expected = codes @ codes.T if shared else np.diag((codes**2).sum(axis=1))
    np.testing.assert_allclose(covariance, expected, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).sum() == pytest.approx((codes**2).sum())


@given(st.floats(math.sqrt(3), 30.0), st.floats(1e-3, 1e3), st.integers(1, 10**9), st.integers(1, 20))
def test_lemma_6_maps_into_one_column_need_no_more_than_the_functionals_of_a_linear_decode(
    v: float, ratio: float, maps: int, levels: int
) -> None:
    """F_1(v^2) = 2 Phi(v) - 1, and there are R times as many functionals."""
    here = {"a": ratio, "b": 1.0, "epsilon": 1.0}
    by_maps = MAPS.number(**here, m=maps, k=1, u=max(0.0, v**2 - 3))
    assert by_maps <= POINTS.number(**here, T=maps * levels, v=v) * (1 + 1e-9)


@pytest.mark.parametrize("points", [1, 2, 10, 1000])
@pytest.mark.parametrize("nonzero", [1, 2, 10, 1000])
def test_lemma_6_sparse_signs_fit_under_the_bound_and_come_near(points: int, nonzero: int) -> None:
    """Vectors with s entries +-a/sqrt(s), the others zero, lie a/sqrt(s) apart in the sup norm of T coordinates."""
    if nonzero > points:
        nonzero = points
    count = nonzero * math.log(2) + math.log(math.comb(points, nonzero))
    bound = Choices.for_points(points).least(math.sqrt(nonzero) * (1 + 1e-9))
    assert 0.2 * bound <= count <= bound


@pytest.mark.parametrize("dimension", [1, 2])
def test_lemma_6_small_resolutions_attain_the_bound(dimension: int) -> None:
    """A lattice in the ball, T = d coordinates: its logarithm over the bound tends to one."""
    radius = {1: 1e9, 2: 2e3}[dimension]
    if dimension == 1:
        count = 2 * math.floor(radius) + 1
    else:
        line = np.arange(-math.floor(radius), math.floor(radius) + 1)
        count = int((2 * np.floor(np.sqrt(radius**2 - line**2)) + 1).sum())
    v = math.sqrt(dimension) / (2 * radius)
    bound = POINTS.number(a=radius, b=1.0, epsilon=1 - 1e-9, T=dimension, v=v)
    assert 0.9 * bound <= math.log(count) <= bound


@given(st.integers(1, 10**14), st.floats(1e-6, 1e6))
def test_lemma_6_the_closed_form_is_an_upper_bound(points: int, ratio: float) -> None:
    v = math.sqrt(2 * math.log(2 * points))
    at_v = POINTS.upper(a=ratio, b=1, epsilon=1, T=points, v=v)
    assert at_v <= (4 * ratio**2 * math.log(2 * points) + math.log(2)) * (1 + 1e-12)
    assert Choices.for_points(points).least(ratio) <= at_v * (1 + 2e-2) + 1e-3


def test_lemma_6_the_tail_that_gives_the_closed_form_symbolically() -> None:
    """P(|g| > v) <= exp(-v^2/2), with equality at 0: the difference of the derivatives has the right sign."""
    v = sympy.Symbol("v", positive=True)
    gap = sympy.exp(-(v**2) / 2) - sympy.erfc(v / sympy.sqrt(2))
    assert gap.subs(v, 0) == 0
    slope = sympy.simplify(sympy.diff(gap, v) * sympy.exp(v**2 / 2))
    # The slope is positive, then negative, and the gap tends to 0: it is never negative.
    assert sympy.simplify(slope - (sympy.sqrt(2 / sympy.pi) - v)) == 0
    assert sympy.limit(gap, v, sympy.oo) == 0


@given(st.integers(1, 10**9), st.floats(1e-3, 1e3), st.integers(1, 200))
def test_lemma_6_the_bounds_grow_with_radius_norm_and_count_and_fall_with_the_resolution(
    count: int, ratio: float, code: int
) -> None:
    here = {"a": ratio, "b": 1.0, "epsilon": 1.0}
    for formula, more, size in ((POINTS, {"T": count, "v": 1.5}, "T"), (MAPS, {"m": count, "k": code, "u": 0.5}, "m")):
        base = formula.lower(**here, **more)
        assert base >= 0
        assert formula.upper(**here | {"epsilon": 2.0}, **more) <= formula.upper(**here, **more)
        for larger in (here | {"a": 2 * ratio} | more, here | {"b": 2.0} | more, here | more | {size: 2 * count}):
            assert formula.upper(**larger) >= base


@given(st.floats(0, 8), st.floats(1e-6, 6), st.floats(0, 4), st.floats(0, 2))
def test_lemma_6_a_shifted_symmetric_set_keeps_its_share(x: float, width: float, gap: float, other: float) -> None:
    """gamma(A + x) >= exp(-x^2/2) gamma(A) for a symmetric set on the line, here a union of up to three intervals."""
    ends = [(-width, width), (width + gap, width + gap + other), (-width - gap - other, -width - gap)]
    own = sum(stats.norm.cdf(high) - stats.norm.cdf(low) for low, high in ends)
    moved = sum(stats.norm.cdf(high + x) - stats.norm.cdf(low + x) for low, high in ends)
    assert moved >= math.exp(-(x**2) / 2) * own - 1e-15


def test_lemma_6_the_constant_of_the_shift_is_attained_by_small_sets() -> None:
    best = 0.0
    for width in np.geomspace(1e-4, 1.0, 20):
        own = math.erf(width / math.sqrt(2))
        moved = stats.norm.cdf(2.0 + width) - stats.norm.cdf(2.0 - width)
        best = max(best, math.exp(-2.0) * own / moved)
    assert 0.999 <= best <= 1 + 1e-9


@given(st.integers(2, 12), st.floats(0.1, 3.0), seeds)
def test_lemma_6_bodies_around_separated_points_are_disjoint(count: int, distance: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    functionals, points = rng.normal(size=(count, 2)), rng.normal(size=(60, 2))
    chosen: list[np.ndarray] = []
    for point in points:
        if all(np.abs(functionals @ (point - other)).max() > distance for other in chosen):
            chosen.append(point)
    tests = np.concatenate(
        [rng.normal(size=(400, 2)), (np.array(chosen)[:, None] + np.array(chosen)).reshape(-1, 2) / 2]
    )
    inside = np.abs((tests[:, None] - np.array(chosen)) @ functionals.T).max(axis=2) <= distance / 2
    assert inside.sum(axis=1).max() <= 1
    # A maximal set is an internal cover.
    nearest = np.abs((points[:, None] - np.array(chosen)) @ functionals.T).max(axis=2).min(axis=1)
    assert nearest.max() <= distance


def measure_in_the_plane(radius: np.ndarray) -> float:
    """Return the Gaussian measure of a star-shaped set from its radius at equally spaced angles."""
    return float(np.mean(-np.expm1(-(radius**2) / 2)))


ANGLES = 2 * math.pi * np.arange(2**14) / 2**14
CIRCLE = np.stack([np.cos(ANGLES), np.sin(ANGLES)])


@given(st.integers(1, 8), st.floats(0.05, 4.0), seeds)
def test_lemma_6_sidak_a_symmetric_polygon_is_at_least_the_product_of_its_strips(
    count: int, v: float, seed: int
) -> None:
    functionals = in_a_ball(np.random.default_rng(seed), count, 2, 1.0)
    with np.errstate(divide="ignore"):
        radius = (v / np.abs(functionals @ CIRCLE)).min(axis=0)
    assert measure_in_the_plane(radius) >= math.exp(count * LogStrip.fast(v)) * (1 - 1e-6)


@given(st.integers(1, 8), st.floats(0.05, 4.0), seeds)
def test_lemma_6_royen_an_intersection_of_ellipses_is_at_least_the_product(count: int, v: float, seed: int) -> None:
    maps = np.random.default_rng(seed).normal(size=(count, 2, 2))
    lengths = np.linalg.norm(np.einsum("iab,bp->iap", maps, CIRCLE), axis=1)
    product = math.prod(measure_in_the_plane(v / length) for length in lengths)
    assert measure_in_the_plane((v / lengths).min(axis=0)) >= product * (1 - 1e-6)


def weighted_probability(first: float, second: float, code: int, x: float) -> float:
    """Return P(first X_1 + second X_2 <= x) for independent chi-squares with ``code`` degrees of freedom."""

    def part(root: float) -> float:  # The substitution y = root^2 takes the singularity at zero away.
        y = root**2
        return stats.chi2.pdf(y, code) * special.gammainc(code / 2, (x - first * y) / second / 2) * 2 * root

    return float(integrate.quad(part, 0.0, math.sqrt(x / first), limit=200)[0])


@given(st.integers(1, 40), st.floats(0.01, 0.99), st.floats(0, 60), st.floats(0.1, 1.0))
def test_lemma_6_beyond_k_plus_2_one_full_weight_is_the_worst(code: int, share: float, u: float, total: float) -> None:
    x = code + 2 + u
    assert weighted_probability(share * total, (1 - share) * total, code, x) >= stats.chi2.cdf(x, code) - 1e-9


@pytest.mark.parametrize(("x", "gap"), [(2.0, 0.05), (4.0, 0.02), (4.2, 0.01)])
def test_lemma_6_below_k_and_just_above_equal_weights_would_be_worse(x: float, gap: float) -> None:
    assert weighted_probability(0.5, 0.5, 4, x) < stats.chi2.cdf(x, 4) - gap
    assert weighted_probability(0.5, 0.5, 4, 6.0) > stats.chi2.cdf(6.0, 4)


def test_lemma_6_many_equal_weights_fail_everywhere_up_to_k() -> None:
    """The mean of m chi-squares is within x as often as a chi-square of mk degrees of freedom is within mx."""
    for code in (1, 2, 8, 64):
        for x in np.linspace(0.5, 1.0, 6) * code:
            assert stats.chi2.cdf(10**4 * x, 10**4 * code) < stats.chi2.cdf(x, code)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 30), seeds)
def test_lemma_6_many_channels_need_no_more_than_one(channels: int, code: int, users: int, seed: int) -> None:
    """Empirical: the squared norm of (g_c^T u_c)_c stays below x as often as chi-square_k, for x >= k + 2."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(channels, 0.5))
    draws = (weights * rng.chisquare(code, size=(20_000, channels))).sum(axis=1)
    for x in (code + 2.0, code + 2.0 + users):
        assert (draws <= x).mean() >= stats.chi2.cdf(x, code) - 5 * 0.5 / math.sqrt(20_000)


def test_lemma_6_the_derivative_along_a_transfer_of_weight_symbolically() -> None:
    """(d_1 - d_2) P(l_1 X_1 + l_2 X_2 <= t) = (l_1 - l_2) p'(t) for X ~ Gamma(1), p being the density with Gamma(2)."""
    first, second, t, y, c = sympy.symbols("l_1 l_2 t y c", positive=True)
    probability = 1 - (first * sympy.exp(-t / first) - second * sympy.exp(-t / second)) / (first - second)
    left = sympy.diff(probability, first) - sympy.diff(probability, second)
    product = sympy.integrate(y * (t - y) * sympy.exp(-c * y), (y, 0, t)).subs(c, 1 / first - 1 / second)
    density = product * sympy.exp(-t / second) / (first * second) ** 2
    assert sympy.simplify(sympy.expand(left - (first - second) * sympy.diff(density, t))) == 0


@given(st.lists(st.tuples(st.floats(0.5, 5), st.floats(0.05, 5)), min_size=1, max_size=4), seeds)
def test_lemma_6_the_mode_of_a_sum_of_gammas_is_at_most_its_mean(terms: list[tuple[float, float]], seed: int) -> None:
    """On a fine grid of its Fourier-inverted density; the first shape exceeds one, so that the density is bounded."""
    shapes, weights = np.array(terms).T
    shapes = shapes + np.array([1.0] + [0.0] * (len(terms) - 1))
    mean, spread = float(shapes @ weights), float(np.sqrt(shapes @ weights**2))
    span = 2 * (mean + 30 * spread)
    points = 2**14
    frequencies = 2 * math.pi * np.fft.fftfreq(points, span / points)
    transform = np.exp(-(shapes[:, None] * np.log1p(-1j * weights[:, None] * frequencies)).sum(axis=0))
    density = np.fft.fft(transform).real / span
    mode = span / points * int(density.argmax())
    assert mode <= mean + 2 * span / points


@given(st.floats(1e-8, 60.0), st.integers(1, 2000))
def test_lemma_6_balls_hold_the_logarithms_and_fast_values_are_close(v: float, code: int) -> None:
    with ctx.workprec(PRECISION_BITS):
        strip, square = LogStrip.ball(arb(v)), LogChiSquare.ball(arb(code), code + 2 + arb(v) ** 2)
    for ball, fast in ((strip, LogStrip.fast(v)), (square, LogChiSquare.fast(code, code + 2 + v**2))):
        assert ceil_float(ball) <= 0
        assert fast == pytest.approx(float(ball), rel=1e-9, abs=1e-300)


@given(st.floats(1e-3, 30.0), st.integers(1, 500), st.integers(1, 10**12))
def test_lemma_6_formulas_agree_with_sixty_digits(sixty_digits, v: float, code: int, count: int) -> None:
    here = {"a": 0.3, "b": 2.0, "epsilon": 0.7}
    for formula, more in ((POINTS, {"T": count, "v": v}), (MAPS, {"m": count, "k": code, "u": v})):
        true = sixty_digits(formula, here | more)
        assert true <= formula.upper(**here, **more) <= float(true) * (1 + 1e-12)


@given(st.integers(1, 10**9), st.floats(1e-3, 1e3), scales)
def test_the_prices_find_the_least_cost(points: int, reach: float, price: float) -> None:
    choices = Choices.for_points(points)
    (resolution,), (nats,), (parameter,) = choices.at_prices(reach, np.array([price]))
    again = POINTS.number(a=reach, b=1.0, epsilon=resolution, T=points, v=parameter)
    assert nats == pytest.approx(again, rel=1e-6)
    for factor in (0.5, 0.9, 1.1, 2.0):
        moved = choices.least(reach / (factor * resolution)) + price * factor * resolution
        assert nats + price * resolution <= moved * (1 + 1e-9)
