"""All certificates of one model side by side: what they promise, what was measured, what is trivial."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conv4rec_experiments.figures.style import COLOURS, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_certificates"]
