"""Figures that stand inside a page: nothing in them clashes with the page or with one another."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

__all__ = ["COLORS", "inline", "new_drawing"]

COLORS: Mapping[str, str] = {
    "ink": "#1a2129",
    "soft": "#545f6d",
    "grid": "#d5dbe3",
    "bound": "#0b5c8a",
    "band": "#d3e6f2",
    "vacuous": "#6b7480",
    "vacuous-band": "#e4e7eb",
    "measured": "#b0420c",
}
"""Colours by the name of the page's variable, so that the page may change them in the dark; here as on white paper."""

POINTS = 72
REFERENCE = re.compile(r"#([\w-]+)")


@contextmanager
def new_drawing(width: float, height: float) -> Iterator[Figure]:
    """Hand out an empty figure of that size in points, to be drawn inside the block; its letters stay text."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "conv4rec", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(width / POINTS, height / POINTS), dpi=POINTS)
        FigureCanvasSVG(figure)
        yield figure


def inline(figure: Figure, name: str, description: str) -> str:
    """Return a figure as an ``svg`` element of HTML; equal figures are equal text.

    Parameters
    ----------
    figure
        What was drawn.
    name
        Goes before every identifier inside, so that those of several figures of a page differ.
    description
        What is read out in place of the picture.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    box = root.get("viewBox", "")
    for parent in list(root.iter()):
        for child in list(parent):
            # Its style sheet would hold for the whole page, and its metadata name addresses elsewhere.
            if _bare(child.tag) in ("metadata", "style"):
                parent.remove(child)
    named = {part.attrib["id"] for part in root.iter() if "id" in part.attrib}
    used = named & {word for part in root.iter() for value in part.attrib.values() for word in REFERENCE.findall(value)}
    for part in root.iter():
        part.tag = _bare(part.tag)
        part.attrib = {
            _bare(key): _within_page(value, name, used)
            for key, value in part.attrib.items()
            if key != "id" or value in used
        }
        if "id" in part.attrib:
            part.set("id", f"{name}-{part.attrib['id']}")
    root.attrib = {"class": "drawn", "viewBox": box, "role": "img", "aria-label": description}
    return ElementTree.tostring(root, encoding="unicode")


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


def _within_page(value: str, name: str, used: set[str]) -> str:
    for variable, color in COLORS.items():
        value = value.replace(color, f"var(--{variable})")
    value = value.replace("font-family: 'DejaVu Sans'; ", "")
    return REFERENCE.sub(lambda found: f"#{name}-{found[1]}" if found[1] in used else found[0], value)
