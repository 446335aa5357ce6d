"""Exported certificates: every number in full where a machine reads it, on the safe side where a person does."""

import csv
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_experiments.exports import escaped, latex_table, write_certificates
from conv4rec_experiments.formatting import bound, lower


def row(**changes):
    plain = {
        "theorem": "T9",
        "title": "Held-out risk",
        "target": "risk of the smoothed predictor (nats)",
        "side": "upper",
        "status": "valid",
        "value": 1.6281123456789,
        "trivial": 4.5,
        "measured": 1.6,
        "reason": "The bound lies below.",
    }
    return plain | changes


ROWS = [
    row(),
    row(theorem="T9-lower", side="lower", value=1 / 3, trivial=0.0, measured=None),
    row(theorem="T6", status="refused", value=None, trivial=None, measured=None, reason="50 % of A_1\nand\r\nmore."),
]


def test_csv_and_json_hold_every_number_in_full(tmp_path):
    paths = write_certificates(ROWS, tmp_path / "new", delta=0.05)
    assert [path.name for path in paths] == ["certificates.json", "certificates.csv", "certificates.tex"]
    assert json.loads(paths[0].read_text()) == ROWS
    with paths[1].open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [float(found["value"]) for found in read[:2]] == [ROWS[0]["value"], ROWS[1]["value"]]
    assert read[2]["value"] == ""
    assert [float(found["delta"]) for found in read] == [0.05] * 3


def test_json_holds_the_whole_report_if_there_is_one(tmp_path):
    write_certificates(ROWS, tmp_path, {"delta": 0.05, "certificates": ROWS}, delta=0.05)
    assert json.loads((tmp_path / "certificates.json").read_text())["delta"] == 0.05


def test_the_latex_table_has_one_line_for_each_certificate_and_is_balanced():
    table = latex_table(ROWS, 0.05)
    body = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert len(body) == 1 + len(ROWS)
    assert all(line.count(" & ") == 5 for line in body)
    assert table.count(r"\begin{tabular}") == table.count(r"\end{tabular}") == 1
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert table.count(rule) == 1
    assert r"$\le$ 1.629" in table
    assert r"$\ge$ 0.3333" in table
    assert "T6 & risk of the smoothed predictor (nats) & -- & -- & -- & refused" in table


def test_the_latex_table_says_how_surely_its_bounds_hold():
    assert latex_table(ROWS, 0.0024).splitlines()[0] == "% all bounds hold jointly with confidence 99.76 %"


def test_a_reason_stays_in_its_comment():
    (comment,) = (line for line in latex_table(ROWS, 0.05).splitlines() if "50" in line)
    assert comment == "% 50 % of A_1 and more."


@given(st.text())
def test_escaped_text_has_no_command_but_ours(text):
    shown = escaped(text)
    known = r"\\textbackslash\{\}|\\textasciitilde\{\}|\\textasciicircum\{\}|\$\\[lg]e\$|\\[&%$#_{}]"
    assert not set(re.sub(known, "", shown)) & set("\\~^&%$#_{}")


@given(st.floats(1e-12, 1e12), st.integers(1, 6))
def test_a_printed_lower_bound_is_never_above_the_bound_and_close_to_it(value, digits):
    printed = float(lower(value, digits).replace(",", ""))
    assert value * (1 - 10.0 ** (1 - digits)) * (1 - 1e-12) <= printed <= value


@given(st.floats(1e-9, 1e9), st.sampled_from(["upper", "lower"]))
def test_a_printed_bound_is_on_the_side_that_it_names(value, side):
    sign, printed = bound({"side": side, "value": value}).split()
    number = float(printed.replace(",", ""))
    assert (sign, number >= value) == ("≤", True) if side == "upper" else (sign, number <= value) == ("≥", True)


def test_no_rows_are_no_table(tmp_path):
    with pytest.raises(IndexError):
        write_certificates([], tmp_path, delta=0.05)
