"""The large verification: ``python tests/verify.py docs/results 2`` writes its tables, and fails if a claim fails.

The second argument is the number of processes.

For every theorem, ten thousand random evaluations are compared with sixty digits, and a thousand replicates or more
with exact targets; the same bound divided by 1.1 times its median tightness must fail.
"""

import csv
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from attacks import covered, covered_when_shrunk, excess
from oracle import sixty_digit_value
from theorem_rows import ROWS

EVALUATIONS = 10_000


def rounding(number: str, evaluations: int = EVALUATIONS) -> dict[str, object]:
    """Count values on the wrong side of sixty digits, and measure how far the others are from them."""
    found: list[float] = []

    @settings(
        max_examples=evaluations,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(ROWS[number].inputs)
    def compare(inputs: dict[str, float]) -> None:
        found.append(float(excess(ROWS[number], inputs, sixty_digit_value)))

    compare()
    wrong = sum(value < 0 for value in found)
    return {
        "theorem": number,
        "evaluations": len(found),
        "wrong side": wrong,
        "largest relative excess": f"{max(found):.1e}",
        "holds": wrong == 0 and max(found) <= 1e-6,
    }


def coverage_row(number: str) -> dict[str, object]:
    """Count the misses of a bound and of the same bound shrunk."""
    found, mutated = covered(number), covered_when_shrunk(number)
    low, high = found.interval
    return {
        "theorem": number,
        "replicates": found.replicates,
        "misses": found.misses,
        "exact 95 % interval": f"{low:.4f} to {high:.4f}",
        "tightness 5 %, median, 95 %": ", ".join(f"{value:.3g}" for value in found.tightness),
        "misses when shrunk": mutated.misses,
        "holds": found.holds and not mutated.holds,
    }


def write(path: Path, rows: Iterable[dict[str, object]]) -> bool:
    """Write a table, show every row as it comes, and say whether all of them hold."""
    table: list[dict[str, object]] = []
    for row in rows:
        print(*row.values(), sep=" | ", flush=True)
        table.append(row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(table)
    return all(row["holds"] for row in table)


def main(folder: Path, processes: int) -> bool:
    """Write both tables into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    covering = [number for number, row in ROWS.items() if row.replicates is not None]
    with ProcessPoolExecutor(processes) as pool:
        held = write(folder / "coverage.csv", pool.map(coverage_row, covering))
        rounded = write(folder / "rounding.csv", pool.map(rounding, ROWS))
    return rounded and held


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), int(sys.argv[2])) else 1)
