"""Pools of hidden gems: chosen without the held-out part, counted in it, and promised."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure

from conv4rec import Conv4Rec, InputError, Interactions, split_by_coin, split_by_time
from conv4rec_bounds import Status
from conv4rec_bounds.theorems.t9_gems import lower_end
from conv4rec_bounds.theorems.t10_what_tv_buys import GEMS as FROM_DISTANCE
from conv4rec_experiments.evaluation import evaluate
from conv4rec_experiments.figures import gems as figure
from conv4rec_experiments.gem_pools import SEGMENTS, THRESHOLDS, activity, choose_pools, pool_name
from conv4rec_experiments.gems import (
    certified_quantities,
    certified_total_variation,
    gem_ladder,
    gem_pairs,
    promised,
)

USERS, ITEMS = 90, 30


def ratings() -> Interactions:
    """Users of all kinds of activity; items of one half are liked more."""
    rng = np.random.default_rng(4)
    each = rng.integers(4, 25, size=USERS)
    item = np.concatenate([rng.choice(ITEMS, count, replace=False) for count in each])
    level = np.where(rng.random(item.size) < np.where(item < ITEMS // 2, 0.8, 0.3), 3, rng.integers(1, 3, item.size))
    frame = pl.DataFrame({"user": np.repeat(np.arange(USERS), each) + 100, "item": item, "rating": level})
    return Interactions.from_frame(frame)


def trained(split) -> Conv4Rec:
    return Conv4Rec(channels=2, code=3, epochs=3, device="cpu").fit(split.interactions, split, progress=False)


@pytest.fixture(scope="module")
def model() -> Conv4Rec:
    return trained(split_by_coin(ratings(), seed=2))


@pytest.fixture(scope="module")
def evaluation(model):
    return evaluate(model)


def test_segments_share_the_training_part_about_equally(model):
    member = activity(model)
    split = model.split
    counts = np.bincount(
        np.concatenate([part.user for part in (split.profile, split.scored, split.validation)]), minlength=USERS
    )
    assert member[0].all()
    assert np.array_equal(member[1:].sum(axis=0), np.ones(USERS))
    shares = member[1:] @ counts / counts.sum()
    assert np.abs(shares - 1 / 3).max() <= counts.max() / counts.sum()
    assert counts[member[1]].max() <= counts[member[2]].min() <= counts[member[3]].max()


def test_pools_are_those_of_plain_loops(model, evaluation):
    pools, split = evaluation.gems, model.split
    law = model.predict_proba(split.interactions.user_ids)
    consume, claim = law.sum(axis=2), law[:, :, 2] / law.sum(axis=2)
    trained_on = {
        (u, i) for p in (split.profile, split.scored, split.validation) for u, i in zip(p.user, p.item, strict=True)
    }
    ever = set(zip(split.interactions.user, split.interactions.item, strict=True))
    part, member = split.held_out, activity(model)
    mix = np.bincount(part.user, minlength=USERS) / len(part)
    unlikely = set()
    for user in range(USERS):
        candidates = [item for item in range(ITEMS) if (user, item) not in trained_on]
        ranked = sorted(candidates, key=lambda item, user=user: consume[user, item])
        unlikely |= {(user, item) for item in ranked[: -(-len(ranked) // 2)]}
    for segment, name in enumerate(SEGMENTS):
        for rung, threshold in enumerate(THRESHOLDS):
            place = segment * len(THRESHOLDS) + rung
            assert pools.names[place] == pool_name(name, threshold)
            pool = {(u, i) for u, i in unlikely if member[segment, u] and claim[u, i] >= threshold}
            assert pools.inside[place].tolist() == [(u, i) in pool for u, i in zip(part.user, part.item, strict=True)]
            assert pools.pairs[place] == len(pool - ever)
            assert pools.mass[place] == pytest.approx(sum(mix[u] * consume[u, i] for u, i in pool))
            assert pools.high_mass[place] == pytest.approx(sum(mix[u] * law[u, i, 2] for u, i in pool))
    for user in range(USERS):
        left = [item for u, item in unlikely - ever if u == user]
        assert pools.best_claim[user] == pytest.approx(max((claim[user, item] for item in left), default=-1.0))
    assert pools.high.tolist() == (part.level == 2).tolist()


@pytest.mark.parametrize("least", [0, 30, 38])
def test_a_floor_leaves_the_pools_of_well_known_items_which_are_what_is_certified_and_shown(model, least):
    found = evaluate(model, least_interactions=least)
    pools, split = found.gems, model.split
    counts = np.bincount(np.concatenate([split.profile.item, split.scored.item]), minlength=ITEMS)
    assert np.ptp(counts) > 20
    consume = model.consumption(split.interactions.user_ids)
    met = np.zeros((USERS, ITEMS), dtype=bool)
    for part in (split.profile, split.scored, split.validation):
        met[part.user, part.item] = True
    pool = set()
    for user in range(USERS):
        left = sorted(np.flatnonzero(~met[user] & (counts >= least)), key=lambda item, user=user: consume[user, item])
        pool |= {(user, item) for item in left[: -(-len(left) // 2)]}
    part, sample = split.held_out, found.evidence.pool_sample
    inside = [cell in pool for cell in zip(part.user, part.item, strict=True)]
    assert pools.inside[0].tolist() == inside
    counted = found.evidence.gem_counts
    assert counted.all_in_pool[0] == sum(inside)
    assert sample.size < len(inside)
    assert counted.names == choose_pools(model, least_interactions=least).names
    rows = gem_ladder(pools, found.report["T9-gems"].quantities)
    assert {row["least_interactions"] for row in rows} == {least}
    shown = gem_pairs(model, pools, rows[0], k=USERS)
    assert shown["interactions"].min() >= least
    data = model.interactions
    pairs = zip(data.user_codes(shown["user"]).tolist(), data.item_codes(shown["item"]).tolist(), strict=True)
    assert set(pairs) <= pool


def test_a_floor_above_all_items_is_refused(model):
    with pytest.raises(InputError, match="no item has more than"):
        evaluate(model, least_interactions=1000)


def test_pools_do_not_look_at_the_held_out_levels(model):
    split = model.split
    data, held = split.interactions, split.part == 3
    level = np.where(held, 2 - data.level, data.level)
    names = ("user", "item", "time", "user_ids", "item_ids", "levels")
    changed = Interactions(**{name: getattr(data, name) for name in names}, level=level)
    other = trained(type(split)(changed, split.part, split.protocol, split.seed, split.coin))
    before, after = choose_pools(model), choose_pools(other)
    assert np.array_equal(before.inside, after.inside)
    assert np.array_equal(before.claim, after.claim)
    assert not np.array_equal(before.high, after.high)


def test_both_readings_of_a_pool_count_the_same_random_half(model, evaluation):
    pools, sample = evaluation.gems, evaluation.evidence.pool_sample
    counts = evaluation.evidence.gem_counts
    assert counts.levels == "finite pool"
    assert (counts.size, counts.pool) == (sample.size, len(model.split.held_out))
    own = model.log_probabilities(model.split.held_out).joint
    places = [int(np.flatnonzero(own == value)[0]) for value in sample.log_probabilities]
    assert len(set(own.tolist())) == own.size
    assert counts.in_pool.tolist() == pools.inside[:, places].sum(axis=1).tolist()
    assert counts.high_in_pool.tolist() == (pools.inside & pools.high)[:, places].sum(axis=1).tolist()
    certificate = evaluation.report["T9-gems"]
    assert certificate.value <= evaluation.measured["T9-gems"].value
    assert certificate.spent == evaluation.report["T9-pool"].spent


def test_independent_levels_are_declared_and_help_no_other_theorem(model, evaluation):
    declared = evaluate(model, independent_levels=True)
    counts = declared.evidence.gem_counts
    assert (counts.levels, counts.size, counts.pool) == ("independent", len(model.split.held_out), None)
    assert declared.report["T9"].status is Status.REFUSED
    assert declared.report["T9-pool"].value == evaluation.report["T9-pool"].value
    assert declared.report["T9-gems"].value > evaluation.report["T9-gems"].value
    assert "T9-gems" not in declared.measured


def test_a_split_by_time_is_read_as_a_pool_and_one_level_has_no_gems():
    data = ratings()
    timed = replace(data, time=np.arange(len(data), dtype=np.float64))
    assert evaluate(trained(split_by_time(timed))).evidence.gem_counts.levels == "finite pool"
    alike = replace(data, level=np.zeros(len(data), dtype=np.int64), levels=(1.0,))
    found = evaluate(trained(split_by_coin(alike)))
    assert found.gems is None
    assert "no pools of hidden gems" in found.report["T9-gems"].reason


def test_the_ladder_sets_the_claim_beside_what_was_measured_and_certified(evaluation):
    pools, quantities = evaluation.gems, evaluation.report["T9-gems"].quantities
    rows = gem_ladder(pools, quantities, total_variation=0.01)
    assert [row["segment"] for row in rows[:: len(THRESHOLDS)]] == list(SEGMENTS)
    for place, row in enumerate(rows):
        inside = pools.inside[place]
        assert row["interactions"] == inside.sum()
        assert row["share"] == pytest.approx(inside.mean())
        assert row["lower_end"] == quantities[lower_end(pools.names[place])]
        if inside.any():
            assert row["measured"] == pytest.approx(pools.high[inside].mean())
            assert row["claim"] >= row["threshold"]
        else:
            assert row["measured"] is row["claim"] is None
        mass, high = pools.mass[place], pools.high_mass[place]
        promise = max(0.0, (high - 0.01) / mass) if mass > 0 else 0.0
        assert row["from_total_variation"] == pytest.approx(promise, abs=1e-12)
    assert rows[0]["base_rate"] == pytest.approx(pools.high.mean())
    assert {row["from_total_variation"] for row in gem_ladder(pools, quantities)} == {None}
    assert FROM_DISTANCE.lower(tau=0.01, P_G=pools.mass[0], P_high=pools.high_mass[0]) > 0
    assert certified_total_variation(evaluation.report) is None


def test_the_largest_pool_that_keeps_a_promise_is_the_first_of_its_segment(evaluation):
    rows = gem_ladder(evaluation.gems, evaluation.report["T9-gems"].quantities, total_variation=0.01)
    for wanted in (0.05, 0.3, 0.9):
        for by in ("lower_end", "from_total_variation"):
            for segment, row in promised(rows, wanted, by).items():
                able = [row for row in rows if row["segment"] == segment and row[by] >= wanted]
                assert row == (max(able, key=lambda row: row["pairs"]) if able else None)
    for wanted in (0, 1, float("nan"), "much"):
        with pytest.raises(InputError, match="wanted is"):
            promised(rows, wanted)


def test_examples_are_unmet_gems_of_the_pool_by_the_users_own_names(model, evaluation):
    pools = evaluation.gems
    (row,) = (
        r
        for r in gem_ladder(pools, evaluation.report["T9-gems"].quantities)
        if r["segment"] == "middle" and r["threshold"] == 0.4
    )
    table = gem_pairs(model, pools, row, k=4)
    assert 0 < len(table) <= 4
    data = model.interactions
    met = set(zip(data.user_ids.gather(data.user).to_list(), data.item_ids.gather(data.item).to_list(), strict=True))
    for found in table.iter_rows(named=True):
        assert found["user"] >= 100
        assert (found["user"], found["item"]) not in met
        assert found["p_high"] >= 0.4
        gems = model.hidden_gems(found["user"], ITEMS)
        (same,) = gems.filter(pl.col("item") == found["item"]).iter_rows(named=True) or ({},)
        assert same["p_high"] == pytest.approx(found["p_high"])
    assert len(gem_pairs(model, pools, row | {"threshold": 1.1})) == 0


def test_a_report_without_the_theorem_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no certificates"):
        certified_quantities(tmp_path)
    path = tmp_path / "certificates.json"
    path.write_text(json.dumps({"delta": 0.1, "certificates": []}))
    with pytest.raises(InputError, match="knows nothing of T9-gems"):
        certified_quantities(tmp_path)
    row = {"theorem": "T9-gems", "value": None, "reason": "T9-gems refuses (A1): no pools."}
    path.write_text(json.dumps({"delta": 0.1, "certificates": [row]}))
    with pytest.raises(InputError, match="no pools"):
        certified_quantities(tmp_path)


def test_the_figure_shows_every_curve_in_a_panel_for_each_segment(evaluation, tmp_path, monkeypatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(figure, "save", lambda shown, stem: drawn.append(shown) or [stem])
    rows = gem_ladder(evaluation.gems, evaluation.report["T9-gems"].quantities)
    figure.draw_gems(rows, tmp_path / "gems", wanted=0.5)
    figure.draw_gems([row | {"from_total_variation": 0.1} for row in rows[: len(THRESHOLDS)]], tmp_path / "gems")
    first, second = drawn
    assert [axes.get_title() for axes in first.axes] == [f"{segment} users" for segment in SEGMENTS]
    words = [text.get_text() for text in first.legends[0].get_texts()]
    assert words == ["model's own claim", "held-out share", "certified lower end", "base rate", "wanted"]
    held = [row for row in rows[: len(THRESHOLDS)] if row["interactions"]]
    (line,) = (line for line in first.axes[0].lines if line.get_label() == "certified lower end")
    assert line.get_ydata().tolist() == [row["lower_end"] for row in held]
    assert [text.get_text() for text in second.legends[0].get_texts()][3] == "from total variation (T10)"
    assert len({line.get_linestyle() for line in first.axes[0].lines}) >= 4
