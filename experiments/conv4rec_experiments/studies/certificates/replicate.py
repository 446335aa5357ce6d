"""One replicate as certificates see it: what was drawn, what was fitted, and what is true."""

from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from conv4rec_bounds import Network, Protocol
from conv4rec_bounds.divergences import total_variation
from conv4rec_experiments.fits.fitting import Fit
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.studies.certificates.refits import HALF, Refits
from conv4rec_experiments.studies.samplings import Sample
from conv4rec_experiments.truths.truth import Counts, Truth, user_mix

__all__ = ["Replicate", "coins", "mean_loss"]

Array = NDArray[np.float64]


def coins(key: tuple[int, ...], purpose: str) -> np.random.Generator:
    """Give a generator that depends on a replicate's key and on a purpose in words."""
    return np.random.default_rng(np.random.SeedSequence(key, spawn_key=(crc32(purpose.encode()),)))


@dataclass(frozen=True, eq=False)
class Replicate:
    """What one replicate's certificates are computed from and measured against.

    Attributes
    ----------
    truth
        What was drawn from.
    protocol
        ``"fixed profile"`` or ``"self-reconstruction"``, in which the networks read the sample itself.
    sample
        The interactions. Independence is declared whether it is true or not.
    fit, likelihood
        The fit to the whole sample, and the map from its weights to laws.
    key
        What all coins of this replicate's certificates come from (see `coins`).
    refits
        Predictors made before the end of the sample; None where networks read the whole sample.
    least
        Least losses of the class that were found on the last block and on the slices that T7b scores on the realisable
        basis, in nats; None where the truth is no network of the class.
    """

    truth: Truth
    protocol: str
    sample: Sample
    fit: Fit
    likelihood: Likelihood
    key: tuple[int, ...]
    refits: Refits | None
    least: tuple[float, float] | None

    def coins(self, purpose: str) -> np.random.Generator:
        """Give the coins of one purpose: the same whatever else is computed, and not those of the sample."""
        return coins(self.key, purpose)

    @property
    def declared(self) -> Protocol:
        """The protocol as a user of the certificates declares it."""
        if self.protocol == "fixed profile":
            return Protocol("independent", users="independent")
        return Protocol("independent", profile="self-reconstruction")

    @cached_property
    def total(self) -> Counts:
        """Counts of the whole sample, shape (user, cell)."""
        return self.sample.total

    @cached_property
    def size(self) -> int:
        """Number N of interactions in the sample."""
        return int(self.total.sum())

    @cached_property
    def mix(self) -> Array:
        """Share of every user in the sample."""
        return user_mix(self.total)

    @cached_property
    def log_law(self) -> Array:
        """Log-probabilities of the fit, shape (user, cell)."""
        return self.likelihood.log_law(self.fit.theta)

    @cached_property
    def law(self) -> Array:
        """Probabilities of the fit, shape (user, cell)."""
        law: Array = np.exp(self.log_law)
        return law

    @cached_property
    def network(self) -> Network:
        """The fit as a network."""
        truth = self.truth
        return Network(self.likelihood.unpack(self.fit.theta), truth.lift_activation, truth.code_activation)

    @property
    def last(self) -> Counts:
        """Counts of the last block, which no predictor of `refits` has seen, shape (user, cell)."""
        counts: Counts = self.sample.blocks[-1]
        return counts

    @property
    def before(self) -> Array:
        """Log-probabilities of the predictor that the last block is scored by, shape (user, cell).

        It was made from the blocks before; where networks read the sample, there is none, and the fit is scored.
        """
        law: Array = self.log_law if self.refits is None else self.refits.log_laws[HALF]
        return law

    def risk(self, log_law: Array, mix: Array) -> float:
        """Exact risk of log-probabilities (user, cell) under the target's law and a mix of users, in nats."""
        return float(-mix @ np.where(self.sample.target_law > 0, self.sample.target_law * log_law, 0.0).sum(axis=1))

    def distance(self, law: Array, mix: Array) -> float:
        """Exact total variation of a law (user, cell) to the target's law under a mix of users."""
        return total_variation(self.sample.target_law, law, mix)

    def truth_loss(self, counts: Counts) -> float:
        """Mean loss of the target's law itself on a count table (user, cell), in nats."""
        return float(-xlogy(counts, self.sample.target_law).sum() / max(1, counts.sum()))


def mean_loss(counts: Counts, log_law: Array) -> float:
    """Mean loss of log-probabilities (user, cell) on a count table of the same shape, in nats."""
    return float(-(counts * log_law).sum() / max(1, counts.sum()))
