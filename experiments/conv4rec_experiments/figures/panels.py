"""What the panels of a convergence figure hold: estimators, certificates, the rates beside them, and their looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec_experiments.figures.naming import GROUPS, in_order, names
from conv4rec_experiments.figures.reading import ESTIMATORS, VARIATIONS, joined
from conv4rec_experiments.figures.style import GUIDES, SERIES, Series
from conv4rec_experiments.studies.slopes import Slope, slopes

__all__ = ["FAST", "LOOKS", "ROOT", "SLOW", "Curve", "Panel", "Rate", "certificate_panels", "estimators"]
__all__ += ["fitted_slope"]

LOOKS: Mapping[str, Series] = {
    "fit": SERIES[0],
    "floor": SERIES[1],
    "histogram": SERIES[2],
    "smoothed": SERIES[3],
    "limit": SERIES[5],
    "T5": SERIES[2],
    "T6": SERIES[3],
    "T9-lower": SERIES[4],
    "T7a": SERIES[2],
    "T7b": SERIES[3],
    "T7c": SERIES[4],
    "T7d": SERIES[5],
    "T7f": Series("#56B4E9", (0, (3, 1.5)), "X"),
    "T7f, fit": Series("#CC79A7", "-", "*"),
    "coarse": Series("#000000", ":", "P"),
}
"""Looks of estimators and theorems; the same in every panel, and different within one."""

BASES = {
    "known": "T7, truth's own loss known",
    "realisable": "T7, truth in the class",
    "plug-in": "T7, nothing assumed",
}
"""Titles of the panels of T7, by what the certificate was told about the truth."""


@dataclass(frozen=True)
class Rate:
    """A rate that theory gives to a curve: its words, its values at sizes, and the curve that it is drawn beside."""

    words: str
    curve: str
    linestyle: str | tuple[float, tuple[float, ...]]
    power: float
    logarithm: bool = False

    def at(self, sizes: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the rate at sizes, up to its constant."""
        place = sizes.astype(np.float64)
        return ((np.log(np.maximum(place, 2)) if self.logarithm else 1.0) / place) ** self.power


ROOT = Rate(r"rate $N^{-1/2}$", "fit", GUIDES[0], 0.5)
FAST = Rate(r"rate $(\log N/N)^{1/2}$", "T6", GUIDES[1], 0.5, logarithm=True)
SLOW = Rate(r"rate $(\log N/N)^{1/4}$", "T5", GUIDES[2], 0.25, logarithm=True)


@dataclass(frozen=True)
class Curve:
    """One line of a panel: its rows and column, full and short name, look, role, and whether its numbers are told.

    These are its slope and, of fits, how many failed.
    """

    rows: pl.DataFrame
    column: str
    name: str
    words: str
    look: Series
    role: str
    told: bool = True


@dataclass(frozen=True)
class Panel:
    """A title, the curves in the order of the legend, and the rates beside them."""

    title: str
    curves: Sequence[Curve]
    rates: Sequence[Rate]


def estimators(measures: pl.DataFrame) -> Panel:
    """Collect the estimators, the floor, and the limit of a class without the truth."""
    fits = measures.filter(pl.col("estimator") == "fit")
    curves = [
        Curve(measures.filter(pl.col("estimator") == name), "tv", ESTIMATORS[name], ESTIMATORS[name], LOOKS[name], name)
        for name in ("histogram", "smoothed", "fit")
    ]
    curves.append(
        Curve(fits.drop_nulls("floor"), "floor", "statistical floor", "statistical floor", LOOKS["floor"], "floor")
    )
    beyond = fits.filter(pl.col("tv_limit") > 0)
    curves.append(
        Curve(beyond, "tv_limit", "limit of the class", "limit of the class", LOOKS["limit"], "limit", told=False)
    )
    return Panel("estimators", [curve for curve in curves if not curve.rows.is_empty()], [ROOT])


def certificate_panels(measures: pl.DataFrame, certificates: pl.DataFrame) -> list[Panel]:
    """Group the certificates of total variation by what they were told, each panel with the fit and the floor.

    The first has those that are not of T7. T7f, to which nothing is told, stands beside those of T7 that assume
    nothing; over groups of cells it is left out, because it bounds less than what the fit shows.
    """
    called = names(certificates)
    coarse = (pl.col("theorem") == "T7f") & pl.col("target").str.contains(GROUPS, literal=True)
    given = certificates.filter(pl.col("theorem").is_in(VARIATIONS) & pl.col("bound").is_not_null() & ~coarse)
    measured = [replace(curve, told=False) for curve in estimators(measures).curves if curve.role in ("fit", "floor")]
    on_blocks = pl.col("theorem").str.starts_with("T7")
    others = given.filter(~on_blocks)
    theorems = list(dict.fromkeys(str(rows["theorem"][0]) for _, rows in in_order(others, called)))
    groups: list[tuple[str, pl.DataFrame, Sequence[Rate]]]
    groups = [(joined(theorems), others, (FAST, SLOW))] if theorems else []
    for basis, title in BASES.items():
        told = (basis, "") if basis == "plug-in" else (basis,)
        groups.append((title, given.filter(on_blocks & pl.col("basis").is_in(told)), (ROOT,)))
    panels = []
    for title, rows, rates in groups:
        curves = [_certificate(title, words, of_one) for words, of_one in in_order(rows, called)]
        if curves:
            panels.append(Panel(title, [*curves, *measured], rates))
    return panels


def _certificate(title: str, words: str, rows: pl.DataFrame) -> Curve:
    theorem = str(rows["theorem"][0])
    basis = str(rows["basis"][0])
    # The title of the panel says the basis.
    shown = words.replace(f" {basis}", "") if basis and title in BASES.values() else words
    shown += " (from below)" if rows["side"][0] == "lower" else ""
    look = LOOKS["coarse" if words.endswith("coarse") else words if words in LOOKS else theorem]
    return Curve(rows, "bound", words, shown, look, theorem)


def fitted_slope(curve: Curve) -> Slope | None:
    """Fit the slope of a curve over its sizes; None where it is not told or there is none."""
    if not curve.told or curve.rows["size"].n_unique() < 2:
        return None
    for _, _, *found in slopes(curve.rows, curve.column, ["truth", "truth_seed"]).rows():
        return Slope(*found)
    return None
