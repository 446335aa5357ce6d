"""Fit every system on the same splits, score them, and keep what is finished: one run, one folder, one table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from conv4rec.errors import InputError
from conv4rec_experiments.comparison.bootstrap import differences
from conv4rec_experiments.comparison.merits import FIGURES, figures_of
from conv4rec_experiments.comparison.own import OWN, fitted_conv4rec
from conv4rec_experiments.comparison.protocol import comparison_split, eligible
from conv4rec_experiments.comparison.scoring import CALIBRATIONS, score
from conv4rec_experiments.comparison.systems import System, Task
from conv4rec_experiments.comparison.tuning import tune
from conv4rec_experiments.files import write_bytes, write_csv, write_json

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions

__all__ = ["Compared", "claim", "compare", "evaluated_run", "write_compared"]

FORMAT = 2
SECONDS = {"fit_seconds": "fit, s", "seconds": "with choosing, s"}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Compared:
    """What a comparison has found.

    Attributes
    ----------
    users : polars.DataFrame
        A row for each system, seed and user with a held-out interaction.
    fits : list of dict
        One for each system and seed: figures, chosen options, seconds, what was tried, reliability tables.
    """

    users: pl.DataFrame
    fits: list[dict[str, Any]]

    @property
    def systems(self) -> list[str]:
        """Names in their order."""
        return list(dict.fromkeys(fit["system"] for fit in self.fits))

    def of(self, system: str) -> pl.DataFrame:
        """Rows of one system."""
        return self.users.filter(pl.col("system") == system)

    def table(self) -> pl.DataFrame:
        """Give a row for each system: means over seeds of every figure, and of the seconds it took."""
        rows = []
        for system in self.systems:
            fits = [fit for fit in self.fits if fit["system"] == system]
            names = [*(figure.name for figure in FIGURES), *CALIBRATIONS]
            row: dict[str, Any] = {"system": system, "seeds": len(fits)}
            columns = {name: [fit["figures"][name] for fit in fits] for name in names}
            columns |= {words: [fit[name] for fit in fits] for name, words in SECONDS.items()}
            for name, values in columns.items():
                there = [value for value in values if value is not None]
                row[name] = float(np.mean(there)) if there else None
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    def against_first(self) -> list[dict[str, Any]]:
        """Compare the first system with every other, figure by figure, by the paired bootstrap over users."""
        first, *others = self.systems
        return [
            {"system": first, "against": other} | asdict(found)
            for other in others
            for found in differences(self.of(first), self.of(other))
        ]


def compare(
    interactions: Interactions,
    systems: Sequence[System],
    seeds: int,
    folder: Path,
    *,
    progress: Progress = lambda *_: None,
) -> Compared:
    """Fit and score every system on every split; a (system, seed) that the folder holds is read, not fitted.

    Parameters
    ----------
    interactions : Interactions
        All of them; `conv4rec_experiments.comparison.protocol.eligible` chooses.
    systems : sequence of System
        The first is the one that is compared with the others.
    seeds : int
        Splits are drawn with the seeds 0 to seeds - 1.
    folder : Path
        What is finished is kept in its subfolder ``fits``.
    progress : callable
        Told what is being done, how many fits are finished, and of how many.

    Raises
    ------
    InputError
        If there are no seeds, the data cannot be split so, or the folder holds a comparison of other data.
    """
    if seeds < 1:
        raise InputError(f"seeds is {seeds}; expected at least 1, and at least 3 for a table that is to be shown.")
    data = eligible(interactions)
    claim(folder, data)
    users, fits = [], []
    pairs = [(seed, system) for seed in range(seeds) for system in systems]
    split = None
    for done, (seed, system) in enumerate(pairs):
        stem = folder / "fits" / f"{_slug(system.name)}_{seed}"
        found = _kept(stem, system)
        if found is None:
            if split is None or split.seed != seed:
                split = comparison_split(data, seed)

            def on_fit(place: int, of: int, *, words: str = f"seed {seed}, {system.name}", done: int = done) -> None:
                progress(words if of == 1 else f"{words}, {place} of {of}", done, len(pairs))

            found = _fit(system, Task(split, seed), stem, on_fit)
        users.append(found[0])
        fits.append(found[1])
    progress("finished", len(pairs), len(pairs))
    order = {system.name: place for place, system in enumerate(systems)}
    fits.sort(key=lambda fit: (order[fit["system"]], fit["seed"]))
    return Compared(pl.concat(users), fits)


def evaluated_run(model: Conv4Rec) -> Compared:
    """Score a trained model on the held-out part of its own split; it reads the profile and scored parts."""
    scored = score(fitted_conv4rec(model), model.split)
    seed = model.options.seed
    fit = {"system": OWN, "seed": seed, "figures": scored.figures(), "fit_seconds": None, "seconds": None}
    users = scored.users.select(pl.lit(OWN).alias("system"), pl.lit(seed, pl.Int64).alias("seed"), pl.all())
    return Compared(users, [fit | {"reliability": {name: table.rows() for name, table in scored.reliability.items()}}])


def write_compared(found: Compared, folder: Path) -> list[Path]:
    """Write the table, the paired differences and the rows of users; return the paths."""
    paths = [
        write_csv(folder / "table.csv", found.table().rows(named=True)),
        _write_parquet(folder / "users.parquet", found.users),
        write_json(folder / "fits.json", found.fits),
    ]
    rows = found.against_first() if len(found.systems) > 1 else []
    return [*paths, write_csv(folder / "differences.csv", rows)] if rows else paths


def _fit(
    system: System, task: Task, stem: Path, on_fit: Callable[[int, int], None]
) -> tuple[pl.DataFrame, dict[str, Any]]:
    tuned = tune(system, task, on_fit)
    scored = score(tuned.fitted, task.split)
    users = scored.users.select(
        pl.lit(system.name).alias("system"), pl.lit(task.seed, pl.Int64).alias("seed"), pl.all()
    )
    record = {
        "system": system.name,
        "seed": task.seed,
        "grid": _digest(system),
        "figures": scored.figures(),
        "options": dict(tuned.options),
        "fit_seconds": tuned.fit_seconds,
        "seconds": tuned.seconds,
        "tried": tuned.tried,
        "reliability": {name: table.rows() for name, table in scored.reliability.items()},
    }
    description = stem.with_name(f"{stem.name}.json")
    # The description is written last and taken away first: where it is, the fit is finished and the rows are its own.
    description.unlink(missing_ok=True)
    _write_parquet(stem.with_name(f"{stem.name}.parquet"), users)
    write_json(description, record)
    return users, record


def _kept(stem: Path, system: System) -> tuple[pl.DataFrame, dict[str, Any]] | None:
    """Read a finished fit with the same options to choose from, if the folder holds one."""
    description, table = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("json", "parquet"))
    if not description.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
        users = pl.read_parquet(table)
        same = record["grid"] == _digest(system)
        whole = record["figures"] | figures_of(users) == record["figures"]
    except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{description} cannot be read ({error}); delete it to fit {system.name} again.") from error
    if not whole:
        raise InputError(f"{table} is not what {description.name} tells; delete both to fit {system.name} again.")
    return (users, record) if same else None


def _digest(system: System) -> str:
    told = [system.criterion, [dict(each) for each in system.grid]]
    return sha256(json.dumps(told, default=str).encode()).hexdigest()


def claim(folder: Path, data: Interactions, more: dict[str, Any] | None = None) -> None:
    """Write what the folder is of, or refuse one of other data."""
    digest = sha256(repr((FORMAT, data.levels)).encode())
    for ids in (data.user_ids, data.item_ids):
        digest.update("\0".join(map(str, ids.to_list())).encode())
    for codes in (data.user, data.item, data.level):
        digest.update(codes.tobytes())
    told = {"format": FORMAT, "data": digest.hexdigest(), "summary": data.summary} | (more or {})
    path = folder / "data.json"
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} cannot be read ({error}); delete it, or name another --out.") from error
        if before != told:
            raise InputError(
                f"{folder} was begun with other data or another seed, or by another version; name another --out."
            )
    write_json(path, told)


def _write_parquet(path: Path, table: pl.DataFrame) -> Path:
    buffer = BytesIO()
    table.write_parquet(buffer)
    return write_bytes(path, buffer.getvalue())


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).lower()
