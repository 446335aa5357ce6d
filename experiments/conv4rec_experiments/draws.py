"""Draws around trained weights, and what they cost against a prior that has not seen the scored part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conv4rec.popularity import Popularity
from conv4rec.start import start_stream, start_weights
from conv4rec_bounds.loss import DEFAULT_SMOOTHING

if TYPE_CHECKING:
    from conv4rec import Conv4Rec

__all__ = ["Draws", "blind_start", "draw_around", "profile_popularity"]

Array = NDArray[np.float64]

SCALES: tuple[float, ...] = tuple(2.0**-power for power in range(9))
DRAWS = 4

STREAM = 0xD4A3


@dataclass(frozen=True, eq=False)
class Draws:
    r"""Models drawn from :math:`\rho = N(\theta,\sigma^2 I)`, and how much likelier they are than under the prior.

    The prior is the even mixture over `SCALES` of :math:`N(\theta_0,\sigma^2 I)`, so :math:`\sigma` is free.

    Attributes
    ----------
    models
        The drawn models.
    log_ratios
        Upper ends of :math:`\log\frac{d\rho}{d\pi}` at each draw, shape (draw,).
    scale
        :math:`\sigma`.
    """

    models: Sequence[Conv4Rec]
    log_ratios: Array
    scale: float


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


def draw_around(model: Conv4Rec, seed: int = 0, draws: int = DRAWS) -> Draws:
    """Draw models around a trained one, at the scale that promises the best bound on the validation part.

    The scale is chosen by the mean validation loss of one draw at each, plus what its distance would cost on the scored
    part. As the prior holds all scales, and the draws that are kept are made after the choice, nothing else is owed for
    it; the trial draws may be thrown away.
    """
    start, centre = blind_start(model), model.weights()
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAM,)))
    size, split = len(model.split.scored), model.split
    far = sum(float(np.square(centre[name] - start[name]).sum()) for name in centre)
    judge = split.validation if len(split.validation) else None
    width = math.log(split.interactions.n_items * split.interactions.n_levels / DEFAULT_SMOOTHING)

    def promised(scale: float) -> float:
        price = far / (2 * scale**2) / size
        if judge is None:
            return price
        loss = model.with_weights(_around(centre, scale, rng)).log_probabilities(judge).losses()["joint"]
        return loss + width * math.sqrt(price / 2)

    scale = min(SCALES, key=promised)
    weights = [_around(centre, scale, rng) for _ in range(draws)]
    ratios = [_log_ratio(drawn, centre, start, scale) for drawn in weights]
    return Draws([model.with_weights(drawn) for drawn in weights], np.array(ratios), scale)


def _around(centre: Mapping[str, Array], scale: float, rng: np.random.Generator) -> dict[str, Array]:
    return {name: value + scale * rng.standard_normal(value.shape) for name, value in centre.items()}


def _log_ratio(
    drawn: Mapping[str, Array], centre: Mapping[str, Array], start: Mapping[str, Array], scale: float
) -> float:
    far = math.fsum(float(np.square(drawn[name] - start[name]).sum()) for name in drawn)
    near = math.fsum(float(np.square(drawn[name] - centre[name]).sum()) for name in drawn)
    # Sums of many squares round; a billionth of them lies far above what rounding can do.
    return (far - near + 1e-9 * (far + near)) / (2 * scale**2) + math.log(len(SCALES)) * (1 + 1e-12)
