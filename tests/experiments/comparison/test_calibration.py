"""Reliability tables: what they add up to, when they are zero, and that miscalibration is seen."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_experiments.comparison.calibration import (
    ConsumptionReliability,
    equal_bins,
    levels_reliability,
    likeliest_reliability,
    mean_deviation,
)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80), st.integers(1, 15))
def test_bins_are_the_definition(pairs, bins) -> None:
    predicted, came = np.array([pair[0] for pair in pairs]), np.array([float(pair[1]) for pair in pairs])
    table = equal_bins(predicted[:, None], came[:, None], bins)
    assert table.mass.sum() == pytest.approx(1)
    assert np.ptp(table.mass * len(pairs)) <= 1 + 1e-9
    assert (np.diff(table.predicted) >= -1e-12).all()
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    assert table.error == pytest.approx(sum(abs((came[part] - predicted[part]).sum()) for part in parts) / len(pairs))
    assert [set(row) for row in table.rows()] == [{"mass", "predicted", "observed"}] * len(parts)


@given(st.lists(st.floats(0, 1), max_size=7))
def test_the_mean_deviation_is_that_of_all_outcomes(chances) -> None:
    found = 0.0
    for came in product((0, 1), repeat=len(chances)):
        weight = np.prod([chance if one else 1 - chance for one, chance in zip(came, chances, strict=True)])
        found += weight * abs(sum(came) - sum(chances))
    assert mean_deviation(np.array(chances)) == pytest.approx(found, abs=1e-12)


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(2, 3), st.integers(1, 4))
def test_the_noise_is_the_mean_error_over_all_levels_that_may_come(seed, interactions, levels, bins) -> None:
    law = np.random.default_rng(seed).dirichlet(np.ones(levels), size=interactions)
    for first, kept in ((law, slice(None)), (law.max(axis=1, keepdims=True), None)):
        errors = []
        for drawn in product(range(levels), repeat=interactions):
            weight = law[np.arange(interactions), drawn].prod()
            came = np.eye(levels)[list(drawn)]
            if kept is None:
                came = came[np.arange(interactions), law.argmax(axis=1)][:, None]
            table = equal_bins(first, came, bins)
            errors.append(weight * table.error)
        assert table.noise == pytest.approx(sum(errors), abs=1e-12)


def test_the_noise_of_many_is_what_draws_from_the_law_show() -> None:
    rng = np.random.default_rng(2)
    law = rng.dirichlet(np.ones(5), size=3_000)
    errors = []
    for _ in range(40):
        level = (rng.random((len(law), 1)) > law.cumsum(axis=1)).sum(axis=1)
        errors.append([levels_reliability(law, level).error, likeliest_reliability(law, level).error])
    mean, spread = np.mean(errors, axis=0), np.std(errors, axis=0) / np.sqrt(len(errors))
    noise = [levels_reliability(law, level).noise, likeliest_reliability(law, level).noise]
    assert (np.abs(mean - noise) < 4 * spread).all()
    sharp = law**3 / (law**3).sum(axis=1, keepdims=True)
    told = likeliest_reliability(sharp, level)
    assert told.error > 5 * told.noise


def test_levels_that_are_drawn_from_the_law_are_reliable_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    law = rng.dirichlet(np.ones(5), size=30_000)
    level = (rng.random((len(law), 1)) > law.cumsum(axis=1)).sum(axis=1)
    assert levels_reliability(law, level).error < 0.006
    assert likeliest_reliability(law, level).error < 0.015
    sharp = law**3 / (law**3).sum(axis=1, keepdims=True)
    assert levels_reliability(sharp, level).error > 0.06
    assert likeliest_reliability(sharp, level).error > 0.15


def test_consumption_in_batches_is_reliable_where_the_law_is_true() -> None:
    rng = np.random.default_rng(1)
    gathered, wrong = ConsumptionReliability(), ConsumptionReliability()
    for _ in range(40):
        law = rng.dirichlet(np.full(60, 0.3), size=50)
        consumed = np.zeros(law.shape, dtype=bool)
        consumed[np.arange(50), (rng.random((50, 1)) > law.cumsum(axis=1)).sum(axis=1)] = True
        gathered.add(law, consumed)
        wrong.add(np.full(law.shape, 1 / 60), consumed)
    table = gathered.table()
    assert len(table.mass) == 15
    assert table.error < 0.1
    # Each bin expects the same number of interactions, but for the width of the narrow ones.
    assert np.ptp(table.mass * table.predicted * table.scale) < 0.05
    assert (table.mass * table.predicted).sum() * table.scale == pytest.approx(1)
    # One bin that is right on average: reliable, and of no use.
    assert wrong.table().error < 1e-9
    assert table.noise is None
    sharp = ConsumptionReliability()
    sharp.add(np.array([[0.9, 0.1]]), np.array([[False, True]]))
    assert sharp.table().error == pytest.approx(1.8)


@given(st.integers(0, 30))
def test_the_order_and_the_size_of_batches_do_not_matter(seed) -> None:
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.ones(12), size=20)
    consumed = rng.random(law.shape) < 0.2
    whole, parts = ConsumptionReliability(), ConsumptionReliability()
    whole.add(law, consumed)
    for rows in (slice(10, 20), slice(0, 10)):
        parts.add(law[rows], consumed[rows])
    assert whole.table().error == pytest.approx(parts.table().error)
