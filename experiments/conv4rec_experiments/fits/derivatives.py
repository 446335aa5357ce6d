r"""Gradient, Fisher matrix and Hessian of the mean loss, from the structure of the map.

A logit ``Z_ijr = sum_cl G_cr D_cjl H_icl + B_jr`` depends on the item's own block ``(D_j, B_j)`` and, for its user, on
``G`` and on the codes' arguments ``A_icl``, which one line of weights (``K_c``, ``E_cl``, ``a_cl``) moves. So a
derivative is two short rows and one line for every user and code, and a second-order matrix is a few small products
instead of one with all cells. The Hessian is the Fisher matrix plus the map's own bend, weighted by the residual.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Expansion", "Forward", "Rows", "expand", "fold", "rows"]


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
    hessian
        The second derivative itself, ``fisher + sum_iy (w_i P_iy - w_iy) d^2 Z_iy``; none unless asked for.
    """

    loss: Tensor
    gradient: Tensor
    fisher: Tensor
    hessian: Tensor | None = None


@dataclass(frozen=True)
class Forward:
    """Intermediate values of the map at every member: everything that a derivative needs again.

    Shapes: ``inputs`` (user, item, level), ``weights`` by name with a leading member axis, ``code`` and its first two
    slopes (member, user, channel, code), ``lifted`` and its slopes (member, user, item, channel), ``decoded`` alike,
    ``log_law`` (member, user, cell).
    """

    inputs: Tensor
    weights: dict[str, Tensor]
    code: Tensor
    code_slope: Tensor
    code_bend: Tensor
    lifted: Tensor
    lift_slope: Tensor
    lift_bend: Tensor
    decoded: Tensor
    log_law: Tensor


@dataclass(frozen=True)
class Rows:
    """First derivatives of the logits in short coordinates.

    Attributes
    ----------
    item
        By the item's own block, shape (member, user, level, item coordinate).
    project
        Factor of the derivative by ``G_cr`` at level r, shape (member, user, item, channel): the decoded values.
    argument
        By the codes' arguments, shape (member, user, item, level, channel * code).
    lines
        Derivatives of the arguments by their line of weights (``K_c``, ``E_cl``, ``a_cl``), shape
        (member, user, channel * code, level + item + 1).
    """

    item: Tensor
    project: Tensor
    argument: Tensor
    lines: Tensor


def rows(forward: Forward) -> Rows:
    """Build the short rows (see `Rows`)."""
    w, code = forward.weights, forward.code
    b, m, C, k = code.shape
    n, R = forward.inputs.shape[1:]
    by_code = torch.einsum("bcr,bicl->bircl", w["project"], code).reshape(b, m, R, C * k)
    item = torch.cat([by_code, torch.eye(R, dtype=code.dtype).expand(b, m, R, R)], dim=3)
    weight = torch.einsum("bcjl,bcr->bjrcl", w["decode"], w["project"]).reshape(b, 1, n, R, C * k)
    argument = weight * forward.code_slope.reshape(b, m, 1, 1, C * k)
    by_lift = torch.einsum("bcjl,bijcr->biclr", w["encode"], forward.lift_slope[..., None] * forward.inputs[:, :, None])
    by_encode = forward.lifted.transpose(2, 3)[:, :, :, None].expand(b, m, C, k, n)
    one = torch.ones(b, m, C, k, 1, dtype=code.dtype)
    lines = torch.cat([by_lift, by_encode, one], dim=4).flatten(2, 3)
    return Rows(item, forward.decoded, argument, lines)


@dataclass(frozen=True)
class _Second:
    """What a second-order matrix says in short coordinates, every table as a member's sum over levels or users.

    Shapes: item block against ``G`` (member, item, item coordinate, channel, level) and against arguments
    (member, user, channel * code, item, item coordinate); ``G`` against arguments (member, user, channel, level,
    channel * code); arguments against arguments (member, user, channel * code, channel * code).
    """

    item_project: Tensor
    item_argument: Tensor
    project_argument: Tensor
    argument_argument: Tensor


def expand(forward: Forward, frequencies: Tensor, *, exact: bool) -> Expansion:
    """Loss, gradient, Fisher matrix and, if ``exact``, the Hessian of every member (see `Expansion`)."""
    short = rows(forward)
    b, m, C, k = forward.code.shape
    n, R = forward.inputs.shape[1:]
    law, share = forward.log_law.exp(), frequencies.sum(2, keepdim=True)
    weight = (share * law).reshape(b, m, n, R)
    residual = weight - frequencies.reshape(b, m, n, R)
    root = _pull((share.sqrt() * law).reshape(b, m, n, R), short)
    fisher = torch.bmm(root.mT, root).neg_()

    width = C * k + R
    outer = (short.item[..., :, None] * short.item[..., None, :]).reshape(b, m * R, width**2)
    own = (weight.permute(0, 2, 1, 3).reshape(b, n, m * R) @ outer).reshape(b, n, width, width)
    blocks = fisher[:, : n * width, : n * width].reshape(b, n, width, n, width)
    torch.diagonal(blocks, dim1=1, dim2=3).add_(own.permute(0, 2, 3, 1))
    at_project = torch.einsum("bijr,bijc,bijd->brcd", weight, short.project, short.project)
    head = slice(n * width, n * width + C * R)
    corner = fisher[:, head, head].reshape(b, C, R, C, R)
    torch.diagonal(corner, dim1=2, dim2=4).add_(at_project.permute(0, 2, 3, 1))

    weighted = weight[..., None] * short.argument
    seen = (weight[..., None] * short.project[:, :, :, None]).permute(0, 3, 2, 4, 1).reshape(b, R, n * C, m)
    item_argument = weighted.permute(0, 1, 4, 2, 3).reshape(b, m, -1, R) @ short.item
    tables = _Second(
        item_project=(seen @ short.item.transpose(1, 2)).reshape(b, R, n, C, width).permute(0, 2, 4, 3, 1),
        item_argument=item_argument.reshape(b, m, C * k, n, width),
        project_argument=torch.einsum("bijrv,bijc->bicrv", weighted, short.project),
        argument_argument=weighted.flatten(2, 3).mT @ short.argument.flatten(2, 3),
    )
    _add(fisher, tables, short)
    hessian = None
    if exact:
        hessian = fisher.clone()
        _add_bend(hessian, forward, short, residual)
    return Expansion(-(frequencies * forward.log_law).sum((1, 2)), _pull(residual, short).sum(1), fisher, hessian)


def _add_bend(matrix: Tensor, forward: Forward, short: Rows, residual: Tensor) -> None:
    """Add ``sum_ijr residual_ijr d^2 Z_ijr`` to matrices of shape (member, parameter, parameter)."""
    b, m, C, k = forward.code.shape
    n, R = forward.inputs.shape[1:]
    unit, channel = torch.arange(C * k), torch.arange(C).repeat_interleave(k)
    slope, weights = forward.code_slope.flatten(2), forward.weights
    decode, encode = (weights[name].transpose(2, 3).reshape(b, C * k, n) for name in ("decode", "encode"))

    felt = torch.einsum("bijr,bcr->bijc", residual, weights["project"])[..., channel]
    force = torch.einsum("biju,buj->biu", felt, decode)
    item_project = torch.zeros(b, n, C * k + R, C, R, dtype=residual.dtype)
    item_project[:, :, unit, channel] = torch.einsum("bijr,biu->bjur", residual, forward.code.flatten(2))
    item_argument = torch.zeros(b, m, C * k, n, C * k + R, dtype=residual.dtype)
    item_argument[:, :, unit, :, unit] = (felt * slope[:, :, None]).permute(3, 0, 1, 2)
    project_argument = torch.zeros(b, m, C, R, C * k, dtype=residual.dtype)
    turned = torch.einsum("bijr,buj,biu->uibr", residual, decode, slope)
    project_argument[:, :, channel, :, unit] = turned.transpose(1, 2)
    argument_argument = torch.diag_embed(force * forward.code_bend.flatten(2))
    _add(matrix, _Second(item_project, item_argument, project_argument, argument_argument), short)

    lines = torch.zeros(b, C * k, R + n + 1, C * k, R + n + 1, dtype=residual.dtype)
    own = torch.diagonal(lines, dim1=1, dim2=3).permute(0, 3, 1, 2)
    force = force * slope
    mixed = torch.einsum("biu,biju,ijr->burj", force, forward.lift_slope[..., channel], forward.inputs)
    own[:, :, :R, R:-1] = mixed
    own[:, :, R:-1, :R] = mixed.mT
    bend = torch.einsum("biu,buj,biju->biju", force, encode, forward.lift_bend[..., channel])
    own[:, :, :R, :R] = torch.einsum("biju,ijr,ijs->burs", bend, forward.inputs, forward.inputs)
    head = matrix.shape[1] - fold(short.lines[:, 0], C, R).shape[-1]
    matrix[:, head:, head:] += fold(fold(lines, C, R).permute(0, 3, 1, 2), C, R)


def _add(matrix: Tensor, tables: _Second, short: Rows) -> None:
    """Carry tables over the lines of weights and add them to both halves of (member, parameter, parameter)."""
    b, n, width, C, R = tables.item_project.shape
    split, head = n * width, n * width + C * R
    units = range(short.lines.shape[2])
    lines = [short.lines[:, :, unit] for unit in units]
    item = torch.stack([tables.item_argument[:, :, unit].flatten(2).mT @ lines[unit] for unit in units], dim=2)
    project = torch.stack([tables.project_argument[..., u].flatten(2).mT @ lines[u] for u in units], dim=2)
    spread = tables.argument_argument[..., None] * short.lines[:, :, None]
    between = torch.stack([lines[unit].mT @ spread[:, :, unit].flatten(2) for unit in units], dim=1)
    half = fold(between.reshape(*between.shape[:3], len(units), -1), C, R)
    cross = torch.cat([tables.item_project.reshape(b, split, C * R), fold(item, C, R)], dim=2)
    side = fold(project, C, R)
    matrix[:, :split, split:] += cross
    matrix[:, split:, :split] += cross.mT
    matrix[:, split:head, head:] += side
    matrix[:, head:, split:head] += side.mT
    matrix[:, head:, head:] += fold(half.permute(0, 3, 1, 2), C, R)


def _pull(table: Tensor, short: Rows) -> Tensor:
    """Pull a table (member, user, item, level) back through every user's Jacobian: (member, user, parameter)."""
    own = (table @ short.item).flatten(2)
    by_project = (short.project.mT @ table).flatten(2)
    by_argument = (table.flatten(2)[:, :, None] @ short.argument.flatten(2, 3))[:, :, 0]
    lines = fold(by_argument[..., None] * short.lines, short.project.shape[3], table.shape[3])
    return torch.cat([own, by_project, lines], dim=2)


def fold(lines: Tensor, channels: int, levels: int) -> Tensor:
    """Turn (..., channel * code, level + item + 1) into (..., lift, encode and code bias), as weights are stored."""
    lead, width = lines.shape[:-2], lines.shape[-1]
    table = lines.reshape(*lead, channels, -1, width)
    lift = table[..., :levels].sum(-2).mT
    encode = table[..., levels:-1].mT
    return torch.cat([part.reshape(*lead, -1) for part in (lift, encode, table[..., -1])], dim=-1)
