"""Models that ignore the user: the same cells for everybody. The model starts from one and must beat it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from conv4rec.errors import InputError
from conv4rec.loss import LogProbabilities, check_scorable

if TYPE_CHECKING:
    from conv4rec.interactions import Interactions
    from conv4rec.splits import Split

__all__ = ["Popularity", "Uniform"]

Array = npt.NDArray[np.float64]

ITEM_GRID = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
LEVEL_GRID = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
BATCH_CELLS = 2**22


@dataclass(frozen=True)
class CellModel:
    """One table of logits for all users.

    Attributes
    ----------
    cell_logits : float64 array (item, level)
        Log-probabilities of the cells; under a mask those of a user's unmasked items are renormalised.
    """

    cell_logits: Array

    def log_probabilities(self, part: Interactions, split: Split) -> LogProbabilities:
        """Score a part under the mask of the split, exactly as a network is scored.

        Raises
        ------
        InputError
            If the part is empty, or an interaction's item is masked for its user.
        """
        check_scorable(part, split)
        item_logs = np.logaddexp.reduce(self.cell_logits, axis=1)
        inside, items = _log_unmasked_mass(item_logs[:, None], part, split)
        # Rounding may leave a certain cell a hair above probability one.
        joint = np.minimum(self.cell_logits[part.item, part.level] - inside[:, 0], 0.0)
        implicit = np.minimum(item_logs[part.item] - inside[:, 0], 0.0)
        return LogProbabilities(joint, implicit, items * part.n_levels)


@dataclass(frozen=True)
class Uniform(CellModel):
    """Every unmasked cell is equally likely.

    Examples
    --------
    >>> Uniform.of(n_items=3, n_levels=2).cell_logits.shape
    (3, 2)
    """

    @classmethod
    def of(cls, n_items: int, n_levels: int) -> Uniform:
        """Return the uniform model over n_items x n_levels cells."""
        return cls(np.full((n_items, n_levels), -np.log(n_items * n_levels)))


@dataclass(frozen=True)
class Popularity(CellModel):
    r"""Share of the item times the item's histogram of levels, both smoothed.

    With :math:`c_{jr}` the counts of a training part, :math:`c_j=\sum_r c_{jr}` and :math:`h` the histogram of all
    levels (with 1 added to each count, so that no level has probability 0),

    .. math:: P(j) = \frac{c_j + a}{\sum_{j'} c_{j'} + na},\qquad P(r\mid j) = \frac{c_{jr} + b\,h_r}{c_j + b}.

    Attributes
    ----------
    cell_logits : float64 array (item, level)
        :math:`\log P(j)P(r\mid j)`.
    item_smoothing, level_smoothing : float
        The numbers a and b.
    """

    item_smoothing: float
    level_smoothing: float

    @classmethod
    def of_counts(cls, counts: npt.NDArray[np.integer], item_smoothing: float, level_smoothing: float) -> Popularity:
        """Return the model of counts (item, level).

        Raises
        ------
        InputError
            If a smoothing is not positive and finite.

        Examples
        --------
        >>> model = Popularity.of_counts(np.array([[3, 1], [0, 0]]), item_smoothing=1.0, level_smoothing=2.0)
        >>> np.exp(model.cell_logits).round(4).tolist()
        [[0.6019, 0.2315], [0.1111, 0.0556]]
        """
        for name, value in (("item_smoothing", item_smoothing), ("level_smoothing", level_smoothing)):
            if not 0 < value < np.inf:
                raise InputError(f"{name} is {value!r}; expected a positive finite number.")
        logits = _item_log_share(counts, item_smoothing)[:, None] + _level_logs(counts, level_smoothing)
        return cls(logits, item_smoothing, level_smoothing)

    @classmethod
    def fit(cls, split: Split) -> Popularity:
        """Count the profile and scored parts, and choose both smoothings on the validation part.

        As the joint loss is the implicit loss, which depends on a alone, plus the explicit loss, which depends
        on b alone, the best pair of the grid is the best of each. Without validation interactions a = 1, b = 10.
        """
        counts = np.zeros((split.interactions.n_items, split.interactions.n_levels), dtype=np.int64)
        for part in (split.profile, split.scored):
            np.add.at(counts, (part.item, part.level), 1)
        validation = split.validation
        if len(validation) == 0:
            return cls.of_counts(counts, item_smoothing=1.0, level_smoothing=10.0)

        implicit = _implicit_losses(counts, validation, split)
        explicit = [-_level_logs(counts, b)[validation.item, validation.level].mean() for b in LEVEL_GRID]
        return cls.of_counts(counts, ITEM_GRID[np.argmin(implicit)], LEVEL_GRID[np.argmin(explicit)])


def _item_log_share(counts: npt.NDArray[np.integer], smoothing: float) -> Array:
    smoothed = counts.sum(axis=1) + smoothing
    logs: Array = np.log(smoothed / smoothed.sum())
    return logs


def _level_logs(counts: npt.NDArray[np.integer], smoothing: float) -> Array:
    overall = (counts.sum(axis=0) + 1) / (counts.sum() + counts.shape[1])
    smoothed = counts + smoothing * overall
    logs: Array = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    return logs


def _implicit_losses(counts: npt.NDArray[np.integer], part: Interactions, split: Split) -> Array:
    """Mean implicit loss of the part for each smoothing of the grid; levels play no role."""
    logs = np.stack([_item_log_share(counts, smoothing) for smoothing in ITEM_GRID], axis=1)
    inside, _ = _log_unmasked_mass(logs, part, split)
    losses: Array = (inside - logs[part.item]).mean(axis=0)
    return losses


def _log_unmasked_mass(item_logs: Array, part: Interactions, split: Split) -> tuple[Array, npt.NDArray[np.int64]]:
    """For each interaction, the log of what its user's unmasked items weigh, and their number.

    ``item_logs`` has shape (item, table); the first result has shape (interaction, table). A mask leaves out whole
    items, so this costs one product of the mask with item weights and no cell is touched.
    """
    users, row = np.unique(part.user, return_inverse=True)
    highest = item_logs.max(axis=0)
    weights = np.exp(item_logs - highest)
    mass = np.tile(weights.sum(axis=0), (len(users), 1))
    items = np.full(len(users), part.n_items, dtype=np.int64)
    if split.masked:
        batch = max(1, BATCH_CELLS // part.n_items)
        for first in range(0, len(users), batch):
            unmasked = ~split.item_mask(users[first : first + batch])
            mass[first : first + batch] = unmasked @ weights
            items[first : first + batch] = unmasked.sum(axis=1)
    return (np.log(mass) + highest)[row], items[row]
