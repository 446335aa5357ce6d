"""From logits to probabilities, high levels and hidden gems."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec.profiles import Prediction, high_levels, rank_gems, well_known


@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 4), st.sampled_from([0.0, 1.0, 300.0]))
def test_factors_multiply_to_the_softmax_over_all_cells(seed: int, items: int, levels: int, scale: float) -> None:
    logits = scale * torch.from_numpy(np.random.default_rng(seed).standard_normal((3, items, levels)))
    prediction = Prediction.of(logits)
    cells = logits.flatten(1).softmax(dim=1).reshape(logits.shape).numpy()
    assert prediction.cells() == pytest.approx(cells, abs=1e-14)
    assert prediction.consume.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert prediction.level.sum(axis=2) == pytest.approx(1.0, abs=1e-12)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=8, unique=True).map(sorted))
def test_default_high_levels_are_the_upper_ones(values: list[float]) -> None:
    levels = np.array(values)
    high = high_levels(levels)
    assert high[-1]
    assert not high[0]
    assert np.array_equal(high, levels > levels[0] + 0.6 * (levels[-1] - levels[0]))


def test_high_levels_need_levels_on_both_sides() -> None:
    assert high_levels(np.array([1.0, 2.0, 3.0]), 1.5).tolist() == [False, True, True]
    for values, threshold in (([1.0], None), ([1.0, 2.0], 2.0), ([1.0, 2.0], 0.5), ([1.0, 2.0], np.inf)):
        with pytest.raises(InputError, match="both sides"):
            high_levels(np.array(values), threshold)
    for unfit in (np.nan, "high"):
        with pytest.raises(InputError, match="high is"):
            high_levels(np.array([1.0, 2.0]), unfit)


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 5), st.floats(0.05, 1.0))
def test_gems_are_the_best_of_the_unlikely(seed: int, count: int, k: int, unlikely: float) -> None:
    rng = np.random.default_rng(seed)
    consume, high = rng.dirichlet(np.ones(15)), rng.random(15)
    candidates = np.sort(rng.permutation(15)[:count])
    gems = rank_gems(consume, high, candidates, k, unlikely)
    pool = sorted(candidates, key=lambda item: consume[item])[: int(np.ceil(unlikely * count))]
    assert gems.tolist() == sorted(pool, key=lambda item: -high[item])[:k]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(0, 50))
def test_well_known_items_reach_the_floor_or_nothing_is_answered(counts: list[int], least: int) -> None:
    if least > max(counts):
        with pytest.raises(
            InputError, match=rf"least_interactions is {least}, and no item has more than {max(counts)}"
        ):
            well_known(np.array(counts), least)
    else:
        assert well_known(np.array(counts), least).tolist() == [count >= least for count in counts]


def test_a_floor_is_a_whole_number() -> None:
    for unfit in (-1, 2.5, "3", None, True, np.nan):
        with pytest.raises(InputError, match="least_interactions is"):
            well_known(np.array([3]), unfit)


def test_gems_of_nothing_are_nothing_and_wrong_arguments_are_refused() -> None:
    values = np.ones(3)
    assert len(rank_gems(values, values, np.array([], dtype=np.int64), 3)) == 0
    for k, unlikely, name in (
        *((k, 0.5, "k is") for k in (0, 2.5, "3", None, True)),
        *((1, share, "unlikely is") for share in (0.0, 1.5, np.nan, "a")),
    ):
        with pytest.raises(InputError, match=name):
            rank_gems(values, values, np.arange(3), k, unlikely)
