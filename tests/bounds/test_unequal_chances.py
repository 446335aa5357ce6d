"""Lower ends of the mean of unequal chances: Hoeffding's theorem and its proof, by exact enumeration in fractions."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conv4rec_bounds import RefusedError
from conv4rec_bounds.inversions import binomial_lower
from conv4rec_bounds.theorems.t9_gems import GEMS
from conv4rec_bounds.unequal_chances import mean_chance_lower

Chances = list[Fraction]

# Zeros, ones and coarse fractions make sums that are whole numbers, where the condition just holds.
chance = st.one_of(
    st.sampled_from([Fraction(0), Fraction(1)]),
    st.fractions(0, 1, max_denominator=6),
    st.fractions(0, Fraction(1, 20), max_denominator=200),
)
laws = st.lists(chance, min_size=1, max_size=8)
rarely = st.one_of(
    st.fractions(Fraction(1, 10**6), Fraction(1, 4), max_denominator=10**6),
    st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100),
)


def law_of_the_sum(chances: Chances) -> Chances:
    law = [Fraction(1)]
    for p in chances:
        law = [(1 - p) * a + p * b for a, b in zip([*law, Fraction(0)], [Fraction(0), *law], strict=True)]
    return law


def tail(chances: Chances, successes: int) -> Fraction:
    return sum(law_of_the_sum(chances)[max(0, successes) :], start=Fraction(0))


def at(chances: Chances, successes: int) -> Fraction:
    law = law_of_the_sum(chances)
    return law[successes] if 0 <= successes < len(law) else Fraction(0)


@given(laws)
@example([Fraction(1, 2)] * 4 + [Fraction(0)] * 4)
@example([Fraction(1)] * 3 + [Fraction(1, 2), Fraction(1, 2)])
def test_equal_chances_have_the_heaviest_tail_where_it_starts_one_above_the_mean(chances: Chances) -> None:
    size, total = len(chances), sum(chances)
    for successes in range(1, size + 1):
        if successes - 1 >= total:
            assert tail(chances, successes) <= tail([total / size] * size, successes)


def test_without_the_condition_unequal_chances_may_have_the_heavier_tail() -> None:
    little = Fraction(1, 1000)
    assert tail([little, Fraction(0)], 1) > tail([little / 2] * 2, 1)
    assert tail([Fraction(1), Fraction(9, 10), Fraction(0)], 2) > tail([Fraction(19, 30)] * 3, 2)


@given(st.lists(chance, min_size=2, max_size=7), st.integers(0, 8))
def test_proof_the_tail_is_linear_in_the_product_of_two_chances(chances: Chances, successes: int) -> None:
    first, second, *others = chances
    curvature = at(others, successes - 2) - at(others, successes - 1)
    found = tail(others, successes) + (first + second) * at(others, successes - 1) + first * second * curvature
    assert tail(chances, successes) == found


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4), chance)
def test_proof_whoever_differs_may_be_brought_together(ones: int, zeros: int, between: int, a: Fraction) -> None:
    """Of the three kinds of pairs that a maximum may still hold apart, none has a negative curvature."""
    chances = [Fraction(1)] * ones + [Fraction(0)] * zeros + [a] * between
    least = math.ceil(sum(chances)) + 1
    pairs = [(one, other) for one, other in pairwise(sorted(set(chances))) if one < other]
    if ones and zeros:
        pairs = [(Fraction(0), Fraction(1))]
    for one, other in pairs:
        others = list(chances)
        others.remove(one)
        others.remove(other)
        for successes in range(max(2, least), len(chances) + 2):
            assert at(others, successes - 2) >= at(others, successes - 1)


@given(laws, rarely)
@example([Fraction(1, 20), *[Fraction(0)] * 5], Fraction(1, 20))
@example([Fraction(1, 2)] * 2, Fraction(1, 2))
def test_lower_ends_lie_above_the_mean_at_most_so_often(chances: Chances, delta: Fraction) -> None:
    """Theirs, and the larger of theirs and Chernoff's at the same price."""
    size, mean = len(chances), sum(chances) / len(chances)
    law = law_of_the_sum(chances)
    ends = [mean_chance_lower(h, size, delta) for h in range(size + 1)]
    best = [GEMS.lower(N=size, K=1, delta=delta, s=Fraction(h, size), p_0=end) for h, end in enumerate(ends)]
    for found in (ends, best):
        assert sum(p for p, end in zip(law, found, strict=True) if Fraction(end) > mean) <= delta


@given(laws, rarely)
def test_the_ends_are_their_definition(chances: Chances, delta: Fraction) -> None:
    """Next above the end one of the two reasons to stop there holds; next below neither does."""
    size = len(chances)
    for successes in range(2, size + 1):
        end = mean_chance_lower(successes, size, delta)
        assert tail([Fraction(end)] * size, successes) <= delta
        assert end <= Fraction(successes - 1, size)
        above = Fraction(end) + Fraction(1, 10**12)
        assert above > Fraction(successes - 1, size) or tail([min(above, Fraction(1))] * size, successes) > delta
    assert mean_chance_lower(0, size, delta) == 0
    assert 0 <= delta / size - Fraction(mean_chance_lower(1, size, delta)) <= Fraction(1, 10**16)


@given(st.integers(1, 10**6), st.data())
def test_up_to_a_quarter_they_are_never_below_those_of_chernoff(size: int, data: st.DataObject) -> None:
    high = data.draw(st.one_of(st.integers(0, min(size, 4)), st.integers(0, size)))
    delta = data.draw(st.fractions(Fraction(1, 10**9), Fraction(1, 4)))
    chernoff = GEMS.lower(N=size, K=1, delta=delta, s=Fraction(high, size), p_0=0)
    assert mean_chance_lower(high, size, delta) >= chernoff * (1 - 1e-12)


def test_beyond_a_quarter_that_of_chernoff_may_be_the_larger() -> None:
    assert GEMS.lower(N=2, K=1, delta=Fraction(1, 2), s=1, p_0=0) > 0.7 > mean_chance_lower(2, 2, 0.5) == 0.5


def missed(chances: Chances, ends: list[float]) -> Fraction:
    mean = sum(chances) / len(chances)
    law = law_of_the_sum(chances)
    return sum((p for p, end in zip(law, ends, strict=True) if Fraction(end) > mean), start=Fraction(0))


def test_the_binomial_end_alone_misses_too_often_after_one_success() -> None:
    """All the chance lies on one trial: the end of equal chances counts on several."""
    size, delta = 10, Fraction(3, 10)
    alone = Fraction(binomial_lower(1, size, delta)) * size * (1 - Fraction(1, 10**9))
    chances = [alone, *[Fraction(0)] * (size - 1)]
    assert missed(chances, [binomial_lower(h, size, delta) for h in range(size + 1)]) > Fraction(11, 10) * delta
    assert missed(chances, [mean_chance_lower(h, size, delta) for h in range(size + 1)]) == 0


@pytest.mark.parametrize("more", [1, Fraction(1001, 1000)])
def test_larger_ends_miss_too_often(more: int | Fraction) -> None:
    """The end of one success more, or all ends moved up a little: some law is below them more often than delta."""
    size, delta = 12, Fraction(1, 20)
    ends = [mean_chance_lower(h, size, delta) for h in range(size + 1)]
    moved = [*ends[1:], 1.0] if more == 1 else [end * float(more) for end in ends]
    alike = [[Fraction(end) * Fraction(10**6 + 1, 10**6)] * size for end in ends[2:]]
    lone = [[delta * Fraction(10**4 + 1, 10**4), *[Fraction(0)] * (size - 1)]]
    worst = [missed(chances, moved) / delta for chances in alike + lone]
    assert max(worst) > 1
    assert max(missed(chances, ends) / delta for chances in alike + lone) <= 1


def test_failure_probabilities_below_the_floats_still_have_an_end() -> None:
    tiny = Fraction(1, 10**400)
    assert mean_chance_lower(5, 10, tiny) == mean_chance_lower(1, 10, tiny) == 0


def test_counts_of_numpy_have_the_same_ends() -> None:
    assert mean_chance_lower(np.int64(90), np.int64(100), 0.05) == mean_chance_lower(90, 100, 0.05)
    assert mean_chance_lower(np.int64(1), np.int64(100), 0.05) == mean_chance_lower(1, 100, 0.05)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((1.0, 2, 0.1), "expected whole numbers"),
        ((3, 2, 0.1), "expected 0 to n"),
        ((-1, 2, 0.1), "expected 0 to n"),
        ((0, 0, 0.1), "at least 1 trial"),
        ((1, 2, 0.0), "strictly between 0 and 1"),
        ((1, 2, math.nan), "strictly between 0 and 1"),
    ],
)
def test_what_cannot_have_been_tried_is_refused(arguments: tuple, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        mean_chance_lower(*arguments)
