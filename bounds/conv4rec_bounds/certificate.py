"""The result of a theorem: a value with its parts, or a refusal with its reason."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Literal

from conv4rec_bounds.rounding import printed_down, printed_up

__all__ = ["WORTHLESS_MARGIN", "Certificate", "Status"]

WORTHLESS_MARGIN = 0.01
"""Bounds on total variation that are below 1 whatever happens are called vacuous within this distance of 1."""

FEWEST_DIGITS, MOST_DIGITS = 4, 17
"""A reason is printed with few digits; seventeen tell any two floats apart."""


class Status(Enum):
    """What a certificate amounts to; each member's value is the word that is printed."""

    VALID = "valid"
    VACUOUS = "vacuous"
    REFUSED = "refused"


@dataclass(frozen=True)
class Certificate:
    """One theorem's answer about one model.

    Attributes
    ----------
    theorem, title, target
        The theorem's number, its name, and what ``value`` bounds.
    side
        ``"upper"`` if the target is at most ``value``, ``"lower"`` if it is at least ``value``.
    status, reason
        Valid, vacuous (no better than the trivial value) or refused; a full sentence.
    value, trivial
        The certified end and what holds without any theorem, both in the target's unit.
    terms, terms_of
        Parts whose exact sum is the quantity named by ``terms_of``: ``(name, amount)``.
    attribution
        The complexity term split over layers and steps, adding up exactly to that term.
    quantities
        Every named intermediate of the formula.
    assumptions
        What was taken for granted, sentence by sentence.
    spent
        The failure probability paid.

    Examples
    --------
    >>> Certificate.refused("T1", "Parameter count", "risk", "No weights were given.").status.value
    'refused'
    """

    theorem: str
    title: str
    target: str
    status: Status
    reason: str
    value: float | None = None
    trivial: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    terms_of: tuple[str, float] | None = None
    attribution: Mapping[str, float] = field(default_factory=dict)
    quantities: Mapping[str, float] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    spent: Fraction = Fraction(0)
    side: Literal["upper", "lower"] = "upper"

    @classmethod
    def refused(cls, theorem: str, title: str, target: str, reason: str, **parts: Any) -> "Certificate":
        """Return a refusal: no value, and nothing spent unless ``parts`` says so."""
        return cls(theorem, title, target, Status.REFUSED, reason, **parts)

    @classmethod
    def judged(cls, *, value: float, trivial: float, margin: float = 0.0, **parts: Any) -> "Certificate":
        """Return a valid certificate if it beats the trivial value by more than the margin, else a vacuous one."""
        if math.isnan(value):
            raise ValueError("a certificate's value is NaN")
        upper = parts.get("side", "upper") == "upper"
        printed, beside = _told_apart(value, trivial, upper)
        gain = trivial - value if upper else value - trivial
        if gain > margin:
            reason = f"The bound {printed} lies {'below' if upper else 'above'} the trivial value {beside}."
            return cls(status=Status.VALID, reason=reason, value=value, trivial=trivial, **parts)
        distance = f"within {margin:g} of" if margin else "no better than"
        reason = f"The bound {printed} holds but is {distance} the trivial value {beside}."
        return cls(status=Status.VACUOUS, reason=reason, value=value, trivial=trivial, **parts)

    def row(self) -> dict[str, str | float | None]:
        """Return the certificate as one flat row of a table."""
        return {
            "theorem": self.theorem,
            "title": self.title,
            "target": self.target,
            "side": self.side,
            "status": self.status.value,
            "value": self.value,
            "trivial": self.trivial,
            "spent": float(self.spent),
            "reason": self.reason,
        }

    def record(self) -> dict[str, Any]:
        """Return everything as plain types, ready for JSON."""
        return self.row() | {
            "terms": dict(self.terms),
            "terms_of": self.terms_of,
            "attribution": dict(self.attribution),
            "quantities": dict(self.quantities),
            "assumptions": list(self.assumptions),
        }


def _told_apart(value: float, trivial: float, upper: bool) -> tuple[str, str]:
    """Print a bound, rounded to the safe side, and the trivial value with as many digits as show which is larger.

    >>> _told_apart(4.1234567, 4.5, upper=True), _told_apart(4.4999, 4.49999, upper=True)
    (('4.124', '4.5'), ('4.49991', '4.49999'))
    >>> _told_apart(4.4991, 4.4994, upper=True), _told_apart(1 / 3, 1 / 3, upper=False)
    (('4.4992', '4.4994'), ('0.3333', '0.3333'))
    """
    for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        printed, beside = (printed_up if upper else printed_down)(value, digits), f"{trivial:.{digits}g}"
        order = (printed < Decimal(beside), printed > Decimal(beside))
        if value == trivial or order == (value < trivial, value > trivial):
            break
    return f"{printed:f}", beside
