"""What every theorem has, so that tests, docs and figures can run over one table of all of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal, TypeVar

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.rounding import Number

__all__ = ["COVERED_NETWORK", "FIXED_PROFILE", "SCORED_SAMPLING", "Assumption", "Theorem", "given"]

T = TypeVar("T")


def given(part: T | None) -> T:
    """Return a part of the evidence that the assumptions have found to be there."""
    if part is None:
        raise RefusedError("a theorem was evaluated without asking whether it refuses; call certify instead")
    return part


@dataclass(frozen=True)
class Assumption:
    """A named assumption and the check that returns the reason why the evidence breaks it, if it does."""

    name: str
    statement: str
    broken: Callable[[Evidence], str | None]

    def __str__(self) -> str:
        """Return the assumption as it is printed on certificates."""
        return f"{self.name}: {self.statement}"


class Theorem(ABC):
    """One theorem: its statement in words, its assumptions, its symbolic formula and its evaluation.

    ``evaluate`` must return a value that bounds ``target`` from its ``side`` with probability at least ``1 - delta``
    whenever ``refusal`` returned None, must pay exactly ``delta`` from the budget (nothing if ``deterministic``), and
    must round to the safe side.

    Attributes
    ----------
    number, title, target, claim, rate, page
        The number on its page, the name, what is bounded, the announced claim it stands for, the rate as
        LaTeX, and the path of the page in the documentation without suffix.
    assumptions
        What is taken for granted, each with its check.
    side
        ``"upper"`` or ``"lower"``: from which side the target is bounded.
    deterministic
        True if the statement holds for sure, given its inputs: it then pays nothing.
    model_tv
        If the target is the total variation of the model itself to the truth, on which T10 may build: over whose mix
        it is a mean, ``"scored"``, ``"untouched"`` or ``"blocks"``; None otherwise.
    example, moves
        A typical point of the formula's inputs (free parameters left out), and the inputs that the figure on the
        theorem's page moves from there.
    """

    number: ClassVar[str]
    title: ClassVar[str]
    target: ClassVar[str]
    claim: ClassVar[str]
    rate: ClassVar[str]
    page: ClassVar[str]
    assumptions: ClassVar[tuple[Assumption, ...]]
    side: ClassVar[Literal["upper", "lower"]] = "upper"
    deterministic: ClassVar[bool] = False
    model_tv: ClassVar[Literal["scored", "untouched", "blocks"] | None] = None
    example: ClassVar[Mapping[str, Number]]
    moves: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def formula(self) -> Formula:
        """The symbolic object of the theorem, in its most general form."""

    @abstractmethod
    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certificate for evidence that was not refused."""

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Return the inputs with the free parameters that `evaluate` would choose; most theorems have none."""
        return dict(inputs)

    def refusal(self, evidence: Evidence) -> str | None:
        """Return the first reason why the theorem says nothing about this evidence, or None if it applies."""
        for assumption in self.assumptions:
            reason = assumption.broken(evidence)
            if reason is not None:
                return f"{self.number} refuses ({assumption.name}): {reason}."
        return None

    def certificate(self, *, value: float, trivial: float, **parts: Any) -> Certificate:
        """Return the certificate of a value, under this theorem's name, target and assumptions."""
        named: dict[str, Any] = {"theorem": self.number, "title": self.title, "target": self.target, "side": self.side}
        assumptions = tuple(str(assumption) for assumption in self.assumptions)
        return Certificate.judged(value=value, trivial=trivial, assumptions=assumptions, **named | parts)


def _profile_not_fixed(evidence: Evidence) -> str | None:
    if evidence.protocol.profile != "fixed":
        return (
            "the encoder reads the interactions that it is scored on (self-reconstruction); this theorem needs a "
            "profile fixed before the scored part; split the data into profile and scored, or use T9 on held-out data"
        )
    return None


def _not_scored_by_chance(evidence: Evidence) -> str | None:
    if evidence.protocol.sampling == "neither":
        return (
            "the scored interactions are neither independent draws nor a random subset of a pool; this theorem needs "
            "one of the two; split at random, or use T9-pool on a random subset of the held-out part"
        )
    if evidence.scored is None:
        return "no scored part was given; pass its size and the model's mean loss on it"
    return None


def _network_not_covered(evidence: Evidence) -> str | None:
    if evidence.network is None:
        return "no weights were given; pass the network's arrays, or use T9, which needs none"
    if evidence.network.has_hidden_layers:
        return (
            "the network has hidden layers on the code, which no lemma covers; train with hidden=(), or use T9, "
            "which holds for any predictor"
        )
    return None


FIXED_PROFILE = Assumption(
    "A1",
    "The profile is fixed: given the users, it is independent of the scored interactions.",
    _profile_not_fixed,
)
SCORED_SAMPLING = Assumption(
    "A2",
    "Given users, profiles and masks, the scored interactions are independent, each from its user's law (or a "
    "uniformly random subset of a finite pool outside the profiles; a user's law is then that of his own pool).",
    _not_scored_by_chance,
)
COVERED_NETWORK = Assumption(
    "A3",
    "The network is lift, encode, decode, project with 1-Lipschitz activations that vanish at 0 and no further layers; "
    "catalogue, sizes, activations, sharing of maps and layers were fixed without the scored part (in a finite pool: "
    "without anything that tells which of it is scored).",
    _network_not_covered,
)
