"""Names of marks that lie close together: stacked at one place across, each joined to its mark by a thin line."""

from collections.abc import Sequence

from matplotlib.axes import Axes

__all__ = ["name_marks", "spread"]


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights between 0 and 1 until no two are closer than a gap, down where there is room below.

    >>> [round(height, 2) for height in spread([0.5, 0.9, 0.51, 0.0, 0.0], gap=0.1)]
    [0.41, 0.9, 0.51, 0.1, 0.0]
    """
    placed = list(heights)
    order = sorted(range(len(placed)), key=lambda place: -heights[place])
    above = 1 + gap
    for place in order:
        above = placed[place] = min(heights[place], above - gap)
    below = -gap
    for place in reversed(order):
        below = placed[place] = max(placed[place], below + gap)
    return placed


def name_marks(
    axes: Axes, places: Sequence[tuple[float, float]], words: Sequence[str], across: float, *, gap: float
) -> None:
    """Write the words of marks at a share of the panel's width, none closer than a gap, and join them to the marks."""
    beside = axes.get_yaxis_transform()
    left = across > 0.5
    for (x, y), height, word in zip(places, spread([y for _, y in places], gap), words, strict=True):
        axes.annotate(
            word,
            (x, y),
            xytext=(across, height),
            textcoords=beside,
            ha="left" if left else "right",
            va="center",
            fontsize=7.5,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.35", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2},
            zorder=4,
        )
