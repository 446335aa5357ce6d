r"""The likelihood of one large count table: value, gradient and products with the Fisher matrix, no matrix formed.

All logits are one product of low rank, ``Z_iy = sum_a H_ia W_ya + B_y`` with the codes H of the users and ``W = G D``
per cell. A change of weights changes H, W and B only, and every derivative with respect to weights is a sum over
users of a table times W, or over cells of a table times H. Tables (user, cell) are walked in strips of users that
stay in the cache, and the encoder is walked over the observed pairs (user, item) of the profiles alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from conv4rec_experiments.fits.likelihood import ACTIVATIONS, BENDS, SLOPES, Likelihood

__all__ = ["Changes", "FactoredMap", "Frame", "Point"]

STRIP = 2**19


@dataclass(frozen=True)
class Changes:
    """First-order changes of codes (user, coordinate), of ``G D`` (cell, coordinate) and of the bias (cell,)."""

    code: Tensor
    cell: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Frame:
    """What first derivatives of the logits need at one vector of weights.

    Attributes
    ----------
    weights
        Named weights.
    code, code_slope
        Codes H and the slope of the activation there, shape (user, channel, code).
    lifted, lift_slope
        The same of the lift, shape (pair, channel).
    cell
        ``W = G D``, shape (cell, channel times code).
    """

    weights: dict[str, Tensor]
    code: Tensor
    code_slope: Tensor
    lifted: Tensor
    lift_slope: Tensor
    cell: Tensor

    @property
    def code_rows(self) -> Tensor:
        """Codes and a one, shape (user, channel times code + 1): derivatives of a logit by ``W`` and by the bias."""
        return torch.cat([self.code.flatten(1), torch.ones_like(self.code[:, 0, :1])], dim=1)


@dataclass(frozen=True)
class Point:
    """The loss and the map at one vector of weights.

    Attributes
    ----------
    loss
        Mean loss in nats.
    gradient
        Its gradient, shape (parameter,).
    law
        Conditional law, shape (user, cell).
    by_code, by_cell
        Derivatives of the loss by codes (user, coordinate), and by ``W`` and bias (cell, coordinate + 1).
    frame
        First derivatives of the logits.
    """

    loss: float
    gradient: Tensor
    law: Tensor
    by_code: Tensor
    by_cell: Tensor
    frame: Frame


class FactoredMap:
    r"""Derivatives of the mean loss of one count table under a likelihood.

    Parameters
    ----------
    likelihood
        The map; see `conv4rec_experiments.fits.likelihood.Likelihood`.
    frequencies
        Count table over its sum, shape (user, cell).

    Examples
    --------
    >>> import numpy as np
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> factored = FactoredMap(likelihood, torch.tensor([[0.75, 0.25]], dtype=torch.float64))
    >>> point = factored.point(torch.zeros(likelihood.size, dtype=torch.float64))
    >>> round(point.loss, 4), point.gradient[[1, 3]].tolist()
    (0.6931, [-0.25, 0.25])
    >>> factored.fisher_times(point, torch.eye(likelihood.size, dtype=torch.float64)[1])[[1, 3]].tolist()
    [0.25, -0.25]
    """

    def __init__(self, likelihood: Likelihood, frequencies: Tensor) -> None:
        self.likelihood, self.frequencies = likelihood, frequencies
        self.share = frequencies.sum(1)
        seen = torch.nonzero(likelihood.inputs.any(dim=2))
        self.user, self.item = seen[:, 0], seen[:, 1]
        self.inputs = likelihood.inputs[self.user, self.item]
        height = max(1, STRIP // likelihood.cells)
        self.strips = [slice(begin, begin + height) for begin in range(0, likelihood.users, height)]

    def named(self, theta: Tensor) -> dict[str, Tensor]:
        """Name the parts of flat weights of shape (parameter,)."""
        return {name: value[0] for name, value in self.likelihood.named(theta[None]).items()}

    def encoded(self, lifted: Tensor, encode: Tensor) -> Tensor:
        """Sum ``lifted`` (pair, channel) times ``encode`` (channel, item, code) over each user's pairs."""
        terms = lifted[:, :, None] * encode.movedim(1, 0)[self.item]
        zero = torch.zeros(self.likelihood.users, *terms.shape[1:], dtype=terms.dtype)
        return zero.index_add_(0, self.user, terms)

    def frame(self, theta: Tensor) -> Frame:
        """First derivatives of the logits at flat weights of shape (parameter,)."""
        map_, weights = self.likelihood, self.named(theta)
        lifted = ACTIVATIONS[map_.lift_activation](self.inputs @ weights["lift"])
        code = ACTIVATIONS[map_.code_activation](self.encoded(lifted, weights["encode"]) + weights["code_bias"])
        return Frame(
            weights=weights,
            code=code,
            code_slope=SLOPES[map_.code_activation](code),
            lifted=lifted,
            lift_slope=SLOPES[map_.lift_activation](lifted),
            cell=torch.einsum("cr,cjl->jrcl", weights["project"], weights["decode"]).reshape(map_.cells, -1),
        )

    def point(self, theta: Tensor) -> Point:
        """Loss and gradient at flat weights of shape (parameter,), and all that products need there."""
        frame = self.frame(theta)
        left = frame.code_rows
        right = torch.cat([frame.cell, frame.weights["cell_bias"].reshape(-1, 1)], dim=1).T.contiguous()
        law, rows = torch.empty_like(self.frequencies), torch.zeros_like(right)
        loss, parts = 0.0, []
        for strip in self.strips:
            logits, seen, share = left[strip] @ right, self.frequencies[strip], self.share[strip, None]
            top = logits.amax(1, keepdim=True)
            gained = (seen * logits).sum()
            table = logits.sub_(top).exp_()
            total = table.sum(1, keepdim=True)
            loss += float((share * (top + total.log())).sum() - gained)
            law[strip] = table.div_(total)
            residual = table.mul_(share).sub_(seen)
            parts.append(residual @ frame.cell)
            rows.addmm_(left[strip].T, residual)
        by_code, by_cell = torch.cat(parts), rows.T
        return Point(loss, self.pull(frame, by_code, by_cell), law, by_code, by_cell, frame)

    def push(self, frame: Frame, direction: Tensor) -> Changes:
        """Give the changes of codes, ``G D`` and bias along a direction of shape (parameter,)."""
        map_, weights, change = self.likelihood, frame.weights, self.named(direction)
        cell = torch.einsum("cr,cjl->jrcl", weights["project"], change["decode"])
        cell = cell + torch.einsum("cr,cjl->jrcl", change["project"], weights["decode"])
        code = frame.code_slope * self._argument(frame, change)
        return Changes(code.flatten(1), cell.reshape(map_.cells, -1), change["cell_bias"].reshape(-1))

    def pull(self, frame: Frame, by_code: Tensor, by_cell: Tensor) -> Tensor:
        """Turn derivatives by codes (user, coordinate) and by ``G D`` and bias (cell, coordinate + 1) to weights."""
        map_, weights = self.likelihood, frame.weights
        n, R, C, k = map_.items, map_.levels, map_.channels, map_.code
        table = by_cell[:, :-1].reshape(n, R, C, k)
        decode = torch.einsum("cr,jrcl->jcl", weights["project"], table).reshape(n, C * k)
        own = torch.cat([decode, by_cell[:, -1].reshape(n, R)], dim=1)
        project = torch.einsum("cjl,jrcl->cr", weights["decode"], table)
        argument = by_code.reshape(-1, C, k) * frame.code_slope
        at_pair = argument[self.user]
        encode = torch.zeros(n, C, k, dtype=own.dtype).index_add_(0, self.item, frame.lifted[:, :, None] * at_pair)
        lifted = (weights["encode"].movedim(1, 0)[self.item] * at_pair).sum(2) * frame.lift_slope
        parts = own, project, self.inputs.T @ lifted, encode.movedim(0, 1), argument.sum(0)
        return torch.cat([part.reshape(-1) for part in parts])

    def fisher_times(self, point: Point, direction: Tensor) -> Tensor:
        r"""Product ``sum_i w_i J_i^T (diag(P_i) - P_i P_i^T) J_i v`` with a direction v of shape (parameter,)."""
        return self.pull(point.frame, *self._curved(point, self.push(point.frame, direction), exact=False))

    def hessian_times(self, point: Point, direction: Tensor) -> Tensor:
        r"""Product with the Hessian: that with the Fisher matrix, plus the change of ``J^T r`` at fixed residuals r.

        The residuals are ``r_iy = w_i P_iy - w_iy``; the logits bend where two factors change together and where an
        activation bends.
        """
        map_, frame, named = self.likelihood, point.frame, self.named(direction)
        n, R, C, k = map_.items, map_.levels, map_.channels, map_.code
        change = self.push(frame, direction)
        first = self.pull(frame, *self._curved(point, change, exact=True))

        table = point.by_cell[:, :-1].reshape(n, R, C, k)
        decode = torch.einsum("cr,jrcl->jcl", named["project"], table).reshape(n, C * k)
        own = torch.cat([decode, torch.zeros(n, R, dtype=decode.dtype)], dim=1)
        project = torch.einsum("cjl,jrcl->cr", named["decode"], table)
        by_code = point.by_code.reshape(-1, C, k)
        bend = BENDS[map_.code_activation](frame.code) * self._argument(frame, named) * by_code
        slope = frame.code_slope * by_code
        at_pair, bend_at_pair = slope[self.user], bend[self.user]
        turned = self.inputs @ named["lift"]
        terms = frame.lifted[:, :, None] * bend_at_pair + (frame.lift_slope * turned)[:, :, None] * at_pair
        encode = torch.zeros(n, C, k, dtype=own.dtype).index_add_(0, self.item, terms)
        old, new = (weights["encode"].movedim(1, 0)[self.item] for weights in (frame.weights, named))
        lifted = BENDS[map_.lift_activation](frame.lifted) * turned * (old * at_pair).sum(2)
        lifted = lifted + frame.lift_slope * (new * at_pair + old * bend_at_pair).sum(2)
        parts = own, project, self.inputs.T @ lifted, encode.movedim(0, 1), bend.sum(0)
        return first + torch.cat([part.reshape(-1) for part in parts])

    def greatest_move(self, point: Point, direction: Tensor) -> float:
        """Greatest first-order change of a log-probability along a direction of shape (parameter,)."""
        change = self.push(point.frame, direction)
        left = torch.cat([point.frame.code.flatten(1), change.code], dim=1)
        right = torch.cat([change.cell, point.frame.cell], dim=1).T.contiguous()
        greatest = 0.0
        for strip in self.strips:
            moved = left[strip] @ right + change.bias
            mean = (point.law[strip] * moved).sum(1, keepdim=True)
            greatest = max(greatest, float((moved - mean).abs().max()))
        return greatest

    def _argument(self, frame: Frame, change: dict[str, Tensor]) -> Tensor:
        """Change of the codes' arguments, shape (user, channel, code), for a change of the named weights."""
        lifted = (self.inputs @ change["lift"]) * frame.lift_slope
        moved = self.encoded(lifted, frame.weights["encode"]) + self.encoded(frame.lifted, change["encode"])
        return moved + change["code_bias"]

    def _curved(self, point: Point, change: Changes, *, exact: bool) -> tuple[Tensor, Tensor]:
        """Change the derivatives by codes and by cells through the law, and through the factors if ``exact``."""
        frame = point.frame
        none = torch.zeros_like(self.share)[:, None]
        left = torch.cat([frame.code.flatten(1), change.code, none + 1, none], dim=1)
        right = torch.cat([change.cell, frame.cell, change.bias[:, None]], dim=1).T.contiguous()
        right = torch.cat([right, torch.ones_like(right[:1])])
        rows = self.share[:, None] * frame.code_rows
        moved = torch.cat([change.code, none], dim=1)
        by_code, by_cell = [], torch.zeros(rows.shape[1], self.likelihood.cells, dtype=rows.dtype)
        for strip in self.strips:
            law, part = point.law[strip], left[strip]
            mean = (part[:, :-1] * (law @ right[:-1].T)).sum(1, keepdim=True)
            table = (torch.cat([part[:, :-1], -mean], dim=1) @ right).mul_(law)
            turned = self.share[strip, None] * (table @ frame.cell)
            by_cell.addmm_(rows[strip].T, table)
            if exact:
                residual = self.share[strip, None] * law - self.frequencies[strip]
                turned = turned + residual @ change.cell
                by_cell.addmm_(moved[strip].T, residual)
            by_code.append(turned)
        return torch.cat(by_code), by_cell.T
