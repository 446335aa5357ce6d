"""Figures of a held-out part, by hand and whatever the batches; scores that are no numbers are refused."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from conv4rec import InputError, Part
from conv4rec_experiments.comparison import scoring
from conv4rec_experiments.comparison.merits import FIGURES, joint_criterion
from conv4rec_experiments.comparison.protocol import comparison_split
from conv4rec_experiments.comparison.scoring import CALIBRATIONS, score
from conv4rec_experiments.comparison.systems import Fitted
from conv4rec_experiments.ranking import Cutoffs, Lists, RankedPart, ranks_in
from toy_ratings import LEVELS, toy_ratings


@dataclass
class Known:
    table: np.ndarray
    law: np.ndarray

    def scores(self, users):
        return self.table[users]

    def expected_levels(self, user, item):
        return self.law[user, item] @ np.array(LEVELS) + 0.7

    def level_probabilities(self, user, item):
        return self.law[user, item]


@pytest.fixture(scope="module")
def split():
    return comparison_split(toy_ratings(), 3)


@pytest.fixture(scope="module")
def known() -> Known:
    rng = np.random.default_rng(0)
    return Known(rng.normal(size=(60, 60)), rng.dirichlet(np.ones(5), size=(60, 60)))


@pytest.fixture(scope="module")
def found(split, known):
    return score(Fitted(known, 0.8, known, known), split)


def test_figures_are_their_formulas(split, known, found) -> None:
    part, values = split.held_out, np.array(LEVELS)
    error = values[part.level] - np.clip(known.expected_levels(part.user, part.item), 0.5, 4.5)
    own = known.law[part.user, part.item, part.level]
    figures = found.figures()
    for words, (name, what) in CALIBRATIONS.items():
        assert figures[words] == getattr(found.reliability[name], what)
        assert figures[words] > 0
    nothing = score(Fitted(known, 0.8), split).figures()
    assert [nothing[words] is None for words in CALIBRATIONS] == [False, True, True, True, True]
    assert figures["RMSE"] == pytest.approx(np.sqrt((error**2).mean()))
    assert figures["MAE"] == pytest.approx(np.abs(error).mean())
    assert figures["level log-loss"] == pytest.approx(-np.log(own).mean())
    hidden = np.zeros((60, 60), dtype=bool)
    for other in (split.profile, split.scored, split.validation):
        hidden[other.user, other.item] = True
    weights = np.where(hidden, 0, np.exp(known.table / 0.8))
    law = weights / weights.sum(axis=1, keepdims=True)
    assert figures["item log-loss"] == pytest.approx(-np.log(law[part.user, part.item]).mean())


def test_lists_leave_out_training_and_validation_and_agree_with_the_ranks(split, known, found) -> None:
    part = split.held_out
    shown = Lists(split).shown(np.arange(60))
    for other in (split.profile, split.scored, split.validation):
        assert not shown[other.user, other.item].any()
    ranks = ranks_in(known.table, shown)[part.user, part.item]
    scores = RankedPart(part.user, part.item, ranks, Cutoffs(100, 20)).scores
    for column, name in (("ndcg_100", "NDCG@100"), ("recall_20", "Recall@20")):
        assert found.users[column].to_numpy() == pytest.approx(scores[name])
    high = np.array(LEVELS)[part.level] > 0.5 + 0.6 * 4
    liked = RankedPart(part.user[high], part.item[high], ranks[high], Cutoffs(100, 50))
    positive = found.users.drop_nulls("positive_ndcg_100")
    assert positive["positive_ndcg_100"].to_numpy() == pytest.approx(liked.scores["NDCG@100"])
    assert positive["positive_recall_50"].to_numpy() == pytest.approx(liked.scores["Recall@50"])
    assert 0 < positive.height < found.users.height


def test_batches_of_users_change_nothing(split, known, found, monkeypatch) -> None:
    monkeypatch.setattr(scoring, "BATCH_USERS", 7)
    again = score(Fitted(known, 0.8, known, known), split)
    assert again.figures() == pytest.approx(found.figures())
    assert again.users.columns == found.users.columns


def test_no_call_asks_for_more_than_a_batch_of_users(split, known) -> None:
    sizes = []

    class Watched(Known):
        def scores(self, users):
            sizes.append(len(users))
            return super().scores(users)

    score(Fitted(ranker=Watched(known.table, known.law)), split)
    assert max(sizes) <= scoring.BATCH_USERS


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(split, known, bad) -> None:
    part = split.held_out
    table, law = known.table.copy(), known.law.copy()
    table[part.user[0], 0] = bad
    law[part.user[0], part.item[0]] = bad
    broken = Known(table, law)
    with pytest.raises(InputError, match="score of an item"):
        score(Fitted(ranker=broken), split)
    with pytest.raises(InputError, match="do not sum to 1"):
        score(Fitted(levels=broken), split)
    law[part.user[0], part.item[0]] = np.nan
    with pytest.raises(InputError, match="expected level"):
        score(Fitted(rater=broken), split)


def test_a_split_without_held_out_part_is_refused(split, known) -> None:
    from conv4rec import Split

    part = np.where(split.part == Part.HELD_OUT, Part.SCORED, split.part)
    with pytest.raises(InputError, match="no held-out part"):
        score(Fitted(ranker=known), Split(split.interactions, part, "period"))


def test_one_per_cent_of_each_figure_weighs_the_same() -> None:
    base = {"NDCG@100": 0.3, "RMSE": 0.9, "level log-loss": 1.7}
    better = [base | {name: base[name] * (1.01 if name == "NDCG@100" else 1 / 1.01)} for name in base]
    gains = [joint_criterion(base) - joint_criterion(found) for found in better]
    assert gains == pytest.approx([np.log(1.01)] * 3)
    assert joint_criterion({"NDCG@100": 0.0, "RMSE": None}) > 700


def test_every_figure_is_none_where_nobody_has_it() -> None:
    nobody = pl.DataFrame(
        {"user": [1, 2]} | {figure.column: [None, None] for figure in FIGURES} | {"interactions": [1, 1]}
    )
    assert [figure.value(nobody) for figure in FIGURES] == [None] * len(FIGURES)
