"""A certificate beside the exact value of what it bounds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from conv4rec_bounds import THEOREMS, Evidence, RefusedError, certify
from conv4rec_bounds.theorems.base import Theorem

__all__ = ["BY_NUMBER", "Statement", "Statements", "answer", "inapplicable"]

BY_NUMBER: dict[str, Theorem] = {theorem.number: theorem for theorem in THEOREMS}


@dataclass(frozen=True)
class Statement:
    """One theorem's answer about one replicate, beside the exact value of its target.

    Attributes
    ----------
    theorem
        Its number.
    basis
        What the certificate was told about the truth: ``"known"``, ``"realisable"``, ``"plug-in"``, or empty.
    target
        What is bounded, in words.
    side
        From which side.
    delta
        With which probability the bound may miss: 0 for what holds for sure.
    bound, measured
        The certificate and the exact target; None if it was refused.
    refused
        Why there is no certificate, else None.
    """

    theorem: str
    basis: str
    target: str
    side: str
    delta: float
    bound: float | None
    measured: float | None
    refused: str | None = None


Statements = Iterator[Statement]
Made = tuple[Evidence, float]


def answer(
    number: str, delta: float, make: Callable[[], Made], *, basis: str = "", target: str | None = None
) -> Statement:
    """Return what a theorem says, which has all of delta to itself.

    ``make`` gives the evidence and the exact value of the target. Parts that cannot be (an empty block, a loss that is
    not finite) refuse as the theorem does.
    """
    theorem = BY_NUMBER[number]
    stated = _stated(theorem, delta, basis, target)
    try:
        evidence, measured = make()
    except RefusedError as error:
        return stated(None, None, f"{number} refuses: {error}.")
    certificate = certify(evidence, delta, [theorem])[number]
    if certificate.value is None:
        return stated(None, None, certificate.reason)
    return stated(certificate.value, measured, None)


def inapplicable(number: str, delta: float, reason: str, *, basis: str = "") -> Statement:
    """Return a theorem that nobody would ask here, with the reason."""
    return _stated(BY_NUMBER[number], delta, basis, None)(None, None, reason)


def _stated(
    theorem: Theorem, delta: float, basis: str, target: str | None
) -> Callable[[float | None, float | None, str | None], Statement]:
    def stated(bound: float | None, measured: float | None, refused: str | None) -> Statement:
        return Statement(
            theorem=theorem.number,
            basis=basis,
            target=target or theorem.target,
            side=theorem.side,
            delta=0.0 if theorem.deterministic else delta,
            bound=bound,
            measured=measured,
            refused=refused,
        )

    return stated
