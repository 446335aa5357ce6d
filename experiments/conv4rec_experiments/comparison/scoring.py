"""Score a fitted recommender on the held-out part of a split: per user, in batches of users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec.profiles import high_levels
from conv4rec_experiments.comparison.calibration import (
    ConsumptionReliability,
    Reliability,
    levels_reliability,
    likeliest_reliability,
)
from conv4rec_experiments.comparison.heads import log_consumption
from conv4rec_experiments.comparison.lists import list_scores, top_items
from conv4rec_experiments.comparison.merits import FIGURES, figures_of
from conv4rec_experiments.ranking import BATCH_USERS, Lists

if TYPE_CHECKING:
    from conv4rec import Interactions, Split
    from conv4rec_experiments.comparison.systems import Fitted

__all__ = ["CALIBRATIONS", "Scored", "score"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

CALIBRATIONS = {
    "ECE of P(consume)": ("consumption", "error"),
    "ECE of P(level | consumed)": ("levels", "error"),
    "ECE of P(level | consumed), if calibrated": ("levels", "noise"),
    "ECE of the likeliest level": ("likeliest", "error"),
    "ECE of the likeliest level, if calibrated": ("likeliest", "noise"),
}
"""Figures of reliability tables: of which table, and whether it is the error or what chance alone would make it."""

COLUMNS = ("interactions", *dict.fromkeys(figure.column for figure in FIGURES))


@dataclass(frozen=True)
class Scored:
    """What a held-out part says of a recommender.

    Attributes
    ----------
    users : polars.DataFrame
        A row for each user with a held-out interaction: `user`, `interactions`, list scores, and sums of errors.
    reliability : dict of Reliability
        By name: "consumption", "levels", "likeliest"; what the system cannot do is not there.
    """

    users: pl.DataFrame
    reliability: dict[str, Reliability]

    def figures(self) -> dict[str, float | None]:
        """Return all figures by name, calibration errors included; None for what the system cannot do."""
        errors = {
            words: getattr(self.reliability[name], what) if name in self.reliability else None
            for words, (name, what) in CALIBRATIONS.items()
        }
        return figures_of(self.users) | errors


def score(fitted: Fitted, split: Split) -> Scored:
    """Score on the held-out part: lists over all items but those the user has in other parts, and errors of levels.

    Raises
    ------
    InputError
        If the held-out part is empty, or a score or probability is no number.
    """
    part = split.held_out
    if not len(part):
        raise InputError("there is no held-out part to evaluate on; split with a share for it.")
    users, row = np.unique(part.user, return_inverse=True)
    columns: dict[str, Array | Codes] = {"interactions": np.bincount(row)}
    reliability: dict[str, Reliability] = {}
    if fitted.ranker is not None:
        of_lists, consumption = _lists(fitted, split, users, row)
        columns |= of_lists
        if consumption is not None:
            reliability["consumption"] = consumption
    if part.n_levels > 1:
        of_levels, tables = _levels(fitted, part, row)
        columns |= of_levels
        reliability |= tables
    nothing = np.full(len(users), np.nan)
    ordered = {name: columns.get(name, nothing) for name in COLUMNS}
    frame = pl.DataFrame({"user": part.user_ids.gather(users)} | ordered)
    return Scored(frame.with_columns(pl.col(pl.Float64).fill_nan(None)), reliability)


def _lists(
    fitted: Fitted, split: Split, users: Codes, row: Codes
) -> tuple[dict[str, Array | Codes], Reliability | None]:
    """Score the lists of all users, over all held-out items and over those of high levels; sum losses of items."""
    part, lists = split.held_out, Lists(split)
    high = high_levels(part.level_values)[part.level] if part.n_levels > 1 else None
    found: dict[str, list[Array]] = {}
    consumption = ConsumptionReliability()
    for first in range(0, len(users), BATCH_USERS):
        batch = users[first : first + BATCH_USERS]
        here = np.flatnonzero((row >= first) & (row < first + len(batch)))
        place, item = row[here] - first, part.item[here]
        scores = fitted.ranker.scores(batch) if fitted.ranker is not None else np.empty(0)
        if not np.isfinite(scores).all():
            raise InputError("a score of an item is no finite number; lower the step size, or leave this system out.")
        shown = lists.shown(batch)
        wanted = np.zeros(shown.shape, dtype=bool)
        wanted[place, item] = True
        ranked = top_items(scores, shown, wanted)
        kinds = {"": np.ones(len(here), dtype=bool)} | ({} if high is None else {"positive_": high[here]})
        for kind, chosen in kinds.items():
            relevant = [np.unique(item[chosen & (place == each)]) for each in range(len(batch))]
            for name, values in list_scores(ranked, relevant).items():
                found.setdefault(kind + name.lower().replace("@", "_"), []).append(values)
        if fitted.temperature is not None:
            logs = log_consumption(scores, shown, fitted.temperature)
            consumption.add(np.exp(logs), wanted)
            found.setdefault("item_log_loss", []).append(
                np.bincount(place, -logs[place, item], len(batch)).astype(np.float64)
            )
    table = consumption.table() if fitted.temperature is not None else None
    return {name: np.concatenate(values) for name, values in found.items()}, table


def _levels(fitted: Fitted, part: Interactions, row: Codes) -> tuple[dict[str, Array | Codes], dict[str, Reliability]]:
    """Sum over users errors and losses of levels, and tell how reliable the probabilities are."""
    columns: dict[str, Array | Codes] = {}
    tables: dict[str, Reliability] = {}
    values = part.level_values
    if fitted.rater is not None:
        expected = np.clip(fitted.rater.expected_levels(part.user, part.item), values.min(), values.max())
        error = values[part.level] - expected
        if not np.isfinite(error).all():
            raise InputError("an expected level is no finite number; lower the step size, or leave this system out.")
        columns["squared_error"] = np.bincount(row, error**2)
        columns["absolute_error"] = np.bincount(row, np.abs(error))
    if fitted.levels is not None:
        probabilities = fitted.levels.level_probabilities(part.user, part.item)
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-6):
            raise InputError("probabilities of levels do not sum to 1; lower the step size, or leave this system out.")
        own = np.maximum(probabilities[np.arange(len(row)), part.level], np.finfo(np.float64).tiny)
        columns["level_log_loss"] = np.bincount(row, -np.log(own))
        tables = {
            "levels": levels_reliability(probabilities, part.level),
            "likeliest": likeliest_reliability(probabilities, part.level),
        }
    return columns, tables
