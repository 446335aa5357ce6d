"""All theorems from ready evidence for a large model: time and memory against what they may take."""

import resource
import sys
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import (
    Against,
    BinnedEvents,
    CellCounts,
    Comparator,
    Compressed,
    Ensemble,
    Events,
    Evidence,
    GemCounts,
    GemPool,
    HeldOut,
    NamedLoss,
    NamedLosses,
    Network,
    Paired,
    Posterior,
    Prequential,
    Protocol,
    References,
    Rounds,
    Scored,
    TimeOrdered,
    TruthLoss,
    Untouched,
    UserMeans,
    UserScores,
    certify,
)

__all__ = ["certify_ratios", "held_out_ratios", "large_evidence"]

SECONDS, GIGABYTES = 30.0, 4.0
HELD_OUT_SECONDS = 2.0
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
    held_out, rival = compared_log_probabilities(HELD_OUT, cells)
    told = rng.random(HELD_OUT)
    logs, counts, blank = held_out.log_probabilities, held_out.cells, np.full((1_000, 90), 1 / 90)
    return Evidence(
        cells=cells,
        protocol=Protocol("independent", users="independent"),
        network=Network(weights, "identity", "tanh"),
        scored=Scored(SCORED, losses, truth_risk=7.9, uniform_risk=float(np.log(cells)), users=USERS),
        seen=2 * SCORED,
        references=References({"cell_bias": np.zeros((items, levels))}),
        user_means=UserMeans(USERS, losses),
        comparator=Comparator(excess=0.0, oscillation=20.0, risk=7.9),
        held_out=held_out,
        paired=Paired(held_out, rival),
        time_ordered=TimeOrdered(logs, counts, cells),
        named_losses=NamedLosses((NamedLoss("level error", "levels", 4 * rng.random(HELD_OUT), 0.0, 9.0),)),
        user_scores=UserScores({"recall": rng.random(USERS)}),
        binned_events=BinnedEvents(
            {"high": rng.random(HELD_OUT) < told}, {"high": told}, {"high": (10 * told).astype(np.int64)}
        ),
        untouched=Untouched(HELD_OUT, losses, own),
        prequential=Prequential(SCORED, losses, own, distance=0.01),
        ensemble=Ensemble(SCORED, np.full(4, losses), np.full(4, 1e5), own),
        posterior=Posterior(
            SCORED,
            np.full(4, losses),
            np.full(4, 3.0),
            losses,
            0.0,
            17.0,
            np.full(4, 1e5),
            float(np.log(cells)),
            against=Against(np.full(4, -0.3), np.full(4, 0.5), -0.3, 17.0),
        ),
        compressed=Compressed(logs, counts, held_out.smoothing, 100, {"weights": 800}, float(np.log(cells))),
        rounds=Rounds(rng.poisson(0.5, size=(4, *blank.shape)), blank, "users", "groups of cells"),
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


def compared_log_probabilities(size: int, cells: int) -> tuple[HeldOut, NDArray[np.float64]]:
    """Make the held-out log-probabilities of a model and of another that is worse by 0.3 nats on average."""
    rng = np.random.default_rng(1)
    logs = -rng.uniform(2, 14, size=size)
    return HeldOut(logs, np.full(size, cells)), np.minimum(logs - rng.normal(0.3, 0.5, size=size), 0)


def held_out_ratios(size: int = HELD_OUT, cells: int = 5_000) -> Iterator[dict[str, str | float | int]]:
    """Yield the processor time of held-out certificates from log-probabilities as they come, over 2 s."""
    held_out, rival = compared_log_probabilities(size, cells)
    logs, counts, independent = held_out.log_probabilities, held_out.cells, Protocol("independent")
    work: dict[str, Callable[[], Evidence]] = {
        "T9": lambda: Evidence(cells, independent, held_out=HeldOut(logs, counts)),
        "T9 and T9-paired": lambda: Evidence(
            cells, independent, held_out=(part := HeldOut(logs, counts)), paired=Paired(part, rival)
        ),
        "T9-sequence": lambda: Evidence(cells, independent, time_ordered=TimeOrdered(logs, counts, cells)),
    }
    for name, evidence in work.items():
        start = process_time()
        certify(evidence())
        yield {"certificates": name, "interactions": size, "time over 2 s": (process_time() - start) / HELD_OUT_SECONDS}


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
