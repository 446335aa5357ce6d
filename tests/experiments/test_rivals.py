"""What draws are compared with: made from what their prior has seen, scored as they are, and paid for in the report."""

import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from conv4rec import Conv4Rec, Interactions, split_by_coin, split_by_interaction
from conv4rec.popularity import Popularity
from conv4rec.splits import Part
from conv4rec_experiments.evaluation import evaluate
from conv4rec_experiments.priors import Prior, prior_split
from conv4rec_experiments.rivals import Rival
from conv4rec_experiments.truths import small_truth

OPTIONS = {"channels": 2, "code": 2, "epochs": 3, "device": "cpu"}


def trained(data, split, share=0.5):
    first = prior_split(split, share, 0)
    return tuple(Conv4Rec(**OPTIONS).fit(part.interactions, part, progress=False) for part in (split, first))


@pytest.fixture(scope="module")
def tastes():
    """Two groups of users, each fond of its half of the items."""
    rng = np.random.default_rng(0)
    item = np.concatenate([rng.choice(20, 12, replace=False, p=p) for p in np.tile([0.09, 0.01], (100, 10))])
    user = np.repeat(np.arange(100), 12)
    return Interactions.from_frame(pl.DataFrame({"user": user, "item": item, "rating": rng.integers(1, 4, user.size)}))


@pytest.fixture(scope="module", params=[split_by_coin, split_by_interaction])
def pair(tastes, request):
    return trained(tastes, request.param(tastes, seed=1))


def test_the_law_and_the_guess_come_from_what_the_prior_has_seen(pair):
    model, prior = pair
    first, rival = prior.split, Rival.of(Prior.of(model, prior))
    counts = np.zeros((20, 3), dtype=int)
    np.add.at(counts, (first.profile.item, first.profile.level), 1)
    np.add.at(counts, (first.scored.item, first.scored.level), 1)
    expected = Popularity.of_counts(counts, rival.law.item_smoothing, rival.law.level_smoothing)
    np.testing.assert_array_equal(rival.law.cell_logits, expected.cell_logits)
    own, other = (
        found.log_probabilities(first.validation, *extra) for found, extra in ((prior, ()), (rival.law, (first,)))
    )
    losses = [-np.log(0.99 * np.exp(found.joint) + 0.01 / found.cells).mean() for found in (own, other)]
    assert rival.guess == pytest.approx(losses[0] - losses[1], rel=1e-9)


def test_other_interactions_than_the_prior_s_leave_the_law_as_it_is(tastes):
    """The levels of all that the prior has not seen are changed; the law and the guess stay."""
    split = split_by_interaction(tastes, seed=1)
    model, prior = trained(tastes, split)
    seen = {tuple(row) for row in zip(*(getattr(prior.interactions, name) for name in ("user", "item")), strict=True)}
    level = tastes.level.copy()
    unseen = np.array([row not in seen for row in zip(tastes.user, tastes.item, strict=True)])
    assert unseen.sum() > 0.3 * len(tastes)
    level[unseen] = 2 - level[unseen]
    names = ("user", "item", "time", "user_ids", "item_ids", "levels")
    changed = Interactions(**{name: getattr(tastes, name) for name in names}, level=level)
    others = trained(changed, type(split)(changed, split.part, split.protocol, split.seed))
    one, other = (Rival.of(Prior.of(*each)) for each in ((model, prior), others))
    np.testing.assert_array_equal(one.law.cell_logits, other.law.cell_logits)
    assert one.guess == other.guess


def test_draws_and_law_are_scored_on_the_same_interactions_under_the_same_mask(pair):
    model, prior = pair
    learnt = Prior.of(model, prior)
    rival = Rival.of(learnt)
    scores = [found.log_probabilities(learnt.left) for found in (model, prior)]
    found = rival.against(scores, learnt.left, model.split)
    other = rival.law.log_probabilities(learnt.left, model.split)
    for place, score in enumerate(scores):
        own, of_law = (-np.log(0.99 * np.exp(each.joint) + 0.01 / each.cells) for each in (score, other))
        assert found.differences[place] == pytest.approx((own - of_law).mean(), abs=1e-11)
        assert found.differences[place] >= math.fsum(own - of_law) / own.size
        assert found.squares[place] == pytest.approx(np.square(own - of_law - rival.guess).mean(), abs=1e-9)
    assert found.centre == rival.guess
    assert found.gap == pytest.approx(math.log(1 + 0.99 * int(other.cells.max()) / 0.01))
    assert found.blind


def test_the_report_of_a_run_with_a_prior_holds_the_margin_and_pays_for_it(pair):
    model, prior = pair
    with_prior, without = evaluate(model, prior=prior), evaluate(model)
    certificate, measured = with_prior.report["T8-paired"], with_prior.measured["T8-paired"]
    assert certificate.value <= measured.value
    assert "what the prior left" in certificate.target
    assert "without what made the prior" in measured.meaning
    assert "T8, T8-paired and T7c speak of" in with_prior.notes[-1]
    entries = dict(with_prior.report.budget.entries)
    assert entries["T8-paired: Bernstein"] == 2 * entries["T8: kl"] == certificate.spent
    assert with_prior.report.budget.spent <= Fraction(0.05)
    assert "no other law was given" in without.report["T8-paired"].reason
    assert "T8-paired" not in without.measured
    assert with_prior.report["T8"].spent < without.report["T8"].spent


def test_the_measured_margin_of_a_pool_is_the_difference_of_the_two_losses_over_what_is_left(pair):
    model, prior = pair
    found, split = evaluate(model, prior=prior), model.split
    learnt = Prior.of(model, prior)
    rest = split.interactions.subset((split.part == Part.VALIDATION) | (split.part == Part.HELD_OUT))
    law, user, losses = Rival.of(learnt).law, [], []
    for part in (learnt.left, rest):
        score = law.log_probabilities(part, split)
        user.append(part.user)
        losses.append(-np.log(0.99 * np.exp(score.joint) + 0.01 / score.cells))
    users, of_law = np.concatenate(user), np.concatenate(losses)
    mean = np.mean([of_law[users == each].mean() for each in learnt.left.user])
    assert found.measured["T8-paired"].value == pytest.approx(mean - found.measured["T8"].value, rel=1e-9)


def test_on_a_known_truth_the_margin_lies_below_the_exact_one():
    truth = small_truth(0)
    counts = truth.sample(30_000, np.random.default_rng(1))
    user, cell = np.nonzero(counts)
    many = counts[user, cell]
    frame = pl.DataFrame({"user": user, "item": cell // truth.levels, "rating": cell % truth.levels + 1})
    frame = frame.select(pl.all().repeat_by(pl.Series(many)).explode())
    data = Interactions.from_frame(frame, duplicates="keep")
    model, prior = trained(data, split_by_interaction(data, seed=1))
    found = evaluate(model, prior=prior, truth=truth)
    certificate, measured = found.report["T8-paired"], found.measured["T8-paired"]
    assert certificate.value <= measured.value < certificate.value + 0.5
    assert "under the known truth" in measured.meaning
    assert "its risk less their mean risk" in certificate.target
