"""One certificate as a page shows it: its sentence, its pictures, what was paid, and what a receipt says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from conv4rec_bounds import Status
from conv4rec_experiments.figures.glance import Mark, draw_glance, draw_shares
from conv4rec_experiments.report.sentences import about, leading, statement

if TYPE_CHECKING:
    from conv4rec_bounds import Certificate, Report
    from conv4rec_experiments.measured import Measured
    from conv4rec_experiments.report.cited import Cited
    from conv4rec_experiments.report.ledger import Ledger, Payment

__all__ = ["Shown", "show"]


@dataclass(frozen=True)
class Shown:
    """What a page says about one certificate that has a value.

    Attributes
    ----------
    name
        Goes before identifiers of the page; links end there.
    certificate, row
        The certificate, and as one flat row.
    statement, about
        What it says in one sentence, and what it is about.
    measured, beside
        Its target, where it could be measured; what stands beside the bound: that, or the measured loss it starts from.
    picture, shares
        The bound on an axis; its attribution as bars, if there is more than one.
    paid
        Its payments.
    cited
        How its theorem fared on known truths, if a receipt says so.
    """

    name: str
    certificate: Certificate
    row: Mapping[str, Any]
    statement: str
    about: str
    measured: Measured | None
    beside: Mark | None
    picture: Markup
    shares: Markup | None
    paid: Sequence[Payment]
    cited: Cited | None


def show(report: Report, measured: Mapping[str, Measured], ledger: Ledger, counted: Mapping[str, Cited]) -> list[Shown]:
    """Prepare every certificate that has a value: first what the headline tells, then the others, vacuous ones last."""
    first = [certificate.theorem for certificate in leading(report)]
    places = {theorem: place - len(first) for place, theorem in enumerate(first)}
    found = [certificate for certificate in report if certificate.value is not None]
    found.sort(key=lambda one: places.get(one.theorem, int(one.status is not Status.VALID)))
    return [_shown(certificate, measured.get(certificate.theorem), ledger, counted) for certificate in found]


def _shown(certificate: Certificate, measured: Measured | None, ledger: Ledger, counted: Mapping[str, Cited]) -> Shown:
    name, row, beside = f"certificate-{certificate.theorem}", certificate.row(), _beside(certificate, measured)
    marks = [] if beside is None else [beside]
    if certificate.trivial is not None:
        marks.append(Mark("trivial", certificate.trivial, "trivial"))
    shares = None
    if len(certificate.attribution) > 1:
        # The picture is made of the figures and of escaped text alone.
        shares = Markup(draw_shares(certificate.attribution, f"{name}-shares"))
    return Shown(
        name=name,
        certificate=certificate,
        row=row,
        statement=statement(certificate),
        about=" ".join(about([certificate])),
        measured=None if measured is None or measured.value is None else measured,
        beside=beside,
        picture=Markup(draw_glance(row, marks, f"{name}-axis")),
        shares=shares,
        paid=ledger.of(certificate.theorem),
        cited=counted.get(certificate.theorem),
    )


def _beside(certificate: Certificate, measured: Measured | None) -> Mark | None:
    """Return the measured target, or else the measured term that the value starts from."""
    if measured is not None and measured.value is not None:
        return Mark("measured", measured.value, "measured")
    if len(certificate.terms) > 1 and certificate.terms_of is not None and certificate.terms_of[0] == "value":
        words, value = next(iter(certificate.terms.items()))
        return Mark(words, value, "measured")
    return None
