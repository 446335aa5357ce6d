"""How often bounds miss, with exact intervals: over truths, and over samplings that break what theorems assume."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from conv4rec_experiments.figures.grid import Point, Scale, grid, key
from conv4rec_experiments.figures.naming import Key, in_order, names
from conv4rec_experiments.figures.reading import counted, plain_sizes, settings
from conv4rec_experiments.figures.style import applied, save
from conv4rec_experiments.files import write_text
from conv4rec_experiments.formatting import number
from conv4rec_experiments.studies.coverage import LEAST_TAIL, binomial_tail, coverage_table, exact_interval, most_misses

__all__ = ["caption", "draw_coverage", "draw_stress"]

LITTLE, MUCH = (0.0, 0.01, 0.05, 0.1), (0.0, 0.05, 0.2, 0.5, 1.0)
"""Marks of the axis, if all rates and limits are within the first, and otherwise."""

RATE = "miss rate (root scale)"


def draw_coverage(certificates: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one row for each certificate and one column for each truth; write .pdf, .png and .txt, return the paths.

    Replicates of all sizes are counted together. A cross marks a rate that is all but impossible under delta: its
    binomial tail is below 1e-6.

    Raises
    ------
    InputError
        If there are no certificates.
    """
    columns = [f"{setting.truth} {setting.truth_seed}".replace("_", " ") for setting in settings(certificates)]
    return _draw(certificates, stem, columns)


def draw_stress(certificates: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one row for each certificate and one column for each sampling; see `draw_coverage`."""
    return _draw(certificates, stem, [setting.sampling for setting in settings(certificates)])


def _draw(certificates: pl.DataFrame, stem: Path, columns: Sequence[str]) -> list[Path]:
    found = settings(certificates)
    cells, named = {}, names(certificates)
    for setting, column in zip(found, columns, strict=True):
        for row in _pooled(setting.rows(certificates), named):
            cells[row["words"], column] = _point(row)
    greatest = max(end for point in cells.values() for end in (0.0, *point.ticks, point.high or 0.0))
    marks = LITTLE if greatest <= LITTLE[-1] else MUCH
    top = min(mark for mark in marks if mark >= min(greatest, marks[-1]))
    scale = Scale("root", 0.0, top * 1.05, RATE, [mark for mark in marks if mark <= top])
    with applied():
        figure = grid(list(named.values()), columns, cells, scale)
        entries = [
            key("point", "miss rate, exact 95 % interval"),
            key("cross", "tail under delta below 1e-6"),
            key("tick", "delta"),
            key("short tick", "greatest rate that passes"),
        ]
        figure.legend(handles=entries, loc="outside upper center", ncols=4 if len(columns) > 3 else 2, fontsize=8)
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), caption(certificates) + "\n")]


def _pooled(certificates: pl.DataFrame, named: Mapping[Key, str]) -> list[dict[str, Any]]:
    """Add up the misses of each certificate over sizes; a certificate that is always refused has no replicates."""
    sums = pl.col("replicates").sum(), pl.col("refused").sum(), pl.col("misses").sum()
    return [
        row | {"words": words}
        for words, rows in in_order(coverage_table(certificates), named)
        for row in rows.group_by("delta", maintain_order=True).agg(*sums).rows(named=True)
    ]


def _point(row: Mapping[str, Any]) -> Point:
    replicates, misses, delta = (row[part] for part in ("replicates", "misses", "delta"))
    if not replicates:
        return Point(words="refused")
    low, high = exact_interval(misses, replicates)
    ticks = (delta, most_misses(replicates, delta) / replicates)
    return Point(misses / replicates, low, high, ticks=ticks, crossed=_fails(row))


def _fails(row: Mapping[str, Any]) -> bool:
    return binomial_tail(row["misses"], row["replicates"], row["delta"]) < LEAST_TAIL


def caption(certificates: pl.DataFrame) -> str:
    """Say in words what was counted: replicates, misses of every certificate that missed, refusals, and failures."""
    told, named = [], names(certificates)
    for setting in settings(certificates):
        rows = _pooled(setting.rows(certificates), named)
        missing = [
            f"{row['words']} {row['misses']:,} of {row['replicates']:,}{' *' if _fails(row) else ''}"
            for row in rows
            if row["misses"]
        ]
        refused = [row["words"] for row in rows if not row["replicates"]]
        words = f"{setting.words}: {_replicates(rows)} of each certificate; misses: {', '.join(missing) or 'none'}"
        told.append(words + (f"; always refused: {', '.join(refused)}" if refused else ""))
    deltas = ", ".join(number(delta) for delta in certificates["delta"].unique().sort().to_list())
    sizes = certificates["size"].unique().to_list()
    together = ", all sizes counted together" if len(sizes) > 1 else ""
    return (
        f"How often each certificate misses its target, at {plain_sizes(sizes)}{together}. Points are miss rates with "
        f"exact (Clopper-Pearson) 95 % intervals; the long tick is delta ({deltas}), the short one the greatest rate "
        "whose binomial tail under delta is at least 1e-6; a cross, and an asterisk here, mark rates beyond it. "
        f"{'. '.join(told)}."
    )


def _replicates(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = [int(row["replicates"]) for row in rows if row["replicates"]]
    if not counts:
        return "no replicates"
    least, most = min(counts), max(counts)
    return counted(most, "replicate") if least == most else f"{least:,} to {most:,} replicates"
