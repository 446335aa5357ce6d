"""How the value of a theorem moves: one panel for each input that is moved away from a typical point."""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from conv4rec_bounds.covering import LETTER
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save_vector

__all__ = ["INPUTS", "Input", "draw_moves", "moved", "words_of_moves"]

COLUMNS = 3
PANEL = (2.6, 2.1)
POINTS = 41
LETTERS_PER_INCH = 12
LOG_FROM = 8.0
"""The value's axis is logarithmic if the largest value is at least this many times the smallest."""


def _around(low: float, high: float) -> Callable[[Number], Sequence[Number]]:
    """Multiply by factors; whole numbers stay whole numbers of at least 1."""

    def points(example: Number) -> Sequence[Number]:
        found = [float(example) * factor for factor in np.geomspace(low, high, POINTS)]
        return sorted({max(1, round(point)) for point in found}) if isinstance(example, int) else found

    return points


def _between(low: float, high: float) -> Callable[[Number], Sequence[Number]]:
    """Run over a fixed range, wherever the example is."""
    return lambda example: [float(point) for point in np.geomspace(low, high, POINTS)]


def _along(low: float, high: float) -> Callable[[Number], Sequence[Number]]:
    """Run over a fixed range in equal steps, the example among them."""
    return lambda example: sorted({*(float(point) for point in np.linspace(low, high, POINTS)), float(example)})


def _grid(example: Number) -> Sequence[Number]:
    """Run over the indices of the radius grid, from its first radius to sixteen times the example's."""
    return range(int(example) + 17)


def _radius(index: Number) -> float:
    return float(2 ** (index / 4) / 8)


WIDE = _around(1 / 100, 100)
NEAR = _around(0.9, 1.1)


@dataclass(frozen=True)
class Input:
    """How an input of a formula is shown: its words with the unit, the points it runs over, and how it is plotted."""

    words: str
    points: Callable[[Number], Sequence[Number]] = WIDE
    scale: str = "log"
    shown: Callable[[Number], float] = float


def _layers() -> dict[str, Input]:
    """Name the class index and the parameter count of every layer."""
    found = {}
    for name, letter in LETTER.items():
        words = name.replace("_", " ")
        found[f"s_{letter}"] = Input(rf"radius of {words}, $\rho_{{{letter}}}$", _grid, shown=_radius)
        found[f"p_{letter}"] = Input(f"parameters of {words}, $p_{{{letter}}}$")
    return found


INPUTS: Mapping[str, Input] = _layers() | {
    "N": Input("sample size $N$"),
    "delta": Input(r"failure probability $\delta$", _between(1e-6, 0.5)),
    "q": Input("cells $q$"),
    "q_max": Input(r"most cells of a user, $q_{\max}$"),
    "A": Input("comparator's divergence $A$ (nats)"),
    "w_0": Input("comparator's oscillation $w_0$", _around(1 / 8, 8)),
    "tau": Input(r"total variation $\tau$", _around(1 / 100, 20)),
    "Lhat": Input(r"empirical risk $\hat L$ (nats)", NEAR, "linear"),
    "lbar": Input(r"mean loss $\bar\ell$ (nats)", NEAR, "linear"),
    "l_max": Input(r"largest loss $\ell_{\max}$ (nats)", _around(1 / 2, 4)),
    "V": Input("sample variance $V$ (nats²)"),
    "H": Input("pool size $H$", _around(1 / 2, 100)),
    "m": Input("users $m$"),
    "Lhat_star": Input(r"truth's own mean loss $\hat L(f^*)$ (nats)", NEAR, "linear"),
    "kappa": Input(r"mean log-ratio $\kappa$ (nats)"),
    "d": Input("distance of the shipped model $d$", _around(1 / 20, 20)),
    "D": Input("mean log-ratio $D$ (nats)"),
    "B": Input("length of the file $B$ (bytes)"),
    "dbar": Input(r"measured margin $\bar d$ (nats)", _around(1 / 20, 2), "linear"),
    "V_S": Input("spread $V_S$ (nats²)"),
    "V_b": Input("mean square $V_b$ (nats²)"),
    "W": Input("largest difference $W$ (nats)", _around(1 / 2, 4)),
    "V_W": Input("betting variance $V_W$ (nats²)"),
    "V_P": Input("betting variance $V_P$ (unit of the loss, squared)"),
    "V_U": Input("betting variance $V_U$", _around(1 / 100, 2)),
    "V_E": Input("betting variance $V_E$"),
    "J": Input("statements $J$"),
    "Sbar": Input(r"mean score $\bar S$", _along(0.01, 0.99), "linear"),
    "Ehat": Input(r"measured error $\hat E$", _around(1 / 10, 10)),
    "K": Input("events or pools $K$"),
    "s": Input("observed share $s$", _along(0.01, 0.99), "linear"),
    "p": Input("model's probability $p$", _along(0.01, 0.99), "linear"),
    "T_seg": Input(r"segments' count sum $T_{\mathrm{seg}}$ (nats)", NEAR, "linear"),
    "T_cell": Input(r"cells' count sum $T_{\mathrm{cell}}$ (nats)", NEAR, "linear"),
    "S": Input("sum of the scores $S$"),
    "rho": Input(r"ceilings over weights $\rho$", _around(1 / 8, 8)),
    "t_E": Input(r"distance of encode, $r_E$", _grid, shown=_radius),
    "t_D": Input(r"distance of decode, $r_D$", _grid, shown=_radius),
    "t_B": Input(r"distance of cell bias, $r_B$", _grid, shown=_radius),
}
"""Every input that some theorem moves, by its name in the formula."""


@cache
def moved(theorem: Theorem, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the places on the axis and the values of the formula as one input moves and the others stay.

    Free parameters are chosen anew at every point. Points at which the formula has no value are left out.

    >>> from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk
    >>> places, values = moved(HeldOutRisk(), "N")
    >>> places[0], places[-1], values[0] > values[-1]
    (100.0, 1000000.0, True)
    """
    shown = INPUTS[name]
    places, values = [], []
    for point in shown.points(theorem.example[name]):
        try:
            value = theorem.formula.number(**theorem.complete(dict(theorem.example) | {name: point}))
        except (ArithmeticError, ValueError):
            continue
        if math.isfinite(value):
            places.append(shown.shown(point))
            values.append(value)
    return tuple(places), tuple(values)


def draw_moves(theorem: Theorem, stem: Path) -> Path:
    """Draw how the value of a theorem moves with each of its ``moves``; write ``stem.svg`` and return its path.

    All panels share the axis of the value; the dot is the typical point, the same in every panel.
    """
    curves = {name: moved(theorem, name) for name in theorem.moves}
    values = [value for _, of_input in curves.values() for value in of_input]
    example = theorem.formula.number(**theorem.complete(theorem.example))
    columns = min(COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    with applied():
        figure = new_figure(PANEL[0] * columns + 0.5, PANEL[1] * rows + 0.6)
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).reshape(-1)
        for axes, (name, (places, of_input)) in zip(panels, curves.items(), strict=False):
            shown = INPUTS[name]
            axes.plot(places, of_input, color=SERIES[0].color, linestyle="-", marker="")
            axes.plot(shown.shown(theorem.example[name]), example, color="black", linestyle="", marker="o")
            axes.set(xscale=shown.scale, xlabel=shown.words)
            if shown.scale == "log":
                _few_ticks(axes.xaxis, places)
        if min(values) > 0 and max(values) >= LOG_FROM * min(values):
            panels[0].set_yscale("log")
            _few_ticks(panels[0].yaxis, values)
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        words = textwrap.fill(_value_words(theorem), round(LETTERS_PER_INCH * figure.get_figwidth()))
        figure.suptitle(words, x=0.01, ha="left", fontsize=10)
        return save_vector(figure, stem)


def _few_ticks(axis: Axis, shown: Sequence[float]) -> None:
    """Label a logarithmic axis that spans little at 1, 2 and 5 in plain decimals, others at powers of ten only."""
    if max(shown) < 100 * min(shown):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _value_words(theorem: Theorem) -> str:
    return f"{theorem.side} bound on the {theorem.target.removeprefix('the ')}"


def words_of_moves(theorem: Theorem) -> str:
    """Say what the figure shows to a reader who cannot see it.

    >>> from conv4rec_bounds.theorems.t9_finite_pool import HeldOutPool
    >>> print(words_of_moves(HeldOutPool())[:90])
    How the value of T9-pool moves: sample size from 100 to 1.995e+04, value from 6.47 to 6.01
    """
    parts = []
    for name in theorem.moves:
        places, values = moved(theorem, name)
        words = INPUTS[name].words.split("$")[0].rstrip(" ,")
        parts.append(
            f"{words} from {places[0]:.4g} to {places[-1]:.4g}, value from {values[0]:.3g} to {values[-1]:.3g}"
        )
    return f"How the value of {theorem.number} moves: {'; '.join(parts)}."
