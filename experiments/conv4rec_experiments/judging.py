"""What else a model is judged by on its held-out part: losses of both tasks, lists of users, calibration of levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from conv4rec.loss import LogProbabilities
from conv4rec.profiles import high_levels
from conv4rec_bounds import BinnedEvents, NamedLoss, NamedLosses, UserScores
from conv4rec_bounds.loss import smoothed_losses
from conv4rec_experiments.ranking import RankedPart, held_out_ranks

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions

__all__ = ["EXPLICIT", "HIGH", "IMPLICIT", "LEVEL_ERROR", "Judged", "bin_edges", "binned_error", "level_sets"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

EXPLICIT, IMPLICIT, LEVEL_ERROR = "explicit loss", "implicit loss", "level error"
HIGH = "high level"
BINS = 10


@dataclass(frozen=True)
class Judged:
    """Numbers of every interaction of the held-out part.

    Attributes
    ----------
    losses
        Smoothed explicit loss, smoothed implicit loss and error of the expected level; a single level has no other than
        the implicit one.
    ranked
        The interactions with the ranks of their items.
    events
        For high levels and, if there are more than two levels, each level: whether it happened, its probability given
        the item, and its bin; None for a single level.
    edges, levels
        The edges of the bins of each event, and the levels of which it is that one of them is given.
    """

    losses: NamedLosses
    ranked: RankedPart
    events: BinnedEvents | None
    edges: dict[str, Array]
    levels: dict[str, Mask]

    @classmethod
    def of(cls, model: Conv4Rec, found: LogProbabilities, smoothing: float) -> Judged:
        """Score the held-out part; bins have equal mass on the validation part, or the scored part if there is none."""
        split = model.split
        events, edges, levels = None, {}, level_sets(model.interactions)
        if levels:
            earlier = split.validation if len(split.validation) else split.scored
            edges = {name: bin_edges(p) for name, p in _probabilities(model, earlier, levels).items()}
            told = _probabilities(model, split.held_out, levels)
            events = BinnedEvents(
                {name: chosen[split.held_out.level] for name, chosen in levels.items()},
                told,
                {name: np.searchsorted(edges[name], p, side="right") for name, p in told.items()},
            )
        return cls(_losses(model, found, smoothing), held_out_ranks(model), events, edges, levels)

    def evidence(self, rows: Rows | None) -> dict[str, Any]:
        """Return what theorems may look at: all interactions as independent draws, or some rows as those of a pool."""
        chosen = np.arange(self.losses.size) if rows is None else rows
        pool = None if rows is None else self.losses.size
        losses = (replace(loss, values=loss.values[chosen]) for loss in self.losses.losses)
        found: dict[str, Any] = {
            "named_losses": NamedLosses(tuple(losses), pool),
            "user_scores": UserScores(self.drawn(chosen).scores, pools=rows is not None),
        }
        if self.events is not None:
            found["binned_events"] = BinnedEvents(
                {name: values[chosen] for name, values in self.events.happened.items()},
                {name: values[chosen] for name, values in self.events.probabilities.items()},
                {name: values[chosen] for name, values in self.events.bins.items()},
                pool,
            )
        return found

    def drawn(self, rows: Rows) -> RankedPart:
        """Return some of the ranked interactions."""
        ranked = self.ranked
        return replace(ranked, user=ranked.user[rows], item=ranked.item[rows], rank=ranked.rank[rows])

    def over_the_pool(self, rows: Rows) -> dict[str, dict[str, float]]:
        """Return, by theorem and name, the exact values for the pool of which these rows are a random subset."""
        users, sizes = np.unique(self.ranked.user[rows], return_counts=True)
        found = {
            "T9-parts": {loss.name: float(loss.values.mean()) for loss in self.losses.losses},
            "T9-users": self.ranked.expected(dict(zip(users.tolist(), sizes.tolist(), strict=True))),
        }
        if self.events is not None:
            events = self.events
            found["T9-calibration"] = {
                name: binned_error(happened - events.probabilities[name], events.bins[name])
                for name, happened in events.happened.items()
            }
        return found


def _losses(model: Conv4Rec, found: LogProbabilities, smoothing: float) -> NamedLosses:
    data, part = model.interactions, model.split.held_out
    items = found.cells // data.n_levels
    item = smoothed_losses(found.implicit, items, smoothing)
    implicit = NamedLoss(
        IMPLICIT, "nats", item.losses, item.low, item.high, trivial=float(np.log(items).mean()), error=item.error
    )
    if data.n_levels == 1:
        return NamedLosses((implicit,))
    # A level's probability is the quotient of two; rounding may leave it a hair above 1.
    level = smoothed_losses(np.minimum(found.joint - found.implicit, 0.0), np.full(len(part), data.n_levels), smoothing)
    values = data.level_values
    low, high = float(values.min()), float(values.max())
    users, chosen = data.user_ids.gather(part.user), data.item_ids.gather(part.item)
    expected = np.clip(model.expected_level(users, chosen), low, high)
    explicit = NamedLoss(
        EXPLICIT, "nats", level.losses, level.low, level.high, trivial=math.log(data.n_levels), error=level.error
    )
    errors = np.abs(values[part.level] - expected)
    rounding = 2.0**-53 * (high - low)
    level_error = NamedLoss(LEVEL_ERROR, "levels", errors, 0.0, high - low, trivial=(high - low) / 2, error=rounding)
    return NamedLosses((explicit, implicit, level_error))


def level_sets(data: Interactions) -> dict[str, Mask]:
    """Return the sets of levels whose probabilities are judged: the high ones and, of more than two, each by itself."""
    if data.n_levels == 1:
        return {}
    sets = {HIGH: high_levels(data.level_values)}
    if data.n_levels > 2:
        sets |= {f"level {name}": np.arange(data.n_levels) == place for place, name in enumerate(data.levels)}
    return sets


def _probabilities(model: Conv4Rec, part: Interactions, levels: Mapping[str, Mask]) -> dict[str, Array]:
    """Return the model's probability of each set of levels, given the consumed item, for every interaction."""
    ids = part.user_ids.gather(part.user), part.item_ids.gather(part.item)
    law = model.levels(*ids)
    return {name: law[:, chosen].sum(axis=1).clip(0, 1) for name, chosen in levels.items()}


def bin_edges(probabilities: Array, bins: int = BINS) -> Array:
    """Return the inner edges of bins of about equal mass, each halfway between two values that differ in 12 digits.

    >>> bin_edges(np.array([0.1, 0.2, 0.3, 0.3, 0.9]), bins=2)
    array([0.25])
    """
    # An edge on a value would leave its bin to rounding.
    distinct = np.unique(probabilities.round(12))
    wanted = np.quantile(probabilities, np.arange(1, bins) / bins)
    above = np.searchsorted(distinct, wanted - 1e-12)
    inner = np.unique(above[(above > 0) & (above < len(distinct))])
    edges: Array = (distinct[inner - 1] + distinct[inner]) / 2
    return edges


def binned_error(gaps: Array, bins: Rows) -> float:
    """Return the sum over bins of the absolute values of the sums of gaps, over the number of all interactions."""
    return float(np.abs(np.bincount(bins, gaps)).sum()) / len(gaps)
