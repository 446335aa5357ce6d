r"""Known sampling distributions: truths that a study can draw from, and against which a fit can be measured.

Every draw follows the default protocol: users from the marginal ``pi``, then, given the users, independent cells
``y ~ Q_i``. All that a likelihood needs of a sample is its count table (user, cell), so the cost of a study does not
grow with the sample size. Laws are conditional on users; a mix of users turns them into one joint law, and by
default that mix is the sample's own, ``n_i / N``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from conv4rec.errors import InputError
from conv4rec_bounds.divergences import kullback_leibler, squared_hellinger, total_variation
from conv4rec_experiments.fits.likelihood import Likelihood

__all__ = ["Counts", "Distances", "Truth", "user_mix"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Distances:
    r"""Distances from a truth ``Q`` to a law ``P``, each a mean over users under one mix ``w``.

    Attributes
    ----------
    tv
        Total variation ``sum_i w_i sum_y |Q_i(y) - P_i(y)| / 2``, in [0, 1].
    kl
        ``sum_i w_i sum_y Q_i(y) log(Q_i(y) / P_i(y))``, in nats: the excess risk of P.
    hellinger
        ``sqrt(1 - sum_i w_i sum_y sqrt(Q_i(y) P_i(y)))``, in [0, 1].
    """

    tv: float
    kl: float
    hellinger: float


def user_mix(counts: Counts) -> Array:
    """Share of every user among the interactions of a count table (user, cell): the empirical user mix.

    Examples
    --------
    >>> user_mix(np.array([[2, 1], [0, 1]])).tolist()
    [0.75, 0.25]
    """
    total = counts.sum()
    if total == 0:
        raise InputError("The count table is empty; a user mix needs at least one interaction; draw a sample first.")
    mix: Array = counts.sum(axis=1) / total
    return mix


@dataclass(frozen=True, eq=False)
class Truth:
    """A known sampling distribution over cells, conditional on users with fixed profiles.

    Attributes
    ----------
    name
        A short name for tables and figures.
    seed
        The seed that it was made from.
    profiles
        Zeros and ones, shape (user, item, level).
    pi
        User marginal, shape (user,), positive, sums to one.
    law
        Conditional law Q, shape (user, cell), not negative; each row sums to one.
    channels, code, lift_activation, code_activation
        The class of networks that is fitted to samples.
    weights
        Weights of the network of that class whose law is nearest to Q in KL, as named arrays (see
        `conv4rec_experiments.fits.likelihood`), where it is known; else None.
    realisable
        Whether Q is the law of those weights.
    """

    name: str
    seed: int
    profiles: NDArray[np.int64]
    pi: Array
    law: Array
    channels: int
    code: int
    lift_activation: str = "identity"
    code_activation: str = "tanh"
    weights: Mapping[str, Array] | None = None
    realisable: bool = False

    @property
    def users(self) -> int:
        """Number of users m."""
        return int(self.profiles.shape[0])

    @property
    def items(self) -> int:
        """Number of items n."""
        return int(self.profiles.shape[1])

    @property
    def levels(self) -> int:
        """Number of levels R."""
        return int(self.profiles.shape[2])

    @property
    def cells(self) -> int:
        """Number of cells q = nR."""
        return self.items * self.levels

    @cached_property
    def likelihood(self) -> Likelihood:
        """The class of networks that is fitted to samples."""
        return Likelihood(self.profiles, self.channels, self.code, self.lift_activation, self.code_activation)

    @property
    def entropy(self) -> float:
        r"""Conditional entropy ``-sum_i pi_i sum_y Q_i(y) log Q_i(y)`` in nats: the least risk of any model."""
        return float(-self.pi @ xlogy(self.law, self.law).sum(axis=1))

    def sample(self, size: int, rng: np.random.Generator) -> Counts:
        """Draw the count table (user, cell) of ``size`` interactions by multinomials, in time free of ``size``."""
        if size < 1:
            raise InputError(f"The sample size was {size}; a sample needs at least one interaction; raise it.")
        counts: Counts = rng.multinomial(rng.multinomial(size, self.pi), self.law)
        return counts

    def risk(self, log_law: Array, mix: Array | None = None) -> float:
        r"""Risk ``L = -sum_i w_i sum_y Q_i(y) log P_i(y)`` in nats of log-probabilities of shape (user, cell).

        The mix ``w`` is the user marginal unless given.
        """
        return float(-(self.pi if mix is None else mix) @ (self.law * log_law).sum(axis=1))

    def empirical_risk(self, counts: Counts) -> float:
        """Mean loss in nats of the truth itself on a count table of shape (user, cell)."""
        return float(-xlogy(counts, self.law).sum() / counts.sum())

    def tv(self, law: Array, mix: Array | None = None) -> float:
        """Total variation to a law of shape (user, cell), a mean over users under the mix (default: ``pi``)."""
        return total_variation(self.law, law, self.pi if mix is None else mix)

    def distances(self, log_law: Array, mix: Array | None = None) -> Distances:
        """Distances to a law given by its log-probabilities (user, cell), under the mix (default: ``pi``)."""
        weight = self.pi if mix is None else mix
        law = np.exp(log_law)
        return Distances(
            tv=total_variation(self.law, law, weight),
            kl=kullback_leibler(self.law, log_law, weight),
            hellinger=sqrt(squared_hellinger(self.law, law, weight)),
        )
