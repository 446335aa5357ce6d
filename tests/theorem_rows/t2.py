"""T2."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from scipy import stats

from conv4rec_bounds import Certificate, Evidence, Network, Protocol, References, Scored
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.t2_norms import Norms
from theorem_rows.blind_fits import fitted_evidence
from theorem_rows.common import (
    certified_value,
    cover_inputs,
    indices,
    risks,
    scored_evidence,
    sizes,
    unrefused_value,
    with_hidden_layer,
)
from theorem_rows.row import Row
from theorem_rows.t1 import identity_on_its_own_input

FULL = scored_evidence()
LETTERS = [layer.letter for layer in LAYERS.values()]


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, float]:
    values = draw(cover_inputs()) | {"m": draw(sizes), "n": draw(sizes), "k": draw(st.integers(1, 500))}
    values |= {"q": draw(st.integers(2, 10**7))}
    values |= {f"t_{letter}": draw(indices) for letter in "EDB"}
    values |= {f"epsilon_{letter}": draw(st.floats(1e-9, 10)) for letter in LETTERS}
    values |= {"u_E": draw(st.floats(0, 1e3)), "u_D": draw(st.floats(0, 1e3)), "v_B": draw(st.floats(1e-3, 20))}
    return values | {"Lhat": draw(risks)}


def again(evidence: Evidence, certificate: Certificate) -> float:
    q, size, weights = certificate.quantities, evidence.scored.size, evidence.network.weights
    reach = q["rho_G"] * q["rho_D"] + q["rho_O"]
    constants = {"K": reach * q["rho_E"], "E": reach * q["rho_K"], "a": reach, "D": q["rho_G"] * q["h"]}
    constants |= {"G": q["rho_D"] * q["h"], "O": q["h"], "B": 1.0}
    nats, price = {}, 0.0
    for name, layer in LAYERS.items():
        ratio = q[f"rho_{layer.letter}"] * constants[layer.letter] / q[f"epsilon_{layer.letter}"]
        pieces = math.ceil(ratio) if name == "cell_bias" else 1 + 2 * ratio
        nats[layer.letter] = weights[name].size * math.log(pieces)
    centred = weights["cell_bias"] - weights["cell_bias"].mean()
    compared = {"E": weights["encode"], "D": weights["decode"], "B": centred}
    for letter, array in compared.items():
        radius = next(2 ** (t / 4) / 8 for t in range(200) if 2 ** (t / 4) / 8 >= np.linalg.norm(array))
        assert math.isclose(q[f"r_{letter}"], radius, rel_tol=1e-12)
        ratio = radius * constants[letter] / q[f"epsilon_{letter}"]
        maps = {"E": 50, "D": 50 * len(centred), "B": centred.size}[letter]
        freedom = weights["encode"].shape[2] if letter == "E" else 1
        x = q["v_B"] ** 2 if letter == "B" else freedom + 2 + q[f"u_{letter}"]
        nats[letter] = min(nats[letter], 2 * ratio**2 * x - maps * stats.chi2.logcdf(x, freedom))
    norms = [q[f"rho_{letter}"] for letter in LETTERS] + [q[f"r_{letter}"] for letter in compared]
    price = sum(math.log((s + 1) * (s + 2)) for s in (round(4 * math.log2(8 * norm)) for norm in norms))
    resolution = sum(q[f"epsilon_{letter}"] for letter in LETTERS)
    return 2.0 + 4 * resolution + q["M"] * math.sqrt((sum(nats.values()) + price + math.log(20)) / (2 * size))


def replicates() -> Iterator[tuple[float, float]]:
    for evidence, risk, _ in fitted_evidence():
        yield certified_value(Norms(), evidence), risk


def self_reconstruction() -> Iterator[tuple[float, float]]:
    evidence, fresh = identity_on_its_own_input()
    yield from [(unrefused_value(Norms(), evidence), fresh)] * 100


def references_that_saw_the_scored_part() -> Iterator[tuple[float, float]]:
    """Raise the bias of the scored cells of a uniform law, and hand that very bias in as its reference."""
    rng, items, size, raised = np.random.default_rng(5), 20_000, 1_000, 15.0
    zero = {name: np.zeros([1] * len(LAYERS[name].axes)) for name in ("lift", "project")}
    maps = {name: np.zeros((1, items, 1)) for name in ("encode", "decode")}
    for _ in range(20):
        bias = np.zeros((items, 1))
        bias[rng.integers(items, size=size)] = raised
        normaliser = float(np.logaddexp.reduce(bias[:, 0]))
        evidence = Evidence(
            cells=items,
            protocol=Protocol("independent"),
            network=Network(zero | maps | {"cell_bias": bias}, "identity", "tanh"),
            scored=Scored(size, normaliser - raised, users=100),
            references=References({"cell_bias": bias}, blind=False),
        )
        yield unrefused_value(Norms(), evidence), normaliser - float(bias.mean())


ROW = Row(
    theorem=Norms(),
    inputs=inputs(),
    evidence=scored_evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, scored=None), "no scored part"),
        (replace(FULL, network=None), "no weights"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, network=with_hidden_layer()), "hidden layers"),
        (replace(FULL, scored=Scored(10_000, 2.0)), "number of users"),
        (replace(FULL, references=References({"cell_bias": np.zeros((6, 3))}, blind=False)), "with a look at"),
    ),
    rises_in=("q", "Lhat", "m", "n", *(f"s_{letter}" for letter in LETTERS), "t_E", "t_D", "t_B"),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": self_reconstruction, "A4": references_that_saw_the_scored_part},
)
