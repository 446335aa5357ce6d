"""Lemma 7: cover sizes, the radius grid and its price."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Network
from conv4rec_bounds.covering import (
    BASE_RADIUS,
    COMPLEXITY,
    COUNT,
    INDEX,
    Cover,
    cover_definitions,
    eps,
    grid_index,
    radius_price,
)
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import LAYERS, logits, sensitivities

PRESENT = ("lift", "encode", "decode", "project", "cell_bias")


def greedy_packing(dimension: int, radius: float, eps_: float, norm: float, seed: int) -> int:
    """Return the size of a maximal eps-separated subset of many points of the ball."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-radius, radius, size=(600, dimension))
    points = points[np.linalg.norm(points, ord=norm, axis=1) <= radius]
    chosen: list[np.ndarray] = []
    for point in points:
        if all(np.linalg.norm(point - other, ord=norm) > eps_ for other in chosen):
            chosen.append(point)
    return len(chosen)


@given(
    st.integers(1, 3),
    st.floats(0.05, 3.0),
    st.sampled_from([1, 2, math.inf]),
    st.integers(0, 10**6),
)
def test_lemma_7_no_packing_exceeds_the_volume_bound(dimension: int, eps_: float, norm: float, seed: int) -> None:
    assert greedy_packing(dimension, 1.0, eps_, norm, seed) <= (1 + 2 / eps_) ** dimension


@given(st.floats(0.01, 5.0), st.floats(0.01, 5.0), st.integers(1, 4), st.integers(0, 10**6))
def test_lemma_7_the_box_is_covered_from_inside(radius: float, eps_: float, cells: int, seed: int) -> None:
    pieces = math.ceil(radius / eps_)
    centres = -radius + radius / pieces * (2 * np.arange(pieces) + 1)
    points = np.random.default_rng(seed).uniform(-radius, radius, size=(50, cells))
    points[0], points[1] = radius, -radius
    nearest = np.abs(points[..., None] - centres).min(axis=-1)
    assert nearest.max() <= eps_ * (1 + 1e-12)
    assert np.abs(centres).max() <= radius


@given(st.integers(0, 400))
def test_the_radius_grid_is_exact_at_its_own_points(index: int) -> None:
    if index % 4 == 0:
        radius = float(BASE_RADIUS) * 2.0 ** (index // 4)
        assert grid_index(radius) == index
        assert grid_index(math.nextafter(radius, math.inf)) == index + 1


@given(st.floats(0, 1e300))
def test_the_class_holds_the_norm_and_is_the_smallest(norm: float) -> None:
    index = grid_index(norm)
    fourth = (Fraction(norm) / BASE_RADIUS) ** 4
    assert fourth <= 2**index
    assert index == 0 or fourth > 2 ** (index - 1)


def test_the_weights_of_all_classes_add_up_to_one_symbolically() -> None:
    s = sympy.Symbol("s", integer=True, nonnegative=True)
    assert sympy.summation(1 / ((s + 1) * (s + 2)), (s, 0, sympy.oo)) == 1


def test_the_price_of_radii_is_that_of_weights_that_add_up_to_at_most_one() -> None:
    price = cover_definitions(PRESENT)[radius_price]
    at = sympy.lambdify([INDEX[name] for name in PRESENT], price, modules="numpy")
    steps = np.arange(5_000)
    weights = np.exp(-at(*[steps] * len(PRESENT)) / len(PRESENT))
    assert 0.999 <= weights.sum() <= 1


def test_the_shares_of_the_resolution_add_up_to_it_symbolically() -> None:
    definitions = cover_definitions(PRESENT)
    counts = sum(COUNT[name] for name in PRESENT)
    shares = [eps * COUNT[name] / counts for name in PRESENT]
    assert sympy.simplify(sum(shares) - eps) == 0
    sensitivity = sensitivities(PRESENT)
    for name, share in zip(PRESENT, shares, strict=True):
        layer_eps = share / sensitivity[name]
        argument = definitions[COMPLEXITY[name]].args[1].args[0]
        radius = next(s for s in definitions if str(s) == f"rho_{LAYERS[name].letter}")
        expected = sympy.ceiling(radius / layer_eps) if name == "cell_bias" else 1 + 2 * radius / layer_eps
        expanded = argument.subs(sympy.Symbol("p", positive=True), counts)
        assert sympy.simplify(expanded - expected) == 0


def small_network(scale: float, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    weights = {
        "lift": rng.normal(size=(2, 2)),
        "encode": rng.normal(size=(2, 3, 2)),
        "decode": rng.normal(size=(2, 3, 2)),
        "project": rng.normal(size=(2, 2)),
        "cell_bias": rng.normal(size=(3, 2)),
    }
    return Network({name: array * scale for name, array in weights.items()}, "identity", "tanh")


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e3))
def test_the_log_cardinality_grows_with_the_radii_and_falls_with_the_resolution(scale: float, eps_: float) -> None:
    definitions = cover_definitions(PRESENT)
    formula = Formula(value=definitions[sympy.Symbol("C", positive=True)], where=definitions)
    inputs = Cover.of(small_network(scale)).inputs()
    here = formula.number(**inputs, epsilon=eps_)
    assert formula.number(**inputs, epsilon=2 * eps_) <= here
    larger = inputs | {str(INDEX["encode"]): int(inputs[str(INDEX["encode"])]) + 4}
    assert formula.number(**larger, epsilon=eps_) >= here


def test_zero_weights_fall_into_the_smallest_class() -> None:
    cover = Cover.of(small_network(0.0))
    assert set(cover.radii.index.values()) == {0}
    assert cover.norm_quantities() == {f"norm_{LAYERS[name].letter}": 0.0 for name in PRESENT}


def test_a_class_cover_of_a_tiny_network_really_covers() -> None:
    """One item, one level, one channel, one code: the product of the layer covers is walked point by point."""
    radius, resolution = 0.5, 0.6
    names = ("lift", "encode", "decode", "project")
    constants = dict.fromkeys(names, radius**3)
    total = 5
    layer_eps = {name: resolution / total / constants[name] for name in names} | {"cell_bias": resolution / total}
    grids = {name: np.arange(-radius, radius + 1e-12, layer_eps[name]) for name in layer_eps}
    centres = [
        Network(
            {n: np.full([1] * len(LAYERS[n].axes), v) for n, v in zip(grids, point, strict=True)}, "identity", "tanh"
        )
        for point in product(*grids.values())
    ]
    reached = np.array([logits(centre, np.ones((1, 1)))[0, 0] for centre in centres])
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = rng.uniform(-radius, radius, size=5)
        network = Network(
            {n: np.full([1] * len(LAYERS[n].axes), v) for n, v in zip(grids, values, strict=True)}, "identity", "tanh"
        )
        nearest = np.abs(reached - logits(network, np.ones((1, 1)))[0, 0]).min()
        assert nearest <= resolution + 1e-12


def test_attribution_adds_up_exactly_over_the_layers() -> None:
    cover = Cover.of(small_network(1.0))
    definitions = cover_definitions(PRESENT)
    formula = Formula(value=definitions[sympy.Symbol("C", positive=True)], where=definitions)
    parts = cover.attribute(2.0, formula.enclose(**cover.inputs(), epsilon=0.1), Fraction(1, 20))
    assert set(parts) == {*PRESENT, "confidence"}
    assert math.fsum(parts.values()) == 2.0
    assert all(part > 0 for part in parts.values())
    balls = formula.enclose(**cover.inputs(), epsilon=0.1)
    index = cover.radii.index["encode"]
    encode = float(balls["C_E"]) + math.log((index + 1) * (index + 2))
    assert parts["encode"] / parts["confidence"] == pytest.approx(encode / math.log(20))
