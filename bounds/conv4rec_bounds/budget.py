"""The confidence ledger: every statement of one report pays from one failure probability."""

import math
from dataclasses import dataclass, field
from fractions import Fraction

from conv4rec_bounds.errors import RefusedError

__all__ = ["Budget"]


@dataclass
class Budget:
    """Failure probability ``total``, spent by name in exact rational arithmetic; overspending is refused.

    By the union bound all statements that were paid from one budget hold jointly with probability at least
    ``1 - total``.

    Raises
    ------
    RefusedError
        If ``total`` is not strictly between 0 and 1, if a payment is not positive, or if it exceeds what is left.

    Examples
    --------
    >>> budget = Budget(0.25)
    >>> budget.spend("T9, Hoeffding", Fraction(1, 8))
    Fraction(1, 8)
    >>> budget.left
    Fraction(1, 8)
    >>> budget.spend("T1", Fraction(1, 4))
    Traceback (most recent call last):
        ...
    conv4rec_bounds.errors.RefusedError: T1 asks for 0.25 of the failure probability, but only 0.125 of 0.25 is \
left; ask for fewer statements or a larger delta
    """

    total: float | Fraction
    entries: list[tuple[str, Fraction]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Refuse a total that is no failure probability."""
        if isinstance(self.total, float) and not math.isfinite(self.total):
            raise RefusedError(f"delta is {self.total}; expected a number strictly between 0 and 1")
        if not 0 < self.total < 1:
            raise RefusedError(
                f"delta is {float(self.total):g}; expected a failure probability strictly between 0 and 1, such as 0.05"
            )

    @property
    def spent(self) -> Fraction:
        """What has been paid so far."""
        return sum((amount for _, amount in self.entries), start=Fraction(0))

    @property
    def left(self) -> Fraction:
        """What can still be paid."""
        return Fraction(self.total) - self.spent

    def spend(self, purpose: str, amount: Fraction) -> Fraction:
        """Pay ``amount`` for ``purpose`` and return it."""
        if not amount > 0:
            raise RefusedError(f"{purpose} asks for {float(amount):g} of the failure probability; expected more than 0")
        if amount > self.left:
            raise RefusedError(
                f"{purpose} asks for {float(amount):g} of the failure probability, but only {float(self.left):g} "
                f"of {float(self.total):g} is left; ask for fewer statements or a larger delta"
            )
        self.entries.append((purpose, amount))
        return amount
