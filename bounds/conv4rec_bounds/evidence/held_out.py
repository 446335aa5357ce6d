"""Interactions that neither training nor tuning has touched."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, SmoothedLosses, check_cells, smoothed_losses

__all__ = ["HeldOut"]


@dataclass(frozen=True)
class HeldOut:
    """Interactions that neither training nor tuning has touched.

    Attributes
    ----------
    log_probabilities, cells
        The model's log-probability of each interaction (nats) and the number of unmasked cells of its user.
    smoothing
        The weight of the uniform law in the certified predictor, chosen without these interactions.
    untouched
        False if training, early stopping or tuning has seen them or, for a pool, knows which of it was drawn: every
        held-out theorem then refuses.
    pool
        For the finite-pool reading: the number of unmasked cells of every interaction of the pool of which these are
        a uniformly random subset.

    Examples
    --------
    >>> HeldOut(np.log([0.5, 0.25]), np.array([4, 4]), smoothing=0.5).losses.high
    2.079441541679836
    """

    log_probabilities: NDArray[np.float64]
    cells: NDArray[np.int64]
    smoothing: float = DEFAULT_SMOOTHING
    untouched: bool = True
    pool: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Refuse bad arrays at once, not when a theorem is asked, and keep copies that nobody can change."""
        for name in ("log_probabilities", "cells", "pool"):
            given = getattr(self, name)
            if given is not None:
                kept = np.array(given)
                kept.flags.writeable = False
                object.__setattr__(self, name, kept)
        _ = self.losses
        if self.pool is None:
            return
        check_cells(self.pool)
        pool, sample = (np.unique(cells, return_counts=True) for cells in (self.pool, self.cells))
        in_pool = dict(zip(*pool, strict=True))
        if any(in_pool.get(cells, 0) < count for cells, count in zip(*sample, strict=True)):
            raise RefusedError(
                f"a sample of {self.size} interactions cannot come from the pool of {self.pool.size} that was given: "
                "the pool has too few interactions with as many cells; pass the cells of every interaction of the pool"
            )

    @property
    def size(self) -> int:
        """The number of interactions."""
        return int(self.log_probabilities.size)

    @property
    def losses(self) -> SmoothedLosses:
        """The losses of the smoothed predictor."""
        return smoothed_losses(self.log_probabilities, self.cells, self.smoothing)
