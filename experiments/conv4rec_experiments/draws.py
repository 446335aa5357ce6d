"""Draws between a prior's centre and trained weights, and what they cost against that prior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conv4rec.loss import LogProbabilities
from conv4rec.popularity import Popularity
from conv4rec.start import start_stream, start_weights
from conv4rec_bounds import Budget, Evidence, Posterior, Protocol
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, smoothed_losses, uniform_risk
from conv4rec_bounds.theorems.t8_pac_bayes import PacBayes, square_upper
from conv4rec_bounds.theorems.t9_held_out import mean_upper

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions
    from conv4rec_experiments.priors import Prior

__all__ = ["Draws", "blind_start", "draw_around", "profile_popularity"]

Array = NDArray[np.float64]
Weights = Mapping[str, Array]

SCALES: tuple[float, ...] = tuple(2.0**-power for power in range(9))
STEPS: tuple[float, ...] = (0.0, 1 / 64, 1 / 16, 1 / 4, 1.0)
DRAWS = 4

STREAM = 0xD4A3


@dataclass(frozen=True, eq=False)
class Draws:
    r"""Models drawn from :math:`\rho = N(\theta_0+s(\theta-\theta_0),\sigma^2I)`, and what is needed to certify them.

    :math:`\theta` are the trained weights and :math:`\theta_0` is the prior's centre. The prior is a mixture over
    `SCALES` of :math:`N(\theta_0,\sigma^2 I)`, the finest with weight one half, every other with half of the next finer
    one's: so :math:`\sigma` and :math:`s` are free.

    Attributes
    ----------
    models
        The drawn models.
    log_ratios
        Upper ends of :math:`\log\frac{d\rho}{d\pi}` at each draw, shape (draw,).
    scale, step
        :math:`\sigma` and :math:`s`.
    part
        The scored interactions that the prior has not seen.
    guess
        A guess of the draws' mean loss that was made without them, in nats.
    prior_size
        How many scored interactions the prior has seen.
    """

    models: Sequence[Conv4Rec]
    log_ratios: Array
    scale: float
    step: float
    part: Interactions
    guess: float
    prior_size: int = 0

    def posterior(self, found: Sequence[LogProbabilities]) -> Posterior:
        """Return the evidence, from the draws' log-probabilities of the interactions of `part`."""
        return _posterior(found, self.log_ratios, self.guess, self.prior_size)

    def __str__(self) -> str:
        """Say in a sentence what was drawn and what the prior was."""
        where = {0.0: "the prior's centre", 1.0: "the trained weights"}.get(
            self.step, f"the point that lies {self.step:g} of the way from the prior's centre to the trained weights"
        )
        centre = f"a network trained on {self.prior_size:,} of the scored interactions" if self.prior_size else ""
        theorems = "T8, T8-paired and T7c" if self.prior_size else "T8 and T7c"
        return (
            f"{theorems} speak of {len(self.models)} networks drawn around {where}, with noise of {self.scale:g} on "
            f"every weight. The prior's centre is {centre or 'the start of the training'}; the draws are scored on "
            f"{len(self.part):,} interactions that it has not seen, and their mean log-ratio is "
            f"{self.log_ratios.mean():,.4g} nats."
        )


def profile_popularity(model: Conv4Rec) -> Array:
    """Log-probabilities of cells by their counts in the profile part alone, shape (item, level)."""
    split = model.split
    counts = np.zeros((split.interactions.n_items, split.interactions.n_levels), dtype=np.int64)
    np.add.at(counts, (split.profile.item, split.profile.level), 1)
    return Popularity.of_counts(counts, item_smoothing=1.0, level_smoothing=10.0).cell_logits


def blind_start(model: Conv4Rec) -> dict[str, Array]:
    """Weights that have not seen the scored part: the start of the training, with the popularity of the profiles.

    Their random values are independent of what cut the data: they do not tell which interactions are scored.
    """
    rng = start_stream(model.options.seed)
    return start_weights(model.architecture, model.interactions.level_values, profile_popularity(model), rng)


def draw_around(
    model: Conv4Rec, prior: Prior | None = None, *, delta: float = 0.05, seed: int = 0, draws: int = DRAWS
) -> Draws:
    """Draw models between a prior's centre and trained weights, where trials promise the least certificate T8.

    Without a prior that has learnt, the prior's centre is the blind start, and the draws lie around the trained
    weights. A trial is one draw, scored as the draws that are kept will be. As the prior holds all scales and knows
    neither steps nor trials, and the draws that are kept are made after the choice, nothing else is owed for it.

    Parameters
    ----------
    model
        A trained model.
    prior
        A network that has seen a part of the scored interactions alone.
    delta
        The failure probability at which certificates are compared.
    seed
        Of the draws.
    draws
        How many are kept.
    """
    start = blind_start(model) if prior is None else prior.model.weights()
    steps, part = ((1.0,), model.split.scored) if prior is None else (STEPS, prior.left)
    goal, guess, size = model.weights(), _guess(model, prior), 0 if prior is None else prior.size
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))
    centres = {step: {name: value + step * (goal[name] - value) for name, value in start.items()} for step in steps}
    far = math.fsum(float(np.square(goal[name] - start[name]).sum()) for name in goal)

    def score(weights: Weights) -> LogProbabilities:
        return model.with_weights(weights).log_probabilities(part)

    def promised(found: LogProbabilities, step: float, scale: float) -> float:
        ratio = np.array([step**2 * far / (2 * scale**2) + _price(scale)])
        evidence = Evidence(
            int(found.cells.max()), Protocol("independent"), posterior=_posterior([found], ratio, guess)
        )
        value = PacBayes().evaluate(evidence, Fraction(delta), Budget(delta)).value
        return math.inf if value is None else value

    still = {step: score(centre) for step, centre in centres.items()}
    hoped = {pair: promised(still[pair[0]], *pair) for pair in product(steps, SCALES)}
    chosen, least = min(hoped, key=lambda pair: hoped[pair]), math.inf
    for pair in sorted(hoped, key=lambda pair: hoped[pair]):
        # Noise hardly ever lowers a loss: what promises too little without it is not tried with it.
        if hoped[pair] >= least:
            break
        step, scale = pair
        value = promised(score(_around(centres[step], scale, rng)), step, scale)
        if value < least:
            chosen, least = pair, value
    step, scale = chosen
    weights = [_around(centres[step], scale, rng) for _ in range(draws)]
    ratios = np.array([_log_ratio(drawn, centres[step], start, scale) for drawn in weights])
    return Draws([model.with_weights(drawn) for drawn in weights], ratios, scale, step, part, guess, size)


def _guess(model: Conv4Rec, prior: Prior | None) -> float:
    """Guess the draws' mean loss from what the prior has seen."""
    if prior is None:
        profile = model.split.profile
        return -float(profile_popularity(model)[profile.item, profile.level].mean()) if len(profile) else 0.0
    stopping = prior.model.split.validation
    found = prior.model.log_probabilities(stopping)
    return float(smoothed_losses(found.joint, found.cells, DEFAULT_SMOOTHING).losses.mean())


def _posterior(found: Sequence[LogProbabilities], log_ratios: Array, guess: float, prior_size: int = 0) -> Posterior:
    smoothed = [smoothed_losses(score.joint, score.cells, DEFAULT_SMOOTHING) for score in found]
    low, high = smoothed[0].low, smoothed[0].high
    centre = min(max(guess, low), high)
    return Posterior(
        size=found[0].joint.size,
        # Rounding up must not lift a draw that misses everything out of the range of its losses.
        risks=np.array([min(mean_upper(losses), high) for losses in smoothed]),
        squares=np.array([square_upper(losses, centre) for losses in smoothed]),
        centre=centre,
        low=low,
        high=high,
        log_ratios=log_ratios,
        uniform_risk=uniform_risk(found[0].cells),
        prior_size=prior_size,
    )


def _around(centre: Weights, scale: float, rng: np.random.Generator) -> dict[str, Array]:
    return {name: value + scale * rng.standard_normal(value.shape) for name, value in centre.items()}


def _price(scale: float) -> float:
    """Return minus the logarithm of the weight of a scale in the prior, rounded up: the finest has one half."""
    return math.log(2) * (len(SCALES) - SCALES.index(scale)) * (1 + 1e-12)


def _log_ratio(drawn: Weights, centre: Weights, start: Weights, scale: float) -> float:
    far = math.fsum(float(np.square(drawn[name] - start[name]).sum()) for name in drawn)
    near = math.fsum(float(np.square(drawn[name] - centre[name]).sum()) for name in drawn)
    # Sums of many squares round; a billionth of them lies far above what rounding can do.
    return (far - near + 1e-9 * (far + near)) / (2 * scale**2) + _price(scale)
