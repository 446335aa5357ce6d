"""Planning: how many interactions a theorem needs for a wanted bound, from sizes and norms alone, without any model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from conv4rec.errors import InputError
from conv4rec_bounds import THEOREMS
from conv4rec_bounds.formula import Formula
from conv4rec_experiments.files import write_csv, write_json
from conv4rec_experiments.formatting import lower, upper
from conv4rec_experiments.setting import MODEL_RISKS, Setting

if TYPE_CHECKING:
    from conv4rec_bounds.theorems.base import Theorem

__all__ = ["Plan", "curve", "plan", "plannable", "plans", "write_plans"]

WANTED = {"nats": 0.5, "share": 0.25}
"""What is wanted where nothing is said: nats above the measured risk, or a total variation."""

LEAST, MOST = 2, 2**50
COUNTED: Mapping[str, str] = {
    "T3": "users with scored interactions",
    "T7a": "untouched interactions",
    "T7b": "interactions of all blocks",
    "T7d": "interactions of all blocks",
    "T7f": "untouched interactions",
    "T9": "held-out interactions",
    "T9-pool": "held-out interactions",
    "T9-sequence": "interactions in time order",
    "T9-parts": "held-out interactions",
    "T9-calibration": "held-out interactions",
    "T11": "interactions seen, any estimator",
}
"""What the number N of a theorem counts, where it is not scored interactions."""

LIMITS = ("T11",)
"""Theorems that bound what is possible from below: with fewer, no estimator can promise what is wanted."""

CURVE, POINTS_PER_DECADE = 30, 6


@dataclass(frozen=True)
class Plan:
    """How much of what a theorem needs for a wanted bound.

    Attributes
    ----------
    theorem, bounds, side
        The theorem's number, what is planned (for a risk, how far the bound lies above the measured loss), and from
        which side it is bounded.
    unit
        ``"nats"`` for a risk, ``"share"`` for a total variation.
    wanted
        What the bound must not exceed: for a risk, its distance from the measured risk in nats.
    needed, counts
        The least number found, and what it is a number of.
    bound
        The bound with that number, rounded up; the same distance for a risk. A limit is rounded down.
    reason
        Why no number is enough, if none is: then there is neither `needed` nor `bound`.
    """

    theorem: str
    bounds: str
    side: str
    unit: str
    wanted: float
    needed: int | None
    counts: str
    bound: float | None
    reason: str = ""


def plannable() -> tuple[Theorem, ...]:
    """Return the theorems whose bound falls with a number N that can be planned, and limits of what is possible.

    >>> [theorem.number for theorem in plannable()][:1]
    ['T1']
    """
    return tuple(t for t in THEOREMS if "N" in t.formula.inputs and (t.side == "upper" or t.number in LIMITS))


def plan(theorem: str, wanted: float | None = None, setting: Setting | None = None) -> Plan:
    """Return the least number found with which the theorem's bound is at most what is wanted.

    The number is doubled until the bound is small enough, and then bisected; the bound is evaluated, rounded up, at
    the number that is returned. For a risk, `wanted` is the distance of the bound from the measured risk: the
    confidence, the size of the class and the resolution of its cover, which is what more data shrinks. A limit (T11)
    is rounded down: with one interaction less it lies above what is wanted.

    Parameters
    ----------
    theorem
        The number of a theorem, such as ``"T1"``.
    wanted
        In nats for a risk, a share for a total variation; by default those of `WANTED`.
    setting
        Sizes, norms and what will be measured.

    Raises
    ------
    InputError
        If there is no such theorem, it has nothing to plan, or no number is enough.

    Examples
    --------
    >>> found = plan("T6")
    >>> found.needed, found.counts, round(found.bound, 4)
    (173341778, 'scored interactions', 0.25)
    """
    setting = Setting() if setting is None else setting
    chosen = _theorem(theorem)
    _check(wanted, setting)
    goal = _goal(chosen, wanted)
    if _unit(chosen) == "share" and goal >= 1:
        raise InputError(f"{theorem} bounds a share, which is at most 1; {goal:g} is wanted: ask for less than 1.")
    bound = _bound(chosen, setting)
    most = _most(chosen, setting)
    high, value = LEAST, bound(LEAST)
    low = LEAST - 1
    while value > goal:
        if high == most:
            raise InputError(_out_of_reach(chosen, goal, most, value))
        low, high = high, min(2 * high, most)
        value = bound(high)
    while high - low > 1:
        middle = (low + high) // 2
        found = bound(middle)
        if found <= goal:
            high, value = middle, found
        else:
            low = middle
    return Plan(chosen.number, _planned(chosen), chosen.side, _unit(chosen), goal, high, _counted(chosen), value)


def plans(
    theorems: Sequence[str] | None = None, wanted: float | None = None, setting: Setting | None = None
) -> list[Plan]:
    """Return one plan for each theorem, by default for all that can be planned; a wish out of reach has its reason.

    Raises
    ------
    InputError
        If an input is set that no formula has, the wish is no bound, or no wish is within reach.

    Examples
    --------
    >>> [(row.theorem, row.needed is None) for row in plans(["T6", "T9"], 2.0)]
    [('T6', True), ('T9', False)]
    """
    setting = Setting() if setting is None else setting
    _check(wanted, setting)
    found = []
    for number in [theorem.number for theorem in plannable()] if theorems is None else theorems:
        try:
            found.append(plan(number, wanted, setting))
        except InputError as error:
            chosen = _theorem(number)
            what = (_planned(chosen), chosen.side, _unit(chosen), _goal(chosen, wanted))
            found.append(Plan(number, *what, None, _counted(chosen), None, str(error)))
    if all(row.needed is None for row in found):
        raise InputError(" ".join(row.reason for row in found))
    return found


def curve(found: Plan, setting: Setting | None = None) -> list[dict[str, Any]]:
    """Return the bound of a plan at sizes around the number that is needed, one row for each size.

    Examples
    --------
    >>> rows = curve(plan("T6", 0.1))
    >>> sorted(rows[0]), rows[0]["size"] < rows[-1]["size"], rows[0]["bound"] > rows[-1]["bound"]
    (['bound', 'size', 'theorem'], True, True)
    """
    setting = Setting() if setting is None else setting
    theorem = _theorem(found.theorem)
    bound = _bound(theorem, setting)
    low, high = (1e2, 1e10) if found.needed is None else (found.needed / CURVE, found.needed * CURVE)
    low, high = max(low, LEAST), min(high, _most(theorem, setting))
    points = math.ceil(POINTS_PER_DECADE * math.log10(high / low)) + 1
    sizes = {round(size) for size in np.geomspace(low, high, points).tolist()}
    if found.needed is not None:
        sizes.add(found.needed)
    return [{"theorem": found.theorem, "size": size, "bound": bound(size)} for size in sorted(sizes)]


def write_plans(found: Sequence[Plan], setting: Setting, folder: Path) -> list[Path]:
    """Write plans and their curves as CSV, JSON and figure into a folder; return the paths of the files."""
    from conv4rec_experiments.figures.planning import draw_plans

    rows = [asdict(row) for row in found]
    curves = [point for row in found for point in curve(row, setting)]
    return [
        write_csv(folder / "plan.csv", rows),
        write_csv(folder / "plan_curves.csv", curves),
        write_json(folder / "plan.json", {"setting": setting.record(), "plans": rows, "curves": curves}),
        *draw_plans(rows, curves, folder / "plan"),
    ]


def _theorem(number: str) -> Theorem:
    choices = {theorem.number: theorem for theorem in plannable()}
    if number in choices:
        return choices[number]
    if number in {theorem.number for theorem in THEOREMS}:
        raise InputError(f"{number} is no bound that more data lowers; choose {', '.join(choices)}.")
    raise InputError(f"there is no theorem {number!r}; choose {', '.join(choices)}.")


def _check(wanted: float | None, setting: Setting) -> None:
    """Refuse a wish that is no bound, and inputs that are set by name but are none of any formula."""
    # What the rest of the setting determines has no second way in.
    free = {name for other in plannable() for name in other.example} - {"N", *replace(setting, others={}).inputs()}
    if odd := sorted(set(setting.others) - free):
        choices = ", ".join(sorted(free))
        raise InputError(f"no formula has an input {odd[0]!r} that is set by its name; choose some of {choices}.")
    if wanted is not None and not (math.isfinite(wanted) and wanted > 0):
        raise InputError(f"a bound of {wanted} is wanted; expected a finite number above 0.")


def _goal(theorem: Theorem, wanted: float | None) -> float:
    return WANTED[_unit(theorem)] if wanted is None else wanted


def _unit(theorem: Theorem) -> str:
    return "nats" if theorem.target.endswith("(nats)") else "share"


def _planned(theorem: Theorem) -> str:
    """Return what a plan's bound is a bound of: for a risk, the distance that more data shrinks."""
    if _unit(theorem) == "share":
        return theorem.target
    return f"nats above the measured loss: {theorem.target.removesuffix(' (nats)')}"


def _counted(theorem: Theorem) -> str:
    return COUNTED.get(theorem.number, "scored interactions")


def _most(theorem: Theorem, setting: Setting) -> int:
    """Return the largest number that is tried: a sample is a proper part of its pool."""
    return setting.pool - 1 if "H" in theorem.formula.inputs else MOST


@cache
def _above_measured(theorem: Theorem) -> Formula:
    """Return the bound of a risk less the measured risk, one symbolic object of its own."""
    formula = theorem.formula
    symbols = formula.value.free_symbols.union(*(e.free_symbols for e in formula.where.values()))
    (measured,) = (symbol for symbol in symbols if str(symbol) in MODEL_RISKS)
    return Formula(value=formula.value - measured, where=formula.where)


def _bound(theorem: Theorem, setting: Setting) -> Callable[[int], float]:
    """Return the function from the number that is planned to the bound, rounded up, or to the limit, rounded down."""
    formula = _above_measured(theorem) if _unit(theorem) == "nats" else theorem.formula
    given = setting.inputs()
    known = {name: given.get(name, value) for name, value in theorem.example.items()}

    def bound(size: int) -> float:
        inputs = theorem.complete(known | {"N": size})
        rounded = formula.lower if theorem.side == "lower" else formula.upper
        return rounded(**{name: inputs[name] for name in formula.inputs})

    return bound


def _out_of_reach(theorem: Theorem, wanted: float, most: int, value: float) -> str:
    left = lower(value) if theorem.side == "lower" else upper(value)
    what = f"{theorem.number} cannot promise {wanted:g}: even {most:,} {_counted(theorem)} leave {left}"
    if "H" in theorem.formula.inputs:
        return f"{what}, and a sample of the whole pool infers nothing; enlarge the pool or wish for a larger bound."
    return f"{what}; wish for a larger bound."
