"""What a coverage receipt says about each theorem, as a page of certificates cites it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conv4rec_experiments.formatting import interval, percent

if TYPE_CHECKING:
    from conv4rec_experiments.studies.receipt import Receipt

__all__ = ["Cited", "cited"]

ENOUGH = 1_000
"""Replicates of a line from which on it may be said to hold: as many as the coverage test of every theorem has."""


@dataclass(frozen=True)
class Cited:
    """How the certificates of one theorem fared under independent draws, which is what they assume.

    Attributes
    ----------
    theorem, lines
        The theorem, and how many lines of the receipt are about it.
    replicates, misses
        Over all these lines.
    delta
        The failure probability of each certificate, or the least and the greatest.
    worst
        The exact 95 % interval of the miss rate on the line where its upper end is highest.
    tightness
        The median tightness, or the least and the greatest over the lines; a dash where it is infinite.
    few
        Where no line is refuted, and one has fewer than a thousand replicates, which leave miss rates above its delta
        possible: how many they are, and which miss rates they exclude, on the line that excludes least. Else empty.
    holds
        False if a line is refuted.
    """

    theorem: str
    lines: int
    replicates: int
    misses: int
    delta: str
    worst: str
    tightness: str
    few: str
    holds: bool

    @property
    def verdict(self) -> str:
        """What the misses say, in one or a few words."""
        if not self.holds:
            return "refuted"
        return f"not refuted; {self.few}" if self.few else "held"


def cited(receipt: Receipt) -> dict[str, Cited]:
    """Sum up a receipt by theorem; theorems that were never counted have no entry."""
    found = {}
    counted = [row for row in receipt.rows if row["sampling"] == "independent" and row["replicates"]]
    for theorem in dict.fromkeys(row["theorem"] for row in counted):
        rows = [row for row in counted if row["theorem"] == theorem]
        found[theorem] = Cited(
            theorem=theorem,
            lines=len(rows),
            replicates=sum(row["replicates"] for row in rows),
            misses=sum(row["misses"] for row in rows),
            delta=_between(percent(delta) for delta in sorted({row["delta"] for row in rows})),
            worst=interval(max(rows, key=lambda row: row["high"])),
            tightness=_between(f"{m:.3g}" for m in sorted(row["tightness_50"] for row in rows if row["tightness_50"])),
            few=_few(rows),
            holds=all(row["holds"] for row in rows),
        )
    return found


def _few(rows: Iterable[Mapping[str, Any]]) -> str:
    """Say what too few replicates exclude."""
    scarce = [row for row in rows if row["replicates"] < ENOUGH and row["high"] > row["delta"]]
    if not scarce:
        return ""
    worst = max(scarce, key=lambda row: row["high"])
    times = "replicate excludes" if worst["replicates"] == 1 else "replicates exclude"
    return f"{worst['replicates']} {times} only miss rates above {interval(worst).rpartition('to ')[2]}"


def _between(sorted_words: Iterable[str]) -> str:
    """Write the ends of a sorted list: one if they read alike, a dash if there is none."""
    words = list(sorted_words)
    if not words:
        return "–"
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"
