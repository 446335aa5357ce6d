r"""The likelihood of count tables under the Conv4Rec map, with exact derivatives, batched over members.

A member is one set of weights (a replicate or a start). Flat weights put the parts that touch one item first:
for every item ``decode[:, item, :]`` then ``cell_bias[item, :]``, and after them the shared parts ``project``,
``lift``, ``encode``, ``code_bias``.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conv4rec.errors import InputError
from conv4rec_experiments.fits.derivatives import Expansion, Forward, expand, fold, rows

__all__ = ["Likelihood"]

Array = NDArray[np.float64]
SLOPES = {"identity": torch.ones_like, "tanh": lambda value: 1 - value**2}
BENDS = {"identity": torch.zeros_like, "tanh": lambda value: -2 * value * (1 - value**2)}
ACTIVATIONS = {"identity": lambda value: value, "tanh": torch.tanh}


class Likelihood:
    r"""The map ``theta -> log P_theta(y | i)`` for fixed profiles, item maps per channel, no level offset.

    With ``Xn_i = X_i / ||X_i||_F``: ``U = phi(Xn K)``, ``H_c = psi(E_c^T U[:, c] + a_c)``, ``V[:, c] = D_c H_c``,
    ``Z = V G + B`` and a softmax over all cells.

    Parameters
    ----------
    profiles
        Zeros and ones, shape (user, item, level); an empty profile stays zero.
    channels, code
        Sizes C and k.
    lift_activation, code_activation
        ``"identity"`` or ``"tanh"``.

    Raises
    ------
    InputError
        If the profiles are not a table of zeros and ones, or an activation has another name.

    Examples
    --------
    >>> import numpy as np
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> likelihood.size
    9
    >>> likelihood.log_law(np.zeros(9)).round(4).tolist()
    [[-0.6931, -0.6931]]
    """

    def __init__(
        self,
        profiles: NDArray[np.integer] | Array,
        channels: int,
        code: int,
        lift_activation: str = "identity",
        code_activation: str = "tanh",
    ) -> None:
        values = np.asarray(profiles, dtype=np.float64)
        if values.ndim != 3 or values.size == 0 or not np.isin(values, (0, 1)).all():
            raise InputError(
                f"Profiles of shape {values.shape} were given; expected zeros and ones of shape (user, item, level)."
            )
        for activation in (lift_activation, code_activation):
            if activation not in ACTIVATIONS:
                raise InputError(f"The activation is {activation!r}; expected one of {', '.join(ACTIVATIONS)}.")
        table = torch.as_tensor(values)
        norm = torch.linalg.vector_norm(table, dim=(1, 2), keepdim=True)
        self.inputs = table / torch.where(norm > 0, norm, 1.0)
        self.users, self.items, self.levels = table.shape
        self.channels, self.code = channels, code
        self.lift_activation, self.code_activation = lift_activation, code_activation
        self.item_width = channels * code + self.levels
        n, R, C, k = self.items, self.levels, channels, code
        self._shared = {"project": (C, R), "lift": (R, C), "encode": (C, n, k), "code_bias": (C, k)}
        self.size = n * self.item_width + sum(prod(shape) for shape in self._shared.values())

    @property
    def cells(self) -> int:
        """Number of cells, items times levels."""
        return self.items * self.levels

    def pack(self, weights: Mapping[str, Array]) -> Array:
        """Flatten named arrays to one vector of shape (parameter,), or (member, parameter)."""
        decode = np.moveaxis(weights["decode"], -3, -2)
        lead = decode.shape[:-3]
        blocks = np.concatenate([decode.reshape(*lead, self.items, -1), np.asarray(weights["cell_bias"])], axis=-1)
        shared = [np.asarray(weights[name]).reshape(*lead, -1) for name in self._shared]
        return np.concatenate([blocks.reshape(*lead, -1), *shared], axis=-1)

    def unpack(self, theta: Array) -> dict[str, Array]:
        """Give the named arrays of a vector of shape (parameter,); the inverse of `pack`."""
        named = self.named(torch.as_tensor(theta)[None])
        return {name: value[0].numpy().copy() for name, value in named.items()}

    def log_law(self, theta: Array) -> Array:
        """Log-probabilities of shape (user, cell) at flat weights of shape (parameter,)."""
        result: Array = self._forward(torch.as_tensor(theta)[None]).log_law[0].numpy()
        return result

    def log_laws(self, theta: Tensor) -> Tensor:
        """Log-probabilities of shape (member, user, cell) at flat weights of shape (member, parameter)."""
        return self._forward(theta).log_law

    def loss(self, theta: Tensor, frequencies: Tensor) -> Tensor:
        """Mean loss in nats, shape (member,), for frequencies of shape (member, user, cell) that sum to one."""
        return -(frequencies * self.log_laws(theta)).sum((1, 2))

    def expand(self, theta: Tensor, frequencies: Tensor, *, exact: bool = False) -> Expansion:
        """Loss, gradient, Fisher matrix and, if ``exact``, the Hessian of every member (see `Expansion`)."""
        return expand(self._forward(theta), frequencies, exact=exact)

    def jacobian(self, theta: Array) -> Array:
        """Differentiate the conditional log-probabilities at one vector; shape (user, cell, parameter)."""
        forward = self._forward(torch.as_tensor(theta)[None])
        short = rows(forward)
        m, n, R = self.users, self.items, self.levels
        shape = (m, n * R)
        own = torch.einsum("iru,jh->ijrhu", short.item[0], torch.eye(n, dtype=torch.float64))
        by_project = torch.einsum("ijc,rs->ijrcs", short.project[0], torch.eye(R, dtype=torch.float64))
        lines = short.argument[0].flatten(1, 2)[..., None] * short.lines[0][:, None]
        logits = torch.cat(
            [own.reshape(*shape, -1), by_project.reshape(*shape, -1), fold(lines, self.channels, R)], dim=2
        )
        mean = torch.einsum("iy,iyp->ip", forward.log_law[0].exp(), logits)
        result: Array = (logits - mean[:, None]).numpy()
        return result

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """Give the named weights of members, each of shape (member, ...), of flat weights (member, parameter)."""
        b, split = len(theta), self.items * self.item_width
        blocks = theta[:, :split].reshape(b, self.items, self.item_width)
        decode = blocks[..., : self.channels * self.code].reshape(b, self.items, self.channels, self.code)
        parts = torch.split(theta[:, split:], [prod(shape) for shape in self._shared.values()], dim=1)
        named = {name: part.reshape(b, *shape) for (name, shape), part in zip(self._shared.items(), parts, strict=True)}
        return {
            "lift": named["lift"],
            "encode": named["encode"],
            "code_bias": named["code_bias"],
            "decode": decode.movedim(1, 2),
            "project": named["project"],
            "cell_bias": blocks[..., self.channels * self.code :],
        }

    def _forward(self, theta: Tensor) -> Forward:
        w = self.named(theta)
        lifted = ACTIVATIONS[self.lift_activation](torch.einsum("ijr,brc->bijc", self.inputs, w["lift"]))
        summed = torch.einsum("bijc,bcjl->bicl", lifted, w["encode"]) + w["code_bias"][:, None]
        code = ACTIVATIONS[self.code_activation](summed)
        decoded = torch.einsum("bcjl,bicl->bijc", w["decode"], code)
        logits = decoded @ w["project"][:, None] + w["cell_bias"][:, None]
        log_law = torch.log_softmax(logits.flatten(2), dim=2)
        return Forward(
            inputs=self.inputs,
            weights=w,
            code=code,
            code_slope=SLOPES[self.code_activation](code),
            code_bend=BENDS[self.code_activation](code),
            lifted=lifted,
            lift_slope=SLOPES[self.lift_activation](lifted),
            lift_bend=BENDS[self.lift_activation](lifted),
            decoded=decoded,
            log_law=log_law,
        )
