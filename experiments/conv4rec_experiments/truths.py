r"""Known sampling distributions: truths that a study can draw from, and against which a fit can be measured.

Every draw follows the default protocol: users from the marginal ``pi``, then, given the users, independent cells
``y ~ Q_i``. All that a likelihood needs of a sample is its count table (user, cell), so the cost of a study does not
grow with the sample size. Laws are conditional on users; a mix of users turns them into one joint law, and by
default that mix is the sample's own, ``n_i / N``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import bisect

from conv4rec.errors import InputError
from conv4rec_bounds.divergences import kullback_leibler, squared_hellinger, total_variation
from conv4rec_experiments.likelihood import Likelihood

__all__ = ["Distances", "Truth", "reference_truth", "small_truth", "user_mix"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
ENCODER = ("lift", "encode", "code_bias")


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
        Conditional law Q, shape (user, cell), positive; each row sums to one.
    weights
        The teacher's weights as named arrays (see `conv4rec_experiments.likelihood`).
    channels, code, lift_activation, code_activation
        The teacher's class, which the fits share.
    """

    name: str
    seed: int
    profiles: NDArray[np.int64]
    pi: Array
    law: Array
    weights: Mapping[str, Array]
    channels: int
    code: int
    lift_activation: str
    code_activation: str

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
        """The class of maps that contains this truth."""
        return Likelihood(self.profiles, self.channels, self.code, self.lift_activation, self.code_activation)

    @property
    def entropy(self) -> float:
        r"""Conditional entropy ``-sum_i pi_i sum_y Q_i(y) log Q_i(y)`` in nats: the least risk of any model."""
        return self.risk(np.log(self.law))

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
        return float(-(counts * np.log(self.law)).sum() / counts.sum())

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


def reference_truth(
    seed: int = 0,
    *,
    users: int = 40,
    items: int = 30,
    levels: int = 3,
    channels: int = 2,
    code: int = 2,
    profile_items: int = 8,
    entropy_share: float = 0.82,
    name: str = "reference",
) -> Truth:
    """Draw a random Conv4Rec teacher: the reference truth, on which figures compare.

    Every user has a fixed profile of ``profile_items`` random items, each at a random level, and users are uniform.
    Identity lift, tanh codes. Lift, encode and code bias are standard Gaussians, so that the codes' arguments are of
    order one. Decode and project are standard Gaussians times one scale, the cell bias times half of it, so that users
    differ by more than popularity; bisection finds the scale at which the conditional entropy is
    ``entropy_share * log(items * levels)``.

    Examples
    --------
    >>> truth = reference_truth(0)
    >>> round(truth.entropy / log(truth.cells), 6)
    0.82
    """
    if not 1 <= profile_items <= items:
        raise InputError(
            f"A profile of {profile_items} items was asked for among {items}; it must hold 1 to {items}; change it."
        )
    if not 0 < entropy_share < 1:
        raise InputError(
            f"The entropy share was {entropy_share}; it must lie strictly between 0 and 1; for instance 0.82."
        )
    rng = np.random.default_rng(seed)
    profiles = np.zeros((users, items, levels), dtype=np.int64)
    for profile in profiles:
        profile[rng.choice(items, profile_items, replace=False), rng.integers(levels, size=profile_items)] = 1
    likelihood = Likelihood(profiles, channels, code)
    gaussian = likelihood.unpack(rng.standard_normal(likelihood.size))

    def teacher(scale: float) -> dict[str, Array]:
        scales = dict.fromkeys(ENCODER, 1.0) | {"decode": scale, "project": scale, "cell_bias": scale / 2}
        return {name: scales[name] * gaussian[name] for name in gaussian}

    def excess(scale: float) -> float:
        log_law = likelihood.log_law(likelihood.pack(teacher(scale)))
        return float(-(np.exp(log_law) * log_law).sum(axis=1).mean()) - entropy_share * log(likelihood.cells)

    upper = 1.0
    while excess(upper) > 0:
        upper *= 2
    weights = teacher(bisect(excess, 0.0, upper, xtol=1e-12))
    return Truth(
        name=name,
        seed=seed,
        profiles=profiles,
        pi=np.full(users, 1 / users),
        law=np.exp(likelihood.log_law(likelihood.pack(weights))),
        weights=weights,
        channels=channels,
        code=code,
        lift_activation=likelihood.lift_activation,
        code_activation=likelihood.code_activation,
    )


def small_truth(seed: int = 0) -> Truth:
    """Draw the small truth (12 users, 10 items, 3 levels) on which coverage is counted over many replicates."""
    return reference_truth(seed, users=12, items=10, profile_items=5, name="small")
