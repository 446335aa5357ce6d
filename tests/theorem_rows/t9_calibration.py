"""T9-calibration."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import BinnedEvents, Certificate, Evidence, Protocol
from conv4rec_bounds.theorems.t9_calibration import CalibrationError
from theorem_rows.common import REPLICATES, certified_value, confidences, scored_evidence, unrefused_value
from theorem_rows.row import Row

INDEPENDENT = Protocol("independent")
CLAIMED, TRUE, SHARES = (
    np.array([0.1, 0.4, 0.7, 0.95]),
    np.array([0.15, 0.35, 0.8, 0.9]),
    np.array([0.4, 0.3, 0.2, 0.1]),
)
"""What a model says in four bins, what is true there, and how often an interaction falls into each."""


def events(happened: np.ndarray, probabilities: np.ndarray, bins: np.ndarray, **options: object) -> BinnedEvents:
    return BinnedEvents({"high": happened}, {"high": probabilities}, {"high": bins}, **options)  # pyright: ignore


def drawn(rng: np.random.Generator, size: int) -> BinnedEvents:
    bins = rng.choice(4, size, p=SHARES)
    return events(rng.random(size) < TRUE[bins], CLAIMED[bins], bins)


def evidence(size: int = 10_000, **options: object) -> Evidence:
    part = drawn(np.random.default_rng(0), size)
    return replace(scored_evidence(), binned_events=replace(part, **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    part = given.binned_events
    gaps = part.happened["high"] - part.probabilities["high"]
    error = sum(abs(gaps[part.bins["high"] == b].sum()) for b in range(4)) / part.size
    # That V_E is the betting bound's is held by tests/bounds/test_t9_calibration.py.
    return float(error + math.sqrt(2 * certificate.quantities["V_E"] * math.log(40) / part.size))


def replicates() -> Iterator[tuple[float, float]]:
    rng, target = np.random.default_rng(51), float(SHARES @ np.abs(TRUE - CLAIMED))
    for _ in range(REPLICATES):
        found = Evidence(9, INDEPENDENT, binned_events=drawn(rng, 300))
        yield certified_value(CalibrationError(), found), target


def memorised() -> Iterator[tuple[float, float]]:
    """Claim for every item what the held-out part has shown: fair coins that look foreseen."""
    rng, items, size = np.random.default_rng(52), 1000, 400
    for _ in range(100):
        item, outcome = rng.integers(items, size=size), rng.random(items) < 0.5
        seen = np.unique(item).size / items
        bins = np.where(outcome[item], 1, 0)
        part = events(outcome[item], outcome[item].astype(float), bins, untouched=False)
        yield unrefused_value(CalibrationError(), Evidence(9, INDEPENDENT, binned_events=part)), seen / 2


def bursts() -> Iterator[tuple[float, float]]:
    """Repeat eight fair coins a hundred times each, foreseen as nine in ten."""
    rng = np.random.default_rng(53)
    for _ in range(200):
        happened = np.repeat(rng.random(8) < 0.5, 100)
        part = events(happened, np.full(800, 0.9), np.zeros(800, dtype=int))
        yield unrefused_value(CalibrationError(), Evidence(9, Protocol("neither"), binned_events=part)), 0.4


ROW = Row(
    theorem=CalibrationError(),
    inputs=st.fixed_dictionaries(
        {
            "N": st.integers(2, 10**9),
            "J": st.integers(1, 100),
            "delta": confidences,
            "Ehat": st.floats(0, 1),
            "V_E": st.floats(0, 1),
        }
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, binned_events=None), "no events with probabilities"),
        (evidence(blind=False), "with a look at the held-out part"),
        (evidence(untouched=False), "has seen"),
        (evidence(1), "at least 2"),
        (replace(FULL, protocol=Protocol("neither")), "neither declared independent"),
        (evidence(pool=10_000), "the whole pool"),
    ),
    rises_in=("J", "Ehat", "V_E"),
    vanishing=("Delta_E",),
    replicates=replicates,
    unrefused={"A1": memorised, "A2": bursts},
)
