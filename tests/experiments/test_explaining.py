"""What is told of a model is what the model does: exact splits, brute force beside each table, refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from conv4rec import Architecture, Conv4Rec, InputError, Interactions, split_by_coin, split_by_time
from conv4rec.network import Network
from conv4rec_experiments.explaining import ablation, channels
from conv4rec_experiments.explaining.catalogue import ENOUGH, catalogue_table, rank_correlations
from conv4rec_experiments.explaining.explain import explain
from conv4rec_experiments.explaining.files import EXPLAINED
from conv4rec_experiments.explaining.mixing import mixing_table
from conv4rec_experiments.explaining.people import user_items, user_levels
from conv4rec_experiments.explaining.titles import named, read_titles
from conv4rec_experiments.figures.people import draw_user


def ratings(users: int = 80, items: int = 16, each: int = 9, levels: int = 6) -> Interactions:
    """Two groups of users like opposite items; of all levels the upper or the lower half is alike."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(users):
        for item in rng.choice(items, each, replace=False):
            low = levels // 2 if (user + item) % 2 else 0
            rows.append((f"u{user}", int(item), (low + int(rng.integers(0, levels - levels // 2)) + 1) / 2, user))
    return Interactions.from_frame(pl.DataFrame(rows, ["user", "item", "rating", "time"], orient="row"))


def fitted(data: Interactions, **options: object) -> Conv4Rec:
    chosen = {"channels": 2, "code": 4, "epochs": 12, "learning_rate": 0.03, "patience": 12, "device": "cpu"}
    return Conv4Rec(**(chosen | options)).fit(data, progress=False)


@pytest.fixture(scope="module")
def model() -> Conv4Rec:
    return fitted(ratings())


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are saved with few pixels, and as no PDF: the tests of the command line save them whole."""
    whole = Figure.savefig

    def save(figure: Figure, path: Path, **options: object) -> None:
        if path.suffix == ".png":
            whole(figure, path, dpi=20)
        else:
            path.touch()

    monkeypatch.setattr(Figure, "savefig", save)


def with_random_weights(model: Conv4Rec, seed: int) -> Conv4Rec:
    rng = np.random.default_rng(seed)
    return model.with_weights({name: rng.normal(size=value.shape) for name, value in model.weights().items()})


def test_mixing_lists_every_entry(model: Conv4Rec) -> None:
    table, weights = mixing_table(model), model.weights()
    assert len(table) == weights["lift"].size + weights["project"].size
    levels = ["0.5", "1", "1.5", "2", "2.5", "3"]
    for row in table.iter_rows(named=True):
        channel, level = row["channel"] - 1, levels.index(row["level"])
        own = weights["lift"][level, channel] if row["map"] == "lift" else weights["project"][channel, level]
        assert row["value"] == own
    greatest = table.group_by("map", "channel").agg(pl.col("relative").abs().max())
    assert greatest["relative"].to_list() == [1.0] * 4
    nothing = model.with_weights({name: 0 * value for name, value in weights.items()})
    assert mixing_table(nothing)["relative"].to_list() == [0.0] * len(table)


@given(seed=st.integers(0, 2**32 - 1))
def test_shares_of_variance_sum_to_one(model: Conv4Rec, seed: int) -> None:
    effects = channels.channel_effects(with_random_weights(model, seed))
    assert effects["variance_share"].sum() == pytest.approx(1.0, abs=1e-6)
    assert ((effects["consume_change"] >= 0) & (effects["consume_change"] <= 1)).all()
    assert ((effects["level_change"] >= 0) & (effects["level_change"] <= 2.5)).all()


def test_effects_are_those_of_logits_without_the_channel(model: Conv4Rec, monkeypatch: pytest.MonkeyPatch) -> None:
    # Batches of a few users change nothing.
    monkeypatch.setattr(channels, "BATCH_CELLS", 7 * 16 * 6)
    effects = channels.channel_effects(model)
    data, users = model.interactions, model.interactions.user_ids.to_list()
    weight = np.bincount(data.item, minlength=data.n_items)[:, None] / (len(data) * data.n_levels)

    def laws(of: Conv4Rec) -> np.ndarray:
        return of.predict_proba(users)

    def centred(cells: np.ndarray) -> np.ndarray:
        logits = np.log(cells)
        return logits - (weight * logits).sum(axis=(1, 2), keepdims=True)

    whole = laws(model)
    variance = (weight * centred(whole).var(axis=0)).sum()
    for row in effects.iter_rows(named=True):
        weights = model.weights()
        weights["project"][row["channel"] - 1] = 0
        weights["offset"][row["channel"] - 1] = 0
        off = laws(model.with_weights(weights))
        part = centred(whole) - centred(off)
        covariance = ((part - part.mean(axis=0)) * (centred(whole) - centred(whole).mean(axis=0))).mean(axis=0)
        assert row["variance_share"] == pytest.approx((weight * covariance).sum() / variance, abs=1e-9)
        consume, consume_off = whole.sum(axis=2), off.sum(axis=2)
        assert row["consume_change"] == pytest.approx(np.abs(consume - consume_off).sum(axis=1).mean() / 2)
        moved = np.abs(whole @ data.level_values / consume - off @ data.level_values / consume_off)
        assert row["level_change"] == pytest.approx((consume * moved).sum(axis=1).mean())
    validation = model.split.validation
    losses = [channels.without_channel(model, c).log_probabilities(validation).losses() for c in range(2)]
    own = model.log_probabilities(validation).losses()
    for name in ("implicit", "explicit"):
        assert effects[name].to_list() == pytest.approx([after[name] - own[name] for after in losses])


def test_a_channel_that_says_nothing_has_no_effect(model: Conv4Rec) -> None:
    weights = with_random_weights(model, 1).weights()
    weights["project"][1] = weights["offset"][1] = 0
    row = channels.channel_effects(model.with_weights(weights)).row(1, named=True)
    for name in ("variance_share", "consume_change", "level_change", "implicit", "explicit"):
        assert row[name] == pytest.approx(0.0, abs=1e-9)


def test_users_are_drawn_where_there_are_many(model: Conv4Rec, monkeypatch: pytest.MonkeyPatch) -> None:
    assert channels.some_users(model).to_list() == model.interactions.user_ids.to_list()
    monkeypatch.setattr(channels, "MOST_USERS", 10)
    some = channels.some_users(model)
    assert some.n_unique() == 10
    assert channels.some_users(model).equals(some)


@pytest.mark.parametrize("activation", ["identity", "tanh", "relu"])
def test_curves_are_what_the_network_lifts(model: Conv4Rec, activation: str) -> None:
    other = fitted(model.interactions, epochs=0, lift_activation=activation)
    curves = channels.channel_curves(other)
    cells = np.bincount(other.split.profile.user)
    median = int(np.median(cells[cells > 0]))
    assert set(curves["profile"]) == {median}
    function: Callable[[torch.Tensor], torch.Tensor] = Network(other.architecture)._lift_activation
    lifted = function(torch.from_numpy(other.weights()["lift"]) / median**0.5).T
    assert curves["hears"].to_numpy() == pytest.approx(lifted.flatten().numpy())
    assert curves["says"].to_numpy() == pytest.approx(other.weights()["project"].ravel())


@pytest.mark.parametrize("shared", [False, True])
def test_channel_items_are_those_of_the_largest_norm(model: Conv4Rec, shared: bool) -> None:
    other = with_random_weights(fitted(model.interactions, epochs=0, shared_maps=shared), 3)
    table = channels.channel_items(other, {"3": "three"}, k=4)
    assert len(table) == 8
    for channel in (1, 2):
        own = table.filter(channel=channel)
        decode = other.weights()["decode"][0 if shared else channel - 1]
        norms = np.linalg.norm(decode, axis=1) * np.linalg.norm(other.weights()["project"][channel - 1])
        assert own["norm"].to_list() == pytest.approx(sorted(norms, reverse=True)[:4])
        assert norms[other.interactions.item_codes(own["item"])] == pytest.approx(own["norm"].to_numpy())
        assert own["name"].to_list() == ["three" if item == 3 else str(item) for item in own["item"]]


def test_catalogue_holds_means_and_counts(model: Conv4Rec) -> None:
    table, data = catalogue_table(model), model.interactions
    cells = model.predict_proba(data.user_ids.to_list())
    assert table["p_consume"].to_numpy() == pytest.approx(cells.sum(axis=2).mean(axis=0))
    high = data.level_values > 0.5 + 0.6 * 2.5
    assert table["p_high"].to_numpy() == pytest.approx((cells[:, :, high].sum(axis=2) / cells.sum(axis=2)).mean(axis=0))
    trained = data.subset(model.split.part != 3).frame()
    for row in table.iter_rows(named=True):
        own = trained.filter(item=row["item"])["level"]
        assert row["interactions"] == len(own)
        assert row["share"] == pytest.approx(len(own) / len(trained))
        assert row["high_share"] == pytest.approx((own > 2.0).mean())
    popular = table.filter(mark="popular")
    assert popular["p_consume"].min() == pytest.approx(table["p_consume"].sort()[-3])
    enjoyed, enough = table.filter(mark="enjoyed"), table.filter(pl.col("interactions") >= ENOUGH)
    assert len(enjoyed) == 3
    assert (enjoyed["p_consume"] <= enough["p_consume"].median()).all()
    found = rank_correlations(table)
    assert found["model"] == pytest.approx(spearmanr(enough["p_consume"], enough["p_high"]).statistic)
    assert found["observed"] == pytest.approx(spearmanr(enough["share"], enough["high_share"]).statistic)


def test_items_that_nobody_trained_on_have_no_observed_share(model: Conv4Rec) -> None:
    data = Interactions.from_frame(
        pl.DataFrame(
            {"user": [1, 2, 3, 4, 4], "item": [1, 1, 1, 1, 2], "rating": [1, 2, 2, 1, 2], "time": [1, 2, 3, 4, 4]}
        )
    )
    late = Conv4Rec(channels=1, code=1, epochs=0, device="cpu").fit(
        data, split_by_time(data, (0.4, 0.2, 0.0, 0.4)), progress=False
    )
    table = catalogue_table(late)
    assert table["interactions"].to_list() == [3, 0]
    assert table["high_share"].to_list() == [pytest.approx(2 / 3), None]
    assert table["mark"].to_list() == ["popular", "popular"]
    assert rank_correlations(table) == {"model": None, "observed": None}


def test_a_user_page_holds_recommendations_gems_and_what_was_seen(model: Conv4Rec) -> None:
    table = user_items(model, "u3", {"2": "two"}, k=2)
    profile, data = model.profile("u3"), model.interactions
    assert table.select(profile.columns).equals(profile)
    assert table.filter(item=2)["name"].item() == "two"
    gems = table.filter(kind="gem").sort("rank")["item"].to_list()
    assert gems == model.hidden_gems("u3", 2)["item"].to_list()
    best = table.filter(kind="recommended").sort("rank")["item"].to_list()
    assert best == [item for item in model.recommend(["u3"], 2)["item"] if item not in gems]
    seen = table.filter("seen")
    own = data.frame().filter(user="u3")
    assert set(seen["item"]) == set(own["item"])
    assert dict(zip(seen["item"], seen["observed"], strict=True)) == {
        item: f"{level:g}" for item, level in zip(own["item"], own["level"], strict=True)
    }
    assert seen.sort("rank")["p_consume"].to_list() == sorted(seen["p_consume"], reverse=True)
    assert table.filter("unlikely")["item"].len() == -(-(16 - len(seen)) // 2)
    assert set(gems) <= set(table.filter("unlikely")["item"])
    levels = user_levels(model, table, k=2)
    assert levels["kind"].unique(maintain_order=True).to_list() == ["recommended", "gem", "seen"][-3:]
    sums = levels.group_by("kind", "rank").agg(pl.col("probability").sum(), pl.len())
    assert sums["probability"].to_list() == pytest.approx([1.0] * len(sums))
    assert set(sums["len"]) == {6}


def test_a_user_who_has_seen_everything_has_a_page(drafts: None, tmp_path: Path) -> None:
    rows = [
        (user, item, 1 + (user + item) % 3) for user in range(12) for item in range(6) if user == 0 or item != user % 6
    ]
    data = Interactions.from_frame(pl.DataFrame(rows, ["user", "item", "rating"], orient="row"))
    model = fitted(data, epochs=1)
    table = user_items(model, 0)
    assert table["kind"].to_list() == ["seen"] * 6
    assert not table["unlikely"].any()
    levels = user_levels(model, table)
    assert len(levels) == 5 * 3
    draw_user(table.to_dicts(), levels.to_dicts(), tmp_path / "user")


def test_all_levels_of_a_pair_are_told() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 9, 300), "item": rng.integers(0, 9, 300)}).with_columns(
        event=pl.Series(rng.choice(["view", "consume", "high"], 300))
    )
    data = Interactions.from_frame(frame, levels=["view", "consume", "high"], duplicates="keep")
    model = fitted(data, epochs=1)
    table = user_items(model, 0)
    assert "view, consume, high" in table["observed"].to_list()
    levels = user_levels(model, table)
    assert levels["level"].unique(maintain_order=True).to_list() == ["view", "consume", "high"]
    assert levels.group_by("kind", "rank").agg(pl.col("probability").sum())["probability"].to_list() == pytest.approx(
        [1.0] * levels.select("kind", "rank").n_unique()
    )


def test_titles_are_read_by_item(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text('movieId,title,genres\n1,"Alien, The",x\n007,Bond,y\n,Nobody,z\n')
    assert read_titles(path) == {"1": "Alien, The", "007": "Bond"}
    assert named(pl.Series([1, 7]), read_titles(path)).to_list() == ["Alien, The", "7"]
    path.write_text("item,label\n1,a\n")
    assert read_titles(path) == {"1": "a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("movieId,year,genres\n1,2,3\n", "no single column of titles among 'movieId', 'year', 'genres'"),
        ("film,title\n1,a\n", "no column of items"),
        ("item,title\n1,a\n1,b\n", "item '1' has several titles"),
        ("", "not a CSV table"),
    ],
)
def test_titles_that_name_nothing_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "titles.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_titles(path)


@given(
    items=st.integers(1, 300),
    levels=st.integers(2, 12),
    width=st.integers(1, 9),
    code=st.integers(1, 30),
    shared=st.booleans(),
    offset=st.booleans(),
)
def test_no_size_of_the_code_comes_nearer(
    items: int, levels: int, width: int, code: int, shared: bool, offset: bool
) -> None:
    ours = Architecture(items, levels, width, code, shared_maps=shared, level_offset=offset)
    other = ablation.without_mixing(ours)
    assert other.channels == levels
    target = ablation.learned_weights(ours)

    def distance(size: int) -> int:
        return abs(ablation.learned_weights(replace(other, code=size), ablation.FIXED) - target)

    assert distance(other.code) == min(distance(size) for size in range(1, width * code * 3 + 3))


def test_without_mixing_lift_and_project_stay_one_hot(model: Conv4Rec) -> None:
    sizes = ablation.without_mixing(model.architecture)
    split = split_by_coin(model.interactions, (0.5, 0.4, 0.0, 0.1))
    found = ablation.fit_without_mixing(sizes, replace(model.options, epochs=3), model.interactions, split)
    weights = found.weights()
    for name in ablation.FIXED:
        assert weights[name] == pytest.approx(np.sqrt(6) * np.eye(6), rel=1e-6)
    start = ablation.fit_without_mixing(sizes, replace(model.options, epochs=0), model.interactions, split)
    assert all((weights[name] != start.weights()[name]).any() for name in ("encode", "decode", "cell_bias", "offset"))
    with pytest.raises(InputError, match="2 channels and 6 levels"):
        ablation.fit_without_mixing(model.architecture, model.options, model.interactions, split)


def test_mixing_pays_where_levels_are_alike() -> None:
    data = ratings(users=100, levels=10)
    model = fitted(data, epochs=0, channels=2, code=5, weight_decay=1e-3)
    training = Conv4Rec(channels=2, code=5, epochs=25, learning_rate=0.03, patience=8, redraw=True, device="cpu")
    asked: list[tuple[int, str]] = []
    model.options = training.options
    table = ablation.ablate(model, lambda seed: ablation.resplit(model, seed), [0, 1], lambda *now: asked.append(now))
    assert asked == [(seed, name) for seed in (0, 1) for name in ("1x1 convolutions", "one-hot levels")]
    assert table["weights"].n_unique() == 2
    assert table["joint"].to_numpy() == pytest.approx((table["implicit"] + table["explicit"]).to_numpy())
    found = ablation.differences(table)
    assert found["measure"].to_list() == ["joint", "implicit", "explicit", "rmse"]
    joint = found.row(0, named=True)
    assert joint["difference"] > 0
    assert joint["better"] == joint["seeds"] == 2
    split = split_by_coin(data, seed=1)
    again = fitted_again(model, split)
    part = split.held_out
    errors = again.expected_level(data.user_ids.gather(part.user), data.item_ids.gather(part.item))
    errors -= data.level_values[part.level]
    row = table.filter(seed=1, network="1x1 convolutions").row(0, named=True)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert row["joint"] == pytest.approx(again.log_probabilities(part).losses()["joint"])


def fitted_again(model: Conv4Rec, split: object) -> Conv4Rec:
    options = replace(model.options, seed=1)
    other = Conv4Rec(channels=2, code=5)
    other.options = options
    return other.fit(model.interactions, split, progress=False)


def test_differences_are_paired_by_seed() -> None:
    names = ("1x1 convolutions", "one-hot levels")
    rows = [
        {"seed": seed, "network": name} | dict.fromkeys(ablation.MEASURES, 10.0 * seed + place * gain)
        for seed, gain in ((0, 1.0), (1, 2.0), (2, -1.5))
        for place, name in enumerate(names)
    ]
    row = ablation.differences(pl.DataFrame(rows).reverse()).row(3, named=True)
    assert (row["measure"], row["difference"], row["better"], row["seeds"]) == ("rmse", pytest.approx(0.5), 2, 3)
    assert row["error"] == pytest.approx(np.std([1.0, 2.0, -1.5], ddof=1) / np.sqrt(3))
    assert ablation.differences(pl.DataFrame(rows[:2]))["error"].to_list() == [None] * 4


def test_an_ablation_needs_seeds_levels_and_a_held_out_part(model: Conv4Rec) -> None:
    with pytest.raises(InputError, match="there are no seeds"):
        ablation.ablate(model, lambda _: model.split, [])
    bare = split_by_coin(model.interactions, (0.5, 0.5, 0.0, 0.0))
    with pytest.raises(InputError, match="no held-out part"):
        ablation.ablate(model, lambda _: bare, [0])
    one = fitted(
        Interactions.from_frame(pl.DataFrame({"user": [1, 1, 2] * 9, "item": [1, 2, 1] * 9}), duplicates="keep")
    )
    with pytest.raises(InputError, match="nothing to mix"):
        ablation.ablate(one, lambda _: one.split, [0])


def test_other_splits_stay_as_they_are(model: Conv4Rec) -> None:
    assert ablation.resplit(model, 3).part.tolist() == split_by_coin(model.interactions, seed=3).part.tolist()
    timed = Conv4Rec(channels=1, code=1, epochs=0, device="cpu").fit(
        model.interactions, split_by_time(model.interactions), progress=False
    )
    assert ablation.resplit(timed, 3) is timed.split


def test_explain_writes_tables_pictures_and_a_page(model: Conv4Rec, drafts: None, tmp_path: Path) -> None:
    short = Conv4Rec(channels=2, code=2, epochs=1, device="cpu")
    short.fit(model.interactions, model.split, progress=False)
    (tmp_path / "mixing.csv").write_text("old")
    found = explain(short, tmp_path, titles={str(item): f"<{item} & $2>" for item in range(16)}, seeds=[0])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in found.paths)
    assert {path.name for path in found.paths} == set(EXPLAINED)
    page = (tmp_path / "explained.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    assert "&lt;2 &amp; $2&gt;" in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert "http" not in page
    assert unclosed(page) == []
    assert "nothing on this page is certified" in page
    counts = model.split.profile.frame()["user"].value_counts(sort=True)
    most = counts.filter(pl.col("count") == counts["count"].max())["user"].sort()[0]
    assert f"Items of user {most}<" in page
    assert pl.read_csv(tmp_path / "effects.csv")["variance_share"].sum() == pytest.approx(1.0)
    assert found.differences is not None
    assert found.differences["seeds"].to_list() == [1] * 4
    assert "of 1</td>" in page


def unclosed(page: str) -> list[str]:
    """Tags that are opened and not closed, or closed in another order."""
    stack: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img"):
                stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if stack and stack[-1] == tag:
                stack.pop()

    Reader().feed(page)
    return stack


def test_what_cannot_be_explained_is_refused(model: Conv4Rec, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="user 'nobody' is not in the data"):
        explain(model, tmp_path, user="nobody")
    one = fitted(
        Interactions.from_frame(pl.DataFrame({"user": [1, 1, 2] * 9, "item": [1, 2, 1] * 9}), duplicates="keep")
    )
    with pytest.raises(InputError, match="one level 'consumed': there is nothing to mix"):
        explain(one, tmp_path)
    assert not list(tmp_path.iterdir())
