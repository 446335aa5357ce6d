"""The confidence ledger as it is printed: every payment as an exact fraction of the failure probability of a page."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv4rec_bounds import Budget

__all__ = ["Ledger", "Payment", "ledger"]

LARGEST = 10**6


@dataclass(frozen=True)
class Payment:
    """What was paid for: its share of the page's failure probability, and the amount."""

    purpose: str
    share: Fraction
    amount: float

    @property
    def step(self) -> str:
        """The purpose without the theorem in front.

        >>> Payment("T9: betting", Fraction(1, 30), 0.05 / 30).step
        'betting'
        """
        return self.purpose.partition(": ")[2] or self.purpose

    @property
    def fraction(self) -> str:
        """The share as a fraction; with a denominator that nobody reads, to four digits.

        >>> Payment("T9: betting", Fraction(1, 30), 0.05 / 30).fraction
        '1/30'
        """
        return str(self.share) if self.share.denominator <= LARGEST else f"≈ {float(self.share):.4g}"


@dataclass(frozen=True)
class Ledger:
    """All payments of a page, what is left over among them: their shares add up to 1."""

    total: Fraction
    payments: tuple[Payment, ...]

    @property
    def failure(self) -> float:
        """The failure probability of the whole page."""
        return float(self.total)

    def of(self, theorem: str) -> list[Payment]:
        """Return what one theorem has paid, step by step."""
        return [payment for payment in self.payments if payment.purpose.startswith(f"{theorem}:")]


def ledger(budget: Budget, others: tuple[tuple[str, float], ...] = ()) -> Ledger:
    """Lay out what a report has paid from its budget, and what the same page has paid elsewhere.

    Parameters
    ----------
    budget
        The report's.
    others
        Purposes and failure probabilities of further statements.

    Examples
    --------
    >>> from conv4rec_bounds import Budget
    >>> budget = Budget(Fraction(1, 20))
    >>> _ = budget.spend("T9: betting", Fraction(1, 60))
    >>> [(payment.purpose, payment.fraction) for payment in ledger(budget).payments]
    [('T9: betting', '1/3'), ('left over', '2/3')]
    """
    whole, exact = _as_written(budget.total), Fraction(budget.total)
    entries = [(purpose, whole * amount / exact) for purpose, amount in budget.entries]
    entries += [(purpose, _as_written(amount)) for purpose, amount in others]
    if budget.left:
        entries.append(("left over", whole * budget.left / exact))
    total = sum((amount for _, amount in entries), start=Fraction(0))
    return Ledger(total, tuple(Payment(purpose, amount / total, float(amount)) for purpose, amount in entries))


def _as_written(failure: float | Fraction) -> Fraction:
    """Read a failure probability as the decimal number that was typed, so that 0.05 is a twentieth."""
    return failure if isinstance(failure, Fraction) else Fraction(f"{failure:.12g}")
