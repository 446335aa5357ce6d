"""Draws from a posterior with their smoothed losses: what a PAC-Bayes bound is read from."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import frozen_copy, refuse_bad_loss, refuse_bad_size

__all__ = ["Against", "Posterior"]


@dataclass(frozen=True)
class Against:
    r"""How draws from a posterior do beside one law :math:`g` that was fixed beforehand, on the same interactions.

    Attributes
    ----------
    differences
        Each draw's mean smoothed loss less that of the law in nats, shape (draw,), rounded up; both are over the same
        cells and smoothed alike.
    squares
        Each draw's mean of :math:`(\ell_t(\theta)-\ell_t(g)-b)^2`, in nats squared, shape (draw,), rounded up.
    centre
        :math:`b`, a guess of the mean difference that was made without them, in [-gap, gap].
    gap
        W: no difference of two smoothed losses is larger (`conv4rec_bounds.loss.loss_differences`), rounded up.
    blind
        False if the law, or the choice of it, has seen the interactions or what tells which they are.

    Examples
    --------
    >>> Against([-0.3], [0.4], centre=-0.2, gap=9.1).differences
    array([-0.3])
    """

    differences: NDArray[np.float64]
    squares: NDArray[np.float64]
    centre: float
    gap: float
    blind: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what two smoothed laws cannot have."""
        if not (math.isfinite(self.gap) and self.gap > 0):
            raise RefusedError(f"no difference of losses is larger than {self.gap}; expected a finite number above 0")
        for name in ("differences", "squares"):
            object.__setattr__(self, name, frozen_copy(name, getattr(self, name)))
        _refuse_odd_means("difference", self.differences, self.squares, self.centre, (-self.gap, self.gap))


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
    against
        How the same draws do on the same interactions beside a law that was fixed beforehand.

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
    against: Against | None = None

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse lists that do not fit together and losses out of range."""
        refuse_bad_size("the part that the draws are scored on", self.size)
        if self.prior_size != 0:
            refuse_bad_size("what the prior was made of", self.prior_size)
        refuse_bad_loss("uniform law's mean loss", self.uniform_risk)
        for name in ("risks", "squares", "log_ratios"):
            object.__setattr__(self, name, frozen_copy(name, getattr(self, name)))
        if self.risks.size != self.log_ratios.size:
            raise RefusedError(f"{self.risks.size} risks came with {self.log_ratios.size} log-ratios; expected as many")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and 0 <= self.low < self.high):
            raise RefusedError(f"losses lie in [{self.low}, {self.high}]; expected a finite interval of length above 0")
        _refuse_odd_means("loss", self.risks, self.squares, self.centre, (self.low, self.high))
        if self.against is not None:
            self._refuse_another_law(self.against.differences)

    def _refuse_another_law(self, differences: NDArray[np.float64]) -> None:
        if differences.size != self.risks.size:
            raise RefusedError(f"{self.risks.size} risks came with {differences.size} differences; expected as many")
        of_the_law = self.risks - differences
        # One law has one mean loss; what was rounded up may differ a little.
        if np.ptp(of_the_law) > 1e-6 or not self.low - 1e-6 <= of_the_law[0] <= self.high + 1e-6:
            raise RefusedError(
                f"by the differences, the other law's mean loss is {of_the_law.min():g} to {of_the_law.max():g}; "
                f"expected one number in [{self.low:g}, {self.high:g}]; compare all draws with one smoothed law on the "
                "interactions that they are scored on"
            )


def _refuse_odd_means(
    word: str,
    means: NDArray[np.float64],
    squares: NDArray[np.float64],
    centre: float,
    ends: tuple[float, float],
) -> None:
    """Refuse means outside their range, and mean squares that numbers with these means cannot have."""
    low, high = ends
    if means.size != squares.size:
        words = {"loss": "risks"}.get(word, f"{word}s")
        raise RefusedError(f"{means.size} {words} came with {squares.size} squares; expected as many")
    if means.min() < low or means.max() > high:
        raise RefusedError(f"a mean {word} lies outside [{low}, {high}]; expected those of smoothed predictors")
    if not low <= centre <= high:
        raise RefusedError(
            f"squares were taken around {centre}; expected a number from {low} to {high} that was fixed without the "
            "scored interactions"
        )
    # The mean of squares is at least the square of the mean; both may have been rounded up.
    if (squares < np.square(means - centre) * (1 - 1e-6) - 1e-9).any():
        raise RefusedError(
            f"a mean square around {centre} is below that of the mean {word}, which no numbers have; expected the mean "
            f"of ({word} - centre)^2 of each draw"
        )
