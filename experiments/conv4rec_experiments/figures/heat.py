"""Tables of numbers as heat maps: shades for the eye, the printed value in every cell, readable in grey."""

from collections.abc import Sequence
from functools import cache

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.font_manager import FontProperties, findfont, get_font

__all__ = ["heat", "plain", "short"]


def heat(
    axes: Axes,
    shades: Sequence[Sequence[float]],
    words: Sequence[Sequence[str]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    low: float,
    high: float,
    colors: str = "cividis",
) -> None:
    """Draw rows of shades from low to high with words in them; colours get steadily lighter or darker, also in grey."""
    shown = colormaps[colors]
    scale = Normalize(low, high)
    axes.imshow(shades, cmap=shown, norm=scale, aspect="auto")
    for down, (of_row, spoken) in enumerate(zip(shades, words, strict=True)):
        for across, (shade, word) in enumerate(zip(of_row, spoken, strict=True)):
            red, green, blue, _ = shown(scale(shade))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axes.text(across, down, word, ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def plain(text: str) -> str:
    r"""Keep a dollar sign from opening a formula, and put a box where the font has no letter.

    >>> print(plain("$9.99"), plain("七人の侍 (1954)"))
    \$9.99 □□□□ (1954)
    """
    known = _letters()
    return "".join(letter if ord(letter) in known else "□" for letter in text).replace("$", r"\$")


def short(text: str, most: int = 30) -> str:
    """Cut a name that is too long for its place.

    >>> short("Star Wars: Episode IV - A New Hope (1977)", 20)
    'Star Wars: Episode…'
    """
    return plain(text if len(text) <= most else f"{text[: most - 1].rstrip()}…")


@cache
def _letters() -> frozenset[int]:
    """Return the letters of the font of all figures."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())
