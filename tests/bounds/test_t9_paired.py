"""T9-paired: the range of differences, both readings, and what only it promises."""

import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Evidence, HeldOut, Paired, Protocol, RefusedError, Status, certify
from conv4rec_bounds.betting import betting_upper
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk, mean_upper
from conv4rec_bounds.theorems.t9_paired import PairedRisk
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import DELTA, REPLICATES, certified_value
from theorem_rows.t9_paired import INDEPENDENT

POOL = Protocol("finite pool")
logs = st.floats(-300, 0)


def value(pair: Paired, protocol: Protocol = INDEPENDENT) -> float:
    cells = pair.model.cells if pair.model.pool is None else pair.model.pool
    return certified_value(PairedRisk(), Evidence(int(cells.max()), protocol, paired=pair))


@given(st.lists(st.tuples(logs, logs, st.integers(1, 10**6)), min_size=2, max_size=8), st.floats(1e-6, 1 - 1e-9))
def test_step_1_differences_lie_in_the_range_of_the_largest_number_of_cells(
    rows: list[tuple[float, float, int]], smoothing: float
) -> None:
    first, second, cells = (np.array(column) for column in zip(*rows, strict=True))
    pair = Paired(HeldOut(first, cells, smoothing), second)
    found = pair.differences
    assert found.low == -found.high
    assert (np.abs(found.losses) <= found.high * (1 + 1e-12) + found.error).all()
    with mpmath.workdps(40):
        alpha = mpmath.mpf(smoothing)
        exact = [
            mpmath.log(((1 - alpha) * mpmath.exp(g) + alpha / q) / ((1 - alpha) * mpmath.exp(f) + alpha / q))
            for f, g, q in rows
        ]
        assert all(abs(one - float(ours)) <= found.error for one, ours in zip(exact, found.losses, strict=True))
        assert mpmath.fsum(exact) / len(rows) <= mean_upper(found)


def test_step_1_the_range_is_attained() -> None:
    certain, impossible = np.array([0.0, 0.0]), np.array([-math.inf, -math.inf])
    found = Paired(HeldOut(impossible, np.array([7, 7]), 0.1), certain).differences
    assert found.losses == pytest.approx(found.high, rel=1e-12)


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=2, max_size=30))
def test_the_value_is_the_betting_end_of_the_differences(rows: list[tuple[float, float]]) -> None:
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    pair = Paired(HeldOut(first, np.full(first.size, 50)), second)
    found = pair.differences
    end = betting_upper((found.losses + found.high) / (2 * found.high), DELTA)
    assert value(pair) == pytest.approx(found.high - 2 * found.high * end, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=2, max_size=30))
def test_a_model_is_not_better_than_itself_nor_both_better_than_each_other(rows: list[tuple[float, float]]) -> None:
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    one, other = (HeldOut(logs, np.full(logs.size, 50)) for logs in (first, second))
    assert value(Paired(one, first)) < 0
    assert value(Paired(one, second)) + value(Paired(other, first)) < 0


def pool_replicates() -> Iterator[tuple[float, float]]:
    """Draw half of a pool in which users have one, fifty, or a thousand cells, and the model is better in the mean."""
    rng, size = np.random.default_rng(35), 1200
    cells = rng.choice([1, 50, 1000], size=size, p=[0.2, 0.5, 0.3])
    chance = -np.log(cells)
    other = np.minimum(chance + rng.normal(0.3, 0.3, size), 0)
    model = np.where(cells == 1, 0.0, np.minimum(other + rng.normal(1, 1, size), 0))
    everything = Paired(HeldOut(model, cells), other)
    target = -float(everything.differences.losses.mean())
    for _ in range(REPLICATES):
        drawn = rng.choice(size, size=size // 2, replace=False)
        part = HeldOut(model[drawn], cells[drawn], pool=cells)
        yield max(value(Paired(part, other[drawn]), POOL), 1e-9), target


def test_the_margin_holds_for_subsets_of_a_pool_whose_users_have_unequal_cells() -> None:
    bounds, targets = np.array(list(pool_replicates())).T
    measured = coverage(targets, bounds, DELTA)
    assert measured.holds
    assert not coverage(shrunk(targets, 1.1 * measured.tightness[1]), bounds, DELTA).holds


def test_the_range_of_a_pool_holds_for_users_who_were_not_drawn() -> None:
    part = HeldOut(np.zeros(5), np.ones(5, dtype=np.int64), pool=np.array([1] * 9 + [10**6]))
    certificate = certify(Evidence(10**6, POOL, paired=Paired(part, np.zeros(5))))["T9-paired"]
    assert certificate.quantities["W"] >= math.log(1 + 0.99 * 10**6 / 0.01)
    assert certificate.status is Status.VACUOUS


def test_the_difference_is_certified_where_two_upper_bounds_tell_nothing() -> None:
    """The losses vary by nats from one interaction to the next, but for both models alike."""
    rng, size = np.random.default_rng(36), 4000
    hard = rng.uniform(-12, -1, size)
    part, other = HeldOut(hard, np.full(size, 1000)), hard - rng.normal(0.1, 0.1, size).clip(hard, None)
    assert value(Paired(part, other)) > 0.05
    deviations = [
        certify(Evidence(1000, INDEPENDENT, held_out=HeldOut(logs, np.full(size, 1000))), theorems=[HeldOutRisk()])[
            "T9"
        ].terms["deviation"]
        for logs in (hard, other)
    ]
    assert min(deviations) > 0.1


def test_lists_that_do_not_fit_are_refused_at_once() -> None:
    part = HeldOut(np.zeros(3), np.full(3, 9))
    with pytest.raises(RefusedError, match="3 cell counts for 2 log-probabilities"):
        Paired(part, np.zeros(2))
    with pytest.raises(RefusedError, match="log-probability 1 is NaN"):
        Paired(part, np.array([0.0, math.nan, 0.0]))
    with pytest.raises(RefusedError, match="has 9 cells, but at most 8"):
        Evidence(8, INDEPENDENT, paired=Paired(part, np.zeros(3)))


def test_nothing_of_delta_is_kept_for_other_methods() -> None:
    budget = Budget(0.25)
    part = HeldOut(np.zeros(3), np.full(3, 9))
    PairedRisk().evaluate(Evidence(9, INDEPENDENT, paired=Paired(part, np.zeros(3))), Fraction(1, 4), budget)
    assert budget.entries == [("T9-paired: betting", Fraction(1, 4))]
