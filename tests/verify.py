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

import numpy as np
from hypothesis import HealthCheck, given, settings

from conftest import sixty_digit_value
from conv4rec_experiments.coverage import coverage, shrunk
from theorem_rows import ROWS
from theorem_rows.common import DELTA

EVALUATIONS = 10_000


def rounding(number: str, evaluations: int = EVALUATIONS) -> dict[str, object]:
    """Count values on the wrong side of sixty digits, and measure how far the others are from them."""
    row = ROWS[number]
    upper = row.theorem.side == "upper"
    formula = row.theorem.formula
    excesses: list[float] = []
    wrong = 0

    @settings(
        max_examples=evaluations,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(row.inputs)
    def compare(inputs: dict[str, float]) -> None:
        nonlocal wrong
        true = sixty_digit_value(formula, inputs)
        safe = formula.upper(**inputs) if upper else formula.lower(**inputs)
        wrong += safe < true if upper else safe > true
        excesses.append(float(abs(safe - true) / max(abs(true), 1e-290)))

    compare()
    return {
        "theorem": row.theorem.number,
        "evaluations": len(excesses),
        "wrong side": wrong,
        "largest relative excess": f"{max(excesses):.1e}",
        "holds": wrong == 0 and max(excesses) <= 1e-6,
    }


def covered(number: str) -> dict[str, object]:
    """Count the misses of a bound and of the same bound shrunk."""
    row = ROWS[number]
    bounds, targets = np.array(list(row.replicates())).T
    larger, smaller = (bounds, targets) if row.theorem.side == "upper" else (targets, bounds)
    found = coverage(larger, smaller, DELTA)
    mutated = coverage(shrunk(larger, 1.1 * max(found.tightness[1], 1.0)), smaller, DELTA)
    low, high = found.interval
    return {
        "theorem": row.theorem.number,
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
        held = write(folder / "coverage.csv", pool.map(covered, covering))
        rounded = write(folder / "rounding.csv", pool.map(rounding, ROWS))
    return rounded and held


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), int(sys.argv[2])) else 1)
