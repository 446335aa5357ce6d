"""Receipts: equal studies have equal bytes, a changed digit is found, and the page is self-contained."""

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from conv4rec.errors import InputError
from conv4rec_experiments.formatting import interval
from conv4rec_experiments.studies.receipt import load_receipt, make_receipt, table_hash, write_receipt
from toy_receipt import TABLE, certificates, row

DESCRIPTION = {"name": "coverage", "delta": 0.05, "truths": [{"name": "small", "seed": 0}]}


def test_equal_tables_have_equal_receipts_whatever_order_and_timings(tmp_path: Path) -> None:
    shuffled = TABLE.sample(fraction=1.0, shuffle=True, seed=1).with_columns(seconds=pl.lit(9.0))
    shuffled = shuffled.select(sorted(shuffled.columns))
    assert table_hash(shuffled) == table_hash(TABLE)
    first = write_receipt(TABLE, DESCRIPTION, tmp_path / "a")
    second = write_receipt(shuffled, DESCRIPTION, tmp_path / "b")
    assert [path.name for path in first] == ["receipt.json", "receipt.html"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize(
    "changed",
    [{"bound": 0.5 + 2**-52}, {"measured": 0.26}, {"seed": 41}, {"basis": ""}, {"bound": None}, {"sampling": "x"}],
)
def test_any_other_digit_changes_the_hash(changed: dict[str, Any]) -> None:
    assert table_hash(certificates(row(0))) != table_hash(certificates(row(0, **changed)))
    # A refusal is no bound of 0.
    assert table_hash(certificates(row(0, bound=0.0))) != table_hash(certificates(row(0, bound=None)))
    assert table_hash(certificates(row(0), row(0))) != table_hash(certificates(row(0)))


def test_a_receipt_says_what_was_counted(tmp_path: Path) -> None:
    write_receipt(TABLE, DESCRIPTION, tmp_path)
    receipt = load_receipt(tmp_path / "receipt.json")
    assert receipt == make_receipt(TABLE, DESCRIPTION)
    counted = {(found["theorem"], found["sampling"]): found for found in receipt.rows}
    assert counted["T6", "independent"]["misses"] == 1
    assert counted["T6", "independent"]["holds"] is True
    assert counted["T6", "dependent"]["misses"] == 26
    assert counted["T6", "dependent"]["holds"] is False
    assert counted["T11", "independent"]["refused"] == 1
    assert receipt.holds
    assert len(receipt.short) == 12
    assert receipt.hash.startswith(receipt.short)
    refuted = make_receipt(TABLE.with_columns(sampling=pl.lit("independent")), DESCRIPTION)
    assert not refuted.holds
    assert refuted.short != receipt.short


def test_the_page_is_self_contained_and_tells_the_hash(tmp_path: Path) -> None:
    receipt = make_receipt(TABLE, DESCRIPTION)
    page = write_receipt(TABLE, DESCRIPTION, tmp_path)[1].read_text()
    for part in (receipt.short, receipt.hash, receipt.table, "refuted", "held", "T11 refuses (A1): no."):
        assert part in page
    assert "total &lt;variation&gt;" in page
    for outside in ("http", "src=", "<script", "<link"):
        assert outside not in page


@pytest.mark.parametrize(("replicates", "verdict", "cell"), [(4, "too few to refute", "–"), (6, "held", "6")])
def test_a_line_that_nothing_could_refute_is_not_called_held(
    replicates: int, verdict: str, cell: str, tmp_path: Path
) -> None:
    page = write_receipt(certificates(*map(row, range(replicates))), DESCRIPTION, tmp_path)[1].read_text()
    (line,) = (line for line in page.split("<tr>") if "total &lt;variation&gt;" in line)
    assert re.sub("<[^>]*>", "", line.split("<td>")[-1]).split("\n")[0] == verdict
    assert f'data-label="refuted from">{cell}</td>' in line
    assert ("too few replicates to refute any certificate" in page) == (replicates == 4)


def test_the_interval_is_rounded_outward() -> None:
    assert interval({"low": 0.01239, "high": 0.01231}) == "1.23 to 1.24 %"


def test_a_changed_or_foreign_receipt_is_refused(tmp_path: Path) -> None:
    path = write_receipt(TABLE, DESCRIPTION, tmp_path)[0]
    TABLE.write_parquet(tmp_path / "certificates.parquet")
    assert load_receipt(path).table == table_hash(TABLE)
    TABLE.head(50).write_parquet(tmp_path / "certificates.parquet")
    with pytest.raises(InputError, match="not the table"):
        load_receipt(path)
    record = json.loads(path.read_text())
    record["rows"][0]["misses"] = 0
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="was changed"):
        load_receipt(path)
    for broken in (
        "{}",
        "[1]",
        "not json",
        json.dumps(record | {"kind": "other"}),
        json.dumps(record | {"rows": [{}]}),
    ):
        path.write_text(broken)
        with pytest.raises(InputError, match="no coverage receipt"):
            load_receipt(path)
    with pytest.raises(InputError, match="no coverage receipt"):
        load_receipt(tmp_path / "missing.json")


def test_what_cannot_be_counted_or_told_is_refused() -> None:
    with pytest.raises(InputError, match="no column 'truth'"):
        table_hash(TABLE.drop("truth"))
    with pytest.raises(InputError, match="no rows"):
        make_receipt(TABLE.head(0), DESCRIPTION)
    for description in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(InputError, match="plain values"):
            make_receipt(TABLE, description)
