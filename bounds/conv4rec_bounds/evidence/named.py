"""Named bounded quantities of a held-out part: losses of interactions, scores of users, probabilities of events."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import frozen_copy, refuse_bad_size
from conv4rec_bounds.loss import SmoothedLosses

__all__ = ["BinnedEvents", "NamedLoss", "NamedLosses", "UserScores"]


@dataclass(frozen=True)
class NamedLoss:
    """One bounded loss of every held-out interaction.

    Attributes
    ----------
    name, unit
        What it is, and what it is measured in.
    values
        The loss of each interaction, shape (interaction,).
    low, high
        An interval that holds the loss of every interaction there can be, also of those of a pool that were not drawn.
    trivial
        What its mean is at most without any theorem; by default `high`.
    error
        An upper bound on the floating-point error of any single value.

    Raises
    ------
    RefusedError
        If the name is empty, values are missing, NaN, infinite or outside the interval, or the interval is empty.

    Examples
    --------
    >>> NamedLoss("level error", "levels", np.array([0.5, 1.0]), low=0.0, high=4.0).trivial
    4.0
    """

    name: str
    unit: str
    values: NDArray[np.float64]
    low: float
    high: float
    trivial: float = np.inf
    error: float = 0.0

    def __post_init__(self) -> None:
        """Keep a copy that nobody can change; refuse values that no such loss can have."""
        if not self.name:
            raise RefusedError("a loss has no name; expected one, by which its bound is reported")
        values = frozen_copy(self.name, self.values)
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise RefusedError(
                f"{self.name} lies between {self.low} and {self.high}; expected a finite interval of positive length; "
                "leave out a loss that can have one value only"
            )
        if not 0 <= self.error < self.high - self.low:
            raise RefusedError(f"the error of a value of {self.name} is {self.error}; expected a small number")
        if (values < self.low - self.error).any() or (values > self.high + self.error).any():
            raise RefusedError(
                f"{self.name} runs from {values.min():g} to {values.max():g}; expected between {self.low:g} and "
                f"{self.high:g}; check the losses or their interval"
            )
        if np.isnan(self.trivial):
            raise RefusedError(f"the trivial value of {self.name} is NaN; expected a number")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "trivial", min(self.trivial, self.high))

    @property
    def bounded(self) -> SmoothedLosses:
        """The values with their interval; the error of a single one covers that of their mean, too."""
        rounding = 4 * 2.0**-53 * float(np.abs(self.values).max())
        return SmoothedLosses(self.values, self.low, self.high, self.error + rounding)


@dataclass(frozen=True)
class NamedLosses:
    """Several losses of the same held-out interactions; the first is the one that a certificate reports as its value.

    Attributes
    ----------
    losses
        At least one, all of the same interactions, with names of their own.
    pool
        For the reading of a finite pool: the number of interactions in the pool of which these are a uniformly random
        subset; None for independent draws.
    untouched
        False if training, early stopping or tuning has seen them or, for a pool, knows which of it was drawn.

    Raises
    ------
    RefusedError
        If there is no loss, names repeat, losses are of different interactions, or the pool is smaller than the part.

    Examples
    --------
    >>> NamedLosses((NamedLoss("error", "levels", np.array([0.5, 1.0]), 0.0, 4.0),), pool=10).size
    2
    """

    losses: tuple[NamedLoss, ...]
    pool: int | None = None
    untouched: bool = True

    def __post_init__(self) -> None:
        """Refuse lists that do not fit together."""
        names = [loss.name for loss in self.losses]
        if not names or len(set(names)) < len(names):
            raise RefusedError(f"the losses are called {names}; expected at least one, each with a name of its own")
        if len({loss.values.size for loss in self.losses}) > 1:
            raise RefusedError(
                f"losses of {[loss.values.size for loss in self.losses]} interactions were given; expected all of them "
                "for the same interactions"
            )
        _refuse_small_pool(self.size, self.pool)

    @property
    def size(self) -> int:
        """The number of interactions."""
        return int(self.losses[0].values.size)


@dataclass(frozen=True)
class UserScores:
    """Scores in [0, 1] of the held-out parts of users, one of each kind for every user; the first is reported.

    Attributes
    ----------
    scores
        Name and scores, each of shape (user,), of the same users: those who have held-out interactions.
    pools
        True if, given its size, each held-out part is a uniformly random subset of a pool of its user's own, drawn
        without regard to the other users.
    whole_users
        True if nothing of these users, their profiles included, was used to make the model.
    untouched
        False if training, early stopping or tuning has seen the held-out parts or, for pools, knows which of them was
        drawn.

    Raises
    ------
    RefusedError
        If there is no score, scores are of different users, are NaN, or leave [0, 1].

    Examples
    --------
    >>> UserScores({"hit": np.array([0.0, 1.0, 1.0])}).size
    3
    """

    scores: Mapping[str, NDArray[np.float64]]
    pools: bool = field(default=False, kw_only=True)
    whole_users: bool = field(default=False, kw_only=True)
    untouched: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what are no scores."""
        kept = {name: frozen_copy(name, values) for name, values in self.scores.items()}
        if not kept or "" in kept:
            raise RefusedError(f"the scores are called {list(kept)}; expected at least one, each with a name")
        for name, values in kept.items():
            if (values < 0).any() or (values > 1).any():
                raise RefusedError(
                    f"{name} runs from {values.min():g} to {values.max():g}; expected scores in [0, 1]; divide by the "
                    "largest that a user can have"
                )
        if len({values.size for values in kept.values()}) > 1:
            raise RefusedError(
                f"scores of {[values.size for values in kept.values()]} users were given; expected the same users"
            )
        object.__setattr__(self, "scores", kept)

    @property
    def size(self) -> int:
        """The number of users."""
        return int(next(iter(self.scores.values())).size)


@dataclass(frozen=True)
class BinnedEvents:
    r"""Events of held-out interactions with the probabilities that a model gave them, and bins of these fixed before.

    Probabilities are taken as the exact numbers given.

    Attributes
    ----------
    happened
        Name and truth values of each event, shape (interaction,); the first is reported.
    probabilities, bins
        For each of them the probability of the event and the number of its bin, integers from 0, shape (interaction,).
    pool
        As for `NamedLosses`.
    blind
        False if bins were chosen with a look at the held-out part.
    untouched
        False if training, early stopping or tuning of the model has seen the held-out part.

    Raises
    ------
    RefusedError
        If there is no event, the three name different ones, probabilities leave [0, 1], bins are no integers from 0,
        or anything differs in length.

    Examples
    --------
    >>> yes = np.array([True, False])
    >>> BinnedEvents({"high": yes}, {"high": [0.7, 0.4]}, {"high": [1, 0]}).size
    2
    """

    happened: Mapping[str, NDArray[np.bool_]]
    probabilities: Mapping[str, NDArray[np.float64]]
    bins: Mapping[str, NDArray[np.int64]]
    pool: int | None = None
    blind: bool = field(default=True, kw_only=True)
    untouched: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what does not fit together."""
        names = list(self.happened)
        if not names or names != list(self.probabilities) or names != list(self.bins):
            raise RefusedError(
                f"events {names} came with probabilities of {list(self.probabilities)} and bins of {list(self.bins)}; "
                "expected at least one event, and both for each in the same order"
            )
        happened = {name: np.array(self.happened[name]) for name in names}
        probabilities = {name: frozen_copy(f"probability of {name}", self.probabilities[name]) for name in names}
        bins = {name: np.array(self.bins[name]) for name in names}
        for name in names:
            if happened[name].dtype != np.bool_ or bins[name].dtype.kind not in "iu":
                raise RefusedError(
                    f"{name!r} has {happened[name].dtype} as what happened and {bins[name].dtype} as bins; expected "
                    "true or false, and integers"
                )
            if (probabilities[name] < 0).any() or (probabilities[name] > 1).any():
                raise RefusedError(f"probabilities of {name!r} leave [0, 1]; expected the model's own")
            shapes = {array[name].shape for array in (happened, probabilities, bins)}
            if len(shapes) > 1 or shapes != {probabilities[names[0]].shape}:
                raise RefusedError(f"{name!r} has lists of shapes {sorted(shapes)}; expected one for each interaction")
            if (bins[name] < 0).any():
                raise RefusedError(f"a bin of {name!r} is {bins[name].min()}; expected numbers from 0")
            for array in (happened, bins):
                array[name].flags.writeable = False
        for field_name, kept in (("happened", happened), ("probabilities", probabilities), ("bins", bins)):
            object.__setattr__(self, field_name, kept)
        _refuse_small_pool(self.size, self.pool)

    @property
    def size(self) -> int:
        """The number of interactions."""
        return int(next(iter(self.happened.values())).size)


def _refuse_small_pool(size: int, pool: int | None) -> None:
    if pool is None:
        return
    refuse_bad_size("the pool", pool)
    if pool < size:
        raise RefusedError(f"a sample of {size} interactions cannot come from a pool of {pool}; pass the pool's size")
