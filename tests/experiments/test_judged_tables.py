"""Further columns of tables, and tables of users' scores: read as they were written, and refused where they are odd."""

import json

import numpy as np
import polars as pl
import pytest

from conv4rec import InputError
from conv4rec_bounds import BinnedEvents, Evidence, NamedLoss, NamedLosses, Protocol, RefusedError, UserScores, certify
from conv4rec_bounds.loss import smoothed_losses
from conv4rec_experiments.cli import main
from conv4rec_experiments.judged_tables import read_events, read_losses, read_user_scores
from conv4rec_experiments.strangers import table_evidence

INDEPENDENT, POOL = Protocol("independent"), Protocol("finite pool")


def table(path, **columns):
    frame = pl.DataFrame(columns)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_certificates_are_those_of_the_evidence(suffix, tmp_path) -> None:
    rng, size = np.random.default_rng(0), 600
    level, item = -rng.exponential(1.0, size), -rng.exponential(2.0, size)
    error, told, happened = rng.uniform(0, 4, size), rng.random(size), rng.random(size) < 0.5
    bins, scores = (told * 5).astype(int), rng.random(40)
    path = table(
        tmp_path / f"table{suffix}",
        log_probability=level + item,
        cells=np.full(size, 50),
        log_probability_level=level,
        log_probability_item=item,
        level_error=error,
        probability_high=told,
        high=happened,
        bin=bins,
    )
    users = table(tmp_path / f"users{suffix}", user=np.arange(40), recall=scores)
    evidence = table_evidence(path, user_scores=users, protocol=INDEPENDENT, levels=5, level_range=4.0)
    explicit, implicit = smoothed_losses(level, np.full(size, 5), 0.01), smoothed_losses(item, np.full(size, 10), 0.01)
    losses = NamedLosses(
        (
            NamedLoss("explicit loss", "nats", explicit.losses, explicit.low, explicit.high, error=explicit.error),
            NamedLoss("implicit loss", "nats", implicit.losses, implicit.low, implicit.high, error=implicit.error),
            NamedLoss("level error", "levels", error, 0.0, 4.0),
        )
    )
    told_events = BinnedEvents({"high level": happened}, {"high level": told}, {"high level": bins})
    by_hand = Evidence(
        50, INDEPENDENT, named_losses=losses, user_scores=UserScores({"recall": scores}), binned_events=told_events
    )
    found = certify(evidence)
    for number in ("T9-parts", "T9-users", "T9-calibration"):
        # T9, T7e and others of the first table share delta, too.
        alone = certify(by_hand, found[number].spent * 3)[number]
        assert found[number].value == pytest.approx(alone.value, rel=1e-9)
    assert found["T9"].value is not None
    trivial = [loss.trivial for loss in evidence.named_losses.losses]
    assert trivial == [pytest.approx(np.log(5)), pytest.approx(np.log(10)), 2.0]


def test_a_table_of_a_pool_marks_its_sample(tmp_path) -> None:
    path = table(
        tmp_path / "table.csv",
        sampled=[True, False, True, True],
        cells=[10, 40, 10, 20],
        log_probability_item=[-1.0, None, -2.0, -1.5],
        level_error=[0.5, None, 1.0, 0.0],
    )
    found = read_losses(path, levels=5, level_range=4.0, finite_pool=True)
    assert (found.size, found.pool) == (3, 4)
    item = found.losses[0]
    assert (item.values.size, item.high) == (3, pytest.approx(np.log(8 / 0.01)))
    assert item.trivial == pytest.approx(np.log([2, 8, 2, 4]).mean())
    assert (
        read_losses(table(tmp_path / "b.csv", level_error=[0.5]), level_range=4.0, finite_pool=True, pool=9).pool == 9
    )


def test_a_rating_predictor_needs_one_column_only(tmp_path) -> None:
    path = table(tmp_path / "table.csv", level_error=np.random.default_rng(0).uniform(0, 1, 500))
    report = certify(table_evidence(path, protocol=INDEPENDENT, level_range=4.0))
    assert 0.5 < report["T9-parts"].value < 0.65
    assert report["T9-parts"].target == "level error, mean over the held-out users' laws (levels)"
    assert "no held-out part was given" in report["T9"].reason


def test_scores_of_users_follow_what_is_declared(tmp_path) -> None:
    path = table(tmp_path / "users.csv", user=[f"u{k}" for k in range(50)], ndcg=[0.5] * 50, recall=[0.25] * 50)
    assert list(read_user_scores(path).scores) == ["ndcg", "recall"]
    for protocol, whole, word in (
        (INDEPENDENT, False, "same size"),
        (POOL, False, "same size"),
        (Protocol("neither", users="independent"), True, "new user"),
    ):
        report = certify(table_evidence(None, user_scores=path, protocol=protocol, whole_users=whole))
        assert word in report["T9-users"].target
        assert 0.3 < report["T9-users"].value < 0.5
    assert certify(table_evidence(None, user_scores=path))["T9-users"].value is None


def test_the_command_takes_both_tables_or_one_of_them(tmp_path, capsys, monkeypatch) -> None:
    items = table(tmp_path / "items.csv", log_probability=[-1.0] * 300, level_error=[0.5] * 300)
    users = table(tmp_path / "users.csv", user=list(range(60)), recall=[0.5, 0.25] * 30)

    def call(*arguments: object) -> str:
        monkeypatch.setattr("sys.argv", ["conv4rec", "certify", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        assert left.value.code in (0, None), printed.err
        return " ".join(printed.out.split())

    common = ("--independent", "--out", tmp_path / "out")
    tables = ("--log-probabilities", items, "--user-scores", users)
    both = call(*tables, "--cells", 9, "--level-range", 4, "--levels", 3, *common)
    for words in ("T9-parts level error (levels)", "T9-users recall (share)", "T9: The bound"):
        assert words in both
    kept = json.loads((tmp_path / "out" / "certificates.json").read_text())
    assert [row["part"] for row in kept["parts"]] == ["level error", "recall"]
    assert kept["origin"]["files"] == [str(items), str(users)]
    assert (tmp_path / "out" / "parts.csv").stat().st_size
    assert "T9-users" in call(
        *("--user-scores", users, "--whole-users", "--independent-users", "--out", tmp_path / "new")
    )
    kept = json.loads((tmp_path / "new" / "certificates.json").read_text())
    assert "recall: expected score of a new user" in [row["target"] for row in kept["certificates"]]


LOSSES = {
    "no levels": ("log_probability_level\n-1\n", {}, "the number of levels is needed"),
    "no range": ("level_error\n1\n", {}, "the range of the levels is needed"),
    "no cells": ("log_probability_item\n-1\n", {"levels": 2}, "has no column cells"),
    "half an item": ("log_probability_item,cells\n-1,5\n", {"levels": 2}, "5 cells, no multiple of 2 levels"),
    "no number": ("level_error\nx\n", {"level_range": 4.0}, "row 1 of .* has 'x' as level_error"),
    "no pool": ("level_error\n1\n", {"level_range": 4.0, "finite_pool": True}, "pool of .* is unclear"),
    "small pool": ("level_error\n1\n1\n", {"level_range": 4.0, "finite_pool": True, "pool": 1}, "cannot have given"),
    "items of the rest": (
        "log_probability_item,cells\n-1,4\n-1,6\n",
        {"levels": 2, "finite_pool": True, "pool": 9},
        "different numbers of items",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_columns_that_say_too_little_are_refused(name, tmp_path) -> None:
    content, given, words = LOSSES[name]
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_losses(path, **given)


def test_values_that_no_model_gives_are_refused(tmp_path) -> None:
    with pytest.raises(RefusedError, match="between 0 and 4"):
        read_losses(table(tmp_path / "a.csv", level_error=[4.5]), level_range=4.0)
    with pytest.raises(RefusedError, match="at most 0"):
        read_losses(table(tmp_path / "b.csv", log_probability_level=[0.5]), levels=2)
    with pytest.raises(RefusedError, match="interval of positive length"):
        read_losses(table(tmp_path / "c.csv", level_error=[0.0]), level_range=0.0)


EVENTS = {
    "no bins": ("probability_high,high\n0.5,true\n", InputError, "has no column bin; .* without these interactions"),
    "half a bin": ("probability_high,high,bin\n0.5,true,0.5\n", InputError, "expected a whole number"),
    "no truth": ("probability_high,high,bin\n0.5,maybe,0\n", InputError, "expected true or false"),
    "no probability": ("probability_high,high,bin\n1.5,true,0\n", RefusedError, r"leave \[0, 1\]"),
    "a bin below": ("probability_high,high,bin\n0.5,true,-1\n", RefusedError, "expected numbers from 0"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_that_say_too_little_are_refused(name, tmp_path) -> None:
    content, error, words = EVENTS[name]
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(error, match=words):
        read_events(path)


USERS = {
    "no users": ("ndcg\n0.5\n", InputError, "expected user and at least one kind of score"),
    "no scores": ("user\n1\n", InputError, "expected user and at least one kind of score"),
    "a user twice": ("user,ndcg\n1,0.5\n1,0.4\n", InputError, "one twice: '1'"),
    "nobody": ("user,ndcg\n,0.5\n2,0.4\n", InputError, "has no user"),
    "a gap": ("user,ndcg\n1,\n", InputError, r"expected a score in \[0, 1\]"),
    "above 1": ("user,ndcg\n1,1.5\n", RefusedError, r"expected scores in \[0, 1\]"),
}


@pytest.mark.parametrize("name", USERS)
def test_tables_of_no_scores_are_refused(name, tmp_path) -> None:
    content, error, words = USERS[name]
    path = tmp_path / "users.csv"
    path.write_text(content)
    with pytest.raises(error, match=words):
        read_user_scores(path)
