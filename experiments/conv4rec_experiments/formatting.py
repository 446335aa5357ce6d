"""Numbers as they are printed, a bound never on the wrong side of its exact value, and words that go with them."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Context
from math import ceil, floor
from typing import Any, Literal

from conv4rec_bounds.rounding import printed_down, printed_up

__all__ = ["bound", "confidence", "floor_words", "interval", "lower", "number", "percent", "quantity", "unit", "upper"]

EXACT = frozenset(
    {
        *("N", "H", "J", "K", "T_seg", "T_cell", "a", "g", "k", "m", "p", "s", "alpha", "lambda", "epsilon"),
        "base rate",
        *(f"epsilon_{letter}" for letter in "KEaDGOB"),
        *("u_E", "u_D", "v_B"),
    }
)
"""Quantities of formulas that are counted or chosen; all others are upper ends, or lower ends by their name."""


def number(value: float | None, digits: int = 4) -> str:
    """Write a number for a table, a dash where there is none; integers in full.

    >>> number(9.640943), number(597.14726), number(0.00012), number(None), number(12345)
    ('9.641', '597.1', '0.00012', '–', '12,345')
    """
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def upper(value: float | None, digits: int = 4) -> str:
    """Write an upper bound, rounded up: what is printed is never below the bound.

    >>> upper(9.640943), upper(597.14126), upper(0.125), upper(15371.2), upper(None)
    ('9.641', '597.2', '0.125', '15,380', '–')
    """
    if value is None:
        return "–"
    return f"{printed_up(value, digits):,f}"


def lower(value: float | None, digits: int = 4) -> str:
    """Write a lower bound, rounded down: what is printed is never above the bound.

    >>> lower(9.640943), lower(597.14126), lower(0.125), lower(15379.2), lower(None)
    ('9.64', '597.1', '0.125', '15,370', '–')
    """
    if value is None:
        return "–"
    return f"{printed_down(value, digits):,f}"


def bound(row: Mapping[str, Any]) -> str:
    """Write the value of a row of certificates with the side from which it bounds, rounded to the safe side.

    >>> bound({"side": "upper", "value": 9.640943}), bound({"side": "lower", "value": 0.0412345})
    ('≤ 9.641', '≥ 0.04123')
    >>> bound({"side": "upper", "value": None})
    '–'
    """
    value = row["value"]
    if value is None:
        return "–"
    return f"≤ {upper(value)}" if row["side"] == "upper" else f"≥ {lower(value)}"


def quantity(name: str, value: float) -> str:
    """Write a quantity of a formula under its name: exact inputs as numbers, ends rounded to the safe side.

    >>> quantity("Delta", 0.639624), quantity("hidden gems, lower end", 0.639624), quantity("alpha", 0.012344)
    ('0.6397', '0.6396', '0.01234')
    >>> quantity("K", 12345.0)
    '12,345'
    """
    if name in EXACT:
        return number(int(value) if float(value).is_integer() else value)
    return lower(value) if name.endswith(", lower end") else upper(value)


def unit(target: str) -> Literal["nats", "levels", "share"]:
    """Read the unit off the words of a certificate's target: what names none is a share.

    >>> unit("risk of the drawn predictors (nats)"), unit("total variation (mean over users)")
    ('nats', 'share')
    """
    return "nats" if "(nats)" in target else "levels" if "(levels)" in target else "share"


def confidence(failure: float) -> str:
    """Write the confidence that goes with a failure probability, in percent, rounded down and never as certainty.

    Failure probabilities are read as decimal numbers of twelve digits, so that 0.05 is a twentieth.

    >>> confidence(0.05), confidence(4e-7), confidence(0.0024)
    ('95 %', '99.99996 %', '99.76 %')
    """
    rounded = Context(prec=3, rounding=ROUND_CEILING).create_decimal(f"{failure:.12g}")
    return f"{(100 - 100 * rounded).normalize():f} %"


def percent(rate: float | None) -> str:
    """Write a rate in percent, a dash where there is none.

    >>> percent(0.0125), percent(None)
    ('1.25 %', '–')
    """
    return "–" if rate is None else f"{100 * rate:.3g} %"


def interval(row: Mapping[str, Any]) -> str:
    """Write the exact interval of a row's miss rate in percent, rounded outward.

    >>> interval({"low": 0.0, "high": 0.0018427})
    '0.00 to 0.19 %'
    """
    if row["low"] is None:
        return "–"
    return f"{floor(1e4 * row['low']) / 100:.2f} to {ceil(1e4 * row['high']) / 100:.2f} %"


def floor_words(least_interactions: int, before: str = "") -> str:
    """Say which items are looked at, in words that follow others; nothing if all are.

    >>> floor_words(10, ", "), floor_words(0, ", ")
    (', items of 10 training interactions or more', '')
    """
    return f"{before}items of {least_interactions} training interactions or more" if least_interactions else ""
