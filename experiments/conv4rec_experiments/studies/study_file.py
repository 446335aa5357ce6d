"""Study files: a study as TOML, read with care and written back."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings
from conv4rec_experiments.studies.study import Study, TruthChoice, known_theorems, nearest
from conv4rec_experiments.truths import TRUTHS

__all__ = ["SHIPPED", "find", "read", "written"]

SHIPPED: Mapping[str, Path] = {path.stem: path for path in sorted((Path(__file__).parent / "files").glob("*.toml"))}
"""Study files that come with the package, by name."""

EVERY = "all"
T = TypeVar("T")


def find(name: str) -> Path:
    """Give the path of a study file: one that comes with the package by its name, or any other by its path.

    >>> find("quick").name
    'quick.toml'
    """
    path = Path(name)
    if path.is_file():
        return path
    if name not in SHIPPED:
        raise InputError(f"There is no study file {name}; {nearest(name, SHIPPED)}")
    return SHIPPED[name]


def read(path: Path) -> dict[str, Any]:
    """Read a study file into the arguments of `Study`.

    Whole numbers may be written as floats, ``1e6``; ``seeds = 20`` means 0 to 19; ``theorems = "all"`` means all that
    a study can compute.

    Raises
    ------
    InputError
        If the file is not TOML, has a key that is unknown, lacks one, or holds a value of another kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"this is no TOML file: {error}; correct it.") from error
    given = _table("the study", table, READERS)
    if missing := [key for key in REQUIRED if key not in given]:
        raise InputError(f"The study has no {missing[0]}; add a line that starts with {missing[0]} =.")
    return {"name": path.stem, **given}


def written(study: Study) -> str:
    """Write a study as the text of a study file, from which the same study is read."""
    plain = study.description()
    keys = [key for key in READERS if key not in ("truths", "fits")]
    lines = [f"{key} = {_toml(plain[key])}" for key in keys]
    for truth in plain["truths"]:
        lines += ["", "[[truths]]", *(f"{key} = {_toml(truth[key])}" for key in TRUTH)]
    # TOML has no null: what is None is left to its default.
    fits = {key: value for key, value in plain["fits"].items() if value is not None}
    lines += ["", "[fits]", *(f"{key} = {_toml(value)}" for key, value in fits.items())]
    return "\n".join(lines) + "\n"


def _table(name: str, table: Any, readers: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise _wrong(name, table, "a table of keys with their values")
    for key in table:
        if key not in readers:
            raise InputError(f"{name} has no key {key!r}; {nearest(key, readers)}")
    return {key: readers[key](key, value) for key, value in table.items()}


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(key, value, "a text in quotation marks")
    return value


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer():
        raise _wrong(key, value, "a whole number")
    return int(value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise _wrong(key, value, "a finite number")
    return float(value)


def _switch(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, value, "true or false")
    return value


def _several(one: Callable[[str, Any], T], key: str, value: Any) -> tuple[T, ...]:
    if not isinstance(value, list):
        raise _wrong(key, value, "a list in square brackets")
    return tuple(one(key, entry) for entry in value)


def _seeds(key: str, value: Any) -> tuple[int, ...]:
    return _several(_whole, key, value) if isinstance(value, list) else tuple(range(_whole(key, value)))


def _theorems(key: str, value: Any) -> tuple[str, ...]:
    return known_theorems() if value == EVERY else _several(_text, key, value)


def _truth(key: str, value: Any) -> TruthChoice:
    if isinstance(value, str):
        return TruthChoice(value)
    given = _table(key, value, TRUTH)
    if "name" not in given:
        raise InputError(f'An entry of {key} has no name; add a line such as name = "reference".')
    bare = TruthChoice(given["name"], given.get("seed", 0))
    return replace(bare, options=_table("options", given.get("options", {}), _readers(TRUTHS[bare.name], skipped=1)))


def _settings(key: str, value: Any) -> Settings:
    return Settings(**_table(key, value, _readers(Settings)))


def _readers(maker: Callable[..., Any], skipped: int = 0) -> dict[str, Callable[[str, Any], Any]]:
    """Find what reads each argument of a maker but the first ones, by the types that it declares."""
    kinds: Mapping[Any, Callable[[str, Any], Any]] = {int: _whole, float: _number, bool: _switch, str: _text}
    parameters = list(signature(maker, eval_str=True).parameters.values())[skipped:]
    readers = {}
    for parameter in parameters:
        declared = [kind for kind in get_args(parameter.annotation) if kind is not NoneType] or [parameter.annotation]
        readers[parameter.name] = kinds.get(declared[0], _any) if len(declared) == 1 else _any
    return readers


def _any(key: str, value: Any) -> Any:
    return value


def _wrong(key: str, value: Any, expected: str) -> InputError:
    return InputError(f"{key} has {value!r}; expected {expected}; correct it.")


def _toml(value: Any) -> str:
    """Write a plain value; texts, numbers and lists of JSON are TOML but for one character and for tables."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {_toml(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(entry) for entry in value)}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


TRUTH: Mapping[str, Callable[[str, Any], Any]] = {"name": _text, "seed": _whole, "options": _any}
"""Every key of a truth in a study file, with what reads its value."""

READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "name": _text,
    "protocols": partial(_several, _text),
    "samplings": partial(_several, _text),
    "sizes": partial(_several, _whole),
    "seeds": _seeds,
    "batch": _whole,
    "threads": _whole,
    "delta": _number,
    "theorems": _theorems,
    "truths": partial(_several, _truth),
    "fits": _settings,
}
"""Every key of a study file, with what reads its value."""

REQUIRED = ("truths", "sizes", "seeds")
