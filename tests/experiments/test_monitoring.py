"""Models in use: looks, their intervals, and what is written about them."""

import csv

import numpy as np
import polars as pl
import pytest

from conv4rec.errors import InputError
from conv4rec_bounds import RefusedError, TimeOrdered, running_interval
from conv4rec_experiments.cli import main
from conv4rec_experiments.figures import monitor as figure
from conv4rec_experiments.figures.style import save
from conv4rec_experiments.monitor_command import verdict
from conv4rec_experiments.monitoring import monitor_log_probabilities, write_monitored

SIZE = 700


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("tables")
    ours = -rng.uniform(1, 6, SIZE)
    theirs = np.minimum(ours - rng.normal(0.8, 0.3, SIZE), 0)
    for name, logs in (("ours", ours), ("theirs", theirs)):
        pl.DataFrame({"log_probability": logs, "cells": [900] * SIZE}).write_csv(folder / f"{name}.csv")
    return folder / "ours.csv", folder / "theirs.csv", ours, theirs


def test_looks_are_those_of_the_interval(tables):
    path, _, ours, _ = tables
    found = monitor_log_probabilities(path, smoothing=0.02, delta=0.1)
    ordered = TimeOrdered(ours, np.full(SIZE, 900), 900, smoothing=0.02)
    ends = running_interval(ordered.values, 0.1)
    assert [row["interactions"] for row in found.looks] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 700]
    for row in found.looks:
        place = row["interactions"] - 1
        assert (row["lower"], row["upper"]) == (ends.lower[place], ends.upper[place])
        assert row["mean"] == pytest.approx(ordered.values.losses[: place + 1].mean())
        assert row["trivial"] == pytest.approx(np.log(900))


def test_a_margin_is_above_zero_where_the_model_is_better(tables):
    path, other, ours, theirs = tables
    found = monitor_log_probabilities(path, against=other, every=300)
    assert [row["interactions"] for row in found.looks] == [300, 600, 700]
    ends = running_interval(TimeOrdered(ours, np.full(SIZE, 900), 900, against=theirs).values)
    last = found.looks[-1]
    assert (last["lower"], last["upper"]) == (-ends.upper[-1], -ends.lower[-1])
    assert 0 < last["lower"] < last["mean"] < last["upper"]
    mirrored = monitor_log_probabilities(other, against=path).looks[-1]
    assert (mirrored["lower"], mirrored["upper"]) == (-last["upper"], -last["lower"])


def test_the_catalogue_has_to_be_known_beforehand_where_masks_differ(tmp_path):
    path = tmp_path / "masked.csv"
    path.write_text("log_probability,cells\n-1,9\n-2,8\n")
    with pytest.raises(InputError, match=r"have 8 to 9 cells.*give the number of all cells of the catalogue"):
        monitor_log_probabilities(path)
    assert monitor_log_probabilities(path, catalogue=12).ordered.most_cells == 12
    with pytest.raises(RefusedError, match="at most 8 were said to be possible"):
        monitor_log_probabilities(path, catalogue=8)


def test_what_cannot_be_looked_at_is_refused_in_words(tables, tmp_path):
    path = tmp_path / "pool.csv"
    path.write_text("log_probability,cells,sampled\n-1,9,true\n")
    with pytest.raises(InputError, match="column 'sampled'"):
        monitor_log_probabilities(path)
    with pytest.raises(InputError, match="every 0 interactions"):
        monitor_log_probabilities(tables[0], every=0)
    with pytest.raises(RefusedError, match="strictly between 0 and 1"):
        monitor_log_probabilities(tables[0], delta=1.5)


def test_the_files_hold_every_look_and_equal_runs_are_equal_bytes(tables, tmp_path, monkeypatch):
    drawn = []

    def keep(picture, stem):
        drawn.append(picture)
        return save(picture, stem)

    monkeypatch.setattr(figure, "save", keep)
    found = monitor_log_probabilities(tables[0], against=tables[1])
    first, second = (write_monitored(found, tmp_path / name) for name in "ab")
    assert [path.name for path in first] == ["monitor.csv", "monitor.pdf", "monitor.png"]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(first, second, strict=True))
    rows = list(csv.DictReader(first[0].read_text().splitlines()))
    assert [float(row["upper"]) for row in rows] == [row["upper"] for row in found.looks]
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    upper, lower, mean, trivial = axes.lines
    for line, name in ((upper, "upper"), (lower, "lower"), (mean, "mean"), (trivial, "trivial")):
        assert list(line.get_ydata()) == [row[name] for row in found.looks]
    # In grey the curves are told by their dashes and marks.
    assert len({(line.get_linestyle(), line.get_marker()) for line in (upper, mean, trivial)}) == 3
    low, high = axes.get_ylim()
    assert all(low < row["mean"] < high and low < row["trivial"] < high for row in found.looks)


def test_the_command_prints_and_writes(tables, tmp_path, capsys, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["conv4rec", "monitor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    path, other, *_ = tables
    assert call(path, "--out", tmp_path / "alone", "--delta", 0.1) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "at all looks together with confidence 90 %" in printed
    assert "512" in printed
    assert "The model was to be expected better than the uniform law." in printed
    assert call(path, "--against", other, "--every", 350, "--out", tmp_path / "both") == 0
    assert "The model was to be expected better than the other." in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "both" / "monitor.png").stat().st_size
    assert call(tmp_path / "none.csv") == 2
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lower", "upper", "compared", "words"),
    [
        (0.1, 0.2, True, "The model was"),
        (-0.2, -0.1, True, "The other was"),
        (-0.2, 0.1, True, "open which"),
        (1.0, 2.0, False, "It is open whether"),
        (-1.0, -0.5, False, "better than the uniform law"),
    ],
)
def test_the_last_look_is_told_in_words(lower, upper, compared, words):
    assert words in verdict({"lower": lower, "upper": upper, "trivial": 0.0}, compared=compared)
