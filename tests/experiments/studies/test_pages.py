"""What the pages on studies promise is there: every file of a run, and the meaning of every state."""

import re
from pathlib import Path

import pytest

from conv4rec_experiments.fits.outcomes import State

PAGES = Path(__file__).parents[3] / "docs" / "how-to"


def test_the_lines_of_python_write_every_file_that_the_page_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (PAGES / "study.md").read_text(encoding="utf-8")
    lines, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(lines.replace("seeds=(0, 1, 2)", "seeds=(0,)"), "study.md", "exec"), {})
    table = page.split("## What is in the folder")[1].split("\n\n")[1]
    for first, *others in (re.findall(r"`([^`]+)`", line.split("|")[1]) for line in table.splitlines()[2:]):
        stem = first.rpartition(".")[0]
        for name in (first, *(stem + other if other.startswith(".") else other for other in others)):
            assert (tmp_path / "results" / "mine" / name).exists(), name


def test_every_state_has_its_meaning_on_the_page() -> None:
    page = (PAGES / "measures.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([^`]+)` \|", page.split("`state` is one of")[1].split("## ")[0], re.MULTILINE)[1:] == [
        *State
    ]
