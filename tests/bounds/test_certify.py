"""The one entry: evidence is checked at the door, and all certificates of a report share one budget."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from conv4rec_bounds import Evidence, Network, Protocol, RefusedError, Scored, Status, certify
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk
from theorem_rows.common import held_out, network, scored_evidence

FULL = replace(scored_evidence(), held_out=held_out(10_000), pool_sample=held_out(10_000, pool=np.full(20_000, 18)))


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_certify_refuses_an_impossible_delta(delta: float) -> None:
    with pytest.raises(RefusedError, match="delta"):
        certify(FULL, delta)


def test_one_report_holds_jointly() -> None:
    report = certify(FULL, delta=0.05)
    assert sum(certificate.spent for certificate in report) == Fraction(0.05)
    assert report.budget.left == 0
    json.dumps(report.record(), allow_nan=False)


def test_a_report_with_fewer_theorems_is_tighter() -> None:
    alone = certify(Evidence(cells=18, protocol=Protocol("independent"), held_out=FULL.held_out))
    assert alone["T9"].value < certify(FULL)["T9"].value
    assert [c.theorem for c in alone if c.status is not Status.REFUSED] == ["T9"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Evidence(cells=0, protocol=Protocol("independent")), "0 cells"),
        (lambda: replace(FULL, cells=19), "the network has 18"),
        (lambda: Evidence(cells=9, protocol=Protocol("independent"), held_out=held_out(10)), "at most 9"),
        (lambda: Scored(0, 1.0), "at least 1"),
        (lambda: Scored(10, math.nan), "finite"),
        (lambda: Scored(10, -0.1), "at least 0"),
        (lambda: Scored(10, 1.0, truth_risk=math.inf), "truth_risk"),
        (lambda: held_out(100, pool=np.full(99, 18)), "too few"),
        (lambda: held_out(100, pool=np.full(200, 17)), "too few"),
        (lambda: held_out(100, pool=np.zeros(0, dtype=np.int64)), "one integer"),
        (lambda: Scored(10, 1.0, uniform_risk=math.nan), "uniform_risk"),
        (lambda: held_out(10, smoothing=1e-320), "too close to 0"),
        (lambda: replace(FULL, pool_sample=held_out(2, pool=np.array([18, 18, 19]))), "of the pool has 19"),
        (lambda: Protocol("independent", profile="guessed"), "guessed"),
    ],
)
def test_bad_evidence_is_refused_at_the_door(make, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        make()


def test_one_item_one_level_is_certain() -> None:
    tiny = network(item=1, level=1, channel=1, code=1)
    report = certify(
        Evidence(cells=1, protocol=Protocol("independent"), network=tiny, scored=Scored(10, 0.0, truth_risk=0.0))
    )
    assert report["T1"].terms["deviation"] >= 0
    assert report["T1"].trivial == 0
    assert report["T1"].status is Status.VACUOUS


@pytest.mark.parametrize("scale", [1e80, 1e160, 1e300])
def test_weights_out_of_all_proportion_are_refused_with_a_sentence(scale: float) -> None:
    weights = {name: np.full_like(array, scale) for name, array in network().weights.items()}
    huge = replace(FULL, network=Network(weights, "relu", "relu"))
    report = certify(huge)
    assert report["T1"].status is Status.REFUSED
    assert report["T1"].reason.startswith("T1 refuses: ")
    assert "expected weights" in report["T1"].reason
    assert "train with weight decay or smaller steps." in report["T1"].reason
    assert report["T9"].value == certify(FULL)["T9"].value
    assert sum(certificate.spent for certificate in report) == report.budget.spent <= Fraction(0.05)
    assert {c.theorem for c in report if c.spent} == {purpose.split(":")[0] for purpose, _ in report.budget.entries}


def test_a_defect_of_a_theorem_is_not_hidden() -> None:
    class Broken(HeldOutRisk):
        def evaluate(self, evidence, delta, budget):
            raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        certify(FULL, theorems=[Broken()])


def test_evidence_cannot_be_changed_after_it_was_checked() -> None:
    pool = np.full(200, 18)
    sample = held_out(100, pool=pool)
    pool[0] = 10**6
    assert int(sample.pool.max()) == 18
    with pytest.raises(ValueError, match="read-only"):
        sample.log_probabilities[0] = 0.0
