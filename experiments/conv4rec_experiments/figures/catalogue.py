"""Popularity against enjoyment over the catalogue: as the model believes, and as observed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from conv4rec_experiments.figures.heat import short
from conv4rec_experiments.figures.marks import name_marks
from conv4rec_experiments.figures.style import SERIES, applied, decades, new_figure, save

__all__ = ["draw_catalogue"]

Rows = Sequence[Mapping[str, Any]]
MARKS = {"popular": ("s", SERIES[0].color, 1.02), "enjoyed": ("^", SERIES[2].color, 0.04)}
"""Marker, colour, and where across the panel the numbers of the marks stand."""
PANELS = {"model": ("p_consume", "p_high"), "observed": ("share", "high_share")}
TITLES = {"model": "the model, mean over users", "observed": "observed in the training parts"}


def draw_catalogue(rows: Rows, correlations: Mapping[str, float | None], enough: int, stem: Path) -> list[Path]:
    """Draw both panels on the same axes; return the paths of PDF and PNG.

    Parameters
    ----------
    rows, correlations
        The table and the correlations of `conv4rec_experiments.explaining.catalogue`.
    enough
        Items with fewer interactions are drawn lighter on the left, and left out on the right.
    stem
        Path without suffix.
    """
    marked = [row for kind in MARKS for row in rows if row["mark"] == kind]
    numbers = {row["item"]: place for place, row in enumerate(marked, start=1)}
    with applied():
        figure = new_figure(8.4, 4.3)
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, (name, columns) in zip(panels, PANELS.items(), strict=True):
            _panel(axes, rows, columns, enough if name == "observed" else 0, enough, numbers)
            value = correlations[name]
            told = "" if value is None else f"\nrank correlation {value:.2f}".replace("-", "−")
            axes.set_title(TITLES[name] + told, fontsize=10)
        panels[0].set(xscale="log", ylim=(-0.02, 1.02), ylabel="P(high level | consumed)", xlabel="P(consume)")
        chances = [row["p_consume"] for row in rows if row["p_consume"] > 0]
        decades(panels[0].xaxis, min(chances), max(chances))
        # Room for the numbers on the left.
        panels[0].margins(x=0.12)
        panels[1].set(xlabel="share of interactions", ylabel="share of high levels")
        panels[1].tick_params(labelleft=True)
        kinds = dict.fromkeys(row["mark"] for row in marked)
        handles = [axes for axes in panels[0].collections if axes.get_label() in {*kinds, "few", "enough"}]
        words = {
            "few": f"fewer than {enough} interactions",
            "enough": f"at least {enough}",
            "popular": "most popular",
            "enjoyed": "most enjoyed of the less popular half",
        }
        figure.legend(handles, [words[str(one.get_label())] for one in handles], loc="outside upper center", ncols=4)
        key = ";  ".join(f"{numbers[row['item']]} {short(row['name'], 34)}" for row in marked)
        half = len(marked) // 2
        lines = [";  ".join(key.split(";  ")[:half]), ";  ".join(key.split(";  ")[half:])] if half else [key]
        figure.supxlabel("\n".join(lines), fontsize=8)
        return save(figure, stem)


def _panel(
    axes: Axes, rows: Rows, columns: tuple[str, str], least: int, enough: int, numbers: Mapping[Any, int]
) -> None:
    x, y = columns
    # What never occurs has no place on a logarithmic axis.
    shown = [row for row in rows if row["interactions"] >= least and row[x] and row[y] is not None]
    for name, color, size in (("few", "0.82", 3), ("enough", "0.5", 6)):
        own = [row for row in shown if (row["interactions"] >= enough) == (name == "enough")]
        if own:
            axes.scatter([r[x] for r in own], [r[y] for r in own], s=size, color=color, linewidths=0, label=name)
    for mark, (marker, color, across) in MARKS.items():
        own = [row for row in shown if row["mark"] == mark]
        if own:
            axes.scatter(
                [row[x] for row in own],
                [row[y] for row in own],
                s=36,
                marker=marker,
                color=color,
                edgecolors="black",
                linewidths=0.7,
                label=mark,
                zorder=3,
            )
            places = [(row[x], row[y]) for row in own]
            name_marks(axes, places, [str(numbers[row["item"]]) for row in own], across, gap=0.05)
