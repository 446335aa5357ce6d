r"""What a sample's blocks allow before its end: predictors fitted to prefixes, least losses, draws around a prefix.

Predictor ``b`` is a maximum a posteriori fit to blocks 0 to b under independent Gaussians with standard deviation 3 on
all weights. It knows nothing of later blocks. Everything is batched over replicates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.fitting import Fit, Settings, fit_many, one_thread
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.studies.samplings import Sample
from conv4rec_experiments.truths.truth import Counts

__all__ = ["DRAWS", "Refits", "least_losses", "refit_prefixes"]

Array = NDArray[np.float64]

DRAWS = 3
SPREAD = 3.0
STARTING_SPREAD = 0.5
FIRST_STEPS, NEXT_STEPS = 40, 12
AT_ONCE, NUMBERS_AT_ONCE = 64, 2**25
# Of the Fisher step that the second part asks of the prefix, so much is taken; variances are in units of those of an
# efficient fit to the prefix; the ridge keeps directions that no interaction tells anything about.
STEP, PRIOR_VARIANCE, POSTERIOR_VARIANCE, RIDGE = 0.2, 0.5, 0.4, 0.01


@dataclass(frozen=True, eq=False)
class Refits:
    r"""Predictors of one replicate, all made in time order.

    Attributes
    ----------
    log_laws
        Log-probabilities of the predictors of blocks 0 to b, b = 0..3, shape (predictor, user, cell).
    draws
        Log-probabilities of networks drawn from a Gaussian :math:`\rho` whose centre lies one damped Fisher step on the
        last block away from predictor 3, shape (draw, user, cell).
    before, step
        Weights of predictor 3, and one whole Fisher step on the last block from there, shape (weight,).
    log_ratios
        :math:`\log\frac{d\rho}{d\pi}` at each draw, rounded up, shape (draw,); :math:`\pi` is a Gaussian around
        predictor 3 with the Fisher matrix of blocks 0 to 3.
    """

    log_laws: Array
    draws: Array
    log_ratios: Array
    before: Array
    step: Array


def refit_prefixes(
    likelihood: Likelihood, samples: Sequence[Sample], rngs: Sequence[np.random.Generator]
) -> list[Refits]:
    """Fit the prefixes of every sample and draw around the longest; starts and draws come from the generators."""
    found: list[Refits] = []
    # A replicate's matrices have the square of its weights.
    at_once = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // likelihood.size**2))
    with one_thread(), torch.no_grad():
        for begin in range(0, len(samples), at_once):
            part = slice(begin, begin + at_once)
            found += _group(likelihood, np.stack([sample.blocks for sample in samples[part]]), rngs[part])
    return found


def least_losses(
    likelihood: Likelihood, counts: Counts, seeds: Sequence[int], settings: Settings, fits: Sequence[Fit]
) -> list[Fit]:
    """Find the least mean loss of the class on count tables (replicate, user, cell).

    Descents start blind to the truth in one round, and once more from the fit to the replicate's whole sample. Nothing
    about the truth enters. A fit's ``training_loss`` is the least loss that was found, which can lie above the global
    minimum.
    """
    once = replace(settings, rounds=1, polishing=0)
    return fit_many(likelihood, counts, [None] * len(seeds), seeds, once, np.stack([fit.theta for fit in fits]))


def _group(likelihood: Likelihood, blocks: Counts, rngs: Sequence[np.random.Generator]) -> list[Refits]:
    prefixes = blocks.cumsum(axis=1)
    theta = torch.as_tensor(
        np.stack([STARTING_SPREAD * generator.standard_normal(likelihood.size) for generator in rngs])
    )
    laws = []
    for predictor in range(blocks.shape[1] - 1):
        theta = _map_fit(likelihood, prefixes[:, predictor], theta, NEXT_STEPS if predictor else FIRST_STEPS)
        laws.append(likelihood.log_laws(theta).numpy())
    first, last = _shares(prefixes[:, -2])[0], _shares(blocks[:, -1])[0]
    fisher = likelihood.expand(theta, first).fisher
    precision = fisher + RIDGE * torch.eye(likelihood.size, dtype=torch.float64)
    gradient = likelihood.expand(theta, last).gradient
    sizes = torch.as_tensor(prefixes[:, -2].sum(axis=(1, 2)).clip(min=1), dtype=torch.float64)
    root = torch.linalg.cholesky(precision * (sizes / PRIOR_VARIANCE)[:, None, None])
    noise = torch.as_tensor(np.stack([generator.standard_normal((DRAWS, likelihood.size)) for generator in rngs]))
    narrow = math.sqrt(POSTERIOR_VARIANCE / PRIOR_VARIANCE)
    whole = torch.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
    step = STEP * whole
    moves = narrow * torch.linalg.solve_triangular(root.mT, noise.mT, upper=True).mT - step[:, None]
    far, near = (moves @ root).square().sum(2), noise.square().sum(2)
    # Sums of many squares round; a billionth of them lies far above what rounding can do.
    ratios = (far - near + 1e-9 * (far + near)) / 2 - likelihood.size * math.log(narrow)
    flat = (theta[:, None] + moves).reshape(-1, likelihood.size)
    drawn = likelihood.log_laws(flat).reshape(len(theta), DRAWS, likelihood.users, likelihood.cells)
    by_replicate = np.stack(laws, axis=1)
    return [
        Refits(*made)
        for made in zip(by_replicate, drawn.numpy(), ratios.numpy(), theta.numpy(), whole.numpy(), strict=True)
    ]


def _map_fit(likelihood: Likelihood, counts: Counts, theta: torch.Tensor, steps: int) -> torch.Tensor:
    frequencies, sizes = _shares(counts)
    size = max(1, int(counts[0].sum()))
    descent = Descent(likelihood, frequencies, sizes, theta)
    descent.run(steps, tolerance=0.0, ridge=1 / (size * SPREAD**2))
    return descent.theta


def _shares(counts: Counts) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = torch.as_tensor(counts.sum(axis=(1, 2)).clip(min=1), dtype=torch.float64)
    return torch.as_tensor(counts, dtype=torch.float64) / sizes[:, None, None], sizes
