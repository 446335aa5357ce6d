"""Words of the command line: what is typed with commas, and what an error is called there."""

import re

import typer

__all__ = ["as_options", "assignments", "names", "numbers", "numbers_or_names", "whole_numbers"]

# Arguments of `conv4rec.read` that have an option of the same name, as its errors write them: alone or with a value.
ARGUMENT = re.compile(
    r"(?<![^\s(])(columns|duplicates|format|implicit|item|level|levels|time|user)="
    r"(\[[^]]*\]|'[^']*'|True(?!\w)|(?=[\s,;.]|$))"
)


def names(text: str) -> list[str]:
    """Read names that are separated by commas.

    >>> names("user, item")
    ['user', 'item']
    """
    return [part.strip() for part in text.split(",")]


def assignments(text: str) -> dict[str, str]:
    """Read names with their values, separated by commas.

    >>> assignments("lift=K, encode=enc.weight")
    {'lift': 'K', 'encode': 'enc.weight'}
    """
    if not text.strip():
        return {}
    pairs = [part.partition("=") for part in names(text)]
    for name, _, value in pairs:
        if not name.strip() or not value.strip():
            raise typer.BadParameter(f"{text!r} is no list of names with their values; write it as A=B,C=D")
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if len(found) < len(pairs):
        raise typer.BadParameter(f"{text!r} names something twice; give each name once")
    return found


def numbers(text: str) -> dict[str, float]:
    """Read names with their numbers, separated by commas.

    >>> numbers("lift=1,encode=2.5")
    {'lift': 1.0, 'encode': 2.5}
    """
    found = {}
    for name, value in assignments(text).items():
        try:
            found[name] = float(value)
        except ValueError as error:
            raise typer.BadParameter(f"{value!r} is no number; write it as in {name}=1.5") from error
    return found


def numbers_or_names(text: str) -> list[float] | list[str]:
    """Read levels that are separated by commas: numbers if all of them are, otherwise names.

    >>> numbers_or_names("1, 2.5"), numbers_or_names("view,2")
    ([1.0, 2.5], ['view', '2'])
    """
    parts = names(text)
    try:
        return [float(part) for part in parts]
    except ValueError:
        return parts


def as_options(sentence: str) -> str:
    """Write the Python arguments that an error of the reader names as options of the command line.

    >>> as_options("name the columns with columns=[...], or give implicit=True; correct level='stars'")
    "name the columns with --columns A,B,..., or give --implicit; correct --level 'stars'"
    >>> as_options('leave them out with unknown_items="skip".')
    'leave them out with --skip-unknown.'
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        value = {"True": "", "[...]": "A,B,..."}.get(value, value)
        if value.startswith("["):
            value = value.strip("[]").replace("'", "").replace(", ", ",")
        return f"--{name} {value}".rstrip()

    return ARGUMENT.sub(option, sentence).replace('unknown_items="skip"', "--skip-unknown")


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers that are separated by commas, ``1e5`` included.

    >>> whole_numbers("1e3, 20000")
    (1000, 20000)
    """
    numbers = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        if not value.is_integer():
            raise typer.BadParameter(f"{part.strip()!r} is no whole number; write sizes such as 1e3,1e4,1e5")
        numbers.append(int(value))
    return tuple(numbers)
