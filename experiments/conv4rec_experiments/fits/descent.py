"""Levenberg-Marquardt with the Fisher matrix, on many members side by side."""

import torch
from torch import Tensor

from conv4rec_experiments.fits.likelihood import Likelihood

__all__ = ["Descent"]

DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1e-2, 1e-10, 1e6
MEMBER_ARRAYS = ("frequencies", "sizes", "theta", "loss", "gradient", "fisher", "damping", "growth", "steps")


class Descent:
    r"""Members that descend the mean loss by steps ``(F + damping I) step = -gradient``.

    A step that lowers the loss is taken and lessens the member's damping, any other only raises it (Nielsen's rule).
    Members that are done leave the batch.

    Parameters
    ----------
    likelihood
        The map.
    frequencies
        Count tables over their sums, shape (member, user, cell).
    sizes
        Those sums N, shape (member,).
    theta
        Where the members start, shape (member, parameter).

    Examples
    --------
    >>> import numpy as np
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> start = torch.zeros(1, likelihood.size, dtype=torch.float64)
    >>> counts = torch.tensor([[[3.0, 1.0]]], dtype=torch.float64)
    >>> descent = Descent(likelihood, counts / 4, torch.tensor([4.0], dtype=torch.float64), start)
    >>> descent.run(iterations=50, tolerance=1e-6)
    >>> [round(share, 4) for share in likelihood.log_laws(descent.theta).exp().flatten().tolist()]
    [0.75, 0.25]
    """

    def __init__(self, likelihood: Likelihood, frequencies: Tensor, sizes: Tensor, theta: Tensor) -> None:
        self.likelihood, self.frequencies, self.sizes, self.theta = likelihood, frequencies, sizes, theta
        first = likelihood.expand(theta, frequencies)
        self.loss, self.gradient, self.fisher = first.loss, first.gradient, first.fisher
        self.damping = torch.full_like(self.loss, DAMPING_START)
        self.growth = torch.full_like(self.loss, 2.0)
        self.steps = torch.zeros(len(theta), dtype=torch.int64)

    def select(self, members: Tensor) -> "Descent":
        """Take some members with all that is known of them."""
        part = object.__new__(Descent)
        part.likelihood = self.likelihood
        for name in MEMBER_ARRAYS:
            setattr(part, name, getattr(self, name)[members])
        return part

    def run(self, iterations: int, tolerance: float, ridge: float = 0.0, fading: float = 1.0) -> None:
        """Take at most so many steps; with no ridge, a member stops once it is stationary or cannot move."""
        active = torch.arange(len(self.theta))
        work = self.select(active)
        for index in range(iterations):
            done = work.advance(ridge * fading**index, tolerance)
            if bool(done.any()):
                self.store(work, active)
                active = active[~done]
                if len(active) == 0:
                    return
                work = work.select(torch.nonzero(~done)[:, 0])
        self.store(work, active)

    def store(self, work: "Descent", members: Tensor) -> None:
        """Write the members of a smaller batch back."""
        for name in MEMBER_ARRAYS:
            getattr(self, name)[members] = getattr(work, name)

    def advance(self, ridge: float, tolerance: float) -> Tensor:
        """Try one step of every member; say which members are done and therefore were left where they are."""
        slope = self.gradient + ridge * self.theta
        step = -_solve(self.fisher, self.damping + ridge, slope)
        drop = -(slope * step).sum(1)
        stationary = (self.sizes * drop <= tolerance**2) & (self.damping * self.sizes <= 1)
        done = (stationary | (self.damping >= DAMPING_MOST)) & (ridge == 0)

        trial = self.theta + step
        value = self.likelihood.expand(trial, self.frequencies)
        predicted = 0.5 * (drop + self.damping * (step**2).sum(1))
        gained = self.loss - value.loss + 0.5 * ridge * ((self.theta**2).sum(1) - (trial**2).sum(1))
        ratio = gained / predicted
        better = (ratio > 0) & ~done
        self.theta = torch.where(better[:, None], trial, self.theta)
        self.loss = torch.where(better, value.loss, self.loss)
        self.gradient = torch.where(better[:, None], value.gradient, self.gradient)
        self.fisher = torch.where(better[:, None, None], value.fisher, self.fisher)
        shrunk = self.damping * (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
        damping = torch.where(better, shrunk, self.damping * self.growth)
        self.damping = torch.where(done, self.damping, damping.clamp(DAMPING_LEAST, DAMPING_MOST))
        self.growth = torch.where(better, 2.0, self.growth * 2)
        self.steps = self.steps + (~done).to(torch.int64)
        return done

    def stuck(self, member: int) -> bool:
        """Whether no step of any length lowers the member's loss."""
        return bool(self.damping[member] >= DAMPING_MOST)

    def gradient_norm(self, member: int) -> float:
        """Distance of one member from stationarity, in standard errors."""
        part = self.select(torch.tensor([member]))
        direction = _solve(part.fisher, 1 / part.sizes, part.gradient)
        return float((part.sizes * (part.gradient * direction).sum(1)).clamp(min=0).sqrt()[0])


def _solve(matrix: Tensor, ridge: Tensor, right: Tensor) -> Tensor:
    """Solve (matrix + ridge I) x = right for every member by a Cholesky factor."""
    shifted = matrix.clone()
    torch.diagonal(shifted, dim1=1, dim2=2).add_(ridge[:, None])
    factor = torch.linalg.cholesky_ex(shifted).L
    half = torch.linalg.solve_triangular(factor, right[..., None], upper=False)
    solution: Tensor = torch.linalg.solve_triangular(factor.mT, half, upper=True)[..., 0]
    return solution
