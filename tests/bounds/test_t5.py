"""T5: from the deviation of the risk to total variation, step by step, and the rate."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Certificate, Comparator, Evidence, Network, Protocol, Scored, Status
from conv4rec_bounds.divergences import kullback_leibler, total_variation
from conv4rec_bounds.geometry import LAYERS, logits
from conv4rec_bounds.loss import LOSS_RANGE, oscillation
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from conv4rec_bounds.theorems.t5_oracle_inequality import TV_FROM_DIVERGENCE, OracleInequality
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import DELTA, REPLICATES, certified_value
from theorem_rows.t5 import FULL

unit = st.floats(0, 1)


def evaluate(evidence: Evidence) -> Certificate:
    return OracleInequality().evaluate(evidence, Fraction(DELTA), Budget(DELTA))


def binary_divergence(first: float, second: float) -> float:
    pairs = ((first, second), (1 - first, 1 - second))
    if any(p > 0 and q == 0 for p, q in pairs):
        return math.inf
    return sum(p * (math.log(p) - math.log(q)) for p, q in pairs if p > 0)


@given(unit, unit)
def test_step_2_pinsker_for_two_points(first: float, second: float) -> None:
    assert binary_divergence(first, second) >= 2 * (first - second) ** 2 - 1e-14


def test_step_2_pinsker_slope_symbolically() -> None:
    p, q = sympy.symbols("p q", positive=True)
    difference = p * sympy.log(p / q) + (1 - p) * sympy.log((1 - p) / (1 - q)) - 2 * (p - q) ** 2
    assert sympy.simplify(sympy.diff(difference, q) - (q - p) * (1 / (q * (1 - q)) - 4)) == 0
    assert sympy.simplify(1 / (q * (1 - q)) - 4 - (1 - 2 * q) ** 2 / (q * (1 - q))) == 0


@given(st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([1e-12, 1e-3, 1.0, 30.0]))
def test_step_2_merging_cells_only_lowers_the_divergence(cells: int, seed: int, sharp: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(cells, 0.5), size=1)
    log_model = sharp * rng.normal(size=(1, cells))
    log_model -= np.logaddexp.reduce(log_model, axis=1)[:, None]
    above = truth[0] > np.exp(log_model[0])
    merged = binary_divergence(
        min(1.0, float(truth[0, above].sum())), min(1.0, float(np.exp(log_model[0, above]).sum()))
    )
    assert merged <= kullback_leibler(truth, log_model, np.ones(1)) + 1e-9


@given(st.integers(1, 6), st.integers(0, 10**6))
def test_step_2_half_the_divergence_exceeds_the_exponent_of_the_affinity(cells: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, model = rng.dirichlet(np.full(cells, 0.3), size=2)
    divergence = kullback_leibler(truth[None], np.log(model)[None], np.ones(1))
    assert -math.log(min(1.0, float(np.sqrt(truth * model).sum()))) <= divergence / 2 + 1e-12


def test_step_2_pinsker_is_reached_by_nearly_equal_laws_and_the_other_by_far_ones() -> None:
    """An ascent over pairs of coins reaches 0.99 of Pinsker; a missed cell reaches Bretagnolle and Huber."""
    coins = np.linspace(0.01, 0.99, 99)
    ratios = [
        abs(p - q) / TV_FROM_DIVERGENCE.number(Xi=binary_divergence(p, q)) for p, q in product(coins, coins) if p != q
    ]
    assert 0.999 < max(ratios) <= 1 + 1e-9
    far = [1 - q for q in (1e-6, 1e-9)]
    bounds = [TV_FROM_DIVERGENCE.number(Xi=binary_divergence(1.0, 1 - distance)) for distance in far]
    assert all(0.999 < distance / bound <= 1 for distance, bound in zip(far, bounds, strict=True))


def test_step_2_each_of_the_two_is_the_better_one_somewhere() -> None:
    assert TV_FROM_DIVERGENCE.number(Xi=0.5) == pytest.approx(0.5)
    assert TV_FROM_DIVERGENCE.number(Xi=4.0) == pytest.approx(math.sqrt(1 - math.exp(-4)))
    assert 1.0 <= TV_FROM_DIVERGENCE.upper(Xi=10**6) <= 1.0 + 1e-15


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6), st.sampled_from([0.0, 1e-9, 1.0, 50.0]))
def test_step_1_the_divergence_splits_over_deviations_and_the_gap(
    users: int, cells: int, seed: int, sharp: float
) -> None:
    """KL = A + [Lhat - Lhat_0] + [L - Lhat] + [Lhat_0 - L_0], an identity for every sample."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(np.full(cells, 0.7), size=users)
    models = sharp * rng.normal(size=(2, users, cells))
    models -= np.logaddexp.reduce(models, axis=2)[..., None]
    counts = rng.multinomial(rng.integers(1, 9, size=users), truth)
    mix = counts.sum(axis=1) / counts.sum()
    risk, risk_0 = (-float(mix @ (truth * model).sum(axis=1)) for model in models)
    measured, measured_0 = (-float((counts * model).sum()) / counts.sum() for model in models)
    divergence, excess = (kullback_leibler(truth, model, mix) for model in models)
    again = excess + (measured - measured_0) + (risk - measured) + (measured_0 - risk_0)
    assert divergence == pytest.approx(again, rel=1e-9, abs=1e-9 * (1 + sharp))


def test_the_gap_is_never_negative_and_never_ignored() -> None:
    better, worse = (
        evaluate(replace(FULL, comparator=Comparator(0.0, 3.0, risk))).terms["optimization gap"] for risk in (2.5, 1.5)
    )
    assert better == 0.0
    assert worse == pytest.approx(0.5)


def test_the_deviation_is_that_of_t1_with_half_of_delta() -> None:
    certificate = evaluate(FULL)
    half = ParameterCount().evaluate(FULL, Fraction(DELTA) / 2, Budget(DELTA))
    assert certificate.quantities["Delta"] == half.quantities["Delta"]
    assert certificate.quantities["epsilon"] == half.quantities["epsilon"]


def test_each_of_the_two_events_pays_half() -> None:
    budget = Budget(DELTA)
    OracleInequality().evaluate(FULL, Fraction(DELTA), budget)
    assert [amount for _, amount in budget.entries] == [Fraction(DELTA) / 2] * 2


def test_it_calls_itself_an_oracle_inequality_and_hands_nothing_on() -> None:
    certificate = evaluate(FULL)
    assert "oracle inequality" in certificate.title
    assert certificate.reason.startswith("An oracle inequality for a known truth, no certificate.")
    assert not OracleInequality.model_tv
    assert evaluate(replace(FULL, scored=Scored(10, 2.0))).status is Status.VACUOUS


def test_t5_vanishes_at_its_stated_rate(sixty_digits) -> None:
    """The resolution shrinks like 1 / sqrt(N): the ratio to (p log N / N)^(1/4) settles."""
    base: dict[str, float] = {"h_max": 2.0, "delta": 0.05, "q": 18, "Lhat": 1.0, "Lhat_0": 1.0, "A": 0.0, "w_0": 1.0}
    for layer in LAYERS.values():
        base |= {f"s_{layer.letter}": 12, f"p_{layer.letter}": 20}
    formula = OracleInequality().formula
    ratios = []
    for power in (40, 80, 160):
        size = 10**power
        value = sixty_digits(formula, base | {"N": size, "epsilon": Fraction(140, 10 ** (power // 2))})
        ratios.append(float(value) / (140 * power * math.log(10) / size) ** 0.25)
    assert max(ratios) <= 1.2 * min(ratios)
    assert abs(ratios[2] - ratios[1]) < abs(ratios[1] - ratios[0])


def best_of_fifty() -> Iterator[tuple[float, float]]:
    """A truth outside the class, a million interactions of four users, and the best of fifty networks on them."""
    rng = np.random.default_rng(51)
    items, users, size = 4, 4, 10**6
    shapes = {name: [items if axis == "item" else 1 for axis in LAYERS[name].axes] for name in LAYERS}
    names = ("lift", "encode", "decode", "project", "cell_bias")
    networks, log_laws = [], []
    for _ in range(50):
        network = Network({name: 0.3 * rng.normal(size=shapes[name]) for name in names}, "identity", "tanh")
        table = np.array([logits(network, np.eye(items)[:, [user]])[:, 0] for user in range(users)])
        networks.append(network)
        log_laws.append(table - np.logaddexp.reduce(table, axis=1)[:, None])
    laws = np.array(log_laws)
    truth = 0.97 * np.exp(laws[0]) + 0.03 * rng.dirichlet(np.ones(items), size=users)
    widest = max(oscillation(row) for row in laws[0])
    for _ in range(REPLICATES):
        counts = rng.multinomial(rng.multinomial(size, np.full(users, 0.25)), truth)
        mix = counts.sum(axis=1) / size
        measured = -(counts * laws).sum(axis=(1, 2)) / size
        best = int(measured.argmin())
        found = Evidence(
            cells=items,
            protocol=Protocol("independent"),
            network=networks[best],
            scored=Scored(size, float(measured[best])),
            comparator=Comparator(kullback_leibler(truth, laws[0], mix), widest, float(measured[0])),
        )
        yield certified_value(OracleInequality(), found), total_variation(truth, np.exp(laws[best]), mix)


def test_t5_holds_below_one_for_a_truth_outside_the_class() -> None:
    bounds, targets = np.array(list(best_of_fifty())).T
    measured = coverage(bounds, targets, DELTA)
    assert measured.holds
    assert bounds.max() < 0.5
    assert not coverage(shrunk(bounds, 1.1 * measured.tightness[1]), targets, DELTA).holds


@given(st.floats(0, 40), st.integers(1, 9), st.integers(0, 10**6))
def test_the_comparators_range_is_that_of_its_own_oscillation(sharp: float, cells: int, seed: int) -> None:
    values = sharp * np.random.default_rng(seed).normal(size=cells)
    losses = np.logaddexp.reduce(values) - values
    assert np.ptp(losses) <= LOSS_RANGE.upper(q=cells, w=oscillation(values)) + 1e-9
