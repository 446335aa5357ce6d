"""What else a model is judged by: ranks, scores, events in bins, and the exact values that certificates are held to."""

import json
from dataclasses import replace
from itertools import product

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec import Conv4Rec, Interactions, split_by_coin, split_by_interaction, split_by_time
from conv4rec_bounds import Status
from conv4rec_experiments.demo import Settings, draw_split
from conv4rec_experiments.evaluation import evaluate
from conv4rec_experiments.judged_truth import expected_hits, expected_losses, expected_miscalibration
from conv4rec_experiments.judging import Judged, bin_edges, binned_error
from conv4rec_experiments.printing import print_parts
from conv4rec_experiments.ranking import Cutoffs, Lists, RankedPart, held_out_ranks, ranks_in
from conv4rec_experiments.runs import write_evaluation
from conv4rec_experiments.truths import small_truth

PARTS = ("T9-parts", "T9-users", "T9-calibration")


def ratings(levels: int = 3, repeats: bool = False) -> Interactions:
    rng = np.random.default_rng(3)
    users, items, each = 40, 15, 10
    frame = {"user": np.repeat(np.arange(users), each), "time": rng.permutation(users * each)}
    frame["item"] = np.concatenate([rng.choice(items, each, replace=repeats) for _ in range(users)])
    if levels > 1:
        frame["rating"] = rng.integers(1, levels + 1, users * each).astype(float)
    return Interactions.from_frame(pl.DataFrame(frame), duplicates="keep")


def trained(split, **options) -> Conv4Rec:
    return Conv4Rec(channels=2, code=3, epochs=2, device="cpu", **options).fit(
        split.interactions, split, progress=False
    )


@pytest.fixture(scope="module")
def pool_model() -> Conv4Rec:
    return trained(split_by_coin(ratings(), seed=1))


@pytest.fixture(scope="module")
def pool(pool_model):
    return evaluate(pool_model)


@pytest.fixture(scope="module")
def known():
    truth = small_truth()
    model = trained(draw_split(truth, Settings(scored=3000, validation=300, held_out=600)), level_offset=False)
    return truth, model, evaluate(model, truth=truth)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.data())
def test_ranks_count_the_items_that_are_at_least_as_likely(values, data) -> None:
    shown = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    scores = np.array(values, dtype=float)
    ranks = ranks_in(scores[None], shown[None])[0]
    for item in range(len(values)):
        at_least = int((scores[shown] >= scores[item]).sum())
        assert ranks[item] == (at_least if shown[item] else len(values) + 1)


@given(st.sets(st.integers(0, 29), min_size=1, max_size=12), st.integers(0, 9), st.integers(1, 15))
def test_scores_are_those_of_another_library(relevant, seed, cutoff) -> None:
    from cornac.metrics import NDCG, Precision, Recall

    scores = np.random.default_rng(seed).permutation(30).astype(float)
    items = np.array(sorted(relevant))
    part = RankedPart(
        np.zeros_like(items),
        items,
        ranks_in(scores[None], np.ones((1, 30), dtype=bool))[0, items],
        Cutoffs(cutoff, cutoff),
    )
    found = {name.split("@")[0]: values[0] for name, values in part.scores.items()}
    ranked = np.argsort(-scores)
    assert found["NDCG"] == pytest.approx(NDCG(cutoff).compute(items, ranked))
    # Hits over min(K, relevant) are the larger of hits over relevant and hits over K.
    by_relevant, by_k = (metric(cutoff).compute(gt_pos=items, pd_rank=ranked) for metric in (Recall, Precision))
    assert found["Recall"] == pytest.approx(max(by_relevant, by_k))
    assert found["hit share"] == pytest.approx(by_relevant)


def test_repeats_count_once_for_sets_and_each_time_for_the_share_of_hits() -> None:
    part = RankedPart(np.array([7, 7, 7, 9]), np.array([1, 1, 2, 1]), np.array([1, 1, 9, 9]), Cutoffs(5, 1))
    assert part.repeats
    assert {name: values.round(3).tolist() for name, values in part.scores.items()} == {
        "NDCG@5": [0.613, 0.0],
        "Recall@1": [1.0, 0.0],
        "hit share@1": [0.667, 0.0],
    }
    assert part.expected({7: 1}) == {"hit share@1": pytest.approx(2 / 3)}


def test_lists_leave_out_what_the_user_has_and_what_is_masked(pool_model) -> None:
    split, users = pool_model.split, np.arange(40)
    shown = Lists(split).shown(users)
    assert not (shown & split.item_mask(users)).any()
    for part in (split.profile, split.scored, split.validation):
        assert not shown[part.user, part.item].any()
    assert shown[split.held_out.user, split.held_out.item].all()
    again = split_by_interaction(ratings(repeats=True))
    assert Lists(again).shown(users).all()


def test_ranks_of_held_out_items_are_those_of_one_user_after_the_other(pool_model) -> None:
    part, ranked = pool_model.split.held_out, held_out_ranks(pool_model)
    shown = Lists(pool_model.split).shown(np.arange(40))
    law = pool_model.consumption(pool_model.interactions.user_ids)
    for user, item, rank in zip(part.user, part.item, ranked.rank, strict=True):
        assert rank == (law[user][shown[user]] >= law[user, item] - 1e-12).sum()


def test_the_half_that_was_drawn_is_certified_and_the_whole_pool_measured(pool, pool_model) -> None:
    held_out = pool_model.split.held_out
    evidence, report = pool.evidence, pool.report
    assert evidence.named_losses.pool == evidence.binned_events.pool == len(held_out)
    assert evidence.named_losses.size == evidence.pool_sample.size == len(held_out) // 2
    for number in PARTS:
        certificate, measured = report[number], pool.measured[number]
        assert certificate.status is not Status.REFUSED
        above = certificate.value >= measured.value
        assert above if certificate.side == "upper" else not above
    losses = pool.loss("held out")
    smoothed = pool.measured["T9-parts"].parts
    assert smoothed["explicit loss"] == pytest.approx(losses.explicit, abs=0.1)
    assert smoothed["implicit loss"] == pytest.approx(losses.implicit, abs=0.1)
    law = pool_model.predict_proba(pool_model.interactions.user_ids)[held_out.user, held_out.item]
    expected = law @ np.array([1.0, 2.0, 3.0]) / law.sum(axis=1)
    assert smoothed["level error"] == pytest.approx(np.abs(held_out.level + 1 - expected).mean())


def test_a_subset_with_its_sizes_has_the_expected_scores_on_average(pool_model) -> None:
    judged = Judged.of(pool_model, pool_model.log_probabilities(pool_model.split.held_out), 0.01)
    rng, size = np.random.default_rng(0), judged.losses.size
    gaps = {}
    for _ in range(400):
        rows = rng.permutation(size)[: size // 2]
        drawn, expected = judged.drawn(rows).scores, judged.over_the_pool(rows)["T9-users"]
        for name, value in expected.items():
            gaps.setdefault(name, []).append(drawn[name].mean() - value)
    assert len(gaps) == 3
    for name, values in gaps.items():
        assert abs(np.mean(values)) < 4 * np.std(values) / 20, name


def test_bins_are_made_without_the_held_out_part_and_hold_equal_shares_of_the_validation_part(pool_model) -> None:
    judged = Judged.of(pool_model, pool_model.log_probabilities(pool_model.split.held_out), 0.01)
    assert list(judged.edges) == ["high level", "level 1.0", "level 2.0", "level 3.0"]
    rng = np.random.default_rng(1)
    for probabilities in (rng.random(997), np.round(rng.random(997), 1)):
        edges = bin_edges(probabilities)
        assert not np.isin(edges, probabilities).any()
        shares = np.bincount(np.searchsorted(edges, probabilities, side="right")) / 997
        assert shares.max() < 0.25
    assert bin_edges(np.full(50, 0.3)).size == 0


def test_the_binned_error_is_the_sum_of_absolute_means() -> None:
    assert binned_error(np.array([0.5, -0.5, 0.25]), np.array([0, 2, 2])) == pytest.approx((0.5 + 0.25) / 3)


def test_on_a_known_truth_every_part_lies_on_its_side(known) -> None:
    _, _, evaluation = known
    rows = evaluation.part_rows()
    assert {row["theorem"] for row in rows} == set(PARTS)
    for row in rows:
        if row["measured"] is None:
            assert row["theorem"] == "T9-users"
        else:
            assert row["value"] >= row["measured"] if row["side"] == "upper" else row["value"] <= row["measured"]
    hits = [row for row in rows if row["part"].startswith("hit share")]
    assert hits[0]["measured"] is not None
    assert evaluation.measured["T9-users"].value is None


def test_truths_targets_are_means_over_all_cells() -> None:
    rng = np.random.default_rng(4)
    true, law = (rng.dirichlet(np.ones(12), size=3).reshape(3, 4, 3) for _ in range(2))
    mix, values, edges = np.array([0.5, 0.3, 0.2]), np.array([1.0, 2.0, 4.0]), np.array([0.3, 0.6])
    chosen = np.array([False, False, True])
    expected, gap = dict.fromkeys(("explicit loss", "implicit loss", "level error"), 0.0), np.zeros(3)
    for user, item, level in product(range(3), range(4), range(3)):
        weight = mix[user] * true[user, item, level]
        consumed = law[user, item].sum()
        given_item = law[user, item] / consumed
        expected["explicit loss"] -= weight * np.log(0.9 * given_item[level] + 0.1 / 3)
        expected["implicit loss"] -= weight * np.log(0.9 * consumed + 0.1 / 4)
        expected["level error"] += weight * abs(values[level] - given_item @ values)
        gap[np.searchsorted(edges, given_item[2])] += weight * ((level == 2) - given_item[2])
    found = expected_losses(true, law, mix, 0.1, values)
    assert found == {name: pytest.approx(value) for name, value in expected.items()}
    assert expected_miscalibration(true, law, mix, chosen, edges) == pytest.approx(np.abs(gap).sum())
    first = law.sum(axis=2).argmax(axis=1)
    hits = true.sum(axis=2)[np.arange(3), first].mean()
    assert expected_hits(true, law, np.ones((3, 4), dtype=bool), 1) == pytest.approx(hits)


def test_declared_independence_certifies_all_of_the_held_out_part() -> None:
    model = trained(split_by_interaction(ratings(repeats=True)))
    evaluation = evaluate(model, independent=True)
    assert evaluation.evidence.named_losses.size == len(model.split.held_out)
    assert evaluation.evidence.named_losses.pool is None
    assert all(evaluation.report[number].value is not None for number in PARTS)
    assert all(row["measured"] is None for row in evaluation.part_rows())


def test_a_split_by_time_has_a_random_half_of_each_users_pool_too() -> None:
    """The random half is drawn by coins of its own, so users' halves are subsets of their pools whatever the split."""
    evaluation = evaluate(trained(split_by_time(ratings())))
    assert evaluation.evidence.protocol.sampling == "neither"
    assert all(evaluation.report[number].value is not None for number in PARTS)


def test_a_single_level_has_nothing_but_the_items() -> None:
    evaluation = evaluate(trained(split_by_coin(ratings(levels=1))))
    assert [loss.name for loss in evaluation.evidence.named_losses.losses] == ["implicit loss"]
    assert evaluation.report["T9-calibration"].status is Status.REFUSED
    two = evaluate(trained(split_by_coin(ratings(levels=2))))
    assert list(two.evidence.binned_events.happened) == ["high level"]


def test_rows_of_parts_are_written_and_printed(pool, tmp_path, capsys) -> None:
    written = {path.name for path in write_evaluation(pool, tmp_path)}
    assert "parts.csv" in written
    kept = json.loads((tmp_path / "certificates.json").read_text())["parts"]
    assert kept == pool.part_rows()
    assert [row["part"] for row in kept][:4] == ["explicit loss", "implicit loss", "level error", "NDCG@15"]
    print_parts(kept)
    printed = capsys.readouterr().out
    assert "NDCG@15 (share)" in printed
    print_parts([])
    assert not capsys.readouterr().out
    assert replace(pool, measured={}).part_rows()[0]["measured"] is None
