"""The exact joint cross-entropy over all cells and its exact split into implicit and explicit parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from conv4rec.batches import CellsByUser
from conv4rec.errors import InputError

if TYPE_CHECKING:
    from conv4rec.interactions import Interactions
    from conv4rec.splits import Split

__all__ = ["LogProbabilities", "ScoredLosses", "check_scorable", "joint_loss", "log_probabilities"]


@dataclass(frozen=True)
class ScoredLosses:
    r"""Losses of scored interactions, in nats; one entry for each interaction.

    Attributes
    ----------
    implicit : tensor (interaction,)
        :math:`-\log P(j\mid i)`: was it this item?
    explicit : tensor (interaction,)
        :math:`-\log P(r\mid i,j)`: was it this level, given the item?
    """

    implicit: torch.Tensor
    explicit: torch.Tensor

    @property
    def joint(self) -> torch.Tensor:
        r"""The loss :math:`-\log P(j,r\mid i)`, the sum of both parts."""
        return self.implicit + self.explicit


def joint_loss(
    logits: torch.Tensor,
    row: torch.Tensor,
    item: torch.Tensor,
    level: torch.Tensor,
    item_mask: torch.Tensor | None = None,
) -> ScoredLosses:
    r"""Score interactions under the softmax over all cells of each user.

    With :math:`A_{ij}=\log\sum_r e^{Z_{ijr}}`, the chain rule :math:`P(j,r\mid i)=P(j\mid i)P(r\mid i,j)` reads

    .. math:: -\log P(j\mid i) = \log\sum_{j'} e^{A_{ij'}} - A_{ij},\qquad
              -\log P(r\mid i,j) = A_{ij} - Z_{ijr},

    with the sum over the items that are not masked for the user. Sums are taken in two stages (levels, then
    items), each never below its largest term in floating point, so no loss is ever negative. All interactions of
    a user share one softmax.

    Parameters
    ----------
    logits : tensor (user, item, level)
        Logits of a batch of users.
    row, item, level : int64 tensors (interaction,)
        Scored interactions; `row` is the place of the user in the batch. Repeats count as often as they occur.
    item_mask : bool tensor (user, item), optional
        True where the item is outside the softmax (its cells have logit minus infinity). A scored interaction
        with a masked item has infinite loss.

    Examples
    --------
    >>> logits = torch.zeros(1, 3, 2, dtype=torch.float64)
    >>> first = torch.tensor([0])
    >>> losses = joint_loss(logits, first, first, first, torch.tensor([[False, True, False]]))
    >>> round(losses.implicit.item(), 6), round(losses.explicit.item(), 6), round(losses.joint.item(), 6)
    (0.693147, 0.693147, 1.386294)
    """
    implicit, explicit = _joint_softmax(logits, row, item, level, item_mask)
    return ScoredLosses(implicit, explicit)


class _JointSoftmax(torch.autograd.Function):
    """Both losses with the gradient written out: one table of the logits' size instead of four."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        row: torch.Tensor,
        item: torch.Tensor,
        level: torch.Tensor,
        item_mask: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        item_logits = logits.logsumexp(dim=2)
        inside = item_logits if item_mask is None else item_logits.masked_fill(item_mask, -torch.inf)
        total = inside.logsumexp(dim=1)
        at_item = item_logits[row, item]
        shift = total[:, None].expand_as(item_logits)
        if item_mask is not None:
            shift = shift.masked_fill(item_mask, torch.inf)
        ctx.save_for_backward(logits, row, item, level, shift, at_item)
        return total[row] - inside[row, item], at_item - logits[row, item, level]

    @staticmethod
    def backward(
        ctx: Any, of_implicit: torch.Tensor, of_explicit: torch.Tensor
    ) -> tuple[torch.Tensor, None, None, None, None]:
        logits, row, item, level, shift, at_item = ctx.saved_tensors
        weight = logits.new_zeros(len(logits)).index_add_(0, row, of_implicit)
        gradient = (logits - shift[:, :, None]).exp_().mul_(weight[:, None, None])
        levels = (logits[row, item] - at_item[:, None]).exp_().mul_((of_explicit - of_implicit)[:, None])
        gradient.index_put_((row, item), levels, accumulate=True)
        gradient.index_put_((row, item, level), -of_explicit, accumulate=True)
        return gradient, None, None, None, None


_joint_softmax: Callable[..., tuple[torch.Tensor, torch.Tensor]] = _JointSoftmax.apply


@dataclass(frozen=True)
class LogProbabilities:
    """Log-probabilities of the interactions of a part, in nats and in the order of the part.

    Attributes
    ----------
    joint, implicit : float64 arrays (interaction,)
        Logarithms of P(item, level | user) and of P(item | user); never above 0.
    cells : int64 array (interaction,)
        Number of cells inside the softmax of the interaction's user: q, or less under a mask.
    """

    joint: npt.NDArray[np.float64]
    implicit: npt.NDArray[np.float64]
    cells: npt.NDArray[np.int64]

    def losses(self) -> dict[str, float]:
        """Return the mean losses in nats: joint, implicit and explicit (joint less implicit).

        Examples
        --------
        >>> logs = LogProbabilities(np.array([-3.0, -1.0]), np.array([-2.0, -1.0]), np.array([8, 8]))
        >>> logs.losses()
        {'joint': 2.0, 'implicit': 1.5, 'explicit': 0.5}
        """
        joint, implicit = -float(self.joint.mean()), -float(self.implicit.mean())
        return {"joint": joint, "implicit": implicit, "explicit": joint - implicit}


def check_scorable(part: Interactions, split: Split) -> None:
    """Refuse a part that no model can score under the mask of the split.

    Raises
    ------
    InputError
        If the part is empty, or an interaction's item is masked for its user.
    """
    if len(part) == 0:
        raise InputError("There are no interactions to score; give a part with at least one.")
    if split.is_masked(part).any():
        raise InputError(
            "An interaction to score has an item that is masked for its user; "
            "score the scored, validation or held-out part of the same split."
        )


def log_probabilities(
    logits_of: Callable[[npt.NDArray[np.int64]], torch.Tensor],
    part: Interactions,
    split: Split,
    *,
    batch_users: int,
) -> LogProbabilities:
    """Score every interaction of a part under the mask of the split; one forward pass for each user.

    Parameters
    ----------
    logits_of : callable
        Maps user codes (user,) to logits (user, item, level).
    part : Interactions
        What is scored: a part of `split`.
    split : Split
        Gives the items that are outside each user's softmax.
    batch_users : int
        How many users have their logits in memory at once.

    Raises
    ------
    InputError
        If the part is empty, or an interaction's item is masked for its user.
    """
    check_scorable(part, split)
    by_user = CellsByUser.of(part)
    users = np.flatnonzero(by_user.count)
    joint, implicit, cells = [], [], []
    for batch in np.split(users, range(batch_users, len(users), batch_users)):
        scored = by_user.batch(batch)
        with torch.no_grad():
            logits = logits_of(batch)
            mask = split.item_mask(batch) if split.masked else None
            row, item, level = (
                torch.from_numpy(axis).to(logits.device) for axis in (scored.row, scored.item, scored.level)
            )
            item_mask = None if mask is None else torch.from_numpy(mask).to(logits.device)
            losses = joint_loss(logits, row, item, level, item_mask)
        inside = np.full(len(batch), part.n_items) if mask is None else (~mask).sum(axis=1)
        joint.append(-losses.joint.cpu().double().numpy())
        implicit.append(-losses.implicit.cpu().double().numpy())
        cells.append((inside * part.n_levels)[scored.row])
    order = np.argsort(part.user, kind="stable")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return LogProbabilities(*(np.concatenate(values)[back] for values in (joint, implicit, cells)))
