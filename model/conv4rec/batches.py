"""Batches of users: what the encoder reads and what the loss scores, as flat arrays of observed cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from conv4rec.interactions import Interactions

__all__ = ["Cells", "CellsByUser", "ProfileBatch"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Observed cells of a batch of users: `row` is the place of the user in the batch.

    Attributes
    ----------
    row, item, level : int64 arrays of one length
        One entry per interaction; repeats are kept.
    """

    row: Codes
    item: Codes
    level: Codes

    def __len__(self) -> int:
        return len(self.row)

    def where(self, keep: npt.NDArray[np.bool_]) -> Cells:
        """Return the cells at which `keep` is true.

        Examples
        --------
        >>> cells = Cells(np.array([0, 1]), np.array([5, 6]), np.array([0, 2]))
        >>> cells.where(cells.level > 1).item.tolist()
        [6]
        """
        return Cells(self.row[keep], self.item[keep], self.level[keep])


class CellsByUser:
    """Interactions sorted by user, so that the cells of any batch are read in time of their own number.

    Examples
    --------
    >>> cells = CellsByUser(np.array([2, 0, 2]), np.array([4, 3, 1]), np.array([1, 0, 0]), n_users=3)
    >>> cells.batch(np.array([2, 1, 0])).row.tolist()
    [0, 0, 2]
    >>> cells.count.tolist()
    [1, 0, 2]
    """

    def __init__(self, user: Codes, item: Codes, level: Codes, n_users: int) -> None:
        order = np.argsort(user, kind="stable")
        self.item = item[order]
        self.level = level[order]
        self.count = np.bincount(user, minlength=n_users)
        self.start = np.concatenate([[0], np.cumsum(self.count)])

    @classmethod
    def of(cls, *parts: Interactions) -> CellsByUser:
        """Gather the interactions of one part or several parts that share their codes."""
        user, item, level = (
            np.concatenate([getattr(part, axis) for part in parts]) for axis in ("user", "item", "level")
        )
        return cls(user, item, level, parts[0].n_users)

    def batch(self, users: Codes) -> Cells:
        """Return the cells of `users`, in their order."""
        count = self.count[users]
        row = np.repeat(np.arange(len(users)), count)
        before = np.cumsum(count) - count
        index = np.arange(len(row)) - before[row] + self.start[users][row]
        return Cells(row, self.item[index], self.level[index])


@dataclass(frozen=True)
class ProfileBatch:
    r"""Profiles of a batch of users in compressed rows: only what was observed is stored.

    Pairs are the (user, item) with at least one observed level; a pair holds one or several cells (multi-hot).
    With :math:`X_i` the 0/1 matrix of the observed cells, `scale` is :math:`1/\|X_i\|_F` for each cell, which is
    :math:`X_i/\|X_i\|_F` at that cell; a user without cells has an empty row.

    Attributes
    ----------
    level : int64 tensor (cell,)
        Level of each cell.
    scale : float tensor (cell,)
        Value of the normalised profile at each cell.
    cell_start : int64 tensor (pair,)
        Where the cells of each pair start.
    item : int64 tensor (pair,)
        Item of each pair.
    pair_start : int64 tensor (user,)
        Where the pairs of each user start.
    """

    level: torch.Tensor
    scale: torch.Tensor
    cell_start: torch.Tensor
    item: torch.Tensor
    pair_start: torch.Tensor

    @classmethod
    def of(
        cls,
        cells: Cells,
        n_users: int,
        n_items: int,
        n_levels: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> ProfileBatch:
        """Build the batch from cells; a cell that occurs more than once counts once, as the profile is 0/1.

        Examples
        --------
        >>> cells = Cells(np.array([1, 1, 1]), np.array([0, 0, 2]), np.array([1, 0, 1]))
        >>> batch = ProfileBatch.of(cells, n_users=2, n_items=3, n_levels=2)
        >>> batch.item.tolist(), batch.pair_start.tolist(), batch.cell_start.tolist()
        ([0, 2], [0, 0], [0, 2])
        >>> round(float(batch.scale[0]), 4)
        0.5774
        """
        key = np.unique((cells.row * n_items + cells.item) * n_levels + cells.level)
        pair, cell_start = np.unique(key // n_levels, return_index=True)
        row = key // (n_levels * n_items)
        norm = np.sqrt(np.bincount(row, minlength=n_users))
        pair_start = np.searchsorted(pair // n_items, np.arange(n_users))
        return cls(
            level=torch.from_numpy(key % n_levels).to(device),
            scale=torch.from_numpy(1.0 / norm[row]).to(device, dtype),
            cell_start=torch.from_numpy(cell_start).to(device),
            item=torch.from_numpy(pair % n_items).to(device),
            pair_start=torch.from_numpy(pair_start).to(device),
        )

    def __len__(self) -> int:
        return len(self.pair_start)
