"""The rates of all truths in one figure: log-log slopes of estimators and certificates with their intervals."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from conv4rec_experiments.figures.grid import Point, Scale, grid, key
from conv4rec_experiments.figures.naming import in_order, names
from conv4rec_experiments.figures.reading import (
    ESTIMATORS,
    VARIATIONS,
    Setting,
    counted,
    interval,
    settings,
    sizes_and_seeds,
)
from conv4rec_experiments.figures.style import applied, save
from conv4rec_experiments.files import write_text
from conv4rec_experiments.studies.slopes import Slope, slopes

__all__ = ["caption", "draw_slopes"]

THEORY = -0.5
MARKS = (-1.0, -0.75, -0.5, -0.25, 0.0)


def draw_slopes(measures: pl.DataFrame, certificates: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one row for each estimator and certificate and one column for each setting; write .pdf, .png and .txt.

    Points are slopes of log medians of total variation, with 95 % bootstrap intervals; the tick is at -1/2.

    Parameters
    ----------
    measures, certificates
        Tables of a study with at least two sizes; the second may be empty.
    stem
        Path without suffix.
    """
    found = settings(measures)
    cells = {}
    for setting in found:
        for words, fitted in _fitted(setting, measures, certificates):
            cells[words, _column(setting)] = Point(fitted.value, fitted.low, fitted.high, ticks=(THEORY,))
    told = {words for words, _ in cells}
    rows = [words for words in (*ESTIMATORS.values(), *names(certificates).values()) if words in told]
    for setting in found:
        for words in rows:
            cells.setdefault((words, _column(setting)), Point(ticks=(THEORY,)))
    low = min([MARKS[0], *(point.low for point in cells.values() if point.low is not None)])
    high = max([MARKS[-1], *(point.high for point in cells.values() if point.high is not None)])
    scale = Scale("linear", low - 0.05, high + 0.05, "log-log slope against $N$", (-1.0, -0.5, 0.0))
    with applied():
        figure = grid(rows, [_column(setting) for setting in found], cells, scale)
        entries = [key("point", "slope, 95 % bootstrap interval"), key("tick", "−1/2")]
        figure.legend(handles=entries, loc="outside upper center", ncols=2, fontsize=8)
        words = caption(measures, certificates)
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), words + "\n")]


def _column(setting: Setting) -> str:
    unusual = [part for part in setting[2:] if part not in ("fixed profile", "independent")]
    return " ".join([setting.truth.replace("_", " "), str(setting.truth_seed), *unusual])


def _fitted(setting: Setting, measures: pl.DataFrame, certificates: pl.DataFrame) -> Iterator[tuple[str, Slope]]:
    """Give the slopes of one setting: estimators, then certificates of total variation."""
    own = setting.rows(measures)
    for estimator, words in ESTIMATORS.items():
        yield from _one(words, own.filter(pl.col("estimator") == estimator), "tv")
    bounds = setting.rows(certificates).filter(pl.col("theorem").is_in(VARIATIONS))
    for words, rows in in_order(bounds, names(certificates)):
        yield from _one(words, rows, "bound")


def _one(words: str, rows: pl.DataFrame, column: str) -> Iterator[tuple[str, Slope]]:
    for _, *found in slopes(rows, column, ["truth"]).rows():
        yield words, Slope(*found)


def caption(measures: pl.DataFrame, certificates: pl.DataFrame) -> str:
    """Say in words what the figure shows: every slope with its interval."""
    found = settings(measures)
    told = []
    for setting in found:
        fitted = list(_fitted(setting, measures, certificates))
        words = ", ".join(f"{words} {interval(one)}" for words, one in fitted)
        least = f" from N = {fitted[0][1].least_size:,} on" if fitted else ""
        told.append(f"{setting.words} ({sizes_and_seeds(setting.rows(measures))}){least}: {words or 'none'}")
    return (
        f"Log-log slopes of total variation and of its certificates against the number N of scored interactions, for "
        f"{counted(len(found), 'setting')}: least squares on log medians over seeds, with 95 % bootstrap intervals. "
        f"The tick is at −1/2, the rate of an efficient estimator. {'. '.join(told)}."
    )
