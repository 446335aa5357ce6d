r"""Fits of the whole numbers of a file: descents on the scored loss in which every number is rounded as it will be.

Minimises the mean joint loss of the scored part over what a file can describe. The forward pass sees rounded numbers,
the gradient is taken as if they were not (Bengio, Léonard and Courville 2013). After each step of size :math:`r` every
number but the gains moves towards zero by :math:`\lambda r`: fewer of them cost fewer bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.func import functional_call

from conv4rec.batches import CellsByUser, ProfileBatch
from conv4rec.loss import joint_loss
from conv4rec.memory import chosen_threads
from conv4rec.network import Network
from conv4rec_experiments.codes.files import GAINS, STEPS, Numbers, described, numbers_shapes
from conv4rec_experiments.codes.profile_network import ProfileNetwork
from conv4rec_experiments.codes.streams import LARGEST

if TYPE_CHECKING:
    from conv4rec import Split

__all__ = ["fit_numbers"]

ROUNDS = 80
LEARNING_RATE, GAIN_RATE = 0.03, 0.1
MOST_USERS, MOST_LOGITS = 512, 2**22
STREAM = 0xC0DE


def fit_numbers(split: Split, blind: ProfileNetwork, step: int, shrinkage: float) -> Numbers:
    r"""Fit numbers to the scored part of a split.

    Parameters
    ----------
    split
        Its profile and scored parts are read.
    blind
        The network that the numbers change.
    step
        The place of their step in `STEPS`.
    shrinkage
        :math:`\lambda`.
    """
    size = blind.architecture
    network = Network(size, dtype=torch.float32).requires_grad_(False)
    profiles, scored = CellsByUser.of(split.profile), CellsByUser.of(split.scored)
    known = {name: torch.from_numpy(value).float() for name, value in blind.weights.items()}
    told = {name: torch.zeros(shape, requires_grad=True) for name, shape in numbers_shapes(size).items()}
    rates = {name: GAIN_RATE if name == GAINS else LEARNING_RATE for name in told}
    optimizer = torch.optim.Adam([{"params": [value], "lr": rates[name]} for name, value in told.items()])
    users, logits = np.flatnonzero(scored.count), size.n_items * size.n_levels
    at_once = min(len(users), MOST_USERS, max(1, MOST_LOGITS // logits))
    rng, batch = np.random.default_rng(STREAM), users
    with chosen_threads(at_once * logits):
        for left in np.linspace(1, 0, ROUNDS, endpoint=False):
            # Where all users make one batch, it is laid out once.
            if at_once < len(users) or batch is users:
                batch = rng.choice(users, size=at_once, replace=False)
                cells = scored.batch(batch)
                read = ProfileBatch.of(profiles.batch(batch), at_once, size.n_items, size.n_levels)
                mask = torch.from_numpy(split.item_mask(batch)) if split.masked else None
                row, item, level = (torch.from_numpy(axis) for axis in (cells.row, cells.item, cells.level))
            weights = described(known, {name: _rounded(value, STEPS[step]) for name, value in told.items()})
            objective = joint_loss(functional_call(network, weights, (read,)), row, item, level, mask).joint.mean()
            optimizer.zero_grad()
            torch.autograd.backward(objective)
            fading = min(1.0, 2 * float(left))
            for group, rate in zip(optimizer.param_groups, rates.values(), strict=True):
                group["lr"] = rate * fading
            optimizer.step()
            with torch.no_grad():
                for name, value in told.items():
                    if name != GAINS:
                        value.copy_(value.sign() * (value.abs() - shrinkage * rates[name] * fading).clamp(min=0))
    whole = {name: (value.detach() / STEPS[step]).round().clamp(-LARGEST, LARGEST) for name, value in told.items()}
    return Numbers(step, {name: value.numpy().astype(np.int64) for name, value in whole.items()})


def _rounded(value: torch.Tensor, size: float) -> torch.Tensor:
    """Round to multiples of a size, with the gradient of the identity."""
    return value + (size * (value.detach() / size).round() - value.detach())
