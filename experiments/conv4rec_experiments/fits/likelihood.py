r"""The likelihood of count tables under the Conv4Rec map, with exact derivatives, batched over members.

A member is one set of weights (a replicate or a start). Flat weights put the parts that touch one item first:
for every item ``decode[:, item, :]`` then ``cell_bias[item, :]``, and after them the shared parts ``project``,
``lift``, ``encode``, ``code_bias``. A logit depends on the item's own block and, for its user, on ``project`` and
the code ``H``; so its derivative is two short rows ``A`` (item coordinates) and ``S`` (user coordinates) and one
chain matrix ``T`` per user, and the Fisher matrix costs a few small products instead of one with all cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from conv4rec.errors import InputError

__all__ = ["Expansion", "Likelihood"]

Array = NDArray[np.float64]
SLOPES = {"identity": torch.ones_like, "tanh": lambda value: 1 - value**2}
ACTIVATIONS = {"identity": lambda value: value, "tanh": torch.tanh}


@dataclass(frozen=True)
class Expansion:
    r"""Value and derivatives of the mean loss ``-sum_iy w_iy log P_theta(y | i)`` at every member.

    Attributes
    ----------
    loss
        Mean loss in nats, shape (member,).
    gradient
        Its gradient, shape (member, parameter).
    fisher
        Fisher matrix ``sum_i w_i J_i^T (diag(P_i) - P_i P_i^T) J_i``, shape (member, parameter, parameter).
    """

    loss: Tensor
    gradient: Tensor
    fisher: Tensor


@dataclass(frozen=True)
class _Forward:
    """Intermediate values of the map: everything that a derivative needs again."""

    weights: dict[str, Tensor]
    code: Tensor
    code_slope: Tensor
    lifted: Tensor
    lift_slope: Tensor
    decoded: Tensor
    log_law: Tensor


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
        named = self._named(torch.as_tensor(theta)[None])
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

    def expand(self, theta: Tensor, frequencies: Tensor) -> Expansion:
        """Loss, gradient and Fisher matrix of every member (see `Expansion`)."""
        forward = self._forward(theta)
        item_rows, user_rows, chain = self._rows(forward)
        b, split = len(theta), self.items * self.item_width
        shape = (b, self.users, self.items, self.levels)

        law = forward.log_law.exp()
        share = frequencies.sum(2, keepdim=True)
        residual = (share * law - frequencies).reshape(shape)
        gradient = torch.cat(self._pull(residual, item_rows, user_rows, chain), dim=2).sum(1)

        root = torch.cat(self._pull((share.sqrt() * law).reshape(shape), item_rows, user_rows, chain), dim=2)
        fisher = -root.mT @ root
        weight = (share * law).reshape(shape)
        outer = (item_rows[..., :, None] * item_rows[..., None, :]).reshape(
            b, self.users * self.levels, self.item_width**2
        )
        blocks = weight.permute(0, 2, 1, 3).reshape(b, self.items, -1) @ outer
        own = fisher[:, :split, :split].reshape(b, self.items, self.item_width, self.items, self.item_width)
        torch.diagonal(own, dim1=1, dim2=3).add_(
            blocks.reshape(b, self.items, self.item_width, self.item_width).permute(0, 2, 3, 1)
        )

        weighted = weight[..., None] * user_rows
        cross = torch.einsum("biru,bijrv->bjuiv", item_rows, weighted).reshape(b, split, -1)
        flat_chain = chain.reshape(b, -1, chain.shape[3])
        cross = cross @ flat_chain
        fisher[:, :split, split:] += cross
        fisher[:, split:, :split] += cross.mT

        cell_rows = user_rows.flatten(2, 3)
        gram = weighted.flatten(2, 3).mT @ cell_rows
        fisher[:, split:, split:] += flat_chain.mT @ (gram @ chain).reshape(b, -1, chain.shape[3])
        return Expansion(-(frequencies * forward.log_law).sum((1, 2)), gradient, fisher)

    def jacobian(self, theta: Array) -> Array:
        """Differentiate the conditional log-probabilities at one vector; shape (user, cell, parameter)."""
        forward = self._forward(torch.as_tensor(theta)[None])
        item_rows, user_rows, chain = self._rows(forward)
        own = torch.einsum("iru,jh->ijrhu", item_rows[0], torch.eye(self.items, dtype=torch.float64))
        shared = torch.einsum("ijrv,ivp->ijrp", user_rows[0], chain[0])
        logits = torch.cat([own.flatten(3, 4), shared], dim=3).flatten(1, 2)
        mean = torch.einsum("iy,iyp->ip", forward.log_law[0].exp(), logits)
        result: Array = (logits - mean[:, None]).numpy()
        return result

    def _named(self, theta: Tensor) -> dict[str, Tensor]:
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

    def _forward(self, theta: Tensor) -> _Forward:
        w = self._named(theta)
        lifted = ACTIVATIONS[self.lift_activation](torch.einsum("ijr,brc->bijc", self.inputs, w["lift"]))
        summed = torch.einsum("bijc,bcjl->bicl", lifted, w["encode"]) + w["code_bias"][:, None]
        code = ACTIVATIONS[self.code_activation](summed)
        decoded = torch.einsum("bcjl,bicl->bijc", w["decode"], code)
        logits = decoded @ w["project"][:, None] + w["cell_bias"][:, None]
        log_law = torch.log_softmax(logits.flatten(2), dim=2)
        return _Forward(
            weights=w,
            code=code,
            code_slope=SLOPES[self.code_activation](code),
            lifted=lifted,
            lift_slope=SLOPES[self.lift_activation](lifted),
            decoded=decoded,
            log_law=log_law,
        )

    def _rows(self, forward: _Forward) -> tuple[Tensor, Tensor, Tensor]:
        """Rows A (b, user, level, item coordinate) and S (b, user, item, level, user coordinate), chain T."""
        w, code = forward.weights, forward.code
        b, m, C, k = code.shape
        n, R = self.items, self.levels
        level_eye = torch.eye(R, dtype=torch.float64)
        by_code = torch.einsum("bcr,bicl->bircl", w["project"], code).reshape(b, m, R, C * k)
        item_rows = torch.cat([by_code, level_eye.expand(b, m, R, R)], dim=3)
        by_project = torch.einsum("bijc,rs->bijrcs", forward.decoded, level_eye).reshape(b, m, n, R, C * R)
        by_user_code = torch.einsum("bcjl,bcr->bjrcl", w["decode"], w["project"]).reshape(b, 1, n, R, C * k)
        user_rows = torch.cat([by_project, by_user_code.expand(b, m, n, R, C * k)], dim=4)

        eye = torch.eye(C * k, dtype=torch.float64).reshape(C, k, C, k)
        channel_eye = torch.eye(C, dtype=torch.float64)
        through = torch.einsum("bcjl,bijc,ijr->biclr", w["encode"], forward.lift_slope, self.inputs)
        by_lift = torch.einsum("biclr,cd->biclrd", through, channel_eye).reshape(b, m, C * k, R * C)
        by_encode = torch.einsum("bijd,cldt->bicldjt", forward.lifted, eye).reshape(b, m, C * k, C * n * k)
        by_bias = eye.reshape(C * k, C * k).expand(b, m, C * k, C * k)
        slope = forward.code_slope.reshape(b, m, C * k, 1)
        to_code = slope * torch.cat([by_lift, by_encode, by_bias], dim=3)
        chain = torch.zeros(b, m, C * R + C * k, C * R + to_code.shape[3], dtype=torch.float64)
        chain[:, :, : C * R, : C * R] = torch.eye(C * R, dtype=torch.float64)
        chain[:, :, C * R :, C * R :] = to_code
        return item_rows, user_rows, chain

    def _pull(self, table: Tensor, item_rows: Tensor, user_rows: Tensor, chain: Tensor) -> tuple[Tensor, Tensor]:
        """Pull a table (b, user, item, level) back through every user's Jacobian of the logits."""
        own = (table @ item_rows).flatten(2)
        summed = table.flatten(2)[:, :, None] @ user_rows.flatten(2, 3)
        return own, (summed @ chain)[:, :, 0]
