"""What a coverage receipt says about each theorem, as a page of certificates cites it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conv4rec_experiments.formatting import interval, percent

if TYPE_CHECKING:
    from conv4rec_experiments.studies.receipt import Receipt

__all__ = ["Cited", "cited"]


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
    holds: bool


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
            holds=all(row["holds"] for row in rows),
        )
    return found


def _between(sorted_words: Iterable[str]) -> str:
    """Write the ends of a sorted list: one if they read alike, a dash if there is none."""
    words = list(sorted_words)
    if not words:
        return "–"
    return words[0] if words[0] == words[-1] else f"{words[0]} to {words[-1]}"
