"""Running a study: parts are computed, written one by one, and put together into tables when all are there.

A part is three small Parquet files, one for each table, each there as a whole or not at all; a part that lacks one is
computed again. A killed run therefore loses nothing but what it was at. Tables hold exactly the parts of the study that
asks, whatever else the folder has.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from conv4rec.errors import InputError
from conv4rec_experiments.files import write_bytes, write_json, write_text
from conv4rec_experiments.studies.engines import Measure, Rows, Work, end_second_reading, engine
from conv4rec_experiments.studies.replicates import measure as measure_replicates
from conv4rec_experiments.studies.study import Part, Study, software
from conv4rec_experiments.studies.study_file import written
from conv4rec_experiments.studies.tables import CERTIFICATES, GROUPS, KEYS, MEASURES

__all__ = ["Tables", "run"]

SCHEMAS = {"certificates": CERTIFICATES, "groups": GROUPS, "measures": MEASURES}

ORDER: Mapping[str, tuple[str, ...]] = {
    "certificates": (*KEYS, "theorem", "basis", "side", "target"),
    "groups": (*KEYS, "estimator", "kind", "group"),
    "measures": (*KEYS, "estimator"),
}
"""Columns by which each table is sorted."""

PARQUET_ENDS_WITH = b"PAR1"
MEMORY_OF_SPEED = 24 * 3600.0
"""Seconds of past work that the time left is estimated from; a single part may take minutes."""


@dataclass(frozen=True, eq=False)
class Tables:
    """The tables of a study, sorted by their keys.

    Attributes
    ----------
    measures
        One row for each replicate and estimator.
    certificates
        One row for each replicate and certificate.
    groups
        One row for each replicate, estimator and group of users or items.
    """

    measures: pl.DataFrame
    certificates: pl.DataFrame
    groups: pl.DataFrame


def run(
    study: Study,
    folder: Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
    measure: Measure = measure_replicates,
) -> Tables:
    """Run what is missing of a study, and write its tables into the folder as Parquet and as CSV.

    The folder also gets ``study.toml``, from which the study can be run again, ``study.json``, its full description
    with the versions of the software, and ``parts/``. Sizes, seeds, truths, protocols and samplings may be added
    later. The numbers depend neither on the number of workers nor on where a run was killed.

    Parameters
    ----------
    study
        What to run.
    folder
        Where; one run at a time.
    workers
        Processes that compute parts side by side.
    scheduler
        Address of a dask scheduler whose workers compute instead; they need no access to the folder.
    progress
        Whether to show how far the run is and how long it will take.
    measure
        What computes the rows of a part.

    Raises
    ------
    InputError
        If a truth cannot be made; if the folder belongs to another study or another run is at work in it; if workers
        die again and again; if the scheduler does not answer.
    """
    end_second_reading()
    parts = study.parts()
    # A truth that cannot be made is refused before anything is computed or written.
    for choice in study.truths:
        choice.make()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _claim(folder, study)
        # Temporary files beside the tables need no care: the tables are written anew, through files of the same names.
        for leftover in (folder / "parts").rglob("*.part"):
            leftover.unlink()
        missing = [part for part in parts if not all(_is_whole(_file(folder, name, part)) for name in SCHEMAS)]
        finished = engine(Work(measure, study, software()), missing, workers, scheduler)
        with closing(finished), _bar(progress) as bar:
            total = sum(len(part.seeds) for part in parts)
            left = sum(len(part.seeds) for part in missing)
            task = bar.add_task(f"study {study.name}", total=total, completed=total - left)
            for part, rows in finished:
                _check(part, rows)
                for name in SCHEMAS:
                    write_bytes(_file(folder, name, part), _parquet(rows[name]))
                bar.advance(task, len(part.seeds))
        return Tables(**{name: _gather(folder, name, parts) for name in SCHEMAS})


def _check(part: Part, rows: Rows) -> None:
    """Refuse rows that are not those of a part: a defect of what measures, never of the input."""
    for name, schema in SCHEMAS.items():
        if rows[name].schema != dict(schema):
            raise ValueError(f"the rows of {part} have other columns than the table of {name}")
    if set(rows["measures"]["seed"]) != set(part.seeds):
        raise ValueError(f"the rows of {part} have other seeds")


def _file(folder: Path, table: str, part: Part) -> Path:
    return folder / "parts" / table / part.file_name


def _is_whole(path: Path) -> bool:
    """Say whether a file is there to its end; after a power cut a file may be empty or zeros."""
    if not path.exists():
        return False
    return path.read_bytes().endswith(PARQUET_ENDS_WITH)


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _gather(folder: Path, name: str, parts: Sequence[Part]) -> pl.DataFrame:
    """Put the parts of one table together and write it."""
    frames = [pl.read_parquet(_file(folder, name, part)) for part in parts]
    table = pl.concat(frames).sort(ORDER[name], maintain_order=True).rechunk()
    write_bytes(folder / f"{name}.parquet", _parquet(table))
    write_text(folder / f"{name}.csv", table.write_csv())
    return table


def _bar(shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("replicates,"),
        TimeElapsedColumn(),
        TextColumn("so far,"),
        TimeRemainingColumn(),
        TextColumn("left"),
        speed_estimate_period=MEMORY_OF_SPEED,
        disable=not shown,
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the system takes the lock back when this process ends, however it ends."""
    with (folder / ".lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"Another run is at work in {folder}; wait for its end, or use another folder.") from error
        yield


def _claim(folder: Path, study: Study) -> None:
    """Write what the folder is for, or check that it is for this study."""
    path = folder / "study.json"
    if path.exists() and (differing := study.differences(_described(path))):
        raise InputError(
            f"{folder} belongs to a study with another {'; '.join(differing)}; parts of two studies do not mix; use an "
            "empty folder."
        )
    write_text(folder / "study.toml", written(study))
    write_json(path, study.description())


def _described(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} does not describe a study; use an empty folder.")
    return found
