"""Other people's bounds on the same weights: the numbers by hand, and what they count."""

import itertools
import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Evidence, Network, Protocol, References, RefusedError, Scored, certify
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.literature import LITERATURE, literature_bounds
from conv4rec_bounds.literature.bartlett import covering_formula
from conv4rec_bounds.literature.chain import Norms, loss_range
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from theorem_rows.common import network, with_hidden_layer

SCORED = Scored(10**6, risk=2.0, users=50)
EVERY = tuple(LAYERS)
every_bound = pytest.mark.parametrize("published", LITERATURE, ids=lambda published: published.source)


def by_hand(net: Network, scored: Scored, delta: float) -> dict[str, float]:
    """Every bound once more with numpy and floats, in the order of the table, for networks without references.

    Layers are six items, three levels and two channels; the code is tanh.
    """
    w = net.weights
    sigma = partial(np.linalg.norm, ord=2)
    kap, gam_2 = sigma(w["lift"]), sigma(w["project"])
    e, d_2 = (max(sigma(channel) for channel in w[name]) for name in ("encode", "decode"))
    a = np.linalg.norm(w["code_bias"])
    flat = w["offset"].reshape(-1, w["offset"].shape[-1])
    o_2, o, gam = sigma(flat), *(np.linalg.norm(x, axis=0).max() for x in (flat, w["project"]))
    d = np.linalg.norm(w["decode"], axis=-1).max()
    items, levels = w["cell_bias"].shape
    channels, code = w["code_bias"].shape
    b = {
        "K": np.linalg.norm(w["lift"], axis=0).sum(),
        "E": np.linalg.norm(w["encode"], axis=1).sum(),
        "a": np.abs(w["code_bias"]).sum(),
        "D": np.linalg.norm(w["decode"], axis=2).sum(),
        "G": np.linalg.norm(w["project"], axis=0).sum(),
        "O": np.linalg.norm(flat, axis=0).sum(),
        "B": np.abs(w["cell_bias"] - np.median(w["cell_bias"])).sum(),
    }
    f = {letter: np.linalg.norm(w[name]) for letter, name in zip("GO", ("project", "offset"), strict=True)}
    f |= {"D": sum(map(np.linalg.norm, w["decode"])), "B": w["cell_bias"].std() * math.sqrt(w["cell_bias"].size)}
    shared = {letter: channels // len(w[name]) for letter, name in (("E", "encode"), ("D", "decode"))}
    free, root = e * kap + a, math.sqrt(items)
    h = min(free, math.sqrt(channels * code))
    osc = 2 * (gam * d + o) * h + np.ptp(w["cell_bias"])
    q = items * levels
    M = math.log((1 + (q - 1) * math.exp(osc)) / (1 + (q - 1) * math.exp(-osc)))
    to_logits = gam_2 * d_2 + root * o_2
    chain = {
        "K": to_logits * e * b["K"],
        "E": to_logits * kap * b["E"],
        "a": to_logits * b["a"],
        "D": gam_2 * h * b["D"],
        "G": d_2 * h * b["G"],
        "O": root * h * b["O"],
        "B": b["B"],
    }
    N = scored.size
    copies = {"K": items, "G": items, "O": root} | shared
    S = sum((math.sqrt(2) / M * copies.get(letter, 1) * c) ** (2 / 3) for letter, c in chain.items())
    width = max(items * levels, items * channels, channels * code)
    bartlett = 4 / N + 12 * math.sqrt(math.log(2 * width**2) / N) * (S**1.5 * math.log(N) + math.sqrt(7))
    C = {letter: 2 * math.sqrt(2) / M * c for letter, c in chain.items()}
    count = {layer.letter: w[name].size for name, layer in LAYERS.items()}
    T = sum(math.ceil(c ** (2 / 3)) for c in C.values())
    harmonic = math.fsum(1 / i for i in range(1, N))
    graf = 4 / N + 12 * harmonic / math.sqrt(N) * math.sqrt(math.log(2 * max(count.values()))) * T**1.5
    parts = (2 * count[x] * (math.log(1 + math.ceil(49 * c**2)) + 2.7) for x, c in C.items())
    parameters = 12 / math.sqrt(N) * math.sqrt(sum(parts))
    outputs = {"K": items * channels, "E": channels * code, "a": channels * code, "D": items * channels}
    outputs |= {"G": q, "O": levels, "B": q}
    ledents = []
    for norm in (free, h):
        from_code = max(1 / norm, (gam * d + o) / M)
        r = {
            "K": root * max(1 / kap, e * from_code) * b["K"],
            "E": math.sqrt(shared["E"]) * kap * from_code * b["E"],
            "a": from_code * b["a"],
            "D": math.sqrt(shared["D"]) * max(1 / d, norm * gam / M) * b["D"],
            "G": norm * d / M * f["G"],
            "O": norm / M * f["O"],
            "B": f["B"] / M,
        }
        largest = max(r[letter] * outputs[letter] for letter in r)
        inside = math.log2(32 * largest * N**2 + 7 * max(outputs.values()) * N)
        total = sum(x ** (2 / 3) for x in r.values()) ** 1.5
        ledents.append(4 / N + 768 * total * math.sqrt(inside) * math.log(N) / math.sqrt(N))
    ledent = min(ledents)
    A = {
        "K": root * e * (gam * d + o) * b["K"],
        "E": math.sqrt(shared["E"]) * kap * (gam * d + o) * b["E"],
        "a": (gam * d + o) * b["a"],
        "D": math.sqrt(shared["D"]) * gam * h * f["D"],
        "G": d * h * f["G"],
        "O": h * f["O"],
        "B": f["B"],
    }
    S = sum((2 / M * x) ** (2 / 3) for x in A.values()) ** 1.5
    points = max(items * shared["D"], shared["E"], q)
    inside = math.log(2 * math.ceil(4 * S * N + 2) * scored.users * points + 1)
    zhang = 4 / N + 72 * math.log(N) / math.sqrt(N) * S * math.sqrt(inside)
    tail = 3 * math.sqrt(math.log(2 / delta) / (2 * N))
    found = (bartlett, graf, parameters, ledent, zhang)
    return {p.source: scored.risk + M * (2 * x + tail) for p, x in zip(LITERATURE, found, strict=True)}


def shared_maps(net: Network) -> Network:
    """Return the network whose channels all use the first channel's encode and decode."""
    first = {name: net.weights[name][:1] for name in ("encode", "decode")}
    return Network({**net.weights, **first}, net.lift_activation, net.code_activation)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("scale", [0.05, 0.7, 3.0])
def test_every_bound_is_what_a_hand_computes_and_not_below_it(scale: float, shared: bool) -> None:
    net = shared_maps(network(scale)) if shared else network(scale)
    expected = by_hand(net, SCORED, 0.05)
    for row in literature_bounds(net, SCORED, 0.05):
        assert row["value"] == pytest.approx(expected[row["source"]], rel=1e-7)
        assert row["value"] >= expected[row["source"]] * (1 - 1e-12)
        assert row["deviation"] == pytest.approx(row["value"] - 2.0, rel=1e-7)


def random_inputs(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, float]:
    sizes = {"n", "R", "C", "k", "u", "q", "W", "p_max", "c_E", "c_D"}
    values: dict[str, float] = {}
    for name in names:
        if name in sizes or name.startswith("p_"):
            values[name] = draw(st.integers(1, 10**6))
        elif name == "N":
            values[name] = draw(st.integers(100, 10**9))
        elif name == "delta":
            values[name] = draw(st.floats(1e-9, 0.5))
        else:
            values[name] = draw(st.floats(1e-3, 1e3))
    # Ceilings jump: at the very jump, as at b = M, a certified value is the upper one and a rounded one may be either.
    return values | {"M": 1.2345678 * values["M"]}


@every_bound
@given(data=st.data())
def test_fast_safe_and_sixty_digit_values_agree(sixty_digits, published, data: st.DataObject) -> None:
    formula = published.formula(EVERY)
    inputs = random_inputs(data.draw, formula.inputs)
    true, safe = sixty_digits(formula, inputs), formula.upper(**inputs)
    assert true <= safe <= float(true) * (1 + 1e-12)
    assert formula.number(**inputs) == pytest.approx(float(true), rel=1e-6)


@every_bound
@given(data=st.data())
def test_bounds_fall_with_interactions_and_confidence_and_rise_with_every_norm(published, data: st.DataObject) -> None:
    formula = published.formula(EVERY)
    inputs = random_inputs(data.draw, formula.inputs)
    for name, larger in (("N", 4 * inputs["N"]), ("delta", 2 * inputs["delta"])):
        assert formula.lower(**inputs | {name: larger}) <= formula.upper(**inputs)
    for name in formula.inputs:
        if name[:2] in ("b_", "f_", "p_") or name in ("u", "q", "W", "Lhat"):
            assert formula.lower(**inputs) <= formula.upper(**inputs | {name: 2 * inputs[name]}), name


@every_bound
def test_layers_at_their_reference_cost_nothing_but_their_ceilings(published) -> None:
    formula = published.formula(EVERY)
    inputs = dict.fromkeys(formula.inputs, 1.0) | {"N": 1000, "delta": 0.05}
    inputs |= {name: 0.0 for name in inputs if name[:2] in ("b_", "f_")}
    assert math.isfinite(formula.upper(**inputs))


def test_the_cell_bias_counts_up_to_a_shift() -> None:
    """The median is the least shift of the entrywise norm and the mean that of the Frobenius norm."""
    net = network()
    bias = net.weights["cell_bias"]
    shifted = Network({**net.weights, "cell_bias": bias + 10}, net.lift_activation, net.code_activation)
    for first, second in zip(
        literature_bounds(net, SCORED, 0.05), literature_bounds(shifted, SCORED, 0.05), strict=True
    ):
        assert first["value"] == pytest.approx(second["value"], rel=1e-9)
    reference = np.random.default_rng(5).normal(size=bias.shape)
    found = Norms.of(net, References({"cell_bias": reference}))
    for shift in np.linspace(-3, 3, 101):
        rest = bias - reference - shift
        assert found.two_one["cell_bias"] <= np.abs(rest).sum() * (1 + 1e-12)
        assert found.frobenius["cell_bias"] <= np.linalg.norm(rest) * (1 + 1e-12)
    rest = bias - reference
    assert found.two_one["cell_bias"] >= np.abs(rest - np.median(rest)).sum() * (1 - 1e-15)
    assert found.frobenius["cell_bias"] >= np.linalg.norm(rest - rest.mean()) * (1 - 1e-15)


@pytest.mark.parametrize("dead", [("lift", "code_bias"), ("encode",), ("decode",), ("project", "offset"), ("lift",)])
def test_layers_that_reach_no_logit_cost_nothing(dead: tuple[str, ...]) -> None:
    weights = {name: np.zeros_like(w) if name in dead else w for name, w in network().weights.items()}
    rows = literature_bounds(Network(weights, "identity", "tanh"), SCORED, 0.05)
    full = literature_bounds(network(), SCORED, 0.05)
    assert all(
        math.isfinite(row["value"]) and row["rademacher"] < f["rademacher"] * f["range"] / row["range"]
        for row, f in zip(rows, full, strict=True)
    )


def test_theorem_3_3_counts_every_copy_of_a_filter() -> None:
    inputs = dict.fromkeys(covering_formula(EVERY).inputs, 1.0)
    alone, copied = (covering_formula(EVERY).number(**inputs | {"n": n}) for n in (1, 1000))
    # Three of the seven layers are copied; the offset reaches the logits with the root of n as well.
    assert copied > 1000 * alone


def test_norms_are_those_of_the_maps_that_the_layers_are() -> None:
    net, items = network(), 6
    found, weights = Norms.of(net), net.weights
    lift = np.kron(np.eye(items), weights["lift"])
    assert found.spectral["lift"] == pytest.approx(np.linalg.norm(lift, 2))
    assert items * found.two_one["lift"] == pytest.approx(np.linalg.norm(lift, axis=0).sum())
    block = np.zeros((2 * items, 4))
    for channel in range(2):
        block[channel * items : (channel + 1) * items, 2 * channel : 2 * channel + 2] = weights["encode"][channel]
    assert found.spectral["encode"] == pytest.approx(np.linalg.norm(block, 2))
    assert found.two_one["encode"] == pytest.approx(np.linalg.norm(block, axis=0).sum())
    assert found.frobenius["encode"] == pytest.approx(sum(map(np.linalg.norm, weights["encode"])))


def test_distances_are_measured_from_the_references() -> None:
    net = network()
    weights = {name: net.weights[name] for name in ("encode", "decode", "cell_bias")}
    found = Norms.of(net, References(weights))
    assert all(found.two_one[name] < 1e-12 for name in weights)
    assert found.spectral == Norms.of(net).spectral
    near, far = (literature_bounds(net, SCORED, 0.05, references=r) for r in (References(weights), None))
    assert all(n["value"] < f["value"] for n, f in zip(near, far, strict=True) if "parameters" not in n["source"])


def test_a_shared_map_is_counted_once_by_those_who_share_it() -> None:
    shared = shared_maps(network())
    twice = {**shared.weights, **{name: np.repeat(shared.weights[name], 2, axis=0) for name in ("encode", "decode")}}
    once, copied = (literature_bounds(n, SCORED, 0.05) for n in (shared, Network(twice, "identity", "tanh")))
    for first, second in zip(once, copied, strict=True):
        if "Bartlett" in first["source"]:
            assert first["value"] == pytest.approx(second["value"], rel=1e-9)
        else:
            assert first["value"] < second["value"]


def test_the_parameter_form_is_the_least_and_all_lie_above_t1() -> None:
    rows = {row["source"]: row["value"] for row in literature_bounds(network(), SCORED, 0.05)}
    ours = certify(Evidence(18, Protocol("independent"), network(), SCORED), 0.05, [ParameterCount()])["T1"].value
    assert ours is not None
    assert ours < min(rows.values()) == rows["Graf et al. 2022, Theorem 3.5, parameters"]


def test_the_range_is_that_of_the_measured_norms() -> None:
    net = network()
    assert loss_range(net, Norms.of(net), 18) == pytest.approx(literature_bounds(net, SCORED, 0.05)[0]["range"])
    assert loss_range(net, Norms.of(net), 2) < loss_range(net, Norms.of(net), 18)


def test_what_no_published_bound_covers_is_refused() -> None:
    with pytest.raises(RefusedError, match="hidden layers"):
        literature_bounds(with_hidden_layer(), SCORED, 0.05)
    with pytest.raises(RefusedError, match="failure probability"):
        literature_bounds(network(), SCORED, 1.0)
    nothing = Network({n: np.zeros_like(w) for n, w in network().weights.items()}, "identity", "tanh")
    with pytest.raises(RefusedError, match="no range"):
        literature_bounds(nothing, SCORED, 0.05)


def test_layers_that_are_missing_are_no_layers() -> None:
    small = {name: network().weights[name] for name in EVERY if name not in ("code_bias", "offset")}
    rows = literature_bounds(Network(small, "identity", "tanh"), SCORED, 0.05)
    full = literature_bounds(network(), SCORED, 0.05)
    assert all(math.isfinite(row["value"]) for row in rows)
    assert [row["source"] for row in rows] == [row["source"] for row in full]
    assert len(set(itertools.chain(*rows))) == 6
