"""The network: lift, encode, decode and project, with work in the encoder proportional to what was observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from conv4rec.arguments import flag, whole_number
from conv4rec.batches import ProfileBatch
from conv4rec.errors import InputError

__all__ = ["ACTIVATIONS", "Activation", "Architecture", "Network"]

Activation = Literal["identity", "tanh", "relu", "asinh"]


class _Asinh(torch.autograd.Function):
    """asinh, out of operations that run over whole vectors: several times as fast as torch's own on a CPU."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        root = torch.hypot(value, value.new_ones(()))
        ctx.save_for_backward(root)
        # Written so that small values keep all digits and large ones do not overflow.
        size = value.abs()
        found: torch.Tensor = size.addcmul_(size, size / (1 + root)).log1p_().copysign_(value)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (root,) = ctx.saved_tensors
        bent: torch.Tensor = gradient / root
        return bent


_asinh: Callable[[torch.Tensor], torch.Tensor] = _Asinh.apply

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "identity": lambda value: value,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "asinh": _asinh,
}
"""The activations by name."""


@dataclass(frozen=True)
class Architecture:
    """Sizes and activations of a network; everything that its weights do not tell.

    Attributes
    ----------
    n_items, n_levels : int
        Sizes of the axes `item` and `level`.
    channels, code : int
        Sizes of the axes `channel` and `code`.
    shared_maps : bool
        Whether one encode map and one decode map serve all channels.
    level_offset : bool
        Whether the code also shifts the levels of all items of a user (the map `offset`).
    lift_activation, code_activation, decode_activation : {"identity", "tanh", "relu", "asinh"}
        Activations after lift, after encode and after decode; each is 1-Lipschitz and 0 at 0.
    hidden : sequence of int
        Sizes of further layers between encode and decode, shared by the channels; none by default.

    Raises
    ------
    InputError
        If a size is not a positive integer, a choice is not True or False, or an activation has another name.

    Examples
    --------
    >>> Architecture(n_items=7, n_levels=2, channels=2, code=3).shapes()["encode"]
    (1, 7, 3)
    """

    n_items: int
    n_levels: int
    channels: int = 4
    code: int = 300
    shared_maps: bool = True
    level_offset: bool = True
    lift_activation: Activation = "identity"
    code_activation: Activation = "relu"
    decode_activation: Activation = "asinh"
    hidden: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.hidden, Sequence):
            raise InputError(f"hidden is {self.hidden!r}; expected the sizes of the layers in a list.")
        hidden = tuple(whole_number(f"hidden[{place}]", size, 1) for place, size in enumerate(self.hidden))
        checked: dict[str, object] = {"hidden": hidden}
        for name in ("n_items", "n_levels", "channels", "code"):
            checked[name] = whole_number(name, getattr(self, name), 1)
        for name in ("shared_maps", "level_offset"):
            checked[name] = flag(name, getattr(self, name))
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        for name in ("lift_activation", "code_activation", "decode_activation"):
            if getattr(self, name) not in get_args(Activation):
                choices = ", ".join(get_args(Activation))
                raise InputError(f"{name} is {getattr(self, name)!r}; choose one of {choices}.")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each array of the weights, by name."""
        maps = 1 if self.shared_maps else self.channels
        shapes: dict[str, tuple[int, ...]] = {
            "lift": (self.n_levels, self.channels),
            "encode": (maps, self.n_items, self.code),
            "code_bias": (self.channels, self.code),
        }
        width = self.code
        for place, size in enumerate(self.hidden):
            shapes[f"hidden.{place}.weight"] = (size, width)
            shapes[f"hidden.{place}.bias"] = (size,)
            width = size
        shapes["decode"] = (maps, self.n_items, width)
        shapes["project"] = (self.channels, self.n_levels)
        shapes["cell_bias"] = (self.n_items, self.n_levels)
        if self.level_offset:
            shapes["offset"] = (self.channels, width, self.n_levels)
        return shapes


class Network(nn.Module):
    r"""Conv4Rec's map from the profiles of users to logits over all cells.

    For a user with profile :math:`X\in\{0,1\}^{n\times R}` and :math:`\bar X = X/\|X\|_F` (an empty one stays 0),

    .. math::

        U = \varphi(\bar X K),\quad H_c = \psi\Big(\sum_j E_{c,j} U_{jc} + a_c\Big),\quad
        V_{jc} = \chi\big(\langle D_{c,j}, H_c\rangle\big),\quad
        Z_{jr} = \sum_c V_{jc} G_{cr} + B_{jr} + \sum_{c,l} H_{cl} O_{clr},

    with the parameters `lift` :math:`K`, `encode` :math:`E`, `code_bias` :math:`a`, `decode` :math:`D`, `project`
    :math:`G`, `cell_bias` :math:`B` and `offset` :math:`O`. As :math:`\varphi(0)=0`, items without an observed
    level add nothing to the code, and lift and encode visit the observed cells only. Parameters start at 0.

    Parameters
    ----------
    architecture : Architecture
        Sizes and activations.
    dtype : torch.dtype
        Precision of the parameters, `float32` or `float64`.

    Examples
    --------
    >>> network = Network(Architecture(n_items=2, n_levels=2, channels=1, code=1), dtype=torch.float64)
    >>> ones = {name: np.ones_like(value) for name, value in network.weights().items()}
    >>> network.set_weights(ones | {"project": np.array([[0.0, 1.0]])})
    >>> empty = torch.zeros(0, dtype=torch.int64)
    >>> profile = ProfileBatch(empty, empty.double(), empty, empty, torch.zeros(1, dtype=torch.int64))
    >>> network(profile)[0, 0].tolist()  # cell_bias + offset, then + decode
    [2.0, 2.881373587019543]
    """

    lift: nn.Parameter
    encode: nn.Parameter
    code_bias: nn.Parameter
    decode: nn.Parameter
    project: nn.Parameter
    cell_bias: nn.Parameter
    offset: nn.Parameter

    def __init__(self, architecture: Architecture, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.architecture = architecture
        shapes = architecture.shapes()
        for name, shape in shapes.items():
            if not name.startswith("hidden."):
                self.register_parameter(name, nn.Parameter(torch.zeros(shape, dtype=dtype)))
        layers = [shapes[f"hidden.{place}.weight"] for place in range(len(architecture.hidden))]
        self.hidden = nn.ModuleList(
            nn.Linear(width, size, dtype=dtype, device="meta").to_empty(device="cpu") for size, width in layers
        )
        # Laid out without values, so that no global random number is drawn.
        for layer in self.hidden.parameters():
            nn.init.zeros_(layer)
        self._lift_activation = ACTIVATIONS[architecture.lift_activation]
        self._code_activation = ACTIVATIONS[architecture.code_activation]
        self._decode_activation = ACTIVATIONS[architecture.decode_activation]

    def codes(self, profiles: ProfileBatch) -> torch.Tensor:
        """Lift and encode: return the code of each user, shape (user, channel, code).

        Time and memory go with the number of observed cells, not with the number of items.
        """
        lifted = self._lift_activation(
            functional.embedding_bag(
                profiles.level,
                self.lift,
                profiles.cell_start,
                mode="sum",
                per_sample_weights=profiles.scale,
            )
        )
        if self.architecture.shared_maps:
            # One bag for each channel and user: a single pass over the map, and a single gradient of its size.
            first = torch.arange(self.architecture.channels, device=lifted.device)[:, None] * len(profiles.item)
            bags = functional.embedding_bag(
                profiles.item.repeat(self.architecture.channels),
                self.encode[0],
                (first + profiles.pair_start).flatten(),
                mode="sum",
                per_sample_weights=lifted.T.flatten(),
            )
            encoded = bags.view(self.architecture.channels, len(profiles), -1).transpose(0, 1)
        else:
            encoded = torch.stack(
                [
                    functional.embedding_bag(
                        profiles.item,
                        own_map,
                        profiles.pair_start,
                        mode="sum",
                        per_sample_weights=of_channel.contiguous(),
                    )
                    for own_map, of_channel in zip(self.encode, lifted.T, strict=True)
                ],
                dim=1,
            )
        code = self._code_activation(encoded + self.code_bias)
        for layer in self.hidden:
            code = self._code_activation(layer(code))
        return code

    def forward(self, profiles: ProfileBatch) -> torch.Tensor:
        """Return the logits of all cells, shape (user, item, level)."""
        code = self.codes(profiles)
        if self.architecture.shared_maps:
            items = torch.matmul(code, self.decode[0].T)
        else:
            items = torch.bmm(code.transpose(0, 1), self.decode.transpose(1, 2)).transpose(0, 1)
        items = self._decode_activation(items)
        levels = self.project.T.expand(len(code), -1, -1)
        if self.architecture.level_offset:
            # The offset of the user is a channel whose item value is 1: one product instead of a further pass.
            shift = torch.einsum("ucl,clr->ur", code, self.offset)
            levels = torch.cat([levels, shift[:, :, None]], dim=2)
            items = torch.cat([items, items.new_ones(len(code), 1, items.shape[2])], dim=1)
        # Levels before items in memory: sums over levels then run along contiguous items.
        return torch.baddbmm(self.cell_bias.T, levels, items).transpose(1, 2)

    def weights(self) -> dict[str, npt.NDArray[np.floating]]:
        """Return a copy of the weights as named arrays, hidden layers included."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.named_parameters()}

    def set_weights(self, weights: Mapping[str, npt.NDArray[np.floating]]) -> None:
        """Set all weights from named arrays.

        Raises
        ------
        InputError
            If a name or a shape differs from the architecture's, or a value is not finite.
        """
        expected = self.architecture.shapes()
        if set(weights) != set(expected):
            differing = ", ".join(sorted(set(weights) ^ set(expected)))
            raise InputError(f"The weights and the architecture differ in {differing}; give exactly its arrays.")
        for name, shape in expected.items():
            if weights[name].shape != shape:
                raise InputError(f"The array {name} has shape {weights[name].shape}; expected {shape}.")
            if not np.isfinite(weights[name]).all():
                raise InputError(f"The array {name} has values that are not finite; give finite weights.")
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))
