"""Conv4Rec behind the interface: its own probabilities, read off the training part and nothing else."""

import numpy as np
import pytest

from conv4rec import Conv4Rec, Part, Split
from conv4rec_experiments.comparison.heads import log_consumption
from conv4rec_experiments.comparison.own import PROFILE, complete, fit_conv4rec, fitted_conv4rec
from conv4rec_experiments.comparison.protocol import comparison_split
from conv4rec_experiments.comparison.systems import Task
from toy_ratings import toy_ratings

OPTIONS = {"epochs": 3, "channels": 2, "code": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def split() -> Split:
    return comparison_split(toy_ratings(), 0)


@pytest.fixture(scope="module")
def model(split) -> Conv4Rec:
    return Conv4Rec(**complete(OPTIONS), seed=0).fit(split.interactions, split, progress=False)


def test_probabilities_are_the_models_own(split, model) -> None:
    fitted, part = fitted_conv4rec(model), split.held_out
    users = np.array([5, 2])
    ids = split.interactions.user_ids.gather(users)
    law = np.exp(log_consumption(fitted.ranker.scores(users), np.ones((2, 60), dtype=bool), fitted.temperature))
    assert law == pytest.approx(model.consumption(ids, profile=PROFILE))
    expected = fitted.rater.expected_levels(part.user, part.item)
    pairs = part.frame()
    assert expected == pytest.approx(model.expected_level(pairs["user"], pairs["item"], profile=PROFILE))


def test_a_task_is_trained_on_new_draws_with_its_own_seed(split, model) -> None:
    again = fit_conv4rec(Task(split, 0), OPTIONS)
    assert np.array_equal(again.ranker.scores(np.arange(60)), fitted_conv4rec(model).ranker.scores(np.arange(60)))
    assert model.trained_with == "redrawn profiles"
    assert not complete({"redraw": False})["redraw"]


def test_the_encoder_does_not_read_the_validation_part(split, model) -> None:
    kept = split.part != Part.VALIDATION
    without = Split(split.interactions.subset(kept), split.part[kept], split.protocol, split.seed)
    other = Conv4Rec(**complete(OPTIONS | {"epochs": 0})).fit(without.interactions, without, progress=False)
    same = fitted_conv4rec(other.with_weights(model.weights()))
    users = np.arange(60)
    assert fitted_conv4rec(model).ranker.scores(users) == pytest.approx(same.ranker.scores(users))
