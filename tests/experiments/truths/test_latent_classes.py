"""The truth of latent classes."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.truths import latent_classes_truth


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 6))
def test_the_law_is_a_mixture_of_as_many_laws_as_classes(seed: int, classes: int) -> None:
    truth = latent_classes_truth(seed, classes=classes)
    singular = np.linalg.svd(truth.law, compute_uv=False)
    assert (singular[classes:] < 1e-12 * singular[0]).all()
    assert singular[classes - 1] > 1e-12 * singular[0]
    assert (truth.law >= 0).all()
    assert truth.weights is None
    assert not truth.realisable


def test_concentrations_say_how_far_users_and_cells_differ() -> None:
    alike = latent_classes_truth(0, weight_concentration=1e5)
    assert np.abs(alike.law - alike.law.mean(axis=0)).max() < 2e-3
    pure = latent_classes_truth(0, weight_concentration=2e-3)
    assert len(np.unique(pure.law.round(9), axis=0)) <= 12
    flat = latent_classes_truth(0, law_concentration=1e5)
    assert np.abs(flat.law * flat.cells - 1).max() < 0.05


def test_profiles_come_from_the_users_own_law() -> None:
    truth = latent_classes_truth(0, users=4_000, profile_items=1, law_concentration=0.1)
    profiles = truth.profiles.reshape(truth.users, truth.cells)
    expected = (truth.law**2).sum(axis=1).mean()
    assert (profiles * truth.law).sum(axis=1).mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: latent_classes_truth(classes=0), "0 classes"),
        (lambda: latent_classes_truth(weight_concentration=0.0), "concentration of the weights"),
        (lambda: latent_classes_truth(law_concentration=float("inf")), "concentration of the laws"),
        (lambda: latent_classes_truth(profile_items=31), "profile of 31 items"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
