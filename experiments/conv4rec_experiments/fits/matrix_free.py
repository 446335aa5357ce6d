r"""Maximum likelihood for large tables: Levenberg-Marquardt by conjugate gradients, no Fisher matrix formed.

A step solves ``(F + mu S) step = -gradient`` by preconditioned conjugate gradients, where S is the diagonal of the
Fisher matrix: popular and rare items differ in curvature by orders of magnitude, and damping by a multiple of the
identity would either freeze the rare or let the popular overshoot (Marquardt, An algorithm for least-squares
estimation of nonlinear parameters, SIAM Journal on Applied Mathematics 11, 1963). The system is solved roughly far
from the maximum and ever more sharply near it, which keeps fast local convergence at few products (Dembo, Eisenstat
and Steihaug, Inexact Newton methods, SIAM Journal on Numerical Analysis 19, 1982).
"""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import (
    MOVING,
    Counts,
    Fit,
    Settings,
    State,
    one_thread,
    random_starts,
    saturated_loss,
)
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.fits.matrix_free_map import FactoredMap
from conv4rec_experiments.fits.matrix_free_solver import Blocks, conjugate_gradients

__all__ = ["LARGE", "Descended", "descend", "fit_large"]

Array = NDArray[np.float64]
LARGE = Settings(starts=2, kept=1, screening=6, iterations=150, polishing=10, tolerance=0.01, ridge=0.0)
"""Starts are dear on large tables, and few of them fail there."""

DAMPING_START, DAMPING_LEAST, DAMPING_MOST = 1.0, 1e-10, 1e6
FLAT = 1e-3  # curvatures below this part of the median one are damped as if they had it
ROUGH, SHARP, PRODUCTS = 0.1, 1e-3, 300
ROUNDING = 1e-11
NEAR = 0.1  # squared standard errors per parameter below which the Hessian is trusted


@dataclass(frozen=True, eq=False)
class Descended:
    r"""Where a descent ended.

    Attributes
    ----------
    theta
        Flat weights, shape (parameter,).
    loss
        Mean loss in nats.
    gradient_norm
        Distance from stationarity in standard errors, ``sqrt(N g^T (F + I/N)^{-1} g)`` (see `Fit.gradient_norm`).
    gradient_max
        Largest partial derivative of the mean loss, in nats.
    moves
        Greatest change of a log-probability that the remaining gradient still asks for, to first order.
    iterations, products
        Steps tried, and products with the Fisher matrix or the Hessian.
    stuck
        Whether no step of any length lowered the loss.
    """

    theta: Array
    loss: float
    gradient_norm: float
    gradient_max: float
    moves: float
    iterations: int
    products: int
    stuck: bool


class _Descent:
    """One member that descends; between calls of `run` it may be left and taken up again."""

    def __init__(self, factored: FactoredMap, size: float, theta: Tensor) -> None:
        self.factored, self.size, self.theta = factored, size, theta
        self.point = factored.point(theta)
        self.blocks = Blocks(factored, self.point)
        self.damping, self.growth, self.accuracy = DAMPING_START, 2.0, ROUGH
        self.steps = self.products = 0
        self.exact = False

    @property
    def stuck(self) -> bool:
        return self.damping >= DAMPING_MOST

    def run(self, iterations: int, tolerance: float, ridge: float = 0.0, fading: float = 1.0) -> None:
        """Take at most so many steps; with no ridge, stop once stationary or stuck."""
        for index in range(iterations):
            drop = self.advance(ridge * fading**index)
            if ridge == 0 and (self.stuck or (self.size * drop <= tolerance**2 and self.stationary(tolerance))):
                return

    def polish(self, iterations: int, sharpness: float) -> None:
        """Take at most so many Newton steps, until no partial derivative exceeds ``sharpness``."""
        for _ in range(iterations):
            if self.stuck or float(self.point.gradient.abs().max()) <= sharpness:
                return
            self.exact, self.accuracy = True, SHARP
            self.advance(0.0)

    def stationary(self, tolerance: float) -> bool:
        """Measure the distance from stationarity; a step too long for it makes the next one longer, not shorter."""
        near = self.gradient_norm() <= tolerance
        if not near:
            self.damping = max(self.damping / 10, DAMPING_LEAST)
        return near

    def solve(self, right: Tensor, damping: Tensor, accuracy: float, *, exact: bool = False) -> Tensor:
        """Solve ``(F + diag(damping)) x = right``, or the same with the Hessian."""
        times = self.factored.hessian_times if exact else self.factored.fisher_times
        solution, products = conjugate_gradients(
            lambda vector: times(self.point, vector) + damping * vector,
            right,
            self.blocks.inverse(damping),
            accuracy,
            PRODUCTS,
        )
        self.products += products
        return solution

    def advance(self, ridge: float) -> float:
        """Try one step; returns the first-order drop of the loss along it."""
        scale = self.blocks.diagonal.clamp(min=FLAT * float(self.blocks.diagonal.median()) + DAMPING_LEAST)
        slope = self.point.gradient + ridge * self.theta
        step = self.solve(-slope, self.damping * scale + ridge, self.accuracy, exact=self.exact)
        drop = -float(slope @ step)
        trial = self.theta + step
        value = self.factored.point(trial)
        predicted = 0.5 * (drop + self.damping * float((scale * step) @ step))
        gained = self.point.loss - value.loss + 0.5 * ridge * float(self.theta @ self.theta - trial @ trial)
        if predicted <= ROUNDING * abs(self.point.loss):  # below rounding of the loss, both slopes say what was gained
            gained = -0.5 * float((slope + value.gradient + ridge * trial) @ step)
        ratio = gained / predicted if predicted > 0 else 0.0
        self.steps += 1
        if ratio > 0 and isfinite(value.loss):
            near = abs(ratio - 1) < 0.1
            self.theta, self.point = trial, value
            self.blocks = Blocks(self.factored, value)
            self.damping = max(DAMPING_LEAST, self.damping * max(0.1 if near else 1 / 3, 1 - (2 * ratio - 1) ** 3))
            self.growth = 2.0
            self.exact = ridge == 0 and self.size * drop <= NEAR * len(step)
            self.accuracy = max(SHARP, self.accuracy / 3) if near else ROUGH
        else:
            self.damping, self.growth = min(DAMPING_MOST, self.damping * self.growth), self.growth * 2
        return drop

    def direction(self) -> Tensor:
        """Step that the remaining gradient asks for, ``(F + I/N)^{-1} g``."""
        gradient = self.point.gradient
        return self.solve(gradient, torch.full_like(gradient, 1 / self.size), SHARP)

    def gradient_norm(self) -> float:
        """Distance from stationarity in standard errors."""
        return sqrt(max(0.0, self.size * float(self.point.gradient @ self.direction())))

    def result(self) -> Descended:
        direction = self.direction()
        return Descended(
            theta=self.theta.numpy().copy(),
            loss=self.point.loss,
            gradient_norm=sqrt(max(0.0, self.size * float(self.point.gradient @ direction))),
            gradient_max=float(self.point.gradient.abs().max()),
            moves=self.factored.greatest_move(self.point, direction),
            iterations=self.steps,
            products=self.products,
            stuck=self.stuck,
        )


def descend(
    likelihood: Likelihood, frequencies: Array, size: float, theta: Array, iterations: int, tolerance: float
) -> Descended:
    """Descend the mean loss of one table from given weights.

    Parameters
    ----------
    likelihood
        The map.
    frequencies
        Count table over its sum, shape (user, cell).
    size
        That sum, N.
    theta
        Start, shape (parameter,).
    iterations
        At most so many steps.
    tolerance
        Stop at this distance from stationarity, in standard errors.

    Raises
    ------
    InputError
        If the arrays do not have the likelihood's shapes, or are not finite, or the frequencies do not sum to one.

    Examples
    --------
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> found = descend(likelihood, np.array([[0.75, 0.25]]), 4, np.zeros(likelihood.size), 50, 1e-6)
    >>> np.exp(likelihood.log_law(found.theta)).round(4).tolist()
    [[0.75, 0.25]]
    """
    if frequencies.shape != (likelihood.users, likelihood.cells) or theta.shape != (likelihood.size,):
        raise InputError(
            f"Frequencies of shape {frequencies.shape} and weights of shape {theta.shape} were given; shapes "
            f"{(likelihood.users, likelihood.cells)} and {(likelihood.size,)} were expected."
        )
    if not (np.isfinite(theta).all() and (frequencies >= 0).all() and abs(frequencies.sum() - 1) < 1e-9):
        raise InputError(
            "Frequencies must be finite, not negative and sum to one, and weights finite; divide counts by their sum."
        )
    with one_thread(), torch.no_grad():
        run = _Descent(FactoredMap(likelihood, torch.as_tensor(frequencies)), size, torch.as_tensor(theta).clone())
        run.run(iterations, tolerance)
        return run.result()


def fit_large(
    likelihood: Likelihood,
    counts: Counts,
    truth_loss: float | None,
    seed: int,
    settings: Settings | None = None,
    theta0: Array | None = None,
) -> Fit:
    """Fit one large count table of shape (user, cell) from random starts that know nothing of the truth.

    The same plan as `conv4rec_experiments.fits.fitting.fit_many`, one member at a time: short runs of all starts, the
    best of them and ``theta0`` (parameter,), if given, to the end, and another round while the training loss is above
    ``truth_loss`` (in nats).

    Raises
    ------
    InputError
        If the table or ``theta0`` does not have the likelihood's shape, the table is empty, or there is no start.

    Examples
    --------
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> found = fit_large(likelihood, np.array([[3, 1]]), truth_loss=0.6, seed=0)
    >>> np.exp(likelihood.log_law(found.theta)).round(4).tolist(), found.state.value
    ([[0.75, 0.25]], 'accepted')
    """
    settings = settings or LARGE
    if counts.shape != (likelihood.users, likelihood.cells) or counts.sum() == 0:
        raise InputError(
            f"A table of shape {counts.shape} with {counts.sum()} interactions was given; expected shape "
            f"{(likelihood.users, likelihood.cells)} and at least one interaction."
        )
    if settings.starts == 0 and theta0 is None:
        raise InputError("There is no start: starts is 0 and no weights were given; raise starts or give weights.")
    if theta0 is not None and (theta0.shape != (likelihood.size,) or not np.isfinite(theta0).all()):
        raise InputError(
            f"Starting weights of shape {theta0.shape} were given; expected finite numbers of shape "
            f"{(likelihood.size,)}."
        )
    size = float(counts.sum())
    generator = np.random.default_rng(seed)
    with one_thread(), torch.no_grad():
        factored = FactoredMap(likelihood, torch.as_tensor(counts / size))
        ends: list[_Descent] = []
        if theta0 is not None:
            ends.append(_Descent(factored, size, torch.as_tensor(theta0).clone()))
            ends[0].run(settings.iterations, settings.tolerance)
        used = 0
        for _ in range(settings.rounds if settings.starts else 0):
            used += settings.starts
            ends = [min(ends + _round(factored, size, counts, generator, settings), key=lambda run: run.point.loss)]
            if truth_loss is None or ends[0].point.loss <= truth_loss:
                break
        ends[0].polish(settings.polishing, settings.sharpness)
        found = ends[0].result()
    return _judge(found, counts, truth_loss, used, settings)


def _round(
    factored: FactoredMap, size: float, counts: Counts, generator: np.random.Generator, settings: Settings
) -> list[_Descent]:
    """Screen the starts of one round and continue the best."""
    starts = random_starts(factored.likelihood, counts, generator, settings)
    runs = [_Descent(factored, size, torch.as_tensor(theta)) for theta in starts]
    for run in runs:
        run.run(settings.screening, settings.tolerance, settings.ridge, settings.fading)
    kept = sorted(runs, key=lambda run: run.point.loss)[: settings.kept]
    for run in kept:
        run.run(settings.iterations, settings.tolerance)
    return kept


def _judge(found: Descended, counts: Counts, truth_loss: float | None, starts: int, settings: Settings) -> Fit:
    if truth_loss is not None and not found.loss <= truth_loss:
        state = State.ABOVE_TRUTH
    elif found.gradient_norm <= settings.tolerance:
        still = found.gradient_max <= settings.sharpness and found.moves <= MOVING
        state = (State.STATIONARY if truth_loss is None else State.ACCEPTED) if still else State.BOUNDARY
    else:
        state = State.STALLED if found.stuck else State.GRADIENT
    return Fit(
        theta=found.theta,
        training_loss=found.loss,
        truth_loss=float("nan") if truth_loss is None else truth_loss,
        gradient_norm=found.gradient_norm,
        iterations=found.iterations,
        starts=starts,
        state=state,
        gradient_max=found.gradient_max,
        newton_decrement=found.gradient_norm**2 / (2 * float(counts.sum())),
        saturated_gap=found.loss - saturated_loss(counts),
    )
