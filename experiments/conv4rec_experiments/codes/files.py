r"""Files of a network: whole numbers that say how it differs from the one that profiles alone give.

With gains :math:`g = (1, 0, 0) + s\,n` for encode, decode and offset of each channel, and whole numbers :math:`n` for
every other small layer, the file of step :math:`s` describes

.. math::
    E_c = g_{Ec}E^0_c,\quad a_c = g_{Ec}a^0_c+s\,n,\quad D_c = g_{Dc}D^0_c,\quad O_c = g_{Oc}O^0_c+s\,n,\quad
    K = K^0+s\,n,\quad G = G^0+s\,n,\quad B = B^0 .
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv4rec.network import Architecture
from conv4rec_experiments.codes.profile_network import ProfileNetwork
from conv4rec_experiments.codes.streams import Coder, Reader, Writer, code_integers

__all__ = ["GAINS", "STEPS", "Numbers", "decode", "described", "encode", "numbers_shapes"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

STEPS = (1.0, 0.5, 0.25, 0.125)
GAINS = "gains"
LAYERS = (GAINS, "lift", "code_bias", "project", "offset")


@dataclass(frozen=True, eq=False)
class Numbers:
    """The content of a file: the place of the step in `STEPS`, and whole numbers by layer (see `numbers_shapes`)."""

    step: int
    layers: Mapping[str, Integers]

    def weights(self, blind: ProfileNetwork) -> dict[str, Array]:
        """Return the weights that these numbers describe."""
        return described(blind.weights, {name: STEPS[self.step] * values for name, values in self.layers.items()})


def described(known: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights from those that profiles give and what is told about them; arrays of numpy or tensors of torch.

    Where nothing is told, codes are read, but neither items nor levels follow them: everybody gets what is popular.
    """
    of_encode, of_decode, of_offset = told[GAINS][0] + 1, told[GAINS][1], told[GAINS][2]
    return {
        "lift": known["lift"] + told["lift"],
        "encode": of_encode[:, None, None] * known["encode"],
        "code_bias": of_encode[:, None] * known["code_bias"] + told["code_bias"],
        "decode": of_decode[:, None, None] * known["decode"],
        "project": known["project"] + told["project"],
        "cell_bias": known["cell_bias"],
        "offset": of_offset[:, None, None] * known["offset"] + told["offset"],
    }


def numbers_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the whole numbers: gains (encode, decode or offset; channel), and the small layers."""
    return {GAINS: (3, architecture.channels)} | {
        name: shape for name, shape in architecture.shapes().items() if name in LAYERS
    }


def encode(numbers: Numbers) -> tuple[bytes, dict[str, int]]:
    """Return the file of the numbers, and how many of its bits each part takes.

    Raises
    ------
    InputError
        If a number is beyond `conv4rec_experiments.codes.streams.LARGEST`.
    """
    writer = Writer()
    _code(writer, numbers)
    return writer.pack()


def decode(data: bytes, architecture: Architecture) -> Numbers:
    """Return the numbers of a file; nothing that it holds is executed.

    Raises
    ------
    InputError
        If the file is damaged, cut short or too long.
    """
    shapes = numbers_shapes(architecture)
    reader = Reader(data)
    found = _code(reader, Numbers(0, {name: np.zeros(shape, dtype=np.int64) for name, shape in shapes.items()}))
    reader.end()
    return found


def _code(coder: Coder, numbers: Numbers) -> Numbers:
    """Write or read the step and, for every layer, whether it is told and its numbers."""
    step = coder.code(numbers.step, [1] * len(STEPS), "step")
    found = {}
    for name in LAYERS:
        values = numbers.layers[name]
        if coder.code(int(values.any()), (1, 1), name):
            values = code_integers(coder, values, name)
        found[name] = values
    return Numbers(step, found)
