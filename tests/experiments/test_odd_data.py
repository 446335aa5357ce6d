"""Event names, half stars, several levels of a pair and time-ordered splits, from a file to certificates."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conv4rec import Conv4Rec, Part
from conv4rec_experiments import cli, runs

USERS = 110
# Small data of few items: every channel has its own maps, and little holds them back.
OPTIONS = {
    "channels": 2,
    "code": 4,
    "shared_maps": False,
    "epochs": 60,
    "patience": 60,
    "learning_rate": 0.05,
    "weight_decay": 1e-4,
    "bias_decay": 1e-3,
    "device": "cpu",
}


def call(*arguments: object) -> int:
    before = sys.argv
    sys.argv = ["conv4rec", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        sys.argv = before
    code = ended.value.code
    assert isinstance(code, int)
    return code


def events(rng: np.random.Generator) -> pl.DataFrame:
    """Who buys has viewed: several levels of one pair, of three that are not in alphabetical order, hours apart."""
    rows = []
    for user in range(USERS):
        for place, item in enumerate(rng.choice(20, 10, replace=False)):
            likes = (user + item) % 2 == 0
            steps = 1 + int(rng.integers(0, 3) if likes else 0)
            rows += [
                (f"u{user}", f"i{item}", event, f"2024-03-{1 + place:02d}T{hour:02d}:00:00")
                for hour, event in enumerate(("view", "cart", "buy")[:steps])
            ]
    return pl.DataFrame(rows, ["session_user", "sku", "what", "at"], orient="row")


def stars(rng: np.random.Generator) -> pl.DataFrame:
    """Eight half-star levels at which the like and the dislike of two groups of users show."""
    rows = []
    for user in range(USERS):
        for item in rng.choice(20, 12, replace=False):
            centre = 8 if (user + item) % 2 == 0 else 3
            rows.append((user, item, (centre + int(rng.integers(-2, 2)) + 1) / 2))
    return pl.DataFrame(rows, ["userId", "movieId", "rating"], orient="row")


LEVELS = "--levels", "view,cart,buy"
ROLES = "--user", "session_user", "--item", "sku", "--level", "what"
EVENTS = (*ROLES, "--time", "at", *LEVELS, "--duplicates", "keep")
CASES: dict[str, tuple[Callable[[np.random.Generator], pl.DataFrame], tuple[object, ...]]] = {
    "events": (events, EVENTS),
    "events, ordered by time": (events, (*EVENTS, "--protocol", "time")),
    "half stars": (stars, ()),
}


@dataclass(frozen=True)
class Trained:
    """A run, and what it was made of."""

    folder: Path
    frame: pl.DataFrame
    options: tuple[object, ...]
    model: Conv4Rec

    @property
    def roles(self) -> tuple[object, ...]:
        return ROLES if "sku" in self.frame.columns else ()


@pytest.fixture(scope="module", params=CASES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    make, options = CASES[request.param]
    frame, folder = make(np.random.default_rng(0)), tmp_path_factory.mktemp("odd")
    frame.write_csv(folder / "interactions.csv")
    (folder / "options.json").write_text(json.dumps(OPTIONS))
    trained_with = "--options", folder / "options.json"
    assert call("train", folder / "interactions.csv", *options, *trained_with, "--out", folder / "run") == 0
    return Trained(folder / "run", frame, options, Conv4Rec.load(folder / "run"))


def test_what_is_in_the_file_is_what_is_learned_from(trained: Trained) -> None:
    data = trained.model.interactions
    named = "sku" in trained.frame.columns
    assert data.levels == (("view", "cart", "buy") if named else tuple(k / 2 for k in range(2, 11) if k != 6))
    assert data.has_repeats == ("keep" in trained.options)
    assert len(data) == len(trained.frame)
    # Two groups of users like opposite items.
    users, items = data.user_ids.to_list(), data.item_ids.to_list()
    likes = np.array([[(number(user) + number(item)) % 2 == 0 for item in items] for user in users])
    cells = trained.model.predict_proba(users)
    expected = cells @ data.level_values / cells.sum(axis=2)
    assert expected[likes].mean() > expected[~likes].mean() + 0.1


def test_recommendations_and_gems(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained.model
    user = model.interactions.user_ids[0]
    assert call("recommend", trained.folder, user, "-k", 3) == 0
    printed = capsys.readouterr().out.split()
    for item in model.recommend([user], 3)["item"]:
        assert str(item) in printed
    assert call("recommend", trained.folder, user, "--gems", "-k", 3) == 0
    assert "p_high" in capsys.readouterr().out.split()
    assert call("profile", trained.folder, user, "-k", 3) == 0
    printed = capsys.readouterr().out.split()
    assert all(f"p_{level}" in printed for level in model.interactions.levels)
    history = tmp_path / "history.csv"
    trained.frame.head(5).write_csv(history)
    assert call("recommend", trained.folder, "--history", history, *trained.roles, "-k", 3) == 0
    assert f"user {trained.frame[0, 0]}" in capsys.readouterr().out


def test_certificates_speak_of_what_the_split_allows(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    # The figure shows what the table holds, whatever the data; drawing it takes longer than all certificates.
    monkeypatch.setattr(runs, "draw_certificates", lambda rows, stem: [])

    def statuses(*declared: str) -> dict[str, str]:
        assert call("certify", trained.folder, *declared) == 0
        record = json.loads((trained.folder / "certificates.json").read_text())
        return {row["theorem"]: row["status"] for row in record["certificates"]}

    def stated(found: dict[str, str]) -> set[str]:
        return {theorem for theorem, status in found.items() if status != "refused"}

    split = trained.model.split
    found = stated(statuses())
    if split.protocol == "time":
        assert split.interactions.time is not None
        moments = [split.interactions.time[split.part == part] for part in Part]
        assert all(earlier.max() < later.min() for earlier, later in pairwise(moments))
        # The scored part is no random subset of a pool: nothing starts from its loss until independence is declared.
        assert not found & {"T1", "T8", "T9"}
        assert {"T1", "T8", "T9"} <= stated(statuses("--independent"))
        assert call("certify", trained.folder, "--independent-users") == 2
    else:
        assert "T9" not in found
    assert {"T9-pool", "T9-gems", "T9-users", "T9-calibration"} <= found
    assert call("gems", trained.folder, "--wanted", 0.1) == 0


def number(name: object) -> int:
    return int(str(name).lstrip("ui"))
