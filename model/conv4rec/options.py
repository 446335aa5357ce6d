"""How a network is trained, and on which device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from conv4rec.errors import InputError

__all__ = ["TrainingOptions", "choose_device"]


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained; `conv4rec.Conv4Rec` explains each option.

    Raises
    ------
    InputError
        If an option is out of its range.
    """

    epochs: int = 40
    patience: int = 5
    batch_users: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    bias_decay: float = 1e-3
    profile_dropout: float = 0.2
    redraw: bool = False
    seed: int = 0
    device: str = "auto"
    precision: Literal["float32", "float64"] = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        ranges = {
            "epochs": self.epochs >= 0,
            "patience": self.patience >= 1,
            "batch_users": self.batch_users >= 1,
            "learning_rate": 0 < self.learning_rate < np.inf,
            "weight_decay": 0 <= self.weight_decay < np.inf,
            "bias_decay": 0 <= self.bias_decay < np.inf,
            "profile_dropout": 0 <= self.profile_dropout < 1,
            "seed": self.seed >= 0,
            "precision": self.precision in ("float32", "float64"),
            "threads": self.threads is None or self.threads >= 1,
        }
        for name, right in ranges.items():
            if not right:
                raise InputError(f"{name} is {getattr(self, name)!r}, which is out of range; see Conv4Rec for ranges.")

    @property
    def trained_with(self) -> str:
        """What the encoder read in training: "fixed profile" or "redrawn profiles"."""
        return "redrawn profiles" if self.redraw else "fixed profile"

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch names it."""
        return torch.float32 if self.precision == "float32" else torch.float64


def choose_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is a CUDA device where there is one, otherwise the CPU.

    Raises
    ------
    InputError
        If the device does not exist here.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    try:
        device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise InputError(f'device is {name!r}; expected "auto", "cpu" or "cuda".') from error
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and not torch.cuda.is_available()):
        raise InputError(f'device {name!r} is not available here; use "auto" or "cpu".')
    return device
