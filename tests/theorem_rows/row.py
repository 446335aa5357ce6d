"""What the tests have to know about a theorem."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis.strategies import SearchStrategy

from conv4rec_bounds import Certificate, Evidence
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Theorem

Replicates = Iterable[tuple[float, float]]


@dataclass(frozen=True)
class Row:
    """One theorem and how it is attacked.

    Attributes
    ----------
    theorem
        An instance.
    inputs
        Random inputs of its formula.
    evidence
        Evidence that the theorem accepts, for a sample size.
    again
        The value of a certificate, recomputed by hand in floating point from the evidence.
    broken
        Evidence with a broken assumption and words of the refusal; every assumption needs one.
    falls_in, rises_in
        Inputs in which the formula falls or rises; ``grows_with_n`` are those that grow when N does.
    vanishing
        Definitions of the formula that tend to 0 with N (for a fixed resolution).
    replicates
        Bound and target of at least 1,000 replicates at delta = 0.05, or None.
    instead
        Where there are no replicates: the test that checks the theorem otherwise, as ``file::test``.
    unrefused
        For assumptions (by name): bounds and targets with the assumption broken and the refusal passed over.
    """

    theorem: Theorem
    inputs: SearchStrategy[dict[str, Number]]
    evidence: Callable[[int], Evidence]
    again: Callable[[Evidence, Certificate], float]
    broken: Sequence[tuple[Evidence, str]]
    falls_in: Sequence[str] = ("N", "delta")
    rises_in: Sequence[str] = ()
    grows_with_n: Sequence[str] = ()
    vanishing: Sequence[str] = ()
    replicates: Callable[[], Replicates] | None = None
    instead: str = ""
    unrefused: Mapping[str, Callable[[], Replicates]] = field(default_factory=dict)
