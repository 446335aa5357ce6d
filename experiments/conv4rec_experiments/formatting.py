"""Numbers as they are printed: a bound never on the wrong side of its exact value."""

from conv4rec_bounds.rounding import printed_up

__all__ = ["number", "upper"]


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
