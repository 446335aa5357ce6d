"""How hard a fit tries, what it found, and how it ended."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError

__all__ = ["Fit", "Settings", "State"]

Array = NDArray[np.float64]


class State(StrEnum):
    """How a fit ended.

    Only ``ACCEPTED`` says that a maximum was reached and is not above the truth. ``STATIONARY`` is the same without a
    truth to compare with. At ``BOUNDARY`` the training loss is not above the truth's either, and what is left to gain
    is a part of a standard error, but the weights still move: the maximum lies far off or at infinity.
    """

    ACCEPTED = "accepted"
    STATIONARY = "stationary, no truth to compare with"
    BOUNDARY = "maximum far off or at infinity"
    ABOVE_TRUTH = "training loss above the truth's"
    GRADIENT = "gradient above tolerance"
    STALLED = "stalled"


@dataclass(frozen=True)
class Settings:
    """How hard a fit tries.

    Attributes
    ----------
    starts
        Random starts in each round; 0 if only given weights are to be continued.
    kept
        How many of them are continued after screening.
    screening, iterations
        Steps of the short runs, and at most so many steps after them.
    polishing
        At most so many steps with the exact Hessian, for the best start alone.
    rounds
        A fit whose training loss is still above the truth's gets another round, at most so many in all.
    tolerance
        Greatest gradient norm, in standard errors, after scoring and of a fit at the boundary.
    sharpness
        Greatest partial derivative of the mean loss, in nats, of an accepted fit (see `Fit.gradient_max`).
    scale
        Standard deviation of the starting weights.
    ridge, fading
        The screening loss adds ``ridge * fading**step * ||theta||^2 / 2``.
    """

    starts: int = 6
    kept: int = 2
    screening: int = 30
    iterations: int = 120
    polishing: int = 60
    rounds: int = 3
    tolerance: float = 0.5
    sharpness: float = 1e-12
    scale: float = 0.5
    ridge: float = 2e-3
    fading: float = 0.75

    def __post_init__(self) -> None:
        if self.starts < 0 or not min(1, self.starts) <= self.kept <= max(1, self.starts):
            raise InputError(
                f"{self.kept} starts were to be kept of {self.starts}; keep at least one and at most all of them."
            )
        for name, least in (("screening", 0), ("iterations", 0), ("polishing", 0), ("rounds", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; expected at least {least}; raise it.")
        for name in ("tolerance", "sharpness", "scale", "fading"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} is {getattr(self, name)}; expected a positive finite number; change it.")
        if not 0 <= self.ridge < np.inf:
            raise InputError(f"ridge is {self.ridge}; expected a finite number not below 0; change it.")


@dataclass(frozen=True, eq=False)
class Fit:
    r"""One maximum-likelihood fit.

    Attributes
    ----------
    theta
        Flat weights, shape (parameter,).
    training_loss
        Mean loss on the sample, in nats.
    truth_loss
        Mean loss of the truth on the same sample, in nats; NaN where there is no truth to compare with.
    gradient_norm
        Distance from stationarity in standard errors, ``sqrt(N g^T (F + I/N)^{-1} g)`` for the gradient g of the mean
        loss; the truth itself lies about ``sqrt(rank F)`` away.
    iterations
        Steps of the winning start, screening included.
    starts
        Random starts used, all rounds together.
    state
        How it ended.
    gradient_max
        Greatest ``|g|`` of a parameter, in nats.
    newton_decrement
        What is left to gain nearby, in nats, by the quadratic model: ``g^T (F + I/N)^{-1} g / 2``.
    saturated_gap
        Training loss minus the sample's own conditional entropy, in nats: no weights can lie lower by more than this.
    agreement
        Continued starts of the last round that ended, before polishing, within ``tolerance**2 / N`` nats of the best.
    """

    theta: Array
    training_loss: float
    truth_loss: float
    gradient_norm: float
    iterations: int
    starts: int
    state: State
    gradient_max: float = float("nan")
    newton_decrement: float = float("nan")
    saturated_gap: float = float("nan")
    agreement: int = 1

    @property
    def gap(self) -> float:
        """Training loss minus the truth's training loss, in nats; below 0 at an optimum of a class with the truth."""
        return self.training_loss - self.truth_loss
