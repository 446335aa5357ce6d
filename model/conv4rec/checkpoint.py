"""Files of a training: the whole state after an epoch, written atomically, never a pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from conv4rec.errors import InputError

__all__ = ["TrainingState", "load_state", "save_state"]

FORMAT = 1


@dataclass
class TrainingState:
    """All that decides how a training goes on; random draws follow from the seed and the epoch alone.

    Attributes
    ----------
    fingerprint : str
        Digest of the data, the sizes and the options.
    epoch, best_epoch : int
        Epochs done, and the epoch of the best validation loss.
    history : list of dict
        Losses of each epoch.
    weights, best, moments : dict of tensors
        Current weights, best weights, and the moments of the optimiser.
    """

    fingerprint: str
    epoch: int
    best_epoch: int
    history: list[dict[str, float | None]]
    weights: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    moments: dict[str, torch.Tensor]


def save_state(path: Path, state: TrainingState) -> None:
    """Write a state to a safetensors file; a reader finds the old file or the new one, never a half.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    tensors = {
        f"{group}/{name}": value.detach().cpu().contiguous()
        for group in ("weights", "best", "moments")
        for name, value in getattr(state, group).items()
    }
    description = json.dumps(
        {
            "format": FORMAT,
            "fingerprint": state.fingerprint,
            "epoch": state.epoch,
            "best_epoch": state.best_epoch,
            "history": state.history,
        }
    )
    metadata = {"training": description, "digest": _digest(description, tensors)}
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # safetensors makes files that only their owner may read; the mode of other new files is restored.
        part.unlink(missing_ok=True)
        part.touch()
        mode = part.stat().st_mode
        save_file(tensors, part, metadata=metadata)
        part.chmod(mode)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"The checkpoint {path} cannot be written ({error}); name another directory.") from error


def load_state(path: Path, fingerprint: str) -> TrainingState:
    """Read a state that belongs to the training with this fingerprint.

    Raises
    ------
    InputError
        If the file is damaged or belongs to other data, sizes or options.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if metadata["digest"] != _digest(metadata["training"], tensors):
            raise ValueError("it is not what was saved")
        description = json.loads(metadata["training"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"The checkpoint {path} cannot be read ({error}); delete it to start anew.") from error
    if description["format"] != FORMAT or description["fingerprint"] != fingerprint:
        raise InputError(
            f"The checkpoint {path} belongs to a training with other data, sizes or options; "
            "delete it, or use the arguments with which it was begun."
        )
    groups: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "best": {}, "moments": {}}
    for key, value in tensors.items():
        group, name = key.split("/", 1)
        groups[group][name] = value
    return TrainingState(fingerprint, description["epoch"], description["best_epoch"], description["history"], **groups)


def _digest(description: str, tensors: Mapping[str, torch.Tensor]) -> str:
    digest = sha256(description.encode())
    for name in sorted(tensors):
        values = np.ascontiguousarray(tensors[name].numpy())
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(values.data)
    return digest.hexdigest()
