r"""Maximum-likelihood fits against L-BFGS and Adam: the same samples, the same starts, the same training loss to reach.

Several samples lie side by side in one tensor program on one thread, each with all its random starts; a sample is done
once one of its starts has reached its goal: the training loss of our fit plus a thousandth of what a maximum gains over
the truth on average, ``rank / (2N)``. L-BFGS runs twice: from the same random starts, and from the start that our
short runs found best, for which it pays nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import process_time

import numpy as np
import torch
from torch import Tensor

from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.fitting import Settings, State, fit_many, one_thread, random_starts
from conv4rec_experiments.fits.floor import statistical_floor
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.truths import Truth, reference_truth
from conv4rec_experiments.truths.truth import Counts

__all__ = ["Problem", "adam", "fit_rows", "lbfgs"]

SHARE = 1e-3
RATES = (0.003, 0.01, 0.03)
MEMORY = 30


@dataclass(frozen=True)
class Problem:
    """Samples to be fitted from given starts until the least loss of each sample is at most its goal.

    Shapes: frequencies (member, user, cell), theta (member, parameter), owner, the sample of a member, (member,),
    goals (sample,).
    """

    likelihood: Likelihood
    frequencies: Tensor
    theta: Tensor
    owner: Tensor
    goals: Tensor

    def going(self, losses: Tensor, members: Tensor) -> Tensor:
        """Which of some members belong to samples that have not arrived, by the losses of these members."""
        least = self.least(losses, members)
        return (least > self.goals)[self.owner[members]]

    def least(self, losses: Tensor, members: Tensor) -> Tensor:
        """Least loss of every sample among some members; infinite where it has none."""
        start = torch.full_like(self.goals, torch.inf)
        return start.scatter_reduce(0, self.owner[members], losses, "amin")

    def slope(self, theta: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
        """Mean losses and gradients of some members."""
        with torch.enable_grad():
            point = theta.detach().requires_grad_()
            loss = self.likelihood.loss(point, self.frequencies[members])
            (gradient,) = torch.autograd.grad(loss.sum(), point)
        return loss.detach(), gradient


def lbfgs(problem: Problem, limit: float) -> Tensor:
    """Least losses that limited-memory BFGS reaches within a limit of processor seconds, shape (sample,).

    Two-loop recursion over the last 30 pairs for every member at once; a step is halved until it satisfies Armijo's
    condition, and a pair without positive curvature is left out (Nocedal and Wright, Numerical Optimization, 2nd
    edition, algorithms 7.4 and 7.5). Samples at their goal leave the batch.
    """
    begin = process_time()
    active = torch.arange(len(problem.owner))
    theta = problem.theta.clone()
    losses, gradient = problem.slope(theta, active)
    final = problem.least(losses, active)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    first = True
    while len(active) and process_time() - begin < limit:
        direction = -_two_loops(gradient, pairs)
        uphill = (direction * gradient).sum(1) >= 0
        direction = torch.where(uphill[:, None], -gradient, direction)
        slope = (direction * gradient).sum(1)
        size = torch.where(uphill | first, 1 / gradient.norm(dim=1).clamp(min=1), 1.0)
        first = False
        for _ in range(20):
            trial = theta + size[:, None] * direction
            value, after = problem.slope(trial, active)
            short = ~(value <= losses + 1e-4 * size * slope)
            if not bool(short.any()):
                break
            size = torch.where(short, size / 2, size)
        taken = ~short[:, None]
        trial, after = torch.where(taken, trial, theta), torch.where(taken, after, gradient)
        moved, turned = trial - theta, after - gradient
        curved = (moved * turned).sum(1)
        good = curved > 1e-14 * moved.norm(dim=1) * turned.norm(dim=1)
        pairs.append((moved, turned, torch.where(good, 1 / curved, 0.0)))
        pairs = pairs[-MEMORY:]
        theta, gradient, losses = trial, after, torch.where(taken[:, 0], value, losses)
        final = torch.minimum(final, problem.least(losses, active))
        going = problem.going(losses, active)
        if not bool(going.all()):
            active, theta, gradient, losses = active[going], theta[going], gradient[going], losses[going]
            pairs = [(s[going], y[going], rho[going]) for s, y, rho in pairs]
    return final


def _two_loops(gradient: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Multiply gradients by the inverse Hessian that the pairs describe."""
    result, parts = gradient, []
    for moved, turned, rho in reversed(pairs):
        part = rho * (moved * result).sum(1)
        result = result - part[:, None] * turned
        parts.append(part)
    if pairs:
        moved, turned, rho = pairs[-1]
        scale = (moved * turned).sum(1) / (turned**2).sum(1)
        result = torch.where(rho[:, None] > 0, scale[:, None] * result, result)
    for (moved, turned, rho), part in zip(pairs, reversed(parts), strict=True):
        result = result + (part - rho * (turned * result).sum(1))[:, None] * moved
    return result


def adam(problem: Problem, limit: float, rates: tuple[float, ...] = RATES) -> Tensor:
    """Least losses that Adam reaches within a limit of processor seconds, shape (sample,).

    Its best rate on a tenth of the time is chosen first, and then decays as a cosine over all of the limit.
    """
    trials = {rate: float(_adam(problem, limit / 10, rate).mean()) for rate in rates}
    return _adam(problem, limit, min(trials, key=trials.__getitem__))


def _adam(problem: Problem, limit: float, rate: float) -> Tensor:
    active = torch.arange(len(problem.owner))
    theta, final = problem.theta.clone(), torch.full_like(problem.goals, torch.inf)
    mean, square = torch.zeros_like(theta), torch.zeros_like(theta)
    begin, steps = process_time(), 0
    while len(active) and (passed := process_time() - begin) < limit:
        losses, gradient = problem.slope(theta, active)
        final = torch.minimum(final, problem.least(losses, active))
        going = problem.going(losses, active)
        if not bool(going.all()):
            active, theta, gradient = active[going], theta[going], gradient[going]
            mean, square = mean[going], square[going]
        steps += 1
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        factor = 0.5 * rate * (1 + np.cos(np.pi * passed / limit))
        theta = theta - factor * (mean / (1 - 0.9**steps)) / ((square / (1 - 0.999**steps)).sqrt() + 1e-12)
    return final


def fit_rows(
    sizes: tuple[int, ...] = (10_000, 1_000_000, 100_000_000),
    samples: int = 4,
    patience: float = 12.0,
    truth: Truth | None = None,
) -> Iterator[dict[str, float | int | str]]:
    """Yield, for each size and method, processor seconds per sample at its goal, and what is left at the others.

    A peer has ``patience`` times the processor seconds that our fits took, for all samples together.
    """
    truth = truth or reference_truth(0)
    settings = Settings()
    floor = statistical_floor(truth)
    rank = floor.rank if floor else truth.likelihood.size
    for size in sizes:
        counts = np.stack([truth.sample(size, np.random.default_rng([size, seed])) for seed in range(samples)])
        own = [truth.empirical_risk(table) for table in counts]
        begin = process_time()
        fits = fit_many(truth.likelihood, counts, own, range(samples), settings)
        ours = process_time() - begin
        reached = sum(fit.state in (State.ACCEPTED, State.BOUNDARY) for fit in fits)
        yield _row(size, "ours", ours, reached, samples, 0.0)
        best = torch.tensor([fit.training_loss for fit in fits], dtype=torch.float64)
        goals = best + SHARE * rank / (2 * size)
        with one_thread(), torch.no_grad():
            screened, random = (_problem(truth.likelihood, counts, goals, settings, screened=s) for s in (True, False))
            peers: dict[str, tuple[Callable[[Problem, float], Tensor], Problem]] = {
                "L-BFGS": (lbfgs, random),
                "L-BFGS, screened starts free": (lbfgs, screened),
                "Adam": (adam, random),
            }
            for name, (peer, problem) in peers.items():
                begin = process_time()
                losses = peer(problem, patience * ours)
                seconds = process_time() - begin
                left = (losses - best).clamp(min=0)
                arrived = int((losses <= goals).sum())
                yield _row(size, name, seconds, arrived, samples, float(left.max()) * 2 * size / rank)


def _problem(likelihood: Likelihood, counts: Counts, goals: Tensor, settings: Settings, *, screened: bool) -> Problem:
    """Give every sample the random starts of our fits, or the best of them after the short runs."""
    sizes = torch.as_tensor(counts.sum(axis=(1, 2)), dtype=torch.float64)
    frequencies = torch.as_tensor(counts, dtype=torch.float64) / sizes[:, None, None]
    owner = torch.arange(len(counts)).repeat_interleave(settings.starts)
    theta = torch.as_tensor(
        np.concatenate(
            [
                random_starts(likelihood, table, np.random.default_rng(index), settings)
                for index, table in enumerate(counts)
            ]
        )
    )
    if screened:
        run = Descent(likelihood, frequencies[owner], sizes[owner], theta)
        run.run(settings.screening, settings.tolerance, settings.ridge, settings.fading)
        chosen = run.loss.reshape(len(counts), -1).argmin(dim=1) + settings.starts * torch.arange(len(counts))
        owner, theta = owner[chosen], run.theta[chosen]
    return Problem(likelihood, frequencies[owner], theta, owner, goals)


def _row(
    size: int, method: str, seconds: float, arrived: int, samples: int, excess: float
) -> dict[str, float | int | str]:
    return {
        "N": size,
        "method": method,
        "processor seconds": seconds,
        "arrived": f"{arrived} of {samples}",
        "seconds per arrival": f"{seconds / arrived:.2f}" if arrived else f"did not arrive in {seconds:.0f} s",
        "largest excess left, in rank/(2N)": excess,
    }
