r"""Known sampling distributions: truths that a study can draw from, and against which a fit can be measured.

Every draw follows the default protocol: users from the marginal ``pi``, then, given the users, independent cells
``y ~ Q_i``. All that a likelihood needs of a sample is its count table (user, cell), so the cost of a study does not
grow with the sample size. Laws are conditional on users; a mix of users turns them into one joint law, and by
default that mix is the sample's own, ``n_i / N``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from conv4rec.errors import InputError
from conv4rec_bounds.divergences import kullback_leibler, squared_hellinger, total_variation
from conv4rec_experiments.fits.likelihood import Likelihood

__all__ = ["Counts", "Distances", "Truth", "user_mix"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

LARGEST_SAMPLE = 10**18
ROUNDING = 1e-9


@dataclass(frozen=True)
class Distances:
    r"""Distances from a truth ``Q`` to a law ``P``, each a mean over users under one mix ``w``.

    Attributes
    ----------
    tv
        Total variation ``sum_i w_i sum_y |Q_i(y) - P_i(y)| / 2``, in [0, 1].
    kl
        ``sum_i w_i sum_y Q_i(y) log(Q_i(y) / P_i(y))``, in nats: the excess risk of P; infinite if P misses a cell
        that Q has.
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
        Conditional law Q, shape (user, cell), not negative; each row sums to one. Cells may be empty.
    channels, code, lift_activation, code_activation
        The class of networks that is fitted to samples.
    weights
        Weights of the network of that class whose law is nearest to Q in KL under ``pi``, as named arrays (see
        `conv4rec_experiments.fits.likelihood`), where it is known; else None.
    realisable
        Whether Q is the law of those weights.

    Raises
    ------
    InputError
        If the law or the user marginal is none, or their shapes do not fit the profiles.
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

    def __post_init__(self) -> None:
        if self.profiles.ndim != 3 or self.profiles.size == 0:
            raise InputError(
                f"Profiles of shape {self.profiles.shape} were given; give zeros and ones of shape (user, item, level)."
            )
        if self.law.shape != (self.users, self.cells) or self.pi.shape != (self.users,):
            raise InputError(
                f"A law of shape {self.law.shape} and a user marginal of shape {self.pi.shape} were given; "
                f"the profiles call for {(self.users, self.cells)} and {(self.users,)}; make them agree."
            )
        if not (np.abs(self.law.sum(axis=1) - 1) <= ROUNDING).all() or not (self.law >= 0).all():
            raise InputError("A row of the law is no law; its entries must not be negative and sum to 1; normalise it.")
        if not abs(self.pi.sum() - 1) <= ROUNDING or not (self.pi > 0).all():
            raise InputError("The user marginal is none; its entries must be positive and sum to 1; normalise it.")
        if self.realisable and self.weights is None:
            raise InputError(f"The truth {self.name!r} was called realisable without weights; give them as well.")

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

    @cached_property
    def nearest(self) -> Array | None:
        """Log-probabilities (user, cell) of the network that is nearest to Q in KL under ``pi``; None if unknown."""
        return None if self.weights is None else self.likelihood.log_law(self.likelihood.pack(self.weights))

    @property
    def entropy(self) -> float:
        r"""Conditional entropy ``-sum_i pi_i sum_y Q_i(y) log Q_i(y)`` in nats: the least risk of any model."""
        return float(-self.pi @ xlogy(self.law, self.law).sum(axis=1))

    def sample(self, size: int, rng: np.random.Generator) -> Counts:
        """Draw the count table (user, cell) of ``size`` interactions by multinomials, in time free of ``size``."""
        if not isinstance(size, int | np.integer) or not 1 <= size <= LARGEST_SAMPLE:
            raise InputError(
                f"The sample size was {size!r}; a sample needs a whole number of interactions from 1 to "
                f"{LARGEST_SAMPLE:.0e}; change it."
            )
        return self.sample_given(rng.multinomial(size, self.pi), rng)

    def sample_given(self, numbers: Counts, rng: np.random.Generator) -> Counts:
        """Draw the count table (user, cell) in which user i has ``numbers[i]`` interactions.

        An empty cell stays empty whatever the rounding: a multinomial gives the last cell what is left over, so
        every user's empty cells are drawn first.

        Examples
        --------
        >>> from conv4rec_experiments.truths import small_truth
        >>> counts = small_truth(0).sample_given(np.arange(12), np.random.default_rng(0))
        >>> counts.shape, counts.sum(axis=1).tolist()
        ((12, 30), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        """
        counts: Counts = np.empty(self.law.shape, dtype=np.int64)
        ordered = rng.multinomial(numbers, np.take_along_axis(self.law, self._empty_first, axis=1))
        np.put_along_axis(counts, self._empty_first, ordered, axis=1)
        return counts

    @cached_property
    def _empty_first(self) -> NDArray[np.int64]:
        return np.argsort(self.law > 0, axis=1, kind="stable")

    def risk(self, log_law: Array, mix: Array | None = None) -> float:
        r"""Risk ``L = -sum_i w_i sum_y Q_i(y) log P_i(y)`` in nats of log-probabilities of shape (user, cell).

        The mix ``w`` is the user marginal unless given. Cells that Q or the mix does not have do not count; the
        risk is infinite if P misses one that they have.
        """
        weight = (self.pi if mix is None else mix)[:, None] * self.law
        counted = weight > 0
        if bool(np.isneginf(log_law[counted]).any()):
            return inf
        return float(-(weight * np.where(counted, log_law, 0.0)).sum())

    def empirical_risk(self, counts: Counts) -> float:
        """Mean loss in nats of the truth itself on a count table of shape (user, cell)."""
        total = counts.sum()
        if total == 0:
            raise InputError("The count table is empty; a mean loss needs at least one interaction; draw a sample.")
        return float(-xlogy(counts, self.law).sum() / total)

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

    def comparator_excess(self, mix: Array | None = None) -> float | None:
        r"""Excess risk ``sum_i w_i KL(Q_i || f0_i)`` in nats of the known nearest network f0 under a mix ``w``.

        It is 0 for a realisable truth and None where no nearest network is known. The network is nearest under
        ``pi``, the default mix; under another mix it is a network of the class like any other, so that the least
        excess of the class is at most this.

        Examples
        --------
        >>> from conv4rec_experiments.truths import latent_classes_truth, small_truth
        >>> small_truth(0).comparator_excess(), latent_classes_truth(0).comparator_excess()
        (0.0, None)
        """
        if self.realisable:
            return 0.0
        if self.nearest is None:
            return None
        return kullback_leibler(self.law, self.nearest, self.pi if mix is None else mix)
