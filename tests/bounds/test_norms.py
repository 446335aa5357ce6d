"""Certified norms: never below the exact value, within 1e-8 of it, over shapes, scales and types."""

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conv4rec_bounds import RefusedError, norms

shapes = st.tuples(st.integers(1, 7), st.integers(1, 7))
entries = st.floats(-1, 1, allow_subnormal=False).map(lambda v: 0.0 if abs(v) < 1e-6 else v)
scales = st.integers(-40, 40).map(lambda e: 2.0**e)
matrices = st.builds(lambda a, s: a * s, hnp.arrays(np.float64, shapes, elements=entries), scales)


def exact_square(values: np.ndarray) -> Fraction:
    return sum((Fraction(float(v)) ** 2 for v in values.ravel()), start=Fraction(0))


def assert_tight_upper_end(upper: float, square: Fraction) -> None:
    assert Fraction(upper) ** 2 >= square
    assert Fraction(upper) ** 2 <= square * (1 + Fraction(1, 10**12))


@given(matrices)
def test_frobenius_rows_and_columns(matrix: np.ndarray) -> None:
    assert_tight_upper_end(norms.frobenius(matrix), exact_square(matrix))
    assert_tight_upper_end(norms.largest_row(matrix), max(exact_square(row) for row in matrix))
    assert_tight_upper_end(norms.largest_column(matrix), max(exact_square(column) for column in matrix.T))


@given(matrices)
def test_two_one_is_the_sum_of_the_columns(matrix: np.ndarray) -> None:
    with ctx.workprec(256):
        squares = [exact_square(column) for column in matrix.T]
        exact = sum(
            ((arb(square.numerator) / arb(square.denominator)).sqrt() for square in squares if square), start=arb(0)
        )
        upper = arb(norms.two_one(matrix))
        assert upper >= exact or upper.overlaps(exact)
        assert upper <= exact * (1 + arb("1e-12"))


@given(matrices, st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]))
def test_distances_are_above_those_of_the_exact_differences(matrix: np.ndarray, seed: int, kind: type) -> None:
    """The difference itself rounds, most of all between arrays that nearly agree."""
    first = matrix.astype(kind)
    second = (first * (1 + 1e-6 * np.random.default_rng(seed).normal(size=first.shape))).astype(kind)
    square = sum(
        ((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in zip(first.ravel(), second.ravel(), strict=True)),
        start=Fraction(0),
    )
    upper = norms.distance(norms.frobenius, first, second)
    assert Fraction(upper) ** 2 >= square
    assert Fraction(upper) ** 2 <= square * (1 + Fraction(1, 10**12)) + Fraction(1, 10**600)
    assert norms.distance(norms.spectral, first, second) <= upper * (1 + 1e-12)
    assert norms.distance(norms.largest_row, first, second) <= upper * (1 + 1e-12)


def test_a_distance_of_other_shapes_is_refused() -> None:
    with pytest.raises(RefusedError, match="compared"):
        norms.distance(norms.frobenius, np.ones(2), np.ones(3))


@pytest.mark.parametrize("seed", range(25))
def test_long_sums_of_squares_are_not_rounded_below(seed: int) -> None:
    """Thousands of terms lose more than the last digit: without the a-priori error bound some of these lie below."""
    values = np.random.default_rng(seed).uniform(size=3_000)
    assert Fraction(norms.frobenius(values)) ** 2 >= exact_square(values)
    assert Fraction(norms.largest_row(values[None])) ** 2 >= exact_square(values)
    # Columns of a wide array are summed one row after the other, where rounding errors pile up.
    assert Fraction(norms.largest_column(np.stack([values] * 3, axis=1))) ** 2 >= exact_square(values)


@given(matrices)
def test_half_oscillation(matrix: np.ndarray) -> None:
    exact = (Fraction(float(matrix.max())) - Fraction(float(matrix.min()))) / 2
    upper = Fraction(norms.half_oscillation(matrix))
    assert exact <= upper <= exact * (1 + Fraction(1, 10**14))


def largest_singular_value(matrix: np.ndarray) -> arb:
    """Return a ball around the largest singular value, from enclosed eigenvalues of the exact Gram matrix."""
    exact = arb_mat([[arb(float(v)) for v in row] for row in matrix])
    gram = exact.transpose() * exact
    # A tiny distinct shift of the diagonal separates equal eigenvalues; it only raises the largest one.
    scale = float(np.square(matrix).sum())
    shifts = [scale * 1e-25 * (i + 1) for i in range(matrix.shape[1])]
    separated = arb_mat(
        matrix.shape[1],
        matrix.shape[1],
        [gram[i, j] + (shifts[i] if i == j else 0) for i in range(matrix.shape[1]) for j in range(matrix.shape[1])],
    )
    eigenvalues = separated.eig(algorithm="approx")
    return max((v.real.mid() for v in eigenvalues), key=float).sqrt()


@given(matrices)
def test_spectral_is_above_and_within_1e_8(matrix: np.ndarray) -> None:
    upper = norms.spectral(matrix)
    if not matrix.any():
        assert upper == 0
        return
    with ctx.workprec(256):
        exact = largest_singular_value(matrix)
        # The shift that separates equal eigenvalues is 25 digits below the largest.
        assert arb(upper) * (1 + arb("1e-23")) >= exact
        assert arb(upper) <= exact * (1 + arb("1e-8"))


@given(matrices, hnp.arrays(np.float64, 7, elements=st.floats(-1, 1)))
def test_spectral_bounds_every_image_in_exact_arithmetic(matrix: np.ndarray, direction: np.ndarray) -> None:
    vector = [Fraction(float(v)) for v in direction[: matrix.shape[1]]]
    image = [
        sum((Fraction(float(a)) * v for a, v in zip(row, vector, strict=True)), start=Fraction(0)) for row in matrix
    ]
    assert sum(v * v for v in image) <= Fraction(norms.spectral(matrix)) ** 2 * sum(v * v for v in vector)


@pytest.mark.parametrize("shape", [(1, 1), (200, 3), (3, 200), (60, 60)])
def test_spectral_of_known_singular_values(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(shape[0], min(shape))))
    right, _ = np.linalg.qr(rng.normal(size=(shape[1], min(shape))))
    matrix = left @ np.diag(np.linspace(3.0, 0.1, min(shape))) @ right.T
    assert norms.spectral(matrix) == pytest.approx(3.0, rel=1e-9)
    assert norms.spectral(matrix) >= np.linalg.svd(matrix, compute_uv=False)[0] * (1 - 1e-14)


def test_power_iteration_and_float32_lie_below_where_the_certified_end_does_not() -> None:
    matrix = np.random.default_rng(1).normal(size=(300, 40))
    truth = np.linalg.svd(matrix, compute_uv=False)[0]
    vector = np.ones(40)
    for _ in range(5):
        vector = matrix.T @ (matrix @ vector)
        vector /= np.linalg.norm(vector)
    assert np.linalg.norm(matrix @ vector) < truth * (1 - 1e-4)
    assert norms.spectral(matrix) >= truth * (1 - 1e-15)


def test_a_one_by_one_convolution_has_the_norm_of_its_small_matrix() -> None:
    lift = np.random.default_rng(2).normal(size=(5, 3))
    for items in (1, 4, 30):
        convolution = np.kron(np.eye(items), lift)
        assert np.linalg.norm(convolution, 2) == pytest.approx(np.linalg.norm(lift, 2), rel=1e-13)
        assert norms.spectral(lift) >= np.linalg.norm(convolution, 2) * (1 - 1e-14)


def test_float32_weights_are_the_numbers_they_store() -> None:
    stored = np.array([[0.1, 0.2]], dtype=np.float32)
    assert_tight_upper_end(norms.frobenius(stored), exact_square(stored.astype(np.float64)))


def test_extreme_scales_neither_overflow_nor_vanish() -> None:
    assert norms.frobenius(np.full((3, 3), 1e-200)) == pytest.approx(3e-200, rel=1e-12)
    assert norms.spectral(np.full((3, 3), 1e200)) == pytest.approx(3e200, rel=1e-8)
    assert norms.frobenius(np.array([5e-324])) >= 5e-324
    with pytest.raises(RefusedError, match="exceeds"):
        norms.frobenius(np.full(4, 1.7e308))


NORMS = (norms.frobenius, norms.spectral, norms.two_one, norms.largest_row, norms.half_oscillation)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_are_refused(norm, bad: float) -> None:
    with pytest.raises(RefusedError, match="NaN or infinite"):
        norm(np.array([[1.0, bad]]))


def test_empty_arrays_and_wrong_axes_are_refused() -> None:
    with pytest.raises(RefusedError, match="empty"):
        norms.frobenius(np.zeros((0, 3)))
    with pytest.raises(RefusedError, match="axes"):
        norms.spectral(np.ones((2, 2, 2)))
