"""What a plan takes for granted: sizes, norms, and what will be measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from conv4rec.errors import InputError
from conv4rec.network import Architecture
from conv4rec_bounds.covering import grid_index
from conv4rec_bounds.geometry import ACTIVATIONS, LAYERS
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, smoothed_range
from conv4rec_bounds.rounding import Number

__all__ = ["DISTANCES", "MODEL_RISKS", "NORMS", "Setting"]

NORMS: Mapping[str, float] = {
    "lift": 1.0,
    "encode": 2.0,
    "code_bias": 0.5,
    "decode": 0.5,
    "project": 1.0,
    "offset": 0.25,
    "cell_bias": 4.0,
}
"""Norms that are taken where none is given, each in the layer's own norm: the example of the theory pages."""

DISTANCES: Mapping[str, float] = {"encode": 2.0, "decode": 2.0, "cell_bias": 8.0}
"""Distances to references that are taken where none is given, as in the same example."""

MODEL_RISKS, TRUTH_RISKS = ("Lhat", "lbar"), ("Lhat_0", "Lhat_star")
"""Measured mean losses, of the model and of what it is compared with."""


@dataclass(frozen=True)
class Setting:
    r"""What a plan takes for granted.

    Attributes
    ----------
    items, levels, channels, code
        Sizes of a network that has every layer; `shared_maps` lets all channels share encode and decode. Where nothing
        is said, channels, code, `shared_maps` and `code_activation` are the defaults of `conv4rec.Conv4Rec`.
    norms
        The norm of some layers, by name, each in the layer's own norm; the others are those of `NORMS`.
    distances
        Distances of encode, decode and cell bias to their references, in the Frobenius norm; others as in `DISTANCES`.
    code_activation
        ``"tanh"`` bounds the code by :math:`\sqrt{Ck}`; ``"identity"``, ``"relu"`` and ``"asinh"`` do not.
    users
        Users with scored interactions.
    cells
        The largest number :math:`q` of unmasked cells of a user; by default all, items times levels.
    risk
        The truth's own mean loss that will be measured, in nats; by default three quarters of :math:`\log q`.
    excess
        By how much the model's mean loss exceeds it. Losses above the range of the smoothed losses are lowered to it.
    variance
        The sample variance of the smoothed losses on the held-out part.
    smoothing
        The weight of the uniform law in the predictor that held-out theorems certify.
    pool
        The size of the finite pool.
    delta
        The failure probability, of each theorem by itself.
    others
        Inputs of the formulas that nothing above determines, by the names of their symbols.

    Raises
    ------
    InputError
        If a size is below 1, a norm is negative or of an unknown layer, or a probability is not between 0 and 1.
    """

    items: int = 1000
    levels: int = 5
    channels: int = Architecture.channels
    code: int = Architecture.code
    shared_maps: bool = Architecture.shared_maps
    norms: Mapping[str, float] = field(default_factory=dict)
    distances: Mapping[str, float] = field(default_factory=dict)
    code_activation: str = Architecture.code_activation
    users: int = 1000
    cells: int | None = None
    risk: float | None = None
    excess: float = 0.0
    variance: float = 2.0
    smoothing: float = DEFAULT_SMOOTHING
    pool: int = 100_000
    delta: float = 0.05
    others: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no network and no data can have."""
        for name in ("items", "levels", "channels", "code", "users"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a whole number of at least 1.")
        for kind, known in (("norms", NORMS), ("distances", DISTANCES)):
            for name, size in getattr(self, kind).items():
                if name not in known:
                    raise InputError(f"there are no {kind} of {name!r}; expected some of {', '.join(known)}.")
                if not (math.isfinite(size) and size >= 0):
                    raise InputError(f"{kind} of {name} are {size}; expected a finite number of at least 0.")
        if self.code_activation not in ACTIVATIONS:
            raise InputError(f"the code's activation is {self.code_activation!r}; choose {', '.join(ACTIVATIONS)}.")
        if not 1 <= self.all_cells <= self.items * self.levels:
            raise InputError(f"{self.cells} cells were given; expected 1 to items times levels.")
        for name in ("smoothing", "delta"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number strictly between 0 and 1.")
        if not (math.isfinite(self.variance) and self.variance >= 0):
            raise InputError(f"the variance is {self.variance}; expected a finite number of at least 0.")
        for name in ("expected_risk", "excess"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError(f"the {name} is {getattr(self, name)}; expected a finite number of at least 0 nats.")
        for name, value in self.others.items():
            if not math.isfinite(value):
                raise InputError(f"{name} is {value}; expected a finite number.")
        if self.pool < 3:
            raise InputError(f"the pool holds {self.pool} interactions; expected at least 3.")

    @property
    def all_cells(self) -> int:
        """The largest number of unmasked cells."""
        return self.items * self.levels if self.cells is None else self.cells

    @property
    def expected_risk(self) -> float:
        """The truth's mean loss that will be measured."""
        return 0.75 * math.log(self.all_cells) if self.risk is None else self.risk

    def inputs(self) -> dict[str, Number]:
        """Return the values of all symbols that a setting determines, by name.

        >>> inputs = Setting(items=10, levels=2, channels=2, code=3).inputs()
        >>> inputs["p_E"], inputs["s_E"], inputs["q"]
        (30, 16, 20)
        """
        sizes = {"item": self.items, "level": self.levels, "channel": self.channels, "code": self.code}
        norms = dict(NORMS) | dict(self.norms)
        low, high = smoothed_range(self.all_cells, self.all_cells, self.smoothing)
        # math.sqrt rounds to nearest: one step up keeps the cap on the safe side.
        cap = math.nextafter(math.sqrt(self.channels * self.code), math.inf) * ACTIVATIONS[self.code_activation]
        known: dict[str, Number] = {
            "h_max": cap,
            "q": self.all_cells,
            "delta": self.delta,
            "H": self.pool,
            "V": self.variance,
            "V_b": self.variance,
            # What betting gains depends on the losses one by one: a plan does not count on it.
            "V_W": (high - low) ** 2,
            # About the sample variance, once there are enough interactions for small bets.
            "V_S": self.variance,
            "l_min": low,
            "l_max": high,
            "q_min": self.all_cells,
            "q_max": self.all_cells,
            "m": self.users,
            "n": self.items,
            "k": self.code,
            "p_H": self.users * self.channels * self.code,
            "s_H": grid_index(min(cap, norms["encode"] * norms["lift"] + norms["code_bias"])),
        }
        known |= dict.fromkeys(TRUTH_RISKS, min(max(self.expected_risk, low), high))
        known |= dict.fromkeys(MODEL_RISKS, min(max(self.expected_risk, low) + self.excess, high))
        for name, layer in LAYERS.items():
            shared = self.shared_maps and name in ("encode", "decode")
            known[f"p_{layer.letter}"] = math.prod(
                1 if shared and axis == "channel" else sizes[axis] for axis in layer.axes
            )
            known[f"s_{layer.letter}"] = grid_index(norms[name])
        for name, distance in (dict(DISTANCES) | dict(self.distances)).items():
            known[f"t_{LAYERS[name].letter}"] = grid_index(distance)
        return known | dict(self.others)

    def record(self) -> dict[str, Any]:
        """Return the setting as plain types, with every default written out."""
        return asdict(self) | {
            "norms": dict(NORMS) | dict(self.norms),
            "distances": dict(DISTANCES) | dict(self.distances),
            "cells": self.all_cells,
            "risk": self.expected_risk,
        }
