"""All theorems from ready evidence for a large model: time and memory against what they may take."""

import resource
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from time import perf_counter

import numpy as np

from conv4rec_bounds import (
    CellCounts,
    Comparator,
    Ensemble,
    Events,
    Evidence,
    GemCounts,
    GemPool,
    HeldOut,
    Network,
    Posterior,
    Prequential,
    Protocol,
    References,
    Scored,
    TruthLoss,
    Untouched,
    UserMeans,
    certify,
)

__all__ = ["certify_ratios", "large_evidence"]

SECONDS, GIGABYTES = 30.0, 4.0
SCORED, HELD_OUT, USERS = 20_000_000, 1_000_000, 140_000


def large_evidence(items: int = 20_000, levels: int = 10, channels: int = 8, code: int = 128) -> Evidence:
    """Make evidence that every theorem but the one for finite pools accepts, about random float32 weights."""
    rng = np.random.default_rng(0)
    shapes = {
        "lift": (levels, channels),
        "encode": (channels, items, code),
        "code_bias": (channels, code),
        "decode": (channels, items, code),
        "project": (channels, levels),
        "offset": (channels, code, levels),
        "cell_bias": (items, levels),
    }
    weights = {name: 0.1 * rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    cells = items * levels
    losses, own = 8.0, TruthLoss(7.9, "known")
    return Evidence(
        cells=cells,
        protocol=Protocol("independent", users="independent"),
        network=Network(weights, "identity", "tanh"),
        scored=Scored(SCORED, losses, truth_risk=7.9, uniform_risk=float(np.log(cells)), users=USERS),
        seen=2 * SCORED,
        references=References({"cell_bias": np.zeros((items, levels))}),
        user_means=UserMeans(USERS, losses),
        comparator=Comparator(excess=0.0, oscillation=20.0, risk=7.9),
        held_out=HeldOut(-rng.uniform(2, 14, size=HELD_OUT), np.full(HELD_OUT, cells)),
        untouched=Untouched(HELD_OUT, losses, own),
        prequential=Prequential(SCORED, losses, own, distance=0.01),
        ensemble=Ensemble(SCORED, np.full(4, losses), np.full(4, 1e5), own),
        posterior=Posterior(SCORED, np.full(4, losses), 0.0, 17.0, np.full(4, 1e5), uniform_risk=float(np.log(cells))),
        cell_counts=CellCounts.of_table(rng.poisson(0.5, size=(1_000, 1_000))),
        events=Events(HELD_OUT, np.full(100, HELD_OUT // 5), np.full(100, 0.21), tuple(map(str, range(100)))),
        gem_pool=GemPool(0.2, 0.15, users="scored"),
        gem_counts=GemCounts(
            HELD_OUT,
            HELD_OUT // 2,
            np.full(32, HELD_OUT // 5),
            np.full(32, HELD_OUT // 6),
            tuple(map(str, range(32))),
            levels="independent",
        ),
        level_values=tuple(float(level) for level in range(1, levels + 1)),
    )


def certify_ratios() -> Iterator[dict[str, float | int]]:
    """Yield the time of all theorems and the peak memory of their process, over 30 s and 4 GB."""
    with get_context("spawn").Pool(1) as pool:
        seconds, peak, answered = pool.apply(_measure)
    yield {
        "theorems with a value": answered,
        "time over 30 s": seconds / SECONDS,
        "memory over 4 GB": peak / 1e9 / GIGABYTES,
    }


def _measure() -> tuple[float, float, int]:
    evidence = large_evidence()
    start = perf_counter()
    report = certify(evidence)
    seconds = perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    answered = sum(certificate.value is not None for certificate in report)
    return seconds, float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit), answered
