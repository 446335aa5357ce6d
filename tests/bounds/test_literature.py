"""Other people's bounds on the same weights: the steps that are re-derived, and the numbers by hand."""

import itertools
import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Evidence, Network, Protocol, References, RefusedError, Scored, certify
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import LAYERS, logits
from conv4rec_bounds.literature import LITERATURE, literature_bounds
from conv4rec_bounds.literature.bartlett import covering_formula
from conv4rec_bounds.literature.chain import DISTANCE, SPECTRAL, Norms, TwoThirds, euclidean_products, loss_range
from conv4rec_bounds.literature.graf import PSI_MAX, HarmonicNumber
from conv4rec_bounds.loss import cross_entropy
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from theorem_rows.common import network, with_hidden_layer

SCORED = Scored(10**6, risk=2.0, users=50)
EVERY = tuple(LAYERS)
CHAIN = Formula(value=sum(euclidean_products(EVERY).values()), where={})
every_bound = pytest.mark.parametrize("published", LITERATURE, ids=lambda published: published.source)


def by_hand(net: Network, scored: Scored, delta: float) -> dict[str, float]:
    """Every bound once more with numpy and floats, in the order of the table, for networks without references."""
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
        "B": np.abs(w["cell_bias"]).sum(),
    }
    f = {letter: np.linalg.norm(w[name]) for letter, name in zip("DGOB", EVERY[3:], strict=True)}
    h, root = e * kap + a, math.sqrt(items)
    osc = 2 * (gam * d + o) * min(h, math.sqrt(channels * code)) + np.ptp(w["cell_bias"])
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
    copies = {"K": items, "G": items, "O": root}
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
    from_code = max(1 / h, (gam * d + o) / M)
    r = {
        "K": root * e * from_code * b["K"],
        "E": kap * from_code * b["E"],
        "a": from_code * b["a"],
        "D": h * gam / M * b["D"],
        "G": h * d / M * f["G"],
        "O": h / M * f["O"],
        "B": f["B"] / M,
    }
    outputs = {"K": items * channels, "E": channels * code, "a": channels * code, "D": items * channels}
    outputs |= {"G": q, "O": levels, "B": q}
    largest = max(r[letter] * outputs[letter] for letter in r)
    inside = math.log2(32 * largest * N**2 + 7 * max(outputs.values()) * N)
    total = sum(x ** (2 / 3) for x in r.values()) ** 1.5
    ledent = 4 / N + 768 * total * math.sqrt(inside) * math.log(N) / math.sqrt(N)
    A = {
        "K": root * e * (gam * d + o) * b["K"],
        "E": kap * (gam * d + o) * b["E"],
        "a": (gam * d + o) * b["a"],
        "D": gam * h * f["D"],
        "G": d * h * f["G"],
        "O": h * f["O"],
        "B": f["B"],
    }
    S = sum((2 / M * x) ** (2 / 3) for x in A.values()) ** 1.5
    inside = math.log(2 * math.ceil(4 * S * N + 2) * scored.users * q + 1)
    zhang = 4 / N + 72 * math.log(N) / math.sqrt(N) * S * math.sqrt(inside)
    tail = 3 * math.sqrt(math.log(2 / delta) / (2 * N))
    found = (bartlett, graf, parameters, ledent, zhang)
    return {p.source: scored.risk + M * (2 * x + tail) for p, x in zip(LITERATURE, found, strict=True)}


@pytest.mark.parametrize("scale", [0.05, 0.7, 3.0])
def test_every_bound_is_what_a_hand_computes_and_not_below_it(scale: float) -> None:
    net = network(scale)
    expected = by_hand(net, SCORED, 0.05)
    for row in literature_bounds(net, SCORED, 0.05):
        assert row["value"] == pytest.approx(expected[row["source"]], rel=1e-7)
        assert row["value"] >= expected[row["source"]] * (1 - 1e-12)
        assert row["deviation"] == pytest.approx(row["value"] - 2.0, rel=1e-7)


def random_inputs(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, float]:
    sizes = {"n", "R", "C", "k", "m", "q", "W", "p_max", "c_E", "c_D"}
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
        if name[:2] in ("b_", "f_", "p_") or name in ("m", "q", "W", "Lhat"):
            assert formula.lower(**inputs) <= formula.upper(**inputs | {name: 2 * inputs[name]}), name


@every_bound
def test_layers_at_their_reference_cost_nothing_but_their_ceilings(published) -> None:
    formula = published.formula(EVERY)
    inputs = dict.fromkeys(formula.inputs, 1.0) | {"N": 1000, "delta": 0.05}
    inputs |= {name: 0.0 for name in inputs if name[:2] in ("b_", "f_")}
    assert math.isfinite(formula.upper(**inputs))


def test_lemma_the_loss_is_root_two_lipschitz_in_the_euclidean_norm() -> None:
    rng = np.random.default_rng(0)
    best = 0.0
    for _ in range(2000):
        scale = 10 ** rng.uniform(-6, 2)
        z = rng.normal(size=int(rng.integers(2, 9))) * 10 ** rng.uniform(-3, 2)
        change = rng.normal(size=z.size) * scale
        gap = np.abs(cross_entropy(z) - cross_entropy(z + change)).max()
        assert gap <= math.sqrt(2) * np.linalg.norm(change) * (1 + 1e-9) + 1e-12
    for sharp in (1.0, 10.0, 40.0):
        z, change = np.array([sharp, 0.0]), 1e-3 * np.array([1.0, -1.0])
        best = max(best, (cross_entropy(z + change) - cross_entropy(z))[1] / np.linalg.norm(change))
    assert best >= 0.99 * math.sqrt(2)


@given(st.integers(0, 10**6), st.sampled_from([1e-6, 1e-2, 1.0]), st.sampled_from([0.1, 1.0, 5.0]))
def test_lemma_the_chain_bounds_how_far_logits_move(seed: int, size: float, scale: float) -> None:
    """The products with the distance of two networks in place of the distance to the reference."""
    rng = np.random.default_rng(seed)
    shape = dict(zip(("item", "level", "channel", "code"), rng.integers(1, 5, size=4).tolist(), strict=True))
    first = Network(network(scale, seed, **shape).weights, "relu", "relu")
    moved = {name: array + size * rng.normal(size=array.shape) for name, array in first.weights.items()}
    second = Network(moved, "relu", "relu")
    both = [Norms.of(net) for net in (first, second)]
    distance = Norms.of(Network({n: first.weights[n] - moved[n] for n in moved}, "relu", "relu")).two_one
    values = {str(SPECTRAL[name]): max(found.spectral[name] for found in both) for name in EVERY}
    values |= {str(DISTANCE[name]): distance[name] for name in EVERY} | {"n": shape["item"]}
    reach = CHAIN.number(**values)
    profile = (rng.random((shape["item"], shape["level"])) < 0.6).astype(float)
    assert np.linalg.norm(logits(first, profile) - logits(second, profile)) <= reach * (1 + 1e-9) + 1e-12


@given(st.integers(1, 6), st.integers(0, 12))
def test_lemma_multisets_are_fewer_than_both_counts(atoms: int, drawn: int) -> None:
    """Of k draws from 2W atoms only the counts matter: at most (2W)^k and at most (1+k)^(2W)."""
    multisets = math.comb(2 * atoms + drawn - 1, drawn)
    assert multisets <= (2 * atoms) ** drawn
    assert multisets <= (1 + drawn) ** (2 * atoms)


@given(st.integers(2, 400))
def test_lemma_the_integral_of_the_ceiling_of_one_over_eps_is_a_harmonic_number(size: int) -> None:
    steps = sum(((m + 1) * (Fraction(1, m) - Fraction(1, m + 1)) for m in range(1, size)), start=Fraction(0))
    assert steps == sum((Fraction(1, m) for m in range(1, size)), start=Fraction(0))


@given(st.floats(1e-6, 1.0), st.lists(st.floats(0, 100), min_size=1, max_size=7))
def test_lemma_shares_of_the_resolution_give_the_cube(eps: float, constants: list[float]) -> None:
    """With shares ceil(C^(2/3))/T the ceilings of all layers are at most T^3 ceil(1/eps^2) together."""
    ceilings = [math.ceil(c ** (2 / 3)) for c in constants]
    total = sum(ceilings)
    counted = [
        math.ceil((c * total / (eps * share)) ** 2 * (1 - 1e-12)) if c else 0
        for c, share in zip(constants, ceilings, strict=True)
    ]
    assert sum(counted) <= total**3 * math.ceil(1 / eps**2)


def test_lemma_psi_stays_below_its_largest_value() -> None:
    """A sum of the first terms and a bound on the rest: log(m)/sqrt(m) falls, and its differences telescope."""
    last = 10**6
    m = np.arange(1, last)
    head = float((np.log(m + 1) * (m**-0.5 - (m + 1) ** -0.5)).sum())
    tail = math.log(last + 1) / math.sqrt(last) + 2 / math.sqrt(last)
    assert 2.15 < head < head + tail < 2.17 < PSI_MAX


@given(st.integers(0, 5000))
def test_harmonic_numbers_are_exact_sums_and_no_logarithms(size: int) -> None:
    exact = math.fsum(1 / i for i in range(1, size + 1))
    assert HarmonicNumber.fast(size) == pytest.approx(exact, abs=1e-12)
    if size:
        assert exact > math.log(size) + 0.5


@given(st.floats(0, 1e12))
def test_two_thirds_has_its_value_at_zero(x: float) -> None:
    assert TwoThirds.fast(x) == pytest.approx(x ** (2 / 3), rel=1e-12)


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
    assert found.frobenius["encode"] == pytest.approx(np.linalg.norm(block))


def test_distances_are_measured_from_the_references() -> None:
    net = network()
    weights = {name: net.weights[name] for name in ("encode", "decode", "cell_bias")}
    found = Norms.of(net, References(weights))
    assert all(found.two_one[name] < 1e-12 for name in weights)
    assert found.spectral == Norms.of(net).spectral
    near, far = (literature_bounds(net, SCORED, 0.05, references=r) for r in (References(weights), None))
    assert all(n["value"] < f["value"] for n, f in zip(near, far, strict=True) if "parameters" not in n["source"])


def test_a_shared_map_is_counted_once_by_those_who_share_it() -> None:
    net = network()
    shared = {**net.weights, "encode": net.weights["encode"][:1], "decode": net.weights["decode"][:1]}
    twice = {**shared, **{name: np.repeat(shared[name], 2, axis=0) for name in ("encode", "decode")}}
    once, copied = (literature_bounds(Network(w, "identity", "tanh"), SCORED, 0.05) for w in (shared, twice))
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
