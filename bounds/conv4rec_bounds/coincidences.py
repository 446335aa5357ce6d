r"""Coincidences: a law's chi-square divergence from a predictor, by interactions that fall into cells already seen.

For strata s with weights :math:`\omega_s`, true laws :math:`P_s`, predictors :math:`f_s` and positive weights
:math:`v_s` of cells that sum to 1, :math:`D = \sum_s\omega_s\sum_y(P_s-f_s)^2/v_s` bounds
:math:`4(\sum_s\omega_s\mathrm{TV}(P_s,f_s))^2`. An interaction of round k is scored by the excess of earlier counts
over the prediction, :math:`G = C_{<k}-n_{<k}f`, in its cell: the sum of :math:`(P-f)G/v` over pairs estimates D without
the noise of a histogram, because an interaction is never compared with itself.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.evidence.rounds import Rounds
from conv4rec_bounds.rounding import surprisal

__all__ = ["CEILINGS", "LAWS", "RATES", "SCORES", "Coincidences", "ceiling", "coincidences"]

Array = NDArray[np.float64]

SCORES, LAWS, CEILINGS = Fraction(2, 5), Fraction(2, 5), Fraction(1, 5)
"""Shares of the failure probability: the scores, the laws that they were scored by, and the ceilings of the truth."""

RATES = tuple(2.0**power for power in range(-5, 3))
"""The rate of the scores is one of these over the standard deviation that a right predictor would have about."""

STEEPEST = 0.9
SAFE = 1e-11


def ceiling(share: Array, level: Array | float) -> Array:
    r"""Return :math:`u = \min\{1, s+\frac23l+\sqrt{\frac49l^2+2ls}\}`.

    A cell of probability u or more has a share of at most s in n draws with probability at most :math:`e^{-nl}`.

    Examples
    --------
    >>> ceiling(np.array([0.0, 0.5]), 0.03).round(4)
    array([0.04  , 0.6944])
    """
    found: Array = np.minimum(1.0, share + 2 * level / 3 + np.sqrt(4 * level * level / 9 + 2 * level * share))
    return found


@dataclass(frozen=True)
class Coincidences:
    r"""What the counts say, every number rounded to the safe side.

    Attributes
    ----------
    scores
        For each of `RATES` that the scores allow, the rate over N and :math:`-\frac1\lambda\sum\log(1-\lambda z)` over
        the centred scores z, an upper end: ``(rate, sum)``.
    rho
        Greatest ratio of a ceiling to the weight of its cell.
    beta
        Greatest ratio of a prediction to the weight of its cell.
    heaviest, squares
        N times the greatest weight of an interaction among those that others are scored by, and N times the greatest
        sum of squares of these weights in a stratum, relative to :math:`\omega_s`.
    """

    scores: tuple[tuple[float, float], ...]
    rho: float
    beta: float
    heaviest: float
    squares: float


def coincidences(rounds: Rounds, delta: Fraction) -> Coincidences:
    """Count coincidences; ``delta`` is the failure probability of the whole statement."""
    weight, rho = _weights(rounds, delta * CEILINGS)
    omega, pairs = rounds.mix, np.maximum(rounds.pairs, 1)
    each = np.where(rounds.pairs > 0, omega / pairs, 0.0)
    size, used = rounds.size, rounds.pairs > 0
    later = rounds.of_rounds.sum(axis=0) - rounds.of_rounds - rounds.earlier
    squares = (rounds.of_rounds * later**2).sum(axis=0)[used] * each[used] ** 2 / omega[used]
    scored_by = np.where(rounds.of_rounds > 0, later, 0.0) * each
    deviations, counts, top, magnitude = _deviations(rounds, weight, each)
    spread = math.sqrt(float((omega[used] ** 2 * rounds.laws.shape[1] / pairs[used]).sum()))
    found = []
    for factor in RATES:
        rate = factor / spread
        if rate * top <= STEEPEST:
            total = float(-(counts * np.log1p(-rate * deviations)).sum() / rate)
            found.append((rate / size, total + SAFE * magnitude))
    return Coincidences(
        scores=tuple(found),
        rho=rho * (1 + SAFE),
        beta=float((rounds.laws / weight)[used].max()) * (1 + SAFE),
        heaviest=float(scored_by.max()) * size * (1 + SAFE),
        squares=float(squares.max()) * size * (1 + SAFE),
    )


def _weights(rounds: Rounds, delta: Fraction) -> tuple[Array, float]:
    """Weights of cells, made without a look at counts, and the greatest ratio of the truth's ceilings to them."""
    strata, cells = rounds.laws.shape
    owners = np.arange(strata) if rounds.owners is None else np.unique(rounds.owners, return_inverse=True)[1]
    counts = np.zeros((int(owners.max()) + 1, cells))
    np.add.at(counts, owners, rounds.counts.sum(axis=0))
    sizes = np.maximum(counts.sum(axis=1), 1)[:, None]
    level = (surprisal(delta) + math.log(counts.size)) / sizes
    # In proportion to the ceiling of a truth that is as predicted: no cell is so light that its own ceiling rules.
    weight = ceiling(rounds.laws, level[owners])
    weight /= weight.sum(axis=1, keepdims=True) * (1 + SAFE)
    ceilings = ceiling(counts / sizes, level)[owners]
    return weight, float((ceilings / weight)[rounds.pairs > 0].max())


def _deviations(rounds: Rounds, weight: Array, each: Array) -> tuple[Array, Array, float, float]:
    """Scores less what is known of their means, with their counts; the greatest possible score; a sum of sizes."""
    factor, laws = each[:, None] / weight, rounds.laws
    seen = np.zeros_like(laws)
    deviations, counts, top, magnitude = [], [], 0.0, 0.0
    for of_round, before in zip(rounds.counts, rounds.earlier, strict=True):
        excess = factor * (seen - before[:, None] * laws)
        left = np.ones_like(before)
        centre = (laws * excess).sum(axis=1)
        if rounds.pool is not None:
            # What was counted is gone from the pool: its known part of the mean is taken out of the score.
            pool = np.maximum(rounds.pool, 1)
            left, centre = 1 - before / pool, centre - (seen * excess).sum(axis=1) / pool
        score = left[:, None] * excess - centre[:, None]
        scored = (of_round > 0) & (before > 0)[:, None]
        active = (before > 0) & (of_round.sum(axis=1) > 0)
        if active.any():
            top = max(top, float(score[active].max()))
            size = (factor * (seen + before[:, None] * laws)).max(axis=1)
            magnitude += float((of_round.sum(axis=1) * size)[active].sum())
        deviations.append(score[scored])
        counts.append(of_round[scored])
        seen += of_round
    return np.concatenate(deviations), np.concatenate(counts).astype(np.float64), top, magnitude
