"""T9-paired."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, HeldOut, Paired, Protocol
from conv4rec_bounds.theorems.t9_paired import PairedRisk
from theorem_rows.common import (
    CELLS,
    REPLICATES,
    certified_value,
    confidences,
    held_out,
    scored_evidence,
    unrefused_value,
)
from theorem_rows.row import Row

INDEPENDENT, ALPHA = Protocol("independent"), 0.01


def worse(part: HeldOut, by: float = 0.5, seed: int = 1) -> np.ndarray:
    """Return log-probabilities of a model that is worse by that on average, in nats before smoothing."""
    noise = np.random.default_rng(seed).normal(by, 0.3, size=part.size)
    return np.minimum(part.log_probabilities - noise, 0.0)


def evidence(size: int = 10_000, **options: object) -> Evidence:
    part = held_out(size, **options)
    return replace(scored_evidence(size), paired=Paired(part, worse(part)))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    own, other = (
        -np.log(0.99 * np.exp(logs) + 0.01 / CELLS)
        for logs in (given.paired.model.log_probabilities, given.paired.against)
    )
    assert math.isclose(certificate.quantities["W"], math.log(1 + 0.99 * CELLS / 0.01), rel_tol=1e-12)
    # That V_W is the betting bound's is held by tests/bounds/test_t9_paired.py.
    return float((other - own).mean()) - math.sqrt(2 * certificate.quantities["V_W"] * math.log(20) / own.size)


def laws(rng: np.random.Generator, users: int = 3, cells: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a truth, a model next to it and a worse one, all of shape (user, cell), the models smoothed."""
    truth = rng.dirichlet(np.full(cells, 0.5), size=users)
    models = (0.8 * truth + 0.2 * rng.dirichlet(np.ones(cells), size=users), np.tile(truth.mean(axis=0), (users, 1)))
    near, far = models
    return truth, near, far


def smoothed(law: np.ndarray) -> np.ndarray:
    return np.log((1 - ALPHA) * law + ALPHA / law.shape[-1])


def replicates() -> Iterator[tuple[float, float]]:
    rng, each = np.random.default_rng(31), np.array([1000, 600, 400])
    truth, near, far = laws(rng)
    size, cells = int(each.sum()), truth.shape[1]
    target = float(each / size @ (truth * (smoothed(near) - smoothed(far))).sum(axis=1))
    for _ in range(REPLICATES):
        counts = rng.multinomial(each, truth).ravel()
        logs = (np.repeat(np.log(law).ravel(), counts) for law in (near, far))
        found = Evidence(cells, INDEPENDENT, paired=Paired(HeldOut(next(logs), np.full(size, cells)), next(logs)))
        # A ratio needs a positive bound; below it, what is certified is no news.
        yield max(certified_value(PairedRisk(), found), 1e-9), target


def touched() -> Iterator[tuple[float, float]]:
    """Let a table of counts of the held-out part itself compete with the truth, which is uniform."""
    rng, cells, size = np.random.default_rng(32), 1000, 2000
    for _ in range(100):
        drawn = rng.integers(cells, size=size)
        counted = np.bincount(drawn, minlength=cells) / size
        part = HeldOut(np.log(counted[drawn]), np.full(size, cells), untouched=False)
        found = Evidence(cells, INDEPENDENT, paired=Paired(part, np.full(size, -math.log(cells))))
        yield unrefused_value(PairedRisk(), found), float((smoothed(counted) + math.log(cells)).mean())


def bursts() -> Iterator[tuple[float, float]]:
    """Repeat each of three interactions two thousand times; the two models are mirror images of each other."""
    rng, cells = np.random.default_rng(33), 90
    good, bad = math.log(0.3), math.log(1e-3)
    for _ in range(100):
        drawn = np.repeat(rng.random(3) < 0.5, 2000)
        part = HeldOut(np.where(drawn, good, bad), np.full(drawn.size, cells))
        found = Evidence(cells, Protocol("neither"), paired=Paired(part, np.where(drawn, bad, good)))
        # The true margin is 0: what is not above a billionth counts as no miss.
        yield max(unrefused_value(PairedRisk(), found), 1e-9), 1e-9


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, float]:
    values = {"dbar": draw(st.floats(-10, 10)), "V_W": draw(st.floats(0, 2000))}
    return values | {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences)}


ROW = Row(
    theorem=PairedRisk(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, paired=None), "no second model was given"),
        (evidence(100, untouched=False), "has seen"),
        (replace(FULL, paired=Paired(held_out(1), np.array([-1.0]))), "at least 2"),
        (replace(FULL, protocol=Protocol("neither")), "neither declared independent"),
        (replace(FULL, protocol=Protocol("finite pool")), "neither declared independent"),
        (evidence(100, pool=np.full(100, CELLS)), "whole pool"),
    ),
    falls_in=("V_W",),
    rises_in=("N", "delta"),
    vanishing=("Delta_W",),
    replicates=replicates,
    unrefused={"A1": touched, "A2": bursts},
)
