"""From a trained model to losses, evidence and certificates."""

from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from conv4rec import (
    Conv4Rec,
    InputError,
    Interactions,
    split_by_coin,
    split_by_interaction,
    split_by_time,
    split_from_parts,
)
from conv4rec.popularity import Popularity
from conv4rec_bounds import THEOREMS, CellCounts, Status
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments.demo import Settings, draw_split
from conv4rec_experiments.evaluation import evaluate
from conv4rec_experiments.held_out_evidence import count_table
from conv4rec_experiments.truths import small_truth


def ratings(repeats=False):
    rng = np.random.default_rng(3)
    users, items, each = 40, 15, 10
    item = np.concatenate([rng.choice(items, each, replace=repeats) for _ in range(users)])
    return Interactions.from_frame(
        pl.DataFrame(
            {
                "user": np.repeat(np.arange(users), each),
                "item": item,
                "rating": rng.integers(1, 4, users * each).astype(float),
                "time": rng.permutation(users * each),
            }
        ),
        duplicates="keep",
    )


def trained(split, **options):
    model = Conv4Rec(channels=2, code=3, epochs=2, device="cpu", **options)
    return model.fit(split.interactions, split, progress=False)


@pytest.fixture(scope="module")
def pool_model():
    return trained(split_by_coin(ratings(), seed=1))


@pytest.fixture(scope="module")
def pool(pool_model):
    return evaluate(pool_model)


@pytest.fixture(scope="module")
def known():
    truth = small_truth()
    settings = Settings(scored=3000, validation=300, held_out=600)
    model = trained(draw_split(truth, settings), level_offset=False)
    return truth, model, evaluate(model, truth=truth)


def test_every_part_and_model_has_losses_that_add_up(pool):
    assert [(row.part, row.model) for row in pool.losses] == [
        (part, model)
        for part in ("scored", "validation", "held out")
        for model in ("Conv4Rec", "popularity", "uniform")
    ]
    for row in pool.losses:
        assert row.implicit + row.explicit == pytest.approx(row.joint, abs=1e-12)


def test_the_uniform_model_loses_the_log_of_the_unmasked_cells(pool, pool_model):
    split = pool_model.split
    for name in ("scored", "validation", "held_out"):
        part = getattr(split, name)
        unmasked = (~split.item_mask(part.user)).sum(axis=1) * part.n_levels
        assert pool.loss(name.replace("_", " "), "uniform").joint == pytest.approx(np.log(unmasked).mean())
    assert pool.report["T9-pool"].trivial == pytest.approx(pool.loss("held out", "uniform").joint)
    assert pool.report["T1"].trivial == pytest.approx(pool.loss("scored", "uniform").joint)


def test_ratings_without_repeats_are_a_finite_pool(pool, pool_model):
    assert pool.evidence.protocol.sampling == "finite pool"
    assert pool.evidence.pool_sample.pool.size == len(pool_model.split.held_out)
    assert pool.evidence.pool_sample.size == len(pool_model.split.held_out) // 2
    assert pool.report["T9"].status is Status.REFUSED
    assert "use T9-pool" in pool.report["T9"].reason
    assert pool.report["T9-pool"].value >= pool.measured["T9-pool"].value
    assert pool.report["T1"].value >= pool.measured["T1"].value
    assert pool.report["T9-paired"].value <= pool.measured["T9-paired"].value
    assert sum(certificate.spent for certificate in pool.report) <= Fraction(0.05)


def test_popularity_is_compared_on_the_rows_that_were_drawn_and_measured_on_the_whole_pool(pool, pool_model):
    split, pair = pool_model.split, pool.evidence.paired
    own = pool_model.log_probabilities(split.held_out)
    other = Popularity.fit(split).log_probabilities(split.held_out, split)
    rows = set(zip(own.joint.tolist(), other.joint.tolist(), own.cells.tolist(), strict=True))
    drawn = zip(pair.model.log_probabilities.tolist(), pair.against.tolist(), pair.model.cells.tolist(), strict=True)
    assert set(drawn) <= rows
    np.testing.assert_array_equal(pair.model.log_probabilities, pool.evidence.pool_sample.log_probabilities)
    losses = [
        -np.log((1 - pool.smoothing) * np.exp(found.joint) + pool.smoothing / found.cells) for found in (own, other)
    ]
    assert pool.measured["T9-paired"].value == pytest.approx((losses[1] - losses[0]).mean())
    assert pool_model.split.statement in pool.notes


def test_cells_are_the_most_that_any_user_has_unmasked(pool, pool_model):
    unmasked = (~pool_model.split.item_mask(np.arange(40))).sum(axis=1) * 3
    assert pool.evidence.cells == unmasked.max()


@pytest.mark.parametrize("repeats", [False, True])
def test_independence_is_declared_and_never_concluded_from_repeats(repeats):
    model = trained(split_by_interaction(ratings(repeats=repeats)))
    assert evaluate(model).evidence.protocol.sampling == "finite pool"
    assert evaluate(model).report["T9"].status is Status.REFUSED
    declared = evaluate(model, independent=True)
    assert declared.evidence.protocol.sampling == "independent"
    assert declared.evidence.pool_sample is None
    assert declared.report["T9"].value > declared.loss("held out").joint
    assert declared.measured == {}
    assert declared.evidence.gem_counts.levels == "independent"


def test_counts_need_no_table_of_all_users_and_cells(monkeypatch):
    """On declared independence alone the memory is that of the interactions; the counts are those of the table."""
    model = trained(split_by_interaction(ratings(repeats=True)))
    whole = CellCounts.of_table(count_table(model.split.held_out))
    monkeypatch.delattr("conv4rec_experiments.gathering.count_table")
    monkeypatch.delattr("conv4rec_experiments.held_out_evidence.count_table")
    counted = evaluate(model, independent=True).evidence.cell_counts
    assert counted.segments.tolist() == whole.segments.tolist()
    assert counted.counts.tolist() == whole.counts.tolist()


def test_events_in_bursts_get_no_certificate_for_new_interactions():
    """Every event is logged four times: held-out copies of training interactions say nothing of new ones."""
    rng = np.random.default_rng(0)
    events = pl.DataFrame({"user": rng.integers(60, size=900), "item": rng.integers(40, size=900)})
    data = Interactions.from_frame(pl.concat([events] * 4), duplicates="keep")
    report = evaluate(trained(split_by_interaction(data))).report
    assert report["T9"].status is Status.REFUSED
    assert report["T9-pool"].value is not None


def test_a_known_truth_refuses_data_that_cannot_be_draws_from_it():
    truth = small_truth()
    draws = draw_split(truth, Settings(scored=3000, validation=300, held_out=600)).interactions
    with pytest.raises(InputError, match="masked split"):
        evaluate(trained(split_by_coin(draws)), truth=truth)
    merged = Interactions.from_frame(draws.frame(), duplicates="last")
    with pytest.raises(InputError, match="were merged"):
        evaluate(trained(split_by_interaction(merged)), truth=truth)
    few = draws.subset(draws.item < 9)
    frame = Interactions.from_frame(few.frame(), duplicates="keep")
    with pytest.raises(InputError, match="expected the truth's own"):
        evaluate(trained(split_by_interaction(frame)), truth=truth)


def test_a_split_by_time_without_repeats_is_neither_draws_nor_a_random_subset():
    evaluation = evaluate(trained(split_by_time(ratings())))
    assert evaluation.evidence.protocol.sampling == "neither"
    assert "neither independent draws nor a random subset" in evaluation.report["T1"].reason
    assert evaluation.report["T9"].status is Status.REFUSED
    assert evaluation.report["T9-pool"].value >= evaluation.measured["T9-pool"].value


def test_new_users_are_declared_and_their_target_says_how_the_parts_were_made(pool, pool_model):
    assert pool.report["T3"].status is Status.REFUSED
    cut = evaluate(pool_model, new_users=True)
    assert cut.evidence.protocol.users == "cut"
    assert cut.report["T3"].value is not None
    assert "with as many interactions in each part" in cut.report["T3"].target
    split = split_by_interaction(ratings())
    parts = split_from_parts(split.profile, split.scored, split.validation, split.held_out)
    drawn = evaluate(trained(parts), new_users=True)
    assert drawn.evidence.protocol.users == "independent"
    assert drawn.report["T3"].target.startswith("risk of a new user, ")


def test_dates_computed_from_the_data_of_all_users_tie_them():
    with pytest.raises(InputError, match="tie them; expected coins, one permutation, or dates fixed beforehand"):
        evaluate(trained(split_by_time(ratings())), new_users=True)


def test_redrawn_profiles_are_told_to_the_theorems():
    assert evaluate(trained(split_by_coin(ratings()), redraw=True)).evidence.protocol.training == "redrawn profiles"


def test_hidden_layers_leave_the_held_out_certificate():
    evaluation = evaluate(trained(split_by_coin(ratings()), hidden=(5,)))
    assert "hidden layers" in evaluation.report["T1"].reason
    assert evaluation.report["T9-pool"].value is not None


def test_without_held_out_and_validation_parts_the_rest_is_reported():
    evaluation = evaluate(trained(split_by_coin(ratings(), (0.5, 0.5, 0.0, 0.0))))
    assert {row.part for row in evaluation.losses} == {"scored"}
    assert evaluation.smoothing == DEFAULT_SMOOTHING
    assert evaluation.report["T9-pool"].status is Status.REFUSED
    assert evaluation.report["T1"].value is not None


def test_the_smoothing_does_not_look_at_the_held_out_part(pool_model):
    """Held-out interactions that are as unlikely as can be change their own certificate and nothing else."""
    split = pool_model.split
    logs = np.log(pool_model.predict_proba(split.interactions.user_ids))
    held = split.part == 3
    level = split.interactions.level.copy()
    level[held] = logs[split.interactions.user[held], split.interactions.item[held]].argmin(axis=1)
    changed = Interactions(
        **{
            name: getattr(split.interactions, name)
            for name in ("user", "item", "time", "user_ids", "item_ids", "levels")
        },
        level=level,
    )
    other = trained(type(split)(changed, split.part, split.protocol, split.seed, split.coin))
    before, after = evaluate(pool_model), evaluate(other)
    assert after.smoothing == before.smoothing
    assert after.report["T1"].value == before.report["T1"].value
    assert after.report["T9-pool"].value > before.report["T9-pool"].value


def test_on_a_known_truth_every_certificate_lies_above_what_it_bounds(known):
    truth, model, evaluation = known
    split = model.split
    assert evaluation.evidence.protocol.sampling == "independent"
    law = truth.law[split.scored.user, split.scored.item * truth.levels + split.scored.level]
    assert evaluation.evidence.scored.truth_risk == pytest.approx(-np.log(law).mean())
    for certificate in evaluation.report:
        # Limits of T11 are not about this model, and the expectation of NDCG has no closed form: its parts follow.
        if certificate.value is not None and certificate.theorem not in ("T11", "T9-users"):
            measured = evaluation.measured[certificate.theorem].value
            assert certificate.value >= measured if certificate.side == "upper" else certificate.value <= measured
    answered = {certificate.theorem for certificate in evaluation.report if certificate.value is not None}
    others = {"T3", "T7b", "T7d", "T8-paired", "T9-pool", "T9-sequence"}
    assert answered == {theorem.number for theorem in THEOREMS} - others
    probabilities = model.predict_proba(list(range(truth.users))).reshape(truth.users, truth.cells)
    mix = np.bincount(split.scored.user, minlength=truth.users) / len(split.scored)
    distance = mix @ np.abs(probabilities - truth.law).sum(axis=1) / 2
    rival = Popularity.fit(split).log_probabilities(split.held_out, split).joint
    np.testing.assert_array_equal(evaluation.evidence.paired.against, rival)
    assert evaluation.measured["T6"].value == pytest.approx(distance)


def test_rows_hold_what_was_measured_beside_each_certificate(known):
    _, _, evaluation = known
    rows = {row["theorem"]: row for row in evaluation.certificate_rows()}
    assert rows["T6"]["measured"] == evaluation.measured["T6"].value
    assert rows["T9-pool"]["measured"] is None
    assert len({tuple(row) for row in rows.values()}) == 1
