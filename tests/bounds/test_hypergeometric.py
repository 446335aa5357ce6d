"""Exact lower ends of finite populations, against their definition in fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import RefusedError
from conv4rec_bounds.hypergeometric import hypergeometric_lower
from conv4rec_bounds.theorems.t9_gems import GEMS

EPS = Fraction(1, 10**15)


def tail(j: int, successes: int, draws: int, population: int) -> Fraction:
    """Count the subsets with at least so many successes."""
    ways = range(max(successes, draws - (population - j)), min(j, draws) + 1)
    found = sum(math.comb(j, k) * math.comb(population - j, draws - k) for k in ways)
    return Fraction(found, math.comb(population, draws))


populations = st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size)))
rarely = st.fractions(Fraction(1, 10**6), Fraction(99, 100), max_denominator=10**6)


@given(populations, rarely)
def test_exact_lower_ends_are_the_definition_and_miss_at_most_so_often(drawn: tuple[int, int], delta: Fraction) -> None:
    """All populations of a size and all that can be drawn from them are enumerated, in fractions."""
    population, draws = drawn
    ends = [hypergeometric_lower(h, draws, population, delta) for h in range(draws + 1)]
    tails = [[tail(j, h, draws, population) for h in range(draws + 2)] for j in range(population + 1)]
    for h, end in enumerate(ends):
        exact = min(j for j in range(population + 1) if tails[j][h] > delta)
        # A tail that equals delta is not certainly excluded.
        assert end == exact or (end < exact and tails[end][h] == delta)
    for j in range(population + 1):
        missed = sum(tails[j][h] - tails[j][h + 1] for h in range(draws + 1) if ends[h] > j)
        assert missed <= delta


def test_one_more_than_the_exact_lower_end_misses_too_often() -> None:
    population, draws, delta = 60, 30, Fraction(1, 20)
    ends = [hypergeometric_lower(h, draws, population, delta) for h in range(draws + 1)]
    missed = [
        sum(
            tail(j, h, draws, population) - tail(j, h + 1, draws, population)
            for h in range(draws + 1)
            if ends[h] + 1 > j >= h
        )
        for j in range(population + 1)
    ]
    assert max(missed) > delta


@given(st.integers(1, 10**5), st.integers(0, 10**5), st.data())
def test_exact_lower_ends_are_never_below_those_of_chernoff(draws: int, more: int, data: st.DataObject) -> None:
    high, delta = data.draw(st.integers(0, draws)), data.draw(st.fractions(Fraction(1, 10**9), Fraction(1, 2)))
    chernoff = GEMS.lower(N=draws, K=1, delta=delta, s=Fraction(high, draws), p_0=0)
    assert Fraction(hypergeometric_lower(high, draws, draws + more, delta), draws + more) >= Fraction(chernoff) - EPS


def test_numbers_of_numpy_give_the_same_end() -> None:
    plain = hypergeometric_lower(900, 1000, 2000, Fraction(1, 640))
    for kind in (np.int32, np.int64, np.uint64):
        assert hypergeometric_lower(kind(900), kind(1000), kind(2000), Fraction(1, 640)) == plain
        assert type(hypergeometric_lower(kind(900), kind(1000), kind(2000), Fraction(1, 640))) is int


def test_half_of_a_pool_is_worth_twice_as_many_draws() -> None:
    """The variance of draws without replacement is half as large, which is the factor of the root of two."""
    delta, draws, share = Fraction(1, 640), 10**5, Fraction(1, 2)
    exact = float(share) - hypergeometric_lower(draws // 2, draws, 2 * draws, delta) / (2 * draws)
    beyond = float(share) - hypergeometric_lower(draws // 2, draws, 1000 * draws, delta) / (1000 * draws)
    assert beyond / exact == pytest.approx(math.sqrt(2), rel=0.01)
    assert hypergeometric_lower(draws // 2, draws, draws, delta) == draws // 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((1.5, 2, 3, 0.1), "expected whole numbers"),
        ((3, 2, 3, 0.1), "no more successes than were drawn"),
        ((-1, 2, 3, 0.1), "no more successes than were drawn"),
        ((1, 4, 3, 0.1), "no more drawn than there are"),
        ((0, 0, 3, 0.1), "at least 1 drawn"),
        ((1, 2, 3, 0.0), "strictly between 0 and 1"),
        ((1, 2, 3, math.nan), "strictly between 0 and 1"),
    ],
)
def test_what_cannot_have_been_drawn_is_refused(arguments: tuple, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        hypergeometric_lower(*arguments)
