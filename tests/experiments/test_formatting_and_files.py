"""Printed bounds stay on the safe side; files are there whole or not at all."""

import csv
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_experiments.files import write_bytes, write_csv, write_json
from conv4rec_experiments.formatting import number, upper


@given(st.floats(1e-12, 1e12), st.integers(1, 6))
def test_a_printed_upper_bound_is_never_below_the_bound_and_close_to_it(value, digits):
    printed = float(upper(value, digits).replace(",", ""))
    assert printed >= value
    assert printed <= value * (1 + 10.0 ** (1 - digits)) * (1 + 1e-12)


@given(st.floats(1e-12, 1e12))
def test_a_printed_number_is_close(value):
    assert math.isclose(float(number(value).replace(",", "")), value, rel_tol=1e-3)


def test_csv_is_read_back_with_empty_fields_for_none(tmp_path):
    rows = [{"theorem": "T1", "value": 1 / 3, "reason": 'a, "b"\nc'}, {"theorem": "T6", "value": None, "reason": ""}]
    path = write_csv(tmp_path / "deep" / "table.csv", rows)
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert float(read[0]["value"]) == 1 / 3
    assert read[0]["reason"] == rows[0]["reason"]
    assert read[1]["value"] == ""


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"value": math.inf})
    assert json.loads(write_json(tmp_path / "y.json", {"Ünï": 1}).read_text()) == {"Ünï": 1}
    assert not (tmp_path / "x.json").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = write_bytes(tmp_path / "table.csv", b"old")
    with pytest.raises(TypeError):
        write_bytes(path, "text is refused")
    assert path.read_bytes() == b"old"
