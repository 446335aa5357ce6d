"""The certified spectral norm against a full singular value decomposition, which certifies nothing."""

from collections.abc import Iterator
from time import process_time

import numpy as np

from conv4rec_bounds import norms
from conv4rec_experiments.benchmarks.timing import best_time

__all__ = ["large_norm_ratios", "norm_ratios"]

SECONDS = 10.0


def norm_ratios(shapes: tuple[tuple[int, int], ...] = ((1_000, 50), (10_000, 100))) -> Iterator[dict[str, float]]:
    """Yield, for each shape, the time of the decomposition over ours and the relative excess of the certified end."""
    rng = np.random.default_rng(0)
    for shape in shapes:
        matrix = rng.normal(size=shape)
        peer_value = float(np.linalg.svd(matrix, compute_uv=False)[0])
        peer = best_time(np.linalg.svd, matrix, False, False, repeats=3)
        ours = best_time(norms.spectral, matrix, repeats=3)
        excess = norms.spectral(matrix) / peer_value - 1
        yield {"rows": shape[0], "columns": shape[1], "svd over ours": peer / ours, "relative excess": excess}


def large_norm_ratios(shape: tuple[int, int] = (600, 100_000)) -> Iterator[dict[str, float]]:
    """Yield the processor time of the certified spectral norm of one large layer over 10 s."""
    matrix = np.random.default_rng(0).normal(size=shape)
    start = process_time()
    norms.spectral(matrix)
    yield {"rows": shape[0], "columns": shape[1], "processor time over 10 s": (process_time() - start) / SECONDS}
