"""The truth with cells that are nearly certain and cells that are empty."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.truths import sharp_truth


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), sure=st.floats(0.05, 0.6), threshold=st.floats(1e-6, 0.1))
def test_enough_users_are_nearly_certain_and_small_cells_are_empty(seed: int, sure: float, threshold: float) -> None:
    truth = sharp_truth(seed, sure_users=sure, threshold=threshold)
    assert (truth.law.max(axis=1) > 0.99).mean() >= sure
    assert (truth.law == 0).any()
    assert (truth.law.max(axis=1) > 0).all()
    share = truth.law / truth.law.max(axis=1, keepdims=True)
    assert (share[share > 0] >= threshold * (1 - 1e-9)).all()
    assert not truth.realisable
    assert truth.weights is None


def test_every_measure_copes_with_empty_cells() -> None:
    truth = sharp_truth(0)
    counts = truth.sample(10**9, np.random.default_rng(0))
    assert np.isfinite(truth.entropy)
    assert np.isfinite(truth.empirical_risk(counts))
    uniform = np.full(truth.law.shape, -np.log(truth.cells))
    found = truth.distances(uniform)
    assert found.kl == pytest.approx(np.log(truth.cells) - truth.entropy)
    assert truth.risk(uniform) == pytest.approx(np.log(truth.cells))
    assert 0 < found.tv < 1
    shares = counts / counts.sum(axis=1, keepdims=True)
    seen = np.log(shares, where=shares > 0, out=np.full(shares.shape, -np.inf))
    assert truth.distances(seen).tv < 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sharp_truth(sure_users=1.0), "share of sure users"),
        (lambda: sharp_truth(threshold=0.0), "threshold"),
        (lambda: sharp_truth(users=-1), "'users' was -1"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
