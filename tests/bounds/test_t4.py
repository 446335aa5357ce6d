"""T4: free codes, frozen: Lemma 5 for them, their cover, and what the theorem says that T1 may not."""

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

from conv4rec_bounds import Budget, Certificate, Evidence, Network, Protocol, Scored
from conv4rec_bounds.covering import CODES, COMPLEXITY, COUNT, INDEX, RADII, eps, parameters_total, radius_price
from conv4rec_bounds.geometry import LAYERS, RADIUS, code_norm, logits, oscillation_bound
from conv4rec_bounds.loss import oscillation
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from conv4rec_bounds.theorems.t4_frozen_codes import (
    FrozenCodes,
    code_size,
    frozen_constants,
    frozen_definitions,
)
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import (
    DELTA,
    REPLICATES,
    certified_value,
    network,
    unrefused_value,
    with_hidden_layer,
)
from theorem_rows.t4 import FULL, OWN_INPUT, autoencoders

DECODERS = [("decode", "project", "cell_bias"), ("decode", "project", "offset", "cell_bias")]
Weights = dict[str, np.ndarray]


def evaluate(evidence: Evidence) -> Certificate:
    return FrozenCodes().evaluate(evidence, Fraction(DELTA), Budget(DELTA))


def decoded(weights: Weights, code: np.ndarray) -> np.ndarray:
    """Return the logits (item, level) of a code (channel, code)."""
    decode = np.broadcast_to(weights["decode"], (code.shape[0], *weights["decode"].shape[1:]))
    result = np.einsum("cjk,ck,cr->jr", decode, code, weights["project"]) + weights["cell_bias"]
    return result + np.einsum("ck,ckr->r", code, weights["offset"]) if "offset" in weights else result


def draw_weights(rng: np.random.Generator, shape: tuple[int, ...], shared: bool, offset: bool) -> Weights:
    items, levels, channels, code = shape
    weights = {
        CODES: rng.normal(size=(channels, code)),
        "decode": rng.normal(size=(1 if shared else channels, items, code)),
        "project": rng.normal(size=(channels, levels)),
        "cell_bias": rng.normal(size=(items, levels)),
    }
    return weights | ({"offset": rng.normal(size=(channels, code, levels))} if offset else {})


@st.composite
def pairs_of_decoders(draw: st.DrawFn) -> tuple[Weights, Weights]:
    """Draw two codes with their decoders, from far apart to nearly equal, of any scale, zeros among them."""
    shape = tuple(draw(st.integers(1, 4)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shared, offset = draw(st.booleans()), draw(st.booleans())
    first, change = (draw_weights(rng, shape, shared, offset) for _ in range(2))
    for name in first:
        scale = draw(st.sampled_from([0.0, *(10.0**power for power in range(-12, 13, 3))]))
        first[name] = first[name] * scale
        change[name] = change[name] * scale * draw(st.sampled_from([0.0, 1e-6, 1.0, 10.0]))
    return first, {name: first[name] + change[name] for name in first}


def norm(name: str, array: np.ndarray) -> float:
    if name == CODES:
        return float(np.linalg.norm(array))
    return float(np.abs(array).max()) if name == "cell_bias" else LAYERS[name].upper_norm(array)


def at(expression: sympy.Expr, radii: dict[str, float]) -> float:
    values = {RADII[name]: radius for name, radius in radii.items()} | {code_norm: radii[CODES]}
    return float(sympy.sympify(expression).subs(values))


@given(pairs_of_decoders())
def test_lemma_5_a_change_of_codes_and_decoder_moves_no_logit_further(pair: tuple[Weights, Weights]) -> None:
    first, second = pair
    radii = {name: max(norm(name, first[name]), norm(name, second[name])) for name in first}
    constants = frozen_constants(tuple(first))
    assert set(constants) == set(first)
    total = sum(at(constant, radii) * norm(name, second[name] - first[name]) for name, constant in constants.items())
    logits_of = [decoded(weights, weights[CODES]) for weights in pair]
    size = max(np.abs(values).max() for values in logits_of)
    rounding = 1e-12 * (size + at(constants[CODES], radii) * radii[CODES])
    assert np.abs(logits_of[0] - logits_of[1]).max() <= total * (1 + 1e-9) + rounding


@given(pairs_of_decoders())
def test_lemma_5_the_oscillation_is_bounded_for_every_code_of_the_ball(pair: tuple[Weights, Weights]) -> None:
    first, _ = pair
    radii = {name: norm(name, first[name]) for name in first}
    # The bias by half its oscillation, as a common shift moves no oscillation.
    radii["cell_bias"] = LAYERS["cell_bias"].upper_norm(first["cell_bias"])
    bound = at(frozen_definitions(tuple(first))[oscillation_bound], radii)
    assert oscillation(decoded(first, first[CODES])) <= bound * (1 + 1e-9)


@pytest.mark.parametrize("layer", [CODES, "decode", "project", "offset", "cell_bias"])
def test_lemma_5_every_constant_is_attained(layer: str) -> None:
    """One item, level, channel and code: a small change of one of them reaches its constant."""
    weights = {name: np.full([1] * len(LAYERS[name].axes), 2.0) for name in DECODERS[1]} | {CODES: np.full((1, 1), 2.0)}
    moved = weights | {layer: weights[layer] - 1e-6}
    constant = at(frozen_constants(tuple(weights))[layer], dict.fromkeys(weights, 2.0))
    change = np.abs(decoded(weights, weights[CODES]) - decoded(moved, moved[CODES])).max()
    assert change == pytest.approx(constant * 1e-6, rel=1e-5)


@given(st.integers(0, 10**6), st.integers(-6, 6), st.sampled_from(["identity", "relu", "tanh"]), st.booleans())
def test_lemma_5_the_code_radius_holds_for_every_profile(seed: int, power: int, activation: str, empty: bool) -> None:
    rng = np.random.default_rng(seed)
    of = replace(network(scale=10.0**power, seed=seed), code_activation=activation)
    profile = np.zeros((6, 3)) if empty else (rng.random((6, 3)) < 0.4).astype(float)
    weights = of.weights
    lifted = profile / max(np.linalg.norm(profile), 1.0) @ weights["lift"]
    raw = np.einsum("jc,cjk->ck", lifted, weights["encode"]) + weights["code_bias"]
    code = {"identity": raw, "relu": np.maximum(raw, 0), "tanh": np.tanh(raw)}[activation]
    assert np.linalg.norm(code) <= code_size(of)
    np.testing.assert_allclose(decoded(weights, code), logits(of, profile), rtol=1e-9, atol=1e-12)


def test_the_code_radius_is_attained_by_one_item() -> None:
    ones = {name: np.ones([1] * len(layer.axes)) for name, layer in LAYERS.items()}
    assert code_size(Network(ones, "identity", "identity")) == pytest.approx(2.0, rel=1e-12)
    assert code_size(Network(ones, "identity", "tanh")) == pytest.approx(1.0, rel=1e-12)


def test_hidden_layers_leave_the_cap_of_a_bounded_activation() -> None:
    """Whatever the hidden layers are, a tanh code of two channels of size two lies in the ball of radius 2."""
    hidden = with_hidden_layer()
    assert code_size(hidden) == pytest.approx(2.0)
    found = replace(FULL, network=hidden)
    assert FrozenCodes().refusal(found) is None
    assert evaluate(found).quantities["norm_H"] == code_size(hidden)
    for activation in ("relu", "identity"):
        reason = FrozenCodes().refusal(replace(found, network=replace(hidden, code_activation=activation)))
        assert f"hidden layers with the activation '{activation}'" in str(reason)


@given(st.integers(1, 3), st.integers(1, 2), st.floats(0.3, 3.0), st.integers(0, 10**6))
def test_lemma_7_codes_of_several_users_fill_no_more_than_the_volume_bound(
    users: int, size: int, resolution: float, seed: int
) -> None:
    """A packing of products of balls, in the largest of the users' distances."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(400, users, size))
    points *= rng.random((400, users, 1)) / np.linalg.norm(points, axis=2, keepdims=True)
    chosen: list[np.ndarray] = []
    for point in points:
        if all(np.linalg.norm(point - other, axis=1).max() > resolution for other in chosen):
            chosen.append(point)
    assert len(chosen) <= (1 + 2 / resolution) ** (users * size)


@pytest.mark.parametrize("present", DECODERS)
def test_the_shares_of_the_resolution_add_up_to_it_symbolically(present: tuple[str, ...]) -> None:
    definitions, constants = frozen_definitions(present), frozen_constants(present)
    count = sum(COUNT[name] for name in constants)
    assert sympy.simplify(definitions[parameters_total] - count) == 0
    for name, constant in constants.items():
        share = eps * COUNT[name] / (parameters_total * constant)
        radius = code_norm if name == CODES else RADII[name]
        size = sympy.ceiling(radius / share) if name == "cell_bias" else 1 + 2 * radius / share
        assert sympy.simplify(definitions[COMPLEXITY[name]] - COUNT[name] * sympy.log(size)) == 0
    paid = sum(sympy.log((INDEX[name] + 1) * (INDEX[name] + 2)) for name in constants)
    assert sympy.simplify(definitions[radius_price] - paid) == 0


def test_a_cover_of_two_users_codes_and_a_tiny_decoder_really_covers() -> None:
    """One item, level, channel and code, two users: the product of the layer covers is walked point by point."""
    radius, resolution = 0.5, 0.25
    constants = {
        name: at(c, dict.fromkeys(RADIUS, radius) | {CODES: radius})
        for name, c in frozen_constants(("decode", "project", "cell_bias")).items()
    }
    counts = {CODES: 2, "decode": 1, "project": 1, "cell_bias": 1}
    steps = {name: resolution * counts[name] / 5 / constants[name] for name in constants}
    grids = [np.arange(-radius, radius + 1e-12, steps[name]) for name in (CODES, CODES, "decode", "project")]
    grids.append(np.arange(-radius, radius + 1e-12, steps["cell_bias"]))
    centres = np.array(list(product(*grids)))
    reached = centres[:, :2] * (centres[:, 2] * centres[:, 3])[:, None] + centres[:, 4:]
    for point in np.random.default_rng(5).uniform(-radius, radius, size=(50, 5)):
        own = point[:2] * point[2] * point[3] + point[4]
        assert np.abs(reached - own).max(axis=1).min() <= resolution


def test_t4_does_not_ask_how_the_codes_came_about() -> None:
    fixed = replace(FULL, protocol=Protocol("independent"))
    assert evaluate(fixed).value == evaluate(FULL).value
    pool = evaluate(replace(FULL, protocol=Protocol("finite pool", profile="self-reconstruction")))
    assert "own pools" in pool.target
    assert "codes frozen" in pool.target


def test_every_user_pays_for_his_own_code() -> None:
    few, many = (evaluate(replace(FULL, scored=Scored(10**6, 2.0, users=users))) for users in (10, 1000))
    assert many.quantities["p"] - few.quantities["p"] == pytest.approx(990 * 4)
    assert many.quantities["Delta"] > few.quantities["Delta"]
    assert "encode" not in many.attribution
    assert many.attribution[CODES] > many.attribution["decode"]


def test_the_resolution_of_t4_never_sees_a_measured_risk() -> None:
    low, high = (evaluate(replace(FULL, scored=Scored(10_000, risk, users=50))) for risk in (0.0, 40.0))
    assert low.quantities["epsilon"] == high.quantities["epsilon"]
    assert low.quantities["Delta"] == high.quantities["Delta"]


def test_t1_is_wrong_for_an_autoencoder_that_copies_its_input_and_t4_holds() -> None:
    """Each of many users shows one of ten items at random; the network copies it; a second draw is elsewhere.

    Both theorems see the same weights and the same scored part, drawn here; T1, had it not refused, would certify
    that a fresh interaction of these users costs little, T4 pays for a code of every user.
    """
    items, users, sharp = 10, 10**5, 40.0
    shown = np.random.default_rng(6).integers(items, size=users)
    identity = np.eye(items)[None]
    weights = {"lift": np.ones((1, 1)), "encode": identity, "decode": sharp * identity, "project": np.ones((1, 1))}
    copier = Network(weights | {"cell_bias": np.zeros((items, 1))}, "identity", "identity")
    table = np.array([logits(copier, np.eye(items)[:, [item]])[:, 0] for item in range(items)])
    losses = np.logaddexp.reduce(table, axis=1)[:, None] - table
    fresh = float(losses[shown].mean())
    scored = Scored(users, float(losses[shown, shown].mean()), users=users)
    found = Evidence(cells=items, protocol=OWN_INPUT, network=copier, scored=scored)
    assert ParameterCount().refusal(found) is not None
    assert unrefused_value(ParameterCount(), found) < 0.9 * fresh
    assert FrozenCodes().refusal(found) is None
    assert evaluate(found).value >= fresh


def test_frozen_codes_say_nothing_about_new_codes() -> None:
    """One user, a million interactions spread over two items; re-encoding another profile may cost anything."""
    weights = {
        "lift": np.ones((1, 1)),
        "encode": np.array([[[1.0], [1.0], [-1.0]]]),
        "decode": 20 * np.array([[[1.0], [1.0], [-1.0]]]),
        "project": np.ones((1, 1)),
        "cell_bias": np.zeros((3, 1)),
    }
    of = Network(weights, "identity", "identity")
    own = logits(of, np.array([[1.0], [1.0], [0.0]]))[:, 0]
    other = logits(of, np.array([[0.0], [0.0], [1.0]]))[:, 0]
    frozen, encoded_again = (np.logaddexp.reduce(values) - values[:2].mean() for values in (own, other))
    found = Evidence(3, OWN_INPUT, of, Scored(10**6, float(frozen), users=1))
    assert frozen <= evaluate(found).value < encoded_again
    assert math.isfinite(encoded_again)


def pools_that_are_read() -> Iterator[tuple[float, float]]:
    """A random part of all users' pools is read and scored; the best of fifty autoencoders is chosen on it."""
    rng, known = np.random.default_rng(71), autoencoders()
    users, items = known.laws.shape
    pools = np.array([rng.choice(items, size=8, p=law) for law in known.laws])
    shares = np.array([np.bincount(pool, minlength=items) / pool.size for pool in pools])
    owner = np.repeat(np.arange(users), 8)
    for _ in range(REPLICATES):
        chosen = rng.permutation(owner.size)[:20]
        counts = np.zeros((users, items), dtype=int)
        np.add.at(counts, (owner[chosen], pools.reshape(-1)[chosen]), 1)
        frozen = known.losses[:, (counts > 0) @ (1 << np.arange(items))]
        empirical = (frozen * counts).sum(axis=(1, 2)) / 20
        best = int(empirical.argmin())
        each = counts.sum(axis=1)
        found = Evidence(
            cells=items,
            protocol=Protocol("finite pool", profile="self-reconstruction"),
            network=known.networks[best],
            scored=Scored(20, float(empirical[best]), users=int((each > 0).sum())),
        )
        yield certified_value(FrozenCodes(), found), float(each @ (frozen[best] * shares).sum(axis=1)) / 20


def test_t4_holds_for_the_users_own_pools() -> None:
    bounds, targets = np.array(list(pools_that_are_read())).T
    measured = coverage(bounds, targets, DELTA)
    assert measured.holds
    assert not coverage(shrunk(bounds, 1.1 * measured.tightness[1]), targets, DELTA).holds
