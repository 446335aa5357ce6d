"""Results on disk: a reader finds the old file or the new one, never a half."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["delete", "write_bytes", "write_csv", "write_json", "write_text"]


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file at once, make its directory if there is none, and return its path.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder, "new", "table.csv"), b"a,b").read_text()
    'a,b'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
    return path


def write_text(path: Path, content: str) -> Path:
    """Write text as UTF-8 (see `write_bytes`)."""
    return write_bytes(path, content.encode())


def write_json(path: Path, content: object) -> Path:
    """Write plain types as indented JSON (see `write_bytes`); NaN and infinities raise ValueError."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write at least one row, all with the same keys, as CSV with a header; None is an empty field."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, buffer.getvalue())


def delete(folder: Path, names: Iterable[str]) -> None:
    """Delete those of the named files that a folder holds."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
