"""The main job end to end, with small numbers."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from conv4rec_experiments.demo import TRAINING, Settings, draw_split, run_demo
from conv4rec_experiments.fits.fitting import Settings as Fits
from conv4rec_experiments.studies.receipt import load_receipt
from conv4rec_experiments.truths import small_truth

TINY = Settings(
    truth="small",
    scored=2000,
    validation=300,
    held_out=400,
    training={**TRAINING, "epochs": 2},
    sizes=(2000, 4000),
    seeds=(0,),
    fits=Fits(starts=1, kept=1, screening=3, iterations=3, rounds=1),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(folder):
    return run_demo(folder, TINY, progress=False)


def test_everything_is_written_and_named(demo, folder):
    assert all(path.stat().st_size for path in demo.paths)
    assert demo.paths[0] == folder / "report.html"
    assert {path.suffix for path in demo.paths} >= {".html", ".csv", ".json", ".pdf", ".png"}
    page = demo.paths[0].read_text()
    assert page.count("data:image/png;base64,") == 2
    valued = [certificate for certificate in demo.evaluation.report if certificate.value is not None]
    assert page.count("<svg") >= len(valued)
    assert load_receipt(folder / "study" / "receipt.json").short in page
    assert "total variation to the known truth" in page


def test_the_whole_demo_spends_one_failure_probability(demo, folder):
    study = pl.read_csv(folder / "study" / "certificates.csv")
    report = json.loads((folder / "certificates.json").read_text())
    assert report["delta"] + study["delta"].sum() == pytest.approx(TINY.delta)
    assert sum(entry["amount"] for entry in report["spent"]) == pytest.approx(report["delta"])


def test_tables_hold_the_printed_numbers(demo, folder):
    report = json.loads((folder / "certificates.json").read_text())
    table = {row["theorem"]: row for row in pl.read_csv(folder / "certificates.csv").iter_rows(named=True)}
    for record in report["certificates"]:
        assert table[record["theorem"]]["value"] == record["value"]
    assert report["measured"]["T6"]["value"] == demo.evaluation.measured["T6"].value
    assert demo.study["size"].to_list() == [2000, 4000]


def test_parts_are_drawn_independently_beside_the_truths_profiles():
    truth = small_truth()
    split = draw_split(truth, TINY)
    assert split.counts() == {"profile": 60, "scored": 2000, "validation": 300, "held_out": 400}
    profile = np.zeros_like(truth.profiles)
    profile[split.profile.user, split.profile.item, split.profile.level] = 1
    np.testing.assert_array_equal(profile, truth.profiles)
    other = draw_split(truth, replace(TINY, scored=2001))
    assert not np.array_equal(split.held_out.item, other.held_out.item)
