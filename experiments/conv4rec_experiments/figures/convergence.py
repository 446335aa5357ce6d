"""The convergence figures: measured total variation, floor, rivals and certificates against the number of records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from conv4rec_experiments.figures.naming import in_order, names
from conv4rec_experiments.figures.panels import Curve, Panel, Rate, certificate_panels, estimators, fitted_slope
from conv4rec_experiments.figures.reading import (
    VARIATIONS,
    Setting,
    counted,
    interval,
    only_setting,
    quantiles,
    settings,
    sizes_and_seeds,
    wanted,
)
from conv4rec_experiments.figures.style import applied, decades, new_figure, save
from conv4rec_experiments.files import write_text
from conv4rec_experiments.fits.outcomes import State
from conv4rec_experiments.formatting import confidence, lower, upper
from conv4rec_experiments.studies.slopes import least_size

__all__ = ["caption", "caption_protocols", "draw_convergence", "draw_protocols"]

WIDTH = 7.2
SIZE, VARIATION = "scored interactions $N$", "total variation (mean over users)"


NEAR_TRIVIAL, ABOVE, POINTS = 0.9, 1.35, 60
"""Curves are held against rates below the first; a rate is drawn higher than its curve by the second, a factor,
and through so many points."""


WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}


def draw_convergence(measures: pl.DataFrame, certificates: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one setting of a study; write ``stem`` with .pdf, .png and .txt (the caption), return the paths.

    The first panel has the estimators with the floor; the others, where there are certificates of total variation,
    have these beside the fit and the floor, on one scale. Lines are medians over seeds, bands run from the first to
    the third quartile. Legends give slopes with their intervals, fitted from `least_size` on. The mark of a size is
    hollow if some of its fits were not accepted (not stationary, where none can be), and tells how many.

    Parameters
    ----------
    measures, certificates
        Tables of a study (see `conv4rec_experiments.studies.tables`) with rows of one truth, protocol and sampling;
        the second may be empty.
    stem
        Path without suffix.

    Raises
    ------
    InputError
        If the measures are of no or several settings.
    """
    setting = only_setting(measures)
    panels = [estimators(measures), *certificate_panels(measures, setting.rows(certificates))]
    below = panels[2:]
    with applied():
        figure = new_figure(WIDTH if len(panels) > 1 else 5.0, 8.2 if below else 4.4)
        cells = figure.add_gridspec(2 if below else 1, 6)
        upper_row = min(2, len(panels))
        shared: Axes | None = None
        positive: list[float] = []
        for place, panel in enumerate(panels):
            row, column, across = (0, place, 6 // upper_row) if place < 2 else (1, place - 2, 6 // len(below))
            spot = cells[row, column * across : (column + 1) * across]
            axes = figure.add_subplot(spot, sharey=shared)
            seen = _draw(axes, panel, first=column == 0)
            if place:
                # Certificates can be compared only on one scale.
                shared, positive, seen = axes, [*positive, *seen], [*positive, *seen]
            _mark(axes, seen)
        return [
            *save(figure, stem),
            write_text(stem.with_name(f"{stem.name}.txt"), caption(measures, certificates) + "\n"),
        ]


def draw_protocols(measures: pl.DataFrame, stem: Path) -> list[Path]:
    """Draw one truth under each protocol, side by side: only with fixed profiles need total variation vanish.

    Parameters
    ----------
    measures
        Rows of one truth and sampling, under one or more protocols.
    stem
        Path without suffix; .pdf, .png and .txt are written.
    """
    found = settings(measures)
    with applied():
        figure = new_figure(WIDTH, 4.2)
        drawn = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
        for axes, setting in zip(drawn, found, strict=True):
            panel = estimators(setting.rows(measures))
            _mark(axes, _draw(axes, Panel(setting.protocol, panel.curves, panel.rates), first=setting == found[0]))
        return [*save(figure, stem), write_text(stem.with_name(f"{stem.name}.txt"), caption_protocols(measures) + "\n")]


def _draw(axes: Axes, panel: Panel, first: bool) -> list[float]:
    """Draw a panel, and give its values."""
    seen = [_curve(axes, curve) for curve in panel.curves]
    for rate in panel.rates:
        for curve in panel.curves:
            if curve.role == rate.curve:
                _rate(axes, rate, curve)
    # The numbers under hollow marks need room above the axis.
    axes.margins(y=0.1)
    axes.set(xscale="log", yscale="log", xlabel=SIZE)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(panel.title, fontsize=10)
    if first:
        axes.set_ylabel(VARIATION)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.19), handlelength=2.6, fontsize=7, labelspacing=0.3)
    return [value for values in seen for value in values if value > 0]


def _mark(axes: Axes, values: Sequence[float]) -> None:
    if values:
        decades(axes.yaxis, min(values), max(values))


def _curve(axes: Axes, curve: Curve) -> Sequence[float]:
    found = quantiles(curve.rows, curve.column)
    # A logarithmic axis has no zero: bounds from below are 0 where they say nothing.
    size, low, middle, high = (values[found.middle > 0] for values in found)
    fitted = fitted_slope(curve)
    label = curve.words if fitted is None else f"{curve.words}: {interval(fitted)}"
    look = curve.look
    if not size.size:
        axes.plot([], [], label=f"{curve.words}: 0 in the median", linestyle="")
        return []
    axes.plot(size, middle, label=label, color=look.color, linestyle=look.linestyle, marker=look.marker)
    axes.fill_between(size, np.where(low > 0, low, middle), high, color=look.color, alpha=0.25, linewidth=0)
    if curve.role == "fit":
        hollow: dict[str, Any] = {"marker": look.marker, "markerfacecolor": "white", "markeredgecolor": look.color}
        failures = _failures(curve.rows)
        for at, total, failed in failures:
            value = float(middle[size == at][0])
            axes.plot(at, value, zorder=3, **hollow)
            if curve.told:
                axes.annotate(
                    f"{failed}/{total}",
                    (at, value),
                    xytext=(0, -11),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                    bbox=WHITE,
                )
        if failures and curve.told:
            axes.plot([], [], linestyle="", label=f"k/n: {_failed(curve.rows)}", **hollow)
    return [float(value) for value in middle]


def _failures(fits: pl.DataFrame) -> list[tuple[int, int, int]]:
    """Sizes with fits that did not end as they should: the size, how many fits, and how many did not."""
    failed = (pl.col("state") != wanted(fits)).sum()
    counts = fits.group_by("size").agg(pl.len().alias("total"), failed.alias("failed"))
    return counts.filter(pl.col("failed") > 0).sort("size").rows()


def _failed(fits: pl.DataFrame) -> str:
    return f"k of n fits not {'accepted' if wanted(fits) == State.ACCEPTED else 'stationary'}"


def _rate(axes: Axes, rate: Rate, curve: Curve) -> None:
    """Draw the rate, nowhere far above its curve; points near the trivial 1 show no rate."""
    found = quantiles(curve.rows, curve.column)
    telling = (found.middle > 0) & (found.middle < NEAR_TRIVIAL)
    if telling.any() and len(found.size) > 1:
        size, middle = found.size[telling], found.middle[telling]
        places = np.geomspace(found.size[0], found.size[-1], POINTS)
        values = rate.at(places) * (middle / rate.at(size)).min() * ABOVE
        below = values <= max(ABOVE, found.middle.max())
        axes.plot(
            places[below],
            values[below],
            color="0.45",
            linestyle=rate.linestyle,
            linewidth=0.9,
            label=rate.words,
            zorder=1,
        )


def caption(measures: pl.DataFrame, certificates: pl.DataFrame) -> str:
    """Say in words what the figure of one setting shows; medians of certificates are rounded to the safe side."""
    setting = only_setting(measures)
    panels = [estimators(measures), *certificate_panels(measures, setting.rows(certificates))]
    sentences = [
        f"Total variation to a known truth against the number N of scored interactions: {setting.words}; "
        f"{sizes_and_seeds(measures)}. Distances are means over the sample's own user mix; lines are medians over "
        "seeds, bands run from the first to the third quartile.",
        _fits(measures),
        *_floor(measures),
        "Histogram: each user's observed shares. Smoothed histogram: the same, shrunk towards popularity.",
        *_slopes(measures, panels),
        *_bounds(setting, certificates),
    ]
    return " ".join(sentences)


def caption_protocols(measures: pl.DataFrame) -> str:
    """Say in words what the figure of several protocols shows, with its numbers."""
    found = settings(measures)
    first = found[0]
    sentences = [
        f"Total variation against the number N of scored interactions under {counted(len(found), 'protocol')}: "
        f"truth {first.truth} (seed {first.truth_seed}), {first.sampling} sampling. Fits to a fixed profile have the "
        "truth's own profiles as input. In self-reconstruction a network reads the sample that it is fitted to, and "
        "its total variation need not vanish."
    ]
    for setting in found:
        rows = setting.rows(measures)
        fits = quantiles(rows.filter(pl.col("estimator") == "fit"), "tv")
        sentences.append(
            f"{setting.protocol.capitalize()}: {sizes_and_seeds(rows)}; median total variation of the fits "
            f"{fits.middle[0]:.3g} at {fits.size[0]:,} and {fits.middle[-1]:.3g} at {fits.size[-1]:,}. {_fits(rows)}"
        )
    return " ".join(sentences)


def _fits(measures: pl.DataFrame) -> str:
    fits = measures.filter(pl.col("estimator") == "fit")
    goal = wanted(fits)
    words = f"Fitted Conv4Rec: maximum likelihood from starts blind to the truth; {(fits['state'] == goal).sum()} of "
    words += f"{len(fits)} fits {goal}"
    others = fits.filter(pl.col("state") != goal)["state"].value_counts().sort("state").rows()
    words += f" ({', '.join(f'{state}: {count}' for state, count in others)})" if others else ""
    gaps = fits["gap"].drop_nulls().to_numpy()
    if goal == State.ACCEPTED and gaps.size:
        # Outside the class the gap is no matter of optimisation alone.
        words += f", greatest optimisation gap {gaps.max():.1e} nats"
    return f"{words}. A hollow mark with k/n: {_failed(fits)}." if others else f"{words}."


def _floor(measures: pl.DataFrame) -> list[str]:
    fits = measures.filter(pl.col("estimator") == "fit")
    found = []
    known, beyond = fits.drop_nulls("floor"), fits.filter(pl.col("tv_limit") > 0)
    if not known.is_empty():
        ratios = quantiles(known.with_columns(ratio=pl.col("tv") / pl.col("floor")), "ratio")
        told = ", ".join(f"{ratio:.2f} at {size:,}" for size, ratio in zip(ratios.size, ratios.middle, strict=True))
        found.append(
            "Statistical floor: mean total variation of the maximum-likelihood fit for large N"
            f"{'' if beyond.is_empty() else ', no lower bound outside the class'}; the median of fitted over floor is "
            f"{told}."
        )
    if not beyond.is_empty():
        limit = float(np.median(beyond["tv_limit"].to_numpy()))
        found.append(f"The class does not contain the truth; its fits tend to a law at total variation {limit:.3g}.")
    return found


def _slopes(measures: pl.DataFrame, panels: Sequence[Panel]) -> list[str]:
    fitted = [(curve.name, fitted_slope(curve)) for panel in panels for curve in panel.curves]
    words = "; ".join(f"{name} {interval(one)}" for name, one in fitted if one is not None)
    if not words:
        return []
    return [
        f"Slopes by least squares on log medians from N = {least_size(measures):,} on, with 95 % bootstrap intervals "
        f"over seeds: {words}. Thin grey lines have the rates of theory."
    ]


def _bounds(setting: Setting, certificates: pl.DataFrame) -> list[str]:
    rows = setting.rows(certificates).filter(pl.col("theorem").is_in(VARIATIONS))
    if rows.is_empty():
        return []
    last = int(rows["size"].to_numpy().max())
    told = []
    for words, of_one in in_order(rows, names(certificates)):
        bounds = of_one.filter(pl.col("size") == last)["bound"].drop_nulls().to_numpy()
        refused = int(of_one["refused"].is_not_null().sum())
        parts = []
        if bounds.size:
            side, middle = str(of_one["side"][0]), float(np.median(bounds))
            parts.append(f"at least {lower(middle, 3)}" if side == "lower" else f"at most {upper(middle, 3)}")
        if refused:
            parts.append(f"refused {refused} of {len(of_one)} times")
        told.append(f"{words} {', '.join(parts)}")
    deltas = rows["delta"].unique().sort().to_list()
    return [
        f"Each certificate holds with confidence {', '.join(confidence(delta) for delta in deltas)} by itself; their "
        f"medians at N = {last:,}: {'; '.join(told)}."
    ]
