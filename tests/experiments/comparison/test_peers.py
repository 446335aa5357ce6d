"""Every peer behind the one interface: it learns from training, and knows nothing of what is held out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conv4rec import InputError, Part
from conv4rec_experiments.comparison import registry
from conv4rec_experiments.comparison.own import fit_conv4rec
from conv4rec_experiments.comparison.peers import ease
from conv4rec_experiments.comparison.peers.cornac_data import dataset
from conv4rec_experiments.comparison.protocol import comparison_split, without_held_out
from conv4rec_experiments.comparison.registry import PEERS, chosen_systems
from conv4rec_experiments.comparison.scoring import score
from conv4rec_experiments.comparison.systems import System, Task
from conv4rec_experiments.comparison.tuning import tune
from toy_ratings import toy_ratings

SMALL = {
    "histogram": {"user_smoothing": 3.0, "item_smoothing": 10.0},
    "als": {"factors": 4, "regularization": 0.1, "alpha": 5, "iterations": 5},
    "vae": {"k": 4, "autoencoder_structure": [16], "n_epochs": 20, "batch_size": 20, "beta": 0.2},
    "mf": {"k": 4, "max_iter": 40, "lambda_reg": 0.05, "learning_rate": 0.02},
    "biased": {"embedding_size": 4, "regularization": 0.2, "epochs": 5},
}


def small(name: str) -> System:
    """A peer with one option, quick to fit."""
    return replace(PEERS[name], grid=(SMALL.get(name, PEERS[name].grid[0]),))


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(comparison_split(toy_ratings(), 0), 0)


@pytest.fixture(scope="module")
def fitted(task):
    found = {name: tune(small(name), task).fitted for name in PEERS}
    return found | {"own": fit_conv4rec(task, {"epochs": 10, "channels": 2, "code": 4, "device": "cpu"})}


@pytest.fixture(scope="module")
def measured(task, fitted):
    return {name: score(found, task.split) for name, found in fitted.items()}


@pytest.mark.parametrize("name", [*PEERS, "own"])
def test_scores_and_laws_are_whole(name, task, fitted) -> None:
    found, part = fitted[name], task.split.held_out
    users = np.array([3, 0, 59])
    if found.ranker is not None:
        scores = found.ranker.scores(users)
        assert scores.shape == (3, part.n_items)
        assert np.isfinite(scores).all()
        assert found.temperature > 0
        assert found.ranker.scores(users[1:2])[0] == pytest.approx(scores[1])
    if found.rater is not None:
        expected = found.rater.expected_levels(part.user, part.item)
        assert expected.shape == (len(part),)
        law = found.levels.level_probabilities(part.user, part.item)
        assert law.shape == (len(part), 5)
        assert law.sum(axis=1) == pytest.approx(1)
        assert (law >= 0).all()
    assert found.ranker is not None or found.rater is not None


def test_peers_learn_what_there_is_to_learn(task, measured) -> None:
    figures = {name: found.figures() for name, found in measured.items()}
    for name in ("ease", "als", "vae", "joint", "own"):
        assert figures[name]["NDCG@100"] > 1.05 * figures["popularity"]["NDCG@100"]
        # Of 60 items a user has about 12 in training and validation: equal shares have log 48.
        assert figures[name]["item log-loss"] < np.log(48)
    for name in ("mf", "biased", "joint", "own"):
        assert figures[name]["RMSE"] < 0.97 * task.ratings.std()
    # Of five levels equal shares have log 5.
    for name in ("mf", "biased", "histogram", "joint", "own"):
        assert figures[name]["level log-loss"] < np.log(5)
    assert figures["popularity"]["RMSE"] is None
    assert figures["histogram"]["NDCG@100"] is None


@pytest.mark.parametrize("name", [*PEERS, "own"])
def test_what_is_held_out_changes_nothing(name, task, fitted) -> None:
    """The same interactions with other held-out items and levels give the same model, bit by bit."""
    data, part = task.split.interactions, task.split.part
    held = part == Part.HELD_OUT
    item, level = data.item.copy(), data.level.copy()
    item[held], level[held] = (item[held] + 7) % data.n_items, 4 - level[held]
    other = replace(task.split, interactions=replace(data, item=item, level=level))
    options = {"epochs": 10, "channels": 2, "code": 4, "device": "cpu"}
    again = fit_conv4rec(Task(other, 0), options) if name == "own" else tune(small(name), Task(other, 0)).fitted
    first, users, items = fitted[name], np.arange(60).repeat(2), np.arange(120) % 60
    if first.ranker is not None:
        assert np.array_equal(first.ranker.scores(np.arange(60)), again.ranker.scores(np.arange(60)))
        assert first.temperature == again.temperature
    if first.levels is not None:
        before = first.levels.level_probabilities(users, items)
        assert np.array_equal(before, again.levels.level_probabilities(users, items))


@settings(max_examples=20)
@given(st.integers(0, 99), st.floats(1.0, 300.0), st.booleans())
def test_ease_is_that_of_cornac_on_either_side(seed, penalty, more_users) -> None:
    from cornac.models import EASE

    interactions = toy_ratings(*((40, 30) if more_users else (20, 40)), each=10, seed=seed)
    task = Task(comparison_split(interactions, seed), seed)
    data = dataset(task)
    data.uir_tuple[2][:] = 1.0  # consumed or not, whatever the level
    theirs = EASE(lamb=penalty, posB=False, verbose=False).fit(data)
    users = np.arange(interactions.n_users)
    known = np.fromiter(data.iid_map.keys(), dtype=np.int64)
    wanted = np.array([np.ravel(theirs.score(data.uid_map[user])) for user in users.tolist()])
    for own in (ease.ease_by_users, ease.ease_by_items):
        scores = own(task.consumed, penalty).scores(users)
        assert scores[:, known] == pytest.approx(wanted, abs=1e-9)
        unknown = np.setdiff1d(np.arange(interactions.n_items), known)
        assert not scores[:, unknown].any()


def test_ease_that_does_not_fit_is_refused(task, monkeypatch) -> None:
    monkeypatch.setattr(ease, "available_memory", lambda device: 10_000)
    with pytest.raises(InputError, match=r"matrix of 60 rows, which needs 8\.64e-05 GB"):
        ease.fit_ease(task, {"penalty": 10.0})


def test_options_are_chosen_by_the_validation_part(task) -> None:
    asked = []
    found = tune(PEERS["ease"], task, lambda *place: asked.append(place))
    assert asked == [(place, 5) for place in range(1, 6)]
    inner = without_held_out(task.split)
    values = [score(ease.fit_ease(task, options), inner).figures()["NDCG@100"] for options in PEERS["ease"].grid]
    assert [row["NDCG@100"] for row in found.tried] == pytest.approx(values)
    assert found.options == PEERS["ease"].grid[int(np.argmax(values))]
    assert 0 < found.fit_seconds < found.seconds
    counted = tune(PEERS["histogram"], task)
    losses = [row["level log-loss"] for row in counted.tried]
    assert counted.options == counted.tried[int(np.argmin(losses))]["options"]


def test_data_without_levels_are_ranked_only() -> None:
    task = Task(comparison_split(toy_ratings(rated=False), 0), 0)
    for name in ("popularity", "als"):
        figures = score(tune(small(name), task).fitted, task.split).figures()
        assert figures["NDCG@100"] > 0
        assert figures["positive NDCG@100"] is None
        assert figures["level log-loss"] is None
    systems, left_out = chosen_systems(None, {}, n_levels=1)
    assert [system.name for system in systems] == ["Conv4Rec", "popularity", "EASE", "implicit ALS", "Mult-VAE"]
    assert len(left_out) == 4


def test_what_is_not_installed_is_named_in_one_sentence(monkeypatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name in ("lenskit", "implicit") else name)
    systems, left_out = chosen_systems(None, {}, n_levels=5)
    names = [system.name for system in systems]
    assert names == ["Conv4Rec", "popularity", "EASE", "Mult-VAE", "MF", "level histogram"]
    missing = "implicit ALS, biased MF, EASE + biased MF: not installed; add them with: pip install 'conv4rec[peers]'"
    assert left_out == (missing,)


@pytest.mark.parametrize("asked", [("ease", "nobody"), ("ease", "ease")])
def test_peers_that_are_unknown_or_named_twice_are_refused(asked) -> None:
    with pytest.raises(InputError, match="different names of: popularity"):
        chosen_systems(asked, {}, n_levels=5)
