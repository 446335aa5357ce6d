"""Whole numbers in as few bytes as their probabilities allow: an asymmetric numeral system on one long integer.

A format is one function of a coder: handed a `Writer` it writes what it is given, handed a `Reader` it returns what was
written. All arithmetic is on integers, so nothing depends on a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError

__all__ = ["LARGEST", "Coder", "Reader", "Writer", "code_integers"]

Integers = NDArray[np.int64]

CHECK = 0xA5
"""The integer starts here when it is written and must end here when it is read: 255 of 256 damages show."""

HEADER = "check and padding"
LARGEST = 255


class Coder(Protocol):
    """What writes or reads one symbol after the other."""

    def code(self, symbol: int, frequencies: Sequence[int], part: str) -> int:
        """Write the symbol and return it, or read one and return that; ``frequencies`` are its chances in whole."""


class Writer:
    """Collects symbols and packs them into bytes.

    Examples
    --------
    >>> writer = Writer()
    >>> [writer.code(symbol, (1, 15), "flags") for symbol in (1, 1, 0, 1)]
    [1, 1, 0, 1]
    >>> data, bits = writer.pack()
    >>> len(data), bits
    (2, {'check and padding': 12, 'flags': 4})
    >>> reader = Reader(data)
    >>> [reader.code(0, (1, 15), "flags") for _ in range(4)], reader.end()
    ([1, 1, 0, 1], None)
    """

    def __init__(self) -> None:
        self._symbols: list[tuple[int, int, int, str]] = []

    def code(self, symbol: int, frequencies: Sequence[int], part: str) -> int:
        """Take one symbol."""
        self._symbols.append((sum(frequencies[:symbol]), frequencies[symbol], sum(frequencies), part))
        return symbol

    def pack(self) -> tuple[bytes, dict[str, int]]:
        """Return the file and how many of its bits each part takes; they sum to its length."""
        state = CHECK
        bits = dict.fromkeys([HEADER, *(part for *_, part in self._symbols)], 0)
        # The last symbol goes in first, so that the first comes out first.
        for start, frequency, total, part in reversed(self._symbols):
            before = state.bit_length()
            state = state // frequency * total + start + state % frequency
            bits[part] += state.bit_length() - before
        length = -(-state.bit_length() // 8)
        bits[HEADER] = 8 * length - sum(bits.values())
        return state.to_bytes(length, "big"), bits


class Reader:
    """Reads symbols in the order in which they were written."""

    def __init__(self, data: bytes) -> None:
        if data[:1] == b"\0":
            raise InputError("the file of a network begins with a zero byte; expected none; write it again.")
        self._state = int.from_bytes(data, "big")

    def code(self, symbol: int, frequencies: Sequence[int], part: str) -> int:
        """Return the next symbol; the one that is handed over is ignored."""
        total = sum(frequencies)
        place = self._state % total
        found, start = 0, 0
        while place >= start + frequencies[found]:
            start += frequencies[found]
            found += 1
        self._state = self._state // total * frequencies[found] + place - start
        return found

    def end(self) -> None:
        """Refuse a file that does not end where one that was written does.

        Raises
        ------
        InputError
            If the file is damaged, cut short or too long.
        """
        if self._state != CHECK:
            raise InputError(
                "the file of a network is damaged, cut short or belongs to other data; write it again with: "
                "conv4rec certify RUN"
            )


class _Chance:
    """A yes or no whose chance is learnt on the way: each answer counts one, and each starts with a half."""

    def __init__(self) -> None:
        self._counts = [0, 0]

    def code(self, coder: Coder, answer: bool, part: str) -> bool:
        found = coder.code(int(answer), [2 * count + 1 for count in self._counts], part)
        self._counts[found] += 1
        return bool(found)


def code_integers(coder: Coder, values: Integers, part: str) -> Integers:
    """Write the integers, or read as many: zero or not, the sign, and the size as a run of ones, all learnt on the way.

    Raises
    ------
    InputError
        If one is larger than `LARGEST`.

    Examples
    --------
    >>> writer = Writer()
    >>> _ = code_integers(writer, np.array([0, 0, -2, 0]), "numbers")
    >>> reader = Reader(writer.pack()[0])
    >>> code_integers(reader, np.zeros(4, dtype=np.int64), "numbers").tolist()
    [0, 0, -2, 0]
    """
    there, negative, more = _Chance(), _Chance(), _Chance()
    found = np.zeros(values.size, dtype=np.int64)
    for place, value in enumerate(values.reshape(-1).tolist()):
        if there.code(coder, value != 0, part):
            sign = -1 if negative.code(coder, value < 0, part) else 1
            size = 1
            while more.code(coder, abs(value) > size, part):
                size += 1
                if size > LARGEST:
                    raise InputError(f"a number of a file is beyond {LARGEST}; the file is damaged, or write smaller.")
            found[place] = sign * size
    return found.reshape(values.shape)
