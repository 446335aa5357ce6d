"""New users from a few interactions: the same network, their own identifiers, refusals."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec import Conv4Rec, InputError, Interactions, split_by_interaction
from conv4rec.fitted import Fitted
from conv4rec.newcomers import Met

EVENTS = ("view", "cart", "buy")


def ratings(n: int = 600) -> Interactions:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 30, n), rng.integers(0, 14, n)
    frame = pl.DataFrame({"user": user, "item": 10**9 - 13 * item, "rating": 1 + (user + item) % 5 / 2})
    return Interactions.from_frame(frame.unique(["user", "item"], maintain_order=True))


def fitted(data: Interactions) -> Conv4Rec:
    return Conv4Rec(channels=2, code=4, epochs=3, learning_rate=0.02, device="cpu").fit(data, progress=False)


@pytest.fixture(scope="module")
def model() -> Conv4Rec:
    return fitted(ratings())


def test_a_profile_says_the_same_of_whoever_has_it(model: Conv4Rec) -> None:
    users = model.interactions.user_ids.to_list()
    met = model.for_new_users(model.split.profile.frame().with_columns(pl.col("user") + 10**6))
    strangers = met.interactions.user_ids.to_list()
    known = [user - 10**6 for user in strangers]
    assert len(known) > len(users) // 2
    items = met.interactions.item_ids.to_list()[:3]
    for way in ("certified", "history"):
        assert met.predict_proba(strangers, profile=way) == pytest.approx(model.predict_proba(known), abs=1e-13)
        assert met.consumption(strangers, profile=way) == pytest.approx(model.consumption(known), abs=1e-13)
    for ask in ("levels", "expected_level"):
        assert getattr(met, ask)(strangers[:3], items) == pytest.approx(getattr(model, ask)(known[:3], items))
    first = met.profile(strangers[0])
    assert first["p_high"].to_numpy() == pytest.approx(model.profile(known[0])["p_high"].to_numpy())
    assert not len(met.skipped)
    assert met.weights().keys() == model.weights().keys()


def test_no_part_of_the_split_is_read_for_a_newcomer() -> None:
    # Codes of new users are not those of the split: every table of cells by user has to be their own.
    tables = {name for name, value in vars(Fitted).items() if isinstance(value, cached_property)}
    assert tables
    assert tables <= set(vars(Met))


def test_only_the_history_is_seen(model: Conv4Rec) -> None:
    items = model.interactions.item_ids.to_list()
    history = pd.DataFrame({"user": ["ann", "bo", "bo"], "item": items[:3], "rating": [1.0, 3.0, 2.5]})
    met = model.for_new_users(history)
    found = met.recommend(["bo", "ann"], k=20)
    assert set(found.filter(user="bo")["item"]) == set(items) - set(items[1:3])
    assert set(found.filter(user="ann")["item"]) == set(items[1:])
    assert found.columns == model.recommend([0]).columns
    gems = met.hidden_gems("ann", 4)
    assert len(gems) == 4
    assert not set(gems["item"]) & {items[0]}
    assert met.profile("bo").filter("seen")["item"].to_list() == items[1:3]


def test_new_users_are_scored_with_a_split_of_their_own(model: Conv4Rec) -> None:
    items = model.interactions.item_ids.to_list()
    frame = pl.DataFrame({"user": np.repeat(["x", "y"], 7), "item": items, "rating": [1.0, 2.0] * 7})
    split = split_by_interaction(model.for_new_users(frame).interactions)
    met = model.for_new_users(split.profile)
    assert met.interactions.user_ids.to_list() == ["x", "y"]
    part = split.held_out
    cells = met.predict_proba(["x", "y"])
    found = met.log_probabilities(part, split)
    assert np.exp(found.joint) == pytest.approx(cells[part.user, part.item, part.level], rel=1e-10)
    with pytest.raises(InputError, match="other users"):
        met.log_probabilities(part)


def test_who_did_nothing_gets_what_everybody_gets(model: Conv4Rec) -> None:
    history = pl.DataFrame({"user": ["ann", "bo"], "item": [1, 2], "rating": [1.0, 3.0]})
    met = model.for_new_users(history, unknown_items="skip")
    assert met.skipped.rows() == [("ann", 1), ("bo", 2)]
    ann, bo = met.predict_proba(["ann", "bo"])
    assert ann == pytest.approx(bo, abs=0)
    assert len(met.recommend(["ann"], k=99)) == model.interactions.n_items


@given(known=st.lists(st.integers(0, 13), min_size=1, max_size=14, unique=True), unknown=st.integers(0, 4))
def test_skipping_is_leaving_out(model: Conv4Rec, known: list[int], unknown: int) -> None:
    items = [model.interactions.item_ids[place] for place in known]
    frame = pl.DataFrame({"user": [7] * len(items), "item": items, "rating": [1 + place % 5 / 2 for place in known]})
    more = pl.DataFrame({"user": [7] * unknown, "item": list(range(unknown)), "rating": [2.0] * unknown})
    alone = model.for_new_users(frame)
    met = model.for_new_users(pl.concat([more.cast(frame.schema), frame]).reverse(), unknown_items="skip")
    assert met.predict_proba([7]) == pytest.approx(alone.predict_proba([7]), abs=1e-13)
    assert sorted(met.skipped["item"]) == list(range(unknown))


def test_events_keep_all_levels_of_a_pair() -> None:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "user": rng.integers(0, 20, 400),
            "item": [f"{'abcdefgh'[place]}{place}" for place in rng.integers(0, 8, 400)],
            "event": [EVENTS[place] for place in rng.integers(0, 3, 400)],
        }
    )
    model = fitted(Interactions.from_frame(frame, levels=EVENTS, duplicates="keep"))
    both = pl.DataFrame({"user": ["n", "n"], "item": ["a0", "a0"], "event": ["view", "buy"]})
    met = model.for_new_users(both)
    assert met.interactions.levels == EVENTS
    assert met.interactions.level.tolist() == [0, 2]
    one = model.for_new_users(both.tail(1))
    assert abs(met.predict_proba(["n"]) - one.predict_proba(["n"])).max() > 1e-6
    # Interactions with an order of their own are read by the names of their levels.
    other = Interactions.from_frame(both, levels=["buy", "view"], duplicates="keep")
    assert model.for_new_users(other).predict_proba(["n"]) == pytest.approx(met.predict_proba(["n"]), abs=1e-14)


def test_integers_may_name_items_that_are_text() -> None:
    rng = np.random.default_rng(1)
    names = pl.Series(["1", "2", "007", "x"])
    frame = pl.DataFrame({"user": rng.integers(0, 9, 80), "item": names.gather(rng.integers(0, 4, 80))})
    model = fitted(Interactions.from_frame(frame, duplicates="keep"))
    met = model.for_new_users(pl.DataFrame({"user": [1, 1], "item": [1, 7], "note": ["", ""]}), unknown_items="skip")
    assert met.profile(1).filter("seen")["item"].to_list() == ["1"]
    assert met.skipped.rows() == [(1, 7)]


def history(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"user": [1], "item": [10**9], "rating": [1.0]} | columns)


REFUSED = {
    "an unknown item": (history(item=[4]), "item 4 is not among the 14 items"),
    "many unknown items": (
        history(user=[1] * 8, item=list(range(8)), rating=[1.0] * 8),
        "items 0, 1, 2, 3, 4 and 3 more, 8 of the history's 8, are not among",
    ),
    "items of another type": (history(item=["ten"]), "item identifiers came as String, expected Int64"),
    "an unknown level": (history(rating=[1.25]), "1.25 cannot be used, expected one of the levels 1.0"),
    "no number": (history(rating=[np.nan]), "nan cannot be used"),
    "an unknown level of interactions": (
        Interactions.from_frame(history(rating=[9.0])),
        "level 9.0 of the history is not among the model's levels 1.0, 1.5",
    ),
    "no rows": (history().clear(), "the frame has no rows"),
    "no frame": ([1, 2], "expected a data frame"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_model_does_not_know_is_refused(model: Conv4Rec, case: str) -> None:
    given, message = REFUSED[case]
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        model.for_new_users(given)


def test_other_ways_are_refused(model: Conv4Rec) -> None:
    with pytest.raises(InputError, match='expected "refuse" or "skip"'):
        model.for_new_users(history(), unknown_items="guess")
    with pytest.raises(InputError, match="not fitted"):
        Conv4Rec().for_new_users(history())
    with pytest.raises(InputError, match="user 5 is not in the data"):
        model.for_new_users(history()).recommend([5])
