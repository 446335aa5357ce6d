"""Temperatures and ordered logits: true parameters are found, and nothing else is likelier."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from conv4rec_experiments.comparison.heads import (
    OrderedLogit,
    fit_ordered,
    fit_temperature,
    log_consumption,
    ordered_probabilities,
)
from conv4rec_experiments.comparison.protocol import comparison_split
from conv4rec_experiments.comparison.systems import Task
from toy_ratings import toy_ratings


@dataclass
class Fixed:
    table: np.ndarray

    def scores(self, users):
        return self.table[users]

    def expected_levels(self, user, item):
        return self.table[user, item]


def loss(task, ranker, temperature):
    part = task.validation
    shown = np.ones((part.n_users, part.n_items), dtype=bool)
    shown[task.training.user, task.training.item] = False
    logs = log_consumption(ranker.table, shown, temperature)
    return -logs[part.user, part.item].mean()


def test_no_other_temperature_has_a_smaller_loss() -> None:
    task = Task(comparison_split(toy_ratings(), 0), 0)
    rng = np.random.default_rng(0)
    own = (np.arange(60)[None] % 2) == (np.arange(60)[:, None] % 2)
    ranker = Fixed(5.0 * own + rng.normal(size=own.shape))
    found = fit_temperature(ranker, task)
    least = min(loss(task, ranker, value) for value in np.geomspace(0.05, 500, 400))
    assert loss(task, ranker, found) <= least + 1e-4


def test_consumption_is_a_law_over_what_is_shown() -> None:
    shown = np.array([[True, False, True]])
    law = np.exp(log_consumption(np.array([[0.0, 9.0, 1.0]]), shown, 0.5))
    assert law.sum() == pytest.approx(1)
    assert law[0].tolist() == pytest.approx([*softmax([0.0, 2.0])[:1], 0.0, *softmax([0.0, 2.0])[1:]])


def test_an_ordered_logit_finds_the_law_that_it_is_drawn_from() -> None:
    rng = np.random.default_rng(2)
    thresholds, slope = np.array([-1.0, 0.5, 2.0]), 1.7
    predicted = rng.normal(size=40_000)
    law = ordered_probabilities(predicted, thresholds, slope)
    level = (rng.random((len(law), 1)) > law.cumsum(axis=1)).sum(axis=1)
    found, steep = fit_ordered(predicted, level, 4)
    assert found == pytest.approx(thresholds, abs=0.06)
    assert steep == pytest.approx(slope, abs=0.06)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=30), st.integers(2, 6), st.integers(0, 20))
def test_probabilities_are_a_law_even_where_levels_are_missing(predicted, levels, seed) -> None:
    values = np.array(predicted)
    level = np.random.default_rng(seed).integers(0, max(1, levels - 1), len(values))
    thresholds, slope = fit_ordered(values, level, levels)
    law = ordered_probabilities(values, thresholds, slope)
    assert (np.diff(thresholds) > 0).all()
    assert slope > 0
    assert (law >= -1e-12).all()
    assert law.sum(axis=1) == pytest.approx(1)


def test_the_logit_of_a_rater_is_fitted_on_validation() -> None:
    interactions = toy_ratings()
    task = Task(comparison_split(interactions, 0), 0)
    own = (np.arange(60)[None] % 2) == (np.arange(60)[:, None] % 2)
    head = OrderedLogit.fit(Fixed(np.where(own, 3.5, 1.5)), task)
    law = head.level_probabilities(task.validation.user, task.validation.item)
    share = np.bincount(task.validation.level, minlength=5) / len(task.validation)
    # A likelihood's greatest point reproduces the shares of the levels on what it was fitted to.
    assert law.mean(axis=0) == pytest.approx(share, abs=0.02)
