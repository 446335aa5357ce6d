"""What draws are compared with: the popularity of the cells in what their prior has seen, and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from conv4rec.popularity import Popularity
from conv4rec_bounds import Against
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, SmoothedLosses, loss_differences, smoothed_losses
from conv4rec_bounds.theorems.t8_pac_bayes import square_upper
from conv4rec_bounds.theorems.t9_held_out import mean_upper

if TYPE_CHECKING:
    from conv4rec import Interactions, Split
    from conv4rec.loss import LogProbabilities
    from conv4rec_experiments.priors import Prior

__all__ = ["Rival"]


@dataclass(frozen=True, eq=False)
class Rival:
    """A law for all users that was made from the profiles and from what made a prior.

    Attributes
    ----------
    law
        What is popular there; its smoothings were chosen where the prior's training stopped.
    guess
        The mean smoothed loss of the prior's network less that of the law where its training stopped, in nats.
    """

    law: Popularity
    guess: float

    @classmethod
    def of(cls, prior: Prior) -> Rival:
        """Count what the prior has seen."""
        split = prior.model.split
        law, stopping = Popularity.fit(split), split.validation
        gaps = _differences(prior.model.log_probabilities(stopping), law.log_probabilities(stopping, split))
        return cls(law, float(gaps.losses.mean()))

    def against(self, found: Sequence[LogProbabilities], part: Interactions, split: Split) -> Against:
        """Return the evidence, from the draws' log-probabilities of interactions that the prior has not seen.

        Parameters
        ----------
        found
            Those of each draw.
        part, split
            The interactions, and the split of the model, whose masks hold for the law as for the draws.
        """
        other = self.law.log_probabilities(part, split)
        gaps = [_differences(score, other) for score in found]
        gap = gaps[0].high
        centre = min(max(self.guess, -gap), gap)
        return Against(
            # Rounding up must not lift a draw that misses everything out of the range of its differences.
            differences=np.array([min(mean_upper(of_draw), gap) for of_draw in gaps]),
            squares=np.array([square_upper(of_draw, centre) for of_draw in gaps]),
            centre=centre,
            gap=gap,
        )


def _differences(own: LogProbabilities, other: LogProbabilities) -> SmoothedLosses:
    first, second = (smoothed_losses(found.joint, found.cells, DEFAULT_SMOOTHING) for found in (own, other))
    return loss_differences(first, second, int(own.cells.max()), DEFAULT_SMOOTHING)
