"""The face of the model: own identifiers, consistent probabilities, batches, refusals."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import conv4rec
from conv4rec import Conv4Rec, InputError, Interactions, split_by_coin, split_by_interaction, split_from_parts
from conv4rec import asking as asking_module
from conv4rec import estimator as estimator_module


def ratings(seed: int = 0, n: int = 500) -> Interactions:
    """Identifiers are text for users, large numbers for items, neither in order."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 25, n), rng.integers(0, 14, n)
    frame = pl.DataFrame(
        {
            "user": [f"né-{7 * u % 25}" for u in user],
            "item": 10**9 - 13 * item,
            "rating": 1 + (user + item + rng.integers(0, 2, n)) % 5 / 2,
        }
    )
    return Interactions.from_frame(frame.unique(["user", "item"], maintain_order=True))


@pytest.fixture(scope="module")
def model() -> Conv4Rec:
    fitted = Conv4Rec(channels=2, code=4, epochs=3, batch_users=8, learning_rate=0.02, device="cpu")
    return fitted.fit(ratings(), progress=False)


def test_probabilities_agree_with_each_other(model: Conv4Rec) -> None:
    users, items = model.interactions.user_ids.to_list(), model.interactions.item_ids.to_list()
    cells = model.predict_proba(users)
    assert cells.shape == (25, 14, 5)
    assert cells.sum(axis=(1, 2)) == pytest.approx(1.0, abs=1e-12)
    assert model.consumption(users) == pytest.approx(cells.sum(axis=2), abs=1e-14)
    asked_users, asked_items = [users[3], users[0], users[3], users[24]], [items[5], items[5], items[0], items[13]]
    pairs = cells[[3, 0, 3, 24], [5, 5, 0, 13]]
    levels = model.levels(asked_users, asked_items)
    assert levels == pytest.approx(pairs / pairs.sum(axis=1, keepdims=True), abs=1e-12)
    expected = model.expected_level(asked_users, asked_items)
    assert expected == pytest.approx(levels @ model.interactions.level_values)
    assert model.predict_proba([users[4], users[2]]) == pytest.approx(cells[[4, 2]], abs=1e-15)


def test_batches_of_users_change_nothing(model: Conv4Rec, monkeypatch: pytest.MonkeyPatch) -> None:
    users, items = model.interactions.user_ids.to_list(), model.interactions.item_ids.to_list()

    def everything() -> list[Any]:
        return [
            model.consumption(users),
            model.levels(users * 2, (items * 4)[:50]),
            model.log_probabilities(model.split.held_out).joint,
            model.recommend(users, 5)["score"].to_numpy(),
        ]

    whole = everything()
    monkeypatch.setattr(asking_module, "BATCH_USERS", 3)
    for first, second in zip(whole, everything(), strict=True):
        assert first == pytest.approx(second, abs=1e-13)


def test_log_probabilities_are_those_of_the_unmasked_cells(model: Conv4Rec) -> None:
    split, part = model.split, model.split.held_out
    found = model.log_probabilities(part)
    cells = model.predict_proba(model.interactions.user_ids.to_list())
    inside = np.where(split.item_mask(np.arange(25))[:, :, None], 0.0, cells)
    inside /= inside.sum(axis=(1, 2), keepdims=True)
    assert np.exp(found.joint) == pytest.approx(inside[part.user, part.item, part.level], rel=1e-10)
    assert np.exp(found.implicit) == pytest.approx(inside.sum(axis=2)[part.user, part.item], rel=1e-10)
    assert found.cells.tolist() == [5 * int((~split.item_mask([user])).sum()) for user in part.user]
    assert max(found.joint.max(), found.implicit.max()) <= 0


def test_another_split_brings_its_own_profiles_and_mask(model: Conv4Rec) -> None:
    other = split_by_interaction(model.interactions, seed=9)
    found = model.log_probabilities(other.held_out, other)
    assert set(found.cells) == {14 * 5}
    twin = Conv4Rec(channels=2, code=4, epochs=0, device="cpu").fit(model.interactions, other, progress=False)
    twin._state.network.set_weights(model.weights())
    assert np.array_equal(found.joint, twin.log_probabilities(other.held_out).joint)


def test_profile_of_a_user(model: Conv4Rec) -> None:
    frame = model.profile("né-3")
    levels = [f"p_{level}" for level in (1.0, 1.5, 2.0, 2.5, 3.0)]
    assert frame.columns == ["item", "seen", "p_consume", "expected_level", "p_high", *levels]
    assert frame["item"].equals(model.interactions.item_ids)
    assert frame["p_consume"].to_numpy() == pytest.approx(model.consumption(["né-3"])[0], abs=1e-15)
    assert frame.select(pl.sum_horizontal(pl.col("^p_[0-9].*$")))["p_1.0"].to_numpy() == pytest.approx(1.0)
    own = model.interactions.frame().filter(pl.col("user") == "né-3")["item"].to_list()
    assert set(frame.filter("seen")["item"]) == set(own)


def test_events_named_like_other_columns_of_a_profile_hide_nothing() -> None:
    frame = pl.DataFrame({"user": [1, 2] * 12, "item": [*range(12)] * 2, "event": ["consume", "high", "low"] * 8})
    data = Interactions.from_frame(frame, levels=["low", "high", "consume"], duplicates="keep")
    table = Conv4Rec(channels=1, code=2, epochs=1, device="cpu").fit(data, progress=False).profile(1)
    assert table.columns[4:] == ["p_high", "p_level_low", "p_level_high", "p_level_consume"]
    assert table["p_consume"].sum() == pytest.approx(1.0)
    assert table["p_high"].to_numpy() == pytest.approx(table["p_level_consume"].to_numpy())


def test_recommendations_are_the_best_unseen_items(model: Conv4Rec) -> None:
    users = ["né-3", "né-20", "né-0"]
    frame = model.recommend(users, k=4)
    assert frame.columns == ["user", "rank", "item", "score"]
    for user in users:
        table = model.profile(user).filter(~pl.col("seen")).sort("p_consume", descending=True).head(4)
        own = frame.filter(pl.col("user") == user)
        assert own["item"].to_list() == table["item"].to_list()
        assert own["rank"].to_list() == list(range(1, len(table) + 1))
        assert own["score"].to_numpy() == pytest.approx(table["p_consume"].to_numpy(), abs=1e-15)
    everything = model.recommend(users, k=100)
    seen = sum(model.profile(user)["seen"].sum() for user in users)
    assert len(everything) == 3 * 14 - seen


def test_hidden_gems_are_unseen_unlikely_and_liked(model: Conv4Rec) -> None:
    gems = model.hidden_gems("né-3", k=3)
    table = model.profile("né-3").filter(~pl.col("seen"))
    assert table["p_high"].to_numpy() == pytest.approx((table["p_2.5"] + table["p_3.0"]).to_numpy())
    pool = table.sort("p_consume").head(-(-len(table) // 2)).sort("p_high", descending=True)
    assert gems["item"].to_list() == pool["item"].to_list()[:3]
    assert gems["p_high"].to_numpy() == pytest.approx(pool["p_high"].to_numpy()[: len(gems)], abs=1e-14)
    assert model.hidden_gems("né-3", k=3, high=1.0)["p_high"].min() > gems["p_high"].max()


@pytest.mark.parametrize("unlikely", [0.2, 0.5, 1.0])
def test_a_floor_leaves_out_items_of_which_training_has_seen_too_little(model: Conv4Rec, unlikely: float) -> None:
    split = model.split
    met = pl.concat([split.profile.frame(), split.scored.frame()])
    counts = dict(met.group_by("item").len().iter_rows())
    assert split.item_counts.tolist() == [counts.get(item, 0) for item in model.interactions.item_ids]
    table = (
        model.profile("né-3")
        .filter(~pl.col("seen"))
        .with_columns(interactions=pl.col("item").replace_strict(counts, default=0))
    )
    assert table["interactions"].n_unique() > 2
    for least in (0, *table["interactions"].unique().sort()):
        kept = table.filter(pl.col("interactions") >= least).sort("p_consume")
        pool = kept.head(int(np.ceil(unlikely * len(kept)))).sort("p_high", descending=True)
        gems = model.hidden_gems("né-3", k=20, unlikely=unlikely, least_interactions=least)
        assert gems.select("item", "interactions").rows() == pool.select("item", "interactions").rows()


def test_history_reads_more_than_the_certified_profile_but_never_held_out(model: Conv4Rec) -> None:
    split = model.split
    users = model.interactions.user_ids.to_list()
    more = split_from_parts(
        model.interactions.subset(split.part <= 2), split.scored, split.scored.subset([]), split.held_out
    )
    twin = Conv4Rec(channels=2, code=4, epochs=0, device="cpu").fit(more.interactions, more, progress=False)
    twin._state.network.set_weights(model.weights())
    assert model.consumption(users, profile="history") == pytest.approx(twin.consumption(users), abs=1e-14)
    assert abs(model.consumption(users) - twin.consumption(users)).max() > 1e-6


def test_history_of_losses_and_what_was_trained_with(model: Conv4Rec) -> None:
    assert model.history.height == 4
    assert model.history.columns == [
        "epoch",
        *(f"{part}_{loss}" for part in ("train", "validation") for loss in ("joint", "implicit", "explicit")),
    ]
    assert model.history["train_joint"][0] is None
    validation = model.log_probabilities(model.split.validation).losses()["joint"]
    assert validation == pytest.approx(model.history["validation_joint"].min(), rel=1e-5)
    assert model.trained_with == "redrawn profiles"
    assert Conv4Rec(redraw=False).trained_with == "fixed profile"
    assert model.split.protocol == "coin"
    assert np.array_equal(model.split.part, split_by_coin(model.interactions, seed=0).part)


@pytest.mark.parametrize(
    "arguments",
    [
        {"shared_maps": True, "lift_activation": "relu"},
        {"level_offset": False, "code_activation": "identity"},
        {"hidden": (3,), "precision": "float64"},
        {"channels": 7, "code": 1, "redraw": True},
    ],
)
def test_every_architecture_fits_implicit_and_explicit_data(arguments: dict[str, Any]) -> None:
    data = ratings()
    for levels in (data, Interactions.from_frame(data.frame().select("user", "item"))):
        fitted = Conv4Rec(**({"channels": 2, "code": 3, "epochs": 1, "device": "cpu"} | arguments))
        fitted.fit(levels, progress=False)
        assert fitted.predict_proba(["né-1"]).sum() == pytest.approx(1.0)
        assert {value.dtype for value in fitted.weights().values()} == {np.dtype(np.float64)}
        shapes = {name: value.shape for name, value in fitted.weights().items()}
        assert shapes["lift"] == (levels.n_levels, fitted.architecture.channels)
        assert shapes["encode"][0] == (1 if fitted.architecture.shared_maps else fitted.architecture.channels)


def test_model_learns_more_than_popularity() -> None:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 300, 12_000), rng.integers(0, 40, 12_000)
    kept = (user % 2 == item % 2) | (rng.random(12_000) < 0.1)
    frame = pl.DataFrame({"user": user[kept], "item": item[kept], "rating": 1 + (user[kept] % 3)}).unique(
        ["user", "item"]
    )
    data = Interactions.from_frame(frame.sort("user", "item"))
    fitted = Conv4Rec(code=8, epochs=20, learning_rate=0.01, device="cpu").fit(data, progress=False)
    popularity = conv4rec.Popularity.fit(fitted.split).log_probabilities(fitted.split.held_out, fitted.split).losses()
    losses = fitted.log_probabilities(fitted.split.held_out).losses()
    assert losses["implicit"] < popularity["implicit"] - 0.1
    assert losses["explicit"] < popularity["explicit"] - 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.consumption([]), "no users"),
        (lambda m: m.consumption(["nobody"]), "nobody"),
        (lambda m: m.consumption(["né-1"], profile="all"), "profile"),
        (lambda m: m.levels(["né-1"], []), "1 users and 0 items"),
        (lambda m: m.levels(["né-1"], [5]), "5"),
        (lambda m: m.recommend(["né-1"], 0), "k is 0"),
        (lambda m: m.recommend(["né-1"], "3"), "k is '3'"),
        (lambda m: m.consumption(5), "one value"),
        (lambda m: Conv4Rec(hidden=5), "hidden is 5"),
        (lambda m: Conv4Rec(shared_maps="no"), "shared_maps"),
        (lambda m: m.hidden_gems("né-1", high=9.0), "both sides"),
        (lambda m: m.hidden_gems("né-1", least_interactions=99), "no item has more than 1[0-9] training interactions"),
        (lambda m: m.hidden_gems("né-1", least_interactions=0.5), "least_interactions is 0.5"),
        (lambda m: m.fit(ratings(1), m.split), "other interactions"),
        (lambda m: m.fit(ratings(1), resume=True), "checkpoint"),
        (lambda m: m.log_probabilities(split_by_coin(ratings(1, n=30)).scored), "other users"),
        (lambda m: m.log_probabilities(m.split.profile), "masked"),
        (lambda m: Conv4Rec().consumption(["né-1"]), "not fitted"),
        (lambda m: Conv4Rec().save("anywhere"), "not fitted"),
    ],
)
def test_what_cannot_be_answered_is_refused(model: Conv4Rec, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(model)


def test_fit_says_how_to_make_interactions(model: Conv4Rec) -> None:
    fit: Any = Conv4Rec(device="cpu").fit
    for data, name in ((pd.DataFrame({"user": [1], "item": [2]}), "DataFrame"), ("ratings.csv", "str"), (None, "None")):
        with pytest.raises(InputError, match=rf"fit got a {name}.*use Interactions.from_frame\(...\) or read\(...\)"):
            fit(data)


def test_memory_is_asked_for_before_it_is_taken(model: Conv4Rec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator_module, "available_memory", lambda device: 20_000)
    with pytest.raises(InputError, match="14 items x 5 levels"):
        Conv4Rec(device="cpu").fit(model.interactions, progress=False)
    monkeypatch.setattr(asking_module, "available_memory", lambda device: 20_000)
    with pytest.raises(InputError, match="fewer users"):
        model.predict_proba(model.interactions.user_ids.to_list())
    with pytest.raises(InputError, match="100 users x 14 items x 1 levels"):
        model.consumption(model.interactions.user_ids.to_list() * 4)
    assert model.predict_proba(["né-1"]).shape == (1, 14, 5)
    assert len(model.recommend(model.interactions.user_ids.to_list(), 1)) == 25


def test_automatic_device_agrees_with_the_cpu(model: Conv4Rec) -> None:
    chosen = Conv4Rec(channels=2, code=4, epochs=3, batch_users=8, learning_rate=0.02, device="auto")
    chosen.fit(model.interactions, progress=False)
    losses = [fitted.log_probabilities(model.split.held_out).losses()["joint"] for fitted in (model, chosen)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_package_gives_its_names_when_first_used() -> None:
    for name in conv4rec.__all__:
        assert getattr(conv4rec, name).__name__ == name
    assert dir(conv4rec) == conv4rec.__all__
    with pytest.raises(AttributeError, match="nothing"):
        conv4rec.nothing  # noqa: B018
