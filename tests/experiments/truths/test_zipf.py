"""The truth with Zipf popularity and ratings missing not at random."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.truths import latent_classes_truth, selection_bias, sharp_truth, zipf_popularity, zipf_truth

seeds = st.integers(0, 10_000)


@given(seed=seeds, exponent=st.floats(0, 3))
def test_without_selection_users_consume_by_popularity_and_there_is_no_bias(seed: int, exponent: float) -> None:
    truth = zipf_truth(seed, beta=0.0, exponent=exponent)
    popularity = zipf_popularity(30, exponent)
    consumed = truth.law.reshape(40, 30, 3).sum(axis=2)
    np.testing.assert_allclose(consumed, np.tile(popularity, (40, 1)), rtol=1e-9)
    np.testing.assert_allclose(popularity[0] / popularity, np.arange(1, 31) ** exponent)
    assert selection_bias(truth, popularity).bias == pytest.approx(0, abs=1e-12)


@given(seed=seeds, beta=st.floats(0.1, 5), slope=st.floats(0.1, 5))
def test_selection_by_liking_raises_the_mean_level_of_what_is_consumed(seed: int, beta: float, slope: float) -> None:
    popularity = zipf_popularity(30, 1.0)
    chosen = selection_bias(zipf_truth(seed, beta=beta, slope=slope), popularity)
    disliked = selection_bias(zipf_truth(seed, beta=-beta, slope=slope), popularity)
    assert chosen.bias > 0 > disliked.bias
    assert chosen.offered == pytest.approx(disliked.offered)
    assert 1 < chosen.offered < 3


@given(seed=seeds, beta=st.floats(-3, 3))
def test_selection_changes_what_is_consumed_but_not_how_it_is_rated(seed: int, beta: float) -> None:
    given_item = []
    for truth in (zipf_truth(seed, beta=beta), zipf_truth(seed, beta=0.0)):
        table = truth.law.reshape(40, 30, 3)
        given_item.append(table / table.sum(axis=2, keepdims=True))
    np.testing.assert_allclose(given_item[0], given_item[1], rtol=1e-8)


def test_levels_are_ordinal_in_a_utility_of_the_given_rank() -> None:
    truth = zipf_truth(2, levels=4, slope=1.5, beta=0.7, rank=2)
    table = truth.law.reshape(40, 30, 4)
    mass = table.sum(axis=2)
    at_most = table.cumsum(axis=2)[:, :, :3] / mass[:, :, None]
    utility = (np.log([1 / 3, 1, 3]) - np.log(at_most / (1 - at_most))) / 1.5
    np.testing.assert_allclose(utility, np.repeat(utility[:, :, :1], 3, axis=2), atol=1e-8)
    singular = np.linalg.svd(utility[:, :, 0], compute_uv=False)
    assert singular[1] > 0.1
    assert singular[2] < 1e-8
    tilt = np.log(mass / zipf_popularity(30, 1.0)) - 0.7 * utility[:, :, 0]
    np.testing.assert_allclose(tilt, np.repeat(tilt[:, :1], 30, axis=1), atol=1e-8)


def test_users_are_as_active_as_asked() -> None:
    assert zipf_truth(0, activity=1.0).pi[:3] / zipf_truth(0, activity=1.0).pi[0] == pytest.approx([1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(zipf_truth(0, activity=0.0).pi, 1 / 40)


def test_one_level_has_no_bias() -> None:
    found = selection_bias(zipf_truth(0, levels=1), zipf_popularity(30, 1.0))
    assert found.consumed == pytest.approx(1)
    assert found.offered == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zipf_truth(rank=0), "rank of the utilities"),
        (lambda: zipf_truth(exponent=-1.0), "exponent of the popularity"),
        (lambda: zipf_truth(activity=11.0), "users' activity"),
        (lambda: zipf_truth(beta=float("nan")), "strength beta"),
        (lambda: zipf_truth(slope="steep"), "slope of the levels"),
        (lambda: selection_bias(latent_classes_truth(0), np.full(29, 1 / 29)), "expected 30 shares"),
        (lambda: selection_bias(latent_classes_truth(0), np.full(30, 1.0)), "sum to 1"),
        (lambda: selection_bias(sharp_truth(0), np.full(30, 1 / 30)), "never consumes"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
