"""One self-contained HTML page about what a trained model has learned: no scripts, no network, figures inside."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from conv4rec_experiments.report.environment import new_environment

if TYPE_CHECKING:
    from conv4rec_experiments.report.page import Figure

__all__ = ["ExplainedPage", "render_explained"]


@dataclass(frozen=True)
class ExplainedPage:
    """What the page shows.

    Attributes
    ----------
    title
        The heading.
    facts
        Names with their values, such as sizes.
    figures
        The pictures, in the order of the page.
    effects
        Rows of `conv4rec_experiments.explaining.channels.channel_effects`.
    chosen
        Items that are named for one user.
    differences
        Rows of `conv4rec_experiments.explaining.ablation.differences`, if there was an ablation.
    """

    title: str
    facts: Mapping[str, str]
    figures: Sequence[Figure]
    effects: Sequence[Mapping[str, Any]]
    chosen: Sequence[Mapping[str, Any]]
    differences: Sequence[Mapping[str, Any]] = ()


def render_explained(page: ExplainedPage) -> str:
    """Return the page as HTML.

    Raises
    ------
    OSError
        If the file of a figure cannot be read.
    """
    images = [(figure, b64encode(figure.png.read_bytes()).decode()) for figure in page.figures]
    template = new_environment().get_template("explained.html.j2")
    return template.render(page=page, images=images, version=version("conv4rec"))
