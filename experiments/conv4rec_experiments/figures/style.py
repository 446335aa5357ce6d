"""One look for all figures: readable in grey and by colour-blind eyes, vector and pixels, no global state."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

__all__ = ["GUIDES", "SERIES", "Series", "applied", "decades", "new_figure", "save", "save_vector"]


@dataclass(frozen=True)
class Series:
    """How a curve is told from the others: a colour of Okabe and Ito's palette, and dashes with a marker for grey."""

    color: str
    linestyle: str | tuple[float, tuple[float, ...]]
    marker: str


SERIES: tuple[Series, ...] = (
    Series("#0072B2", "-", "o"),
    Series("#000000", "--", ""),
    Series("#D55E00", "-.", "s"),
    Series("#009E73", ":", "^"),
    Series("#7B3294", (0, (5, 1.2, 1, 1.2, 1, 1.2)), "D"),
    Series("#6B5400", (0, (7, 2)), "v"),
)
"""Looks of curves; those that share a panel have six."""

GUIDES = ("-", (0, (4, 2)), (0, (1, 1.5)))
"""Dashes of thin grey lines that show a rate and no measurement."""


@contextmanager
def applied() -> Iterator[None]:
    """Hold the style inside the block only; make, draw and save a figure there.

    Examples
    --------
    >>> with applied():
    ...     mpl.rcParams["axes.grid"]
    True
    >>> mpl.rcParams["axes.grid"]
    False
    """
    with mpl.rc_context(
        {
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "0.88",
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.6,
            "lines.markersize": 5,
            "pdf.fonttype": 42,
            "svg.fonttype": "path",
            # Identifiers inside the file are hashes; with this they are the same each time.
            "svg.hashsalt": "conv4rec",
        }
    ):
        yield


def decades(axis: Axis, low: float, high: float) -> None:
    """Mark a logarithmic axis with plain numbers: 1, 2 and 5 of every decade, or decades alone if there are many."""
    narrow = high < 100 * low
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=10))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    # Without minor marks a figure of many panels is drawn in half the time, and reads no worse.
    axis.set_minor_locator(NullLocator())


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of that size in inches, drawn without a display and known to no global registry."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.pdf`` and ``stem.png`` and return both paths; no date is kept, so equal figures are equal bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.png")]
    figure.savefig(paths[0], metadata={"CreationDate": None})
    figure.savefig(paths[1], dpi=200)
    return paths


def save_vector(figure: Figure, stem: Path) -> Path:
    """Write ``stem.svg``, letters as outlines so that it looks the same everywhere, and return its path."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    path = stem.with_name(f"{stem.name}.svg")
    figure.savefig(path, metadata={"Date": None})
    return path
