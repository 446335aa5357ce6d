"""The table of all theorems for the tests: a new theorem is a new file here that defines `ROW`."""

from importlib import import_module
from pkgutil import iter_modules

from conv4rec_bounds import THEOREMS
from theorem_rows.row import Row

__all__ = ["ROWS", "Row"]

_ORDER = [theorem.number for theorem in THEOREMS]
_FOUND = (import_module(f"theorem_rows.{module.name}") for module in iter_modules(__path__))
_BY_NUMBER = {row.theorem.number: row for module in _FOUND if (row := getattr(module, "ROW", None))}
ROWS: dict[str, Row] = {number: _BY_NUMBER[number] for number in sorted(_BY_NUMBER, key=_ORDER.index)}
