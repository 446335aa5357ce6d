r"""Maximum likelihood by Fisher scoring and Newton steps from starts that know nothing of the truth.

Levenberg-Marquardt steps ``(F + mu I) step = -gradient`` on the mean loss. Random starts first descend a loss with a
small ridge that fades geometrically to zero: without it many starts run into saturated codes and stay there. The
best of these short runs are continued on the plain loss to within a part of a standard error. Fisher scoring converges
only linearly there, so steps with the exact Hessian carry the best of them to the rounding level of its gradient. The
truth's own training loss never steers a step; it only says whether a fit is accepted and whether another round of
starts is worth while.

The likelihood need not have a maximum: with few counts its supremum lies at infinity, where codes saturate or lose
their curvature. Such a fit ends close to the supremum, with weights that would grow for ever, in a state of its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import xlogy
from torch import Tensor

from conv4rec.errors import InputError
from conv4rec_experiments.fits.descent import Descent
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.fits.outcomes import Fit, Settings, State

__all__ = ["Fit", "Settings", "State", "fit", "fit_many", "one_thread", "random_starts", "saturated_loss"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
MEMBERS_AT_ONCE = 32
DENSE_MOST = 3_000  # above so many parameters no Fisher matrix is formed
MOVING = 1e-3  # log-probabilities that one more step would still move by so much have no limit


def fit(
    likelihood: Likelihood, counts: Counts, truth_loss: float | None, seed: int, settings: Settings | None = None
) -> Fit:
    """Fit one count table of shape (user, cell); see `fit_many`.

    Examples
    --------
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> found = fit(likelihood, np.array([[3, 1]]), truth_loss=0.6, seed=0)
    >>> np.exp(likelihood.log_law(found.theta)).round(4).tolist(), found.state.value
    ([[0.75, 0.25]], 'accepted')
    """
    return fit_many(likelihood, counts[None], [truth_loss], [seed], settings)[0]


def fit_many(
    likelihood: Likelihood,
    counts: Counts,
    truth_losses: Sequence[float | None],
    seeds: Sequence[int],
    settings: Settings | None = None,
    theta0: Array | None = None,
) -> list[Fit]:
    """Fit count tables of shape (replicate, user, cell), many members in one tensor program.

    Each replicate draws its starts from its own seed. ``truth_losses`` are the truth's training losses in nats, or
    None where no loss is a goal. ``theta0`` of shape (replicate, parameter) is one more start of each replicate, for
    instance a fit to earlier counts; it is continued unscreened, and with ``settings.starts = 0`` it is the only one.

    Raises
    ------
    InputError
        If the tables or ``theta0`` do not have the likelihood's shape, a table is empty, or there is no start.
    """
    expected = (len(seeds), likelihood.users, likelihood.cells)
    if counts.shape != expected or len(truth_losses) != len(seeds):
        raise InputError(
            f"Counts of shape {counts.shape} with {len(truth_losses)} truth losses do not fit {len(seeds)} seeds; "
            f"shape {expected} and one loss for each seed were expected."
        )
    if (counts.sum(axis=(1, 2)) == 0).any():
        raise InputError("A count table is empty; a fit needs at least one interaction; leave that table out.")
    if theta0 is not None and (theta0.shape != (len(seeds), likelihood.size) or not np.isfinite(theta0).all()):
        raise InputError(
            f"Starting weights of shape {theta0.shape} were given; expected finite numbers of shape "
            f"{(len(seeds), likelihood.size)}."
        )
    chosen = settings or Settings()
    if chosen.starts == 0 and theta0 is None:
        raise InputError("There is no start: starts is 0 and no weights were given; raise starts or give weights.")
    if likelihood.size > DENSE_MOST:
        return _fit_large(likelihood, counts, truth_losses, seeds, settings, theta0)
    step = max(1, MEMBERS_AT_ONCE // max(1, chosen.starts))
    fits: list[Fit] = []
    with one_thread(), torch.no_grad():
        for begin in range(0, len(seeds), step):
            part = slice(begin, begin + step)
            warm = None if theta0 is None else theta0[part]
            fits += _fit_group(likelihood, counts[part], truth_losses[part], seeds[part], chosen, warm)
    return fits


def _fit_large(
    likelihood: Likelihood,
    counts: Counts,
    truth_losses: Sequence[float | None],
    seeds: Sequence[int],
    settings: Settings | None,
    theta0: Array | None,
) -> list[Fit]:
    """Fit one table after the other without a Fisher matrix."""
    from conv4rec_experiments.fits.matrix_free import fit_large  # it fits with the settings and states of this module

    warm = [None] * len(seeds) if theta0 is None else list(theta0)
    return [
        fit_large(likelihood, table, loss, seed, settings, start)
        for table, loss, seed, start in zip(counts, truth_losses, seeds, warm, strict=True)
    ]


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
    truth_losses: Sequence[float | None],
    seeds: Sequence[int],
    settings: Settings,
    theta0: Array | None,
) -> list[Fit]:
    generators = [np.random.default_rng(seed) for seed in seeds]
    best: dict[int, Fit] = {}
    pending = list(range(len(seeds)))
    for _ in range(settings.rounds if settings.starts else 1):
        warm = None if theta0 is None else theta0[pending]
        run, agreement = _round(likelihood, counts[pending], [generators[i] for i in pending], settings, warm)
        moves = run.moves()
        for member, i in enumerate(pending):
            candidate = _judge(run, member, moves, counts[i], truth_losses[i], agreement[member], settings)
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
    likelihood: Likelihood,
    counts: Counts,
    generators: Sequence[np.random.Generator],
    settings: Settings,
    theta0: Array | None,
) -> tuple[Descent, list[int]]:
    """Screen the starts of every replicate, continue the best, polish one; one member of each, and the agreement."""
    replicates, starts = len(counts), settings.starts
    sizes = torch.as_tensor(counts.sum(axis=(1, 2)), dtype=torch.float64)
    tables = torch.as_tensor(counts, dtype=torch.float64) / sizes[:, None, None]
    parts: list[Descent] = []
    if starts:
        theta = torch.as_tensor(
            np.concatenate(
                [
                    random_starts(likelihood, table, generator, settings)
                    for table, generator in zip(counts, generators, strict=True)
                ]
            )
        )
        owner = torch.arange(replicates).repeat_interleave(starts)
        short = Descent(likelihood, tables[owner], sizes[owner], theta)
        short.run(settings.screening, settings.tolerance, settings.ridge, settings.fading)
        order = torch.argsort(short.loss.reshape(replicates, starts), dim=1, stable=True)[:, : settings.kept]
        parts.append(short.select((order + starts * torch.arange(replicates)[:, None]).flatten()))
    if theta0 is not None:
        parts.append(Descent(likelihood, tables, sizes, torch.as_tensor(theta0).clone()))
    for part in parts:
        part.run(settings.iterations, settings.tolerance)
    losses = torch.cat([part.loss.reshape(replicates, -1) for part in parts], dim=1)
    places = torch.cat(
        [
            torch.arange(len(part.loss)).reshape(replicates, -1) + sum(len(before.loss) for before in parts[:index])
            for index, part in enumerate(parts)
        ],
        dim=1,
    )
    least, chosen = losses.min(dim=1)
    agreement = (losses - least[:, None] <= (settings.tolerance**2 / sizes)[:, None]).sum(1).tolist()
    winners = Descent.joined(parts).select(places[torch.arange(replicates), chosen])
    winners.polish(settings.polishing, settings.sharpness / 10)
    blunt = torch.nonzero(winners.gradient.abs().amax(1) > settings.sharpness)[:, 0]
    if settings.polishing and len(blunt):  # along a bent valley the loss falls while the gradient may rise
        again = winners.select(blunt)
        again.run(settings.iterations, settings.tolerance)
        winners.store(again, blunt)
    return winners, agreement


def random_starts(likelihood: Likelihood, counts: Counts, generator: np.random.Generator, settings: Settings) -> Array:
    """Gaussian weights around zero; the cell bias around the sample's smoothed log popularity."""
    theta = settings.scale * generator.standard_normal((settings.starts, likelihood.size))
    popularity = np.log(counts.sum(axis=0) + 1.0).reshape(likelihood.items, likelihood.levels)
    centre = {name: np.zeros_like(value) for name, value in likelihood.unpack(theta[0]).items()}
    result: Array = theta + likelihood.pack(centre | {"cell_bias": popularity - popularity.mean()})
    return result


def _judge(
    run: Descent,
    member: int,
    moves: Tensor,
    counts: Counts,
    truth_loss: float | None,
    agreement: int,
    settings: Settings,
) -> Fit:
    size = float(run.sizes[member])
    loss, norm = float(run.loss[member]), run.gradient_norm(member)
    sharp = float(run.gradient[member].abs().max())
    if truth_loss is not None and not loss <= truth_loss:
        state = State.ABOVE_TRUTH
    elif norm <= settings.tolerance and (sharp > settings.sharpness or float(moves[member]) > MOVING):
        state = State.BOUNDARY
    elif norm <= settings.tolerance:
        state = State.STATIONARY if truth_loss is None else State.ACCEPTED
    elif run.stuck(member):
        state = State.STALLED
    else:
        state = State.GRADIENT
    return Fit(
        theta=run.theta[member].numpy().copy(),
        training_loss=loss,
        truth_loss=float("nan") if truth_loss is None else truth_loss,
        gradient_norm=norm,
        iterations=int(run.steps[member]),
        starts=settings.starts,
        state=state,
        gradient_max=sharp,
        newton_decrement=norm**2 / (2 * size),
        saturated_gap=loss - saturated_loss(counts),
        agreement=agreement,
    )


def saturated_loss(counts: Counts) -> float:
    """Conditional entropy of cells given users in the sample itself, in nats: no law has less training loss."""
    total = counts.sum(axis=1, keepdims=True)
    return float(-xlogy(counts, counts / np.maximum(total, 1)).sum() / counts.sum())
