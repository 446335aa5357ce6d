"""Models in use: where the mean of the losses to be expected lies, at every look (T9-sequence)."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_bounds import TimeOrdered, running_interval
from conv4rec_bounds.loss import DEFAULT_SMOOTHING
from conv4rec_experiments.files import write_csv
from conv4rec_experiments.log_probability_tables import read_held_out, read_paired

__all__ = ["Monitored", "monitor_log_probabilities", "write_monitored"]


@dataclass(frozen=True)
class Monitored:
    """The interval at every look.

    Attributes
    ----------
    ordered
        What was read, in the order of time.
    compared
        Whether the values are margins over another model, positive where the model is better.
    delta
        The probability that any interval misses.
    looks
        A row for each look: ``interactions`` so far, the measured ``mean``, ``lower`` and ``upper`` end for the mean
        of what was to be expected, and the ``trivial`` value: the loss of the uniform law, or a margin of 0.
    """

    ordered: TimeOrdered
    compared: bool
    delta: float
    looks: tuple[dict[str, Any], ...]


def monitor_log_probabilities(
    path: str | PathLike[str],
    *,
    against: str | PathLike[str] | None = None,
    cells: int | None = None,
    catalogue: int | None = None,
    smoothing: float = DEFAULT_SMOOTHING,
    every: int | None = None,
    delta: float = 0.05,
) -> Monitored:
    r"""Give the interval for the mean of the losses to be expected, or of a margin over another model, at every look.

    Parameters
    ----------
    path
        A table of log-probabilities, the rows in the order of time, each given before its interaction was seen.
    against
        A table of another model's, of the same interactions in the same order.
    cells
        The number of cells, if it is the same for all interactions and the table has no such column.
    catalogue
        The largest number of cells that any interaction can have, fixed before the first; needed if their numbers
        differ.
    smoothing
        The weight of the uniform law in every predictor, fixed before the first interaction.
    every
        A look after so many interactions; by default the looks are at powers of two. The last is one, too.
    delta
        The probability that any of the intervals misses, at any look.

    Raises
    ------
    InputError
        If a table cannot be read, two are not of the same interactions, or the catalogue is needed and not given.
    RefusedError
        If a value is none that a model can give, or delta is no probability.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("log_probability\n" + "-1.5\n" * 1000)
    ...     found = monitor_log_probabilities(path, cells=90)
    >>> len(found.looks), found.looks[-1]["interactions"], round(found.looks[-1]["upper"], 3)
    (11, 1000, 1.56)
    """
    part = read_held_out(path, cells=cells, smoothing=smoothing)
    pair = None if against is None else read_paired(path, against, part, cells=cells)
    ordered = TimeOrdered(
        part.log_probabilities,
        part.cells,
        most_cells=_catalogue(part.cells, catalogue, Path(path)),
        against=None if pair is None else pair.against,
        smoothing=smoothing,
    )
    values = ordered.values if pair is None else ordered.values.negative
    interval = running_interval(values, delta)
    count = np.arange(1, ordered.size + 1)
    trivial = np.cumsum(np.log(ordered.cells)) / count if pair is None else np.zeros(ordered.size)
    looks = tuple(
        {
            "interactions": look,
            "lower": float(interval.lower[look - 1]),
            "mean": float(interval.mean[look - 1]),
            "upper": float(interval.upper[look - 1]),
            "trivial": float(trivial[look - 1]),
        }
        for look in _looks(ordered.size, every)
    )
    return Monitored(ordered, pair is not None, delta, looks)


def write_monitored(found: Monitored, folder: Path) -> list[Path]:
    """Write the looks as CSV and figure into a folder; return the paths of the files."""
    from conv4rec_experiments.figures.monitor import draw_monitor

    return [
        write_csv(folder / "monitor.csv", found.looks),
        *draw_monitor(found.looks, folder / "monitor", compared=found.compared, delta=found.delta),
    ]


def _catalogue(cells: NDArray[np.int64], catalogue: int | None, path: Path) -> int:
    if catalogue is not None:
        return catalogue
    if (cells != cells[0]).any():
        raise InputError(
            f"the interactions of {path} have {int(cells.min())} to {int(cells.max())} cells, and the largest number "
            "that is possible must be fixed before the first interaction; give the number of all cells of the "
            "catalogue."
        )
    return int(cells[0])


def _looks(size: int, every: int | None) -> list[int]:
    """Return after how many interactions one looks.

    >>> _looks(10, None), _looks(10, 4)
    ([1, 2, 4, 8, 10], [4, 8, 10])
    """
    if every is not None and every < 1:
        raise InputError(f"a look after every {every} interactions was asked for; expected at least 1.")
    looks = range(every, size + 1, every) if every else (2**power for power in range(size.bit_length()))
    return sorted({*looks, size})
