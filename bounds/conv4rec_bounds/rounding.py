"""Numbers that are rounded to the safe side: from exact values to balls, from balls to floats, and exact sums."""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from flint import arb, ctx, fmpq

from conv4rec_bounds.errors import RefusedError

__all__ = [
    "Number",
    "add_up",
    "ceil_float",
    "exact",
    "floor_float",
    "floor_to_grid",
    "printed_down",
    "printed_up",
    "split_exactly",
    "surprisal",
]

Number = int | float | Fraction

PRECISION_BITS = 256


def exact(value: Number) -> arb:
    """Return the ball of radius zero (or one ulp at 256 bits) that holds ``value``.

    Raises
    ------
    RefusedError
        If the value is NaN.

    Examples
    --------
    >>> exact(0.5)
    0.500000000000000
    """
    if isinstance(value, float):
        if math.isnan(value):
            raise RefusedError("a quantity is NaN; expected a number; check the input that it was measured on")
        return arb(value)
    with ctx.workprec(PRECISION_BITS):
        ratio = Fraction(value)
        return arb(fmpq(int(ratio.numerator), int(ratio.denominator)))


def surprisal(probability: Number) -> float:
    r"""Return :math:`-\log p` in nats, also where p lies below the smallest float or next to 1.

    >>> surprisal(Fraction(1, 10**400)), surprisal(Fraction(1))
    (921.0340371976183, 0.0)
    """
    with ctx.workprec(PRECISION_BITS):
        return float((1 / exact(probability)).log())


def ceil_float(ball: arb) -> float:
    """Return the smallest convenient float that is not below any number in the ball.

    >>> third = exact(Fraction(1, 3))
    >>> Fraction(ceil_float(third)) >= Fraction(1, 3)
    True
    """
    if not ball.is_finite():
        raise RefusedError(
            "a bound is not finite; expected weights, sizes and losses of moderate magnitude; check the weights and "
            "the measured losses; train with weight decay or smaller steps"
        )
    with ctx.workprec(PRECISION_BITS):
        end = ball.upper()
        candidate = float(end)
        while not arb(candidate) >= end:
            candidate = math.nextafter(candidate, math.inf)
    if math.isinf(candidate):
        raise RefusedError(
            "a bound exceeds the largest float; expected weights and losses of moderate size; check the weights; train "
            "with weight decay or smaller steps"
        )
    return candidate


def floor_float(ball: arb) -> float:
    """Return the largest convenient float that is not above any number in the ball.

    >>> Fraction(floor_float(exact(Fraction(1, 3)))) <= Fraction(1, 3)
    True
    """
    with ctx.workprec(PRECISION_BITS):
        mirrored = -ball
    return -ceil_float(mirrored)


def floor_to_grid(value: float) -> float:
    """Return the largest multiple of 2^-40 that is not above ``value``: such numbers add up exactly, even to nearly 0.

    >>> floor_to_grid(0.3) <= 0.3 < floor_to_grid(0.3) + 2**-40, floor_to_grid(-1e-20) == -(2**-40)
    (True, True)
    """
    return math.floor(value * 2.0**40) / 2.0**40


def printed_up(value: float, digits: int) -> Decimal:
    """Return ``value`` with that many significant digits, rounded up: what is printed is never below it.

    >>> print(printed_up(6.5684799, 6), printed_up(0.125, 6))
    6.56848 0.125
    """
    return Context(prec=digits, rounding=ROUND_CEILING).create_decimal(value).normalize()


def printed_down(value: float, digits: int) -> Decimal:
    """Return ``value`` with that many significant digits, rounded down: what is printed is never above it.

    >>> print(printed_down(6.5684799, 6), printed_down(0.125, 6))
    6.56847 0.125
    """
    return Context(prec=digits, rounding=ROUND_FLOOR).create_decimal(value).normalize()


def add_up(total: float, parts: Sequence[float]) -> list[float]:
    """Move the rounding of ``parts`` into the last that can take it: ``math.fsum`` of the result is ``total``.

    Parts that make up the total already are returned as they are.

    Raises
    ------
    RefusedError
        If the parts are further from the total than rounding explains.

    Examples
    --------
    >>> math.fsum(add_up(0.3, [0.1, 0.2])), math.fsum([0.1, 0.2])
    (0.3, 0.30000000000000004)
    """
    if math.fsum(parts) == total:
        return list(parts)
    largest = max((abs(part) for part in parts), default=0.0)
    for chosen in reversed([i for i, part in enumerate(parts) if part != 0]):
        others = [part for i, part in enumerate(parts) if i != chosen]
        moved = math.fsum([total, *(-part for part in others)])
        exact_sum = math.fsum([*others, moved]) == total
        if exact_sum and abs(moved - parts[chosen]) <= 1e-9 * max(largest, abs(total)):
            return [moved if i == chosen else part for i, part in enumerate(parts)]
    raise RefusedError(f"parts that sum to {math.fsum(parts)!r} do not make up {total!r}")


def split_exactly(total: float, weights: Sequence[float]) -> list[float]:
    """Split ``total`` in proportion to non-negative ``weights`` into floats whose exact sum is ``total``.

    >>> math.fsum(split_exactly(1.0, [1, 1, 1]))
    1.0
    """
    scale = math.fsum(weights)
    if not scale > 0:
        raise RefusedError("a quantity was to be split by weights that are all zero; expected a positive weight")
    return add_up(total, [total * (weight / scale) for weight in weights])
