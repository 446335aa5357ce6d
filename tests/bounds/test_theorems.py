"""One table of all theorems drives these tests: a new theorem is a new row of `EVIDENCE` and `INPUTS`."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import (
    THEOREMS,
    Budget,
    Evidence,
    HeldOut,
    Network,
    Protocol,
    RefusedError,
    Scored,
    Status,
    certify,
)
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_bounds.theorems.t9_held_out import mean_upper, variance_upper

DOCS = Path(__file__).parents[2] / "docs"


def network(scale: float = 0.7, seed: int = 0, **sizes: int) -> Network:
    shape = {"item": 6, "level": 3, "channel": 2, "code": 2} | sizes
    rng = np.random.default_rng(seed)
    weights = {name: scale * rng.normal(size=[shape[axis] for axis in layer.axes]) for name, layer in LAYERS.items()}
    return Network(weights, "identity", "tanh")


def held_out(size: int, seed: int = 0, **options: object) -> HeldOut:
    log_probabilities = np.log(np.random.default_rng(seed).uniform(0.01, 0.9, size=size))
    return HeldOut(log_probabilities, np.full(size, 18), **options)  # pyright: ignore


def evidence(size: int = 10_000) -> Evidence:
    return Evidence(
        cells=18,
        protocol=Protocol("independent"),
        network=network(),
        scored=Scored(size, risk=2.0, truth_risk=2.001),
        held_out=held_out(size),
        pool_sample=held_out(size, pool=np.full(2 * size, 18)),
    )


FULL = evidence()
indices, sizes = st.integers(0, 80), st.integers(1, 10**7)
confidences = st.floats(1e-9, 0.5)


@st.composite
def cover_inputs(draw: st.DrawFn) -> dict[str, float]:
    values: dict[str, float] = {"h_max": draw(st.one_of(st.just(math.inf), st.floats(1, 40)))}
    for layer in LAYERS.values():
        values |= {f"s_{layer.letter}": draw(indices), f"p_{layer.letter}": draw(sizes)}
    return values | {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences)}


@st.composite
def held_out_inputs(draw: st.DrawFn) -> dict[str, float]:
    low = draw(st.floats(0, 1))
    values = {"l_min": low, "l_max": low + draw(st.floats(1e-6, 50)), "lbar": draw(st.floats(0, 50))}
    return values | {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences)}


risks = st.floats(0, 50)
INPUTS = {
    "T1": st.builds(
        lambda cover, q, eps, risk: cover | {"q": q, "epsilon": eps, "Lhat": risk},
        cover_inputs(),
        st.integers(1, 10**7),
        st.floats(1e-9, 10),
        risks,
    ),
    "T6": st.builds(
        lambda cover, risk, truth: cover | {"Lhat": risk, "Lhat_star": truth}, cover_inputs(), risks, risks
    ),
    "T9": st.builds(lambda values, v: values | {"V": v}, held_out_inputs(), st.floats(0, 600)),
    "T9-pool": st.builds(lambda values, more: values | {"H": values["N"] + more}, held_out_inputs(), sizes),
}
every_theorem = pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.number)


def evaluate(theorem: Theorem, given_: Evidence, delta: float = 0.05):
    return theorem.evaluate(given_, Fraction(delta), Budget(delta))


def test_the_table_has_a_row_for_every_theorem() -> None:
    assert set(INPUTS) == {theorem.number for theorem in THEOREMS}
    assert len({theorem.number for theorem in THEOREMS}) == len(THEOREMS)


@every_theorem
def test_every_theorem_has_a_page_with_its_formula_and_a_proof(theorem: Theorem) -> None:
    page = (DOCS / f"{theorem.page}.md").read_text(encoding="utf-8")
    assert f"{{formula}} {theorem.number}" in page
    for heading in ("## Statement", "## Assumptions", "## Proof", "## What it is good for", "## When it is vacuous"):
        assert heading in page
    assert theorem.claim
    row = next(
        line for line in (DOCS / "theory" / "index.md").read_text().splitlines() if f"[{theorem.number}](" in line
    )
    assert f"${theorem.rate}$" in row
    assert theorem.formula.latex("x").count("=") == 1 + len(theorem.formula.where)


@every_theorem
@given(data=st.data())
def test_fast_safe_and_sixty_digit_values_agree(sixty_digits, theorem: Theorem, data: st.DataObject) -> None:
    inputs = data.draw(INPUTS[theorem.number])
    true = sixty_digits(theorem.formula, inputs)
    upper = theorem.formula.upper(**inputs)
    assert upper >= true
    assert upper <= float(true) * (1 + 1e-12) + 1e-300
    assert theorem.formula.number(**inputs) == pytest.approx(float(true), rel=1e-6, abs=1e-6)


@every_theorem
@given(data=st.data())
def test_the_formula_falls_with_n_and_with_delta(theorem: Theorem, data: st.DataObject) -> None:
    inputs = data.draw(INPUTS[theorem.number])
    here = theorem.formula.upper(**inputs)
    less_confident = inputs | {"delta": min(2 * inputs["delta"], 0.999)}
    assert theorem.formula.lower(**less_confident) <= here
    more = inputs | {"N": 2 * inputs["N"]} | ({"H": 2 * inputs["H"]} if "H" in inputs else {})
    assert theorem.formula.lower(**more) <= here


VANISHING = {"T1": ["Delta"], "T6": [], "T9": ["Delta_H", "Delta_B"], "T9-pool": ["Delta_S"]}


@every_theorem
def test_deviations_vanish_with_infinite_data_symbolically(theorem: Theorem) -> None:
    size = sympy.Symbol("N", positive=True)
    named = {str(name): definition for name, definition in theorem.formula.where.items()}
    for name in VANISHING[theorem.number]:
        pool_grows_too = named[name].subs(sympy.Symbol("H", positive=True), 2 * size)
        assert sympy.limit(pool_grows_too, size, sympy.oo) == 0


def test_t6_vanishes_at_its_stated_rate(sixty_digits) -> None:
    """The resolution shrinks with N, so the complexity grows like p log N: the ratio to the rate settles."""
    base: dict[str, float] = {"h_max": 2.0, "delta": 0.05, "Lhat": 1.0, "Lhat_star": 1.0}
    for layer in LAYERS.values():
        base |= {f"s_{layer.letter}": 12, f"p_{layer.letter}": 20}
    formula = certify_theorem("T6").formula
    ratios = [
        float(sixty_digits(formula, base | {"N": 10**power})) / math.sqrt(140 * power * math.log(10) / 10**power)
        for power in (12, 40, 80)
    ]
    assert ratios == pytest.approx([math.sqrt(2)] * 3, rel=0.2)
    assert abs(ratios[2] - math.sqrt(2)) < abs(ratios[0] - math.sqrt(2))


def certify_theorem(number: str) -> Theorem:
    return next(theorem for theorem in THEOREMS if theorem.number == number)


@every_theorem
def test_a_certificate_shows_its_parts_and_they_add_up_exactly(theorem: Theorem) -> None:
    certificate = evaluate(theorem, FULL)
    assert certificate.terms_of is not None
    assert math.fsum(certificate.terms.values()) == certificate.terms_of[1]
    complexity = list(certificate.terms.values())[-1]
    assert math.fsum(certificate.attribution.values()) == complexity
    assert all(part >= 0 for part in certificate.attribution.values())
    assert certificate.spent == Fraction(0.05)
    assert len(certificate.assumptions) == len(theorem.assumptions)
    assert certificate.reason.endswith(".")
    json.dumps(certificate.record(), allow_nan=False)


@every_theorem
def test_a_certificate_pays_exactly_its_share(theorem: Theorem) -> None:
    budget = Budget(0.25)
    theorem.evaluate(FULL, Fraction(1, 8), budget)
    assert budget.spent == Fraction(1, 8)
    assert all(purpose.startswith(theorem.number) for purpose, _ in budget.entries)


@every_theorem
def test_more_data_gives_a_smaller_certificate(theorem: Theorem) -> None:
    small, large = (evaluate(theorem, evidence(size)).value for size in (1_000, 1_000_000))
    assert small is not None
    assert large is not None
    assert large < small


@every_theorem
def test_the_value_is_the_formula_at_the_printed_quantities(theorem: Theorem) -> None:
    """Recompute by another road: the fast float of the formula at the inputs that the certificate names."""
    certificate = evaluate(theorem, FULL)
    q = dict(certificate.quantities)
    if theorem.number == "T1":
        again = 2.0 + 4 * q["epsilon"] + q["M"] * math.sqrt((q["C"] + q["P"] + math.log(20)) / 20_000)
    elif theorem.number == "T6":
        exponent = (2.0 - 2.001) / 2 + 2 * q["epsilon"] + (q["C"] + q["P"] + math.log(20)) / 10_000
        again = math.sqrt(1 - math.exp(-2 * exponent))
    else:
        losses = -np.log(0.99 * np.exp(held_out(10_000).log_probabilities) + 0.01 / 18)
        width = math.log(18 / 0.01) + math.log(0.99 + 0.01 / 18)
        hoeffding = width * math.sqrt(math.log(40) / 20_000)
        bernstein = math.sqrt(2 * losses.var(ddof=1) * math.log(80) / 10_000) + 7 * width * math.log(80) / (3 * 9_999)
        serfling = width * math.sqrt((1 - 9_999 / 20_000) * math.log(20) / 20_000)
        again = losses.mean() + (serfling if theorem.number == "T9-pool" else min(hoeffding, bernstein))
        expected = {"T9": {"Delta_H": hoeffding, "Delta_B": bernstein}, "T9-pool": {"Delta_S": serfling}}
        for name, deviation in expected[theorem.number].items():
            assert q[name] == pytest.approx(deviation, rel=1e-9)
    assert certificate.value == pytest.approx(again, rel=1e-9)
    assert certificate.value >= again * (1 - 1e-13)


BROKEN = [
    ("T1", replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
    ("T6", replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
    ("T1", replace(FULL, scored=None), "no scored part"),
    ("T1", replace(FULL, network=None), "no weights"),
    ("T6", replace(FULL, scored=Scored(100, 2.0)), "known for synthetic truths only"),
    ("T6", replace(FULL, scored=None), "no scored part"),
    ("T1", replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
    ("T6", replace(FULL, protocol=Protocol("neither")), "not independent draws"),
    ("T9", replace(FULL, protocol=Protocol("neither")), "not independent"),
    ("T6", replace(FULL, protocol=Protocol("finite pool")), "degenerate"),
    ("T9", replace(FULL, held_out=None), "no held-out part"),
    ("T9", replace(FULL, held_out=held_out(100, untouched=False)), "has seen"),
    ("T9", replace(FULL, held_out=held_out(1)), "at least 2"),
    ("T9", replace(FULL, protocol=Protocol("finite pool")), "use T9-pool"),
    ("T9-pool", replace(FULL, pool_sample=None), "not given as a random subset"),
    ("T9-pool", replace(FULL, pool_sample=held_out(100)), "not given as a random subset"),
    ("T9-pool", replace(FULL, pool_sample=held_out(100, pool=np.full(100, 18))), "whole pool"),
    ("T9-pool", replace(FULL, pool_sample=held_out(100, pool=np.full(200, 18), untouched=False)), "has seen"),
]
WIDER = {"encode": np.ones((2, 6, 5)), "code_bias": np.ones((2, 5)), "hidden.0.weight": np.ones((4, 10))}
HIDDEN = Network({**network().weights, **WIDER}, "identity", "tanh")
BROKEN += [(number, replace(FULL, network=HIDDEN), "hidden layers") for number in ("T1", "T6")]


@pytest.mark.parametrize(("number", "broken", "sentence"), BROKEN)
def test_a_broken_assumption_is_refused_by_name(number: str, broken: Evidence, sentence: str) -> None:
    certificate = certify(broken)[number]
    assert certificate.status is Status.REFUSED
    assert certificate.value is None
    assert certificate.spent == 0
    assert certificate.reason.startswith(f"{number} refuses (A")
    assert sentence in certificate.reason


@every_theorem
def test_every_assumption_that_can_be_checked_has_a_refusal_test(theorem: Theorem) -> None:
    reasons = [certify(broken)[number].reason for number, broken, _ in BROKEN if number == theorem.number]
    for assumption in theorem.assumptions:
        assert any(f"({assumption.name})" in reason for reason in reasons)


def test_the_resolution_of_t1_never_sees_a_measured_risk() -> None:
    low, high = (evaluate(certify_theorem("T1"), replace(FULL, scored=Scored(10_000, risk))) for risk in (0.0, 40.0))
    assert low.quantities["epsilon"] == high.quantities["epsilon"]
    assert low.quantities["Delta"] == high.quantities["Delta"]


def test_weights_of_one_class_get_one_deviation() -> None:
    """The deviation is the class's: norms that fall on the same grid points give the same number."""
    nearby = Network({n: a * (1 - 1e-9) for n, a in network().weights.items()}, "identity", "tanh")
    first, second = (evaluate(certify_theorem("T1"), replace(FULL, network=n)) for n in (network(), nearby))
    assert first.quantities["C"] == second.quantities["C"]
    assert first.quantities["norm_E"] != second.quantities["norm_E"]


@given(st.floats(-300, 0), st.integers(2, 30))
def test_the_mean_and_variance_of_losses_are_upper_ends(log_probability: float, size: int) -> None:
    log_probabilities = np.linspace(log_probability, 0, size)
    losses = HeldOut(log_probabilities, np.full(size, 9), smoothing=0.2).losses
    alpha = mpmath.mpf(0.2)
    with mpmath.workdps(40):
        values = [
            -mpmath.log((1 - alpha) * mpmath.exp(mpmath.mpf(lp)) + alpha / 9) for lp in map(float, log_probabilities)
        ]
    mean = sum(values) / size
    variance = sum((v - mean) ** 2 for v in values) / (size - 1)
    assert float(mean) <= mean_upper(losses) <= float(mean) + 1e-12
    assert float(variance) <= variance_upper(losses) <= float(variance) + 1e-10


@pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, math.nan])
def test_certify_refuses_an_impossible_delta(delta: float) -> None:
    with pytest.raises(RefusedError, match="delta"):
        certify(FULL, delta)


def test_one_report_holds_jointly() -> None:
    report = certify(FULL, delta=0.05)
    assert sum(certificate.spent for certificate in report) == Fraction(0.05)
    assert report.budget.left == 0
    assert [certificate.status for certificate in report].count(Status.REFUSED) == 0
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


def test_float32_log_probabilities_are_the_numbers_they_store() -> None:
    stored = np.log(np.random.default_rng(0).uniform(0.01, 0.9, size=50)).astype(np.float32)
    cells = np.full(50, 9)
    narrow, wide = (HeldOut(lp, cells).losses for lp in (stored, stored.astype(np.float64)))
    np.testing.assert_array_equal(narrow.losses, wide.losses)
    assert narrow.error == wide.error


def test_the_range_of_a_pool_holds_for_interactions_that_were_not_drawn() -> None:
    """Users differ in their cells: the sample alone would give too small a range, and certificates that miss."""
    few = HeldOut(np.zeros(5), np.ones(5, dtype=np.int64), pool=np.array([1] * 9 + [10**6]))
    evidence = Evidence(cells=10**6, protocol=Protocol("finite pool"), pool_sample=few)
    certificate = evaluate(certify_theorem("T9-pool"), evidence)
    assert certificate.quantities["M"] >= math.log(10**6 / 0.01)
    assert certificate.trivial == pytest.approx(math.log(10**6) / 10)


def test_a_total_variation_near_one_is_called_vacuous() -> None:
    certificate = evaluate(certify_theorem("T6"), evidence(100))
    assert certificate.status is Status.VACUOUS
    assert "within 0.01 of the trivial value 1" in certificate.reason


@pytest.mark.parametrize("scale", [1e80, 1e160, 1e300])
def test_weights_out_of_all_proportion_are_refused_with_a_sentence(scale: float) -> None:
    weights = {name: np.full_like(array, scale) for name, array in network().weights.items()}
    huge = replace(FULL, network=Network(weights, "relu", "relu"))
    with pytest.raises(RefusedError, match="expected weights"):
        certify(huge)


def test_one_cell_with_large_weights_has_no_deviation_from_the_range() -> None:
    weights = {name: 1e3 * array for name, array in network(item=1, level=1, channel=1, code=1).weights.items()}
    one = Evidence(1, Protocol("independent"), Network(weights, "relu", "relu"), Scored(10, 0.0, truth_risk=0.0))
    assert certify(one)["T1"].quantities["M"] <= 1e-60


def test_evidence_cannot_be_changed_after_it_was_checked() -> None:
    pool = np.full(200, 18)
    sample = held_out(100, pool=pool)
    pool[0] = 10**6
    assert int(sample.pool.max()) == 18
    with pytest.raises(ValueError, match="read-only"):
        sample.log_probabilities[0] = 0.0


def test_sampling_is_declared_and_names_what_t1_bounds() -> None:
    with pytest.raises(TypeError, match="sampling"):
        Protocol()
    pool = evaluate(certify_theorem("T1"), replace(FULL, protocol=Protocol("finite pool")))
    assert "own pools" in pool.target
    assert "own pools" not in evaluate(certify_theorem("T1"), FULL).target
