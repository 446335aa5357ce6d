"""T2: the nested cover, distances to references, the choice of shares, and what only T2 promises."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize, minimize_scalar

from conv4rec_bounds import Budget, Certificate, Evidence, Network, Protocol, References, RefusedError, Scored
from conv4rec_bounds.geometry import LAYERS, logits
from conv4rec_bounds.loss import LOSS_RANGE
from conv4rec_bounds.nested_cover import COMPARED, FREE, SHARE, Distances, best_shares
from conv4rec_bounds.norms import frobenius, spectral
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount, parameter_count_formula
from conv4rec_bounds.theorems.t2_norms import Norms, norms_formula
from theorem_rows.common import DELTA, network, scored_evidence, unrefused_value
from theorem_rows.t2 import ROW

FULL = scored_evidence()
T2 = Norms()


def evaluate(evidence: Evidence) -> Certificate:
    return T2.evaluate(evidence, Fraction(DELTA), Budget(DELTA))


def point(**moved: float) -> dict[str, float]:
    return dict(T2.example) | moved


FUNCTION = {"identity": lambda x: x, "relu": lambda x: np.maximum(x, 0.0), "tanh": np.tanh, "asinh": np.arcsinh}


@st.composite
def centres(draw: st.DrawFn) -> tuple[Network, Network, list[np.ndarray]]:
    """Draw a network, one near it that plays its centre, and profiles of a few users, one of them empty."""
    sizes = {axis: draw(st.integers(1, 4)) for axis in ("item", "level", "channel", "code")}
    scale, apart = 10.0 ** draw(st.integers(-12, 12)), 10.0 ** draw(st.integers(-6, 1))
    seed = draw(st.integers(0, 10**6))
    first, change = network(scale, seed, **sizes).weights, network(scale * apart, seed + 1, **sizes).weights
    if draw(st.booleans()):
        first, change = ({n: a[:1] if n in ("encode", "decode") else a for n, a in w.items()} for w in (first, change))
    activations = [draw(st.sampled_from(list(FUNCTION))) for _ in range(3)]
    rng = np.random.default_rng(seed)
    shape = first["cell_bias"].shape
    profiles = [(rng.random(shape) < share).astype(float) for share in (0.0, 0.3, 0.6, 1.0)]
    second = {name: first[name] + change[name] for name in first}
    return Network(first, *activations), Network(second, *activations), profiles


@given(centres())
def test_the_nested_cover_moves_no_logit_further_than_its_shares(
    case: tuple[Network, Network, list[np.ndarray]],
) -> None:
    """Encode is compared on the lifted profiles of the centre's lift, decode on the centre's codes, item by item."""
    first, centre, profiles = case
    w, c = first.weights, centre.weights
    radius = {n: max(layer.upper_norm(w[n]), layer.upper_norm(c[n])) for n, layer in LAYERS.items()}
    h = min(radius["encode"] * radius["lift"] + radius["code_bias"], first.code_cap)
    reach = radius["project"] * radius["decode"] + radius["offset"]
    moved = {name: np.asarray(w[name]) - np.asarray(c[name]) for name in w}
    channels = w["project"].shape[0]
    full = {n: np.broadcast_to(a, (channels, *a.shape[1:])) for n, a in moved.items() if n in ("encode", "decode")}
    code_change, decoded_change, distance, size = 0.0, 0.0, 0.0, 0.0
    for profile in profiles:
        norm = np.linalg.norm(profile)
        hat = profile / norm if norm > 0 else profile
        lifted = FUNCTION[centre.lift_activation](hat @ c["lift"])
        assert np.linalg.norm(lifted) <= radius["lift"] * (1 + 1e-9)
        code_change = max(code_change, np.linalg.norm(np.einsum("jc,cjk->ck", lifted, full["encode"])))
        encode = np.broadcast_to(c["encode"], (channels, *c["encode"].shape[1:]))
        code = FUNCTION[centre.code_activation](np.einsum("jc,cjk->ck", lifted, encode) + c["code_bias"])
        # At a standard normal D the map of item j has the variances |H_c|^2, or the covariance of the channels' codes.
        assert np.linalg.norm(code) <= h * (1 + 1e-9)
        by_item = np.linalg.norm(np.einsum("cjk,ck->jc", full["decode"], code), axis=1)
        decoded_change = max(decoded_change, by_item.max())
        values = [logits(net, profile) for net in (first, centre)]
        distance = max(distance, np.abs(values[0] - values[1]).max())
        size = max(size, *(np.abs(value).max() for value in values))
    shares = {
        "lift": reach * radius["encode"] * spectral(moved["lift"]),
        "encode": reach * code_change,
        "code_bias": reach * frobenius(moved["code_bias"]),
        "decode": radius["project"] * decoded_change,
        "project": radius["decode"] * h * LAYERS["project"].upper_norm(moved["project"]),
        "offset": h * LAYERS["offset"].upper_norm(moved["offset"]),
        "cell_bias": np.abs(moved["cell_bias"]).max(),
    }
    assert distance <= sum(shares.values()) * (1 + 1e-9) + 1e-12 * size
    # The volume covers use the layers' own norms: they reach no less far.
    assert shares["encode"] <= reach * radius["lift"] * LAYERS["encode"].upper_norm(moved["encode"]) * (1 + 1e-9)
    assert shares["decode"] <= radius["project"] * h * LAYERS["decode"].upper_norm(moved["decode"]) * (1 + 1e-9)


@given(st.integers(1, 3), st.floats(0.05, 3.0), st.floats(0.1, 2.0), st.integers(0, 10**6))
def test_lemma_7_an_intersection_of_balls_is_covered_by_points_of_its_own(
    dimension: int, eps: float, distance: float, seed: int
) -> None:
    """As encode and decode are: a ball of radius one, cut by a ball of another norm around a reference."""
    rng = np.random.default_rng(seed)
    points, reference = rng.uniform(-1, 1, size=(600, dimension)), rng.uniform(-1, 1, size=dimension)
    points[0] = reference
    points = points[np.linalg.norm(points - reference, axis=1) <= distance]
    chosen: list[np.ndarray] = []
    for place in points:
        if all(np.abs(place - other).max() > eps for other in chosen):
            chosen.append(place)
    assert len(chosen) <= (1 + 2 / eps) ** dimension
    assert np.abs(points[:, None] - np.array(chosen)).max(axis=2).min(axis=1).max() <= eps


def exact_distance(array: np.ndarray, reference: np.ndarray, centred: bool) -> Fraction:
    """Return the exact square of the Frobenius distance, up to a constant if asked."""
    gaps = [Fraction(float(x)) - Fraction(float(y)) for x, y in zip(array.flat, reference.flat, strict=True)]
    mean = sum(gaps) / len(gaps) if centred else 0
    return sum(((gap - mean) ** 2 for gap in gaps), start=Fraction(0))


@given(
    st.integers(-12, 12),
    st.integers(-12, 12),
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 4),
    st.integers(0, 10**6),
)
def test_distances_are_never_below_the_exact_ones(
    scale: int, other: int, kind: type[np.floating], item: int, seed: int
) -> None:
    near = network(10.0**scale, seed, item=item).weights
    kept = {name: array.astype(kind) for name, array in near.items()}
    seen = {n: a.astype(kind) for n, a in network(10.0**other, seed + 1, item=item).weights.items() if n in COMPARED}
    found = Distances.of(Network(kept, "identity", "tanh"), References(seen))
    for name, measured in found.measured.items():
        exact = exact_distance(kept[name], seen[name], name == "cell_bias")
        assert Fraction(measured) ** 2 >= exact
        assert measured <= math.sqrt(exact) * (1 + 1e-8) + 1e-300 or name == "cell_bias"
        assert 2.0 ** (found.index[name] / 4) / 8 >= measured * (1 - 1e-12)


def test_a_shift_of_the_cell_bias_is_no_distance() -> None:
    weights = network().weights
    reference = References({"cell_bias": weights["cell_bias"] + 1e3})
    assert Distances.of(network(), reference).measured["cell_bias"] <= 1e-9
    assert Distances.of(network(), None).measured["encode"] >= np.linalg.norm(weights["encode"])


def rest_of_a_pool(with_reference: bool) -> tuple[Evidence, float]:
    """Return evidence whose reference is -8 on a pool's unscored half and zero elsewhere, and the exact risk.

    One user, whose pool is every cell, and a network that is its own reference, or has none.
    """
    items, lower = 10**5, 8.0
    bias = np.zeros((items, 1))
    bias[np.random.default_rng(6).permutation(items)[: items // 2]] = -lower
    weights = {name: np.zeros([1] * len(LAYERS[name].axes)) for name in ("lift", "project")}
    weights |= {name: np.zeros((1, items, 1)) for name in ("encode", "decode")} | {"cell_bias": bias}
    normaliser = float(np.logaddexp.reduce(bias[:, 0]))
    evidence = Evidence(
        cells=items,
        protocol=Protocol("finite pool"),
        network=Network(weights, "identity", "tanh"),
        scored=Scored(items // 2, normaliser, users=1),
        references=References({"cell_bias": bias}, blind=False) if with_reference else None,
    )
    return evidence, normaliser - float(bias.mean())


def test_a_reference_read_off_the_rest_of_a_pool_is_refused_and_would_break_the_bound() -> None:
    """It never looks at a scored cell, yet the unscored ones give them away."""
    seen, risk = rest_of_a_pool(with_reference=True)
    assert "unscored rest of their finite pool" in str(T2.refusal(seen))
    assert unrefused_value(T2, seen) == pytest.approx(11.75, abs=6e-3)
    assert risk == pytest.approx(14.82, abs=6e-3)
    without, _ = rest_of_a_pool(with_reference=False)
    assert T2.refusal(without) is None
    assert evaluate(without).value == pytest.approx(30.16, abs=6e-3)


def test_close_references_make_the_certificate_better() -> None:
    far = evaluate(replace(FULL, network=network(scale=0.1, item=6))).value
    own = {n: a for n, a in network(scale=0.1, item=6).weights.items() if n in COMPARED}
    near = evaluate(replace(FULL, network=network(scale=0.1, item=6), references=References(own))).value
    assert near < far


def test_references_of_another_shape_or_layer_are_refused_at_the_door() -> None:
    with pytest.raises(RefusedError, match="network's own"):
        replace(FULL, references=References({"encode": np.zeros((2, 5, 2))}))
    with pytest.raises(RefusedError, match="expected encode, decode or cell_bias"):
        References({"lift": np.zeros((3, 2))})


@pytest.mark.parametrize("size", [10, 10**4, 10**6, 10**8])
@pytest.mark.parametrize("users", [1, 10**5])
def test_the_shares_are_as_good_as_a_numerical_search_finds(size: int, users: int) -> None:
    inputs = point(N=size, m=users, Lhat=0.0)
    chosen = T2.complete(inputs)
    here = T2.formula.number(**chosen)
    names = [str(share) for share in SHARE.values()] + [str(symbol) for symbol in FREE.values()]
    start = np.log([max(chosen[name], 1e-6) for name in names])
    search = minimize(
        lambda logs: T2.formula.number(**chosen | dict(zip(names, np.exp(logs), strict=True))),
        start,
        method="Nelder-Mead",
        options={"maxiter": 3000, "adaptive": True},
    )
    assert here <= search.fun * (1 + 5e-3)


@given(ROW.inputs)
def test_t2_is_no_worse_than_t1_but_for_the_price_of_three_distances(inputs: dict[str, float]) -> None:
    first = {name: value for name, value in inputs.items() if name in ParameterCount().formula.inputs}
    first = ParameterCount().complete(first | {"Lhat": 0.0})
    total = sum(first[f"p_{layer.letter}"] for layer in LAYERS.values())
    shares = {str(SHARE[n]): first["epsilon"] * first[f"p_{LAYERS[n].letter}"] / total for n in LAYERS}
    at_the_shares_of_t1 = T2.formula.number(**inputs | shares | {"Lhat": 0.0})
    balls = T2.formula.enclose(**inputs | shares | {"Lhat": 0.0})
    known = ParameterCount().formula.enclose(**first)
    paid = sum(math.log((inputs[f"t_{letter}"] + 1) * (inputs[f"t_{letter}"] + 2)) for letter in "EDB")
    assert float(balls["C"]) <= float(known["C"]) * (1 + 1e-9)
    assert float(balls["P"]) == pytest.approx(float(known["P"]) + paid)
    # The grid of prices ends at 1e18, where resolutions are far below every other term.
    found = T2.formula.number(**T2.complete(inputs | {"Lhat": 0.0}))
    assert found <= at_the_shares_of_t1 * (1 + 1e-2) + 1e-9


def test_the_choice_never_sees_a_measured_risk() -> None:
    low, high = (evaluate(replace(FULL, scored=Scored(10_000, risk, users=50))) for risk in (0.0, 40.0))
    assert low.quantities["epsilon"] == high.quantities["epsilon"]
    assert low.quantities["Delta"] == high.quantities["Delta"]
    assert T2.complete(point(Lhat=0.0)) == T2.complete(point(Lhat=40.0)) | {"Lhat": 0.0}


def test_weights_of_one_class_get_one_deviation() -> None:
    nearby = Network({n: a * (1 - 1e-9) for n, a in network().weights.items()}, "identity", "tanh")
    first, second = (evaluate(replace(FULL, network=n)) for n in (network(), nearby))
    assert first.quantities["C"] == second.quantities["C"]
    assert first.quantities["distance_E"] != second.quantities["distance_E"]


def test_items_and_users_enter_through_logarithms_only() -> None:
    """At fixed norms a thousand times more items and users cost T2 little, and T1 a thousand times the parameters."""
    small = point(N=10**5, t_E=8, t_D=8, t_B=8, m=10**3)
    large = small | {"m": 10**6, "n": 10**6} | {f"p_{letter}": 1000 * small[f"p_{letter}"] for letter in "EDB"}
    here, there = (T2.formula.number(**T2.complete(inputs | {"q": 5_000})) for inputs in (small, large))
    assert there - 6.0 <= 1.5 * (here - 6.0)
    first = [
        ParameterCount().formula.number(
            **ParameterCount().complete({n: v for n, v in i.items() if n in ParameterCount().formula.inputs})
        )
        for i in (small, large)
    ]
    assert first[1] - 6.0 >= 10 * (first[0] - 6.0)


@pytest.mark.parametrize(
    ("users", "items", "size", "maps", "bias", "length", "first", "second"),
    [(6_040, 3_706, 8 * 10**5, 6, 60, 14.4, 10.91, 5.64), (138_000, 20_000, 16 * 10**6, 10, 150, 16.1, 6.85, 3.74)],
)
def test_the_table_on_the_page(
    users: int, items: int, size: int, maps: float, bias: float, length: float, first: float, second: float
) -> None:
    channels, code, levels = 4, 8, 5
    present = tuple(name for name in LAYERS if name not in ("code_bias", "offset"))
    cells, large = items * levels, channels * items * code
    oscillation = brentq(lambda w: LOSS_RANGE.number(q=cells, w=w) - length, 2.5, 50)
    radii = {"s_B": (oscillation - 2) / 2, "t_E": maps, "t_D": maps, "t_B": bias} | {f"s_{c}": 1 for c in "KEDG"}
    inputs = {name: 4 * math.log2(8 * radius) for name, radius in radii.items()}
    inputs |= {"p_K": levels * channels, "p_E": large, "p_D": large, "p_G": levels * channels, "p_B": cells}
    inputs |= {
        "h_max": math.sqrt(channels * code),
        "m": users,
        "n": items,
        "k": code,
        "N": size,
        "delta": 0.05,
        "q": cells,
    }
    inputs |= {"Lhat": 0.0}
    assert norms_formula(present).number(**inputs | best_shares(present, inputs)) == pytest.approx(second, abs=6e-3)
    known = parameter_count_formula(present)
    here = {name: inputs[name] for name in known.inputs if name != "epsilon"}
    least = minimize_scalar(lambda x: known.number(**here, epsilon=math.exp(x)), bounds=(-12, 3), method="bounded").fun
    assert least == pytest.approx(first, abs=6e-3)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30, 1e90])
def test_extreme_weights_get_a_number(scale: float) -> None:
    certificate = evaluate(replace(FULL, network=network(scale)))
    assert math.isfinite(certificate.value)


def test_one_cell_with_large_weights_has_no_deviation_from_the_range() -> None:
    weights = {name: 1e3 * array for name, array in network(item=1, level=1, channel=1, code=1).weights.items()}
    one = Evidence(1, Protocol("independent"), Network(weights, "relu", "relu"), Scored(10, 0.0, users=1))
    assert evaluate(one).quantities["M"] <= 1e-60


def test_networks_without_the_optional_layers_are_covered() -> None:
    plain = {n: a for n, a in network().weights.items() if n not in ("code_bias", "offset")}
    certificate = evaluate(replace(FULL, network=Network(plain, "relu", "identity")))
    assert set(certificate.attribution) == {*plain, "confidence"}
    assert set(norms_formula(tuple(n for n in LAYERS if n in plain)).inputs) < set(T2.formula.inputs)
