"""T6: what only it promises."""

import math
from fractions import Fraction

import pytest

from conv4rec_bounds import Budget, Status
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.t6_total_variation import FastTotalVariation
from theorem_rows.common import DELTA, scored_evidence


def test_t6_vanishes_at_its_stated_rate(sixty_digits) -> None:
    """The resolution shrinks with N, so the complexity grows like p log N: the ratio to the rate settles."""
    base: dict[str, float] = {"h_max": 2.0, "delta": 0.05, "Lhat": 1.0, "Lhat_star": 1.0}
    for layer in LAYERS.values():
        base |= {f"s_{layer.letter}": 12, f"p_{layer.letter}": 20}
    formula = FastTotalVariation().formula
    ratios = [
        float(sixty_digits(formula, base | {"N": 10**power})) / math.sqrt(140 * power * math.log(10) / 10**power)
        for power in (12, 40, 80)
    ]
    assert ratios == pytest.approx([math.sqrt(2)] * 3, rel=0.2)
    assert abs(ratios[2] - math.sqrt(2)) < abs(ratios[0] - math.sqrt(2))


def test_a_total_variation_near_one_is_called_vacuous() -> None:
    certificate = FastTotalVariation().evaluate(scored_evidence(100), Fraction(DELTA), Budget(DELTA))
    assert certificate.status is Status.VACUOUS
    assert "within 0.01 of the trivial value 1" in certificate.reason
