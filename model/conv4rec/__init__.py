"""Conv4Rec: one 1x1 convolutional autoencoder for implicit and explicit feedback.

The names below are imported when they are first used, so that `import conv4rec` itself is light.

Examples
--------
>>> import conv4rec
>>> conv4rec.InputError.__name__
'InputError'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv4rec.errors import InputError
    from conv4rec.estimator import Conv4Rec
    from conv4rec.interactions import Interactions
    from conv4rec.loss import LogProbabilities
    from conv4rec.network import Architecture, Network
    from conv4rec.options import TrainingOptions
    from conv4rec.popularity import Popularity, Uniform
    from conv4rec.reading import read
    from conv4rec.splits import Part, Split
    from conv4rec.splitting import split_by_coin, split_by_interaction, split_by_time, split_from_parts

__all__ = [
    "Architecture",
    "Conv4Rec",
    "InputError",
    "Interactions",
    "LogProbabilities",
    "Network",
    "Part",
    "Popularity",
    "Split",
    "TrainingOptions",
    "Uniform",
    "read",
    "split_by_coin",
    "split_by_interaction",
    "split_by_time",
    "split_from_parts",
]

_HOME = {
    "Architecture": "network",
    "Conv4Rec": "estimator",
    "InputError": "errors",
    "Interactions": "interactions",
    "LogProbabilities": "loss",
    "Network": "network",
    "Part": "splits",
    "Popularity": "popularity",
    "Split": "splits",
    "TrainingOptions": "options",
    "Uniform": "popularity",
    "read": "reading",
    "split_by_coin": "splitting",
    "split_by_interaction": "splitting",
    "split_by_time": "splitting",
    "split_from_parts": "splitting",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'conv4rec' has no attribute {name!r}")
    return getattr(import_module(f"conv4rec.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
