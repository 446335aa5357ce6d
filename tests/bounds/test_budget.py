"""The ledger: what is spent never exceeds what there is, whatever is asked."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, RefusedError

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
