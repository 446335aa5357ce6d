"""How a network is trained, and on which device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import torch

from conv4rec.arguments import flag, real_number, whole_number
from conv4rec.coin import MAX_SEED
from conv4rec.errors import InputError

__all__ = ["TrainingOptions", "choose_device"]

MAX_THREADS = 1024


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained; `conv4rec.Conv4Rec` explains each option.

    Raises
    ------
    InputError
        If an option is out of its range.
    """

    epochs: int = 40
    patience: int = 10
    batch_users: int = 32
    learning_rate: float = 2e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 5e-4
    bias_decay: float = 1e-2
    explicit_weight: float = 1.0
    balance: float = 0.5
    profile_dropout: float = 0.0
    redraw: bool = True
    profile_shares: Sequence[float] = (0.5, 0.9)
    seed: int = 0
    device: str = "auto"
    precision: Literal["float32", "float64"] = "float32"
    threads: int | None = None

    def __post_init__(self) -> None:
        checked: dict[str, object] = {
            "epochs": whole_number("epochs", self.epochs, 0),
            "patience": whole_number("patience", self.patience, 1),
            "batch_users": whole_number("batch_users", self.batch_users, 1),
            "learning_rate": real_number("learning_rate", self.learning_rate),
            "weight_decay": real_number("weight_decay", self.weight_decay),
            "bias_decay": real_number("bias_decay", self.bias_decay),
            "explicit_weight": real_number("explicit_weight", self.explicit_weight),
            "balance": real_number("balance", self.balance),
            "profile_dropout": real_number("profile_dropout", self.profile_dropout),
            "redraw": flag("redraw", self.redraw),
            "profile_shares": _checked_range(self.profile_shares),
            "seed": whole_number("seed", self.seed, 0, MAX_SEED),
            "threads": None if self.threads is None else whole_number("threads", self.threads, 1, MAX_THREADS),
        }
        # Numbers of numpy become those of Python, which can be written to the description of a model.
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        ranges = {
            "learning_rate": 0 < self.learning_rate < inf,
            "weight_decay": 0 <= self.weight_decay < inf,
            "bias_decay": 0 <= self.bias_decay < inf,
            "explicit_weight": 0 < self.explicit_weight < inf,
            "balance": 0 <= self.balance <= 1,
            "schedule": self.schedule in ("cosine", "constant"),
            "profile_dropout": 0 <= self.profile_dropout < 1,
            "precision": self.precision in ("float32", "float64"),
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


def _checked_range(shares: Sequence[float]) -> tuple[float, float]:
    """Return the least and the greatest share as plain numbers."""
    given = tuple(shares) if isinstance(shares, Sequence) and not isinstance(shares, str) else ()
    found = tuple(real_number(f"profile_shares[{place}]", share) for place, share in enumerate(given))
    if len(found) != 2 or not 0 <= found[0] <= found[1] < 1:
        raise InputError(
            f"profile_shares is {shares!r}; expected the least and the greatest share of a user's interactions that "
            "are read, from 0 to below 1."
        )
    return found


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
    except (RuntimeError, TypeError) as error:
        raise InputError(f'device is {name!r}; expected "auto", "cpu" or "cuda".') from error
    counts = {"cpu": 1, "cuda": torch.cuda.device_count()}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise InputError(f'device {name!r} is not available here; use "auto" or "cpu".')
    return device
