"""The certified spectral norm against a full singular value decomposition, which certifies nothing."""

from collections.abc import Iterator

import numpy as np

from conv4rec_bounds import norms
from conv4rec_experiments.benchmarks.timing import best_time

__all__ = ["norm_ratios"]


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
