"""Events that are chosen from the training part, with their shares and the model's probabilities."""

import numpy as np
import polars as pl
import pytest

from conv4rec import Conv4Rec, Interactions, split_by_coin
from conv4rec_experiments.events import popularity_events, popularity_groups


@pytest.fixture(scope="module", params=[2, 5])
def case(request):
    rng = np.random.default_rng(request.param)
    item = np.concatenate([rng.choice(30, 12, replace=False, p=np.arange(1, 31) / 465) for _ in range(50)])
    frame = pl.DataFrame({"user": np.repeat(np.arange(50), 12), "item": item, "rating": rng.integers(1, 4, item.size)})
    data = Interactions.from_frame(frame)
    model = Conv4Rec(channels=1, code=2, epochs=1, device="cpu").fit(data, split_by_coin(data), progress=False)
    return model, request.param


def test_groups_hold_about_equal_shares_of_training_and_never_look_at_the_held_out_part(case):
    model, groups = case
    found = popularity_groups(model, groups)
    split = model.split
    counts = np.bincount(np.concatenate([split.profile.item, split.scored.item]), minlength=found.size)
    assert set(found) == set(range(groups))
    shares = np.bincount(found, weights=counts, minlength=groups) / counts.sum()
    assert shares.max() <= 1 / groups + counts.max() / counts.sum()
    for group in range(groups - 1):
        assert counts[found == group].min() >= counts[found == group + 1].max()


def test_probabilities_are_means_of_the_masked_law_over_the_held_out_users(case):
    model, groups = case
    split, part = model.split, model.split.held_out
    events, group = popularity_events(model, groups), popularity_groups(model, groups)
    law = model.predict_proba(split.interactions.user_ids) * ~split.item_mask(np.arange(50))[:, :, None]
    law /= law.sum(axis=(1, 2), keepdims=True)
    for index in range(groups):
        inside = law[part.user][:, group == index].sum(axis=(1, 2)).mean()
        assert events.probabilities[index] == pytest.approx(inside)
        assert events.counts[index] == (group[part.item] == index).sum()
        first = groups + 3 + 3 * index
        level = law[part.user][:, group == index, 1].sum(axis=1).mean()
        assert events.probabilities[first + 1] == pytest.approx(level)
    assert events.counts[groups : groups + 3].sum() == len(part)
    assert events.shares[groups:].sum() == pytest.approx(2)
    assert events.names[groups + 3 + 1] == "item group 1 at level 2.0"
    assert events.size == len(part)
