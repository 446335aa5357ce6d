"""Draws from a posterior with their smoothed losses: what a PAC-Bayes bound is read from."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import frozen_copy, refuse_bad_loss, refuse_bad_size

__all__ = ["Posterior"]


@dataclass(frozen=True)
class Posterior:
    r"""Predictors :math:`\theta_1..\theta_K` drawn from a posterior :math:`\rho`, with losses in one interval.

    Attributes
    ----------
    size
        The number of interactions on which the draws are scored; the posterior may have seen them.
    risks
        Each draw's mean smoothed loss on them in nats, shape (draw,), rounded up.
    squares
        Each draw's mean of :math:`(\ell_t-b)^2` on them, in nats squared, shape (draw,), rounded up.
    centre
        :math:`b`, a guess of the mean loss that was made without them, in [low, high].
    low, high
        An interval that holds every possible loss (Lemma 2), rounded outward.
    log_ratios
        :math:`\log\frac{d\rho}{d\pi}(\theta_k)`, shape (draw,), rounded up.
    uniform_risk
        The uniform law's mean loss on them: the trivial value.
    blind_prior
        False if the prior :math:`\pi` has seen them or, where they are a subset of a pool, what tells which of it they
        are: another part of it, or the random numbers that cut it.
    prior_size
        How many interactions were set apart beforehand, at random, to make the prior: they are not scored, and not in
        the pool.

    Examples
    --------
    >>> Posterior(1000, [3.2], [2.1], 3.0, 0.0, 9.1, [12.0], uniform_risk=4.5).risks
    array([3.2])
    """

    size: int
    risks: NDArray[np.float64]
    squares: NDArray[np.float64]
    centre: float
    low: float
    high: float
    log_ratios: NDArray[np.float64]
    uniform_risk: float
    blind_prior: bool = True
    prior_size: int = 0

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse lists that do not fit together and losses out of range."""
        refuse_bad_size("the part that the draws are scored on", self.size)
        if self.prior_size != 0:
            refuse_bad_size("what the prior was made of", self.prior_size)
        refuse_bad_loss("uniform law's mean loss", self.uniform_risk)
        for name in ("risks", "squares", "log_ratios"):
            object.__setattr__(self, name, frozen_copy(name, getattr(self, name)))
        for name in ("squares", "log_ratios"):
            if self.risks.size != getattr(self, name).size:
                words = name.replace("_", "-")
                raise RefusedError(
                    f"{self.risks.size} risks came with {getattr(self, name).size} {words}; expected as many"
                )
        if not (math.isfinite(self.low) and math.isfinite(self.high) and 0 <= self.low < self.high):
            raise RefusedError(f"losses lie in [{self.low}, {self.high}]; expected a finite interval of length above 0")
        if self.risks.min() < self.low or self.risks.max() > self.high:
            raise RefusedError(
                f"a mean loss lies outside [{self.low}, {self.high}]; expected the losses of the smoothed predictor"
            )
        if not self.low <= self.centre <= self.high:
            raise RefusedError(
                f"squares were taken around {self.centre}; expected a number from {self.low} to {self.high} that was "
                "fixed without the scored interactions"
            )
        # The mean of squares is at least the square of the mean; both may have been rounded up.
        if (self.squares < np.square(self.risks - self.centre) * (1 - 1e-6) - 1e-9).any():
            raise RefusedError(
                f"a mean square around {self.centre} is below that of the mean loss, which no losses have; expected "
                "the mean of (loss - centre)^2 of each draw"
            )
