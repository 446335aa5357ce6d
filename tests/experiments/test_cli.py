"""Every command once; every error one sentence and exit code 2."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from conv4rec_experiments import cli, convergence, demo
from conv4rec_experiments.fitting import Settings as Fits

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
    for command in ("train", "certify", "demo", "study", "profile", "recommend"):
        assert f"\n  {command} " in done.stdout


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
    assert "conv4rec certify" in printed


def test_train_resumes(trained, data, capsys):
    code = call(
        *("train", data, "--out", trained, "--channels", 2, "--code", 3),
        *("--epochs", 3, "--device", "cpu", "--resume"),
    )
    assert code == 0
    assert "Trained 3 epochs" in capsys.readouterr().out


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


def test_profile_and_recommend_speak_of_the_users_asked_for(trained, capsys):
    assert call("profile", trained, 7, "-k", 5) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 7
    assert printed[1].split() == ["item", "seen", "p_consume", "expected_level", "p_high", "p_1.0", "p_2.0", "p_3.0"]
    assert call("recommend", trained, 7, 3, "-k", 2) == 0
    printed = capsys.readouterr().out
    assert printed.index("user 7") < printed.index("user 3")
    assert call("recommend", trained, 7, "--gems", "-k", 2) == 0
    assert "p_high" in capsys.readouterr().out


def test_study_and_demo_write_what_they_print(tmp_path, monkeypatch, capsys):
    few = Fits(starts=1, kept=1, screening=2, iterations=2, rounds=1)

    @dataclass(frozen=True)
    class Quick(convergence.Study):
        settings: Fits = few

    monkeypatch.setattr(convergence, "Study", Quick)
    out = tmp_path / "study"
    assert call("study", "--truth", "small", "--sizes", "2e3,4000", "--seeds", 1, "--out", out) == 0
    assert "histogram_tv" in capsys.readouterr().out
    assert {"convergence.csv", "convergence.json", "convergence.png"} <= {path.name for path in out.iterdir()}
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
    "no run": (["certify", "{folder}"], "model.json"),
    "delta": (["certify", "{run}", "--delta", "1.5"], "delta"),
    "unknown user": (["profile", "{run}", "99"], "99"),
    "user of another type": (["recommend", "{run}", "7", "ann"], "ann"),
    "a user beyond 64 bits": (["recommend", "{run}", "9" * 40], "9" * 40),
    "k": (["recommend", "{run}", "7", "-k", "0"], "-k"),
    "sizes": (["study", "--sizes", "1e3,many"], "many"),
    "unknown truth": (["study", "--truth", "beauty"], "beauty"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_sentence_and_exit_code_2(case, trained, data, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("user,item,rating\n1,2,3\n1,3,many\n")
    (tmp_path / "empty.csv").write_text("")
    arguments, named = ERRORS[case]
    places = {"folder": tmp_path, "data": data, "run": trained}
    assert call(*(argument.format(**places) for argument in arguments)) == 2
    said = capsys.readouterr()
    assert said.err.startswith("conv4rec: ")
    assert said.err.count("\n") == 1
    assert named in said.err
    assert "Traceback" not in said.err


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
    assert "interrupted" in capsys.readouterr().err
