"""A thousand replicates of the small truth in blocks, each predictor fitted to what came before, for T7a to T7d."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch

from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.fitting import Settings, one_thread
from conv4rec_experiments.studies.coverage import fits
from conv4rec_experiments.truths import Truth, small_truth, user_mix
from theorem_rows.common import REPLICATES

FIRST = 1000
SIZES = (1000, 2000, 4000, 8000)
BLIND = Settings(starts=1, kept=1, screening=15, iterations=25, rounds=1)


@dataclass(frozen=True, eq=False)
class Blocks:
    """One replicate: block 0 is trained on only; predictor b was fitted to blocks 0 to b.

    Counts have the shape (block, user, cell), weights (predictor, parameter).
    """

    truth: Truth
    counts: np.ndarray
    weights: np.ndarray

    @cached_property
    def log_laws(self) -> np.ndarray:
        """Log-probabilities of every predictor, shape (predictor, user, cell)."""
        return np.stack([self.truth.likelihood.log_law(theta) for theta in self.weights])

    def loss(self, predictor: int, block: int) -> float:
        """Total loss of a predictor on a block."""
        return -float((self.counts[block] * self.log_laws[predictor]).sum())

    def truth_loss(self, *blocks: int) -> float:
        """Mean loss of the truth itself on some blocks."""
        return self.truth.empirical_risk(self.counts[list(blocks)].sum(axis=0))

    def distance(self, law: np.ndarray, *blocks: int) -> float:
        """Total variation of a law to the truth under the users of some blocks."""
        return self.truth.tv(law, user_mix(self.counts[list(blocks)].sum(axis=0)))

    def mixture(self, predictors: dict[int, int]) -> np.ndarray:
        """User-wise mixture of the predictors of blocks, given as block -> predictor."""
        weights = self.counts[list(predictors)].sum(axis=2).astype(float)
        weights /= np.maximum(weights.sum(axis=0), 1)
        laws = np.exp(self.log_laws[list(predictors.values())])
        return (weights[:, :, None] * laws).sum(axis=0)


@cache
def block_fits() -> tuple[Blocks, ...]:
    """Fit block 0 from starts that do not know the truth, and go on from there as blocks come in."""
    truth = small_truth(0)
    first = fits(truth, FIRST, REPLICATES, seed=7, settings=BLIND)
    rng = np.random.default_rng(70)
    counts = [first.counts, *(np.stack([truth.sample(size, rng) for _ in range(REPLICATES)]) for size in SIZES)]
    weights = [np.stack([fit.theta for fit in first.fits])]
    for block in range(1, len(counts)):
        weights.append(refitted(truth, np.sum(counts[: block + 1], axis=0), weights[-1]))
    return tuple(
        Blocks(truth, np.stack([part[i] for part in counts]), np.stack([part[i] for part in weights]))
        for i in range(REPLICATES)
    )


def refitted(truth: Truth, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Take a few steps of Fisher scoring on grown counts, from the weights of before."""
    found = []
    sizes = torch.as_tensor(counts.sum(axis=(1, 2)), dtype=torch.float64)
    tables, starts = torch.as_tensor(counts, dtype=torch.float64) / sizes[:, None, None], torch.tensor(weights)
    with one_thread(), torch.no_grad():
        for begin in range(0, len(counts), 64):
            part = slice(begin, begin + 64)
            descent = Descent(truth.likelihood, tables[part], sizes[part], starts[part])
            descent.run(iterations=6, tolerance=0.5)
            found.append(descent.theta.numpy())
    return np.concatenate(found)
