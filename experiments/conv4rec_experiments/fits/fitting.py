r"""Maximum likelihood by Fisher scoring from starts that know nothing of the truth.

Levenberg-Marquardt steps ``(F + mu I) step = -gradient`` on the mean loss. Random starts first descend a loss with a
small ridge that fades geometrically to zero: without it many starts run into saturated codes and stay there. The
best of these short runs are continued on the plain loss, and the least training loss wins. The truth's own training
loss never steers a step; it only says whether a fit is accepted and whether another round of starts is worth while.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.likelihood import Likelihood

__all__ = ["Fit", "Settings", "State", "fit", "fit_many", "one_thread"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
MEMBERS_AT_ONCE = 64


class State(StrEnum):
    """How a fit ended."""

    ACCEPTED = "accepted"
    ABOVE_TRUTH = "training loss above the truth's"
    GRADIENT = "gradient above tolerance"
    STALLED = "stalled"


@dataclass(frozen=True)
class Settings:
    """How hard a fit tries.

    Attributes
    ----------
    starts
        Random starts in each round.
    kept
        How many of them are continued after screening.
    screening, iterations
        Steps of the short runs, and at most so many steps after them.
    rounds
        A fit whose training loss is still above the truth's gets another round, at most so many in all.
    tolerance
        Greatest gradient norm, in standard errors, of an accepted fit (see `Fit.gradient_norm`).
    scale
        Standard deviation of the starting weights.
    ridge, fading
        The screening loss adds ``ridge * fading**step * ||theta||^2 / 2``.
    """

    starts: int = 8
    kept: int = 3
    screening: int = 30
    iterations: int = 120
    rounds: int = 3
    tolerance: float = 0.5
    scale: float = 0.5
    ridge: float = 2e-3
    fading: float = 0.75

    def __post_init__(self) -> None:
        if not 1 <= self.kept <= self.starts:
            raise InputError(
                f"{self.kept} starts were to be kept of {self.starts}; keep at least one and at most all of them."
            )


@dataclass(frozen=True, eq=False)
class Fit:
    r"""One maximum-likelihood fit.

    Attributes
    ----------
    theta
        Flat weights, shape (parameter,).
    training_loss
        Mean loss on the sample, in nats.
    truth_loss
        Mean loss of the truth on the same sample, in nats.
    gradient_norm
        Distance from stationarity in standard errors, ``sqrt(N g^T (F + I/N)^{-1} g)`` for the gradient g of the mean
        loss; the truth itself lies about ``sqrt(rank F)`` away.
    iterations
        Steps of the winning start, screening included.
    starts
        Random starts used, all rounds together.
    state
        How it ended.
    """

    theta: Array
    training_loss: float
    truth_loss: float
    gradient_norm: float
    iterations: int
    starts: int
    state: State

    @property
    def gap(self) -> float:
        """Optimisation gap in nats: training loss minus the truth's training loss; an optimum has it below 0."""
        return self.training_loss - self.truth_loss


def fit(likelihood: Likelihood, counts: Counts, truth_loss: float, seed: int, settings: Settings | None = None) -> Fit:
    """Fit one count table of shape (user, cell); see `fit_many`."""
    return fit_many(likelihood, counts[None], [truth_loss], [seed], settings)[0]


def fit_many(
    likelihood: Likelihood,
    counts: Counts,
    truth_losses: Sequence[float],
    seeds: Sequence[int],
    settings: Settings | None = None,
) -> list[Fit]:
    """Fit count tables of shape (replicate, user, cell), many members in one tensor program.

    Each replicate draws its starts from its own seed. ``truth_losses`` are the truth's training losses in nats.

    Raises
    ------
    InputError
        If the tables do not have the likelihood's shape, or one of them is empty.
    """
    settings = settings or Settings()
    expected = (len(seeds), likelihood.users, likelihood.cells)
    if counts.shape != expected or len(truth_losses) != len(seeds):
        raise InputError(
            f"Counts of shape {counts.shape} with {len(truth_losses)} truth losses do not fit {len(seeds)} seeds; "
            f"shape {expected} and one loss for each seed were expected."
        )
    if (counts.sum(axis=(1, 2)) == 0).any():
        raise InputError("A count table is empty; a fit needs at least one interaction; leave that table out.")
    step = max(1, MEMBERS_AT_ONCE // settings.starts)
    fits: list[Fit] = []
    with one_thread(), torch.no_grad():
        for begin in range(0, len(seeds), step):
            part = slice(begin, begin + step)
            fits += _fit_group(likelihood, counts[part], truth_losses[part], seeds[part], settings)
    return fits


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: the matrices are small, and sums then always run in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit_group(
    likelihood: Likelihood,
    counts: Counts,
    truth_losses: Sequence[float],
    seeds: Sequence[int],
    settings: Settings,
) -> list[Fit]:
    generators = [np.random.default_rng(seed) for seed in seeds]
    best: dict[int, Fit] = {}
    pending = list(range(len(seeds)))
    for _ in range(settings.rounds):
        found = _round(likelihood, counts[pending], [generators[i] for i in pending], settings)
        for i, (run, winner) in zip(pending, found, strict=True):
            candidate = _judge(run, winner, truth_losses[i], settings)
            before = best.get(i)
            used = settings.starts + (before.starts if before else 0)
            if before is None or candidate.training_loss < before.training_loss:
                before = candidate
            best[i] = replace(before, starts=used)
        pending = [i for i in pending if best[i].gap > 0]
        if not pending:
            break
    return [best[i] for i in range(len(seeds))]


def _round(
    likelihood: Likelihood, counts: Counts, generators: Sequence[np.random.Generator], settings: Settings
) -> Iterator[tuple[Descent, int]]:
    """Screen the starts of every replicate, continue the best; yield each replicate's winning member."""
    replicates, starts, kept = len(counts), settings.starts, settings.kept
    sizes = torch.as_tensor(counts.sum(axis=(1, 2)), dtype=torch.float64)
    tables = torch.as_tensor(counts, dtype=torch.float64) / sizes[:, None, None]
    theta = torch.as_tensor(
        np.concatenate(
            [
                _starts(likelihood, table, generator, settings)
                for table, generator in zip(counts, generators, strict=True)
            ]
        )
    )
    owner = torch.arange(replicates).repeat_interleave(starts)
    short = Descent(likelihood, tables[owner], sizes[owner], theta)
    short.run(settings.screening, settings.tolerance, settings.ridge, settings.fading)
    order = torch.argsort(short.loss.reshape(replicates, starts), dim=1, stable=True)[:, :kept]
    chosen = (order + starts * torch.arange(replicates)[:, None]).flatten()
    long = short.select(chosen)
    long.run(settings.iterations, settings.tolerance)
    for index, best in enumerate(long.loss.reshape(replicates, kept).argmin(dim=1).tolist()):
        yield long, index * kept + best


def _starts(likelihood: Likelihood, counts: Counts, generator: np.random.Generator, settings: Settings) -> Array:
    """Gaussian weights around zero; the cell bias around the sample's smoothed log popularity."""
    theta = settings.scale * generator.standard_normal((settings.starts, likelihood.size))
    popularity = np.log(counts.sum(axis=0) + 1.0).reshape(likelihood.items, likelihood.levels)
    centre = {name: np.zeros_like(value) for name, value in likelihood.unpack(theta[0]).items()}
    result: Array = theta + likelihood.pack(centre | {"cell_bias": popularity - popularity.mean()})
    return result


def _judge(run: Descent, member: int, truth_loss: float, settings: Settings) -> Fit:
    loss, norm = float(run.loss[member]), run.gradient_norm(member)
    if loss > truth_loss:
        state = State.ABOVE_TRUTH
    elif norm <= settings.tolerance:
        state = State.ACCEPTED
    elif run.stuck(member):
        state = State.STALLED
    else:
        state = State.GRADIENT
    return Fit(
        theta=run.theta[member].numpy().copy(),
        training_loss=loss,
        truth_loss=truth_loss,
        gradient_norm=norm,
        iterations=int(run.steps[member]),
        starts=settings.starts,
        state=state,
    )
