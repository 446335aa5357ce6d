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

from conv4rec_bounds import THEOREMS, Status
from conv4rec_experiments.formatting import bound, confidence, lower, number, quantity, upper

if TYPE_CHECKING:
    from conv4rec_bounds import Certificate
    from conv4rec_experiments.evaluation import Evaluation

__all__ = ["Figure", "Page", "headline", "reason", "render"]

# Held-out statements first: they are the ones a reader can compare with the measured loss.
RISKS = ("T9", "T9-pool", "T8-code", "T8", "T2", "T1", "T3", "T4")
FALSIFICATION = "T9-lower"
WHOSE = {
    "T9-pool": "the smoothed model's mean loss over the whole held-out pool",
    "T8-code": "the mean loss of the smoothed network in code.bin",
    "T9": "the smoothed model's mean loss on new interactions of the same users, drawn by the same laws,",
}

TRAINING = {"fixed profile": "fixed profiles", "redrawn profiles": "redrawn profiles"}


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
    environment.filters |= {"bound": bound, "number": number, "quantity": quantity}
    environment.filters |= {"upper": upper, "lower": lower, "reason": reason}
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
        training=TRAINING[evaluation.evidence.protocol.training],
        headings=STUDY_HEADINGS,
        version=version("conv4rec"),
    )


def reason(row: Mapping[str, Any]) -> str:
    """Write the reason of a row of certificates, with the theorem in front."""
    said = str(row["reason"])
    return said if said.startswith(f"{row['theorem']} ") else f"{row['theorem']}: {said}"


def headline(evaluation: Evaluation, failure: float | None = None) -> str:
    """Say in plain words what the best certificates promise; the failure probability is that of the report.

    Of the bounds on the total variation of the model itself the least is told, and of the bounds on a loss one.
    """
    failure = float(evaluation.report.budget.total) if failure is None else failure
    valid = {c.theorem: c.value for c in evaluation.report if c.status is Status.VALID and c.value is not None}
    sentences = []
    of_the_model = [valid[theorem.number] for theorem in THEOREMS if theorem.model_tv and theorem.number in valid]
    if of_the_model:
        sentences.append(_variation(min(of_the_model)))
    if FALSIFICATION in valid:
        sentences.append(_falsification(valid[FALSIFICATION]))
    sentences += [_loss(evaluation.report[theorem]) for theorem in RISKS if theorem in valid][:1]
    if not sentences:
        return "No certificate says more about this model than what holds for any model."
    return f"With confidence {confidence(failure)}: {'; and '.join(sentences)}."


def _variation(value: float) -> str:
    return (
        "the model's probability of any event differs from the true one, on average over the users, by at most "
        f"{upper(math.nextafter(100 * value, math.inf), 3)} percentage points"
    )


def _falsification(value: float) -> str:
    return (
        "for some event the model's probability differs from the true one, on average over the users, by at least "
        f"{lower(math.nextafter(100 * value, 0.0), 3)} percentage points"
    )


def _loss(certificate: Certificate) -> str:
    value, trivial = certificate.value, certificate.trivial
    if value is None or trivial is None:
        raise ValueError("a certificate without a value has no headline")
    choices = math.exp(value) * (1 + 1e-14)  # above the exponential, whatever its rounding
    whose = WHOSE.get(certificate.theorem, f"the model's {certificate.target.removesuffix(' (nats)')}")
    return (
        f"{whose} is at most {upper(value)} nats, as if it chose blindly among {upper(choices, 3)} pairs of "
        f"item and level instead of {math.exp(trivial):,.0f}"
    )
