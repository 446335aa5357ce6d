r"""How far an estimate is from the truth, in everything that a recommender is used for.

A truth Q and an estimate P are conditional laws of a cell (item, level) given the user, tables of shape (user, cell).
All measures are computed user by user first; a mix of users then makes them means. They are the quantities of theorem
T10 (what total variation buys), so its inequalities hold between them.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec.profiles import high_levels, unlikely_items

__all__ = ["LIST_LENGTH", "Comparison", "Measures"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LIST_LENGTH = 5
CELLS_AT_ONCE = 2**19
LEAST_NORMAL = np.finfo(np.float64).tiny
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Measures:
    """Means over users under one mix; see `conv4rec_experiments.studies.tables.MEASURES` for each of them."""

    tv: float
    tv_implicit: float
    tv_explicit: float
    kl: float
    kl_implicit: float
    kl_explicit: float
    hellinger: float
    level_error: float
    topk_regret: float
    gem_precision: float | None
    gem_precision_best: float | None


@dataclass(frozen=True, eq=False)
class Comparison:
    r"""A truth and an estimate, user by user.

    Write ``q_j = sum_r Q(j, r)``, and P likewise. Where a law has no mass on an item, its levels count as uniform.

    Attributes
    ----------
    item_tv
        ``sum_r |Q(j, r) - P(j, r)| / 2``, shape (user, item).
    item_mass
        The truth's ``q_j``, shape (user, item).
    tv_implicit, tv_explicit
        ``sum_j |q_j - p_j| / 2`` and ``sum_j q_j sum_r |Q(r|j) - P(r|j)| / 2``, shape (user,).
    kl_implicit, kl_explicit
        ``sum_j q_j log(q_j / p_j)`` and ``sum_jr Q(j, r) log(Q(r|j) / P(r|j))`` in nats, shape (user,).
    squared_hellinger
        ``sum_jr (sqrt Q - sqrt P)^2 / 2``, shape (user,).
    level_error
        ``sum_j q_j |E_Q[level | j] - E_P[level | j]|``, levels counting 1 to R, shape (user,).
    topk_regret
        Truth's mass of its best K items less that of the estimate's best K, shape (user,).
    gems, best_gems
        Truth's mass on the items of the estimate's, and of its own, list of hidden gems, shape (user, 2): at a high
        level, and at any level. With one level no level is high, and all are 0.
    """

    item_tv: Array
    item_mass: Array
    tv_implicit: Array
    tv_explicit: Array
    kl_implicit: Array
    kl_explicit: Array
    squared_hellinger: Array
    level_error: Array
    topk_regret: Array
    gems: Array
    best_gems: Array

    @classmethod
    def of(cls, law: Array, log_law: Array, candidates: Mask) -> Self:
        """Compare a truth with an estimate.

        Parameters
        ----------
        law
            Truth Q, shape (user, cell), cells in the order of items, each with its levels.
        log_law
            Logarithms of the estimate P, same shape; minus infinity where it has no mass.
        candidates
            Items that may be a hidden gem of the user, shape (user, item).

        Raises
        ------
        InputError
            If shapes differ, or rows of the laws are no probabilities that sum to one.

        Examples
        --------
        >>> truth, estimate = np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]])
        >>> found = Comparison.of(truth, np.log(estimate), np.ones((1, 1), dtype=bool)).mean(np.ones(1))
        >>> found.tv, found.tv_implicit, round(found.tv_explicit, 12), round(found.level_error, 12), found.gem_precision
        (0.25, 0.0, 0.25, 0.25, 0.5)
        """
        _check(law, log_law, candidates)
        step = max(1, CELLS_AT_ONCE // law.shape[1])
        parts = [
            _compare(law[begin : begin + step], log_law[begin : begin + step], candidates[begin : begin + step])
            for begin in range(0, len(law), step)
        ]
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    @property
    def tv(self) -> Array:
        """Total variation ``sum_jr |Q - P| / 2`` of every user, shape (user,)."""
        result: Array = self.item_tv.sum(axis=1)
        return result

    def mean(self, mix: Array) -> Measures:
        """Average over users under a mix of shape (user,) that sums to one; users of weight 0 do not count."""
        kl_implicit, kl_explicit = (max(0.0, _mean(kl, mix)) for kl in (self.kl_implicit, self.kl_explicit))
        return Measures(
            tv=_mean(self.tv, mix),
            tv_implicit=_mean(self.tv_implicit, mix),
            tv_explicit=_mean(self.tv_explicit, mix),
            kl=kl_implicit + kl_explicit,
            kl_implicit=kl_implicit,
            kl_explicit=kl_explicit,
            hellinger=sqrt(_mean(self.squared_hellinger, mix)),
            level_error=_mean(self.level_error, mix),
            topk_regret=_mean(self.topk_regret, mix),
            gem_precision=_precision(self.gems, mix),
            gem_precision_best=_precision(self.best_gems, mix),
        )


def _compare(law: Array, log_law: Array, candidates: Mask) -> dict[str, Array]:
    users, items = candidates.shape
    shape = (users, items, law.shape[1] // items)
    with np.errstate(divide="ignore"):
        log_truth = np.log(law)
    truth = _Chain.of(law.reshape(shape), log_truth.reshape(shape))
    estimate = _Chain.of(np.exp(log_law).reshape(shape), log_law.reshape(shape))
    values = np.arange(1.0, shape[2] + 1)
    best, listed = _best(truth.item), _best(estimate.item)
    gems = best_gems = np.zeros((users, 2))
    if shape[2] > 1:
        high = high_levels(values)
        caught = np.stack([truth.law[..., high].sum(axis=2), truth.item], axis=2)
        gems, best_gems = (
            (caught * _gems(chain.item, chain.share(high), candidates)[..., None]).sum(axis=1)
            for chain in (estimate, truth)
        )
    return {
        "item_tv": np.abs(truth.law - estimate.law).sum(axis=2) / 2,
        "item_mass": truth.item,
        "tv_implicit": np.abs(truth.item - estimate.item).sum(axis=1) / 2,
        "tv_explicit": (truth.item * np.abs(truth.level - estimate.level).sum(axis=2)).sum(axis=1) / 2,
        "kl_implicit": _divergence(truth.item, truth.log_item, estimate.log_item).sum(axis=1),
        "kl_explicit": _divergence(truth.law, truth.log_level, estimate.log_level).sum(axis=(1, 2)),
        "squared_hellinger": np.square(np.sqrt(truth.law) - np.sqrt(estimate.law)).sum(axis=(1, 2)) / 2,
        "level_error": (truth.item * np.abs(((truth.level - estimate.level) * values).sum(axis=2))).sum(axis=1),
        "topk_regret": np.maximum(0, (truth.item * (best.astype(np.int8) - listed)).sum(axis=1)),
        "gems": gems,
        "best_gems": best_gems,
    }


@dataclass(frozen=True, eq=False)
class _Chain:
    """A law (user, item, level) by the chain rule: P(j) and P(r | j), with their logarithms.

    Probabilities of items are plain sums, so that items of equal cells are exactly tied; logarithms also tell laws
    apart that are too small for a float.
    """

    law: Array
    item: Array
    level: Array
    log_item: Array
    log_level: Array

    @classmethod
    def of(cls, law: Array, log_law: Array) -> Self:
        top = log_law.max(axis=2, keepdims=True)
        missing = np.isneginf(top)
        with np.errstate(divide="ignore"):
            log_item = top + np.log(np.exp(log_law - np.where(missing, 0.0, top)).sum(axis=2, keepdims=True))
        log_level = np.where(missing, -np.log(law.shape[2]), log_law - np.where(missing, 0.0, log_item))
        return cls(law, law.sum(axis=2), np.exp(log_level), log_item[..., 0], log_level)

    def share(self, chosen: Mask) -> Array:
        """P(r in chosen | j), shape (user, item); exactly 0 or 1 where it is."""
        share = self.level[..., chosen].sum(axis=2)
        exact = self.item > LEAST_NORMAL
        result: Array = np.divide(self.law[..., chosen].sum(axis=2), self.item, out=share, where=exact)
        return result


def _divergence(weight: Array, log_truth: Array, log_estimate: Array) -> Array:
    """Terms ``weight * log(truth / estimate)``, 0 where the weight is."""
    counted = weight > 0
    terms: Array = weight * (np.where(counted, log_truth, 0.0) - np.where(counted, log_estimate, 0.0))
    return terms


def _best(consume: Array) -> Mask:
    """Each user's K most probable items, of equals the first."""
    order = np.argsort(-consume, axis=1, kind="stable")[:, :LIST_LENGTH]
    return _marked(order, consume.shape)


def _gems(consume: Array, high: Array, candidates: Mask) -> Mask:
    """Each user's hidden gems, as `conv4rec.profiles.rank_gems` has them, for all users at once."""
    unlikely = unlikely_items(consume, candidates)
    order = np.argsort(np.where(unlikely, -high, np.inf), axis=1, kind="stable")[:, :LIST_LENGTH]
    chosen: Mask = _marked(order, candidates.shape) & unlikely
    return chosen


def _marked(order: NDArray[np.int64], shape: tuple[int, ...]) -> Mask:
    marked = np.zeros(shape, dtype=bool)
    np.put_along_axis(marked, order, True, axis=1)
    return marked


def _mean(values: Array, mix: Array) -> float:
    """Mean under a mix; a sum in fixed order, whatever the number of threads."""
    return float((mix * np.where(mix > 0, values, 0.0)).sum())


def _precision(caught: Array, mix: Array) -> float | None:
    high, mass = _mean(caught[:, 0], mix), _mean(caught[:, 1], mix)
    return high / mass if mass > 0 else None


def _check(law: Array, log_law: Array, candidates: Mask) -> None:
    whole = candidates.ndim == 2 and law.ndim == 2 and candidates.size > 0 and law.size > 0
    if not whole or law.shape != log_law.shape or len(law) != len(candidates) or law.shape[1] % candidates.shape[1]:
        raise InputError(
            f"A truth of shape {law.shape}, an estimate of shape {log_law.shape} and candidates of shape "
            f"{candidates.shape} came together; expected (user, cell) twice and (user, item)."
        )
    with np.errstate(over="ignore"):
        sums = [table.sum(axis=1) for table in (law, np.exp(log_law))]
    if not (law >= 0).all() or not all((np.abs(total - 1) <= TOLERANCE).all() for total in sums):
        raise InputError(
            "A row of a law does not sum to one, or has a negative or missing entry; expected conditional laws of "
            "cells given the user, the estimate by its logarithms; normalise the rows."
        )
