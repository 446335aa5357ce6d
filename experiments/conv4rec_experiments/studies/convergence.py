r"""The TV-convergence study: blind fits on a known truth over sample sizes and seeds, one tidy table.

Every (size, seed) is a part of its own: drawn, fitted and measured from its own random stream, and written when it is
done. A killed study therefore goes on where it stopped, and its table does not depend on where that was.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from conv4rec.errors import InputError
from conv4rec_bounds import Evidence, Network, Protocol, Scored, certify
from conv4rec_bounds.theorems.t6_total_variation import FastTotalVariation
from conv4rec_experiments.files import write_bytes, write_json, write_text
from conv4rec_experiments.fits.fitting import Settings, fit
from conv4rec_experiments.fits.floor import Floor, histogram_floor, histogram_law, statistical_floor
from conv4rec_experiments.truths import TRUTHS, Truth, user_mix
from conv4rec_experiments.truths.truth import Counts

__all__ = ["COLUMNS", "Slope", "Study", "run", "slope", "t6_certificate"]

Array = NDArray[np.float64]

COLUMNS: Mapping[str, type[pl.DataType]] = {
    "truth": pl.String,
    "truth_seed": pl.Int64,
    "size": pl.Int64,
    "seed": pl.Int64,
    "tv": pl.Float64,
    "kl": pl.Float64,
    "hellinger": pl.Float64,
    "tv_population": pl.Float64,
    "floor": pl.Float64,
    "histogram_tv": pl.Float64,
    "histogram_floor": pl.Float64,
    "t6": pl.Float64,
    "delta": pl.Float64,
    "training_loss": pl.Float64,
    "truth_loss": pl.Float64,
    "gap": pl.Float64,
    "gradient_norm": pl.Float64,
    "iterations": pl.Int64,
    "starts": pl.Int64,
    "state": pl.String,
    "seconds": pl.Float64,
}
"""Columns of the table. Distances are means over users under the sample's own user mix, ``tv_population`` under the
truth's marginal; losses and ``kl`` are in nats; ``t6`` is the T6 certificate of ``tv`` at confidence ``1 - delta``."""


@dataclass(frozen=True)
class Study:
    """What a convergence study runs.

    Attributes
    ----------
    truth, truth_seed
        A name in `TRUTHS` and its seed.
    sizes, seeds
        Numbers of scored interactions, and the seeds drawn at each.
    delta
        Confidence parameter of each certificate.
    settings
        How hard the fits try.
    """

    truth: str = "reference"
    truth_seed: int = 0
    sizes: tuple[int, ...] = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
    seeds: tuple[int, ...] = tuple(range(10))
    delta: float = 0.05
    settings: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if self.truth not in TRUTHS:
            raise InputError(f"There is no truth named {self.truth!r}; expected one of {', '.join(TRUTHS)}.")
        for name, values, least in (("sizes", self.sizes, 1), ("seeds", self.seeds, 0)):
            if not values or len(set(values)) < len(values) or min(values) < least:
                raise InputError(
                    f"The {name} are {list(values)}; expected at least one, all different, none below {least}."
                )
        if not 0 < self.delta < 1:
            raise InputError(f"delta is {self.delta}; expected a number strictly between 0 and 1; for instance 0.05.")

    def description(self) -> dict[str, Any]:
        """Give everything that decides the numbers of a part, as plain values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in plain.items() if name not in ("sizes", "seeds")}


def t6_certificate(weights: Mapping[str, Array], truth: Truth, counts: Counts, delta: float) -> float:
    """Certified total variation (T6) of weights trained on a count table (user, cell), at confidence 1 - delta."""
    log_law = truth.likelihood.log_law(truth.likelihood.pack(weights))
    size = int(counts.sum())
    evidence = Evidence(
        cells=truth.cells,
        protocol=Protocol("independent"),
        network=Network(dict(weights), truth.lift_activation, truth.code_activation),
        scored=Scored(size, float(-(counts * log_law).sum() / size), truth.empirical_risk(counts)),
    )
    value = certify(evidence, delta, [FastTotalVariation()])["T6"].value
    if value is None:
        raise InputError("T6 refused a fit of the study; its protocol and weights must satisfy the theorem.")
    return value


def run(study: Study, folder: Path, *, workers: int = 1, progress: bool = True) -> pl.DataFrame:
    """Run what is missing of a study and write ``convergence.parquet`` and ``convergence.csv`` into the folder.

    Parts of an earlier run are kept in ``folder/parts``. More sizes or seeds may be added later.

    Raises
    ------
    InputError
        If the folder holds parts of a study with another truth, delta or settings.
    """
    parts = folder / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    _claim(folder / "study.json", study)
    jobs = [(size, seed) for size in study.sizes for seed in study.seeds]
    missing = [job for job in jobs if not _part(parts, *job).exists()]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("convergence study", total=len(jobs), completed=len(jobs) - len(missing))
        for row in _rows(study, missing, workers):
            write_json(_part(parts, row["size"], row["seed"]), row)
            bar.advance(task)
    rows = [json.loads(_part(parts, *job).read_text()) for job in jobs]
    table = pl.DataFrame(rows, schema=dict(COLUMNS), orient="row")
    write_text(folder / "convergence.csv", table.write_csv())
    parquet = BytesIO()
    table.write_parquet(parquet)
    write_bytes(folder / "convergence.parquet", parquet.getvalue())
    return table


@dataclass(frozen=True)
class Slope:
    """A log-log slope with its bootstrap interval and the range of sizes that it was fitted on."""

    value: float
    low: float
    high: float
    least_size: int
    greatest_size: int


def slope(table: pl.DataFrame, column: str, least_size: int = 1, resamples: int = 2_000, seed: int = 0) -> Slope:
    """Slope of the log of a column's median over seeds against log size, by least squares.

    The 95 % interval resamples seeds within each size.

    Raises
    ------
    InputError
        If fewer than two sizes are left, or sizes do not have the same number of seeds.

    Examples
    --------
    >>> table = pl.DataFrame({"size": [100, 100, 400, 400], "tv": [0.1, 0.1, 0.05, 0.05]})
    >>> round(slope(table, "tv").value, 6)
    -0.5
    """
    kept = table.filter(pl.col("size") >= least_size).sort("size")
    sizes = kept["size"].unique(maintain_order=True).to_numpy()
    if len(sizes) < 2 or len(kept) % len(sizes) or kept["size"].value_counts()["count"].n_unique() > 1:
        raise InputError(
            f"{len(kept)} rows over {len(sizes)} sizes from {least_size} on are left; a slope needs at least two "
            "sizes with equally many seeds; run more of the study or lower the least size."
        )
    values = np.log(kept[column].to_numpy()).reshape(len(sizes), -1)
    place = np.log(sizes) - np.log(sizes).mean()
    direction = place / (place @ place)
    picks = np.random.default_rng(seed).integers(values.shape[1], size=(resamples, *values.shape))
    drawn = np.take_along_axis(values[None], picks, axis=2)
    low, high = np.quantile(np.median(drawn, axis=2) @ direction, (0.025, 0.975))
    value = np.median(values, axis=1) @ direction
    return Slope(float(value), float(low), float(high), int(sizes[0]), int(sizes[-1]))


def _rows(study: Study, jobs: list[tuple[int, int]], workers: int) -> Iterator[dict[str, Any]]:
    if workers == 1 or len(jobs) < 2:
        yield from (_measure(study, *job) for job in jobs)
        return
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn"))
    try:
        for done in as_completed([pool.submit(_measure, study, *job) for job in jobs]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


@cache
def _truth(name: str, seed: int) -> tuple[Truth, Floor]:
    truth = TRUTHS[name](seed)
    return truth, statistical_floor(truth)


def _measure(study: Study, size: int, seed: int) -> dict[str, Any]:
    """Draw, fit and measure one part; the row of the table."""
    begin = perf_counter()
    truth, floor = _truth(study.truth, study.truth_seed)
    source = np.random.default_rng([study.truth_seed, size, seed])
    counts = truth.sample(size, source)
    found = fit(truth.likelihood, counts, truth.empirical_risk(counts), int(source.integers(2**62)), study.settings)
    log_law, mix = truth.likelihood.log_law(found.theta), user_mix(counts)
    return {
        "truth": study.truth,
        "truth_seed": study.truth_seed,
        "size": size,
        "seed": seed,
        **asdict(truth.distances(log_law, mix)),
        "tv_population": truth.tv(np.exp(log_law)),
        "floor": floor.tv(size),
        "histogram_tv": truth.tv(histogram_law(counts), mix),
        "histogram_floor": histogram_floor(truth, size),
        "t6": t6_certificate(truth.likelihood.unpack(found.theta), truth, counts, study.delta),
        "delta": study.delta,
        "training_loss": found.training_loss,
        "truth_loss": found.truth_loss,
        "gap": found.gap,
        "gradient_norm": found.gradient_norm,
        "iterations": found.iterations,
        "starts": found.starts,
        "state": found.state.value,
        "seconds": perf_counter() - begin,
    }


def _part(parts: Path, size: int, seed: int) -> Path:
    return parts / f"{size}-{seed}.json"


def _claim(path: Path, study: Study) -> None:
    """Write what the folder is for, or check that it is for this study."""
    wanted = study.description()
    if not path.exists():
        write_json(path, wanted)
    elif (found := json.loads(path.read_text())) != wanted:
        differing = ", ".join(sorted(name for name in wanted if found.get(name) != wanted[name]))
        raise InputError(
            f"{path} belongs to a study with another {differing}; parts of two studies do not mix; use an empty folder."
        )
