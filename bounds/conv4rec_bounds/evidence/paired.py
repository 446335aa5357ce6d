"""Two models' log-probabilities of the same held-out interactions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.evidence.held_out import HeldOut
from conv4rec_bounds.loss import SmoothedLosses, loss_differences, smoothed_losses

__all__ = ["Paired"]


@dataclass(frozen=True)
class Paired:
    """Two models' log-probabilities of the same held-out interactions, in the same order.

    Attributes
    ----------
    model
        Held-out interactions with the model's log-probabilities. Its cells, its smoothing and, for a pool, the cells
        of the whole pool are those of both models; ``untouched`` is true only if neither model, nor the choice of the
        pair, has seen the interactions.
    against
        The other model's log-probabilities of the same interactions (nats), over the same cells.

    Raises
    ------
    RefusedError
        If the lists differ in length, or hold NaN or positive log-probabilities.

    Examples
    --------
    >>> part = HeldOut(np.log([0.5, 0.25]), np.array([4, 4]), smoothing=0.5)
    >>> Paired(part, np.log([0.25, 0.25])).differences.losses.round(4)
    array([-0.4055,  0.    ])
    """

    model: HeldOut
    against: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse bad lists at once, and keep a copy that nobody can change."""
        kept = np.array(self.against)
        kept.flags.writeable = False
        object.__setattr__(self, "against", kept)
        _ = self.differences

    @property
    def differences(self) -> SmoothedLosses:
        """The smoothed loss of the model less that of the other, for each interaction; below 0 the model is better."""
        part = self.model
        other = smoothed_losses(self.against, part.cells, part.smoothing)
        cells = part.cells if part.pool is None else part.pool
        return loss_differences(part.losses, other, int(cells.max()), part.smoothing)
