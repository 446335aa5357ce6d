"""T1: what only it promises."""

from dataclasses import replace
from fractions import Fraction

import pytest

from conv4rec_bounds import Budget, Certificate, Evidence, Network, Protocol, Scored, certify
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from theorem_rows.common import DELTA, network, scored_evidence

FULL = scored_evidence()


def evaluate(evidence: Evidence) -> Certificate:
    return ParameterCount().evaluate(evidence, Fraction(DELTA), Budget(DELTA))


def test_the_resolution_of_t1_never_sees_a_measured_risk() -> None:
    low, high = (evaluate(replace(FULL, scored=Scored(10_000, risk))) for risk in (0.0, 40.0))
    assert low.quantities["epsilon"] == high.quantities["epsilon"]
    assert low.quantities["Delta"] == high.quantities["Delta"]


def test_weights_of_one_class_get_one_deviation() -> None:
    """The deviation is the class's: norms that fall on the same grid points give the same number."""
    nearby = Network({n: a * (1 - 1e-9) for n, a in network().weights.items()}, "identity", "tanh")
    first, second = (evaluate(replace(FULL, network=n)) for n in (network(), nearby))
    assert first.quantities["C"] == second.quantities["C"]
    assert first.quantities["norm_E"] != second.quantities["norm_E"]


def test_one_cell_with_large_weights_has_no_deviation_from_the_range() -> None:
    weights = {name: 1e3 * array for name, array in network(item=1, level=1, channel=1, code=1).weights.items()}
    one = Evidence(1, Protocol("independent"), Network(weights, "relu", "relu"), Scored(10, 0.0, truth_risk=0.0))
    assert certify(one)["T1"].quantities["M"] <= 1e-60


def test_sampling_is_declared_and_names_what_t1_bounds() -> None:
    with pytest.raises(TypeError, match="sampling"):
        Protocol()
    pool = evaluate(replace(FULL, protocol=Protocol("finite pool")))
    assert "own pools" in pool.target
    assert "own pools" not in evaluate(FULL).target
