"""The smoothed rival: its leave-one-out likelihood against leaving one out, its limits, and its fairness."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conv4rec.errors import InputError
from conv4rec_experiments.fits.floor import histogram_law
from conv4rec_experiments.studies import estimators
from conv4rec_experiments.studies.estimators import BACKGROUND_WEIGHTS, COARSE, smoothed_law, smoothing
from conv4rec_experiments.truths import latent_classes_truth, small_truth, zipf_truth
from conv4rec_experiments.truths.truth import Truth

tables = arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.integers(0, 6)).filter(np.any)


def left_out(counts: np.ndarray, alpha: float, weight: float) -> tuple[float, float]:
    """Log-likelihood of every interaction under what the others say: of the background, and of the shares."""
    background, shares = 0.0, 0.0
    for user, cell in zip(*counts.nonzero(), strict=True):
        others = counts.copy()
        others[user, cell] -= 1
        popularity = others.sum(axis=0) + alpha
        guess = popularity[cell] / popularity.sum() if popularity.sum() > 0 else np.nan
        mine = others[user]
        share = guess if np.isinf(weight) else (mine[cell] + weight * guess) / (mine.sum() + weight)
        with np.errstate(divide="ignore"):
            background += counts[user, cell] * np.log(guess)
            shares += counts[user, cell] * np.log(share)
    return background, shares


@settings(max_examples=30)
@given(tables)
def test_both_weights_maximise_the_leave_one_out_likelihood(counts: np.ndarray) -> None:
    found = smoothing(counts)
    reached_background, reached = left_out(counts, found.background_weight, found.weight)
    for alpha in BACKGROUND_WEIGHTS[::6]:
        other = left_out(counts, alpha, np.inf)[0]
        assert np.isnan(other) or reached_background >= other - 1e-9 * abs(other)
    for weight in COARSE[::2]:
        other = left_out(counts, found.background_weight, weight)[1]
        assert reached >= other - 1e-9 * abs(other)


@given(tables)
def test_the_law_is_a_law_that_ignores_the_order_of_users_and_cells(counts: np.ndarray) -> None:
    law = smoothed_law(counts)
    assert law.sum(axis=1) == pytest.approx(np.ones(len(counts)))
    assert ((law > 0) | (counts == 0)).all()
    assert np.allclose(smoothed_law(counts[::-1]), law[::-1])
    assert np.allclose(smoothed_law(counts[:, ::-1]), law[:, ::-1])


@given(tables)
def test_shares_lie_between_the_users_own_and_the_popularity(counts: np.ndarray) -> None:
    law, own, background = smoothed_law(counts), histogram_law(counts), smoothing(counts).background
    with_data = counts.sum(axis=1) > 0
    least, greatest = np.minimum(own, background), np.maximum(own, background)
    assert (law >= least - 1e-12)[with_data].all()
    assert (law <= greatest + 1e-12)[with_data].all()
    assert np.allclose(law[~with_data], background)


def test_users_who_are_alike_are_pooled_and_users_who_differ_are_not() -> None:
    rng = np.random.default_rng(0)
    common = rng.dirichlet(np.ones(30))
    alike = rng.multinomial(200, common, size=40)
    far, near = (np.abs(law(alike) - common).sum(axis=1) for law in (histogram_law, smoothed_law))
    assert near.max() < 0.5 * far.min()
    assert smoothing(alike).weight > 10_000
    own = rng.dirichlet(np.full(30, 0.1), size=40)
    differing = rng.multinomial(200, own)
    assert 0.5 < smoothing(differing).weight < 20


def mean_distance(truth: Truth, law: Callable[[np.ndarray], np.ndarray], size: int) -> float:
    found = []
    for seed in range(10):
        counts = truth.sample(size, np.random.default_rng(seed))
        mix = counts.sum(axis=1) / counts.sum()
        found.append(truth.tv(law(counts), mix))
    return float(np.mean(found))


@pytest.mark.parametrize(
    "truth", [small_truth(0), latent_classes_truth(0), zipf_truth(0)], ids=lambda truth: truth.name
)
def test_it_is_a_fair_rival(truth: Truth) -> None:
    cells = truth.law.size
    few, many = cells // 2, 1_000 * cells
    popularity_alone = truth.tv(np.tile(truth.pi @ truth.law, (truth.users, 1)))
    assert mean_distance(truth, smoothed_law, few) < 0.85 * mean_distance(truth, histogram_law, few)
    assert mean_distance(truth, smoothed_law, 20 * cells) < popularity_alone
    assert mean_distance(truth, smoothed_law, many) < 1.01 * mean_distance(truth, histogram_law, many)


def test_a_sample_of_one_says_nothing_against_the_uniform_law() -> None:
    counts = np.array([[0, 1, 0], [0, 0, 0]])
    assert np.allclose(smoothed_law(counts), 1 / 3, atol=1e-4)


def test_users_are_walked_through_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(1).poisson(1.5, size=(9, 7))
    whole = smoothed_law(counts)
    monkeypatch.setattr(estimators, "CELLS_AT_ONCE", 14)
    assert np.array_equal(smoothed_law(counts), whole)


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros((2, 3), dtype=np.int64),
        np.empty((0, 3), dtype=np.int64),
        np.ones(3, dtype=np.int64),
        -np.eye(2, dtype=int),
    ],
)
def test_tables_that_are_none_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(InputError, match="draw a sample"):
        smoothing(counts)
    with pytest.raises(InputError, match="draw a sample"):
        smoothed_law(counts.astype(float))
