"""One self-contained HTML page about one trained model: no scripts, no network, figures inside."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from conv4rec_bounds import Status
from conv4rec_experiments.formatting import confidence, number, upper

if TYPE_CHECKING:
    from conv4rec_bounds import Certificate
    from conv4rec_experiments.evaluation import Evaluation

__all__ = ["Figure", "Page", "headline", "reason", "render"]

# Held-out statements first: they are the ones a reader can compare with the measured loss.
PREFERRED = ("T6", "T9", "T9-pool", "T1")


@dataclass(frozen=True)
class Figure:
    """A picture on the page: its title, its caption, and the PNG file."""

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
    evaluation
        Losses, certificates, measurements.
    figures
        In the order of the page.
    facts
        Further lines of a table of names and values, such as sizes.
    study
        Rows of a table of the convergence study, all with the same keys, if one was run.
    study_failure
        The failure probability that the certificates of the study have paid together.
    """

    title: str
    evaluation: Evaluation
    figures: Sequence[Figure] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    study: Sequence[Mapping[str, Any]] = ()
    study_failure: float = 0.0


STUDY_HEADINGS = {
    "size": "N",
    "seeds": "seeds",
    "tv": "TV",
    "floor": "floor",
    "histogram_tv": "histogram TV",
    "t6": "T6",
    "gap": "gap (nats)",
}


def render(page: Page) -> str:
    """Return the page as HTML.

    Raises
    ------
    OSError
        If the file of a figure cannot be read.
    """
    environment = Environment(
        loader=PackageLoader("conv4rec_experiments", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "upper": upper, "reason": reason}
    evaluation = page.evaluation
    failure = float(evaluation.report.budget.total) + page.study_failure
    return environment.get_template("page.html.j2").render(
        page=page,
        evaluation=evaluation,
        headline=headline(evaluation, failure),
        parts=[(part, list(rows)) for part, rows in groupby(evaluation.losses, key=lambda row: row.part)],
        rows=evaluation.certificate_rows(),
        confidence=confidence(failure),
        failure=failure,
        images=[(figure, b64encode(figure.png.read_bytes()).decode()) for figure in page.figures],
        training=f"{evaluation.evidence.protocol.training.removesuffix('s')}s",
        headings=STUDY_HEADINGS,
        version=version("conv4rec"),
    )


def reason(row: Mapping[str, Any]) -> str:
    """Write the reason of a row of certificates, with the theorem in front."""
    said = str(row["reason"])
    return said if said.startswith(f"{row['theorem']} ") else f"{row['theorem']}: {said}"


def headline(evaluation: Evaluation, failure: float | None = None) -> str:
    """Say in plain words what the best certificates promise; the failure probability is that of the report."""
    failure = float(evaluation.report.budget.total) if failure is None else failure
    valid = {c.theorem: c for c in evaluation.report if c.status is Status.VALID}
    sentences = [_plain(valid[theorem]) for theorem in PREFERRED if theorem in valid]
    if not sentences:
        return "No certificate says more about this model than what holds for any model."
    return f"With confidence {confidence(failure)}: {'; and '.join(sentences[:2])}."


def _plain(certificate: Certificate) -> str:
    value, trivial = certificate.value, certificate.trivial
    if value is None or trivial is None:
        raise ValueError("a certificate without a value has no headline")
    if certificate.theorem == "T6":
        return (
            "the model's probability of any event differs from the true one, on average over the users, by at most "
            f"{upper(math.nextafter(100 * value, math.inf), 3)} percentage points"
        )
    choices = math.exp(value) * (1 + 1e-14)  # above the exponential, whatever its rounding
    whose = {
        "T9-pool": "the smoothed model's mean loss over the whole held-out pool",
        "T9": "the smoothed model's mean loss on new interactions of the same users, drawn by the same laws,",
        "T1": f"the model's {certificate.target.removesuffix(' (nats)')}",
    }[certificate.theorem]
    return (
        f"{whose} is at most {upper(value)} nats, as if it chose blindly among {upper(choices, 3)} pairs of "
        f"item and level instead of {math.exp(trivial):,.0f}"
    )
