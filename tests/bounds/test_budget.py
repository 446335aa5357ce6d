"""The ledger: what is spent never exceeds what there is, whatever is asked."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Evidence, HeldOut, Protocol, RefusedError, certify
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk
from conv4rec_experiments.studies.coverage import coverage

shares = st.lists(st.fractions(min_value=Fraction(1, 10**6), max_value=1), max_size=30)


@given(st.floats(1e-12, 0.999), shares)
def test_no_sequence_of_payments_overspends(total: float, amounts: list[Fraction]) -> None:
    budget = Budget(total)
    for number, amount in enumerate(amounts):
        before = budget.spent
        try:
            budget.spend(f"step {number}", amount)
        except RefusedError:
            assert amount > Fraction(total) - before
            assert budget.spent == before
    assert budget.spent <= Fraction(total)
    assert budget.left == Fraction(total) - budget.spent


@given(st.floats(1e-9, 0.999), st.integers(1, 100))
def test_equal_shares_use_up_the_total_exactly(total: float, count: int) -> None:
    budget = Budget(total)
    for number in range(count):
        budget.spend(f"share {number}", Fraction(total) / count)
    assert budget.left == 0


@pytest.mark.parametrize("total", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_a_total_that_is_no_failure_probability_is_refused(total: float) -> None:
    with pytest.raises(RefusedError, match="delta"):
        Budget(total)


@pytest.mark.parametrize("amount", [Fraction(0), Fraction(-1, 10)])
def test_a_payment_of_nothing_is_refused(amount: Fraction) -> None:
    with pytest.raises(RefusedError, match="more than 0"):
        Budget(0.05).spend("free lunch", amount)


def held_out(hits: np.ndarray, smoothing: float = 0.01) -> Evidence:
    with np.errstate(divide="ignore"):
        part = HeldOut(np.log(hits.astype(float)), np.full(hits.size, 90), smoothing)
    return Evidence(cells=90, protocol=Protocol("independent"), held_out=part)


@given(st.lists(st.tuples(st.floats(0.001, 0.5), st.fractions(Fraction(1, 100), Fraction(1, 2))), max_size=12))
def test_who_tries_many_times_and_keeps_the_best_is_stopped_by_the_ledger(tries: list[tuple[float, Fraction]]) -> None:
    """However the smoothing is searched, and whatever each try pays, the tries together never overspend."""
    hits = np.random.default_rng(0).random(50) < 0.5
    ledger, paid = Budget(Fraction(1, 2)), Fraction(0)
    for smoothing, delta in tries:
        if paid + delta <= ledger.total:
            report = certify(held_out(hits, smoothing), delta, [HeldOutRisk()], ledger)
            paid += report["T9"].spent
        else:
            with pytest.raises(RefusedError, match="of the failure probability"):
                certify(held_out(hits, smoothing), delta, [HeldOutRisk()], ledger)
    assert ledger.spent == paid <= ledger.total


def test_the_best_of_many_predictors_is_wrong_unless_all_are_paid_for() -> None:
    """400 coins for predictors: the luckiest on the held-out part misses its own bound, and not the paid one."""
    rng, tries, alpha, cells = np.random.default_rng(1), 400, 0.01, 90
    risk = -(math.log(1 - alpha + alpha / cells) + math.log(alpha / cells)) / 2
    unpaid, paid = [], []
    for _ in range(200):
        luckiest = np.zeros(50, dtype=bool)
        luckiest[: rng.binomial(50, 0.5, size=tries).max()] = True
        unpaid.append(certify(held_out(luckiest), 0.05, [HeldOutRisk()])["T9"].value)
        ledger = Budget(0.05)
        paid.append(certify(held_out(luckiest), Fraction(0.05) / tries, [HeldOutRisk()], ledger)["T9"].value)
    assert not coverage(unpaid, [risk] * 200, 0.05).holds
    assert coverage(paid, [risk] * 200, 0.05).holds
