"""Regions and events that are chosen without the held-out part, with their shares and a model's probabilities."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec import Conv4Rec, Interactions, split_by_coin
from conv4rec_experiments.distances import laws_of
from conv4rec_experiments.events import coarse_events
from conv4rec_experiments.regions import equal_shares, regions_of, rounds_of, tabulate


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    item = np.concatenate([rng.choice(30, 12, replace=False, p=np.arange(1, 31) / 465) for _ in range(50)])
    frame = pl.DataFrame({"user": np.repeat(np.arange(50), 12), "item": item, "rating": rng.integers(1, 4, item.size)})
    data = Interactions.from_frame(frame)
    return Conv4Rec(channels=1, code=2, epochs=1, device="cpu").fit(data, split_by_coin(data), progress=False)


@pytest.fixture(scope="module")
def table(model):
    return tabulate(regions_of(model.split, segments=3, cells=12), model.split, model.split.held_out, laws_of(model))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.integers(1, 9))
def test_groups_have_about_equal_shares_in_falling_order_without_gaps(counts, groups):
    counts = np.array(counts, dtype=float)
    found = equal_shares(counts, groups)
    numbers = set(found.tolist())
    assert numbers == set(range(len(numbers)))
    assert len(numbers) <= groups
    sums = np.bincount(found, weights=counts)
    assert (sums <= counts.sum() / groups + counts.max() + 1e-9).all()
    for group in range(len(numbers) - 1):
        assert counts[found == group].min() >= counts[found == group + 1].max()


def test_regions_never_look_at_the_held_out_part(model):
    split = model.split
    regions = regions_of(split, segments=3, cells=12)
    counts = np.bincount(np.concatenate([split.profile.item, split.scored.item]), minlength=30).astype(float)
    assert np.array_equal(regions.group, equal_shares(counts, 8))
    users = np.bincount(np.concatenate([split.profile.user, split.scored.user]), minlength=50).astype(float)
    assert np.array_equal(regions.segment, equal_shares(users, 3))
    assert regions.cells == 24
    assert regions.words == "3 segments of users over 24 groups of cells"


def test_laws_of_segments_are_means_of_the_masked_law_over_their_interactions(model, table):
    split, part, regions = model.split, model.split.held_out, table.regions
    law = model.predict_proba(split.interactions.user_ids) * ~split.item_mask(np.arange(50))[:, :, None]
    law /= law.sum(axis=(1, 2), keepdims=True)
    for segment in range(regions.segments):
        mine = part.user[regions.segment[part.user] == segment]
        for group in range(regions.groups):
            for level in range(regions.levels):
                expected = law[mine][:, regions.group == group, level].sum(axis=1).mean()
                assert table.laws[segment, group * regions.levels + level] == pytest.approx(expected)
    assert np.allclose(table.laws.sum(axis=1), 1)
    assert table.counts().sum() == len(part)
    assert np.array_equal(table.counts().sum(axis=1), table.sizes)


def test_events_are_unions_of_regions_with_shares_and_probabilities(model, table):
    part, regions = model.split.held_out, table.regions
    hints = tabulate(regions, model.split, model.split.validation, laws_of(model))
    chosen = np.arange(0, len(part), 2)
    events = coarse_events(table, chosen, hints)
    assert events.size == len(chosen)
    assert events.resolution == regions.words
    by_name = dict(zip(events.names, zip(events.counts, events.probabilities, strict=True), strict=True))
    weights = table.sizes[:, None] / len(part)
    law = (weights * table.laws).reshape(3, regions.groups, regions.levels)
    group, level, segment = regions.group[part.item][chosen], part.level[chosen], table.stratum[chosen]
    assert by_name["item group 2"] == (int((group == 1).sum()), pytest.approx(law[:, 1].sum()))
    assert by_name["level 3"] == (int((level == 2).sum()), pytest.approx(law[:, :, 2].sum()))
    both = (group == 0) & (level == 1)
    assert by_name["item group 1 at level 2"] == (int(both.sum()), pytest.approx(law[:, 0, 1].sum()))
    both = (segment == 2) & (group == 3)
    assert by_name["segment 3, item group 4"] == (int(both.sum()), pytest.approx(law[2, 3].sum()))
    both = (segment == 1) & (level == 0)
    assert by_name["segment 2, level 1"] == (int(both.sum()), pytest.approx(law[1, :, 0].sum()))
    rare = hints.counts() > hints.sizes[:, None] * hints.laws
    inside = rare[table.stratum[chosen], table.cell[chosen]]
    found = by_name["segments' cells that the model finds too rare"]
    assert found == (int(inside.sum()), pytest.approx((weights * table.laws)[rare].sum()))
    assert len(coarse_events(table, chosen, None).names) == len(events.names) - 3


def test_rounds_hold_every_chosen_interaction_once(model, table):
    order = np.random.default_rng(3).permutation(len(model.split.held_out))
    half = order[: order.size // 2]
    rounds, used = rounds_of(table, half, whole=False)
    assert used.all()
    assert rounds.counts.shape == (10, 3, 24)
    assert np.array_equal(rounds.counts.sum(axis=0), table.counts(half))
    assert np.array_equal(rounds.pool, table.sizes)
    assert np.allclose(rounds.mix, table.sizes / table.sizes.sum())
    assert rounds.strata == "segments"
    by_user = tabulate(table.regions.by_user(), model.split, model.split.held_out, laws_of(model))
    whole, used = rounds_of(by_user, order, whole=True)
    assert np.allclose(by_user.laws[used], whole.laws, rtol=1e-12)
    numbers = np.bincount(model.split.held_out.user, minlength=50)
    assert whole.strata == "users"
    assert whole.pool is None
    assert whole.size <= numbers[numbers > 1].sum()
    assert rounds_of(table, half[:1], whole=False) is None
