"""Training: what it minimises, what it draws, that it stops, resumes and repeats to the same bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from polars import Series

from conv4rec import training
from conv4rec.batches import Cells, CellsByUser, ProfileBatch
from conv4rec.draws import Draws
from conv4rec.errors import InputError
from conv4rec.interactions import Interactions
from conv4rec.loss import joint_loss
from conv4rec.memory import chosen_threads, users_per_batch
from conv4rec.network import Architecture, Network
from conv4rec.options import TrainingOptions, choose_device
from conv4rec.splits import Split
from conv4rec.splitting import split_by_coin, split_by_interaction, split_from_parts
from conv4rec.start import level_polynomials, start_weights
from conv4rec.training import train

Splitter = Callable[..., Split]


def tastes(seed: int = 0, users: int = 40, items: int = 12, n: int = 900) -> Interactions:
    """Two groups of users, each fond of its half of the items."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, n)
    own = rng.random(n) < 0.9
    item = 2 * rng.integers(0, items // 2, n) + np.where(own, user % 2, 1 - user % 2)
    level = np.where(own, 2, 0) + rng.integers(0, 2, n)
    _, first = np.unique(user * items + item, return_index=True)
    return Interactions(
        user[first],
        item[first],
        level[first],
        None,
        Series(range(users)),
        Series(range(items)),
        (1.0, 2.0, 3.0, 4.0),
    )


def fresh(data: Interactions, seed: int = 0, **sizes: Any) -> Network:
    size = Architecture(data.n_items, data.n_levels, **({"channels": 2, "code": 4} | sizes))
    network = Network(size)
    flat = np.zeros((data.n_items, data.n_levels))
    network.set_weights(start_weights(size, data.level_values, flat, np.random.default_rng(seed)))
    return network


def options(**changes: Any) -> TrainingOptions:
    plain = {"epochs": 4, "batch_users": 7, "learning_rate": 0.02, "device": "cpu", "redraw": False}
    return TrainingOptions(**(plain | changes))


def same(first: Network, second: Network) -> bool:
    return all(np.array_equal(value, second.weights()[name]) for name, value in first.weights().items())


class KilledError(Exception):
    """Stands for a power cut."""


@pytest.mark.parametrize("redraw", [False, True])
@pytest.mark.parametrize("stop", [1, 3])
def test_killed_training_resumes_to_the_same_bits(tmp_path: Path, redraw: bool, stop: int) -> None:
    data = tastes()
    split = split_by_coin(data, seed=1)
    chosen = options(redraw=redraw)
    whole = fresh(data)
    history = train(whole, split, chosen, progress=False)

    def kill(epoch: int) -> None:
        if epoch == stop:
            raise KilledError

    file = tmp_path / "deep" / "training.safetensors"
    with pytest.raises(KilledError):
        train(fresh(data), split, chosen, checkpoint=file, progress=False, on_epoch=kill)
    resumed = fresh(data)
    again = train(resumed, split, chosen, checkpoint=file, resume=True, progress=False)
    assert again == history
    assert same(resumed, whole)
    assert not same(whole, fresh(data))


def test_same_seed_same_bits_other_seed_other_bits_and_global_generators_untouched() -> None:
    data = tastes()
    split = split_by_coin(data, seed=1)
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    networks = [fresh(data) for _ in range(3)]
    for network, seed in zip(networks, (0, 0, 1), strict=True):
        train(network, split, options(seed=seed), progress=False)
    assert same(networks[0], networks[1])
    assert not same(networks[0], networks[2])
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("splitter", [split_by_coin, split_by_interaction])
@pytest.mark.parametrize("redraw", [False, True])
def test_training_learns_and_keeps_the_best_weights(splitter: Splitter, redraw: bool) -> None:
    data = tastes()
    split = splitter(data, seed=1)
    network = fresh(data)
    chosen = options(epochs=40, patience=3, weight_decay=0.0, bias_decay=0.0, profile_dropout=0.0, redraw=redraw)
    history = train(network, split, chosen, progress=False)
    losses = [record["validation_joint"] for record in history]
    assert min(losses) < losses[0] - 0.2
    best = int(np.argmin(losses))
    assert len(losses) - 1 in (best + 3, 40)
    # The restored weights give the best loss again: evaluate them as epoch 0 of a training of no epochs.
    (record,) = train(network, split, options(epochs=0, redraw=redraw), progress=False)
    assert record["validation_joint"] == losses[best]
    for record in history[1:]:
        for name in ("train", "validation"):
            parts = record[f"{name}_implicit"] + record[f"{name}_explicit"]
            assert record[f"{name}_joint"] == pytest.approx(parts, abs=1e-12)


def test_full_batch_step_follows_the_gradient_of_the_stated_objective() -> None:
    """One Adam step from moments 0 moves each weight by lr * g / (|g| + eps): compare with autograd's g."""
    data = tastes(n=200)
    split = split_by_interaction(data, seed=0)
    chosen = options(epochs=1, batch_users=1000, weight_decay=0.3, bias_decay=5.0, explicit_weight=2.0, balance=0.7)
    none = split.validation.subset([])
    split = split_from_parts(split.profile, split.scored, none, none)
    network, probe = fresh(data), fresh(data)
    train(network, split, chosen, progress=False)
    draws = Draws(split, chosen)
    profile, scored, _ = draws.batch(draws.users, np.random.default_rng(0))
    logits = probe(ProfileBatch.of(profile, len(draws.users), data.n_items, data.n_levels))
    row, item, level = (torch.from_numpy(axis) for axis in (scored.row, scored.item, scored.level))
    of_item = logits.logsumexp(2).log_softmax(1)[row, item]
    of_level = logits.log_softmax(2)[row, item, level]
    own = np.bincount(scored.row)[scored.row] ** -0.7
    weight = torch.from_numpy(own / own.mean())
    penalty = 0.15 * (probe.encode.square().sum() + probe.decode.square().sum())
    (penalty - (weight * of_item + 2 * of_level).mean()).backward()
    for name, before in probe.named_parameters():
        gradient = before.grad.numpy()
        moved = network.weights()[name] - before.detach().numpy()
        clear = abs(gradient) > 1e-4
        assert clear.any(), name
        assert moved[clear] == pytest.approx(-0.02 * np.sign(gradient[clear]), rel=1e-2), name


def test_batches_weigh_so_that_their_mean_is_the_mean_over_interactions(monkeypatch: pytest.MonkeyPatch) -> None:
    objectives = []
    monkeypatch.setattr(training._Trainer, "_step", lambda self, objective: objectives.append(objective.item()))
    data = tastes()
    history = train(fresh(data), split_by_coin(data, seed=1), options(epochs=1, balance=0.0), progress=False)
    assert len(objectives) > 3
    assert np.mean(objectives) == pytest.approx(history[1]["train_joint"], rel=1e-6)


@pytest.mark.parametrize("splitter", [split_by_coin, split_by_interaction])
def test_new_draws_weigh_the_loss_by_as_many_interactions_as_are_expected(splitter: Splitter) -> None:
    split = splitter(tastes(users=200, items=60, n=20_000), (0.5, 0.2, 0.2, 0.1), seed=1)
    assert len(split.scored) != len(split.profile)
    draws = Draws(split, options(profile_dropout=0.0, redraw=True))
    scored = [len(draws.batch(draws.users, np.random.default_rng(seed))[1]) for seed in range(20)]
    assert np.mean(scored) == pytest.approx(draws.expected, rel=0.02)


@pytest.mark.parametrize("redraw", [False, True])
def test_every_epoch_visits_every_user_and_draws_anew(redraw: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    batch = Draws.batch

    def spy(self: Draws, users: np.ndarray, rng: np.random.Generator) -> Any:
        result = batch(self, users, rng)
        drawn.append((users.tolist(), len(result[0])))
        return result

    monkeypatch.setattr(Draws, "batch", spy)
    data = tastes()
    split = split_by_coin(data, seed=1)
    train(fresh(data), split, options(epochs=3, batch_users=1000, redraw=redraw, profile_dropout=0.2), progress=False)
    assert len(drawn) == 3
    assert len({tuple(sorted(users)) for users, _ in drawn}) == 1
    assert len({tuple(users) for users, _ in drawn}) == 3
    assert len({size for _, size in drawn}) > 1


def test_no_epoch_reads_the_random_numbers_that_cut_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs are counted from 1, because a list that ends in 0 names the stream of the list without it."""
    seed, read = 3, []
    batch = Draws.batch

    def spy(self: Draws, users: np.ndarray, rng: np.random.Generator) -> Any:
        read.append(rng.bit_generator.seed_seq.generate_state(4).tolist())
        return batch(self, users, rng)

    monkeypatch.setattr(Draws, "batch", spy)
    data = tastes()
    split = split_by_coin(data, seed=seed)
    train(fresh(data), split, options(epochs=3, batch_users=1000, redraw=True, seed=seed), progress=False)
    cut = np.random.SeedSequence(seed).generate_state(4).tolist()
    assert np.random.SeedSequence([seed, 0]).generate_state(4).tolist() == cut
    assert len(read) == 3
    assert cut not in read


def test_bias_decay_pulls_the_cell_bias_to_its_start() -> None:
    data = tastes()
    split = split_by_coin(data, seed=1)
    far = []
    for decay in (0.0, 0.1, 100.0):
        network = fresh(data)
        start = network.weights()["cell_bias"]
        train(network, split, options(epochs=10, bias_decay=decay), progress=False)
        far.append(abs(network.weights()["cell_bias"] - start).max())
    assert far[0] > far[1] > far[2]


@pytest.mark.parametrize("splitter", [split_by_coin, split_by_interaction])
def test_new_draws_share_out_profile_and_scored_and_mask_every_item(splitter: Splitter) -> None:
    data = tastes(users=200, items=60, n=20_000)
    split = splitter(data, (0.6, 0.2, 0.1, 0.1), seed=1)
    draws = Draws(split, options(profile_dropout=0.0, redraw=True, profile_shares=(0.3, 0.9)))
    users = np.arange(200)
    profile, scored, mask = draws.batch(users, np.random.default_rng(5))
    together = [(*cell,) for part in (profile, scored) for cell in zip(part.row, part.item, part.level, strict=True)]
    pool = [
        (*cell,)
        for part in (split.profile, split.scored)
        for cell in zip(part.user, part.item, part.level, strict=True)
    ]
    assert sorted(together) == sorted(pool)
    assert mask is not None
    assert mask[profile.row, profile.item].all()
    assert not mask[scored.row, scored.item].any()
    assert len(profile) / len(pool) == pytest.approx(0.6, abs=0.02)
    # Shares of users are spread over the range, coins within a user are not.
    shares = np.bincount(profile.row, minlength=200) / draws.count
    assert shares.std() == pytest.approx(0.6 / np.sqrt(12), abs=0.03)
    if split.masked:
        assert mask.mean() == pytest.approx(0.6, abs=0.02)
    else:
        assert mask.sum() == len(profile)
    other, *_ = draws.batch(users, np.random.default_rng(6))
    assert not np.array_equal(profile.item, other.item)


def test_where_items_repeat_nothing_is_left_out_of_the_softmax() -> None:
    data = tastes()
    split = split_by_interaction(data.subset(np.tile(np.arange(len(data)), 2)), seed=1)
    *_, mask = Draws(split, options(redraw=True)).batch(np.arange(40), np.random.default_rng(0))
    assert mask is None


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_balance_goes_from_equal_interactions_to_equal_users(balance: float, seed: int) -> None:
    split = split_by_interaction(tastes(seed=seed, users=9, n=60), seed=1)
    draws = Draws(split, options(redraw=True))
    weight = draws.weights(balance)
    assert (weight * draws.count).sum() == pytest.approx(draws.count.sum())
    some = draws.count > 0
    together = weight[some] * draws.count[some] ** balance
    assert together == pytest.approx(together[0])


def test_validation_is_scored_as_the_model_is_used() -> None:
    """New draws without a mask: the encoder reads profile and scored, and their items leave the softmax."""
    data = tastes()
    split = split_by_interaction(data, seed=1)
    network = fresh(data)
    (record,) = train(network, split, options(epochs=0, redraw=True), progress=False)
    known = CellsByUser.of(split.profile, split.scored).batch(np.arange(40))
    with torch.no_grad():
        logits = network(ProfileBatch.of(known, 40, data.n_items, data.n_levels))
    logits[known.row, known.item] = -torch.inf
    part = split.validation
    logs = logits.flatten(1).log_softmax(1).numpy()[part.user, part.item * data.n_levels + part.level]
    assert record["validation_joint"] == pytest.approx(-logs.mean(), rel=1e-6)
    (other,) = train(network, split, options(epochs=0, redraw=False), progress=False)
    assert other["validation_joint"] > record["validation_joint"]


def test_the_step_size_falls_along_half_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    monkeypatch.setattr(training._Trainer, "_step", lambda self, _: sizes.append(self.optimizer.param_groups[0]["lr"]))
    data = tastes()
    split = split_by_coin(data, seed=1)
    train(fresh(data), split, options(epochs=3, patience=9), progress=False)
    steps = np.arange(len(sizes)) / len(sizes)
    assert sizes == pytest.approx(0.02 * (1 + np.cos(np.pi * steps)) / 2)
    sizes.clear()
    train(fresh(data), split, options(epochs=1, schedule="constant"), progress=False)
    assert set(sizes) == {0.02}


def test_dropout_thins_the_profile_alone() -> None:
    data = tastes(users=100, items=60, n=10_000)
    split = split_by_coin(data, seed=1)
    whole = Draws(split, options(profile_dropout=0.0, redraw=False)).batch(np.arange(100), np.random.default_rng(0))
    thin = Draws(split, options(profile_dropout=0.4, redraw=False)).batch(np.arange(100), np.random.default_rng(0))
    assert len(thin[0]) / len(whole[0]) == pytest.approx(0.6, abs=0.05)
    assert np.array_equal(thin[1].item, whole[1].item)
    assert np.array_equal(thin[2], split.item_mask(np.arange(100)))


def test_users_without_profile_or_scored_interactions_are_no_obstacle() -> None:
    data = tastes()
    profile, scored = data.subset(data.user < 10), data.subset((data.user >= 5) & (data.user < 15))
    none = data.subset([])
    for validation in (none, data.subset(data.user >= 30)):
        history = train(fresh(data), split_from_parts(profile, scored, validation, none), options(), progress=False)
        assert len(history) == 5
        assert np.isfinite(history[-1]["train_joint"])


def test_without_validation_the_last_weights_are_kept() -> None:
    data = tastes()
    none = data.subset([])
    split = split_from_parts(data.subset(np.arange(0, 50)), data.subset(np.arange(50, len(data))), none, none)
    network, three = fresh(data), fresh(data)
    train(network, split, options(epochs=4), progress=False)
    train(three, split, options(epochs=3), progress=False)
    assert not same(network, three)


def test_an_epoch_without_scored_interactions_has_no_training_loss() -> None:
    data = tastes(users=2, items=2, n=1)
    split = split_by_coin(data, (0.0, 1.0, 0.0, 0.0), seed=1)
    split = Split(data, split.part, "interaction")
    history = train(fresh(data), split, options(redraw=True, epochs=1, profile_shares=(0, 0)), progress=False)
    assert history[1]["train_joint"] is not None
    draws = Draws(split, options(profile_dropout=0.0, redraw=True))
    draws.shares = (1.0, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "Draws", lambda *_, **__: draws)
        history = train(fresh(data), split, options(redraw=True, epochs=1), progress=False)
    assert history[1]["train_joint"] is None


def test_a_validation_loss_that_is_not_finite_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, float("nan")])
    monkeypatch.setattr(
        training._Trainer, "_validation_losses", lambda self: dict.fromkeys(training.PARTS, next(losses))
    )
    with pytest.raises(InputError, match=r"validation loss became nan in epoch 1.*lower learning_rate"):
        train(fresh(tastes()), split_by_coin(tastes(), seed=1), options(), progress=False)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    data = tastes()
    network = fresh(data)
    with torch.no_grad():
        network.cell_bias[0, 0] = torch.nan
    with pytest.raises(InputError, match=r"training loss became nan in epoch 1.*lower learning_rate"):
        train(network, split_by_coin(data, (0.5, 0.5, 0.0, 0.0), seed=1), options(), progress=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -1},
        {"patience": 0},
        {"batch_users": 0},
        {"learning_rate": 0.0},
        {"learning_rate": np.nan},
        {"weight_decay": -1.0},
        {"bias_decay": np.inf},
        {"profile_dropout": 1.0},
        {"precision": "float16"},
        {"threads": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"seed": 1.5},
        {"seed": None},
        {"epochs": "many"},
        {"epochs": 2.5},
        {"patience": True},
        {"batch_users": 2.5},
        {"learning_rate": "fast"},
        {"threads": 10**9},
        {"threads": 1.5},
        {"redraw": "no"},
        {"schedule": "linear"},
        {"explicit_weight": 0.0},
        {"balance": 1.1},
        {"profile_shares": (0.5, 1.0)},
        {"profile_shares": (0.9, 0.5)},
        {"profile_shares": 0.5},
        {"profile_shares": (0.5, np.nan)},
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainingOptions(**wrong)


def test_numbers_of_numpy_become_plain() -> None:
    chosen = TrainingOptions(
        epochs=np.int64(3), seed=np.uint64(2**64 - 1), learning_rate=np.float32(0.5), threads=np.int8(1)
    )
    assert chosen == TrainingOptions(epochs=3, seed=2**64 - 1, learning_rate=0.5, threads=1)
    assert {type(value) for value in vars(chosen).values()} == {int, float, bool, str, tuple}


def test_a_device_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="cuda:2"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["abacus", "cuda:99x", "meta", None])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="device"):
        choose_device(name)


@given(st.integers(1, 10**6), st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**9), st.integers(0, 10**12))
def test_batches_fit_in_memory_or_are_refused(
    items: int, levels: int, channels: int, weights: int, available: int
) -> None:
    arguments = {"n_items": items, "n_levels": levels, "channels": channels, "itemsize": 4}
    arguments |= {"weights": weights, "available": available}
    one_user = items * 4 * (3 * levels + 3 * channels + 4)
    if available * 0.8 < weights * 4 * 10 + one_user:
        with pytest.raises(InputError, match=f"= {items * levels} logits"):
            users_per_batch(64, **arguments)
    else:
        users = users_per_batch(64, **arguments)
        assert 1 <= users <= 64
        assert users * one_user + weights * 4 * 10 <= available


@pytest.mark.parametrize(("levels", "channels"), [(1, 3), (1, 12), (8, 2)])
def test_a_training_step_takes_no_more_memory_than_was_reckoned(levels: int, channels: int) -> None:
    """Every tensor of a step whose size goes with users and items is counted at its birth and death."""
    items, users = 20_000, 16
    network = Network(Architecture(items, levels, channels=channels, code=1))
    cells = Cells(np.arange(users), np.arange(users), np.zeros(users, dtype=np.int64))
    row, item, level = (torch.from_numpy(axis) for axis in (cells.row, cells.item, cells.level))
    mask = torch.zeros(users, items, dtype=torch.bool)
    with torch.profiler.profile(profile_memory=True) as profiler:
        logits = network(ProfileBatch.of(cells, users, items, levels))
        torch.autograd.backward(joint_loss(logits, row, item, level, mask).joint.sum())
    held = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    own_gradients = 4 * sum(value.numel() for value in network.parameters())
    available = 10**9
    fitting = users_per_batch(10**9, n_items=items, n_levels=levels, channels=channels, itemsize=4, available=available)
    assert (peak - own_gradients) / users <= 0.8 * available / fitting
    assert peak / users > items * 4 * (levels + channels)


def test_threads_go_with_size_and_are_restored() -> None:
    before = torch.get_num_threads()
    with chosen_threads(100) as number:
        assert number == torch.get_num_threads() == 1
    with chosen_threads(100, 2) as number:
        assert number == torch.get_num_threads() == 2
    with chosen_threads(10**9) as number:
        assert number == before
        torch.set_num_threads(1)
    assert torch.get_num_threads() == before


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=8, unique=True), st.integers(1, 10))
def test_level_polynomials_are_orthonormal_over_the_levels(values: list[int], count: int) -> None:
    levels = np.array(sorted(values), dtype=float)
    basis = level_polynomials(levels, count)
    assert basis.shape == (len(levels), min(count, len(levels)))
    assert basis.T @ basis / len(levels) == pytest.approx(np.eye(basis.shape[1]), abs=1e-9)
    assert basis[:, 0] == pytest.approx(1.0)
    if basis.shape[1] > 1:
        assert (np.diff(basis[:, 1]) > 0).all()
