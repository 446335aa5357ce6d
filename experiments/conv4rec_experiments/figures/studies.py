"""Every figure that the tables of a study allow."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import polars as pl

from conv4rec_experiments.figures.breakdown import draw_breakdown
from conv4rec_experiments.figures.convergence import draw_convergence, draw_protocols
from conv4rec_experiments.figures.coverage import draw_coverage, draw_stress
from conv4rec_experiments.figures.reading import Setting, settings
from conv4rec_experiments.figures.slopes import draw_slopes
from conv4rec_experiments.figures.tightness import draw_tightness, draw_tightness_over_truths

__all__ = ["StudyTables", "draw_study"]


class StudyTables(Protocol):
    """The three tables of a study (see `conv4rec_experiments.studies.tables`)."""

    @property
    def measures(self) -> pl.DataFrame:
        """One row for each replicate and estimator."""

    @property
    def certificates(self) -> pl.DataFrame:
        """One row for each replicate and certificate."""

    @property
    def groups(self) -> pl.DataFrame:
        """One row for each replicate, estimator and group."""


def draw_study(tables: StudyTables, folder: Path) -> list[Path]:
    """Draw all that the tables allow into a folder, each as .pdf, .png and .txt (its caption), and return the paths.

    For each truth, protocol and sampling: ``convergence_*`` (two sizes or more), ``tightness_*`` (the same, with
    certificates) and ``groups_*``. Over truths, for each protocol: ``coverage``, ``tightness`` (a single size) and
    ``slopes`` (two sizes or more), under independent sampling. Over samplings, for each truth and protocol, if there
    are several: ``stress_*``. Over protocols, for each truth and sampling, if there are several: ``protocols_*``.

    Parameters
    ----------
    tables
        The tables of one study; those of certificates and groups may be empty.
    folder
        Where the files are written; it is made if there is none.
    """
    measures, certificates, groups = tables.measures, tables.certificates, tables.groups
    several = measures["size"].n_unique() > 1
    paths: list[Path] = []
    for setting in settings(measures):
        own, bounds, parts = (setting.rows(table) for table in (measures, certificates, groups))
        if several:
            paths += draw_convergence(own, bounds, folder / f"convergence_{setting.stem}")
            if _any_given(bounds):
                paths += draw_tightness(bounds, folder / f"tightness_{setting.stem}")
        if not parts.is_empty():
            paths += draw_breakdown(parts, folder / f"groups_{setting.stem}")
    for protocol, bounds in _by(certificates.filter(pl.col("sampling") == "independent"), "protocol"):
        if _any_given(bounds):
            end = "" if protocol == "fixed profile" else f"_{protocol}"
            paths += draw_coverage(bounds, folder / f"coverage{end}")
            if not several:
                paths += draw_tightness_over_truths(bounds, folder / f"tightness{end}")
    if several:
        paths += draw_slopes(_plain(measures), _plain(certificates), folder / "slopes")
    paths += _over(certificates, "sampling", draw_stress, folder, "stress")
    if several:
        paths += _over(measures, "protocol", draw_protocols, folder, "protocols")
    return paths


def _any_given(certificates: pl.DataFrame) -> bool:
    return certificates["bound"].count() > 0


def _by(table: pl.DataFrame, column: str) -> Iterator[tuple[str, pl.DataFrame]]:
    for (value,), rows in table.group_by([column], maintain_order=True):
        yield str(value), rows


def _plain(table: pl.DataFrame) -> pl.DataFrame:
    """Keep independent sampling, or everything where there is none."""
    kept = table.filter(pl.col("sampling") == "independent")
    return table if kept.is_empty() else kept


def _over(
    table: pl.DataFrame, column: str, draw: Callable[[pl.DataFrame, Path], list[Path]], folder: Path, kind: str
) -> list[Path]:
    """Draw one figure for each choice of the other keys of a setting, where a column has several values."""
    fixed = [key for key in ("truth", "truth_seed", "protocol", "sampling") if key != column]
    paths: list[Path] = []
    for _, rows in table.group_by(fixed, maintain_order=True):
        if rows[column].n_unique() > 1 and ("bound" not in rows.columns or _any_given(rows)):
            truth, truth_seed, protocol, sampling = settings(rows)[0]
            shared = (protocol, "independent") if column == "sampling" else ("fixed profile", sampling)
            paths += draw(rows, folder / f"{kind}_{Setting(truth, truth_seed, *shared).stem}")
    return paths
