"""What a study runs: a grid of truths, protocols, samplings, sizes and seeds, divided into parts."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any, Self

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings
from conv4rec_experiments.truths import TRUTHS, Truth

__all__ = ["PROTOCOLS", "Part", "Study", "TruthChoice", "nearest", "software"]

PROTOCOLS = ("fixed profile", "self-reconstruction")
"""Where the encoder's input comes from: profiles apart from what is scored, or the scored interactions themselves."""

GREATEST_SIZE = 10**15
"""Counts up to here are exact in double precision."""

DECISIVE = ("delta", "fits", "software", "theorems", "threads")
"""Keys of a description that decide the numbers of every part; the grid decides only which parts there are."""

PACKAGES = ("conv4rec", "numpy", "scipy", "torch")


def software() -> dict[str, str]:
    """Give the versions of what computes the numbers, by package."""
    return {package: version(package) for package in PACKAGES}


def nearest(name: str, known: Collection[str]) -> str:
    """Say which known name was probably meant, or name all.

    >>> nearest("sises", ["sizes", "seeds"]), nearest("x", ["sizes", "seeds"])
    ("did you mean 'sizes'?", 'expected one of sizes, seeds.')
    """
    close = get_close_matches(name, known, 1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}."


@dataclass(frozen=True)
class TruthChoice:
    """A known sampling distribution by name.

    Attributes
    ----------
    name, seed
        A name in `conv4rec_experiments.truths.TRUTHS`, and the seed that its maker takes first.
    options
        What its maker takes by keyword.

    Examples
    --------
    >>> TruthChoice("small", 3).make().users
    12
    """

    name: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.name not in TRUTHS:
            raise InputError(f"There is no truth named {self.name!r}; {nearest(self.name, TRUTHS)}")
        if self.seed < 0:
            raise InputError(f"The seed of the truth {self.name} is {self.seed}; expected a whole number from 0 on.")
        known = list(signature(TRUTHS[self.name]).parameters)[1:]
        for option in self.options:
            if option not in known:
                raise InputError(f"The truth {self.name} has no option {option!r}; {nearest(option, known)}")

    def make(self) -> Truth:
        """Make the truth, once in each process."""
        return _made(self.name, self.seed, json.dumps(dict(self.options), sort_keys=True))

    def description(self) -> dict[str, Any]:
        """Give name, seed and options as plain values, and the digest of the file that the truth is made of, if any."""
        plain = {"name": self.name, "seed": self.seed, "options": dict(self.options)}
        return plain | ({"digest": _digest(self.options["path"])} if "path" in self.options else {})


@cache
def _made(name: str, seed: int, options: str) -> Truth:
    given = json.loads(options)
    # Several truths may be made of files: they go by the names that they are given.
    called = f"{given['name']} ({name})" if "name" in given else name
    try:
        return TRUTHS[name](seed, **given)
    except (InputError, OSError) as error:
        raise InputError(f"The truth {called} cannot be made: {error}") from error
    except TypeError as error:
        raise InputError(
            f"The truth {called} cannot be made with the options {options}: {error}; correct them."
        ) from error


@cache
def _digest(path: str) -> str:
    return sha256(Path(path).read_bytes()).hexdigest()


@dataclass(frozen=True)
class Part:
    """What is computed and written at once: some seeds at one point of the grid.

    Attributes
    ----------
    truth, protocol, sampling, size
        The point of the grid.
    seeds
        Seeds that are fitted side by side.
    """

    truth: TruthChoice
    protocol: str
    sampling: str
    size: int
    seeds: tuple[int, ...]

    @property
    def file_name(self) -> str:
        """A file name that tells parts apart by their content: equal for equal parts, whatever study they are of.

        >>> Part(TruthChoice("small"), "fixed profile", "independent", 1000, (0, 1)).file_name
        'small-0-fixed_profile-independent-1000-0-508d0fd26d2a.parquet'
        """
        content = json.dumps(asdict(self) | {"truth": self.truth.description()}, sort_keys=True)
        words = (self.truth.name, self.truth.seed, self.protocol, self.sampling, self.size, self.seeds[0])
        plain = "-".join(re.sub(r"\W", "_", str(word)) for word in words)
        return f"{plain}-{sha256(content.encode()).hexdigest()[:12]}.parquet"


@dataclass(frozen=True)
class Study:
    """A grid truths x protocols x samplings x sizes x seeds, and what is computed at each point.

    Attributes
    ----------
    name
        A word for captions and folders.
    truths
        Known sampling distributions.
    sizes, seeds
        Numbers of scored interactions, and the seeds drawn at each.
    protocols, samplings
        Names in `PROTOCOLS` and in `conv4rec_experiments.studies.samplings.SAMPLINGS`.
    batch
        How many seeds are fitted side by side in one part. It decides the last bits of batched linear algebra.
    threads
        Threads of linear algebra inside a part, which decide last bits, too.
    delta
        Failure probability of each certificate by itself.
    theorems
        Numbers of the theorems whose certificates are computed; none by default.
    fits
        How hard the fits try.

    Examples
    --------
    >>> study = Study("tiny", (TruthChoice("small"),), sizes=(1_000, 4_000), seeds=(0, 1, 2), batch=2)
    >>> [(part.size, part.seeds) for part in study.parts()]
    [(1000, (0, 1)), (1000, (2,)), (4000, (0, 1)), (4000, (2,))]
    """

    name: str
    truths: tuple[TruthChoice, ...]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    protocols: tuple[str, ...] = (PROTOCOLS[0],)
    samplings: tuple[str, ...] = ("independent",)
    batch: int = 8
    threads: int = 1
    delta: float = 0.05
    theorems: tuple[str, ...] = ()
    fits: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w .-]*", self.name):
            raise InputError(
                f"The name of the study is {self.name!r}; expected letters, digits, spaces, dots and hyphens, "
                "a letter or digit first; for instance reference."
            )
        for name, numbers, least, greatest in (
            ("sizes", self.sizes, 1, GREATEST_SIZE),
            ("seeds", self.seeds, 0, 2**63 - 1),
            ("batch", (self.batch,), 1, 2**63 - 1),
            ("threads", (self.threads,), 1, 1024),
        ):
            _check_different(name, numbers)
            if min(numbers) < least or max(numbers) > greatest:
                found = min(numbers) if min(numbers) < least else max(numbers)
                raise InputError(
                    f"{name} holds {found}; expected whole numbers from {least} to {greatest}; correct it."
                )
        # Tables know a truth by its name and seed.
        _check_different("truths", [f"{truth.options.get('name', truth.name)} {truth.seed}" for truth in self.truths])
        _check_names("protocols", self.protocols, PROTOCOLS)
        _check_names("samplings", self.samplings, known_samplings())
        if self.theorems:
            _check_names("theorems", self.theorems, known_theorems())
        if not 0 < self.delta < 1:
            raise InputError(f"delta is {self.delta}; expected a number strictly between 0 and 1; for instance 0.05.")

    @classmethod
    def from_toml(cls, path: Path | str) -> Self:
        """Read a study file.

        Raises
        ------
        InputError
            If the file is not TOML, has a key that is unknown, lacks one, or holds a value that cannot be.
        """
        from conv4rec_experiments.studies.study_file import read

        try:
            return cls(**read(Path(path)))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @property
    def replicates(self) -> int:
        """Number of points of the grid, seeds included."""
        return sum(len(part.seeds) for part in self.parts())

    def parts(self) -> list[Part]:
        """Divide the grid into parts; seeds are taken in rising order, ``batch`` at a time."""
        seeds = sorted(self.seeds)
        batches = [tuple(seeds[begin : begin + self.batch]) for begin in range(0, len(seeds), self.batch)]
        return [Part(*point) for point in product(self.truths, self.protocols, self.samplings, self.sizes, batches)]

    def description(self) -> dict[str, Any]:
        """Give everything that decides the tables, as plain values: the fields, and the software that is installed."""
        truths = [truth.description() for truth in self.truths]
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self) | {"truths": truths, "software": software()}))
        return plain

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """Say how another study's description differs in what decides the numbers of every part."""
        mine = self.description()
        found = [
            f"{name} ({before} there, {now} here)"
            for key in DECISIVE
            for name, before, now in _leaves(key, other.get(key), mine[key])
        ]
        if not any(truth in mine["truths"] for truth in other.get("truths", [])):
            found.append("truths (none in common)")
        return found


def known_samplings() -> tuple[str, ...]:
    """Names of the samplings that a study can draw by."""
    from conv4rec_experiments.studies.samplings import SAMPLINGS

    return tuple(SAMPLINGS)


def known_theorems() -> tuple[str, ...]:
    """Numbers of the theorems that a study can compute certificates of."""
    from conv4rec_experiments.studies.certificates import THEOREMS

    return tuple(THEOREMS)


def _check_different(name: str, values: Sequence[object]) -> None:
    if not values or len(set(values)) < len(values):
        raise InputError(f"{name} is {list(values)}; expected at least one value, all different; correct it.")


def _check_names(name: str, values: Sequence[str], known: Collection[str]) -> None:
    _check_different(name, values)
    for value in values:
        if value not in known:
            raise InputError(f"{name} has {value!r}, which is unknown; {nearest(value, known)}")


def _leaves(name: str, before: Any, now: Any) -> list[tuple[str, Any, Any]]:
    """List the places where two plain values differ, dotted names for values inside tables."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [(name, before, now)]
    keys = sorted(before.keys() | now.keys())
    return [leaf for key in keys for leaf in _leaves(f"{name}.{key}", before.get(key), now.get(key))]
