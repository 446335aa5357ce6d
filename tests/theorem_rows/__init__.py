"""The table of all theorems for the tests: a new theorem is a new file here that defines `ROW`."""

from importlib import import_module
from pkgutil import iter_modules

from theorem_rows.row import Row

__all__ = ["ROWS", "Row"]

_FOUND = (import_module(f"theorem_rows.{module.name}") for module in iter_modules(__path__))
ROWS: dict[str, Row] = {row.theorem.number: row for module in _FOUND if (row := getattr(module, "ROW", None))}
