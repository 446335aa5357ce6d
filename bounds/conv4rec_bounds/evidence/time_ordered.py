"""Interactions that were predicted one after the other, each before it was seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import refuse_bad_size
from conv4rec_bounds.loss import (
    DEFAULT_SMOOTHING,
    SmoothedLosses,
    check_cells,
    loss_differences,
    smoothed_losses,
    smoothed_range,
)

__all__ = ["TimeOrdered"]


@dataclass(frozen=True)
class TimeOrdered:
    """Interactions in time order with the log-probabilities that were given to them before they were seen.

    Attributes
    ----------
    log_probabilities, cells
        The log-probability of each interaction (nats), by a predictor made from what came before it, and the number of
        cells that its user's softmax ranged over; their order is that of time.
    most_cells
        The largest number of cells that any softmax can have, fixed before the first interaction: all of the catalogue.
    against
        The log-probabilities of another predictor, made likewise, if one is compared with the other.
    smoothing
        The weight of the uniform law in every predictor, fixed before the first interaction.
    predicted
        False if a predictor has seen the interaction that it scores, or a later one.

    Raises
    ------
    RefusedError
        If the lists differ in length, hold NaN or positive log-probabilities, or a softmax has more cells than the
        catalogue.

    Examples
    --------
    >>> ordered = TimeOrdered(np.log([0.5, 0.25]), np.array([4, 3]), most_cells=4, smoothing=0.5)
    >>> ordered.values.low, round(ordered.values.high, 4)
    (0.0, 2.0794)
    """

    log_probabilities: NDArray[np.float64]
    cells: NDArray[np.int64]
    most_cells: int
    against: NDArray[np.float64] | None = None
    smoothing: float = DEFAULT_SMOOTHING
    predicted: bool = True

    def __post_init__(self) -> None:
        """Refuse bad lists at once, and keep copies that nobody can change."""
        for name in ("log_probabilities", "cells", "against"):
            given = getattr(self, name)
            if given is not None:
                kept = np.array(given)
                kept.flags.writeable = False
                object.__setattr__(self, name, kept)
        check_cells(self.cells)
        refuse_bad_size("the catalogue (most_cells)", self.most_cells)
        if int(self.cells.max()) > self.most_cells:
            raise RefusedError(
                f"an interaction has {int(self.cells.max())} cells, but at most {self.most_cells} were said to be "
                "possible before the first interaction; give the number of all cells of the catalogue"
            )
        _ = self.values

    @property
    def size(self) -> int:
        """The number of interactions."""
        return int(self.log_probabilities.size)

    @property
    def values(self) -> SmoothedLosses:
        """The smoothed losses or, against another predictor, their differences, with a range fixed beforehand."""
        own = smoothed_losses(self.log_probabilities, self.cells, self.smoothing)
        if self.against is not None:
            other = smoothed_losses(self.against, self.cells, self.smoothing)
            return loss_differences(own, other, self.most_cells, self.smoothing)
        # A user with a single cell may turn up at any time: his loss is 0.
        high = smoothed_range(1, self.most_cells, self.smoothing)[1]
        return SmoothedLosses(own.losses, 0.0, high, own.error)
