"""Counting misses: exact tails, exact intervals, and that a shrunk bound is caught."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.studies.coverage import binomial_tail, coverage, fits, shrunk
from conv4rec_experiments.truths import small_truth

TRUTH = small_truth(0)
DELTA = 0.05


def test_replicates_do_not_depend_on_how_many_follow() -> None:
    few, more = fits(TRUTH, 1_000, 2, seed=7), fits(TRUTH, 1_000, 3, seed=7)
    assert np.array_equal(few.counts, more.counts[:2])
    assert not np.array_equal(few.counts[0], few.counts[1])
    assert not np.array_equal(few.counts[0], fits(TRUTH, 1_000, 1, seed=8).counts[0])
    for one, other in zip(few.fits, more.fits, strict=False):
        assert one.training_loss == pytest.approx(other.training_loss, abs=1e-6)


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.data())
def test_binomial_tail_is_the_sum_of_its_terms(replicates: int, delta: float, data: st.DataObject) -> None:
    misses = data.draw(st.integers(0, replicates))
    terms = (comb(replicates, k) * delta**k * (1 - delta) ** (replicates - k) for k in range(misses, replicates + 1))
    assert binomial_tail(misses, replicates, delta) == pytest.approx(sum(terms), rel=1e-9)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.01, 1)), min_size=1), st.floats(1, 10))
def test_coverage_counts_and_a_smaller_bound_misses_no_less(pairs: list[tuple[float, float]], factor: float) -> None:
    bounds, targets = zip(*pairs, strict=True)
    found = coverage(bounds, targets, DELTA)
    assert found.misses == sum(bound < target for bound, target in pairs)
    assert found.interval[0] <= found.misses / len(pairs) <= found.interval[1]
    worse = coverage(shrunk(bounds, factor), targets, DELTA)
    assert worse.misses >= found.misses
    assert worse.tail <= found.tail


def test_the_criterion_forgives_chance_and_not_more() -> None:
    targets = np.full(1_000, 0.5)
    assert coverage(np.where(np.arange(1_000) < 65, 0.4, 0.6), targets, DELTA).holds
    assert not coverage(np.where(np.arange(1_000) < 100, 0.4, 0.6), targets, DELTA).holds


def test_an_infinite_bound_covers_and_nan_is_refused() -> None:
    assert coverage([np.inf], [0.5], DELTA).misses == 0
    for bounds, targets in (([np.nan], [0.5]), ([0.5], [np.nan]), ([0.5], [0.0]), ([0.5], [np.inf])):
        with pytest.raises(InputError, match="NaN"):
            coverage(bounds, targets, DELTA)


def test_what_cannot_be_counted_is_refused_in_words() -> None:
    with pytest.raises(InputError, match="shape"):
        coverage([], [], DELTA)
    with pytest.raises(InputError, match="shape"):
        coverage([1.0], [0.5, 0.5], DELTA)
    with pytest.raises(InputError, match="delta"):
        coverage([1.0], [0.5], 1.0)
    with pytest.raises(InputError, match="factor"):
        shrunk([1.0], 0.5)
    with pytest.raises(InputError, match="replicates"):
        fits(TRUTH, 1_000, 0, seed=0)
