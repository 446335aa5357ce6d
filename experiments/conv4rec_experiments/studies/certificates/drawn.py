"""T7c, T8 and T8-paired: networks drawn from a Gaussian, the prior from the first half, scored on the second half."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Against, CellCounts, Ensemble, Evidence, Posterior, TruthLoss
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, SMOOTHED_GAP, smoothed_range
from conv4rec_bounds.theorems.t7e_truth_loss import plug_in_entropy
from conv4rec_experiments.studies.certificates.refits import Refits
from conv4rec_experiments.studies.certificates.replicate import Replicate, mean_loss
from conv4rec_experiments.studies.certificates.statement import Statements, answer
from conv4rec_experiments.studies.certificates.untouched import BASES, least_loss_of_truth
from conv4rec_experiments.truths.truth import Counts, user_mix

__all__ = ["drawn_distance", "groups_of_cells", "pac_bayes", "paired_draws"]

Array = NDArray[np.float64]

GROUPS = 4
COARSE = "total variation of the equal-weight ensemble of the draws (all users as one segment, groups of cells)"


def _draws(replicate: Replicate) -> Refits:
    """Return the draws; where networks read the sample, the fit itself stands for them, and the theorems refuse."""
    if replicate.refits is not None:
        return replicate.refits
    alone = replicate.log_law[None]
    theta = replicate.fit.theta
    return Refits(replicate.sample.blocks[-1:], alone, alone, np.zeros(1), theta, np.zeros(theta.size))


def drawn_distance(replicate: Replicate, delta: float) -> Statements:
    """T7c: the ensemble of the draws, over all cells on three bases, and over coarse cells by plug-in entropy.

    Coarse cells are four groups of items of about equal shares of the first half, each at each level; all users are one
    segment.
    """
    for basis in BASES:

        def make(basis: str = basis) -> tuple[Evidence, float]:
            draws, part = _draws(replicate), replicate.last
            loss = least_loss_of_truth(replicate, basis, part, 0)
            risks = [mean_loss(part, log_law) for log_law in draws.draws]
            evidence = Evidence(
                cells=replicate.truth.cells,
                protocol=replicate.declared,
                ensemble=Ensemble(
                    int(part.sum()), np.array(risks), draws.log_ratios, loss, blind_prior=replicate.refits is not None
                ),
            )
            return evidence, replicate.distance(np.exp(draws.draws).mean(axis=0), user_mix(part))

        yield answer("T7c", delta, make, basis=basis)
    yield answer("T7c", delta, lambda: _coarse(replicate), basis="plug-in", target=COARSE)


def _coarse(replicate: Replicate) -> tuple[Evidence, float]:
    draws, part = _draws(replicate), replicate.last
    member, mix = groups_of_cells(replicate, replicate.sample.blocks[:-1], GROUPS), user_mix(part)
    counts = part.sum(axis=0) @ member
    laws = np.einsum("i,kiy,yg->kg", mix, np.exp(draws.draws), member)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A law below the least float has an infinite loss where it is seen, and none elsewhere.
        losses = np.where(counts > 0, -counts * np.log(laws), 0.0).sum(axis=1) / max(1, counts.sum())
    table = CellCounts.of_table(counts[None])
    part_evidence = Ensemble(
        int(part.sum()),
        losses,
        draws.log_ratios,
        TruthLoss(plug_in_entropy(table), "plug-in", coarse=True),
        blind_prior=replicate.refits is not None,
    )
    evidence = Evidence(
        cells=replicate.truth.cells, protocol=replicate.declared, ensemble=part_evidence, cell_counts=table
    )
    true = mix @ replicate.sample.target_law @ member
    return evidence, float(np.abs(true - laws.mean(axis=0)).sum()) / 2


def groups_of_cells(replicate: Replicate, blocks: Counts, groups: int) -> NDArray[np.int64]:
    """Membership of cells in groups of items of about equal shares of some blocks, at each level, shape (cell, group).

    Groups that no item is in are left out.
    """
    truth = replicate.truth
    seen = blocks.sum(axis=(0, 1)).reshape(truth.items, truth.levels).sum(axis=1)
    order = np.argsort(-seen, kind="stable")
    before = np.cumsum(seen[order]) - seen[order]
    group = np.empty(truth.items, dtype=np.int64)
    group[order] = np.minimum(before * groups // max(1, int(seen.sum())), groups - 1)
    cells = (group[:, None] * truth.levels + np.arange(truth.levels)).reshape(-1)
    member: NDArray[np.int64] = np.eye(groups * truth.levels, dtype=np.int64)[cells]
    return member[:, member.any(axis=0)]


def pac_bayes(replicate: Replicate, delta: float) -> Statements:
    """T8: mean smoothed risk of the same draws under the users of the last block."""

    def make() -> tuple[Evidence, float]:
        posterior, risk = _drawn_risks(replicate)
        return _evidence(replicate, posterior), risk

    yield answer("T8", delta, make)


def paired_draws(replicate: Replicate, delta: float) -> Statements:
    """T8-paired: risk of the smoothed popularity of the first half less that of the draws, under the same users."""

    def make() -> tuple[Evidence, float]:
        posterior, risk = _drawn_risks(replicate)
        part, cells = replicate.last, replicate.truth.cells
        before = replicate.sample.blocks[:-1].sum(axis=0)
        popular = before.sum(axis=0) + 0.5
        (other,) = _smoothed((popular / popular.sum())[None], cells)
        *logs, early = _smoothed_draws(replicate)
        gap = SMOOTHED_GAP.upper(alpha=DEFAULT_SMOOTHING, q_max=cells)
        centre = float(np.clip(mean_loss(before, early - other), -gap, gap))
        gaps = [log_law - other for log_law in logs]
        means = np.array([mean_loss(part, of_draw) for of_draw in gaps])
        squares = np.array([mean_loss(part, -np.square(of_draw + centre)) * (1 + 1e-12) for of_draw in gaps])
        # Rounded up by more than sums of so many terms can lose.
        against = Against((means + 1e-12 * gap).clip(-gap, gap), squares, centre, gap)
        margin = replicate.risk(np.broadcast_to(other, part.shape), user_mix(part)) - risk
        return _evidence(replicate, replace(posterior, against=against)), margin

    yield answer("T8-paired", delta, make)


def _smoothed(laws: Array, cells: int) -> Array:
    logs: Array = np.log((1 - DEFAULT_SMOOTHING) * laws + DEFAULT_SMOOTHING / cells)
    return logs


def _smoothed_draws(replicate: Replicate) -> Array:
    """Return logarithms of the smoothed draws and, last, of the smoothed predictor of the first half."""
    laws = np.exp(np.concatenate([_draws(replicate).draws, replicate.before[None]]))
    return _smoothed(laws, replicate.truth.cells)


def _evidence(replicate: Replicate, posterior: Posterior) -> Evidence:
    return Evidence(cells=replicate.truth.cells, protocol=replicate.declared, posterior=posterior)


def _drawn_risks(replicate: Replicate) -> tuple[Posterior, float]:
    """Score the draws on the last block, and return the exact mean of their smoothed risks."""
    draws, part, cells = _draws(replicate), replicate.last, replicate.truth.cells
    low, high = smoothed_range(cells, cells, DEFAULT_SMOOTHING)
    *logs, early = _smoothed_draws(replicate)
    # Rounded up by more than sums of so many terms can lose.
    risks = np.array([mean_loss(part, log_law) * (1 + 1e-12) for log_law in logs]).clip(low, high)
    centre = float(np.clip(mean_loss(replicate.sample.blocks[:-1].sum(axis=0), early), low, high))
    squares = np.array([mean_loss(part, -np.square(log_law + centre)) * (1 + 1e-12) for log_law in logs])
    posterior = Posterior(
        int(part.sum()),
        risks,
        squares,
        centre,
        low,
        high,
        draws.log_ratios,
        math.log(cells),
        blind_prior=replicate.refits is not None,
    )
    mix = user_mix(part)
    return posterior, float(np.mean([replicate.risk(log_law, mix) for log_law in logs]))
