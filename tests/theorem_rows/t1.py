"""T1."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Network, Protocol, Scored
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from theorem_rows.blind_fits import fitted_evidence
from theorem_rows.common import (
    certified_value,
    cover_inputs,
    risks,
    scored_evidence,
    unrefused_value,
    with_hidden_layer,
)
from theorem_rows.row import Row

FULL = scored_evidence()


def again(evidence: Evidence, certificate: Certificate) -> float:
    q, size = certificate.quantities, evidence.scored.size
    return 2.0 + 4 * q["epsilon"] + q["M"] * math.sqrt((q["C"] + q["P"] + math.log(20)) / (2 * size))


def replicates() -> Iterator[tuple[float, float]]:
    for evidence, risk, _ in fitted_evidence():
        yield certified_value(ParameterCount(), evidence), risk


def identity_on_its_own_input() -> tuple[Evidence, float]:
    """Return evidence of a network that copies its profile, and the loss that it has on a fresh interaction.

    With one item a user and self-reconstruction, weights that copy the profile predict the scored cell almost surely; a
    fresh interaction of the same user is elsewhere with probability 9/10.
    """
    items, sharp = 10, 40.0
    identity = np.eye(items)[None]
    weights = {
        "lift": np.ones((1, 1)),
        "encode": identity,
        "decode": identity * sharp,
        "project": np.ones((1, 1)),
        "cell_bias": np.zeros((items, 1)),
    }
    copied = float(np.log1p((items - 1) * np.exp(-sharp)))
    evidence = Evidence(
        cells=items,
        protocol=Protocol("independent", profile="self-reconstruction"),
        network=Network(weights, "identity", "identity"),
        scored=Scored(10**5, copied, truth_risk=math.log(items), users=items),
    )
    return evidence, copied + sharp * (items - 1) / items


def self_reconstruction() -> Iterator[tuple[float, float]]:
    evidence, fresh = identity_on_its_own_input()
    yield from [(unrefused_value(ParameterCount(), evidence), fresh)] * 100


ROW = Row(
    theorem=ParameterCount(),
    inputs=st.builds(
        lambda cover, q, eps, risk: cover | {"q": q, "epsilon": eps, "Lhat": risk},
        cover_inputs(),
        st.integers(1, 10**7),
        st.floats(1e-9, 10),
        risks,
    ),
    evidence=scored_evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, scored=None), "no scored part"),
        (replace(FULL, network=None), "no weights"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, network=with_hidden_layer()), "hidden layers"),
    ),
    rises_in=("q", "Lhat", *(f"{kind}_{layer.letter}" for layer in LAYERS.values() for kind in "s")),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": self_reconstruction},
)
