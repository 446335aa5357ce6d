"""The command that runs a study: options override the file, and what is printed is written."""

import json
import re
import sys
from pathlib import Path

import polars as pl
import pytest

from conv4rec_experiments import cli

FILE = """
truths = ["small"]
sizes = [2e3, 4e3]
seeds = 3

[fits]
starts = 1
kept = 1
screening = 2
iterations = 2
rounds = 1
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, with a study file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(FILE)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run ``conv4rec study`` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["conv4rec", "study", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(str(ended.value.code))


def test_options_override_the_file_and_all_that_is_printed_is_written(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--seeds", 1, "--delta", 0.1, "--theorems", "T5,T6", "--sizes", "2e3,5000", "--out", "out")
    assert call(monkeypatch, "mine.toml", *options) == 0
    printed = capsys.readouterr().out
    for words in ("2/2 replicates", "histogram_tv", "tightness_50", "receipt.html", "convergence_small_0.png"):
        assert words in printed
    written = printed.split("written:")[1].split()
    assert len(written) > 5
    assert all((place / line).stat().st_size for line in written)
    kept = json.loads((place / "out" / "study.json").read_text())
    assert (kept["name"], kept["sizes"], kept["seeds"]) == ("mine", [2000, 5000], [0])
    assert (kept["delta"], kept["theorems"]) == (0.1, ["T5", "T6"])
    table = pl.read_parquet(place / "out" / "certificates.parquet")
    assert table.select("size", "theorem").rows() == [(2000, "T5"), (2000, "T6"), (5000, "T5"), (5000, "T6")]

    assert call(monkeypatch, "mine.toml", *options, "--truth", "small", "--truth-seed", 2) == 2
    assert "out belongs to a study with another truths" in capsys.readouterr().err
    # What is written down runs again, and finds everything there.
    assert call(monkeypatch, "out/study.toml", "--out", "out") == 0
    assert pl.read_parquet(place / "out" / "certificates.parquet").equals(table)


def test_another_truth_without_certificates_goes_into_the_folder_of_the_studys_name(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--truth", "small", "--truth-seed", 3, "--sizes", "2e3", "--seeds", 1, "--theorems", "none")
    assert call(monkeypatch, *options) == 0
    printed = capsys.readouterr().out
    assert "tightness_50" not in printed
    assert "receipt" not in printed
    table = pl.read_parquet(place / "studies" / "quick" / "measures.parquet")
    assert table.select("truth", "truth_seed", "size", "seed").unique().rows() == [("small", 3, 2000, 0)]


def test_every_printed_certificate_has_a_name_of_its_own(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "mine.toml", "--seeds", 1, "--theorems", "T7f", "--sizes", "2e3", "--out", "out") == 0
    counted = capsys.readouterr().out.split("certificates against what they bound")[1].split("written:")[0]
    told = [re.split(r" {2,}", line.strip())[4] for line in counted.splitlines() if "upper" in line]
    assert sorted(told) == ["T7f", "T7f, fit", "T7f, fit, coarse"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("referense",), "no study file referense; did you mean 'reference'?"),
        (("bad.toml",), "bad.toml: the study has no key 'sises'; did you mean 'sizes'?"),
        (("--truth-seed", "3"), "--truth-seed says nothing without --truth"),
        (("--theorems", "T0"), "'T0', which is unknown"),
        (("--delta", "1"), "delta is 1.0"),
        (("--workers", "0"), "--workers"),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "which has workers of its own"),
    ],
)
def test_errors_are_one_sentence(
    arguments: tuple[str, ...],
    words: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (place / "bad.toml").write_text("sises = [1e3]")
    assert call(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("conv4rec: ")
    assert said.count("\n") == 1
    assert words in said
