"""A coverage receipt: what a certificate can cite to show how its kind has fared on known truths."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from conv4rec.errors import InputError
from conv4rec_experiments.files import write_json, write_text
from conv4rec_experiments.formatting import interval, percent
from conv4rec_experiments.report.environment import new_environment
from conv4rec_experiments.studies.coverage import COVERAGE, coverage_table, most_misses
from conv4rec_experiments.studies.tables import CERTIFICATES, TIMING

__all__ = ["Receipt", "load_receipt", "make_receipt", "refuted_from", "table_hash", "write_receipt"]

KIND = "conv4rec coverage receipt"
SHORT = 12


def table_hash(certificates: pl.DataFrame) -> str:
    """Hash the rows of a certificates table, sorted, without their timings: SHA-256 in hexadecimal.

    Numbers enter bit by bit, so equal hashes mean equal tables whatever the order of rows or columns.

    Raises
    ------
    InputError
        If a column is missing.
    """
    columns = [name for name in CERTIFICATES if name != TIMING]
    missing = [name for name in columns if name not in certificates.columns]
    if missing:
        raise InputError(f"The table of certificates has no column {missing[0]!r}; expected {', '.join(columns)}.")
    # No two rows agree in all that is sorted by but copies of one another.
    rows = certificates.select(columns).cast({name: CERTIFICATES[name] for name in columns})
    rows = rows.sort(columns, nulls_last=True)
    digest = sha256(str(len(rows)).encode())
    for name in columns:
        column = rows[name]
        digest.update(f"\n{name}\n".encode() + column.is_null().to_numpy().tobytes())
        if CERTIFICATES[name] == pl.String:
            digest.update(json.dumps(column.to_list()).encode())
        else:
            kind = "<f8" if CERTIFICATES[name] == pl.Float64 else "<i8"
            digest.update(column.fill_null(0).to_numpy().astype(kind).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Receipt:
    """What was run, and how every certificate fared.

    Attributes
    ----------
    study
        The description of the study, as plain values.
    version
        The version of the package that counted.
    table
        `table_hash` of the certificates that were counted.
    rows
        The rows of `coverage_table`.
    """

    study: Mapping[str, Any]
    version: str
    table: str
    rows: tuple[Mapping[str, Any], ...]

    @cached_property
    def content(self) -> dict[str, Any]:
        """Everything but the receipt's own hash, as plain types; no date, so equal studies have equal receipts."""
        return {
            "kind": KIND,
            "version": self.version,
            "study": dict(self.study),
            "table": self.table,
            "rows": [dict(row) for row in self.rows],
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content in canonical JSON."""
        text = json.dumps(self.content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return sha256(text.encode()).hexdigest()

    @property
    def short(self) -> str:
        """The first 12 digits of the hash, by which a certificate cites the receipt."""
        return self.hash[:SHORT]

    @property
    def holds(self) -> bool:
        """Whether no certificate was refuted where its assumptions are true, under independent draws."""
        return all(row["holds"] is not False for row in self.rows if row["sampling"] == "independent")

    @property
    def refutable(self) -> bool:
        """Whether there are enough replicates to refute at least one certificate under independent draws."""
        counted = [row for row in self.rows if row["sampling"] == "independent" and row["replicates"]]
        return any(refuted_from(row) is not None for row in counted)


def refuted_from(row: Mapping[str, Any]) -> int | None:
    """Give the least number of misses that refutes a counted row's certificate; None if its replicates are too few.

    >>> refuted_from({"replicates": 2_000, "delta": 0.05}), refuted_from({"replicates": 4, "delta": 0.05})
    (150, None)
    """
    least = most_misses(row["replicates"], row["delta"]) + 1
    return least if least <= row["replicates"] else None


def make_receipt(certificates: pl.DataFrame, description: Mapping[str, Any]) -> Receipt:
    """Count the misses of a certificates table.

    Raises
    ------
    InputError
        If the table cannot be counted (see `coverage_table`), or the description is not of plain values.
    """
    try:
        plain = json.loads(json.dumps(dict(description), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The description of the study is not of plain values ({error}); pass text, numbers, lists and mappings."
        ) from error
    rows = tuple(coverage_table(certificates).to_dicts())
    return Receipt(plain, version("conv4rec"), table_hash(certificates), rows)


def write_receipt(certificates: pl.DataFrame, description: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``receipt.json`` and the self-contained page ``receipt.html`` into a folder; return their paths.

    Raises
    ------
    InputError
        See `make_receipt`.
    """
    receipt = make_receipt(certificates, description)
    return [
        write_json(folder / "receipt.json", receipt.content | {"hash": receipt.hash}),
        write_text(folder / "receipt.html", render(receipt)),
    ]


def load_receipt(path: Path) -> Receipt:
    """Read a receipt and check it: its own hash, and that of ``certificates.parquet`` if that lies beside it.

    Raises
    ------
    InputError
        If the file is none, was changed, or belongs to another table than the one beside it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        receipt = Receipt(found["study"], found["version"], found["table"], tuple(found["rows"]))
        right = found["kind"] == KIND and all(list(row) == list(COVERAGE) for row in receipt.rows)
        stated = found["hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is no coverage receipt ({type(error).__name__}: {error}); expected a file that write_receipt "
            "wrote."
        ) from error
    if not right:
        raise InputError(f"{path} is no coverage receipt of this form; expected a file that write_receipt wrote.")
    if receipt.hash != stated:
        raise InputError(f"{path} was changed: its content does not have the hash that it states; write it again.")
    beside = path.parent / "certificates.parquet"
    if beside.exists() and table_hash(pl.read_parquet(beside)) != receipt.table:
        raise InputError(f"{beside} is not the table that {path.name} was written from; write the receipt again.")
    return receipt


def render(receipt: Receipt) -> str:
    """Return the receipt as one HTML page without scripts or links."""
    environment = new_environment()
    environment.filters |= {"percent": percent, "interval": interval, "refuted_from": refuted_from}
    points: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in receipt.rows:
        key = (f"{row['truth']} {row['truth_seed']}", row["protocol"], f"{row['sampling']} draws")
        points.setdefault(key, []).append(row)
    template = environment.get_template("receipt.html.j2")
    description = json.dumps(receipt.study, indent=2, ensure_ascii=False)
    return template.render(receipt=receipt, points=points, description=description) + "\n"
