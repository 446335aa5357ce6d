"""Levenberg-Marquardt with the Fisher matrix, on many members side by side."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from conv4rec_experiments.fits.derivatives import Expansion
from conv4rec_experiments.fits.likelihood import Likelihood

__all__ = ["Descent"]

DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1e-2, 1e-12, 1e6
ROUNDING = 1e-12
MEMBER_ARRAYS = ("frequencies", "sizes", "theta", "loss", "gradient", "matrix", "damping", "growth", "steps")


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
        self.loss, self.gradient, self.matrix = first.loss, first.gradient, first.fisher
        self.damping = torch.full_like(self.loss, DAMPING_START)
        self.growth = torch.full_like(self.loss, 2.0)
        self.steps = torch.zeros(len(theta), dtype=torch.int64)
        self.exact = False

    def select(self, members: Tensor) -> "Descent":
        """Take some members with all that is known of them."""
        part = object.__new__(Descent)
        part.likelihood, part.exact = self.likelihood, self.exact
        for name in MEMBER_ARRAYS:
            setattr(part, name, getattr(self, name)[members])
        return part

    @classmethod
    def joined(cls, parts: Sequence["Descent"]) -> "Descent":
        """Put members of several batches, which share one likelihood, into one."""
        whole = object.__new__(cls)
        whole.likelihood, whole.exact = parts[0].likelihood, parts[0].exact
        for name in MEMBER_ARRAYS:
            setattr(whole, name, torch.cat([getattr(part, name) for part in parts]))
        return whole

    def run(self, iterations: int, tolerance: float, ridge: float = 0.0, fading: float = 1.0) -> None:
        """Take at most so many steps; with no ridge, a member stops once it is stationary or cannot move.

        Stationary means a Newton decrement of at most ``tolerance`` standard errors.
        """
        if self.exact:
            self.matrix, self.exact = self.likelihood.expand(self.theta, self.frequencies).fisher, False
            self.damping = torch.full_like(self.loss, DAMPING_START)
        self._repeat(iterations, lambda work, index: work._scored(ridge * fading**index, tolerance))

    def polish(self, iterations: int, sharpness: float) -> None:
        """Take at most so many Newton steps; a member stops once ``max |gradient| <= sharpness`` or cannot move.

        The damping starts no higher than the gradient, which keeps Newton's fast convergence where maxima are not
        isolated (Li, Fukushima, Qi and Yamashita, Regularized Newton methods for convex minimization problems with
        singular solutions, Computational Optimization and Applications 28, 2004).
        """
        value = self.likelihood.expand(self.theta, self.frequencies, exact=True)
        self.matrix, self.exact = _hessian(value), True
        self.damping = torch.minimum(self.damping, value.gradient.abs().amax(1)).clamp(min=DAMPING_LEAST)
        self.growth = torch.full_like(self.loss, 2.0)
        self._repeat(iterations, lambda work, index: work._sharpened(sharpness))

    def _repeat(self, iterations: int, advance: Callable[["Descent", int], Tensor]) -> None:
        active = torch.arange(len(self.theta))
        work = self.select(active)
        for index in range(iterations):
            done = advance(work, index)
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

    def _scored(self, ridge: float, tolerance: float) -> Tensor:
        """Try one step of Fisher scoring; say which members are done and therefore were left where they are."""
        step, drop = self._step(ridge)
        stationary = (self.sizes * drop <= tolerance**2) & (self.damping * self.sizes <= 1)
        done = (stationary | (self.damping >= DAMPING_MOST)) & (ridge == 0)
        self._try(step, drop, ridge, done, exact=False)
        return done

    def _sharpened(self, sharpness: float) -> Tensor:
        """Try one Newton step; say which members are done and therefore were left where they are."""
        done = (self.gradient.abs().amax(1) <= sharpness) | (self.damping >= DAMPING_MOST)
        if not bool(done.all()):
            step, drop = self._step(0.0)
            self._try(step, drop, 0.0, done, exact=True)
        return done

    def _step(self, ridge: float) -> tuple[Tensor, Tensor]:
        slope = self.gradient + ridge * self.theta
        step = -_solve(self.matrix, self.damping + ridge, slope)
        return step, -(slope * step).sum(1)

    def _try(self, step: Tensor, drop: Tensor, ridge: float, done: Tensor, *, exact: bool) -> None:
        """Take the steps that gain, and set the damping by the ratio of the gain to the prediction."""
        trial = self.theta + step
        if exact:
            trial = self._settled(trial)
        value = self.likelihood.expand(trial, self.frequencies, exact=exact)
        predicted = 0.5 * (drop + self.damping * (step**2).sum(1))
        gained = self.loss - value.loss + 0.5 * ridge * ((self.theta**2).sum(1) - (trial**2).sum(1))
        if ridge == 0:  # below rounding of the loss, the mean of both slopes says what was gained
            fine = predicted <= ROUNDING * self.loss.abs()
            gained = torch.where(fine, -0.5 * ((self.gradient + value.gradient) * (trial - self.theta)).sum(1), gained)
        ratio = gained / predicted
        better = (ratio > 0) & ~done
        self.theta = torch.where(better[:, None], trial, self.theta)
        self.loss = torch.where(better, value.loss, self.loss)
        self.gradient = torch.where(better[:, None], value.gradient, self.gradient)
        self.matrix[better] = (_hessian(value) if exact else value.fisher)[better]
        shrunk = self.damping * (1 - (2 * ratio - 1) ** 3).clamp(min=1 / 3)
        damping = torch.where(better, shrunk, self.damping * self.growth)
        self.damping = torch.where(done, self.damping, damping.clamp(DAMPING_LEAST, DAMPING_MOST))
        self.growth = torch.where(better, 2.0, self.growth * 2)
        self.steps = self.steps + (~done).to(torch.int64)

    def _settled(self, theta: Tensor) -> Tensor:
        """Move decode and cell bias by one Newton step of their own problem, which is convex.

        Codes that lose their curvature trade against these weights along bent valleys; with the convex part settled,
        a step may follow the bend (variable projection: Golub and Pereyra, The differentiation of pseudo-inverses and
        nonlinear least squares problems whose variables separate, SIAM Journal on Numerical Analysis 10, 1973).
        """
        value = self.likelihood.expand(theta, self.frequencies)
        own = slice(self.likelihood.items * self.likelihood.item_width)
        small = torch.full_like(self.loss, DAMPING_LEAST)
        moved = theta.clone()
        moved[:, own] -= _solve(value.fisher[:, own, own], small, value.gradient[:, own])
        return moved

    def stuck(self, member: int) -> bool:
        """Whether no step of any length lowers the member's loss."""
        return bool(self.damping[member] >= DAMPING_MOST)

    def moves(self) -> Tensor:
        """Greatest change of a log-probability by one more Newton step damped by ``max |gradient|``, shape (member,).

        At a maximum both vanish together; towards a supremum at infinity the log-probabilities go on moving.
        """
        damping = self.gradient.abs().amax(1).clamp(min=DAMPING_LEAST)
        step = -_solve(self.matrix, damping, self.gradient)
        change = self.likelihood.log_laws(self.theta + step) - self.likelihood.log_laws(self.theta)
        return change.abs().amax((1, 2)).nan_to_num(nan=torch.inf)

    def gradient_norm(self, member: int) -> float:
        """Distance of one member from stationarity, in standard errors."""
        one = slice(member, member + 1)
        value = self.likelihood.expand(self.theta[one], self.frequencies[one])
        direction = _solve(value.fisher, 1 / self.sizes[one], value.gradient)
        return float((self.sizes[one] * (value.gradient * direction).sum(1)).clamp(min=0).sqrt()[0])


def _hessian(value: Expansion) -> Tensor:
    if value.hessian is None:
        raise ValueError("The expansion holds no Hessian.")
    return value.hessian


def _solve(matrix: Tensor, ridge: Tensor, right: Tensor) -> Tensor:
    """Solve (matrix + ridge I) x = right for every member by a Cholesky factor."""
    shifted = matrix.clone()
    torch.diagonal(shifted, dim1=1, dim2=2).add_(ridge[:, None])
    factor, failed = torch.linalg.cholesky_ex(shifted)
    factor[failed > 0] = torch.nan  # no positive definite matrix: a step of NaN is never taken, and damping rises
    half = torch.linalg.solve_triangular(factor, right[..., None], upper=False)
    solution: Tensor = torch.linalg.solve_triangular(factor.mT, half, upper=True)[..., 0]
    return solution
