"""A model in use: the running mean of what was measured, and where that of what was to be expected lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import LogLocator, NullLocator

from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save
from conv4rec_experiments.formatting import confidence

__all__ = ["draw_monitor"]

ENDS, MEAN = SERIES[0], SERIES[2]


def draw_monitor(looks: Sequence[Mapping[str, Any]], stem: Path, *, compared: bool, delta: float) -> list[Path]:
    """Draw the interval over the number of interactions; write ``stem`` with .pdf and .png, return the paths.

    The band is where the mean of what was to be expected lies, at all looks together; the line with marks is the
    measured mean, the dashed one the trivial value. Ends of the first half of the looks may run out of the axes.

    Parameters
    ----------
    looks
        Rows with ``interactions, lower, mean, upper, trivial``, in order.
    stem
        Path without suffix.
    compared
        Whether the values are margins over another model.
    delta
        The probability that any interval misses.
    """
    columns = ("interactions", "lower", "mean", "upper", "trivial")
    at, lower, mean, upper, trivial = ([float(row[name]) for row in looks] for name in columns)
    with applied():
        figure = new_figure(6.4, 3.8)
        axes = figure.subplots()
        axes.fill_between(at, lower, upper, color=ENDS.color, alpha=0.2, linewidth=0)
        axes.plot(at, upper, color=ENDS.color, linestyle="-", label="upper and lower end")
        axes.plot(at, lower, color=ENDS.color, linestyle="-")
        axes.plot(at, mean, color=MEAN.color, linestyle=MEAN.linestyle, marker=MEAN.marker, label="measured mean")
        words = "equal" if compared else "uniform law"
        axes.plot(at, trivial, color="black", linestyle="--", linewidth=1.2, label=f"trivial: {words}")
        axes.set(xscale="log", xlabel="interactions so far", ylabel=_label(compared))
        axes.xaxis.set_major_locator(LogLocator(numticks=10))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.xaxis.set_minor_locator(NullLocator())
        late = slice(len(looks) // 2, None)
        shown = [*mean, *trivial, *lower[late], *upper[late]]
        margin = 0.05 * (max(shown) - min(shown))
        axes.set_ylim(min(shown) - margin, max(shown) + margin)
        axes.set_title(f"at all looks together with confidence {confidence(delta)}", fontsize=10, loc="left")
        figure.legend(loc="outside upper center", ncols=3)
        return save(figure, stem)


def _label(compared: bool) -> str:
    return "margin over the other (nats)" if compared else "mean loss (nats)"
