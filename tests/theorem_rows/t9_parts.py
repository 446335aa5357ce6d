"""T9-parts."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, NamedLoss, NamedLosses, Protocol
from conv4rec_bounds.theorems.t9_parts import HeldOutParts
from theorem_rows.common import REPLICATES, certified_value, confidences, risks, scored_evidence, unrefused_value
from theorem_rows.row import Row

INDEPENDENT = Protocol("independent")


def losses(values: np.ndarray, **options: object) -> NamedLosses:
    """Name the values twice: as a loss in nats and, halved, as an error of levels."""
    first = NamedLoss("explicit loss", "nats", values, low=0.0, high=6.0, trivial=5.0)
    return NamedLosses((first, NamedLoss("level error", "levels", values / 2, low=0.0, high=4.0)), **options)  # pyright: ignore


def evidence(size: int = 10_000, **options: object) -> Evidence:
    values = np.random.default_rng(0).uniform(0, 3, size)
    return replace(scored_evidence(), named_losses=losses(values, **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    values = given.named_losses.losses[0].values
    # That V_P is the betting bound's is held by tests/bounds/test_t9_parts.py.
    return float(values.mean() + math.sqrt(2 * certificate.quantities["V_P"] * math.log(40) / values.size))


def replicates() -> Iterator[tuple[float, float]]:
    """Two groups of users with unequal means, one of them rarely, but then badly, surprised."""
    rng = np.random.default_rng(31)
    for _ in range(REPLICATES):
        rare = np.where(rng.random(60) < 0.02, 6.0, 0.1)
        often = np.where(rng.random(40) < 0.5, 2.0, 0.5)
        found = Evidence(9, INDEPENDENT, named_losses=losses(np.concatenate([rare, often])))
        yield certified_value(HeldOutParts(), found), 0.6 * (0.02 * 6 + 0.98 * 0.1) + 0.4 * 1.25


def touched() -> Iterator[tuple[float, float]]:
    """Score a table of counts on the interactions that it was counted from: it knows what it has seen."""
    rng, cells, size = np.random.default_rng(32), 1000, 400
    for _ in range(100):
        seen = np.bincount(rng.integers(cells, size=size), minlength=cells) > 0
        found = Evidence(9, INDEPENDENT, named_losses=losses(np.full(size, 0.1), untouched=False))
        yield unrefused_value(HeldOutParts(), found), float(np.where(seen, 0.1, 3.0).mean())


def bursts() -> Iterator[tuple[float, float]]:
    """Let interactions come in bursts of equal ones: the sample is far smaller than it looks."""
    rng = np.random.default_rng(33)
    for _ in range(100):
        values = np.repeat(np.where(rng.random(3) < 0.4, 3.0, 0.5), 2000)
        yield unrefused_value(HeldOutParts(), Evidence(9, Protocol("neither"), named_losses=losses(values))), 1.5


ROW = Row(
    theorem=HeldOutParts(),
    inputs=st.fixed_dictionaries(
        {
            "N": st.integers(2, 10**9),
            "J": st.integers(1, 100),
            "delta": confidences,
            "lbar": risks,
            "V_P": st.floats(0, 600),
        }
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, named_losses=None), "no named losses"),
        (evidence(untouched=False), "has seen"),
        (evidence(1), "at least 2"),
        (replace(FULL, protocol=Protocol("neither")), "neither declared independent"),
        (replace(FULL, protocol=Protocol("finite pool")), "neither declared independent"),
        (evidence(pool=10_000), "the whole pool"),
    ),
    rises_in=("J", "lbar", "V_P"),
    vanishing=("Delta_P",),
    replicates=replicates,
    unrefused={"A1": touched, "A2": bursts},
)
