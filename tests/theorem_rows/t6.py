"""T6."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Protocol, Scored
from conv4rec_bounds.divergences import total_variation
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.t6_total_variation import FastTotalVariation
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
from theorem_rows.t1 import identity_on_its_own_input

FULL = scored_evidence()


def again(evidence: Evidence, certificate: Certificate) -> float:
    q, size = certificate.quantities, evidence.scored.size
    exponent = (2.0 - 2.001) / 2 + 2 * q["epsilon"] + (q["C"] + q["P"] + math.log(20)) / size
    return math.sqrt(1 - math.exp(-2 * exponent))


def replicates() -> Iterator[tuple[float, float]]:
    for evidence, _, distance in fitted_evidence():
        yield certified_value(FastTotalVariation(), evidence), distance


def self_reconstruction() -> Iterator[tuple[float, float]]:
    evidence, _ = identity_on_its_own_input()
    uniform, sharp_law = np.full((1, 10), 0.1), np.eye(10)[:1]
    far = total_variation(uniform, sharp_law, np.ones(1))
    yield from [(unrefused_value(FastTotalVariation(), evidence), far)] * 100


ROW = Row(
    theorem=FastTotalVariation(),
    inputs=st.builds(
        lambda cover, risk, truth: cover | {"Lhat": risk, "Lhat_star": truth}, cover_inputs(), risks, risks
    ),
    evidence=scored_evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, scored=Scored(100, 2.0)), "known for synthetic truths only"),
        (replace(FULL, scored=None), "no scored part"),
        (replace(FULL, protocol=Protocol("neither")), "not independent draws"),
        (replace(FULL, protocol=Protocol("finite pool")), "degenerate"),
        (replace(FULL, network=with_hidden_layer()), "hidden layers"),
    ),
    rises_in=("Lhat", *(f"{kind}_{layer.letter}" for layer in LAYERS.values() for kind in "s")),
    replicates=replicates,
    unrefused={"A1": self_reconstruction},
)
