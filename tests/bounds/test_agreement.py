"""Held-out deviations against implementations that share nothing with ours: textbook forms, on 10,000 draws each.

T9-sequence has its direct loop in `test_t9_sequence`.
"""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

from conv4rec_bounds.betting import betting_upper, number_of_bets
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.loss import SmoothedLosses
from conv4rec_bounds.theorems import t9_held_out
from conv4rec_bounds.theorems.t9_held_out import betting_variance, mean_upper, variance_upper

DELTA, DRAWS = 0.05, 10_000


def textbook_end(values: np.ndarray, delta: float) -> float:
    """Return the upper end for the mean at which the capital of constant bets on 1 - X reaches 1/delta; no grid."""
    bets = [2.0**-power for power in range(number_of_bets(values.size))]

    def excess(mean: float) -> float:
        with np.errstate(divide="ignore"):
            logs = [np.log1p(bet * ((1 - values) / (1 - mean) - 1)).sum() for bet in bets]
        return float(np.logaddexp.reduce(logs)) - math.log(len(bets) / delta)

    low, high = float(values.mean()), 1 - 1e-12
    return float(brentq(excess, low, high, xtol=1e-15)) if excess(high) > 0 else 1.0


def test_betting_ends_of_a_thousand_samples_on_the_grid_are_the_textbooks() -> None:
    """On multiples of 2^-10 the grid of `betting` moves nothing."""
    rng = np.random.default_rng(61)
    for _ in range(DRAWS // 10):
        values = rng.binomial(1024, rng.uniform(0.2, 0.8), size=10) / 1024
        assert betting_upper(values, DELTA) == pytest.approx(textbook_end(values, DELTA), abs=1e-6)


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.3])
def test_the_betting_end_of_ten_thousand_draws_off_the_grid_is_the_textbooks(spread: float) -> None:
    """The grid adds at most (2^-10)^2/4 to the mean square of the values around their mean."""
    values = np.clip(np.random.default_rng(62).normal(0.45, spread, DRAWS), 0, 1)
    plain = textbook_end(values, DELTA)
    assert betting_upper(values, DELTA) - plain + 1e-12 >= 0
    added = math.sqrt(1 + 2.0**-22 / values.var()) - 1
    assert betting_upper(values, DELTA) - plain <= added * (plain - values.mean()) + 1e-12 <= 1e-6


def test_the_betting_end_is_the_textbooks_in_forty_digits() -> None:
    values = np.random.default_rng(63).binomial(1024, 0.4, size=50) / 1024
    with mpmath.workdps(40):
        bets = [mpmath.mpf(2) ** -power for power in range(number_of_bets(values.size))]

        def capital(mean: mpmath.mpf) -> mpmath.mpf:
            wealth = [mpmath.fprod(1 - bet + bet * (1 - mpmath.mpf(x)) / (1 - mean) for x in values) for bet in bets]
            return mpmath.fsum(wealth) / len(bets) * mpmath.mpf(DELTA) - 1

        exact = mpmath.findroot(capital, (values.mean() + 0.01, 0.9), solver="anderson")
        assert exact <= betting_upper(values, DELTA) <= exact + mpmath.mpf(10) ** -12


def test_differences_of_two_losses_have_the_textbooks_end_too() -> None:
    """T9-paired: standard deviations of 0.3 and 1 nat in a range of 30."""
    for spread in (0.3, 1.0):
        differences = np.random.default_rng(64).normal(-0.3, spread, DRAWS)
        found = betting_variance(SmoothedLosses(differences, -15.0, 15.0, 0.0), -15.0, 15.0, Fraction(1, 20))
        ours = math.sqrt(2 * found * math.log(20) / DRAWS)
        plain = 30 * textbook_end((differences + 15) / 30, DELTA) - 15 - differences.mean()
        assert 0 <= ours - plain <= 1e-3 * plain


def test_ten_thousand_empirical_bernstein_deviations_are_maurer_and_pontils() -> None:
    """Their Theorem 4 is for [0, 1] and one side at delta; T9 gives it a third of delta and a range M."""
    definitions = {str(name): definition for name, definition in t9_held_out.HELD_OUT.where.items()}
    deviation = Formula(value=definitions["Delta_B"], where={t9_held_out.loss_range: definitions["M"]})
    rng = np.random.default_rng(65)
    for _ in range(DRAWS):
        size, low, width, delta = int(rng.integers(2, 60)), rng.uniform(0, 1), rng.uniform(0.1, 20), rng.uniform(0, 0.5)
        unit = rng.beta(0.5, 0.5, size=size)
        share, variance = delta / 3, float(np.square(unit[:, None] - unit).sum()) / (2 * size * (size - 1))
        theirs = math.sqrt(2 * variance * math.log(2 / share) / size) + 7 * math.log(2 / share) / (3 * (size - 1))
        losses = SmoothedLosses(low + width * unit, low, low + width, 0.0)
        ours = deviation.number(N=size, delta=delta, V=variance_upper(losses), l_min=low, l_max=low + width)
        assert ours == pytest.approx(width * theirs, rel=1e-6)
        assert mean_upper(losses) == pytest.approx(low + width * unit.mean(), rel=1e-12)
