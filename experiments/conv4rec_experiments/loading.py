"""What the folder of a run holds: its model, its users as they are typed, and new users whom the model meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conv4rec import Conv4Rec, InputError, Interactions, read
from conv4rec.newcomers import Newcomers, reading_of
from conv4rec_experiments.run_files import CHECKPOINT, MODEL, PRIOR_FILES

__all__ = ["load_model", "load_newcomers", "load_run"]


def load_model(run: Path) -> Conv4Rec:
    """Load the model of a run, or say how to come by one.

    Raises
    ------
    InputError
        If the folder holds no model.
    """
    if (run / MODEL).exists():
        return Conv4Rec.load(run)
    if any((run / name).exists() for name in (CHECKPOINT, *PRIOR_FILES)):
        raise InputError(f"training in {run} was interrupted; continue with --resume")
    raise InputError(f"there is no run in {run}; make one with: conv4rec train DATA --out {run}")


def load_run(run: Path, users: Sequence[str]) -> tuple[Conv4Rec, list[int] | list[str]]:
    """Load the model of a run, and read users as they are typed: as integers where the data has integers.

    A user who is named twice is returned once.

    Raises
    ------
    InputError
        If the folder holds no model, or a text is no integer where the users are integers.
    """
    model = load_model(run)
    return model, _as_in(model.interactions, users)


def load_newcomers(
    run: Path, history: Path, users: Sequence[str], *, skip: bool, columns: Mapping[str, Any]
) -> tuple[Newcomers, list[int] | list[str]]:
    """Load the model of a run, and let it meet the users of a file; by default all of them are returned.

    Parameters
    ----------
    run, history
        The folder of the run, and a file of interactions at the run's levels.
    users
        Users of the file as they are typed; none for all.
    skip
        Leave out interactions with items that the model does not know.
    columns
        Arguments of `conv4rec.read` that say which column is which.

    Raises
    ------
    InputError
        As `load_run` and `Conv4Rec.for_new_users`.
    """
    model = load_model(run)
    known = read(history, **columns, **reading_of(model.interactions))
    met = model.for_new_users(known, unknown_items="skip" if skip else "refuse")
    return met, _as_in(met.interactions, users) if users else met.interactions.user_ids.to_list()


def _as_in(interactions: Interactions, users: Sequence[str]) -> list[int] | list[str]:
    """Read users as they are typed: as integers where the data has integers; each once."""
    ids = interactions.user_ids
    if not ids.dtype.is_integer():
        return list(dict.fromkeys(users))
    return list(dict.fromkeys(_integer(text, int(ids[0])) for text in users))


def _integer(text: str, example: int) -> int:
    refusal = InputError(f"user {text!r} is not in the data, whose users are integers such as {example}.")
    try:
        value = int(text)
    except ValueError as error:
        raise refusal from error
    if abs(value) >= 2**64:
        raise refusal
    return value
