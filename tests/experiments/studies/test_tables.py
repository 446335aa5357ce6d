"""The tables' schemas: one set of keys, every column described, and rows that fit or are refused."""

from pathlib import Path

import polars as pl
import pytest

from conv4rec.errors import InputError
from conv4rec_experiments.studies.tables import CERTIFICATES, GROUPS, KEYS, MEASURES, TIMING, table

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "measures.md"


@pytest.mark.parametrize("schema", [MEASURES, CERTIFICATES, GROUPS], ids=["measures", "certificates", "groups"])
def test_every_table_begins_with_the_keys_and_is_described(schema: dict[str, type[pl.DataType]]) -> None:
    assert list(schema)[: len(KEYS)] == list(KEYS)
    text = PAGE.read_text(encoding="utf-8")
    assert not [name for name in schema if f"`{name}`" not in text]


def test_the_clock_is_the_last_column_where_there_is_one() -> None:
    assert [list(schema)[-1] == TIMING for schema in (MEASURES, CERTIFICATES, GROUPS)] == [True, True, False]


def test_rows_become_typed_columns_in_order() -> None:
    schema = {"size": pl.Int64, "tv": pl.Float64, "state": pl.String}
    frame = table([{"state": None, "tv": 1, "size": 3}, {"state": "x", "tv": float("inf"), "size": 4}], schema)
    assert frame.schema == schema
    assert frame.rows() == [(3, 1.0, None), (4, float("inf"), "x")]
    assert table([], schema).schema == schema


@pytest.mark.parametrize("row", [{"size": 3}, {"size": 3, "tv": 0.1, "more": 1}])
def test_rows_of_another_table_are_refused(row: dict[str, float]) -> None:
    with pytest.raises(InputError, match="tv" if "tv" not in row else "more"):
        table([{"size": 1, "tv": 0.1}, row], {"size": pl.Int64, "tv": pl.Float64})
