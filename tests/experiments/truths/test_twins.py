"""The truth outside the class whose nearest network is known."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_bounds.divergences import kullback_leibler
from conv4rec_experiments.fits.fitting import fit_many
from conv4rec_experiments.truths import Truth, small_truth, twins_truth

MADE = {twins: twins_truth(5, users=12, items=6, profile_items=3, twins=twins) for twins in (2, 3, 4)}
groups = st.sampled_from(sorted(MADE))


def common_law(truth: Truth) -> np.ndarray:
    """Law of the truth's own network."""
    return np.exp(truth.likelihood.log_law(truth.likelihood.pack(truth.weights)))


@given(twins=groups, seed=st.integers(0, 10_000), spread=st.floats(0.01, 5), nearby=st.booleans())
def test_pythagoras_for_every_network_of_the_class(twins: int, seed: int, spread: float, nearby: bool) -> None:
    truth = MADE[twins]
    theta = spread * np.random.default_rng(seed).standard_normal(truth.likelihood.size)
    if nearby:
        theta = truth.likelihood.pack(truth.weights) + theta / 100
    log_law = truth.likelihood.log_law(theta)
    across = kullback_leibler(common_law(truth), log_law, truth.pi)
    assert truth.distances(log_law).kl == pytest.approx(across + truth.comparator_excess(), rel=1e-9)


@given(seed=st.integers(0, 10_000), twins=groups, strength=st.floats(0.05, 0.95))
def test_own_laws_are_positive_and_average_to_the_common_one_in_every_group(
    seed: int, twins: int, strength: float
) -> None:
    truth = twins_truth(seed, users=12, items=4, profile_items=2, twins=twins, strength=strength)
    common = common_law(truth)
    assert (truth.law > 0).all()
    mean = truth.law.reshape(-1, twins, truth.cells).mean(axis=1)
    np.testing.assert_allclose(np.repeat(mean, twins, axis=0), common, atol=1e-12)
    assert np.abs(truth.law / common - 1).max() == pytest.approx(strength, rel=1e-9)
    members = truth.profiles.reshape(-1, twins, *truth.profiles.shape[1:])
    assert (members == members[:, :1]).all()
    assert not truth.realisable


def test_fits_to_the_truth_itself_reach_the_least_kl_and_none_falls_below() -> None:
    truth = MADE[2]
    counts = np.rint(10**12 * truth.pi[:, None] * truth.law).astype(np.int64)
    fits = fit_many(truth.likelihood, np.stack([counts] * 3), [truth.empirical_risk(counts)] * 3, [0, 1, 2])
    kl = [truth.distances(truth.likelihood.log_law(fit.theta)).kl for fit in fits]
    assert min(kl) == pytest.approx(truth.comparator_excess(), rel=1e-6)
    assert min(kl) >= truth.comparator_excess() - 1e-12


def test_under_a_mix_that_parts_the_twins_some_network_is_nearer() -> None:
    truth = MADE[2]
    mix = np.tile([0.9, 0.1], 6) / 6
    weighted = np.repeat((mix[:, None] * truth.law).reshape(6, 2, -1).sum(axis=1) * 6, 2, axis=0)
    assert truth.distances(np.log(weighted), mix).kl < truth.comparator_excess(mix) / 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: twins_truth(users=41), "41 users were to form groups of 2"),
        (lambda: twins_truth(twins=1), "groups of 1"),
        (lambda: twins_truth(strength=1.0), "strength"),
        (lambda: twins_truth(strength=0.0), "strength"),
        (lambda: twins_truth(entropy_share=0.0), "entropy share"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_a_realisable_truth_has_no_excess() -> None:
    truth = small_truth(0)
    assert truth.distances(truth.nearest).kl == pytest.approx(truth.comparator_excess(), abs=1e-15)
