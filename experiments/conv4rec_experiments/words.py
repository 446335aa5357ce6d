"""Words of the command line: what is typed with commas, and what an error is called there."""

import re

import typer

__all__ = ["as_options", "names", "numbers_or_names", "whole_numbers"]

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
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        value = {"True": "", "[...]": "A,B,..."}.get(value, value)
        if value.startswith("["):
            value = value.strip("[]").replace("'", "").replace(", ", ",")
        return f"--{name} {value}".rstrip()

    return ARGUMENT.sub(option, sentence)


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
