"""Every command once; every error one sentence and exit code 2."""

import csv
import json
import os
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments import cli, demo
from conv4rec_experiments.explaining.files import EXPLAINED
from conv4rec_experiments.fits.fitting import Settings as Fits
from conv4rec_experiments.studies.receipt import load_receipt, write_receipt
from toy_receipt import TABLE

HEAVY = ("torch", "sympy", "polars", "matplotlib", "scipy", "numpy", "jinja2", "flint", "conv4rec_bounds")


def lines(users=30, items=12, each=8):
    rng = np.random.default_rng(0)
    rows = ["user,item,rating"]
    for user in range(users):
        rows += [f"{user},{name},{rng.integers(1, 4)}" for name in rng.choice(items, each, replace=False)]
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "ratings.csv"
    path.write_text(lines())
    return path


@pytest.fixture(scope="module")
def trained(data):
    run = data.parent / "run"
    assert call("train", data, "--out", run, "--channels", 2, "--code", 3, "--epochs", 2, "--device", "cpu") == 0
    return run


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


def test_help_is_light():
    script = (
        "import sys\nfrom conv4rec_experiments import cli\nsys.argv = ['conv4rec', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as ended:\n    assert ended.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in (
        "train",
        "compare",
        "evaluate",
        "search",
        "certify",
        "plan",
        "monitor",
        "regions",
        "demo",
        "study",
        "profile",
        "recommend",
        "gems",
        "explain",
    ):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", ["certify", "plan"])
def test_the_help_names_the_smoothing_that_is_taken(command, capsys):
    assert call(command, "--help") == 0
    assert f"in the certified predictor; {DEFAULT_SMOOTHING}." in " ".join(capsys.readouterr().out.split())


def test_an_error_of_the_entry_leaves_no_traceback(tmp_path):
    code = "from conv4rec_experiments.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "certify", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_train_says_what_was_read_and_what_comes_next(trained, data, capsys):
    assert call("train", data, "--out", trained.parent / "other", "--code", 2, "--epochs", 1, "--device", "cpu") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "240 interactions of 30 users with 12 items at 3 levels" in printed
    assert "Trained 1 epochs and kept epoch" in printed
    assert "Its mean losses in nats: " in printed
    assert "There is no" not in printed
    assert "conv4rec certify" in printed


def test_train_resumes(data, tmp_path, capsys):
    options = tmp_path / "options.json"
    options.write_text('{"channels": 2, "code": 3, "schedule": "constant"}')
    arguments = ("train", data, "--out", tmp_path / "run", "--options", options, "--device", "cpu")
    assert call(*arguments, "--epochs", 1) == 0
    assert call(*arguments, "--epochs", 3, "--resume") == 0
    assert "Trained 3 epochs" in capsys.readouterr().out
    # A step size that falls with the number of epochs makes it another training.
    assert call("train", data, "--out", tmp_path / "run", "--device", "cpu", "--resume") == 2
    assert "belongs to a training with other data, sizes or options" in capsys.readouterr().err


def test_certify_prints_and_writes(trained, capsys):
    assert call("certify", trained, "--delta", 0.1) == 0
    printed = capsys.readouterr().out
    for words in ("held out", "popularity", "uniform", "T1", "T6 refuses", "T9-pool", "confidence 90 %"):
        assert words in printed
    for name in ("report.html", "certificates.csv", "certificates.json", "losses.csv", "certificates.pdf"):
        assert (trained / name).stat().st_size
        assert name in printed
    assert json.loads((trained / "certificates.json").read_text())["delta"] == 0.1
    assert not list(trained.glob("*.part"))


def test_a_page_cites_a_receipt(trained, tmp_path, capsys):
    receipt, _ = write_receipt(TABLE, {"name": "toy"}, tmp_path)
    assert call("certify", trained, "--receipt", receipt) == 0
    assert load_receipt(receipt).short in (trained / "report.html").read_text()
    table = tmp_path / "table.csv"
    table.write_text("log_probability\n" + "-1.5\n" * 500)
    out = tmp_path / "elsewhere"
    common = ("certify", "--log-probabilities", table, "--cells", 90, "--independent", "--out", out)
    assert call(*common, "--receipt", receipt) == 0
    assert load_receipt(receipt).short in (out / "report.html").read_text()
    assert call(*common, "--receipt", table) == 2
    assert "is no coverage receipt" in capsys.readouterr().err


def test_gems_are_those_of_the_report(trained, capsys):
    assert call("certify", trained, "--independent-levels") == 0
    capsys.readouterr()
    assert call("gems", trained, "--wanted", 0.01, "--segment", "all", "-k", 2) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for words in (
        "certified to be at least 0.01",
        "base rate",
        "examples; the pool is certified",
        "gems.csv",
        "gems.pdf",
    ):
        assert words in printed
    table = csv.DictReader((trained / "gems.csv").read_text().splitlines())
    (certified,) = (
        row["quantities"]
        for row in json.loads((trained / "certificates.json").read_text())["certificates"]
        if row["theorem"] == "T9-gems"
    )
    rows = list(table)
    assert {row["segment"] for row in rows} == {"all"}
    for row in rows:
        assert float(row["lower_end"]) == certified[f"all users, at least {float(row['threshold']):g}, lower end"]
        assert row["delta"] == "0.05"
    assert call("gems", trained, "--wanted", 0.99) == 0
    assert "all users: no pool is certified so" in capsys.readouterr().out
    assert call("gems", trained, "--segment", "loud") == 2
    assert "no segment 'loud'" in capsys.readouterr().err
    assert call("gems", trained, "--least-interactions", 2) == 2
    assert "has another floor than 2 training interactions" in capsys.readouterr().err
    assert call("certify", trained, "--least-interactions", 2) == 0
    assert not (trained / "gems.csv").exists()
    assert call("gems", trained) == 2
    assert f"anew with: conv4rec certify {trained}\n" in capsys.readouterr().err
    assert call("gems", trained, "--least-interactions", 2, "--wanted", 0.01) == 0
    assert "hidden gems of items of 2 training interactions or more" in " ".join(capsys.readouterr().out.split())
    table = csv.DictReader((trained / "gems.csv").read_text().splitlines())
    assert {row["least_interactions"] for row in table} == {"2"}
    (trained / "certificates.json").unlink()
    assert call("gems", trained) == 2
    assert "holds no certificates; make them with: conv4rec certify" in capsys.readouterr().err


def test_certify_speaks_of_new_users_only_where_they_are_declared(trained):
    def about_new_users():
        return next(
            row
            for row in json.loads((trained / "certificates.json").read_text())["certificates"]
            if row["theorem"] == "T3"
        )

    assert call("certify", trained) == 0
    assert about_new_users()["status"] == "refused"
    assert call("certify", trained, "--independent-users") == 0
    assert about_new_users()["value"] > 0


def test_certify_takes_weights_and_tables_from_elsewhere(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "model.npz", V=rng.normal(size=(2, 9)), W=rng.normal(size=(9, 2)))
    declared = ("--pool", "--fixed-profile", "--independent-users", "--cut")
    measured = ("--scored", 500, "--risk", 2.0, "--users", 40, "--user-risk", 2.1, "--masked", "--cells", 8)
    layers = ("--map", "encode=V,decode=W", "--transpose", "encode", "--activations", "identity,tanh")
    out = ("--out", tmp_path / "weights")
    assert (
        call("certify", "--weights", tmp_path / "model.npz", *layers, *declared, *measured, *out, "--delta", 0.1) == 0
    )
    printed = " ".join(capsys.readouterr().out.split())
    assert "confidence 90 %" in printed
    assert "T1: The bound" in printed
    rows = {
        row["theorem"]: row
        for row in json.loads((tmp_path / "weights" / "certificates.json").read_text())["certificates"]
    }
    assert rows["T1"]["target"].startswith("mean loss over the scored users' own pools")
    assert rows["T9"]["status"] == "refused"
    declared = json.loads((tmp_path / "weights" / "certificates.json").read_text())["origin"]["declared"]
    assert declared["sampling"] == "finite pool"
    assert (declared["profile"], declared["users"]) == ("fixed", "cut")
    assert rows["T3"]["target"].startswith("risk of a new user with as many interactions in each part")

    table = tmp_path / "table.csv"
    table.write_text("log_probability\n" + "-1.5\n" * 500)
    common = ("certify", "--log-probabilities", table, "--cells", 90, "--smoothing", 0.02)
    assert call(*common, "--independent", "--out", tmp_path / "drawn") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "T9: The bound" in printed
    assert "With confidence 95 %: the risk of the smoothed predictor" in printed
    assert call(*common, "--pool", "--pool-size", 800, "--out", tmp_path / "pool") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "T9-pool: The bound" in printed
    assert "No certificate has a value" not in printed
    assert call(*common, "--out", tmp_path / "neither") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "T9 refuses (A2)" in printed
    assert "No certificate has a value; declare --independent or --pool if it is true." in printed
    assert "self-reconstruction" not in printed


def test_plan_prints_and_writes(tmp_path, capsys):
    sizes = ("--items", 50, "--levels", 2, "--channels", 2, "--code", 4, "--norms", "encode=1.5", "--users", 30)
    wish = ("--theorem", "T1", "--theorem", "T6", "--theorem", "T9", "--wanted", 1.5, "--set", "D=3")
    assert call("plan", *sizes, *wish, "--out", tmp_path) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "T1 " in printed
    assert "scored interactions" in printed
    assert "T6 bounds a share" in printed
    kept = json.loads((tmp_path / "plan.json").read_text())
    assert kept["setting"]["others"] == {"D": 3.0}
    assert kept["setting"]["norms"]["encode"] == 1.5
    assert [row["needed"] is None for row in kept["plans"]] == [False, True, False]
    for row in kept["plans"]:
        assert row["needed"] is None or f"{row['needed']:,}" in printed
    for name in ("plan.csv", "plan_curves.csv", "plan.pdf", "plan.png"):
        assert name in printed
        assert (tmp_path / name).stat().st_size


def test_profile_and_recommend_speak_of_the_users_asked_for(trained, capsys):
    assert call("profile", trained, 7, "-k", 5) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 7
    assert printed[1].split() == ["item", "seen", "p_consume", "expected_level", "p_high", "p_1.0", "p_2.0", "p_3.0"]
    assert call("recommend", trained, 7, 3, "07", 7, "-k", 2) == 0
    printed = capsys.readouterr().out
    assert printed.index("user 7") < printed.index("user 3")
    assert printed.count("user 7") == 1
    assert call("recommend", trained, 7, "--gems", "-k", 2) == 0
    assert "p_high" in capsys.readouterr().out
    assert call("recommend", trained, 7, "--gems", "--least-interactions", 10**6) == 2
    assert "no item has more than" in capsys.readouterr().err
    assert call("recommend", trained, 7, "--least-interactions", 2) == 2
    assert "says nothing without --gems" in capsys.readouterr().err


def test_new_users_are_recommended_to(trained, tmp_path, capsys):
    history = tmp_path / "history.csv"
    history.write_text("who,item,rating\nann,3,1\nann,99,2\nbo,4,3\n")
    ask = ("recommend", trained, "--history", history, "--user", "who", "-k", 3)
    assert call(*ask) == 2
    assert "item 99 is not among the 12 items of the model" in capsys.readouterr().err
    assert call(*ask, "--skip-unknown") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Left out, as the run does not know these items: 99.\n")
    assert printed.index("user ann") < printed.index("user bo")
    assert call(*ask, "--skip-unknown", "--gems", "bo") == 0
    printed = capsys.readouterr().out
    assert "user ann" not in printed
    assert "p_high" in printed


def test_explain_prints_and_writes_and_is_forgotten_with_its_weights(data, tmp_path, capsys):
    train = ("train", data, "--out", tmp_path, "--channels", 2, "--code", 2, "--device", "cpu", "--epochs")
    assert call(*train, 1) == 0
    titles = tmp_path.with_suffix(".csv")
    titles.write_text("item,title\n7,Seven Samurai\n")
    capsys.readouterr()
    assert call("explain", tmp_path, "--user", 7, "--titles", titles) == 0
    printed = capsys.readouterr().out
    for words in ("variance_share", "explained.html", "mixing.pdf", "user.png", "catalogue.csv"):
        assert words in printed
    page = (tmp_path / "explained.html").read_text()
    assert "Items of user 7<" in page
    assert "Seven Samurai" in (tmp_path / "catalogue.csv").read_text()
    assert call(*train, 1, "--resume") == 0
    assert not [path for name in EXPLAINED for path in tmp_path.glob(name)]


def test_study_and_demo_write_what_they_print(tmp_path, monkeypatch, capsys):
    few = Fits(starts=1, kept=1, screening=2, iterations=2, rounds=1)
    file = tmp_path / "few.toml"
    file.write_text(
        'name = "few"\ntruths = ["small"]\nsizes = [2e3, 4000]\nseeds = 2\n'
        "[fits]\nstarts = 1\nkept = 1\nscreening = 2\niterations = 2\nrounds = 1\n"
    )
    out = tmp_path / "study"
    assert call("study", file, "--seeds", 1, "--theorems", "T6", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "histogram_tv" in printed
    assert "T6" in printed
    assert {"measures.csv", "certificates.parquet", "receipt.html", "figures"} <= {path.name for path in out.iterdir()}
    tiny = demo.Settings(
        truth="small",
        scored=500,
        validation=100,
        held_out=100,
        training={**demo.TRAINING, "epochs": 1},
        sizes=(2000, 4000),
        seeds=(0,),
        fits=few,
    )
    monkeypatch.setattr(demo, "Settings", lambda: tiny)
    assert call("demo", "--out", tmp_path / "out") == 0
    assert "report.html" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").exists()


ERRORS = {
    "no such file": (["train", "{folder}/missing.csv"], "missing.csv"),
    "bad rating": (["train", "{folder}/bad.csv", "--out", "{folder}/x"], "line 3"),
    "empty file": (["train", "{folder}/empty.csv"], "empty"),
    "no times": (["train", "{data}", "--protocol", "time", "--out", "{folder}/x"], "times"),
    "unknown protocol": (["train", "{data}", "--protocol", "dice"], "dice"),
    "unknown device": (["train", "{data}", "--device", "abacus", "--out", "{folder}/x"], "abacus"),
    "out is a file": (["train", "{data}", "--epochs", "0", "--out", "{folder}/empty.csv"], "empty.csv"),
    "unknown option": (["certify", "{run}", "--colour"], "--colour"),
    "unknown command": (["certifie"], "certifie"),
    "no run": (
        ["certify", "{folder}"],
        "there is no run in {folder}; make one with: conv4rec train DATA --out {folder}",
    ),
    "a run that exists": (["train", "{data}", "--out", "{run}"], "give --resume to continue it, --force to replace it"),
    "resume and force": (["train", "{data}", "--out", "{run}", "--resume", "--force"], "give one of them"),
    "no header": (
        ["train", "{folder}/bare.csv", "--out", "{folder}/x"],
        "with --user, or all columns with --columns A,B,",
    ),
    "no such column": (["train", "{data}", "--level", "stars", "--out", "{folder}/x"], "correct --level 'stars'"),
    "contradiction": (["train", "{data}", "--level", "rating", "--implicit"], "--level 'rating' and --implicit contra"),
    "level outside": (["train", "{data}", "--levels", "1,2", "--out", "{folder}/x"], "add it to --levels"),
    "levels not sorted": (["train", "{data}", "--levels", "2,1", "--out", "{folder}/x"], "--levels 2.0,1.0 must be"),
    "a pair twice": (["train", "{folder}/twice.csv", "--duplicates", "error"], "choose --duplicates 'last', 'first'"),
    "delta": (["certify", "{run}", "--delta", "1.5"], "delta"),
    "unknown user": (["profile", "{run}", "99"], "99"),
    "user of another type": (["recommend", "{run}", "7", "ann"], "ann"),
    "a user beyond 64 bits": (["recommend", "{run}", "9" * 40], "9" * 40),
    "nobody to explain": (["explain", "{run}", "--user", "99"], "user 99 is not in the data"),
    "no titles": (["explain", "{run}", "--titles", "{folder}/bare.csv"], "no single column of titles"),
    "nobody to recommend to": (["recommend", "{run}"], "give a file of new users with --history"),
    "columns of no history": (["recommend", "{run}", "7", "--item", "x"], "--item says nothing without --history"),
    "not in the history": (["recommend", "{run}", "99", "--history", "{data}"], "user 99 is not in the data"),
    "k": (["recommend", "{run}", "7", "-k", "0"], "-k"),
    "sizes": (["study", "--sizes", "1e3,many"], "many"),
    "nothing to certify": (["certify"], "give one thing to certify"),
    "two things to certify": (["certify", "{run}", "--weights", "x.npz"], "give one thing to certify"),
    "an option of weights": (
        ["certify", "{run}", "--cells", "5"],
        "--cells does not go with RUN; it goes with --weights",
    ),
    "an option of tables": (["certify", "--weights", "x.npz", "--pool-size", "5"], "goes with --log-probabilities"),
    "a folder for a run": (["certify", "{run}", "--out", "x"], "--out does not go with RUN"),
    "a cut of given users": (["certify", "--weights", "x.npz", "--cut"], "nothing without --independent-users"),
    "masks of no means": (["certify", "--weights", "x.npz", "--masked"], "nothing without --user-risk"),
    "two declarations": (["certify", "--log-probabilities", "x", "--pool", "--independent"], "the one that is true"),
    "no weights": (["certify", "--weights", "{folder}/x.npz", "--activations", "tanh,tanh"], "x.npz: No such file"),
    "no table": (["certify", "--log-probabilities", "{folder}/x.csv"], "x.csv: No such file"),
    "no activations": (["certify", "--weights", "{folder}/x.npz"], "such as identity,tanh"),
    "half a loss": (["certify", "--weights", "x.npz", "--scored", "5"], "give --risk, too"),
    "the other half": (
        ["certify", "--weights", "x.npz", "--activations", "tanh,tanh", "--risk", "5"],
        "give --scored, too",
    ),
    "a truth's loss alone": (
        ["certify", "--weights", "x.npz", "--truth-risk", "5"],
        "--truth-risk says nothing with",
    ),
    "users alone": (["certify", "--weights", "x.npz", "--users", "5"], "nothing without --risk or --user-risk; give"),
    "a mean over no users": (["certify", "--weights", "x.npz", "--user-risk", "5"], "give --users, too"),
    "a size of no pool": (["certify", "--log-probabilities", "x", "--pool-size", "5"], "--pool-size says nothing wit"),
    "whole users of none": (["certify", "--log-probabilities", "x", "--whole-users"], "nothing without --user-scores"),
    "levels of weights": (["certify", "--weights", "x.npz", "--level-range", "4"], "goes with --log-probabilities"),
    "cells of users": (["certify", "--user-scores", "x", "--cells", "4"], "--cells does not go with --user-scores"),
    "half a map": (["certify", "--weights", "x.npz", "--map", "lift", "--activations", "tanh,tanh"], "write it as A=B"),
    "no such theorem": (["plan", "--theorem", "T0"], "there is no theorem 'T0'; choose T1"),
    "out of reach": (["plan", "--theorem", "T6", "--wanted", "1"], "at most 1"),
    "no norm": (["plan", "--norms", "encode=long"], "'long' is no number"),
    "unknown truth": (["study", "--truth", "beauty"], "beauty"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence_and_exit_code_2(case, trained, data, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("user,item,rating\n1,2,3\n1,3,many\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bare.csv").write_text("1,2,3\n1,3,4\n")
    (tmp_path / "twice.csv").write_text("user,item\n1,2\n1,2\n")
    arguments, named = ERRORS[case]
    places = {"folder": tmp_path, "data": data, "run": trained}
    assert call(*(argument.format(**places) for argument in arguments)) == 2
    said = capsys.readouterr()
    assert said.err.startswith("conv4rec: ")
    assert said.err.count("\n") == 1
    assert named.format(**places) in said.err
    assert "Traceback" not in said.err


def test_a_user_who_has_seen_everything_gets_a_sentence(tmp_path, capsys):
    path = tmp_path / "ratings.csv"
    path.write_text(lines() + "".join(f"all,{name},{1 + name % 3}\n" for name in range(12)))
    run = tmp_path / "run"
    assert call("train", path, "--out", run, "--code", 2, "--epochs", 1, "--device", "cpu") == 0
    capsys.readouterr()
    assert call("recommend", run, "all", "7", "all") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("user all has seen every item; nothing is left to recommend.\nuser 7 ")
    assert printed.count("user all") == 1
    assert call("recommend", run, "all", "--gems") == 0
    assert capsys.readouterr().out == "user all has seen every item; no hidden gem is left.\n"


def test_a_new_training_replaces_the_whole_run(data, tmp_path, capsys):
    train = ("train", data, "--out", tmp_path, "--code", 2, "--device", "cpu", "--epochs")
    stale = [tmp_path / name for name in ("report.html", "losses.csv", "certificates.json", "certificates.png")]

    def old():
        for path in stale:
            path.write_text("old")

    old()
    assert call(*train, 1) == 0
    assert not any(path.exists() for path in stale)
    old()
    assert call(*train, 2, "--patience", 3) == 2
    assert "--force" in capsys.readouterr().err
    assert call(*train, 2, "--force", "--device", "abacus") == 2
    assert (tmp_path / "model.json").exists()
    assert all(path.exists() for path in stale)
    assert call(*train, 1, "--resume") == 0
    assert not any(path.exists() for path in stale)
    old()
    assert call(*train, 1, "--force", "--weight-decay", 0.5, "--profile-dropout", 0, "--patience", 3) == 0
    assert not any(path.exists() for path in stale)
    training = json.loads((tmp_path / "model.json").read_text())["training"]
    assert (training["weight_decay"], training["profile_dropout"], training["patience"]) == (0.5, 0.0, 3)
    (tmp_path / "model.json").unlink()
    assert call(*train, 1) == 2
    assert call("profile", tmp_path, 7) == 2
    assert f"training in {tmp_path} was interrupted; continue with --resume" in capsys.readouterr().err


def test_levels_are_ordered_and_columns_named(tmp_path, capsys):
    path = tmp_path / "bare.csv"
    events = ("view", "cart", "buy")
    path.write_text("".join(f"{k % 9},{k % 7},{events[k % 3]}\n" for k in range(63)))
    given = ("--columns", "who, what,event", "--user", "who", "--item", "what", "--level", "event")
    fast = ("--code", 2, "--epochs", 0, "--device", "cpu", "--duplicates", "keep")
    assert call("train", path, *given, *fast, "--levels", "view,cart,buy", "--out", tmp_path / "names") == 0
    assert "at 3 levels (view < cart < buy)" in " ".join(capsys.readouterr().out.split())
    path.write_text(path.read_text().replace("view", "1").replace("cart", "2").replace("buy", "3"))
    assert call("train", path, *given, *fast, "--levels", "1,2,3,4", "--out", tmp_path / "numbers") == 0
    assert "at 4 levels (1.0 < 2.0 < 3.0 < 4.0)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("epochs", "losses"), [(0, False), (1, True)])
def test_train_names_the_parts_that_are_missing(epochs, losses, tmp_path, capsys):
    path = tmp_path / "few.csv"
    path.write_text("user,item,rating,time\n1,1,1,1\n1,2,2,1\n2,1,1,2\n2,2,2,2\n")
    options = ("--protocol", "time", "--epochs", epochs, "--code", 2, "--device", "cpu", "--out", tmp_path / "run")
    assert call("train", path, *options) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "no validation part: training cannot stop early." in printed
    assert "no held-out part: no held-out certificate." in printed
    assert ("losses in nats: train joint" in printed) == losses
    assert "nats: ." not in printed
    advice = "kept epoch 0: training did not improve on the start values; try a lower --learning-rate or more --epochs."
    assert (advice in printed) == (epochs == 0)


def test_the_version_is_that_of_the_package(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"conv4rec {version('conv4rec')}\n"


def test_a_checkpoint_has_the_mode_of_other_files(data, tmp_path):
    before = os.umask(0o027)
    try:
        assert call("train", data, "--out", tmp_path, "--code", 2, "--epochs", 1, "--device", "cpu") == 0
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


def test_a_defect_of_the_program_is_not_hidden(monkeypatch, trained):
    def broken(*_, **__):
        raise ValueError("a defect")

    monkeypatch.setattr("conv4rec_experiments.runs.certify_run", broken)
    monkeypatch.setattr(sys, "argv", ["conv4rec", "certify", str(trained)])
    with pytest.raises(ValueError, match="a defect"):
        cli.main()


def test_an_interruption_says_so(monkeypatch, trained, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("conv4rec_experiments.runs.certify_run", interrupted)
    assert call("certify", trained) == 130
    assert "interrupted; what was finished is kept" in capsys.readouterr().err


def test_an_interrupted_training_says_how_to_continue(monkeypatch, data, tmp_path, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("conv4rec_experiments.runs.train_run", interrupted)
    assert call("train", data, "--out", tmp_path / "a run", "--force", "--epochs", 3) == 130
    command = f"conv4rec train {data} --out '{tmp_path}/a run' --epochs 3 --resume"
    assert capsys.readouterr().err == f"conv4rec: interrupted; continue with: {command}\n"


def test_the_module_runs_as_the_command_does():
    shown = subprocess.run(
        [sys.executable, "-m", "conv4rec_experiments.cli", "study", "nowhere.toml"], capture_output=True, text=True
    )
    assert shown.returncode == 2
    assert shown.stderr.startswith("conv4rec: ")
