"""Files: what is saved comes back whole; what is damaged, unknown or foreign is refused in one sentence."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conv4rec import Conv4Rec, InputError, Interactions, Split, split_by_coin, split_by_time, storage
from conv4rec.checkpoint import TrainingState, load_state, save_state

FILES = ["model.json", "model.safetensors", "users.parquet", "items.parquet"]


def events(n: int = 300) -> Interactions:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 12, n) * 10**12 - 5,
            "item": [f"名 {i}" for i in rng.integers(0, 9, n)],
            "event": rng.choice(["view", "cart", "buy"], n),
            "time": rng.random(n),
        }
    )
    return Interactions.from_frame(frame, levels=["view", "cart", "buy"])


def fitted(split_by_time_too: bool = False) -> Conv4Rec:
    data = events()
    model = Conv4Rec(channels=2, code=3, epochs=2, hidden=(4,), seed=5, learning_rate=0.02, device="cpu")
    return model.fit(data, split_by_time(data) if split_by_time_too else None, progress=False)


@pytest.fixture(scope="module")
def model() -> Conv4Rec:
    return fitted()


@pytest.fixture
def saved(model: Conv4Rec, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("by_time", [False, True])
def test_everything_works_after_loading(tmp_path: Path, by_time: bool) -> None:
    model = fitted(by_time)
    model.save(tmp_path)
    loaded = Conv4Rec.load(tmp_path, device="cpu")
    users, items = model.interactions.user_ids.to_list(), model.interactions.item_ids.to_list()
    assert loaded.interactions.frame().equals(model.interactions.frame())
    assert loaded.interactions.frame().schema == model.interactions.frame().schema
    assert loaded.interactions.levels == ("view", "cart", "buy")
    assert np.array_equal(loaded.split.part, model.split.part)
    assert loaded.split.statement == model.split.statement
    assert np.array_equal(loaded.split.item_mask([0, 3]), model.split.item_mask([0, 3]))
    assert loaded.history.equals(model.history)
    assert loaded.options == model.options
    assert loaded.architecture == model.architecture
    assert loaded.trained_with == model.trained_with
    for name, value in model.weights().items():
        assert np.array_equal(loaded.weights()[name], value)
    assert np.array_equal(loaded.predict_proba(users), model.predict_proba(users))
    assert np.array_equal(loaded.levels(users[:9], items), model.levels(users[:9], items))
    assert np.array_equal(loaded.expected_level(users[:9], items), model.expected_level(users[:9], items))
    assert loaded.recommend(users, 3).equals(model.recommend(users, 3))
    assert loaded.profile(users[0], profile="history").equals(model.profile(users[0], profile="history"))
    assert loaded.hidden_gems(users[0]).equals(model.hidden_gems(users[0]))
    held_out = loaded.log_probabilities(loaded.split.held_out)
    assert np.array_equal(held_out.joint, model.log_probabilities(model.split.held_out).joint)
    again = tmp_path / "again"
    loaded.save(again)
    for file in FILES:
        if file != "model.json":
            assert (again / file).read_bytes() == (tmp_path / file).read_bytes()


def test_a_directory_holds_plain_files_and_says_what_they_are(saved: Path) -> None:
    assert sorted(file.name for file in saved.iterdir()) == sorted(FILES)
    description = json.loads((saved / "model.json").read_text(encoding="utf-8"))
    assert (description["format"], description["version"]) == ("conv4rec model", 3)
    assert description["trained_with"] == "redrawn profiles"
    assert description["split"]["protocol"] == "coin"
    assert description["architecture"]["hidden"] == [4]


def test_loading_never_unpickles(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("a pickle was executed",))

    for file in FILES[1:]:
        (saved / file).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="damaged"):
        Conv4Rec.load(saved)


@pytest.mark.parametrize("file", FILES)
def test_missing_cut_and_changed_files_are_refused(saved: Path, file: str) -> None:
    path = saved / file
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            Conv4Rec.load(saved)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        Conv4Rec.load(saved)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("version", 2, "version 2"), ("format", "other", "other"), ("architecture", {"n_items": 9}, "damaged")],
)
def test_unknown_descriptions_are_refused(saved: Path, key: str, value: object, message: str) -> None:
    path = saved / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {key: value}), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Conv4Rec.load(saved)


def test_a_changed_description_is_refused(saved: Path) -> None:
    path = saved / "model.json"
    text = path.read_text(encoding="utf-8")
    for old, new in (("0.0005", "0.0009"), ("view", "vyew"), ('"shared_maps": true', '"shared_maps": false')):
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=r"model\.json is damaged"):
            Conv4Rec.load(saved)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="damaged"):
        Conv4Rec.load(saved)


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("architecture", {"code": 10**12}),
        ("architecture", {"n_levels": 4}),
        ("architecture", {"hidden": 5}),
        ("split", {"coin": -0.5}),
        ("split", {"seed": -1}),
        ("split", {"seed": 10**30}),
        ("training", {"threads": 10**9}),
        ("levels", ["a", "b", "c", "d"]),
        ("levels", 5),
    ],
)
def test_impossible_descriptions_are_refused_before_memory_is_taken(saved: Path, group: str, changes: Any) -> None:
    path = saved / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    del description["digest"]
    description[group] = description[group] | changes if isinstance(changes, dict) else changes
    path.write_text(json.dumps(description | {"digest": storage._digest(description)}), encoding="utf-8")
    with pytest.raises(InputError):
        Conv4Rec.load(saved)


def test_numbers_of_numpy_can_be_saved(tmp_path: Path) -> None:
    data = events()
    split = split_by_coin(data, seed=np.int64(3))
    model = Conv4Rec(channels=1, code=2, epochs=np.int64(1), learning_rate=np.float32(0.5), seed=np.int64(4))
    model.fit(data, split, progress=False).save(tmp_path)
    assert Conv4Rec.load(tmp_path).split.seed == 3


def test_places_that_cannot_be_written_are_refused(model: Conv4Rec, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("here first")
    with pytest.raises(InputError, match="cannot be written"):
        model.save(file)
    with pytest.raises(InputError, match="cannot be written"):
        Conv4Rec(channels=1, code=2, epochs=1).fit(events(), checkpoint=file, progress=False)


def test_saving_again_replaces_the_model(saved: Path) -> None:
    other = fitted(split_by_time_too=True)
    other.save(saved)
    assert Conv4Rec.load(saved, device="cpu").split.protocol == "time"


@given(st.integers(0, 2**32), st.lists(st.floats(allow_nan=False), max_size=3))
def test_training_state_comes_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, losses: list[float]
) -> None:
    rng = np.random.default_rng(seed)

    def tensors() -> dict[str, torch.Tensor]:
        return {f"a/{i}": torch.from_numpy(rng.standard_normal((2, i))) for i in range(3)}

    history: list[dict[str, float | None]] = [{"epoch": 1, "train_joint": loss, "x": None} for loss in losses]
    state = TrainingState("mark", 3, 2, history, tensors(), tensors(), tensors())
    path = tmp_path_factory.mktemp("state") / "training.safetensors"
    save_state(path, replace(state, epoch=1))
    save_state(path, state)
    found = load_state(path, "mark")
    assert (found.epoch, found.best_epoch, found.history) == (3, 2, history)
    for group in ("weights", "best", "moments"):
        for name, value in getattr(state, group).items():
            assert torch.equal(getattr(found, group)[name], value)
    assert [file.name for file in path.parent.iterdir()] == ["training.safetensors"]


def test_checkpoints_of_other_trainings_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    data = events()
    arguments = {"channels": 1, "code": 2, "epochs": 1, "device": "cpu", "schedule": "constant"}
    Conv4Rec(**arguments).fit(data, checkpoint=tmp_path, progress=False)
    more = Conv4Rec(**(arguments | {"epochs": 3})).fit(data, checkpoint=tmp_path, resume=True, progress=False)
    assert more.history["epoch"].to_list() == [0, 1, 2, 3]
    for changed in ({"code": 3}, {"learning_rate": 0.5}, {"seed": 1}, {"redraw": False}, {"schedule": "cosine"}):
        with pytest.raises(InputError, match="belongs to"):
            Conv4Rec(**(arguments | changed)).fit(data, checkpoint=tmp_path, resume=True, progress=False)
    with pytest.raises(InputError, match="belongs to"):
        Conv4Rec(**arguments).fit(data, split_by_coin(data, seed=9), checkpoint=tmp_path, resume=True, progress=False)
    with pytest.raises(InputError, match="done 3 epochs"):
        Conv4Rec(**arguments).fit(data, checkpoint=tmp_path, resume=True, progress=False)
    file = tmp_path / "training.safetensors"
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for turn in range(100):
        content = bytearray(whole[: rng.integers(len(whole))] if turn % 4 == 0 else whole)
        if turn % 4:
            content[rng.integers(len(content))] ^= int(rng.integers(1, 256))
        file.write_bytes(content)
        with pytest.raises(InputError, match="delete it"):
            load_state(file, "any")


def test_a_checkpoint_knows_its_mask_and_its_levels(tmp_path: Path) -> None:
    data = events()
    coin = split_by_coin(data, seed=1)
    arguments = {"channels": 1, "code": 2, "epochs": 1, "device": "cpu"}
    Conv4Rec(**arguments).fit(data, coin, checkpoint=tmp_path, progress=False)
    unmasked = Split(data, coin.part, "interaction", 1)
    with pytest.raises(InputError, match="belongs to"):
        Conv4Rec(**arguments).fit(data, unmasked, checkpoint=tmp_path, resume=True, progress=False)
    named = replace(data, levels=("look", "cart", "buy"))
    again = replace(coin, interactions=named)
    with pytest.raises(InputError, match="belongs to"):
        Conv4Rec(**arguments).fit(named, again, checkpoint=tmp_path, resume=True, progress=False)
