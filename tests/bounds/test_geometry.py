"""Lemma 5: how far logits reach and move, for every profile, and that the constants are attained."""

import math

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Network, RefusedError
from conv4rec_bounds.geometry import (
    ACTIVATIONS,
    LAYERS,
    RADIUS,
    code_cap,
    code_norm,
    logits,
    oscillation_bound,
    sensitivities,
    size_definitions,
)
from conv4rec_bounds.loss import oscillation


def draw_weights(
    rng: np.random.Generator, shape: tuple[int, int, int, int], shared: bool, optional: bool, scale: float
):
    items, levels, channels, code = shape
    maps = 1 if shared else channels
    weights = {
        "lift": rng.normal(size=(levels, channels)),
        "encode": rng.normal(size=(maps, items, code)),
        "decode": rng.normal(size=(maps, items, code)),
        "project": rng.normal(size=(channels, levels)),
        "cell_bias": rng.normal(size=(items, levels)),
    }
    if optional:
        weights |= {"code_bias": rng.normal(size=(channels, code)), "offset": rng.normal(size=(channels, code, levels))}
    return {name: array * scale for name, array in weights.items()}


@st.composite
def pairs_of_networks(draw: st.DrawFn) -> tuple[Network, Network, np.ndarray]:
    shape = tuple(draw(st.integers(1, 4)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shared, optional = draw(st.booleans()), draw(st.booleans())
    scale = 10.0 ** draw(st.integers(-12, 12))
    distance = 10.0 ** draw(st.integers(-6, 1))
    activations = tuple(draw(st.sampled_from(list(ACTIVATIONS))) for _ in range(3))
    first = draw_weights(rng, shape, shared, optional, scale)
    change = draw_weights(rng, shape, shared, optional, scale * distance)
    second = {name: first[name] + change[name] for name in first}
    profile = (rng.random((shape[0], shape[1])) < draw(st.sampled_from([0.0, 0.3, 1.0]))).astype(float)
    return Network(first, *activations), Network(second, *activations), profile


def values(first: Network, second: Network) -> dict[sympy.Symbol, float]:
    """Return radii that bound the norms of both networks."""
    radii = {
        RADIUS[name]: max(LAYERS[name].upper_norm(network.weights[name]) for network in (first, second))
        for name in first.layers
    }
    # The bias is centred by the norm of both networks, not by half its oscillation: a shift moves no loss but moves Z.
    radii[code_cap] = first.code_cap if math.isfinite(first.code_cap) else sympy.oo
    sizes = size_definitions(first.layers)
    radii[code_norm] = sizes[code_norm].subs(radii)
    return radii


@given(pairs_of_networks())
def test_lemma_5_the_oscillation_of_the_logits_is_bounded(case: tuple[Network, Network, np.ndarray]) -> None:
    first, _, profile = case
    radii = values(first, first)
    bound = float(size_definitions(first.layers)[oscillation_bound].subs(radii))
    assert oscillation(logits(first, profile)) <= bound * (1 + 1e-9)


@given(pairs_of_networks())
def test_lemma_5_a_change_of_weights_moves_no_logit_further(case: tuple[Network, Network, np.ndarray]) -> None:
    first, second, profile = case
    radii = values(first, second)
    total = 0.0
    for name, constant in sensitivities(first.layers).items():
        change = np.asarray(second.weights[name]) - np.asarray(first.weights[name])
        moved = np.abs(change).max() if name == "cell_bias" else LAYERS[name].upper_norm(change)
        total += float(sympy.sympify(constant).subs(radii)) * moved
    moved = np.abs(logits(first, profile) - logits(second, profile)).max()
    size = max(np.abs(logits(network, profile)).max() for network in (first, second))
    assert moved <= total * (1 + 1e-9) + 1e-12 * size


@pytest.mark.parametrize(("decode", "size"), [("identity", 2.0), ("relu", 2.0), ("tanh", 0.02), ("asinh", 0.02)])
@pytest.mark.parametrize("layer", list(LAYERS))
def test_lemma_5_every_constant_is_attained(layer: str, decode: str, size: float) -> None:
    """With one item, level, channel and code, linear or near 0, a small change of one layer reaches its constant."""
    weights = {name: np.full([1] * len(info.axes), size) for name, info in LAYERS.items()}
    weights["code_bias"] = np.zeros((1, 1))
    small = 5e-7 * size
    moved = weights | {layer: weights[layer] - small}
    first, second = (Network(w, "identity", "identity", decode) for w in (weights, moved))
    radii = values(first, second) | {RADIUS["code_bias"]: 0}
    radii[code_norm] = radii[RADIUS["encode"]] * radii[RADIUS["lift"]]
    constant = float(sympy.sympify(sensitivities(first.layers)[layer]).subs(radii))
    change = np.abs(logits(first, np.ones((1, 1))) - logits(second, np.ones((1, 1)))).max()
    assert change == pytest.approx(constant * small, rel=1e-5)


def test_lemma_5_with_one_networks_radii_alone_would_be_wrong() -> None:
    """The counter-example: from all-zero weights every constant but the bias's is zero, yet the logits move."""
    ones = {
        name: np.ones([1] * len(LAYERS[name].axes)) for name in ("lift", "encode", "decode", "project", "cell_bias")
    }
    zero, full = (Network({n: a * f for n, a in ones.items()}, "identity", "tanh") for f in (0.0, 1.0))
    own = values(zero, zero)
    total = sum(
        float(sympy.sympify(c).subs(own)) for name, c in sensitivities(zero.layers).items() if name != "cell_bias"
    )
    bias_change = 1.0
    moved = np.abs(logits(full, np.ones((1, 1))) - logits(zero, np.ones((1, 1)))).max()
    assert moved > total + bias_change + 0.5


def test_an_unobserved_cell_costs_nothing_and_an_empty_profile_stays_empty() -> None:
    rng = np.random.default_rng(0)
    weights = draw_weights(rng, (3, 2, 2, 2), shared=False, optional=False, scale=1.0)
    empty = logits(Network(weights, "tanh", "tanh"), np.zeros((3, 2)))
    np.testing.assert_array_equal(empty, weights["cell_bias"])


GOOD = draw_weights(np.random.default_rng(1), (3, 2, 2, 2), shared=False, optional=True, scale=1.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lift": np.ones((3, 2))}, "'lift' has shape"),
        ({"encode": np.ones((3, 3, 2))}, "'encode' has shape"),
        ({"cell_bias": np.ones((2, 2))}, "'cell_bias' has shape"),
        ({"offset": np.ones((2, 2, 3))}, "'offset' has shape"),
        ({"decode": np.full((2, 3, 2), np.nan)}, "NaN or infinite"),
        ({"project": np.full((2, 2), np.inf)}, "NaN or infinite"),
        ({"decode": np.zeros((2, 0, 2))}, "non-empty"),
        ({"decoder": np.ones((2, 3, 2))}, "unknown weights 'decoder'"),
        ({"lift": np.ones((2, 2), dtype=complex)}, "real numbers"),
    ],
)
def test_bad_weights_are_refused_by_name(change: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        Network(GOOD | change, "identity", "tanh")


def test_missing_weights_and_unknown_activations_are_refused() -> None:
    with pytest.raises(RefusedError, match="lack 'project'"):
        Network({n: a for n, a in GOOD.items() if n != "project"}, "identity", "tanh")
    for place in range(3):
        named = ["identity"] * 3
        named[place] = "softplus"
        with pytest.raises(RefusedError, match="'softplus' is not covered"):
            Network(GOOD, *named)


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))
def test_every_activation_is_1_lipschitz_and_0_at_0(x: float, y: float) -> None:
    for name, bound in ACTIVATIONS.items():
        first, second, zero = (after_decode(name, value) for value in (x, y, 0.0))
        assert zero == 0.0
        assert abs(first) <= min(abs(x), bound) * (1 + 1e-15)
        assert abs(first - second) <= abs(x - y) + 4e-16 * max(abs(x), abs(y))


def after_decode(activation: str, value: float) -> float:
    """Return the logit of a network of ones that decodes to a value."""
    ones = {name: np.ones([1] * len(LAYERS[name].axes)) for name in ("lift", "encode", "decode", "project")}
    weights = ones | {"decode": np.full((1, 1, 1), value), "cell_bias": np.zeros((1, 1))}
    return float(logits(Network(weights, "identity", "identity", activation), np.ones((1, 1)))[0, 0])


def test_decode_is_bent_by_channel_before_the_levels_are_mixed_and_the_offset_is_not() -> None:
    weights = draw_weights(np.random.default_rng(3), (3, 2, 2, 2), shared=False, optional=True, scale=2.0)
    profile = np.eye(3)[:, :2]
    code = np.einsum("jc,cjk->ck", profile / np.linalg.norm(profile) @ weights["lift"], weights["encode"])
    code = code + weights["code_bias"]
    decoded = np.stack([weights["decode"][c] @ code[c] for c in range(2)], axis=1)
    expected = np.arcsinh(decoded) @ weights["project"] + weights["cell_bias"]
    expected = expected + code.ravel() @ weights["offset"].reshape(-1, 2)
    np.testing.assert_allclose(logits(Network(weights, "identity", "identity", "asinh"), profile), expected)
