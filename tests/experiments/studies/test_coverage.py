"""Counting misses: exact tails, exact intervals, and that a shrunk bound is caught."""

from math import comb
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.studies.coverage import (
    binomial_tail,
    coverage,
    coverage_table,
    exact_interval,
    fits,
    shrunk,
)
from conv4rec_experiments.studies.tables import CERTIFICATES
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


POINT = {"truth": "small", "truth_seed": 0, "protocol": "fixed profile", "sampling": "independent", "size": 1_000}
KIND = {"theorem": "T6", "basis": "known", "side": "upper", "target": "distance", "delta": DELTA, "refused": None}


def table(pairs: list[tuple[float, float]], **changes: Any) -> pl.DataFrame:
    rows = [
        POINT | KIND | {"seed": seed, "bound": bound, "measured": target, "seconds": 0.0} | changes
        for seed, (bound, target) in enumerate(pairs)
    ]
    return pl.DataFrame(rows, schema=dict(CERTIFICATES), orient="row")


@given(st.lists(st.tuples(st.floats(0.01, 2), st.floats(0.01, 1)), min_size=1))
def test_a_table_of_upper_bounds_is_counted_as_a_list_is(pairs: list[tuple[float, float]]) -> None:
    counted, found = coverage_table(table(pairs)).row(0, named=True), coverage(*zip(*pairs, strict=True), DELTA)
    assert (counted["misses"], counted["replicates"], counted["tail"]) == (found.misses, found.replicates, found.tail)
    assert (counted["low"], counted["high"]) == found.interval == exact_interval(found.misses, len(pairs))
    assert counted["holds"] is found.holds
    assert [counted[f"tightness_{q}"] for q in ("05", "50", "95")] == pytest.approx(found.tightness)
    assert counted["rate"] == found.misses / len(pairs)
    mutated = coverage(shrunk([b for b, _ in pairs], 1.1 * max(1.0, found.tightness[1])), [t for _, t in pairs], DELTA)
    assert counted["mutation_caught"] is not mutated.holds


@given(st.lists(st.tuples(st.floats(0.01, 2), st.floats(0.01, 1)), min_size=1))
def test_a_lower_bound_misses_where_it_lies_above_its_target(pairs: list[tuple[float, float]]) -> None:
    counted = coverage_table(table(pairs, side="lower")).row(0, named=True)
    mirrored = coverage_table(table([(target, bound) for bound, target in pairs])).row(0, named=True)
    assert counted["misses"] == sum(bound > target for bound, target in pairs)
    assert {**counted, "side": "upper"} == mirrored


def test_a_bound_a_tenth_too_small_for_half_of_the_replicates_is_caught() -> None:
    pairs = [(0.2 + 0.1 * np.sin(k), 0.1) for k in range(200)]
    counted = coverage_table(table(pairs)).row(0, named=True)
    assert counted["holds"]
    assert counted["mutation_caught"]


def test_targets_and_bounds_of_exactly_zero_are_counted_and_said() -> None:
    upper = coverage_table(table([(0.0, 0.0), (0.1, 0.0), (0.1, 0.0), (0.0, 0.1)])).row(0, named=True)
    assert (upper["misses"], upper["zeros"]) == (1, 3)
    assert upper["tightness_50"] == 1.0
    assert upper["tightness_95"] is None
    lower = coverage_table(table([(0.0, 0.3)] * 30, side="lower")).row(0, named=True)
    assert (lower["misses"], lower["zeros"], lower["holds"]) == (0, 30, True)
    assert lower["tightness_05"] is None
    assert lower["mutation_caught"] is None


def test_what_holds_for_sure_may_not_miss_once() -> None:
    sure = [(0.2, 0.1)] * 500
    assert coverage_table(table(sure, delta=0.0)).row(0, named=True)["holds"]
    assert not coverage_table(table([*sure, (0.1, 0.2)], delta=0.0)).row(0, named=True)["holds"]


def test_refusals_are_counted_beside_answers_and_kinds_are_not_mixed() -> None:
    refused = table([(0.0, 0.0)], bound=None, measured=None, refused="T6 refuses: no weights.")
    other = table([(0.3, 0.1)] * 2, basis="plug-in")
    counted = coverage_table(pl.concat([table([(0.3, 0.1)] * 3), refused, other]))
    known, plug_in = counted.sort("basis").rows(named=True)
    assert (known["replicates"], known["refused"], known["reason"]) == (3, 1, "T6 refuses: no weights.")
    assert (plug_in["replicates"], plug_in["refused"], plug_in["reason"]) == (2, 0, None)
    alone = coverage_table(refused).row(0, named=True)
    assert (alone["replicates"], alone["misses"], alone["holds"]) == (0, None, None)


def test_a_table_that_would_pass_by_accident_is_refused() -> None:
    with pytest.raises(InputError, match="no rows"):
        coverage_table(table([]))
    for pair in ((float("nan"), 0.1), (0.1, float("nan")), (float("inf"), 0.1), (None, 0.1), (0.1, None)):
        with pytest.raises(InputError, match="by accident"):
            coverage_table(table([(0.3, 0.1), pair]))
