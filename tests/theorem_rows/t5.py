"""T5."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Comparator, Evidence, Network, Protocol, Scored
from conv4rec_bounds.divergences import total_variation
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.t5_oracle_inequality import OracleInequality
from theorem_rows.blind_fits import fitted_evidence
from theorem_rows.common import (
    CELLS,
    certified_value,
    cover_inputs,
    risks,
    scored_evidence,
    unrefused_value,
    with_hidden_layer,
)
from theorem_rows.row import Row


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), comparator=Comparator(excess=0.01, oscillation=3.0, risk=1.99))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    q, size = certificate.quantities, given.scored.size
    comparator_range = math.log((1 + (CELLS - 1) * math.exp(3.0)) / (1 + (CELLS - 1) * math.exp(-3.0)))
    fluctuation = comparator_range * math.sqrt(math.log(40) / (2 * size))
    deviation = q["M"] * math.sqrt((q["C"] + q["P"] + math.log(40)) / (2 * size))
    divergence = 0.01 + (2.0 - 1.99) + fluctuation + 4 * q["epsilon"] + deviation
    return min(math.sqrt(divergence / 2), math.sqrt(1 - math.exp(-divergence)))


def replicates() -> Iterator[tuple[float, float]]:
    for found, _, distance in fitted_evidence():
        yield certified_value(OracleInequality(), found), distance


def copier(sharp: float, size: int, protocol: Protocol, risk: float) -> Evidence:
    """Return evidence of a network that gives each item that it reads a logit higher than the others by ``sharp``."""
    items = 10
    weights = {
        "lift": np.ones((1, 1)),
        "encode": np.eye(items)[None],
        "decode": np.eye(items)[None] * sharp,
        "project": np.ones((1, 1)),
        "cell_bias": np.zeros((items, 1)),
    }
    return Evidence(
        cells=items,
        protocol=protocol,
        network=Network(weights, "identity", "identity"),
        scored=Scored(size, risk),
        comparator=Comparator(excess=0.0, oscillation=0.0, risk=math.log(items)),
    )


def self_reconstruction() -> Iterator[tuple[float, float]]:
    """Let each user show one item of ten, uniformly drawn, and score the copier on that very item."""
    sharp = 8.0
    law = np.exp(sharp * np.eye(10)[:1])
    law /= law.sum()
    far = total_variation(np.full((1, 10), 0.1), law, np.ones(1))
    protocol = Protocol("independent", profile="self-reconstruction")
    found = copier(sharp, 10**9, protocol, -math.log(float(law[0, 0])))
    yield from [(unrefused_value(OracleInequality(), found), far)] * 100


def repeated() -> Iterator[tuple[float, float]]:
    """Count one interaction a billion times: everyone seems to like the item that one user drew."""
    law = np.exp(8.0 * np.eye(10)[:1])
    law /= law.sum()
    far = total_variation(np.full((1, 10), 0.1), law, np.ones(1))
    found = copier(8.0, 10**9, Protocol("neither"), -math.log(float(law[0, 0])))
    yield from [(unrefused_value(OracleInequality(), found), far)] * 100


ROW = Row(
    theorem=OracleInequality(),
    inputs=st.builds(
        lambda cover, q, eps, risk, comparator: cover | {"q": q, "epsilon": eps, "Lhat": risk} | comparator,
        cover_inputs(),
        st.integers(2, 10**7),
        st.floats(1e-9, 10),
        risks,
        st.fixed_dictionaries({"A": st.floats(0, 5), "w_0": st.floats(0, 50), "Lhat_0": risks}),
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, protocol=Protocol("finite pool")), "degenerate"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, scored=None), "no scored part"),
        (replace(FULL, network=with_hidden_layer()), "hidden layers"),
        (replace(FULL, comparator=None), "no comparator"),
        (replace(FULL, comparator=replace(FULL.comparator, blind=False)), "with a look at the scored interactions"),
    ),
    falls_in=("N", "delta", "Lhat_0"),
    rises_in=("q", "Lhat", "A", "w_0", *(f"s_{layer.letter}" for layer in LAYERS.values())),
    vanishing=("Delta", "Delta_0"),
    replicates=replicates,
    unrefused={"A1": self_reconstruction, "A2": repeated},
)
