"""A predictor that was written to a file and read back: what a compression bound is read from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import refuse_bad_size
from conv4rec_bounds.loss import SmoothedLosses, smoothed_losses

__all__ = ["Compressed"]


@dataclass(frozen=True)
class Compressed:
    r"""A predictor that was decoded from a file of :math:`B` bytes, with its log-probabilities on the scored part.

    Attributes
    ----------
    log_probabilities, cells
        The decoded predictor's log-probability of each scored interaction (nats) and the number of unmasked cells of
        its user, shape (interaction,).
    smoothing
        The weight of the uniform law in the certified predictor: fixed without these interactions, or in the file.
    length
        :math:`B`, the length of the whole file in bytes.
    bits
        The bits of each part of the file, which make up :math:`8B`.
    uniform_risk
        The uniform law's mean loss on the scored interactions: the trivial value.
    blind_decoder
        False if the decoder, the map from files to predictors, has seen the scored interactions or, where they are a
        subset of a pool, what tells which of it they are: another part of it, or the random numbers that cut it.

    Raises
    ------
    RefusedError
        If log-probabilities, cells or smoothing are none, the file has no whole number of bytes of at least 0, or its
        parts do not make it up.

    Examples
    --------
    >>> file = Compressed(np.log([0.5, 0.25]), np.array([4, 4]), 0.01, 3, {"header": 16, "encode": 8}, math.log(4))
    >>> round(file.losses.high, 4)
    5.9915
    """

    log_probabilities: NDArray[np.float64]
    cells: NDArray[np.int64]
    smoothing: float
    length: int
    bits: Mapping[str, int] = field(hash=False)
    uniform_risk: float
    blind_decoder: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse bad arrays and a file that its parts do not make up."""
        for name in ("log_probabilities", "cells"):
            kept = np.array(getattr(self, name))
            kept.flags.writeable = False
            object.__setattr__(self, name, kept)
        object.__setattr__(self, "bits", MappingProxyType(dict(self.bits)))
        _ = self.losses
        if self.length != 0:
            refuse_bad_size("the file of the compressed predictor", self.length)
        if not (math.isfinite(self.uniform_risk) and self.uniform_risk >= 0):
            raise RefusedError(
                f"the uniform law's mean loss is {self.uniform_risk}; expected a finite number of at least 0 nats"
            )
        if any(bits < 0 for bits in self.bits.values()) or sum(self.bits.values()) != 8 * self.length:
            raise RefusedError(
                f"a file of {self.length} bytes has parts of {dict(self.bits)} bits; expected whole numbers from 0 on "
                f"that sum to {8 * self.length}; count every bit of the file, its header and its padding too"
            )

    @property
    def losses(self) -> SmoothedLosses:
        """The losses of the smoothed decoded predictor."""
        return smoothed_losses(self.log_probabilities, self.cells, self.smoothing)
