"""Sizes of a truth, and the checks of what its makers are asked for."""

from dataclasses import astuple, dataclass
from math import isfinite

import numpy as np

from conv4rec.errors import InputError

__all__ = ["Sizes", "between", "generator"]

LARGEST_TABLE = 10**8


@dataclass(frozen=True)
class Sizes:
    """Sizes of a truth and of the networks that are fitted to it.

    Attributes
    ----------
    users, items, levels
        Numbers m, n and R; at least two cells, and at most 1e8 cells of all users together.
    channels, code
        Sizes C and k of the networks.
    profile_items
        How many items a profile holds.

    Raises
    ------
    InputError
        If a size is no positive whole number, or the sizes do not go together.

    Examples
    --------
    >>> Sizes(users=40, items=30, levels=3, channels=2, code=2, profile_items=8).cells
    90
    """

    users: int
    items: int
    levels: int
    channels: int
    code: int
    profile_items: int

    def __post_init__(self) -> None:
        for name, size in zip(self.__dataclass_fields__, astuple(self), strict=True):
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise InputError(f"The number {name!r} was {size!r}; expected a whole number of at least 1; change it.")
        if not 1 <= self.profile_items <= self.items:
            raise InputError(
                f"A profile of {self.profile_items} items was asked for among {self.items}; "
                f"it must hold 1 to {self.items}; change it."
            )
        if self.cells < 2:
            raise InputError("One item at one level was asked for; a law needs at least two cells; add an item.")
        if self.users * self.cells > LARGEST_TABLE:
            raise InputError(
                f"{self.users} users with {self.cells} cells were asked for; at most {LARGEST_TABLE:.0e} cells of all "
                "users together fit in memory; lessen the users or the items."
            )

    @property
    def cells(self) -> int:
        """Number of cells q = nR."""
        return self.items * self.levels


def between(name: str, value: float, least: float, most: float) -> None:
    """Refuse a number that lies outside the open interval from ``least`` to ``most``.

    Examples
    --------
    >>> between("entropy share", 0.82, 0, 1)
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not isfinite(value) or not least < value < most:
        raise InputError(f"The {name} was {value!r}; it must lie strictly between {least:g} and {most:g}; change it.")


def generator(seed: int) -> np.random.Generator:
    """Make the random generator of a seed; the seed is a whole number of at least 0.

    Examples
    --------
    >>> generator(3).integers(10) == generator(3).integers(10)
    np.True_
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"The seed was {seed!r}; expected a whole number of at least 0; change it.")
    return np.random.default_rng(seed)
