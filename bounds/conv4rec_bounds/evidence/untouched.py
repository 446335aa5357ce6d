"""Losses on interactions that predictors had not seen, beside the truth's own: the road to total variation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import frozen_copy, refuse_bad_loss, refuse_bad_size

__all__ = ["CellCounts", "Ensemble", "Prequential", "TruthLoss", "Untouched"]

BASES = ("known", "realisable", "plug-in")


@dataclass(frozen=True)
class TruthLoss:
    """A lower end of the truth's own mean loss on a part, in nats, and what it rests on.

    Attributes
    ----------
    value
        The lower end.
    basis
        ``"known"``: the truth is known and the value exact; ``"realisable"``: the truth is a network of the class and
        the value is the least mean loss of the class, a global minimum; ``"plug-in"``: nothing is assumed about the
        truth's form and the value is the plug-in conditional entropy of the part (T7e).
    coarse
        True if all losses beside it are of segments of users and groups of cells: a segment's law is the mean of its
        users' laws, each user weighing as often as he was scored, summed over each group.
    blind
        False if such segments or groups were chosen with a look at the scored interactions.

    Examples
    --------
    >>> TruthLoss(3.1, "known").basis
    'known'
    """

    value: float
    basis: Literal["known", "realisable", "plug-in"]
    coarse: bool = False
    blind: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible losses and unknown words."""
        refuse_bad_loss("truth's own mean loss", self.value)
        if self.basis not in BASES:
            raise RefusedError(f"the basis is {self.basis!r}; expected one of {', '.join(BASES)}")


@dataclass(frozen=True)
class Untouched:
    """A part that one predictor has not seen, with its mean loss there and the truth's own.

    Attributes
    ----------
    size, risk
        The number of interactions and the predictor's mean loss on them, in nats.
    truth_loss
        A lower end of the truth's own mean loss on the same interactions.
    untouched
        False if training, early stopping or tuning has seen them, or if they are in the profiles that are read.

    Examples
    --------
    >>> Untouched(1000, 3.2, TruthLoss(3.1, "known")).untouched
    True
    """

    size: int
    risk: float
    truth_loss: TruthLoss
    untouched: bool = True

    def __post_init__(self) -> None:
        """Refuse empty parts and impossible losses."""
        refuse_bad_size("the untouched part", self.size)
        refuse_bad_loss("mean loss on the untouched part", self.risk)


@dataclass(frozen=True)
class Prequential:
    r"""Blocks, each scored by a predictor that was made before it from what came earlier.

    Attributes
    ----------
    size, risk
        The number of interactions in all blocks and their mean loss, each under its own block's predictor, in nats.
    truth_loss
        A lower end of the truth's own mean loss on the same interactions.
    distance
        Total variation, under the user mix of the blocks, between a shipped model and the user-wise mixture of the
        blocks' predictors, weights :math:`n_{ib}/n_i`; None if no model is shipped.
    predictable
        False if a predictor had seen interactions of the block that it scored or of a later one, or if they are in the
        profiles that it reads.

    Examples
    --------
    >>> Prequential(1000, 3.2, TruthLoss(3.1, "known"), distance=0.01).predictable
    True
    """

    size: int
    risk: float
    truth_loss: TruthLoss
    distance: float | None = None
    predictable: bool = True

    def __post_init__(self) -> None:
        """Refuse empty blocks, impossible losses and distances."""
        refuse_bad_size("the blocks together", self.size)
        refuse_bad_loss("mean loss over the blocks", self.risk)
        if self.distance is not None and not 0 <= self.distance <= 1:
            raise RefusedError(f"the distance of the shipped model is {self.distance}; expected between 0 and 1")


@dataclass(frozen=True)
class Ensemble:
    r"""Predictors :math:`\theta_1..\theta_K` drawn from a posterior :math:`\rho`, with their losses on one part.

    Attributes
    ----------
    size
        The number of interactions.
    risks
        Each draw's mean loss on them in nats, shape (draw,).
    log_ratios
        :math:`\log\frac{d\rho}{d\pi}(\theta_k)`, shape (draw,).
    truth_loss
        A lower end of the truth's own mean loss on the same interactions.
    blind_prior
        False if the prior has seen them, or any other interaction of their finite pool.

    Examples
    --------
    >>> Ensemble(1000, [3.2, 3.3], [10.0, 11.0], TruthLoss(3.1, "known")).risks
    array([3.2, 3.3])
    """

    size: int
    risks: NDArray[np.float64]
    log_ratios: NDArray[np.float64]
    truth_loss: TruthLoss
    blind_prior: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse lists that do not fit together."""
        refuse_bad_size("the part that the draws are scored on", self.size)
        for name in ("risks", "log_ratios"):
            object.__setattr__(self, name, frozen_copy(name, getattr(self, name)))
        if self.risks.shape != self.log_ratios.shape:
            raise RefusedError(f"{self.risks.size} risks came with {self.log_ratios.size} log-ratios; expected as many")
        refuse_bad_loss("least mean loss of the draws", float(self.risks.min()))


@dataclass(frozen=True)
class CellCounts:
    """How often each cell was seen in each segment of users: cells and segments may be coarse, chosen beforehand.

    Attributes
    ----------
    segments
        Interactions of each segment that has any, shape (segment,).
    counts
        Interactions of each pair of segment and cell that has any, shape (pair,), in any order.
    blind
        False if segments or cells were chosen with a look at the counted interactions.

    Raises
    ------
    RefusedError
        If a list is empty or holds anything but positive integers, or the two count different interactions.

    Examples
    --------
    >>> CellCounts(np.array([3, 1]), np.array([2, 1, 1])).size
    4
    """

    segments: NDArray[np.int64]
    counts: NDArray[np.int64]
    blind: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what are no counts of the same interactions."""
        for name in ("segments", "counts"):
            kept = np.array(getattr(self, name))
            if kept.ndim != 1 or kept.size == 0 or kept.dtype.kind not in "iu" or (kept < 1).any():
                raise RefusedError(
                    f"the {name} have shape {kept.shape} and type {kept.dtype}; expected a list of positive integers; "
                    "leave out what was never seen"
                )
            kept.flags.writeable = False
            object.__setattr__(self, name, kept)
        pairs = int(self.counts.sum())
        if self.size != pairs or self.segments.size > self.counts.size or self.segments.max() < self.counts.max():
            raise RefusedError(
                f"segments of {self.size} interactions came with counts of {pairs} in {self.counts.size} pairs; "
                "expected counts that make up the segments; count the same interactions"
            )

    @classmethod
    def of_table(cls, table: NDArray[np.integer], *, blind: bool = True) -> "CellCounts":
        """Return the counts of a table of shape (segment, cell).

        Raises
        ------
        RefusedError
            If it is no such table of integers, has a negative count, or none at all.

        Examples
        --------
        >>> CellCounts.of_table(np.array([[2, 1], [0, 1], [0, 0]])).segments
        array([3, 1])
        """
        given = np.asarray(table)
        if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "iu":
            raise RefusedError(
                f"the counts have shape {given.shape} and type {given.dtype}; expected integers of shape (segment, "
                "cell); count the interactions"
            )
        if (given < 0).any() or not given.any():
            raise RefusedError(
                "the table of counts has a negative count or none at all; expected at least one count; count the "
                "interactions"
            )
        sizes = given.sum(axis=1)
        return cls(sizes[sizes > 0], given[given > 0], blind)

    @classmethod
    def of_interactions(
        cls, segment: NDArray[np.integer], cell: NDArray[np.integer], *, blind: bool = True
    ) -> "CellCounts":
        """Count interactions by the numbers of their segments and cells, each of shape (interaction,).

        No table of all segments and cells is made: the memory is that of the interactions.

        Raises
        ------
        RefusedError
            If there are no interactions, or not as many segments as cells.

        Examples
        --------
        >>> CellCounts.of_interactions(np.array([7, 7, 7, 9]), np.array([0, 0, 1, 1])).counts
        array([2, 1, 1])
        """
        if np.ndim(segment) != 1 or np.shape(segment) != np.shape(cell) or len(segment) == 0:
            raise RefusedError(
                f"segments of shape {np.shape(segment)} came with cells of shape {np.shape(cell)}; expected two lists "
                "of one number for each interaction; count at least one interaction"
            )
        _, segment_place, sizes = np.unique(segment, return_inverse=True, return_counts=True)
        cells, cell_place = np.unique(cell, return_inverse=True)
        # Places among what was seen keep the number of a pair below the square of the interactions.
        _, counts = np.unique(segment_place * cells.size + cell_place, return_counts=True)
        return cls(sizes, counts, blind)

    @property
    def size(self) -> int:
        """The number of interactions."""
        return int(self.segments.sum())
