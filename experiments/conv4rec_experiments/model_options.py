"""The file that holds arguments of Conv4Rec: `search` writes it, `train` and `compare` read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["OptionsFile", "read_options"]

OptionsFile = Annotated[
    Path | None, typer.Option("--options", help="A file with arguments of the model, such as search writes.")
]

SEED = "seed"
"""What the file may not hold: it is that of the split."""


def read_options(path: Path | None) -> dict[str, Any]:
    """Read arguments of `conv4rec.Conv4Rec` from a JSON object; none where there is no file.

    Raises
    ------
    InputError
        If the file holds no JSON object, or a name that is no argument.
    """
    import json
    from inspect import signature

    from conv4rec import Conv4Rec, InputError

    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f'{path} is no JSON ({error}); write an object such as {{"code": 64}}.') from error
    known = [name for name in signature(Conv4Rec).parameters if name != SEED]
    unknown = sorted(set(found) - set(known)) if isinstance(found, dict) else [str(found)]
    if not isinstance(found, dict) or unknown:
        raise InputError(f"{path} holds {', '.join(unknown)}; expected an object with some of: {', '.join(known)}.")
    return found
