"""The commands compare, evaluate and search once, and what they refuse."""

import json
import sys

import polars as pl
import pytest

from conv4rec import Conv4Rec
from conv4rec_experiments import cli
from conv4rec_experiments.comparison import registry
from toy_ratings import toy_ratings


def call(*arguments):
    """Run the console entry in this process and return its exit code."""
    before = sys.argv
    sys.argv = ["conv4rec", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        sys.argv = before
    return ended.value.code


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "ratings.csv"
    toy_ratings().frame().write_csv(path)
    return path


@pytest.fixture(scope="module")
def options(data):
    path = data.parent / "options.json"
    path.write_text(json.dumps({"epochs": 2, "code": 4, "channels": 2, "device": "cpu"}))
    return path


def test_compare_prints_the_table_and_writes_everything(data, options, capsys):
    out = data.parent / "compared"
    command = ["compare", data, "--peers", "popularity,histogram", "--seeds", 2, "--options", options, "--out", out]
    assert call(*command) == 0
    shown, told = capsys.readouterr()
    assert "0/6 seed 0, Conv4Rec" in told
    assert "6/6 finished" in told
    for words in ("Conv4Rec", "popularity", "level histogram", "ECE of P(level | consumed)", "fit, s", "verdict"):
        assert words in shown
    names = {path.name for path in out.iterdir()}
    figures = {f"{name}.{suffix}" for name in ("comparison", "reliability") for suffix in ("pdf", "png")}
    assert names == figures | {"data.json", "differences.csv", "fits", "fits.json", "table.csv", "users.parquet"}
    fits = json.loads((out / "fits.json").read_text())
    assert fits[0]["options"].items() >= json.loads(options.read_text()).items()
    # All others are told, too: what is kept belongs to them.
    assert fits[0]["options"]["redraw"]
    assert call(*command) == 0
    assert "seed 0" not in capsys.readouterr().err


def test_compare_runs_what_is_installed_and_says_what_is_not(data, options, capsys, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    out = data.parent / "alone"
    assert call("compare", data, "--peers", "als", "--seeds", 1, "--options", options, "--out", out) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "implicit ALS: not installed; add them with: pip install 'conv4rec[peers]'" in shown
    assert pl.read_csv(out / "table.csv")["system"].to_list() == ["Conv4Rec"]
    # A model alone has no differences.
    assert "verdict" not in shown
    assert not (out / "differences.csv").exists()


def test_evaluate_measures_a_run_that_took_its_options_from_a_file_and_is_forgotten_with_its_weights(
    data, options, capsys
):
    run = data.parent / "run"
    assert call("train", data, "--out", run, "--options", options, "--epochs", 1) == 0
    model = Conv4Rec.load(run)
    assert (model.options.epochs, model.architecture.code) == (1, 4)
    assert call("evaluate", run) == 0
    shown = capsys.readouterr().out
    assert "NDCG@100" in shown
    assert {path.name for path in (run / "evaluation").iterdir()} == {
        *("fits.json", "table.csv", "users.parquet", "reliability.pdf", "reliability.png")
    }
    # What was measured of other weights does not stay beside these.
    assert call("train", data, "--options", options, "--epochs", 0, "--out", run, "--force") == 0
    assert not list((run / "evaluation").iterdir())


def test_search_writes_options_that_train_reads(data, capsys):
    out = data.parent / "search"
    assert call("search", data, "--trials", 2, "--epochs", 1, "--device", "cpu", "--out", out) == 0
    assert "best trials" in capsys.readouterr().out
    assert call("train", data, "--options", out / "options.json", "--out", data.parent / "best") == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[1]", "holds [1]; expected an object"),
        ('{"seed": 3}', "holds seed; expected"),
        ('{"codes": 3}', "holds codes; expected"),
    ],
)
def test_options_that_cannot_be_used_are_one_sentence(content, words, data, tmp_path, capsys):
    path = tmp_path / "options.json"
    path.write_text(content)
    assert call("compare", data, "--options", path, "--out", tmp_path / "out") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert not (tmp_path / "out").exists()


def test_refusals_are_one_sentence(data, tmp_path, capsys):
    assert call("compare", data, "--peers", "nobody", "--out", tmp_path / "out") == 2
    assert "different names of: popularity" in capsys.readouterr().err
    assert call("evaluate", tmp_path) == 2
    assert "there is no run" in capsys.readouterr().err
    assert call("compare", tmp_path / "none.csv") == 2
