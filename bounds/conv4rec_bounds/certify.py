"""The one entry: evidence in, certificates out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.theorems import THEOREMS
from conv4rec_bounds.theorems.base import Theorem

__all__ = ["Report", "certify"]


@dataclass(frozen=True)
class Report:
    """All certificates about one model; those that have a value hold jointly with probability ``1 - delta``."""

    certificates: tuple[Certificate, ...]
    budget: Budget

    def __iter__(self) -> Iterator[Certificate]:
        """Iterate over the certificates in the order of the theorems."""
        return iter(self.certificates)

    def __getitem__(self, theorem: str) -> Certificate:
        """Return the certificate of a theorem by its number."""
        return next(c for c in self.certificates if c.theorem == theorem)

    def rows(self) -> list[dict[str, str | float | None]]:
        """Return one flat row for each certificate."""
        return [certificate.row() for certificate in self.certificates]

    def record(self) -> dict[str, Any]:
        """Return the report as plain types, ready for JSON."""
        return {
            "delta": float(self.budget.total),
            "spent": [{"purpose": purpose, "amount": float(amount)} for purpose, amount in self.budget.entries],
            "certificates": [certificate.record() for certificate in self.certificates],
        }


def certify(
    evidence: Evidence,
    delta: float | Fraction = 0.05,
    theorems: Sequence[Theorem] = THEOREMS,
    budget: Budget | None = None,
) -> Report:
    """Return the certificates of all theorems that apply to the evidence and the reasons of those that do not.

    Which theorems apply depends on the protocol and on what was handed over, never on measured values, so the
    failure probability is shared equally among them and all statements hold jointly with probability
    ``1 - delta``. A theorem whose numbers leave the range of floats refuses, too, and what it has paid stays paid.
    That is a promise about one call: who certifies k models, splits or selections on the same data
    and keeps the best pays for all of them from one ``budget``, for example ``delta / k`` for each.

    Parameters
    ----------
    evidence
        All that is known about one model.
    delta
        The failure probability of this report.
    theorems
        Which theorems to ask; those that refuse cost nothing.
    budget
        A ledger from which several reports are paid: all of them hold jointly with probability ``1 - budget.total``.
        By default this report has one of its own.

    Raises
    ------
    RefusedError
        If ``delta`` is not strictly between 0 and 1, or the ledger has less than that left.

    Examples
    --------
    >>> import numpy as np
    >>> from conv4rec_bounds import Evidence, HeldOut, Protocol
    >>> losses = HeldOut(np.log(np.full(10_000, 0.2)), np.full(10_000, 90), smoothing=0.01)
    >>> report = certify(Evidence(cells=90, protocol=Protocol("independent"), held_out=losses))
    >>> [certificate.theorem for certificate in report if certificate.value is not None]
    ['T9']
    >>> report["T1"].status.value, round(report["T9"].value, 4)
    ('refused', 1.6234)
    """
    own = Budget(delta)
    budget = own if budget is None else budget
    if budget.left < own.total:
        raise RefusedError(
            f"a report asks for {float(delta):g} of the failure probability, but only {float(budget.left):g} of "
            f"{float(budget.total):g} is left; ask for fewer reports or give each a smaller delta"
        )
    paying = sum(_applies(theorem, evidence) for theorem in theorems if not theorem.deterministic)
    found: dict[str, Certificate] = {}
    # What holds for sure comes last: it may build on a total variation that another theorem has certified.
    for theorem in sorted(theorems, key=lambda theorem: theorem.deterministic):
        if theorem.deterministic:
            found[theorem.number] = _answer(theorem, _with_total_variation(evidence, theorems, found), None, budget)
        else:
            found[theorem.number] = _answer(theorem, evidence, Fraction(delta) / max(paying, 1), budget)
    return Report(tuple(found[theorem.number] for theorem in theorems), budget)


def _applies(theorem: Theorem, evidence: Evidence) -> bool:
    """Say whether a share is kept for a theorem; weights that overflow are measured, so it is kept for them, too."""
    try:
        return theorem.refusal(evidence) is None
    except RefusedError:
        return True


def _answer(theorem: Theorem, evidence: Evidence, share: Fraction | None, budget: Budget) -> Certificate:
    before = budget.spent
    try:
        reason = theorem.refusal(evidence)
        if reason is None:
            return theorem.evaluate(evidence, Fraction(0) if share is None else share, budget)
    except RefusedError as error:
        # One theorem whose numbers overflow must not take the others with it.
        reason = f"{theorem.number} refuses: {error}."
    spent = budget.spent - before
    return Certificate.refused(theorem.number, theorem.title, theorem.target, reason, side=theorem.side, spent=spent)


def _with_total_variation(
    evidence: Evidence, theorems: Sequence[Theorem], found: Mapping[str, Certificate]
) -> Evidence:
    """Hand the least certified total variation of the model on to the theorems that say what it buys.

    Where a pool of items was given, the least over that pool's mix of users goes first, so that it can be certified.
    """
    known = [(evidence.total_variation, evidence.total_variation_users)]
    known += [(found[t.number].value, t.model_tv) for t in theorems if t.model_tv is not None and t.number in found]
    usable = [(min(value, 1.0), users) for value, users in known if value is not None and users is not None]
    if not usable:
        return evidence
    pool = evidence.gem_pool
    of_the_pool = [] if pool is None else [(value, users) for value, users in usable if users == pool.users]
    value, users = min(of_the_pool or usable)
    return replace(evidence, total_variation=value, total_variation_users=users)
