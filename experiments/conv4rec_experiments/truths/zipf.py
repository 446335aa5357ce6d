"""A truth with Zipf popularity, in which what is consumed depends on how much it would be liked."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_softmax, logit

from conv4rec.errors import InputError
from conv4rec_experiments.truths.profiles import profiles_from_law
from conv4rec_experiments.truths.sizes import Sizes, between, generator
from conv4rec_experiments.truths.truth import Array, Truth

__all__ = ["SelectionBias", "selection_bias", "zipf_popularity", "zipf_truth"]


def zipf_popularity(number: int, exponent: float) -> Array:
    """Shares proportional to ``rank ** -exponent`` for ranks 1 to ``number``, shape (number,).

    Examples
    --------
    >>> zipf_popularity(2, 1.0).round(4).tolist()
    [0.6667, 0.3333]
    """
    weight = np.arange(1, number + 1, dtype=np.float64) ** -exponent
    share: Array = weight / weight.sum()
    return share


def zipf_truth(
    seed: int = 0,
    *,
    users: int = 40,
    items: int = 30,
    levels: int = 3,
    channels: int = 2,
    code: int = 2,
    profile_items: int = 8,
    exponent: float = 1.0,
    beta: float = 1.0,
    rank: int = 3,
    slope: float = 1.5,
    activity: float = 0.5,
    name: str = "zipf",
) -> Truth:
    r"""Draw a truth with popular and rare items and ratings that are missing not at random.

    The utility of item j for user i is ``u_ij = <a_i, b_j> / sqrt(rank)`` with standard Gaussian vectors. With the
    popularity ``p_j`` proportional to ``(j + 1) ** -exponent``, the user marginal ``pi_i`` proportional to
    ``(i + 1) ** -activity`` and ``sigma`` the logistic function,

        ``Q_i(j)`` is proportional to ``p_j exp(beta u_ij)``  and
        ``Q_i(level <= r | j) = sigma(logit(r / R) - slope u_ij)`` for r = 1..R-1.

    With ``beta = 0`` ratings are missing at random given the item; with ``beta > 0`` items that would be liked are
    consumed more, and the mean level of consumed items is above that of all items (see `selection_bias`). Profiles are
    drawn from the users' own laws. The nearest network is unknown.

    Raises
    ------
    InputError
        If the sizes do not go together or a number is out of range.

    Examples
    --------
    >>> truth = zipf_truth(0)
    >>> round(selection_bias(truth, zipf_popularity(30, 1.0)).bias, 3)
    0.274
    """
    sizes = Sizes(users, items, levels, channels, code, profile_items)
    if isinstance(rank, bool) or not isinstance(rank, int | np.integer) or rank < 1:
        raise InputError(f"The rank of the utilities was {rank!r}; expected a whole number of at least 1; change it.")
    between("exponent of the popularity", exponent, -1e-9, 10)
    between("exponent of the users' activity", activity, -1e-9, 10)
    between("strength beta of the selection", beta, -20, 20)
    between("slope of the levels", slope, -20, 20)
    rng = generator(seed)
    utility = rng.standard_normal((users, rank)) @ rng.standard_normal((rank, items)) / np.sqrt(rank)
    consumed = np.exp(log_softmax(np.log(zipf_popularity(items, exponent)) + beta * utility, axis=1))
    thresholds = logit(np.arange(1, levels) / levels)
    at_most = expit(thresholds - slope * utility[:, :, None])
    edges = np.concatenate([np.zeros((users, items, 1)), at_most, np.ones((users, items, 1))], axis=2)
    law = (consumed[:, :, None] * np.diff(edges, axis=2)).reshape(users, sizes.cells)
    law /= law.sum(axis=1, keepdims=True)
    return Truth(
        name=name,
        seed=seed,
        profiles=profiles_from_law(rng, law, sizes),
        pi=zipf_popularity(users, activity),
        law=law,
        channels=channels,
        code=code,
    )


@dataclass(frozen=True)
class SelectionBias:
    """Mean levels with and without selection; levels count 1 to R.

    Attributes
    ----------
    consumed
        ``sum_i pi_i sum_j Q_i(j) E_i(level | j)``: the mean level of what is consumed.
    offered
        ``sum_i pi_i sum_j p_j E_i(level | j)``: the mean level if items were consumed by popularity alone.
    """

    consumed: float
    offered: float

    @property
    def bias(self) -> float:
        """How far the mean level of what is consumed lies above that of what is offered."""
        return self.consumed - self.offered


def selection_bias(truth: Truth, popularity: Array) -> SelectionBias:
    """Compare the mean level of consumed items with that of all items, weighted by a popularity of shape (item,).

    Raises
    ------
    InputError
        If the popularity is no law over the items, or a user never consumes some item, whose level is then unknown.

    Examples
    --------
    >>> found = selection_bias(zipf_truth(0, beta=0.0), zipf_popularity(30, 1.0))
    >>> abs(round(found.bias, 12))
    0.0
    """
    weights = np.asarray(popularity, dtype=np.float64)
    if weights.shape != (truth.items,) or not (weights >= 0).all() or not abs(weights.sum() - 1) <= 1e-9:
        raise InputError(
            f"A popularity of shape {weights.shape} was given; expected {truth.items} shares that sum to 1; change it."
        )
    table = truth.law.reshape(truth.users, truth.items, truth.levels)
    mass = table.sum(axis=2)
    if not (mass > 0).all():
        raise InputError("Some user never consumes some item, so that its level is unknown; use a truth without zeros.")
    level = (table @ np.arange(1.0, truth.levels + 1)) / mass
    return SelectionBias(
        consumed=float(truth.pi @ (mass * level).sum(axis=1)), offered=float(truth.pi @ (level @ weights))
    )
