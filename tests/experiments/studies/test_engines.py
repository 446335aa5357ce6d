"""Where parts are computed changes no bit; workers that die lose nothing that is finished."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch
from polars.testing import assert_frame_equal
from threadpoolctl import threadpool_info

from conv4rec.errors import InputError
from conv4rec_experiments.studies import engines
from conv4rec_experiments.studies.engines import Measure, Work, engine
from conv4rec_experiments.studies.study import Part, Study, TruthChoice, software
from toy_measure import Toy

TESTS = Path(__file__).parents[2]
STUDY = Study("tiny", (TruthChoice("small"),), sizes=(1_000, 4_000, 9_000), seeds=(0, 1, 2, 3, 4), batch=2)
PARTS = STUDY.parts()


def computed(measure: Measure, workers: int = 1, scheduler: str | None = None) -> dict[Part, dict[str, pl.DataFrame]]:
    found: dict[Part, dict[str, pl.DataFrame]] = {}
    with closing(engine(Work(measure, STUDY, software()), PARTS, workers, scheduler)) as finished:
        for part, rows in finished:
            assert part not in found
            found[part] = rows
    return found


def assert_same(one: dict[Part, dict[str, pl.DataFrame]], other: dict[Part, dict[str, pl.DataFrame]]) -> None:
    assert one.keys() == other.keys() == set(PARTS)
    for part in PARTS:
        for name, frame in one[part].items():
            assert_frame_equal(frame.drop("seconds", strict=False), other[part][name].drop("seconds", strict=False))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[Part, dict[str, pl.DataFrame]]:
    return computed(Toy(tmp_path_factory.mktemp("diary")))


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    path = tmp_path / "diary"
    path.mkdir()
    return path


def processes(diary: Path) -> set[str]:
    return {path.name.split("-")[2] for path in diary.glob("*-*-*")}


def test_processes_find_the_same_bits_and_one_that_dies_costs_only_what_it_was_at(
    here: dict[Part, dict[str, pl.DataFrame]], diary: Path
) -> None:
    assert_same(computed(Toy(diary, pause=0.05, deadly=(4_000, 2)), workers=2), here)
    assert len(processes(diary)) >= 3
    assert str(os.getpid()) not in processes(diary)
    assert len(list((diary / "deaths").iterdir())) == 1
    # At most the two parts in hand were begun again.
    assert len(PARTS) < len(list(diary.glob("*-*-*"))) <= len(PARTS) + 2


def test_a_part_that_always_kills_its_worker_is_given_up_with_a_sentence(diary: Path) -> None:
    seen: list[Part] = []
    work = Work(Toy(diary, deadly=(4_000, 2), deaths=99), STUDY, software())
    with (
        pytest.raises(InputError, match=r"died 3 times at the same part.*what was finished is kept"),
        closing(engine(work, PARTS, 2, None)) as finished,
    ):
        seen.extend(part for part, _ in finished)
    assert len(seen) >= 3
    assert (4_000, (2, 3)) not in [(part.size, part.seeds) for part in seen]


def test_an_interrupt_ends_the_workers_in_the_middle_of_their_parts(diary: Path) -> None:
    deadline = time.monotonic() + 60

    def interrupt() -> None:
        while len(processes(diary)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with (
        pytest.raises(KeyboardInterrupt),
        closing(engine(Work(Toy(diary, pause=100), STUDY, software()), PARTS, 2, None)) as finished,
    ):
        next(finished)
    assert time.monotonic() < deadline
    assert len(processes(diary)) == 2
    assert not any(_lives(int(process)) for process in processes(diary))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_part_runs_under_the_threads_of_its_study() -> None:
    seen: list[tuple[int, set[int]]] = []

    def looks(study: Study, part: Part) -> dict[str, pl.DataFrame]:
        seen.append((torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info()}))
        return {}

    before = torch.get_num_threads()
    for threads in (1, 2):
        Work(looks, replace(STUDY, threads=threads), software())(PARTS[0])
    assert seen == [(1, {1}), (2, {2})]
    assert torch.get_num_threads() == before


def test_another_software_of_a_worker_is_refused(diary: Path) -> None:
    work = Work(Toy(diary), STUDY, software() | {"numpy": "1.0"})
    with pytest.raises(InputError, match=r"A worker has numpy .* instead of 1.0"):
        work(PARTS[0])


@pytest.mark.parametrize(
    ("workers", "scheduler", "words"),
    [(0, None, "0 workers"), (-1, None, "-1 workers"), (2, "tcp://127.0.0.1:1", "give one of them")],
)
def test_engines_that_cannot_be_are_refused(workers: int, scheduler: str | None, words: str, diary: Path) -> None:
    with pytest.raises(InputError, match=words):
        engine(Work(Toy(diary), STUDY, software()), PARTS, workers, scheduler)


def test_without_the_package_of_clusters_a_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, diary: Path
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'conv4rec\[cluster\]'"):
        computed(Toy(diary), scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_that_does_not_answer_is_a_sentence(monkeypatch: pytest.MonkeyPatch, diary: Path) -> None:
    monkeypatch.setattr(engines, "PATIENCE", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(InputError, match=f"No scheduler answers at {address}"):
            computed(Toy(diary), scheduler=address)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and two worker processes as one does by hand; hand out the address and the workers."""
    place = tmp_path / "cluster"
    place.mkdir()
    environment = os.environ | {"PYTHONPATH": str(TESTS), "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False"}
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *words]
        with (place / "log").open("ab") as log:
            started.append(subprocess.Popen(command, env=environment, cwd=place, stdout=log, stderr=log))
        return started[-1]

    scheduler_file = place / "scheduler.json"
    start("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(scheduler_file))
    # The file is there before it is written to its end.
    deadline = time.monotonic() + 120
    while not _is_json(scheduler_file) and time.monotonic() < deadline:
        time.sleep(0.1)
    address = str(json.loads(scheduler_file.read_text())["address"])
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0")
    workers = [start("worker", address, *options) for _ in range(2)]
    yield address, workers
    for process in reversed(started):
        process.terminate()
    for process in started:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            # A worker that closes slowly on busy cores is no failure of what is tested.
            process.kill()
            process.wait()


def _is_json(path: Path) -> bool:
    """Say whether a file is there and written to its end."""
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def test_a_cluster_finds_the_same_bits_although_a_worker_is_killed(
    here: dict[Part, dict[str, pl.DataFrame]],
    cluster: tuple[str, list[subprocess.Popen[bytes]]],
    diary: Path,
    tmp_path: Path,
) -> None:
    address, workers = cluster
    found: dict[Part, dict[str, pl.DataFrame]] = {}
    work = Work(Toy(diary, pause=0.3), STUDY, software())
    with closing(engine(work, PARTS, 1, address)) as finished:
        for part, rows in finished:
            assert part not in found
            found[part] = rows
            if len(found) == 2:
                deadline = time.monotonic() + 60
                while len(processes(diary)) < 2 and time.monotonic() < deadline:
                    time.sleep(0.05)
                # It is killed when it has just begun a part: between two parts nothing would be begun again.
                mine = f"*-*-{workers[0].pid}-*"
                begun = len(list(diary.glob(mine)))
                while len(list(diary.glob(mine))) == begun and time.monotonic() < deadline:
                    time.sleep(0.01)
                workers[0].kill()
    assert_same(found, here)
    assert workers[0].wait(10) == -signal.SIGKILL
    assert workers[1].poll() is None
    # Both processes had a share, and what the killed one was at was begun again.
    assert processes(diary) == {str(worker.pid) for worker in workers}
    assert len(list(diary.glob("*-*-*"))) > len(PARTS)
