"""Figures: drawn from their tables or formulas alone, readable, and the same for the same input."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from conv4rec_bounds import THEOREMS
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_experiments.figures import certificates
from conv4rec_experiments.figures.certificates import draw_certificates, refusals
from conv4rec_experiments.figures.moves import INPUTS, draw_moves, moved, words_of_moves
from conv4rec_experiments.figures.style import SERIES, applied, new_figure, save


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are saved."""
    figures: list[Figure] = []

    def keep(figure: Figure, stem: Path) -> list[Path]:
        figures.append(figure)
        return save(figure, stem)

    monkeypatch.setattr(certificates, "save", keep)
    return figures


def test_looks_differ_in_grey() -> None:
    def luminance(color: str) -> float:
        return float(np.dot(mpl.colors.to_rgb(color), (0.2126, 0.7152, 0.0722)))

    assert len({(series.linestyle, series.marker) for series in SERIES}) == len(SERIES)
    assert max(luminance(series.color) for series in SERIES) < 0.6


def test_the_style_leaves_no_trace(tmp_path: Path) -> None:
    def parameters() -> dict[str, object]:
        # Reading the backend would make matplotlib choose one.
        return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}

    before = parameters()
    with applied():
        figure = new_figure(2, 1)
        figure.subplots().plot([1, 2])
        assert mpl.rcParams["axes.grid"]
        save(figure, tmp_path / "a.b")
    assert parameters() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a.b.pdf", "a.b.png"}


every_theorem = pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.number)


@every_theorem
def test_every_panel_shows_values_of_the_formula_on_both_sides_of_the_typical_point(theorem: Theorem) -> None:
    for name in theorem.moves:
        example, shown = theorem.example[name], INPUTS[name]
        places, values = moved(theorem, name)
        assert len(places) == len(values) >= 5
        assert np.isfinite(values).all()
        assert list(places) == sorted(places)
        assert places[0] <= shown.shown(example) <= places[-1]
        assert shown.scale == "linear" or places[0] > 0
        if isinstance(example, int) and shown.shown is float:
            assert all(float(place).is_integer() for place in places)


@every_theorem
def test_the_words_of_a_figure_name_every_panel(theorem: Theorem) -> None:
    words = words_of_moves(theorem)
    assert words.count("value from") == len(theorem.moves)
    assert "$" not in words


def test_the_figure_of_a_theorem_has_one_panel_for_each_input_and_the_same_bytes(tmp_path: Path) -> None:
    (theorem,) = (theorem for theorem in THEOREMS if theorem.number == "T9")
    first, second = (draw_moves(theorem, tmp_path / name / "figure") for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert first.name == "figure.svg"
    drawn = first.read_text()
    assert drawn.count('<g id="axes_') == len(theorem.moves)
    assert "<text" not in drawn


def test_the_axis_of_a_radius_shows_the_radius_and_not_its_index() -> None:
    (theorem,) = (theorem for theorem in THEOREMS if theorem.number == "T1")
    places, _ = moved(theorem, "s_E")
    assert places[0] == 1 / 8
    assert places[4] == 1 / 4


def certificate(theorem: str, **changes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "theorem": theorem,
        "title": "Title",
        "target": "risk (nats)",
        "side": "upper",
        "status": "valid",
        "value": 2.0,
        "trivial": 4.0,
        "measured": 1.0,
        "reason": "It lies below.",
    }
    return plain | changes


def refused(theorem: str, why: str, **changes: object) -> dict[str, object]:
    empty = {"status": "refused", "value": None, "trivial": None, "measured": None}
    return certificate(theorem, reason=f"{theorem} refuses (A1): {why}.", **empty, **changes)


def test_certificates_of_one_unit_share_a_panel(tmp_path: Path, drawn: list[Figure]) -> None:
    variation = {"target": "total variation", "value": 0.5, "trivial": 1.0, "measured": 0.25}
    rows = [
        certificate("T1", status="vacuous", value=900.0),
        certificate("T6", **variation),
        certificate("T9"),
        certificate("T9-lower", **variation | {"side": "lower", "value": 0.1, "trivial": 0.0}),
        certificate("T11", **variation | {"side": "lower", "status": "vacuous", "value": 0.0, "trivial": 0.0}),
        refused("T2", "no weights were given; pass them"),
        refused("T3", "no weights were given; pass them"),
    ]
    draw_certificates(rows, tmp_path / "certificates")
    nats, shares = drawn[0].axes
    assert nats.get_xlabel() == "nats"
    assert shares.get_xlabel().startswith("share")
    assert [label.get_text() for label in nats.get_yticklabels()] == ["T1  Title", "T9  Title"]
    assert [label.get_text().split()[0] for label in shares.get_yticklabels()] == ["T6", "T9-lower", "T11"]
    assert nats.get_xscale() == shares.get_xscale() == "log"
    assert [text.get_text() for text in shares.texts] == ["≤ 0.5", "≥ 0.1", "≥ 0"]
    markers = {text.get_text(): text.get_color() for text in nats.texts}
    assert markers["≤ 900"] == "0.35"
    assert markers["≤ 2"] == SERIES[0].color
    shown = {line.get_marker() for line in shares.lines}
    assert {certificates.MARKERS["upper"], certificates.MARKERS["lower"]} <= shown
    assert drawn[0].get_supxlabel() == "Refused: T2 (A1), T3 (A1): no weights were given."
    assert min(line.get_xdata()[0] for line in shares.lines) > 0


def test_refusals_for_different_reasons_are_listed_apart() -> None:
    rows = [refused("T1", "this"), certificate("T9"), refused("T2", "that; do so"), refused("T3", "this")]
    assert refusals(rows) == ["Refused: T1 (A1), T3 (A1): this.", "Refused: T2 (A1): that."]


def test_seventeen_certificates_fit(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_certificates([certificate(f"T{number}") for number in range(17)], tmp_path / "many")
    figure = drawn[0]
    figure.draw_without_rendering()
    places = sorted(text.get_window_extent().y0 for text in figure.axes[0].texts)
    heights = [text.get_window_extent().height for text in figure.axes[0].texts]
    assert min(np.diff(places)) > max(heights)
