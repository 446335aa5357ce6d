"""One self-contained HTML page about one trained model: no scripts, no network, figures inside."""

from __future__ import annotations

import platform
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conv4rec_experiments.formatting import confidence
from conv4rec_experiments.report.cited import cited
from conv4rec_experiments.report.environment import new_environment
from conv4rec_experiments.report.ledger import ledger
from conv4rec_experiments.report.sentences import about, glossary, headline, leading
from conv4rec_experiments.report.shown import show

if TYPE_CHECKING:
    from conv4rec_bounds import Report
    from conv4rec_experiments.distances import Interval
    from conv4rec_experiments.evaluation import Loss
    from conv4rec_experiments.measured import Measured
    from conv4rec_experiments.studies.receipt import Receipt

__all__ = ["Figure", "Page", "render"]

MADE_WITH = ("conv4rec", "torch", "numpy", "python-flint", "sympy", "matplotlib")
STUDY_HEADINGS = {
    "size": "N",
    "seeds": "seeds",
    "tv": "TV",
    "floor": "floor",
    "histogram_tv": "histogram TV",
    "t6": "T6",
    "gap": "gap (nats)",
}


@dataclass(frozen=True)
class Figure:
    """A further picture on the page: its title, its caption, and the PNG file."""

    title: str
    caption: str
    png: Path


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes
    ----------
    title
        The heading.
    report
        The certificates.
    measured
        For each theorem, the quantity that it bounds, as far as it is known.
    losses
        Mean losses of the model and its peers, those of one part together.
    parts
        Rows of certificates that hold several quantities (see `conv4rec_experiments.parts.part_rows`).
    intervals
        How far models are from the truth, at least and at most, over groups of cells.
    facts, notes
        Names with their values, such as sizes, and sentences on how the data was split and what was declared.
    receipt
        The coverage receipt that the page rests on, if there is one.
    figures
        Further figures, in the order of the page.
    study
        Rows of a table of the convergence study, all with the same keys, if one was run.
    study_failure
        The failure probability that the certificates of the study have paid together.
    """

    title: str
    report: Report
    measured: Mapping[str, Measured] = field(default_factory=dict)
    losses: Sequence[Loss] = ()
    parts: Sequence[Mapping[str, Any]] = ()
    intervals: Sequence[Interval] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    receipt: Receipt | None = None
    figures: Sequence[Figure] = ()
    study: Sequence[Mapping[str, Any]] = ()
    study_failure: float = 0.0


def render(page: Page) -> str:
    """Return the page as HTML.

    Raises
    ------
    OSError
        If the file of a figure cannot be read.
    """
    report = page.report
    of_the_study = "convergence study: the T6 certificate of every fit"
    paid = ledger(report.budget, ((of_the_study, page.study_failure),) if page.study_failure else ())
    counted = {} if page.receipt is None else cited(page.receipt)
    certificates = show(report, page.measured, paid, counted)
    return (
        new_environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            headline=headline(report, paid.failure),
            about=about(leading(report)),
            certificates=certificates,
            refused=[certificate for certificate in report if certificate.value is None],
            glossary=glossary(shown.certificate for shown in certificates),
            losses=[(part, list(rows)) for part, rows in groupby(page.losses, key=lambda row: row.part)],
            ledger=paid,
            confidence=confidence(paid.failure),
            counted=counted,
            images=[(figure, b64encode(figure.png.read_bytes()).decode()) for figure in page.figures],
            headings=STUDY_HEADINGS,
            versions={name: version(name) for name in MADE_WITH} | {"Python": platform.python_version()},
        )
    )
