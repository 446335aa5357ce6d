"""Figures as they are saved, and the numbers of a caption."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from conv4rec_experiments.figures import breakdown, convergence, coverage, slopes, tightness
from conv4rec_experiments.figures.style import save


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures in the order in which they are saved."""
    figures: list[Figure] = []

    def keep(figure: Figure, stem: Path) -> list[Path]:
        figures.append(figure)
        return save(figure, stem)

    for module in (breakdown, convergence, coverage, slopes, tightness):
        monkeypatch.setattr(module, "save", keep)
    return figures
