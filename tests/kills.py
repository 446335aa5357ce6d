"""Kill a running study again and again, and compare its tables with those of a run in peace.

``python tests/kills.py 20`` does so twenty times and prints what it found.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from conv4rec_experiments.studies.parts import run
from conv4rec_experiments.studies.study import Study

STUDY = """
truths = ["small"]
sizes = [1e3, 4e3]
seeds = {seeds}
batch = 2
theorems = ["T6", "T9"]

[fits]
starts = 2
kept = 1
screening = 10
iterations = 40
"""
TABLES = ("certificates", "groups", "measures")
PATIENCE = 120


@dataclass(frozen=True)
class Outcome:
    """What kills did to a study.

    Attributes
    ----------
    kills, of_groups
        Processes that were killed at work, and how many of these kills were of the whole process group; the others
        were of the main process alone, whose workers have to end by themselves.
    torn
        Kills after which the folder held a file that was not whole.
    equal
        For each table, whether its bytes are those of the run in peace once it is sorted and has lost its timings.
    parts, expected
        Parts in the folder at the end, and parts of the study.
    leftovers
        Files in the folder that are neither parts nor tables: temporary ones above all.
    """

    kills: int
    of_groups: int
    torn: int
    equal: dict[str, bool]
    parts: int
    expected: int
    leftovers: tuple[str, ...]


def plain_bytes(path: Path) -> bytes:
    """A table's bytes in one order of rows, timings aside."""
    table = pl.read_parquet(path).drop("seconds", strict=False)
    buffer = BytesIO()
    table.sort(table.columns).write_parquet(buffer)
    return buffer.getvalue()


def kill_again_and_again(place: Path, kills: int, seeds: int, seed: int = 0) -> Outcome:
    """Run a study in peace and another time with so many random kills; compare."""
    file = place / "killed.toml"
    file.write_text(STUDY.format(seeds=seeds))
    study = Study.from_toml(file)
    peace, folder = place / "peace", place / "killed"
    run(study, peace, progress=False)

    rng, done, of_groups, torn = np.random.default_rng(seed), 0, 0, 0
    while done < kills:
        # Whatever is to be killed at is still ahead: a kill needs a part that is not there yet.
        if _whole_parts(folder) >= len(study.parts()):
            raise RuntimeError(f"the study was over after {done} kills; give it more seeds")
        group = bool(rng.random() < 0.7)
        if _killed_at_work(file, folder, _whole_parts(folder) + int(rng.integers(3)), 0.4 * rng.random(), group=group):
            done += 1
            of_groups += group
            torn += bool(list(folder.rglob("*.part")))
    subprocess.run(_command(file, folder), check=True, capture_output=True)

    found = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    known = {f"{name}.{kind}" for name in TABLES for kind in ("parquet", "csv")}
    known |= {"parts", "figures", "study.toml", "study.json", "receipt.json", "receipt.html", ".lock"}
    return Outcome(
        kills=done,
        of_groups=of_groups,
        torn=torn,
        equal={
            name: plain_bytes(folder / f"{name}.parquet") == plain_bytes(peace / f"{name}.parquet") for name in TABLES
        },
        parts=_whole_parts(folder),
        expected=len(study.parts()),
        leftovers=tuple(sorted({*found - known, *(str(path) for path in folder.rglob("*.part"))})),
    )


def _command(file: Path, folder: Path) -> list[str]:
    code = "from conv4rec_experiments.cli import main; main()"
    return [sys.executable, "-c", code, "study", str(file), "--workers", "2", "--out", str(folder)]


def _whole_parts(folder: Path) -> int:
    return len(list((folder / "parts" / "measures").glob("*.parquet")))


def _killed_at_work(file: Path, folder: Path, parts: int, delay: float, *, group: bool) -> bool:
    """Start the study, kill it some time after it has so many parts; False if it came to its end before."""
    process = subprocess.Popen(
        _command(file, folder), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + PATIENCE
    # At least until the run has taken the folder, so that the kill hits a study and not an interpreter at its start.
    while process.poll() is None and (_whole_parts(folder) < parts or not (folder / "study.json").exists()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no new part in {PATIENCE} s")
        time.sleep(0.01)
    time.sleep(delay)
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    ended = process.wait()
    while _group_lives(process.pid):
        if time.monotonic() > deadline:
            raise TimeoutError("workers outlived the process that had started them")
        time.sleep(0.01)
    return ended == -signal.SIGKILL


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as temporary:
        print(kill_again_and_again(Path(temporary), wanted, seeds=6 * wanted))
