"""T9-lower."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq

from conv4rec_bounds import Certificate, Events, Evidence, Protocol
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.t9_lower import TotalVariationLower
from theorem_rows.common import REPLICATES, certified_value, confidences, held_out, scored_evidence, unrefused_value
from theorem_rows.row import Row

INDEPENDENT = Protocol("independent")


def events(size: int, counts: object, probabilities: object, **options: object) -> Events:
    names = tuple(f"event {k}" for k in range(len(counts)))  # pyright: ignore
    return Events(size, counts, probabilities, names, **options)  # pyright: ignore


def evidence(size: int = 10_000, **options: object) -> Evidence:
    return replace(scored_evidence(size), events=events(size, [size // 2, size * 31 // 100], [0.52, 0.2], **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    level = math.log(80) / given.events.size
    assert math.isclose(certificate.quantities["c"], level, rel_tol=1e-12)
    s = 0.31

    def excess(p: float) -> float:
        return s * math.log(s / p) + (1 - s) * math.log((1 - s) / (1 - p)) - level

    return brentq(excess, 1e-9, s, xtol=1e-15) - 0.2


def replicates() -> Iterator[tuple[float, float]]:
    """Three users, twelve cells, a wrong model, and four events of which one is where the truth is above it."""
    rng, cells, each = np.random.default_rng(13), 12, np.array([500, 300, 200])
    truth, model = (rng.dirichlet(np.full(cells, 0.7), size=3) for _ in range(2))
    chosen = np.array([truth > model, np.tile(np.arange(cells) < 6, (3, 1)), truth > 0.1, model > 0.1], dtype=float)
    mix = each / each.sum()
    probabilities = np.einsum("kiy,iy,i->k", chosen, model, mix)
    distance = float(mix @ np.abs(truth - model).sum(axis=1)) / 2
    for _ in range(REPLICATES):
        counts = rng.multinomial(each, truth)
        happened = (chosen.astype(np.int64) * counts).sum(axis=(1, 2))
        found = Evidence(cells, INDEPENDENT, events=events(int(each.sum()), happened, probabilities))
        yield certified_value(TotalVariationLower(), found), distance


def events_from_the_held_out_part() -> Iterator[tuple[float, float]]:
    """Take as the event the cells that were seen: the model is the truth, and looks far from it."""
    rng, cells, size = np.random.default_rng(14), 1000, 100
    for _ in range(100):
        seen = np.unique(rng.integers(cells, size=size)).size
        found = Evidence(cells, INDEPENDENT, events=events(size, [size], [seen / cells], blind=False))
        yield unrefused_value(TotalVariationLower(), found), 0.0


def bursts() -> Iterator[tuple[float, float]]:
    """Repeat one fair draw a hundred times: the share is 0 or 1, the model that says one half is right."""
    rng = np.random.default_rng(15)
    for _ in range(100):
        count = 100 * int(rng.integers(2))
        found = Evidence(2, Protocol("neither"), events=events(100, [count], [0.5]))
        yield unrefused_value(TotalVariationLower(), found), 0.0


shares = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Number]:
    """Draw a share as what it is, a count over N: a smaller positive one than 1/N does not exist."""
    size = draw(st.integers(1, 10**9))
    share = Fraction(draw(st.integers(0, size)), size)
    return {"s": share, "p": draw(shares), "N": size, "K": draw(st.integers(1, 10**6)), "delta": draw(confidences)}


ROW = Row(
    theorem=TotalVariationLower(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, events=None), "no events were given"),
        (evidence(blind=False), "with a look at the held-out part"),
        (evidence(untouched=False), "has seen"),
        (replace(FULL, held_out=held_out(10_000, untouched=False)), "has seen"),
        (replace(FULL, protocol=Protocol("finite pool")), "degenerate cell by cell"),
        (replace(FULL, protocol=Protocol("neither")), "not independent draws"),
        (replace(evidence(resolution="groups"), protocol=Protocol("neither")), "not independent draws"),
    ),
    falls_in=("K",),
    rises_in=("N", "delta"),
    vanishing=("c",),
    replicates=replicates,
    unrefused={"A1": events_from_the_held_out_part, "A2": bursts},
)
