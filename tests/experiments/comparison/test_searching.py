"""The search: validation only, continued where it stopped, and what it finds is what it measured."""

import json
from dataclasses import replace

import numpy as np
import pytest

from conv4rec import Conv4Rec, InputError, Part
from conv4rec_experiments.comparison import searching
from conv4rec_experiments.comparison.merits import joint_criterion
from conv4rec_experiments.comparison.protocol import comparison_split
from conv4rec_experiments.comparison.searching import defaults, search
from toy_ratings import toy_ratings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("search")


@pytest.fixture(scope="module")
def found(folder):
    return search(toy_ratings(), folder, trials=3, epochs=2, device="cpu")


def test_the_first_trial_has_the_defaults_and_the_best_has_the_least_criterion(found, folder) -> None:
    rows = found.trials.to_dicts()
    assert len(rows) == 3
    assert {name: rows[0][name] for name in defaults()} == defaults()
    for row in rows:
        assert row["criterion"] == pytest.approx(joint_criterion(row))
    best = min(rows, key=lambda row: row["criterion"])
    assert {name: best[name] for name in defaults()} == {name: found.options[name] for name in defaults()}
    assert json.loads((folder / "options.json").read_text()) == found.options
    Conv4Rec(**found.options)


def test_a_search_is_continued_with_new_draws(found, folder) -> None:
    told = []
    more = search(toy_ratings(), folder, trials=4, epochs=2, device="cpu", progress=lambda *row: told.append(row))
    assert told == [("trial 4", 3, 4), ("finished", 4, 4)]
    assert more.trials[:3].equals(found.trials)
    assert more.trials["code"].n_unique() == 4
    told.clear()
    assert search(toy_ratings(), folder, trials=4, epochs=2, device="cpu").trials.equals(more.trials)


def test_what_is_held_out_plays_no_role(found, tmp_path, monkeypatch) -> None:
    data = toy_ratings()
    held = comparison_split(data, 0).part == Part.HELD_OUT
    level = np.where(held, 4 - data.level, data.level)
    other = replace(data, level=level)
    again = search(other, tmp_path, trials=3, epochs=2, device="cpu")
    assert again.trials.equals(found.trials)


def test_a_hopeless_trial_is_stopped(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(searching, "STARTUP", 2)
    monkeypatch.setattr(searching, "WARM_UP", 0)
    steps = iter([5e-3, 5e-3, 1e-7])

    def suggested(trial, epochs):
        return {"epochs": epochs, "learning_rate": next(steps), "channels": 1, "code": 4}

    monkeypatch.setattr(searching, "suggested", suggested)
    found = search(toy_ratings(), tmp_path, trials=3, epochs=4, device="cpu")
    assert found.trials["state"].to_list() == ["complete", "complete", "pruned"]
    assert found.trials["criterion"].to_list()[2] is None


def test_refusals(folder, tmp_path, found) -> None:
    with pytest.raises(InputError, match="trials is 0"):
        search(toy_ratings(), tmp_path, trials=0)
    with pytest.raises(InputError, match="other data or another seed"):
        search(toy_ratings(), folder, trials=4, seed=1)


def test_without_optuna_one_sentence_says_what_to_install(monkeypatch, tmp_path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"pip install 'conv4rec\[search\]'"):
        search(toy_ratings(), tmp_path, trials=1)
