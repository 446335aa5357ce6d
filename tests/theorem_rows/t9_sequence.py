"""T9-sequence."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Protocol, TimeOrdered
from conv4rec_bounds.running import SIZES, upper_ends
from conv4rec_bounds.theorems.t9_sequence import RunningRisk
from theorem_rows.common import CELLS, DELTA, REPLICATES, confidences, held_out, scored_evidence, unrefused_value
from theorem_rows.row import Row

NEITHER, ALPHA = Protocol("neither"), 0.01


def evidence(size: int = 10_000, **options: object) -> Evidence:
    part = held_out(size)
    ordered = TimeOrdered(part.log_probabilities, part.cells, most_cells=CELLS, **options)  # pyright: ignore
    return replace(scored_evidence(size), protocol=Protocol("independent"), time_ordered=ordered)


FULL = evidence()


def direct(values: np.ndarray, high: float, delta: float) -> list[float]:
    """Return the end of every bet at the last look, by the definition on the page, interaction by interaction."""
    ends = []
    for place in range(SIZES):
        size, before, total, logs = 2.0 ** (1 - place), 0.5, 0.0, 0.0
        for t, value in enumerate((values / high).tolist(), start=1):
            centre = max(math.floor(before / t * 2**20) / 2**20, 1 - 1 / size)
            factor = 1 - size * (value - centre)
            logs += math.log(factor) if factor > 0 else -math.inf
            total += centre
            before += value
        ends.append(high * (total + (math.log((place + 1) * (place + 2) / delta) - logs) / size) / values.size)
    return ends


def again(given: Evidence, certificate: Certificate) -> float:
    losses = -np.log(0.99 * np.exp(given.time_ordered.log_probabilities) + 0.01 / CELLS)
    return min(direct(losses, math.log(CELLS / 0.01), DELTA))


def learning(rng: np.random.Generator, steps: int, cells: int = 8) -> tuple[TimeOrdered, np.ndarray]:
    """Let the model count what it sees, and the user answer to what was likeliest so far: nothing is independent."""
    counts, logs, expected = np.ones(cells), np.empty(steps), np.empty(steps)
    own = rng.dirichlet(np.ones(cells))
    for t in range(steps):
        law = counts / counts.sum()
        truth = 0.7 * own + 0.3 * np.eye(cells)[np.argmax(counts)]
        losses = -np.log((1 - ALPHA) * law + ALPHA / cells)
        drawn = rng.choice(cells, p=truth)
        logs[t], expected[t] = np.log(law[drawn]), truth @ losses
        counts[drawn] += 1
    return TimeOrdered(logs, np.full(steps, cells), cells, smoothing=ALPHA), expected


def replicates() -> Iterator[tuple[float, float]]:
    """Yield the look at which bound over target is least, out of all looks: one miss anywhere is a miss."""
    rng, steps = np.random.default_rng(41), 150
    for _ in range(REPLICATES):
        ordered, expected = learning(rng, steps)
        ends, targets = upper_ends(ordered.values, DELTA), np.cumsum(expected) / np.arange(1, steps + 1)
        worst = int(np.argmin(ends / targets))
        yield float(ends[worst]), float(targets[worst])


def seen_before() -> Iterator[tuple[float, float]]:
    """Score a table of counts on the interactions that it was counted from."""
    rng, cells, size = np.random.default_rng(42), 1000, 400
    for _ in range(100):
        drawn = rng.integers(cells, size=size)
        counted = np.bincount(drawn, minlength=cells) / size
        ordered = TimeOrdered(np.log(counted[drawn]), np.full(size, cells), cells, predicted=False)
        everywhere = -np.log(0.99 * counted + 0.01 / cells)
        yield unrefused_value(RunningRisk(), Evidence(cells, NEITHER, time_ordered=ordered)), float(everywhere.mean())


def easy_ones_first() -> Iterator[tuple[float, float]]:
    """Take the first half of a pool whose easy interactions come first, and read the bound as one of the whole pool."""
    rng, cells, half = np.random.default_rng(43), 90, 500
    for _ in range(100):
        easy, hard = rng.uniform(0.5, 0.9, half), rng.uniform(1e-3, 1e-2, half)
        ordered = TimeOrdered(np.log(easy), np.full(half, cells), cells)
        pool = -np.log(0.99 * np.concatenate([easy, hard]) + 0.01 / cells)
        found = Evidence(cells, Protocol("finite pool"), time_ordered=ordered)
        yield unrefused_value(RunningRisk(), found), float(pool.mean())


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, float]:
    low = draw(st.floats(-20, 1))
    values = {"l_min": low, "l_max": low + draw(st.floats(1e-6, 50)), "lbar": draw(st.floats(0, 50))}
    values |= {"g": draw(st.integers(0, SIZES - 1)), "V_S": draw(st.floats(0, 600))}
    return values | {"N": draw(st.integers(1, 10**9)), "delta": draw(confidences)}


ROW = Row(
    theorem=RunningRisk(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, time_ordered=None), "no interactions in time order"),
        (evidence(predicted=False), "has seen the interaction that it scores"),
        (replace(FULL, protocol=Protocol("finite pool")), "drawn from a finite pool"),
    ),
    rises_in=("V_S", "lbar"),
    vanishing=("Delta_P",),
    replicates=replicates,
    unrefused={"A1": seen_before, "A2": easy_ones_first},
)
