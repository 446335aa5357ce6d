"""Models that ignore the user: probabilities, smoothing chosen on validation, the same mask as the network."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars import Series

from conv4rec import popularity
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.popularity import ITEM_GRID, LEVEL_GRID, Popularity, Uniform
from conv4rec.splits import Split
from conv4rec.splitting import split_by_coin, split_by_interaction, split_from_parts


def skewed(seed: int, n: int = 400) -> Interactions:
    rng = np.random.default_rng(seed)
    item = rng.zipf(1.5, n) % 12
    level = np.minimum(item % 3 + rng.integers(0, 2, n), 3)
    return Interactions(
        rng.integers(0, 20, n), item, level, None, Series(range(20)), Series(range(12)), (1.0, 2.0, 3.0, 4.0)
    )


@pytest.mark.parametrize("model", [Uniform.of(12, 4), Popularity.of_counts(np.ones((12, 4), dtype=int), 1.0, 1.0)])
def test_what_no_model_can_score_is_refused(model: Popularity | Uniform) -> None:
    split = split_by_coin(skewed(3), seed=1)
    with pytest.raises(InputError, match="masked"):
        model.log_probabilities(split.profile, split)
    with pytest.raises(InputError, match="no interactions"):
        model.log_probabilities(split.scored.subset([]), split)


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=5),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_probabilities_are_positive_and_sum_to_one(counts: list[list[int]], a: float, b: float) -> None:
    model = Popularity.of_counts(np.array(counts), a, b)
    assert np.isfinite(model.cell_logits).all()
    assert np.exp(model.cell_logits).sum() == pytest.approx(1.0, abs=1e-12)


def test_no_smoothing_in_the_limit_and_global_levels_with_much() -> None:
    counts = np.array([[6, 2], [1, 1]])
    exact = np.exp(Popularity.of_counts(counts, 1e-12, 1e-12).cell_logits)
    assert exact == pytest.approx(counts / counts.sum())
    flat = np.exp(Popularity.of_counts(counts, 1e12, 1e12).cell_logits)
    assert flat == pytest.approx(np.outer([0.5, 0.5], [8 / 12, 4 / 12]))


@pytest.mark.parametrize("splitter", [split_by_coin, split_by_interaction])
def test_fit_takes_the_best_pair_of_the_grid_under_the_mask(splitter: Callable[..., Split]) -> None:
    split = splitter(skewed(1), seed=2)
    counts = np.zeros((12, 4), dtype=np.int64)
    for part in (split.profile, split.scored):
        np.add.at(counts, (part.item, part.level), 1)
    losses = {
        (a, b): Popularity.of_counts(counts, a, b).log_probabilities(split.validation, split).losses()["joint"]
        for a in ITEM_GRID
        for b in LEVEL_GRID
    }
    best = Popularity.fit(split)
    assert losses[best.item_smoothing, best.level_smoothing] == pytest.approx(min(losses.values()), abs=1e-12)
    assert len({round(loss, 12) for loss in losses.values()}) == len(losses)


@pytest.mark.parametrize("splitter", [split_by_coin, split_by_interaction])
def test_smoothing_is_judged_by_the_loss_that_is_reported(splitter: Callable[..., Split]) -> None:
    split = splitter(skewed(6), seed=2)
    counts = np.random.default_rng(0).integers(0, 9, (12, 4))
    judged = popularity._implicit_losses(counts, split.validation, split)
    for smoothing, loss in zip(ITEM_GRID, judged, strict=True):
        model = Popularity.of_counts(counts, smoothing, 1.0)
        assert loss == pytest.approx(model.log_probabilities(split.validation, split).losses()["implicit"], rel=1e-12)


def test_fit_never_looks_at_held_out_interactions() -> None:
    split = split_by_interaction(skewed(3), seed=0)
    none = split.held_out.subset([])
    other = split_from_parts(split.profile, split.scored, split.validation, none)
    assert np.array_equal(Popularity.fit(split).cell_logits, Popularity.fit(other).cell_logits)
    without = split_from_parts(split.profile, split.scored, none, none)
    assert (Popularity.fit(without).item_smoothing, Popularity.fit(without).level_smoothing) == (1.0, 10.0)


def test_uniform_loss_is_the_log_of_the_unmasked_cells() -> None:
    split = split_by_coin(skewed(4), seed=5)
    found = Uniform.of(12, 4).log_probabilities(split.scored, split)
    assert -found.joint == pytest.approx(np.log(found.cells))
    assert found.losses()["explicit"] == pytest.approx(np.log(4))
    assert set(found.cells) == set(4 * (~split.item_mask(split.scored.user)).sum(axis=1))


@pytest.mark.parametrize("smoothing", [0.0, -1.0, np.nan, np.inf])
def test_smoothing_must_be_positive(smoothing: float) -> None:
    with pytest.raises(InputError, match="item_smoothing"):
        Popularity.of_counts(np.ones((2, 2), dtype=np.int64), smoothing, 1.0)
