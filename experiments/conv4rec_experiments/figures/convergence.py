"""The convergence figure: measured total variation, its statistical floor, the histogram and the T6 certificate."""

from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from conv4rec_experiments.figures.style import SERIES, Series, applied, new_figure, save
from conv4rec_experiments.files import write_text
from conv4rec_experiments.formatting import confidence
from conv4rec_experiments.studies.convergence import Slope, slope

__all__ = ["LEAST_SIZE_OF_SLOPES", "caption", "draw_convergence"]

CURVES = {
    "t6": ("T6 certificate", SERIES[3]),
    "histogram_tv": ("histogram estimator", SERIES[2]),
    "tv": ("fitted Conv4Rec", SERIES[0]),
    "floor": ("statistical floor", SERIES[1]),
}
"""Column of the table, its words and its look; in the order from top to bottom of the figure."""

LEAST_SIZE_OF_SLOPES = 10_000
"""Slopes are fitted from this size on, where the large-sample theory is meant to hold."""


def draw_convergence(table: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw the table of a convergence study; write ``stem`` with .pdf, .png and .txt (the caption), return the paths.

    Lines are medians over seeds, bands run from the first to the third quartile. The legend gives the slopes with
    their intervals, fitted from ``LEAST_SIZE_OF_SLOPES`` on, or over all sizes if fewer than two are that large.
    """
    several = table["size"].n_unique() > 1
    with applied():
        figure = new_figure(6.4, 5.6)
        axes = figure.subplots()
        for column, (words, look) in CURVES.items():
            fitted = slope(table, column, _least_size(table)) if several else None
            _curve(axes, table, column, words, look, fitted)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="scored interactions $N$",
            ylabel="total variation (mean over users)",
        )
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        title = f"slopes from $N$ = {_least_size(table):,} on, with 95 % intervals" if several else None
        figure.legend(loc="outside lower center", handlelength=3.4, title=title)
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), caption(table) + "\n")]


def _least_size(table: pl.DataFrame) -> int:
    sizes = table["size"].unique()
    return LEAST_SIZE_OF_SLOPES if (sizes >= LEAST_SIZE_OF_SLOPES).sum() >= 2 else int(sizes.to_numpy().min())


def _curve(axes: Axes, table: pl.DataFrame, column: str, words: str, look: Series, fitted: Slope | None) -> None:
    low, middle, high = (
        table.group_by("size").agg(pl.col(column).quantile(share, "linear")).sort("size") for share in (0.25, 0.5, 0.75)
    )
    size = middle["size"].to_numpy()
    label = words if fitted is None else f"{words}: {_interval(fitted)}"
    axes.plot(
        size,
        middle[column].to_numpy(),
        label=label,
        color=look.color,
        linestyle=look.linestyle,
        marker=look.marker,
    )
    axes.fill_between(size, low[column].to_numpy(), high[column].to_numpy(), color=look.color, alpha=0.3, linewidth=0)


def _interval(fitted: Slope) -> str:
    """Slope with its interval, or alone where nothing varies between seeds."""
    if np.isclose(fitted.low, fitted.high, atol=1e-9):
        return f"{fitted.value:.3f}".replace("-", "−")
    return f"{fitted.value:.3f} [{fitted.low:.3f}, {fitted.high:.3f}]".replace("-", "−")


def caption(table: pl.DataFrame) -> str:
    """Say in words what the figure of a convergence study shows, with its numbers."""
    first = table.row(0, named=True)
    sizes, seeds = table["size"].unique().sort().to_list(), table["seed"].n_unique()
    ratios = table.group_by("size").agg((pl.col("tv") / pl.col("floor")).median()).sort("size")["tv"].to_list()
    accepted = int((table["state"] == "accepted").sum())
    return (
        f"Total variation to a known truth ({first['truth']}, seed {first['truth_seed']}), averaged over the sample's "
        f"user mix, against the number N of scored interactions; {seeds} seeds at each size from {sizes[0]:,} to "
        f"{sizes[-1]:,}. Lines are medians over seeds, bands run from the first to the third quartile. Fitted "
        f"Conv4Rec: maximum likelihood from starts blind to the truth; {accepted} of {len(table)} fits accepted, "
        f"greatest optimisation gap {table['gap'].to_numpy().max():.1e} nats. Statistical floor: what a "
        "maximum-likelihood fit has on average for large N; the median of fitted over floor is "
        f"{', '.join(f'{ratio:.2f} at {size:,}' for size, ratio in zip(sizes, ratios, strict=True))}. Histogram "
        "estimator: each user's observed shares. T6 certificate: an upper bound that holds for each fit with "
        f"confidence {confidence(first['delta'])}. Slopes: least squares on log medians from N = "
        f"{_least_size(table):,} on, with 95 % bootstrap intervals over seeds."
    )
