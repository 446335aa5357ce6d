"""The network in as few bytes as the certificate asks for: candidates are files, and what they decode to is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from conv4rec.batches import CellsByUser, ProfileBatch
from conv4rec.loss import LogProbabilities, log_probabilities
from conv4rec.memory import chosen_threads
from conv4rec.network import Network
from conv4rec_bounds import Budget, Compressed, Evidence, Protocol
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, uniform_risk
from conv4rec_bounds.theorems.t8_code import CompressedRisk
from conv4rec_experiments.codes.files import Numbers, decode, encode, numbers_shapes
from conv4rec_experiments.codes.fitting import fit_numbers
from conv4rec_experiments.codes.profile_network import ProfileNetwork

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions, Split

__all__ = ["Code", "compress", "decoded_network"]

BATCH_USERS = 32
SEARCHED = ((1, 0.3), (1, 1.0))
"""Places of the step and shrinkages that are tried."""


@dataclass(frozen=True, eq=False)
class Code:
    """A file and the network that was decoded from it.

    Attributes
    ----------
    data
        The file.
    bits
        How many of its bits each part takes; they sum to eight times its length.
    network
        What the file describes, in float64.
    split
        The split whose profiles the network reads.
    """

    data: bytes
    bits: Mapping[str, int]
    network: Network
    split: Split

    def logits(self, users: NDArray[np.int64]) -> torch.Tensor:
        """Return the decoded network's logits for user codes, shape (user, item, level), in float64."""
        size = self.network.architecture
        cells = self._profiles.batch(users)
        read = ProfileBatch.of(cells, len(users), size.n_items, size.n_levels, dtype=torch.float64)
        values: torch.Tensor = self.network(read)
        return values

    @cached_property
    def _profiles(self) -> CellsByUser:
        return CellsByUser.of(self.split.profile)

    def log_probabilities(self, part: Interactions) -> LogProbabilities:
        """Score a part of the split by the decoded network, as `conv4rec.Conv4Rec.log_probabilities` does.

        Raises
        ------
        InputError
            If the part is empty, or an item is masked for its user.
        """
        size = self.network.architecture
        with chosen_threads(BATCH_USERS * size.n_items * size.n_levels):
            return log_probabilities(self.logits, part, self.split, batch_users=BATCH_USERS)

    @cached_property
    def compressed(self) -> Compressed:
        """The evidence: the decoded network's losses on the scored part."""
        found = self.log_probabilities(self.split.scored)
        risk = uniform_risk(found.cells)
        return Compressed(found.joint, found.cells, DEFAULT_SMOOTHING, len(self.data), self.bits, risk)


def compress(model: Conv4Rec, delta: float = 0.05) -> Code:
    """Return the file, among those that were tried, with the least certificate on the scored part.

    The theorem holds for all files at once, so nothing is owed for the search. Of the model only its split is read.

    Parameters
    ----------
    model
        A trained model.
    delta
        The failure probability at which certificates are compared.
    """
    blind = ProfileNetwork.of(model)
    nothing = {name: np.zeros(shape, dtype=np.int64) for name, shape in numbers_shapes(blind.architecture).items()}
    tried = [Numbers(0, nothing), *(fit_numbers(model.split, blind, *settings) for settings in SEARCHED)]
    files = []
    for numbers in tried:
        data, bits = encode(numbers)
        files.append(Code(data, bits, _network(data, blind), model.split))
    return min(files, key=lambda file: _promised(file, delta))


def decoded_network(data: bytes, model: Conv4Rec) -> Network:
    """Return the network that a file describes, in float64; the model's split gives the profiles.

    Raises
    ------
    InputError
        If the file is damaged, cut short or too long.
    """
    return _network(data, ProfileNetwork.of(model))


def _network(data: bytes, blind: ProfileNetwork) -> Network:
    network = Network(blind.architecture, dtype=torch.float64).requires_grad_(False)
    network.set_weights(decode(data, blind.architecture).weights(blind))
    return network


def _promised(file: Code, delta: float) -> float:
    evidence = Evidence(int(file.compressed.cells.max()), Protocol("independent"), compressed=file.compressed)
    value = CompressedRisk().evaluate(evidence, Fraction(delta), Budget(delta)).value
    return np.inf if value is None else value
