"""Checks of plain arguments: whole numbers, real numbers, yes or no."""

from __future__ import annotations

import numpy as np

from conv4rec.errors import InputError

__all__ = ["flag", "real_number", "whole_number"]


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return an integer of Python or numpy as one of Python, if it is in its range.

    Raises
    ------
    InputError
        The value is no integer, or below ``least``, or above ``most``.

    Examples
    --------
    >>> whole_number("epochs", np.int64(3), 0)
    3
    """
    if not isinstance(value, bool) and isinstance(value, int | np.integer):
        number = int(value)
        if least <= number and (most is None or number <= most):
            return number
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise InputError(f"{name} is {value!r}; expected a whole number {limits}.")


def real_number(name: str, value: object) -> float:
    """Return a real number of Python or numpy as a float of Python; NaN is none.

    Raises
    ------
    InputError
        The value is no real number.

    Examples
    --------
    >>> real_number("learning_rate", np.float64(0.25))
    0.25
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating) or np.isnan(value):
        raise InputError(f"{name} is {value!r}; expected a number.")
    return float(value)


def flag(name: str, value: object) -> bool:
    """Return True or False; a word such as ``"no"`` would otherwise count as true.

    Raises
    ------
    InputError
        The value is neither.

    Examples
    --------
    >>> flag("redraw", True)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is {value!r}; expected True or False.")
    return bool(value)
