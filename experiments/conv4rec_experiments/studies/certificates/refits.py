r"""What a sample's blocks allow before its end: predictors made before thin slices, least losses, draws around one.

The first three blocks, a quarter of the sample, are trained on only. Block 3 is cut into 10 slices and block 4 into 20,
each a fortieth of the sample. Within a block interactions are cut at random: where they are independent draws, that is
as good as any order. Predictor ``s`` is a maximum a posteriori fit to all that comes before slice ``s``, under
independent Gaussians with standard deviation 3 on all weights. Everything is batched over replicates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.fitting import Fit, Settings, fit_many, one_thread, random_starts
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.studies.samplings import Sample
from conv4rec_experiments.truths.truth import Counts

__all__ = ["DRAWS", "HALF", "Refits", "least_losses", "refit_slices"]

Array = NDArray[np.float64]

TRAINED = 3
SLICES = (10, 20)
HALF = SLICES[0]
"""The slice with which the last block begins."""

DRAWS = 3
SPREAD = 3.0
FIRST_STEPS, NEXT_STEPS = 40, 4
AT_ONCE, NUMBERS_AT_ONCE = 64, 2**25
# Of the Fisher step that the second part asks of the prefix, so much is taken; variances are in units of those of an
# efficient fit to the prefix; the ridge keeps directions that no interaction tells anything about.
STEP, PRIOR_VARIANCE, POSTERIOR_VARIANCE, RIDGE = 0.2, 0.5, 0.4, 0.01


@dataclass(frozen=True, eq=False)
class Refits:
    r"""Predictors of one replicate, all made in time order.

    Attributes
    ----------
    slices
        Counts of every slice of blocks 3 and 4, shape (slice, user, cell).
    log_laws
        Log-probabilities of the predictor made before each slice, shape (slice, user, cell).
    draws
        Log-probabilities of networks drawn from a Gaussian :math:`\rho` whose centre lies one damped Fisher step on the
        last block away from the predictor made before it, shape (draw, user, cell).
    before, step
        Weights of that predictor, and one whole Fisher step on the last block from there, shape (weight,).
    log_ratios
        :math:`\log\frac{d\rho}{d\pi}` at each draw, rounded up, shape (draw,); :math:`\pi` is a Gaussian around
        that predictor with the Fisher matrix of blocks 0 to 3.
    """

    slices: Counts
    log_laws: Array
    draws: Array
    log_ratios: Array
    before: Array
    step: Array


def refit_slices(
    likelihood: Likelihood, samples: Sequence[Sample], rngs: Sequence[np.random.Generator], settings: Settings
) -> list[Refits]:
    """Cut the late blocks of every sample, fit what comes before each slice, and draw around the fit to the first half.

    Cuts, starts and draws come from the generators; ``settings`` say how many starts are tried for the first predictor.
    """
    found: list[Refits] = []
    # A replicate's matrices have the square of its weights.
    at_once = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // likelihood.size**2))
    with one_thread(), torch.no_grad():
        for begin in range(0, len(samples), at_once):
            part = slice(begin, begin + at_once)
            found += _group(likelihood, samples[part], rngs[part], settings)
    return found


def _slices(sample: Sample, rng: np.random.Generator) -> Counts:
    """Cut the late blocks into slices, shape (slice, user, cell)."""
    late = zip(sample.blocks[TRAINED:], SLICES, strict=True)
    return np.stack([part for block, number in late for part in _cut(block, number, rng)])


def _cut(table: Counts, slices: int, rng: np.random.Generator) -> list[Counts]:
    """Cut a count table at random into slices of equal size; the first ones take what is over."""
    left, total = table.ravel().copy(), int(table.sum())
    parts = []
    for place in range(slices):
        size = total // slices + (place < total % slices)
        parts.append(rng.multivariate_hypergeometric(left, size, method="marginals"))
        left -= parts[-1]
    return [part.reshape(table.shape) for part in parts]


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


def _group(
    likelihood: Likelihood, samples: Sequence[Sample], rngs: Sequence[np.random.Generator], settings: Settings
) -> list[Refits]:
    # How much chance a cut uses depends on what is cut: nothing else may use the same.
    slices = np.stack([_slices(sample, rng.spawn(1)[0]) for sample, rng in zip(samples, rngs, strict=True)])
    seen = np.stack([sample.blocks[:TRAINED].sum(axis=0) for sample in samples])
    theta = _map_fit(likelihood, seen, _screened(likelihood, seen, settings, rngs), FIRST_STEPS)
    laws = []
    for place in range(sum(SLICES)):
        if place:
            seen = seen + slices[:, place - 1]
            theta = _map_fit(likelihood, seen, theta, NEXT_STEPS)
        laws.append(likelihood.log_laws(theta).numpy())
        if place == HALF:
            around = theta.numpy(), *_around(likelihood, theta, seen, np.stack([s.blocks[-1] for s in samples]), rngs)
    by_replicate = np.stack(laws, axis=1)
    before, draws, ratios, step = around
    return [Refits(*parts) for parts in zip(slices, by_replicate, draws, ratios, before, step, strict=True)]


def _screened(
    likelihood: Likelihood, counts: Counts, settings: Settings, rngs: Sequence[np.random.Generator]
) -> torch.Tensor:
    """Take the best of every replicate's random starts after short runs, as fits do; shape (replicate, parameter)."""
    starts = max(1, settings.starts)
    theta = torch.as_tensor(
        np.concatenate(
            [
                random_starts(likelihood, table, rng, replace(settings, starts=starts))
                for table, rng in zip(counts, rngs, strict=True)
            ]
        )
    )
    owner = torch.arange(len(counts)).repeat_interleave(starts)
    frequencies, sizes = _shares(counts)
    short = Descent(likelihood, frequencies[owner], sizes[owner], theta)
    short.run(settings.screening, settings.tolerance, settings.ridge, settings.fading)
    best = short.loss.reshape(len(counts), starts).argmin(dim=1) + starts * torch.arange(len(counts))
    return short.theta[best]


def _around(
    likelihood: Likelihood,
    theta: torch.Tensor,
    before: Counts,
    after: Counts,
    rngs: Sequence[np.random.Generator],
) -> tuple[Array, Array, Array]:
    """Draw networks around a step from the weights, with their log-ratios to a prior around the weights themselves.

    The whole step comes with them.
    """
    first, last = _shares(before)[0], _shares(after)[0]
    fisher = likelihood.expand(theta, first).fisher
    precision = fisher + RIDGE * torch.eye(likelihood.size, dtype=torch.float64)
    gradient = likelihood.expand(theta, last).gradient
    sizes = _shares(before)[1]
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
    return drawn.numpy(), ratios.numpy(), whole.numpy()


def _map_fit(likelihood: Likelihood, counts: Counts, theta: torch.Tensor, steps: int) -> torch.Tensor:
    frequencies, sizes = _shares(counts)
    size = max(1, int(counts[0].sum()))
    descent = Descent(likelihood, frequencies, sizes, theta)
    descent.run(steps, tolerance=0.0, ridge=1 / (size * SPREAD**2))
    return descent.theta


def _shares(counts: Counts) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = torch.as_tensor(counts.sum(axis=(1, 2)).clip(min=1), dtype=torch.float64)
    return torch.as_tensor(counts, dtype=torch.float64) / sizes[:, None, None], sizes
