"""T9-parts: what only it promises; the steps of its proof are those of the betting bound (test_betting)."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Evidence, NamedLoss, NamedLosses, Protocol, RefusedError
from conv4rec_bounds.betting import betting_upper
from conv4rec_bounds.loss import smoothed_losses
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk, mean_upper
from conv4rec_bounds.theorems.t9_parts import PARTS, HeldOutParts
from theorem_rows.common import DELTA, REPLICATES
from theorem_rows.t9_parts import FULL, INDEPENDENT, losses

unit = st.floats(0, 1)


def evaluate(evidence: Evidence) -> dict[str, float]:
    return dict(HeldOutParts().evaluate(evidence, Fraction(DELTA), Budget(DELTA)).quantities)


@given(st.lists(unit, min_size=2, max_size=30), st.floats(-5, 5), st.floats(0.1, 9))
def test_every_end_is_that_of_the_betting_bound_with_its_share(values: list[float], low: float, length: float) -> None:
    shifted = np.clip(low + length * np.array(values), low, low + length)
    part = NamedLosses((NamedLoss("a", "units", shifted, low, low + length), NamedLoss("b", "units", shifted, -20, 20)))
    found = evaluate(Evidence(9, INDEPENDENT, named_losses=part))
    plain = low + length * betting_upper(np.array(values), DELTA / 2)
    assert found["a"] == pytest.approx(plain, rel=1e-6, abs=1e-6)
    assert found["b"] == pytest.approx(40 * betting_upper((shifted + 20) / 40, DELTA / 2) - 20, rel=1e-6, abs=1e-6)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_mean_of_exact_values_is_never_rounded_down(values: list[float]) -> None:
    loss = NamedLoss("a", "units", np.array(values), -2e6, 2e6)
    exact = sum(map(Fraction, values)) / len(values)
    assert exact <= Fraction(mean_upper(loss.bounded)) <= exact + Fraction(1, 10**6)


def test_one_loss_alone_pays_for_none_but_itself() -> None:
    alone = replace(FULL, named_losses=NamedLosses(FULL.named_losses.losses[:1]))
    assert evaluate(alone)["explicit loss"] < evaluate(FULL)["explicit loss"]
    budget = Budget(DELTA)
    HeldOutParts().evaluate(FULL, Fraction(DELTA), budget)
    assert budget.entries == [(f"T9-parts: {name}", Fraction(DELTA) / 2) for name in ("explicit loss", "level error")]


def test_the_target_names_loss_unit_and_reading() -> None:
    certificate = HeldOutParts().evaluate(FULL, Fraction(DELTA), Budget(DELTA))
    assert certificate.target == "explicit loss, mean over the held-out users' laws (nats)"
    pool = replace(FULL, named_losses=replace(FULL.named_losses, pool=20_000), protocol=Protocol("neither"))
    assert HeldOutParts().refusal(pool) is None
    certificate = HeldOutParts().evaluate(pool, Fraction(DELTA), Budget(DELTA))
    assert certificate.target == "explicit loss, mean over the held-out pool (nats)"


def test_smoothing_the_parts_is_not_smoothing_the_joint_law() -> None:
    """Two items of two levels: the loss of the product of the smoothed parts differs from that of T9's predictor."""
    item, level = math.log(0.001), math.log(0.9)
    cells, two = np.array([4]), np.array([2])
    parts = sum(float(smoothed_losses(np.array([log]), two, 0.1).losses[0]) for log in (item, level))
    joint = float(smoothed_losses(np.array([item + level]), cells, 0.1).losses[0])
    assert abs(parts - joint) > 0.3


def test_all_ends_hold_jointly_for_subsets_of_a_pool() -> None:
    rng = np.random.default_rng(34)
    pool = np.where(rng.random(200) < 0.03, 6.0, rng.uniform(0, 1, 200))
    missed = 0
    for _ in range(REPLICATES):
        part = losses(rng.choice(pool, 60, replace=False), pool=200)
        found = evaluate(Evidence(9, Protocol("finite pool"), named_losses=part))
        missed += found["explicit loss"] < pool.mean() or found["level error"] < pool.mean() / 2
    assert missed <= 0.05 * REPLICATES


def test_with_its_whole_share_betting_is_close_to_the_best_of_three() -> None:
    rng = np.random.default_rng(35)
    for size in (100, 10_000, 100_000):
        values = rng.uniform(0, 0.6, size)
        share = DELTA / 3
        hoeffding = math.sqrt(math.log(3 / share) / (2 * size))
        bernstein = math.sqrt(2 * values.var(ddof=1) * math.log(6 / share) / size)
        bernstein += 7 * math.log(6 / share) / (3 * (size - 1))
        best = min(hoeffding, bernstein, betting_upper(values, share / 3) - values.mean())
        assert betting_upper(values, share) - values.mean() < best


GOOD = NamedLoss("a", "nats", np.array([0.5, 1.0]), 0.0, 2.0)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: replace(GOOD, name=""), "has no name"),
        (lambda: replace(GOOD, values=np.array([])), "at least one number"),
        (lambda: replace(GOOD, values=np.array([0.5, np.nan])), "expected finite numbers"),
        (lambda: replace(GOOD, values=np.array([0.5, np.inf])), "expected finite numbers"),
        (lambda: replace(GOOD, values=np.array([0.5, 2.1])), "between 0 and 2"),
        (lambda: replace(GOOD, low=2.0), "interval of positive length"),
        (lambda: replace(GOOD, high=np.nan), "interval of positive length"),
        (lambda: replace(GOOD, error=-1.0), "a small number"),
        (lambda: replace(GOOD, trivial=np.nan), "is NaN"),
        (lambda: NamedLosses(()), "at least one"),
        (lambda: NamedLosses((GOOD, GOOD)), "a name of its own"),
        (lambda: NamedLosses((GOOD, replace(GOOD, name="b", values=np.ones(3)))), "for the same interactions"),
        (lambda: NamedLosses((GOOD,), pool=1), "cannot come from a pool of 1"),
        (lambda: NamedLosses((GOOD,), pool=2.5), "expected a whole number"),
    ],
)
def test_what_is_no_bounded_loss_is_refused(make, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        make()


def test_the_formula_is_the_one_on_the_page() -> None:
    by_hand = 1.4 + math.sqrt(2 * 0.5 * math.log(3 / 0.05) / 10_000)
    assert PARTS.number(**HeldOutParts.example) == pytest.approx(by_hand, rel=1e-12)
    assert HeldOutRisk().formula is not PARTS
