"""One table of all theorems (`theorem_rows`) drives these tests: a new theorem is a new row."""

import csv
import json
import math
import re
from fractions import Fraction
from pathlib import Path

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from attacks import excess
from conv4rec_bounds import THEOREMS, Budget, Certificate, Status, certify
from theorem_rows import ROWS, Row
from theorem_rows.common import DELTA

DOCS = Path(__file__).parents[2] / "docs"
HEADINGS = ("Statement", "Assumptions", "Proof", "What it is good for", "When it is vacuous", "How its value moves")
every_theorem = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


def evaluate(row: Row, size: int = 10_000) -> Certificate:
    evidence = row.evidence(size)
    assert row.theorem.refusal(evidence) is None
    return row.theorem.evaluate(evidence, Fraction(DELTA), Budget(DELTA))


def test_the_table_has_one_row_for_every_theorem() -> None:
    assert set(ROWS) == {theorem.number for theorem in THEOREMS}
    assert len(ROWS) == len(THEOREMS)


@every_theorem
def test_every_theorem_has_a_page_with_its_formula_and_a_proof(row: Row) -> None:
    theorem = row.theorem
    page = (DOCS / f"{theorem.page}.md").read_text(encoding="utf-8")
    assert f"{{formula}} {theorem.number}\n" in page
    for heading in HEADINGS:
        assert f"## {heading}\n" in page
    for assumption in theorem.assumptions:
        assert f"**{assumption.name}**" in page
    assert theorem.claim
    table = (DOCS / "theory" / "index.md").read_text()
    line = next(line for line in table.splitlines() if f"[{theorem.number}](" in line)
    assert f"${theorem.rate}$" in line
    assert theorem.formula.latex("x").count("=") == 1 + len(theorem.formula.where)


@every_theorem
@given(data=st.data())
def test_fast_safe_and_sixty_digit_values_agree(sixty_digits, row: Row, data: st.DataObject) -> None:
    formula, inputs = row.theorem.formula, data.draw(row.inputs)
    assert 0 <= excess(row, inputs, sixty_digits) <= 1e-12
    assert formula.number(**inputs) == pytest.approx(float(sixty_digits(formula, inputs)), rel=1e-6, abs=1e-6)


def larger(name: str, value: float) -> float:
    if name == "delta":
        return min(2 * value, 0.999)
    return 2 * value + 1 if isinstance(value, int) else 2 * value


@every_theorem
@given(data=st.data())
def test_the_formula_moves_as_its_row_says(row: Row, data: st.DataObject) -> None:
    formula, inputs = row.theorem.formula, data.draw(row.inputs)
    for name in (*row.falls_in, *row.rises_in):
        moved = inputs | {name: larger(name, inputs[name])}
        if name == "N":
            moved |= {other: larger(other, inputs[other]) for other in row.grows_with_n}
        first, second = (moved, inputs) if name in row.falls_in else (inputs, moved)
        assert formula.lower(**first) <= formula.upper(**second), name


@every_theorem
def test_deviations_vanish_with_infinite_data_symbolically(row: Row) -> None:
    size = sympy.Symbol("N", positive=True)
    named = {str(name): definition for name, definition in row.theorem.formula.where.items()}
    for name in row.vanishing:
        grown = {sympy.Symbol(other, positive=True): 2 * size for other in row.grows_with_n}
        assert sympy.limit(named[name].subs(grown), size, sympy.oo) == 0


@every_theorem
def test_a_certificate_shows_its_parts_and_they_add_up_exactly(row: Row) -> None:
    certificate = evaluate(row)
    assert certificate.terms_of is not None
    assert math.fsum(certificate.terms.values()) == certificate.terms_of[1]
    complexity = list(certificate.terms.values())[-1]
    assert math.fsum(certificate.attribution.values()) == complexity
    assert certificate.side == row.theorem.side
    assert certificate.spent == (0 if row.theorem.deterministic else Fraction(DELTA))
    assert len(certificate.assumptions) == len(row.theorem.assumptions)
    assert certificate.reason.endswith(".")
    json.dumps(certificate.record(), allow_nan=False)


@every_theorem
def test_a_certificate_pays_exactly_its_share(row: Row) -> None:
    budget = Budget(0.25)
    row.theorem.evaluate(row.evidence(10_000), Fraction(1, 8), budget)
    assert budget.spent == (0 if row.theorem.deterministic else Fraction(1, 8))
    assert all(purpose.startswith(f"{row.theorem.number}:") for purpose, _ in budget.entries)


@every_theorem
def test_more_data_gives_a_better_certificate(row: Row) -> None:
    small, large = (evaluate(row, size).value for size in (1_000, 1_000_000))
    assert small is not None
    assert large is not None
    if "N" in row.falls_in:
        assert large < small
    if "N" in row.rises_in:
        assert large > small


@every_theorem
def test_the_value_is_what_a_hand_computes_from_the_evidence(row: Row) -> None:
    certificate = evaluate(row)
    again = row.again(row.evidence(10_000), certificate)
    assert certificate.value == pytest.approx(again, rel=1e-9)
    slack = 1e-13 * abs(again)
    assert certificate.value >= again - slack if row.theorem.side == "upper" else certificate.value <= again + slack


@every_theorem
def test_a_broken_assumption_is_refused_by_name(row: Row) -> None:
    refused_by = set()
    for broken, sentence in row.broken:
        certificate = certify(broken, theorems=[row.theorem])[row.theorem.number]
        assert certificate.status is Status.REFUSED
        assert certificate.value is None
        assert certificate.spent == 0
        assert certificate.reason.startswith(f"{row.theorem.number} refuses (A")
        assert sentence in certificate.reason
        refused_by.add(certificate.reason.split("(")[1].split(")")[0])
    assert refused_by == {assumption.name for assumption in row.theorem.assumptions}


@every_theorem
def test_certificates_of_all_theorems_hold_jointly(row: Row) -> None:
    report = certify(row.evidence(10_000), delta=0.05)
    assert sum(certificate.spent for certificate in report) <= Fraction(0.05)
    assert report[row.theorem.number].status is not Status.REFUSED
    json.dumps(report.record(), allow_nan=False)


def test_the_published_tables_name_every_theorem_and_every_claim_in_them_holds() -> None:
    def table(name: str) -> dict[str, dict[str, str]]:
        with (DOCS / "results" / name).open(encoding="utf-8") as file:
            return {line["theorem"]: line for line in csv.DictReader(file)}

    rounding, coverage = table("rounding.csv"), table("coverage.csv")
    assert list(rounding) == list(ROWS)
    assert set(coverage) == {number for number, row in ROWS.items() if row.replicates is not None}
    assert all(line["holds"] == "True" for line in (*rounding.values(), *coverage.values()))
    assert all(int(line["evaluations"]) >= 10_000 for line in rounding.values())
    checks = (DOCS / "theory" / "checks.md").read_text(encoding="utf-8").splitlines()
    for number in ROWS:
        (line,) = (line for line in checks if line.startswith(f"| {number} |"))
        for file in re.findall(r"`(test_\w+)`", line):
            assert list((DOCS.parent / "tests").rglob(f"{file}.py"))
