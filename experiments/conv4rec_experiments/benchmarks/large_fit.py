"""One maximum-likelihood fit of a large truth: time, memory, and how near the maximum it ends."""

import resource
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from time import perf_counter, process_time

import numpy as np

from conv4rec_experiments.fits.matrix_free import fit_large
from conv4rec_experiments.truths import reference_truth

__all__ = ["large_fit_ratios"]

SECONDS, GIGABYTES = 600.0, 4.0


def large_fit_ratios(
    users: int = 2_000, items: int = 1_000, levels: int = 5, size: int = 10**8
) -> Iterator[dict[str, float | int | str]]:
    """Yield time over 10 minutes, peak memory over 4 GB, and what the fit reached on one sample of ``size``.

    The start knows nothing of the truth; time is that of the fit alone, with all its starts.
    """
    with get_context("spawn").Pool(1) as pool:
        yield pool.apply(_measure, (users, items, levels, size))


def _measure(users: int, items: int, levels: int, size: int) -> dict[str, float | int | str]:
    truth = reference_truth(0, users=users, items=items, levels=levels, channels=2, code=2)
    counts = truth.sample(size, np.random.default_rng(1))
    truth_loss, map_ = truth.empirical_risk(counts), truth.likelihood
    wall, processor = perf_counter(), process_time()
    found = fit_large(map_, counts, truth_loss, seed=0)
    wall, processor = perf_counter() - wall, process_time() - processor
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    return {
        "size": size,
        "parameters": map_.size,
        "time over 600 s": wall / SECONDS,
        "processor time over 600 s": processor / SECONDS,
        "memory over 4 GB": peak / GIGABYTES,
        "loss less the truth's, nats": found.gap,
        "gradient, standard errors": found.gradient_norm,
        "steps": found.iterations,
        "starts": found.starts,
        "state": found.state.value,
    }
