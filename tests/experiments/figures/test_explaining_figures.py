"""Pictures of what a model has learned show the numbers of their tables and nothing else."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from conv4rec_experiments.figures import ablation, catalogue, channels, mixing, people
from conv4rec_experiments.figures.marks import spread
from conv4rec_experiments.figures.style import save

LEVELS = ("view", "cart $", "buy")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they would be saved."""
    figures: list[Figure] = []

    def keep(figure: Figure, stem: Path) -> list[Path]:
        figures.append(figure)
        return [stem]

    for module in (ablation, catalogue, channels, mixing, people):
        monkeypatch.setattr(module, "save", keep)
    return figures


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_matrices_print_every_value_and_name_every_level(kept: list[Figure]) -> None:
    values = np.array([[1.0, -2.0, 0.5], [0.0, 0.25, -0.125]])
    rows = [
        {"map": name, "channel": channel + 1, "level": level, "value": sign * values[channel, place]}
        | {"relative": sign * values[channel, place] / abs(values[channel]).max()}
        for name, sign in (("lift", 1), ("project", -1))
        for channel in range(2)
        for place, level in enumerate(LEVELS)
    ]
    mixing.draw_mixing(rows, Path("x"))
    lift, project = panels(kept[0])
    # The greatest level stands on top.
    assert words(lift) == ["0.50", "−0.12", "−2.00", "0.25", "1.00", "0.00"]
    assert words(project) == ["−0.50", "0.12", "2.00", "−0.25", "−1.00", "−0.00"]
    assert [label.get_text() for label in lift.get_yticklabels()] == ["buy", r"cart \$", "view"]
    assert (lift.get_xlabel(), lift.get_ylabel(), project.get_xlabel()) == ("channel", "level", "channel")
    assert np.asarray(lift.images[0].get_array()).tolist() == [[0.25, -0.5], [-1.0, 1.0], [0.5, 0.0]]


def test_letters_can_be_read_on_every_shade(kept: list[Figure], tmp_path: Path) -> None:
    rows = [
        {"map": name, "channel": 1, "level": f"{place}", "value": shade, "relative": shade}
        for name in ("lift", "project")
        for place, shade in enumerate(np.linspace(-1, 1, 9))
    ]
    mixing.draw_mixing(rows, Path("x"))
    (lift, _), (figure,) = panels(kept[0]), kept
    shades = np.asarray(lift.images[0].to_rgba(lift.images[0].get_array()))[:, 0, :3] @ [0.299, 0.587, 0.114]
    # In grey, too, shades rise with the value, and letters stand out from them.
    assert (np.diff(shades) < 0).all()
    ink = [0.0 if text.get_color() == "black" else 1.0 for text in lift.texts]
    assert (np.abs(shades - ink) > 0.4).all()
    paths = save(figure, tmp_path / "mixing")
    assert [path.suffix for path in paths] == [".pdf", ".png"]
    assert paths[0].read_bytes().startswith(b"%PDF")


def test_channels_show_curves_and_items(kept: list[Figure]) -> None:
    curves = [
        {"channel": channel, "level": level, "hears": channel + place, "says": channel - place, "profile": 34}
        for channel in (1, 2)
        for place, level in enumerate(LEVELS)
    ]
    items = [
        {"channel": channel, "name": f"film {channel} {rank}", "norm": 3.0 - rank}
        for channel in (1, 2)
        for rank in (1, 2)
    ]
    channels.draw_channels(curves, items, Path("x"))
    drawn = panels(kept[0])
    assert len(drawn) == 6
    assert [bar.get_height() for bar in drawn[0].patches] == [1, 2, 3]
    assert [bar.get_height() for bar in drawn[4].patches] == [2, 1, 0]
    assert words(drawn[5]) == [" film 2 1", " film 2 2"]
    assert drawn[3].get_ylabel() == "channel 2"
    assert "a profile of 34" in drawn[0].get_title()
    assert {axes.get_xlabel() for axes in drawn[3:]} == {"level", "norm"}


def test_effects_show_gains_and_losses(kept: list[Figure]) -> None:
    effects = [dict.fromkeys(channels.EFFECTS, 0.25) | {"channel": 1, "implicit": -0.5}]
    channels.draw_effects(effects, Path("x"))
    drawn = panels(kept[0])
    assert [words(axes) for axes in drawn] == [["0.25"], ["0.25"], ["0.25"], ["−0.5"], ["0.25"]]
    assert [axes.patches[0].get_width() for axes in drawn] == [0.25, 0.25, 0.25, -0.5, 0.25]
    assert [label.get_text() for label in drawn[0].get_yticklabels()] == ["channel 1"]


def items() -> list[dict[str, Any]]:
    marks = [("recommended", 1), ("gem", 1), ("seen", 1), ("seen", 2), (None, None), (None, None)]
    return [
        {"kind": kind, "rank": rank, "name": f"film {place}", "p_consume": 0.3 / (place + 1), "p_high": place / 10}
        | {"unlikely": kind == "gem" or place == 5, "observed": "view, buy" if kind == "seen" else None}
        for place, (kind, rank) in enumerate(marks)
    ]


def test_a_user_page_marks_gems_and_frames_what_was_observed(kept: list[Figure]) -> None:
    levels = [
        {"kind": row["kind"], "rank": row["rank"], "name": row["name"], "observed": row["observed"]}
        | {"level": level, "probability": probability}
        for row in items()
        if row["kind"] is not None and row["rank"] == 1
        for level, probability in zip(LEVELS, (0.5, 0.3, 0.2), strict=True)
    ]
    people.draw_user(items(), levels, Path("x"))
    scatter, heat = panels(kept[0])
    marks = {str(one.get_label()): np.asarray(one.get_offsets()).tolist() for one in scatter.collections}
    assert marks["hidden gem"] == [[0.15, 0.1]]
    assert marks["recommended"] == [[0.3, 0.0]]
    assert len(marks["seen"]) == len(marks["other item"]) == 2
    assert words(scatter) == ["r1", "g1"]
    assert scatter.get_xscale() == "log"
    assert (scatter.get_xlabel(), scatter.get_ylabel()) == ("P(consume)", "P(high level | consumed)")
    (border,) = [line for line in scatter.lines if line.get_label() == "gems lie left of this"]
    assert np.asarray(border.get_xdata())[0] == 0.15
    assert words(heat) == ["50", "30", "20"] * 3
    assert [label.get_text() for label in heat.get_yticklabels()] == ["film 0  r1", "film 1  g1", "film 2  s1"]
    frames = [line for line in heat.lines if line.get_marker() == "s"]
    assert np.array([line.get_xydata()[0] for line in frames]).tolist() == [[0, 2], [2, 2]]


def test_names_in_any_letters_are_drawn(tmp_path: Path) -> None:
    rows = items()
    rows[0]["name"] = "七人の侍 $5"
    levels = [rows[0] | {"level": level, "probability": 0.5, "observed": None} for level in ("view", "買う")]
    # A letter that the font lacks would warn, and a dollar sign open a formula.
    assert len(people.draw_user(rows, levels, tmp_path / "user")) == 2


def test_the_catalogue_leaves_out_what_was_not_observed_enough(kept: list[Figure]) -> None:
    rows = [
        {"item": place, "name": f"film {place}", "p_consume": 0.1 * place, "p_high": 0.5, "interactions": 8 * place}
        | {"share": 0.2 * place, "high_share": 0.4 if place else None, "mark": mark}
        for place, mark in enumerate((None, "enjoyed", None, "popular"))
    ]
    catalogue.draw_catalogue(rows, {"model": -0.25, "observed": None}, 10, Path("x"))
    believed, observed = panels(kept[0])
    counted = {str(one.get_label()): len(np.asarray(one.get_offsets())) for one in believed.collections}
    # What nobody consumes has no place on a logarithmic axis.
    assert counted == {"few": 1, "enough": 2, "popular": 1, "enjoyed": 1}
    assert {str(one.get_label()) for one in observed.collections} == {"enough", "popular"}
    assert believed.get_title().endswith("rank correlation −0.25")
    assert "correlation" not in observed.get_title()
    assert words(believed) == ["1", "2"]
    assert kept[0].get_supxlabel() == "1 film 3\n2 film 1"
    legend = [text.get_text() for text in kept[0].legends[0].get_texts()]
    assert legend == [
        "fewer than 10 interactions",
        "at least 10",
        "most popular",
        "most enjoyed of the less popular half",
    ]


def test_the_ablation_joins_the_networks_of_a_seed(kept: list[Figure]) -> None:
    rows = [
        {"seed": seed, "network": name, "channels": 2, "code": 3, "weights": 1234}
        | dict.fromkeys(ablation.WORDS, float(seed + place))
        for seed in (0, 1)
        for place, name in enumerate(("1x1 convolutions", "one-hot levels"))
    ]
    ablation.draw_ablation(rows, Path("x"))
    drawn = panels(kept[0])
    assert [axes.get_title() for axes in drawn] == list(ablation.WORDS.values())
    for axes in drawn:
        assert [list(line.get_ydata()) for line in axes.lines] == [[1.0, 0.0], [2.0, 1.0]]
        assert axes.get_xticklabels()[0].get_text() == "one-hot\nlevels"
    assert "1,234 weights" in kept[0].get_supxlabel()


@given(heights=st.lists(st.floats(0, 1), max_size=8), gap=st.floats(0.01, 0.12))
def test_names_never_lie_closer_than_a_gap(heights: list[float], gap: float) -> None:
    placed = spread(heights, gap)
    assert (np.diff(sorted(placed)) >= gap - 1e-9).all()
    assert all(-1e-9 <= height <= 1 + 1e-9 for height in placed)
    order = sorted(range(len(heights)), key=lambda place: -heights[place])
    assert all(placed[upper] > placed[lower] for upper, lower in pairwise(order))
    if (np.diff(sorted(heights)) >= gap).all():
        assert placed == pytest.approx(heights)
