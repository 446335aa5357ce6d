"""Choose a system's options on the validation part, and time the fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

from conv4rec_experiments.comparison.protocol import without_held_out
from conv4rec_experiments.comparison.scoring import score

if TYPE_CHECKING:
    from conv4rec_experiments.comparison.systems import Fitted, Options, System, Task

__all__ = ["Tuned", "tune"]


@dataclass(frozen=True)
class Tuned:
    """A fitted system, and what was tried.

    Attributes
    ----------
    fitted : Fitted
        With the chosen options.
    options : dict
        Those chosen.
    fit_seconds, seconds : float
        Wall time of the fit with the chosen options, and of all fits and their validation together.
    tried : list of dict
        Every option with its value of the criterion on the validation part; empty where there was nothing to choose.
    """

    fitted: Fitted
    options: Options
    fit_seconds: float
    seconds: float
    tried: list[dict[str, Any]]


def tune(system: System, task: Task, on_fit: Callable[[int, int], None] | None = None) -> Tuned:
    """Fit a system with every option of its grid and keep the fit that is best on the validation part.

    Parameters
    ----------
    system : System
    task : Task
    on_fit : callable, optional
        Called before each fit with its number from 1, and with how many there are.
    """
    for package in system.packages:  # so that no import is timed
        import_module(package)
    inner = without_held_out(task.split)
    best: tuple[float, Fitted, Options, float] | None = None
    tried = []
    begin = perf_counter()
    for place, options in enumerate(system.grid, start=1):
        if on_fit is not None:
            on_fit(place, len(system.grid))
        start = perf_counter()
        fitted = system.fit(task, options)
        whole = perf_counter() - start
        seconds = whole if fitted.seconds is None else fitted.seconds
        if len(system.grid) == 1:
            return Tuned(fitted, options, seconds, whole, [])
        value = score(fitted, inner).figures()[system.criterion]
        if value is None:
            raise ValueError(f"{system.name} has no {system.criterion} to be chosen by")
        tried.append({"options": dict(options), system.criterion: value})
        loss = -value if system.criterion == "NDCG@100" else value
        if best is None or loss < best[0]:
            best = loss, fitted, options, seconds
    if best is None:
        raise ValueError(f"{system.name} has no options to try")
    return Tuned(*best[1:], perf_counter() - begin, tried)
