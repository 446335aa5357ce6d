"""The result of training, and what of the interactions is read of each user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from conv4rec.batches import CellsByUser
from conv4rec.network import Network
from conv4rec.splits import Split

__all__ = ["Fitted"]


@dataclass(frozen=True)
class Fitted:
    """The result of training: the network in float64, the split, and the losses of each epoch."""

    network: Network
    split: Split
    history: list[dict[str, Any]]

    @cached_property
    def seen(self) -> CellsByUser:
        """All interactions of the split, by user."""
        return CellsByUser.of(self.split.interactions)

    @cached_property
    def certified(self) -> CellsByUser:
        """The profile part of the split, by user."""
        return CellsByUser.of(self.split.profile)

    @cached_property
    def trained(self) -> CellsByUser:
        """The profile and scored parts of the split, by user."""
        return CellsByUser.of(self.split.profile, self.split.scored)

    @cached_property
    def known(self) -> CellsByUser:
        """All that training saw, by user."""
        return CellsByUser.of(self.split.profile, self.split.scored, self.split.validation)
