"""T8-code."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq

from conv4rec_bounds import Certificate, Compressed, Evidence, Protocol
from conv4rec_bounds.theorems.t8_code import CompressedRisk
from theorem_rows.common import CELLS, REPLICATES, certified_value, confidences, scored_evidence, unrefused_value
from theorem_rows.row import Row
from theorem_rows.t8 import ALPHA, smoothed


def file(log_probabilities: object, length: int, cells: int = CELLS, **options: object) -> Compressed:
    """Return a file of which one byte is the header."""
    listed = np.asarray(log_probabilities, dtype=float)
    bits = {"header": 8 * min(1, length), "encode": 8 * max(0, length - 1)}
    given = (listed, np.full(listed.size, cells), ALPHA, length, bits, math.log(cells))
    return Compressed(*given, **options)  # pyright: ignore


def evidence(size: int = 10_000, **options: object) -> Evidence:
    listed = np.log(np.random.default_rng(0).uniform(0.01, 0.9, size=size))
    return replace(scored_evidence(size), compressed=file(listed, 20, **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    low, high = -math.log(0.99 + 0.01 / CELLS), math.log(CELLS / 0.01)
    losses = -np.log(0.99 * np.exp(given.compressed.log_probabilities) + 0.01 / CELLS)
    level = (160 * math.log(2) + math.log(21 * 22 * 2 / 0.05)) / losses.size
    u = (losses.mean() - low) / (high - low)
    assert math.isclose(certificate.quantities["c"], level, rel_tol=1e-12)

    def excess(p: float) -> float:
        return u * math.log(u / p) + (1 - u) * math.log((1 - u) / (1 - p)) - level

    by_kl = low + (high - low) * brentq(excess, u, 1 - 1e-9, xtol=1e-15)
    assert math.isclose(certificate.quantities["Delta_K"], by_kl - losses.mean(), rel_tol=1e-9)
    # That V_W is the betting bound's is held by tests/bounds/test_t8_code.py.
    return min(by_kl, losses.mean() + math.sqrt(2 * certificate.quantities["V_W"] * level))


def replicates() -> Iterator[tuple[float, float]]:
    """Let one byte name one of 256 laws that were made beforehand, the one with the least loss; three unlike users."""
    rng, cells, each = np.random.default_rng(20), 12, np.array([30, 20, 10])
    truth = rng.dirichlet(np.full(cells, 0.5), size=3)
    laws = rng.dirichlet(np.full(cells, 1.0), size=(256, 3))
    losses = smoothed(laws)
    risks = (losses * truth * each[:, None]).sum(axis=(1, 2)) / each.sum()
    for _ in range(REPLICATES):
        counts = rng.multinomial(each, truth)
        best = int(np.argmin((losses * counts).sum(axis=(1, 2))))
        listed = np.repeat(np.log(laws[best]).reshape(-1), counts.reshape(-1))
        found = Evidence(cells, Protocol("independent"), compressed=file(listed, 1, cells))
        yield certified_value(CompressedRisk(), found), float(risks[best])


def self_reconstruction() -> Iterator[tuple[float, float]]:
    """Copy the profile: almost no loss on the own input, a large one on a fresh interaction of ten equal cells."""
    cells = 10
    copied, missed = smoothed(np.eye(cells)[0])[:2]
    protocol = Protocol("independent", profile="self-reconstruction")
    found = Evidence(cells, protocol, compressed=file(np.zeros(10**4), 1, cells))
    yield from [(unrefused_value(CompressedRisk(), found), 0.1 * copied + 0.9 * missed)] * 100


def bursts() -> Iterator[tuple[float, float]]:
    """Let interactions come in bursts of equal ones, and declare them independent."""
    rng, cells = np.random.default_rng(21), 90
    good, bad = smoothed(np.array([0.3, 1e-3] + [0.0] * (cells - 2)))[:2]
    for _ in range(100):
        drawn = np.repeat(rng.random(3) < 0.4, 2000)
        found = Evidence(cells, Protocol("independent"), compressed=file(np.log(np.where(drawn, 1e-3, 0.3)), 1, cells))
        yield unrefused_value(CompressedRisk(), found), float(0.4 * bad + 0.6 * good)


def decoder_that_saw_the_scored_part() -> Iterator[tuple[float, float]]:
    """Let the decoder hold the shares of the scored interactions themselves: the empty file describes them."""
    rng, cells, size = np.random.default_rng(22), 1000, 400
    for _ in range(100):
        drawn = rng.integers(cells, size=size)
        counted = np.bincount(drawn, minlength=cells) / size
        held = file(np.log(counted[drawn]), 0, cells, blind_decoder=False)
        found = Evidence(cells, Protocol("independent"), compressed=held)
        yield unrefused_value(CompressedRisk(), found), float(smoothed(counted).mean())


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, float]:
    low, width = draw(st.floats(0, 1)), draw(st.floats(1e-6, 50))
    share = draw(st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)))
    values = {"l_min": low, "l_max": low + width, "Lhat": min(low + share * width, low + width)}
    length = draw(st.one_of(st.integers(0, 300), st.integers(0, 10**7)))
    values |= {"B": length, "V_W": draw(st.floats(0, 600))}
    return values | {"N": draw(st.integers(1, 10**9)), "delta": draw(confidences)}


ROW = Row(
    theorem=CompressedRisk(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, compressed=None), "no compressed predictor"),
        (evidence(blind_decoder=False), "the decoder has seen"),
    ),
    rises_in=("l_max", "B", "V_W"),
    vanishing=("c",),
    replicates=replicates,
    unrefused={"A1": self_reconstruction, "A2": bursts, "A3": decoder_that_saw_the_scored_part},
)
