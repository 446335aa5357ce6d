"""The network against a dense oracle that multiplies whole n x R matrices, and its work against what is observed."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from conv4rec.batches import Cells, CellsByUser, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.network import Architecture, Network

FUNCTIONS = {"identity": lambda x: x, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0), "asinh": np.arcsinh}


def dense_forward(size: Architecture, w: dict[str, Any], X: np.ndarray) -> np.ndarray:
    """Logits of profiles X (user, item, level), by the formulas, one user and one channel at a time."""
    names = (size.lift_activation, size.code_activation, size.decode_activation)
    phi, psi, chi = (FUNCTIONS[name] for name in names)
    Z = np.empty(X.shape)
    for i, x in enumerate(X):
        norm = np.linalg.norm(x)
        U = phi((x / norm if norm else x) @ w["lift"])
        Z[i] = w["cell_bias"]
        for c in range(size.channels):
            E, D = (w[name][0 if size.shared_maps else c] for name in ("encode", "decode"))
            H = psi(E.T @ U[:, c] + w["code_bias"][c])
            for layer in range(len(size.hidden)):
                H = psi(w[f"hidden.{layer}.weight"] @ H + w[f"hidden.{layer}.bias"])
            Z[i] += np.outer(chi(D @ H), w["project"][c])
            if size.level_offset:
                Z[i] += H @ w["offset"][c]
    return Z


def batch_of(X: np.ndarray) -> ProfileBatch:
    return ProfileBatch.of(Cells(*np.nonzero(X)), *X.shape, dtype=torch.float64)


def random_weights(size: Architecture, rng: np.random.Generator, scale: float = 1.0) -> dict[str, np.ndarray]:
    return {name: scale * rng.standard_normal(shape) for name, shape in size.shapes().items()}


activations = st.sampled_from(list(FUNCTIONS))
architectures = st.builds(
    Architecture,
    n_items=st.integers(1, 6),
    n_levels=st.integers(1, 4),
    channels=st.integers(1, 4),
    code=st.integers(1, 5),
    shared_maps=st.booleans(),
    level_offset=st.booleans(),
    lift_activation=activations,
    code_activation=activations,
    decode_activation=activations,
    hidden=st.lists(st.integers(1, 3), max_size=2).map(tuple),
)


@given(
    architectures,
    st.integers(1, 5),
    st.sampled_from([0.0, 0.2, 0.6, 1.0]),
    st.sampled_from([0.0, 1.0, 1e6]),
    st.integers(0, 2**32),
)
def test_network_is_the_dense_map(size: Architecture, users: int, density: float, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = (rng.random((users, size.n_items, size.n_levels)) < density).astype(float)
    X[0] = 0.0  # an empty profile among others
    weights = random_weights(size, rng, scale)
    network = Network(size, dtype=torch.float64)
    network.set_weights(weights)
    expected = dense_forward(size, weights, X)
    found = network(batch_of(X)).detach().numpy()
    assert found.shape == (users, size.n_items, size.n_levels)
    # Rounding grows with the size of the terms that are added, not of their sum.
    # An activation after decode makes no error greater, but its value may be far below the error of its argument.
    linear = replace(size, decode_activation="identity")
    magnitude = dense_forward(linear, {k: abs(v) for k, v in weights.items()}, X) if scale else 1.0
    assert (abs(found - expected) <= 1e-12 * np.maximum(1.0, abs(magnitude))).all()


@given(architectures, st.integers(0, 2**32))
def test_repeats_in_a_profile_count_once_and_order_does_not_matter(size: Architecture, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.random((3, size.n_items, size.n_levels)) < 0.5
    row, item, level = np.nonzero(X)
    again = rng.permutation(np.concatenate([np.arange(len(row))] * 2))
    once = ProfileBatch.of(Cells(row, item, level), *X.shape)
    twice = ProfileBatch.of(Cells(row[again], item[again], level[again]), *X.shape)
    for name in ("level", "scale", "cell_start", "item", "pair_start"):
        assert torch.equal(getattr(once, name), getattr(twice, name))


def test_gradients_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    X = rng.random((3, 4, 3)) < 0.4
    X[1] = False
    for shared, hidden in itertools.product([False, True], [(), (2,)]):
        size = Architecture(4, 3, channels=2, code=3, shared_maps=shared, lift_activation="tanh", hidden=hidden)
        network = Network(size, dtype=torch.float64)
        network.set_weights(random_weights(size, rng))
        direction = torch.from_numpy(rng.standard_normal(X.shape))

        def value(network: Network = network, direction: torch.Tensor = direction) -> torch.Tensor:
            return (network(batch_of(X)) * direction).sum()

        network.zero_grad()
        value().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None
            step = torch.from_numpy(rng.standard_normal(tuple(parameter.shape)))
            slope = float((parameter.grad * step).sum())
            with torch.no_grad():
                parameter += 1e-6 * step
                above = value().item()
                parameter -= 2e-6 * step
                below = value().item()
                parameter += 1e-6 * step
            assert (above - below) / 2e-6 == pytest.approx(slope, rel=1e-6, abs=1e-7), name


def test_encoder_holds_only_what_was_observed() -> None:
    """A profile of three cells among 10^6 costs tensors of three entries, before and after encoding."""
    size = Architecture(n_items=10**5, n_levels=10, channels=1, code=1)
    cells = Cells(np.zeros(3, dtype=np.int64), np.array([5, 10**4, 10**5 - 1]), np.array([0, 9, 3]))
    batch = ProfileBatch.of(cells, 1, size.n_items, size.n_levels)
    assert max(getattr(batch, name).numel() for name in ("level", "scale", "cell_start", "item", "pair_start")) == 3
    network = Network(size)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    tallest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal tallest
            result = function(*args, **(kwargs or {}))
            for value in result if isinstance(result, tuple) else (result,):
                # Views of the weights themselves are no work.
                if isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() not in weights:
                    tallest = max(tallest, value.numel())
            return result

    with torch.no_grad(), Watch():
        assert network.codes(batch).shape == (1, 1, 1)
    assert 0 < tallest <= 30


def test_cells_by_user_gives_each_user_its_cells() -> None:
    rng = np.random.default_rng(1)
    user, item, level = rng.integers(0, 5, 40), rng.integers(0, 9, 40), rng.integers(0, 3, 40)
    by_user = CellsByUser(user, item, level, n_users=7)
    asked = np.array([6, 3, 0, 3])
    batch = by_user.batch(asked)
    for row, code in enumerate(asked):
        assert batch.item[batch.row == row].tolist() == item[user == code].tolist()
        assert batch.level[batch.row == row].tolist() == level[user == code].tolist()


def test_weights_go_out_and_in_unchanged_and_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    size = Architecture(3, 2, channels=2, code=2, hidden=(4, 3))
    network = Network(size)
    assert torch.equal(before, torch.random.get_rng_state())
    assert set(network.weights()) == set(size.shapes()) == set(dict(network.named_parameters()))
    weights = {k: v.astype(np.float32) for k, v in random_weights(size, np.random.default_rng(2)).items()}
    network.set_weights(weights)
    for name, value in network.weights().items():
        assert value.shape == size.shapes()[name]
        assert value.dtype == np.float32
        assert np.array_equal(value, weights[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("offset"), "offset"),
        (lambda w: w.update(lift=np.zeros((1, 1))), "shape"),
        (lambda w: w.update(lift=np.full((2, 4), np.nan)), "not finite"),
    ],
)
def test_wrong_weights_are_refused(change: Any, message: str) -> None:
    network = Network(Architecture(3, 2, code=2))
    weights = network.weights()
    change(weights)
    with pytest.raises(InputError, match=message):
        network.set_weights(weights)


@pytest.mark.parametrize(
    "arguments",
    [{"code": 0}, {"channels": 1.5}, {"hidden": (3, -1)}, {"code": True}, {"lift_activation": "sigmoid"}],
)
def test_wrong_sizes_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(arguments))):
        Architecture(3, 2, **arguments)
