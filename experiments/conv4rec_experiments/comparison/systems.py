"""What every recommender of a comparison can do, whoever made it: rank items, expect a level, give probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from conv4rec import Part

if TYPE_CHECKING:
    from conv4rec import Interactions, Split

__all__ = ["Criterion", "Fitted", "Levels", "Options", "Ranker", "Rater", "System", "Task"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Options: TypeAlias = Mapping[str, Any]
Criterion = Literal["NDCG@100", "RMSE", "level log-loss"]


@dataclass(frozen=True)
class Task:
    """What a system may learn from: the training and validation parts of a split, never the held-out part.

    Attributes
    ----------
    split : Split
        Profile and scored part together are the training part.
    seed : int
        For whatever a system draws.
    """

    split: Split
    seed: int

    @cached_property
    def training(self) -> Interactions:
        """Interactions to learn from."""
        part = self.split.part
        return self.split.interactions.subset((part == Part.PROFILE) | (part == Part.SCORED))

    @property
    def validation(self) -> Interactions:
        """Interactions to choose by, and to fit temperatures and thresholds on."""
        return self.split.validation

    @cached_property
    def consumed(self) -> csr_array[Any]:
        """Training part as a matrix of ones, shape (user, item)."""
        part = self.training
        ones = np.ones(len(part))
        return csr_array((ones, (part.user, part.item)), shape=(part.n_users, part.n_items))

    @cached_property
    def ratings(self) -> Array:
        """Values of the training part's levels, shape (interaction,)."""
        values: Array = self.training.level_values[self.training.level]
        return values


class Ranker(Protocol):
    """Whatever scores items."""

    def scores(self, users: Codes) -> Array:
        """Return scores of all items, shape (user, item): finite, and the greater the better."""
        ...


class Rater(Protocol):
    """Whatever expects levels."""

    def expected_levels(self, user: Codes, item: Codes) -> Array:
        """Return the expected level of pairs, shape (pair,), in the unit of the levels."""
        ...


class Levels(Protocol):
    """Whatever gives probabilities to levels."""

    def level_probabilities(self, user: Codes, item: Codes) -> Array:
        """Return P(level | consumed) of pairs, shape (pair, level); rows sum to 1."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A fitted recommender: what it cannot do is None.

    Attributes
    ----------
    ranker : Ranker or None
    temperature : float or None
        P(consume) is the softmax of scores over this, among the items that a user is shown.
    rater : Rater or None
    levels : Levels or None
    seconds : float or None
        How long the fits took that it is made of, where choosing among others was part of making it.
    """

    ranker: Ranker | None = None
    temperature: float | None = None
    rater: Rater | None = None
    levels: Levels | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class System:
    """A recommender by name, with the options that are tried.

    Attributes
    ----------
    name : str
        As in tables.
    fit : callable
        Takes a task and options, returns a `Fitted`.
    criterion : str
        The validation figure by which options are chosen.
    grid : tuple of dict
        What is tried; the first stands for all where there is nothing to choose.
    packages : tuple of str
        Python packages that have to be installed.
    rates : bool
        Whether the system needs more than one level.
    """

    name: str
    fit: Callable[[Task, Options], Fitted]
    criterion: Criterion
    grid: tuple[Options, ...] = ({},)
    packages: tuple[str, ...] = ()
    rates: bool = False
