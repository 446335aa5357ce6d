"""Realisable truths: random teachers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec.batches import Cells, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.network import Architecture, Network
from conv4rec_experiments.truths import reference_truth, small_truth

SMALL = small_truth(0)


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_reference_truth_is_as_described(seed: int) -> None:
    truth = reference_truth(seed)
    assert (truth.users, truth.items, truth.levels) == (40, 30, 3)
    assert truth.entropy == pytest.approx(0.82 * np.log(90), abs=1e-9)
    assert (truth.profiles.sum(axis=2).max(axis=1) == 1).all()
    assert (truth.profiles.sum(axis=(1, 2)) == 8).all()
    assert (truth.law > 0).all()
    np.testing.assert_allclose(truth.law.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(truth.pi, 1 / 40)


@settings(max_examples=20)
@given(
    users=st.integers(1, 6),
    items=st.integers(2, 6),
    levels=st.integers(1, 5),
    share=st.floats(0.2, 0.95),
    data=st.data(),
)
def test_any_sizes_and_any_entropy(users: int, items: int, levels: int, share: float, data: st.DataObject) -> None:
    held = data.draw(st.integers(1, items))
    truth = small_truth(1, users=users, items=items, levels=levels, profile_items=held, entropy_share=share)
    assert truth.entropy == pytest.approx(share * np.log(items * levels), abs=1e-9)
    assert (truth.profiles.sum(axis=(1, 2)) == held).all()
    assert truth.realisable


def test_same_seed_same_bits_other_seed_other_truth() -> None:
    again = small_truth(0)
    assert np.array_equal(SMALL.law, again.law)
    assert np.array_equal(SMALL.profiles, again.profiles)
    assert not np.allclose(SMALL.law, small_truth(1).law)


def test_law_is_the_softmax_of_the_networks_logits() -> None:
    architecture = Architecture(
        n_items=10,
        n_levels=3,
        channels=2,
        code=2,
        level_offset=False,
        code_activation="tanh",
        decode_activation="identity",
        shared_maps=False,
    )
    network = Network(architecture, dtype=torch.float64)
    network.set_weights(dict(SMALL.weights))
    profiles = ProfileBatch.of(Cells(*np.nonzero(SMALL.profiles)), 12, 10, 3, dtype=torch.float64)
    with torch.no_grad():
        law = torch.softmax(network(profiles).flatten(1), dim=1).numpy()
    np.testing.assert_allclose(SMALL.law, law, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: reference_truth(profile_items=31), "profile of 31 items"),
        (lambda: reference_truth(profile_items=0), "'profile_items' was 0"),
        (lambda: reference_truth(users=0), "'users' was 0"),
        (lambda: reference_truth(items=2.5), "'items' was 2.5"),
        (lambda: reference_truth(levels=True), "'levels' was True"),
        (lambda: reference_truth(items=1, levels=1, profile_items=1), "at least two cells"),
        (lambda: reference_truth(users=10**5, items=10**4), "memory"),
        (lambda: reference_truth(entropy_share=1.0), "entropy share"),
        (lambda: reference_truth(entropy_share=float("nan")), "entropy share"),
        (lambda: reference_truth(-1), "seed was -1"),
    ],
)
def test_what_cannot_be_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
