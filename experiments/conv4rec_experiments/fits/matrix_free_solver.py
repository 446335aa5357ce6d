r"""Preconditioned conjugate gradients on the Fisher matrix of a large likelihood.

The preconditioner holds blocks on the diagonal: one for each item (its decode weights and biases), one for each level
(project), one for each item of the encoder, and one for lift and code bias together. The rank-one parts
``-P_i P_i^T`` are left out of the blocks of cells, where they are small for many cells, and kept in those of codes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from conv4rec_experiments.fits.matrix_free_map import FactoredMap, Point

__all__ = ["Blocks", "conjugate_gradients"]

JITTER = 1e-13


class Blocks:
    """Blocks on the diagonal of the Fisher matrix at one point.

    Parameters
    ----------
    factored
        The map.
    point
        Where.

    Examples
    --------
    >>> import numpy as np
    >>> from conv4rec_experiments.fits.likelihood import Likelihood
    >>> likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    >>> factored = FactoredMap(likelihood, torch.tensor([[0.75, 0.25]], dtype=torch.float64))
    >>> blocks = Blocks(factored, factored.point(torch.zeros(likelihood.size, dtype=torch.float64)))
    >>> blocks.diagonal[[1, 3]].tolist()
    [0.5, 0.5]
    """

    def __init__(self, factored: FactoredMap, point: Point) -> None:
        by_cell, by_user = _moments(factored, point)
        groups = [
            _items(factored, point, by_cell),
            _levels(factored, point, by_cell),
            _encoder(factored, point, by_user),
            _rest(factored, point, by_user),
        ]
        self.groups = [(index, matrix) for index, matrix in groups if index.numel()]
        self.diagonal = torch.zeros(factored.likelihood.size, dtype=point.law.dtype)
        for index, matrix in self.groups:
            self.diagonal[index] = torch.diagonal(matrix, dim1=1, dim2=2)

    def inverse(self, damping: Tensor) -> Callable[[Tensor], Tensor]:
        """Invert the blocks plus a diagonal of shape (parameter,); returns the map from vector to vector."""
        factors = []
        for index, matrix in self.groups:
            shifted = matrix.clone()
            line = torch.diagonal(shifted, dim1=1, dim2=2)
            line.add_(damping[index] + JITTER * line.amax(1, keepdim=True) + torch.finfo(line.dtype).tiny)
            factors.append((index, torch.linalg.cholesky(shifted)))

        def solve(vector: Tensor) -> Tensor:
            result = torch.empty_like(vector)
            for index, factor in factors:
                result[index] = torch.cholesky_solve(vector[index][..., None], factor)[..., 0]
            return result

        return solve


def conjugate_gradients(
    times: Callable[[Tensor], Tensor],
    right: Tensor,
    inverse: Callable[[Tensor], Tensor],
    accuracy: float,
    most: int,
) -> tuple[Tensor, int]:
    """Solve ``A x = right`` from zero until the residual's preconditioned norm has fallen by the factor ``accuracy``.

    Returns the solution and the number of products; stops after ``most`` of them, or where A shows no curvature.

    Examples
    --------
    >>> solution, products = conjugate_gradients(lambda v: 2 * v, torch.ones(3), lambda v: v, 1e-6, most=10)
    >>> solution.tolist(), products
    ([0.5, 0.5, 0.5], 1)
    """
    solution = torch.zeros_like(right)
    residual, direction = right.clone(), inverse(right)
    length = float(residual @ direction)
    enough = accuracy**2 * length
    for count in range(1, most + 1):
        product = times(direction)
        curvature = float(direction @ product)
        if curvature <= 0:
            return solution, count
        rate = length / curvature
        solution = solution + rate * direction
        residual = residual - rate * product
        turned = inverse(residual)
        before, length = length, float(residual @ turned)
        if length <= enough:
            return solution, count
        direction = turned + (length / before) * direction
    return solution, most


def _moments(factored: FactoredMap, point: Point) -> tuple[Tensor, Tensor]:
    """Moments ``sum_i w_i P_iy h h^T`` of ``h = (H_i, 1)`` for each cell, and the Fisher matrix of each user's code."""
    rows, cell = point.frame.code_rows, point.frame.cell
    width, depth = rows.shape[1], cell.shape[1]
    outer = (factored.share[:, None, None] * rows[:, :, None] * rows[:, None, :]).flatten(1)
    square = (cell[:, :, None] * cell[:, None, :]).flatten(1)
    by_cell = torch.zeros(len(cell), width**2, dtype=cell.dtype)
    by_user = []
    for strip in factored.strips:
        law = point.law[strip]
        by_cell += (outer[strip].T @ law).T
        mean = law @ cell
        by_user.append((law @ square).reshape(-1, depth, depth) - mean[:, :, None] * mean[:, None, :])
    users = factored.share[:, None, None] * torch.cat(by_user)
    map_ = factored.likelihood
    return by_cell.reshape(map_.items, map_.levels, width, width), users


def _items(factored: FactoredMap, point: Point, by_cell: Tensor) -> tuple[Tensor, Tensor]:
    map_, width = factored.likelihood, factored.likelihood.item_width
    depth = map_.channels * map_.code
    project = point.frame.weights["project"].repeat_interleave(map_.code, 0)
    block = torch.zeros(map_.items, width, width, dtype=by_cell.dtype)
    block[:, :depth, :depth] = torch.einsum("ur,vr,jruv->juv", project, project, by_cell[:, :, :depth, :depth])
    block[:, :depth, depth:] = torch.einsum("ur,jru->jur", project, by_cell[:, :, :depth, depth])
    block[:, depth:, :depth] = block[:, :depth, depth:].mT
    block[:, depth:, depth:] = torch.diag_embed(by_cell[:, :, depth, depth])
    return torch.arange(map_.items * width).reshape(map_.items, width), block


def _levels(factored: FactoredMap, point: Point, by_cell: Tensor) -> tuple[Tensor, Tensor]:
    map_ = factored.likelihood
    R, C, k = map_.levels, map_.channels, map_.code
    decode = point.frame.weights["decode"].movedim(1, 0).flatten(1)
    table = torch.einsum("jruv,ju,jv->ruv", by_cell[:, :, : C * k, : C * k], decode, decode)
    index = map_.items * map_.item_width + torch.arange(C * R).reshape(C, R).T
    return index, table.reshape(R, C, k, C, k).sum((2, 4))


def _encoder(factored: FactoredMap, point: Point, by_user: Tensor) -> tuple[Tensor, Tensor]:
    map_ = factored.likelihood
    n, R, C, k = map_.items, map_.levels, map_.channels, map_.code
    slope = point.frame.code_slope.flatten(1)
    curved = by_user * slope[:, :, None] * slope[:, None, :]
    lifted = point.frame.lifted.repeat_interleave(k, 1)
    terms = curved[factored.user] * lifted[:, :, None] * lifted[:, None, :]
    block = torch.zeros(n, C * k, C * k, dtype=terms.dtype).index_add_(0, factored.item, terms)
    begin = n * map_.item_width + 2 * C * R
    return begin + torch.arange(C * n * k).reshape(C, n, k).movedim(1, 0).reshape(n, C * k), block


def _rest(factored: FactoredMap, point: Point, by_user: Tensor) -> tuple[Tensor, Tensor]:
    """Lift and code bias: exact, for they are few and every user has them."""
    map_ = factored.likelihood
    n, R, C, k, m = map_.items, map_.levels, map_.channels, map_.code, map_.users
    turned = point.frame.lift_slope[:, :, None] * point.frame.weights["encode"].movedim(1, 0)[factored.item]
    terms = torch.einsum("pr,pcl->pclr", factored.inputs, turned)
    through = torch.zeros(m, C, k, R, dtype=terms.dtype).index_add_(0, factored.user, terms)
    by_lift = torch.einsum("iclr,cd->iclrd", through, torch.eye(C, dtype=terms.dtype)).reshape(m, C * k, R * C)
    by_bias = torch.eye(C * k, dtype=terms.dtype).expand(m, C * k, C * k)
    chain = point.frame.code_slope.reshape(m, C * k, 1) * torch.cat([by_lift, by_bias], dim=2)
    block = torch.einsum("iua,iuv,ivb->ab", chain, by_user, chain)
    begin = n * map_.item_width + C * R
    last = begin + R * C + C * n * k
    return torch.cat([begin + torch.arange(R * C), last + torch.arange(C * k)])[None], block[None]
