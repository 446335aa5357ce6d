"""Tables for people tell the worst, never less, and refuse where there is nothing to tell."""

import csv
from pathlib import Path

import polars as pl
import pytest

from conv4rec.errors import InputError
from conv4rec_experiments.studies.readable import write_counts, write_medians, write_ratios, write_stress
from conv4rec_experiments.studies.stress import stress_table
from conv4rec_experiments.studies.summary import medians
from toy_receipt import TABLE
from toy_tables import toy_tables


def test_stress_sets_every_sampling_beside_independent_draws(tmp_path: Path) -> None:
    table = stress_table(TABLE)
    moved = {(found["theorem"], found["sampling"]): found["moved"] for found in table.to_dicts()}
    assert moved["T6", "independent"] == 0
    assert moved["T6", "dependent"] == pytest.approx(25 / 40)
    assert moved["T11", "independent"] is None
    lines = write_stress(TABLE, tmp_path / "stress.csv").read_text().splitlines()
    assert lines[0] == "theorem,basis,independent,dependent"
    assert lines[1] == "T6,known,2.5 % (0.06 to 13.16 %),65.0 % (48.31 to 79.38 %) *"
    assert lines[2] == "T11,–,–,–"
    alone = stress_table(TABLE.filter(pl.col("sampling") == "dependent"))
    assert alone["moved"].to_list() == [None]
    with pytest.raises(InputError, match="fixed profiles"):
        write_stress(TABLE.with_columns(protocol=pl.lit("self-reconstruction")), tmp_path / "stress.csv")


LARGER = TABLE.filter(pl.col("theorem") == "T6").with_columns(size=pl.lit(10**6, pl.Int64), measured=pl.lit(0.1))


def test_stress_tells_the_worst_of_truths_and_sizes(tmp_path: Path) -> None:
    lines = write_stress(pl.concat([TABLE, LARGER]), tmp_path / "stress.csv").read_text().splitlines()
    assert lines[1].startswith("T6,known,2.5 %")


def test_counts_add_up_over_sizes_and_tell_the_worst_rate(tmp_path: Path) -> None:
    lines = write_counts(pl.concat([TABLE, LARGER]), tmp_path / "counts.csv").read_text().splitlines()
    assert lines == [
        "theorem,basis,replicates,refused,misses,greatest rate,tightness,shrunk caught",
        "T6,known,80,0,1,2.5 % (0.06 to 13.16 %),2 to 5,2 of 2",
        "T11,–,0,1,0,–,–,0 of 0",
    ]
    missing = TABLE.with_columns(measured=pl.lit(0.75))
    line = write_counts(missing, tmp_path / "counts.csv").read_text().splitlines()[1]
    assert line.startswith("T6,known,40,0,40,100.0 % (91.19 to 100.00 %) *")
    with pytest.raises(InputError, match="independent"):
        write_counts(TABLE.filter(pl.col("sampling") == "dependent"), tmp_path / "counts.csv")


def test_medians_tell_every_truth_protocol_and_size(tmp_path: Path) -> None:
    protocols = ("fixed profile", "self-reconstruction")
    measures = toy_tables(truths=(("reference", 0), ("reference", 1)), protocols=protocols).measures
    lines = write_medians(measures, tmp_path / "medians.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 4
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    found = medians(measures).to_dicts()
    for row, told in zip(rows, found, strict=True):
        assert float(row["N"]) == told["size"]
        assert float(row["fitted / floor"]) == pytest.approx(told["tv"] / told["floor"], rel=5e-4)
        fixed = told["protocol"] == "fixed profile"
        assert (told["accepted"], told["stationary"]) == ((5, None) if fixed else (None, 5))
        assert row["accepted"] == ("5 of 5" if fixed else "5 of 5 stationary")
    assert {row["truth"] for row in rows} == {"reference", "reference 1"}
    with pytest.raises(InputError, match="independent"):
        write_medians(measures.with_columns(sampling=pl.lit("drifting")), tmp_path / "medians.csv")


def test_ratios_set_certificates_beside_the_total_variation_of_the_fit(tmp_path: Path) -> None:
    tables = toy_tables()
    plain = pl.col("sampling") == "independent"
    one = tables.certificates.filter(plain & (pl.col("truth") == tables.certificates["truth"][0]))
    lines = write_ratios(one, tables.measures, tmp_path / "ratios.csv").read_text().splitlines()
    sizes = sorted(set(one["size"]))
    head = lines[0].split(",")
    assert head[:3] == ["theorem", "basis", "target"]
    assert head[3:-2] == [f"N = {size:.0e}" for size in sizes]
    fields = next(csv.reader([next(line for line in lines if line.startswith("T6,"))]))
    bounds = one.filter((pl.col("theorem") == "T6") & (pl.col("size") == sizes[0])).sort("seed")
    fit = tables.measures.filter(
        plain
        & (pl.col("estimator") == "fit")
        & (pl.col("size") == sizes[0])
        & (pl.col("truth") == bounds["truth"][0])
        & (pl.col("protocol") == "fixed profile")
    ).sort("seed")
    expected = (bounds["bound"] / fit["tv"]).median()
    assert float(fields[3]) == pytest.approx(expected, rel=0.01)
    assert float(fields[3]) >= expected
    with pytest.raises(InputError, match="one truth"):
        write_ratios(one.filter(pl.col("theorem") == "T9"), tables.measures, tmp_path / "ratios.csv")
