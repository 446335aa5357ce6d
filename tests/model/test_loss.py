"""The joint loss: exact, split exactly, never negative, and its hand-written gradient."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from polars import Series

from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.loss import joint_loss, log_probabilities
from conv4rec.splits import Split
from conv4rec.splitting import split_by_coin, split_by_interaction


def drawn(seed: int, shape: tuple[int, int, int], scale: float) -> tuple[torch.Tensor, ...]:
    """Logits, scored interactions (with repeats) at unmasked items, and the mask."""
    rng = np.random.default_rng(seed)
    users, items, _ = shape
    mask = rng.random((users, items)) < 0.4
    mask[:, rng.integers(items)] = False
    row = rng.integers(0, users, 12)
    item = np.array([rng.choice(np.flatnonzero(~mask[i])) for i in row])
    level = rng.integers(0, shape[2], 12)
    logits = torch.from_numpy(scale * rng.standard_normal(shape))
    return logits, *(torch.from_numpy(x) for x in (row, item, level, mask))


shapes = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 4))
scales = st.sampled_from([0.0, 1.0, 30.0, 1e4])


@given(st.integers(0, 2**32), shapes, scales)
def test_loss_is_the_log_softmax_over_unmasked_cells(seed: int, shape: tuple[int, int, int], scale: float) -> None:
    logits, row, item, level, mask = drawn(seed, shape, scale)
    losses = joint_loss(logits, row, item, level, mask)
    flat = logits.masked_fill(mask[:, :, None], -torch.inf).flatten(1)
    cells = flat.log_softmax(dim=1).reshape(logits.shape)
    assert torch.allclose(losses.joint, -cells[row, item, level], rtol=1e-12, atol=1e-12 * max(1.0, scale))
    items = cells.logsumexp(dim=2)[row, item]
    assert torch.allclose(losses.implicit, -items, rtol=1e-12, atol=1e-12 * max(1.0, scale))


@given(st.integers(0, 2**32), shapes, scales, st.sampled_from([torch.float32, torch.float64]))
def test_no_log_probability_is_above_zero(
    seed: int, shape: tuple[int, int, int], scale: float, dtype: torch.dtype
) -> None:
    logits, row, item, level, mask = drawn(seed, shape, scale)
    losses = joint_loss(logits.to(dtype), row, item, level, mask)
    assert min(losses.implicit.min(), losses.explicit.min(), losses.joint.min()) >= 0
    assert torch.equal(losses.joint, losses.implicit + losses.explicit)


@given(st.integers(0, 2**32), shapes)
def test_gradient_is_that_of_automatic_differentiation(seed: int, shape: tuple[int, int, int]) -> None:
    logits, row, item, level, mask = drawn(seed, shape, 2.0)
    weight = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, len(row))))
    logits.requires_grad_()
    losses = joint_loss(logits, row, item, level, mask)
    (found,) = torch.autograd.grad((weight[0] * losses.implicit + weight[1] * losses.explicit).sum(), logits)
    items = logits.logsumexp(dim=2)
    implicit = items.masked_fill(mask, -torch.inf).logsumexp(dim=1)[row] - items[row, item]
    explicit = items[row, item] - logits[row, item, level]
    (expected,) = torch.autograd.grad((weight[0] * implicit + weight[1] * explicit).sum(), logits)
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert not found[mask].any()


def test_huge_logits_at_masked_items_leave_loss_and_gradient_finite() -> None:
    logits = torch.tensor([[[0.0, 0.0], [1e30, 1e30]]], dtype=torch.float32, requires_grad=True)
    zero = torch.tensor([0])
    losses = joint_loss(logits, zero, zero, zero, torch.tensor([[False, True]]))
    losses.joint.sum().backward()
    assert losses.joint.item() == pytest.approx(np.log(2))
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_users_without_unmasked_items_or_scored_interactions_add_nothing() -> None:
    logits = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True] * 4, [False] * 4, [False] * 4])
    row = torch.tensor([2])
    joint_loss(logits, row, row, torch.tensor([1]), mask).joint.sum().backward()
    assert logits.grad is not None
    assert not logits.grad[:2].any()
    assert logits.grad[2].sum() == pytest.approx(0.0, abs=1e-15)
    nobody = torch.zeros(0, dtype=torch.int64)
    joint_loss(logits, nobody, nobody, nobody, mask).joint.sum().backward()
    assert torch.isfinite(logits.grad).all()


def toy(seed: int = 0, n: int = 120) -> Interactions:
    rng = np.random.default_rng(seed)
    return Interactions(
        rng.integers(0, 9, n),
        rng.integers(0, 7, n),
        rng.integers(0, 3, n),
        None,
        Series(range(9)),
        Series(range(7)),
        (1.0, 2.0, 3.0),
    )


@pytest.mark.parametrize("splitter", [split_by_coin, split_by_interaction])
@pytest.mark.parametrize("batch_users", [1, 4, 100])
def test_interactions_are_scored_in_their_order_whatever_the_batches(
    splitter: Callable[..., Split], batch_users: int
) -> None:
    split = splitter(toy(), seed=3)
    table = torch.from_numpy(np.random.default_rng(1).standard_normal((9, 7, 3)))
    part = split.scored
    found = log_probabilities(lambda users: table[torch.from_numpy(users)], part, split, batch_users=batch_users)
    for place in range(len(part)):
        user, item, level = part.user[place], part.item[place], part.level[place]
        inside = np.exp(table[user].numpy()[~split.item_mask([user])[0]])
        assert found.joint[place] == pytest.approx(float(table[user, item, level]) - np.log(inside.sum()), abs=1e-12)
        assert found.cells[place] == inside.size
    assert found.joint.dtype == np.float64
    losses = found.losses()
    assert losses["joint"] == pytest.approx(losses["implicit"] + losses["explicit"])
    assert losses["joint"] == pytest.approx(-found.joint.mean())


def test_what_cannot_be_scored_is_refused() -> None:
    split = split_by_coin(toy(), seed=3)
    logits = torch.zeros(9, 7, 3)
    with pytest.raises(InputError, match="masked"):
        log_probabilities(lambda users: logits[: len(users)], split.profile, split, batch_users=9)
    with pytest.raises(InputError, match="no interactions"):
        log_probabilities(lambda users: logits[: len(users)], split.profile.subset([]), split, batch_users=9)
