"""One self-contained HTML page about one trained model: no scripts, no network, figures inside."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from conv4rec_bounds import Status

if TYPE_CHECKING:
    from conv4rec_bounds import Certificate
    from conv4rec_experiments.evaluation import Evaluation

__all__ = ["Figure", "Page", "confidence", "headline", "number", "render", "upper"]

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
    """

    title: str
    evaluation: Evaluation
    figures: Sequence[Figure] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    study: Sequence[Mapping[str, Any]] = ()


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
    environment.filters |= {"number": number, "upper": upper}
    evaluation = page.evaluation
    return environment.get_template("page.html.j2").render(
        page=page,
        evaluation=evaluation,
        headline=headline(evaluation),
        rows=evaluation.certificate_rows(),
        confidence=confidence(evaluation),
        images=[(figure, b64encode(figure.png.read_bytes()).decode()) for figure in page.figures],
        training=f"{evaluation.evidence.protocol.training.removesuffix('s')}s",
        version=version("conv4rec"),
    )


def number(value: float | None, digits: int = 4) -> str:
    """Write a number for a table, a dash where there is none; integers in full.

    >>> number(9.640943), number(597.14726), number(0.00012), number(None), number(12345)
    ('9.641', '597.1', '0.00012', '–', '12,345')
    """
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def upper(value: float | None, digits: int = 4) -> str:
    """Write an upper bound, rounded up: what is printed is never below the bound.

    >>> upper(9.640943), upper(597.14126), upper(0.00012), upper(None)
    ('9.641', '597.2', '0.00012', '–')
    """
    if value is None:
        return "–"
    return f"{Context(prec=digits, rounding=ROUND_CEILING).create_decimal(value).normalize():f}"


def confidence(evaluation: Evaluation) -> str:
    """Write the confidence that all statements share, 1 - delta, in percent."""
    return f"{100 * (1 - float(evaluation.report.budget.total)):g} %"


def headline(evaluation: Evaluation) -> str:
    """Say in plain words what the best certificate promises."""
    valid = {c.theorem: c for c in evaluation.report if c.status is Status.VALID}
    sentences = [_plain(valid[theorem], evaluation) for theorem in PREFERRED if theorem in valid]
    if not sentences:
        return "No certificate says more about this model than what holds for any model."
    return f"With confidence {confidence(evaluation)}: " + "; and ".join(sentences[:2]) + "."


def _plain(certificate: Certificate, evaluation: Evaluation) -> str:
    value = certificate.value
    if value is None:
        raise ValueError("a certificate without a value has no headline")
    if certificate.theorem == "T6":
        return (
            "the model's probability of any event differs from the true one, on average over the users, by at most "
            f"{upper(100 * value, 3)} percentage points"
        )
    whose = {
        "T9-pool": "the smoothed model's mean loss over the whole held-out pool",
        "T9": "the smoothed model's mean loss on new interactions of the same users",
        "T1": "the model's mean loss on new interactions of the same users",
    }[certificate.theorem]
    return (
        f"{whose} is at most {upper(value)} nats, as if it chose blindly among {upper(math.exp(value), 3)} of the "
        f"{evaluation.evidence.cells:,} possible pairs of item and level"
    )

