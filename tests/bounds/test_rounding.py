"""The safe end: never on the wrong side of the exact real number, never far from it."""

import math
from fractions import Fraction

import mpmath
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import add_up, ceil_float, exact, floor_float, printed_up, split_exactly, surprisal

x, y, z = sympy.symbols("x y z", positive=True)
EVERY_NODE = Formula(
    value=sympy.Min(sympy.sqrt(x / 3), sympy.log(1 + y)) + sympy.Max(sympy.exp(-x), z) + y ** sympy.Rational(1, 4),
    where={z: sympy.ceiling(x * y / 7) ** -1 / sympy.sqrt(y)},
)
magnitudes = st.floats(1e-12, 1e12)


@given(a=magnitudes, b=magnitudes)
def test_ends_enclose_the_sixty_digit_value_closely(sixty_digits, a: float, b: float) -> None:
    true = sixty_digits(EVERY_NODE, {"x": a, "y": b})
    low, high = EVERY_NODE.lower(x=a, y=b), EVERY_NODE.upper(x=a, y=b)
    assert low <= true <= high
    assert high - low <= 4e-16 * abs(high)
    assert EVERY_NODE.number(x=a, y=b) == pytest.approx(float(true), rel=1e-9)


@given(st.fractions(min_value=-(10**20), max_value=10**20))
def test_ceil_and_floor_are_on_their_sides(value: Fraction) -> None:
    ball = exact(value)
    assert Fraction(floor_float(ball)) <= value <= Fraction(ceil_float(ball))


def test_rounding_to_nearest_would_have_been_wrong() -> None:
    third = Fraction(1, 3)
    assert Fraction(float(third)) < third <= Fraction(ceil_float(exact(third)))


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=12), st.floats(1e-12, 1e12))
def test_split_parts_add_up_exactly_and_in_proportion(weights: list[float], total: float) -> None:
    if math.fsum(weights) <= 1e-290:
        with pytest.raises(RefusedError, match="split"):
            split_exactly(total, [0.0] * len(weights))
        return
    parts = split_exactly(total, weights)
    assert math.fsum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert part == pytest.approx(total * weight / math.fsum(weights), rel=1e-9, abs=1e-9 * total)


def test_parts_that_do_not_make_up_the_total_are_refused() -> None:
    with pytest.raises(RefusedError, match="do not make up"):
        add_up(1.0, [0.25, 0.25])


@given(st.lists(st.floats(-1e12, 1e12), max_size=5))
def test_parts_that_make_up_the_total_stay_as_they_are(parts: list[float]) -> None:
    assert add_up(math.fsum(parts), parts) == parts


def test_nothing_is_split_into_nothing() -> None:
    assert add_up(0.0, [0.0, 0.0]) == [0.0, 0.0]
    assert split_exactly(0.0, [1.0, 2.0]) == [0.0, 0.0]


@given(st.fractions(min_value=0, max_value=1).filter(lambda p: p > 0), st.integers(0, 1000))
def test_surprisal_is_right_where_floats_end(p: Fraction, digits: int) -> None:
    with mpmath.workdps(60):
        true = digits * mpmath.log(10) + mpmath.log(p.denominator) - mpmath.log(p.numerator)
    assert surprisal(p / 10**digits) == pytest.approx(float(true), rel=1e-14)
    assert surprisal(p) >= 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(RefusedError):
        Formula(value=x + 1, where={}).upper(x=bad)


def test_the_root_of_a_negative_number_is_refused_but_rounding_below_zero_is_not() -> None:
    with pytest.raises(RefusedError, match="negative"):
        Formula(value=sympy.sqrt(x - 2), where={}).upper(x=1)
    zero = sympy.log(x * y) - sympy.log(x) - sympy.log(y)
    ball = Formula(value=zero, where={}).enclose(x=3, y=7)["value"]
    assert ball.lower() < 0 < ball.upper()
    assert 0 <= Formula(value=sympy.sqrt(zero), where={}).upper(x=3, y=7) < 1e-30


def test_missing_and_unknown_inputs_are_named() -> None:
    with pytest.raises(RefusedError, match="missing or unknown: w, y"):
        EVERY_NODE.upper(x=1, w=1)


def test_an_unwritten_node_is_an_error_not_a_guess() -> None:
    with pytest.raises(TypeError, match="sin"):
        Formula(value=sympy.sin(x), where={}).upper(x=1)


@given(st.floats(1e-12, 1e12), st.integers(1, 12))
def test_a_printed_bound_is_never_below_its_value(value: float, digits: int) -> None:
    printed = Fraction(str(printed_up(value, digits)))
    assert Fraction(value) <= printed <= Fraction(value) * (1 + Fraction(10, 10**digits))
