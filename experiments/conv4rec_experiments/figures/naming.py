"""Short names of certificates in figures and summaries: no two of one table share a name."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from conv4rec_experiments.studies.certificates import THEOREMS
from conv4rec_experiments.studies.certificates.coincidences import OF_THE_FIT
from conv4rec_experiments.studies.certificates.coincidences import TARGETS as OF_COINCIDENCES
from conv4rec_experiments.studies.certificates.consequences import WORDS
from conv4rec_experiments.studies.coverage import CERTIFICATE

__all__ = ["GROUPS", "Key", "in_order", "name", "named", "names"]

Key = tuple[str, str, str, str]
"""What tells one certificate from another: theorem, basis, side and target."""

BASES = ("", "known", "realisable", "plug-in")
"""What a certificate was told about the truth, most first; empty where nothing was to be told."""

GROUPS = "groups of cells"
"""What a target says that is of a coarse law."""

TARGETS = (*WORDS.values(), *OF_COINCIDENCES)
SHORT = {words: key.partition(",")[0] for key, words in WORDS.items()}
SIDES = {"upper": "from above", "lower": "from below"}


def name(theorem: str, basis: str, target: str) -> str:
    """Name a certificate shortly: its theorem, what it was told about the truth, and which of several targets.

    >>> name("T7a", "plug-in", "total variation (mean over the untouched part's users)")
    'T7a plug-in'
    >>> name("T10", "known", "total variation of the item's law"), name("T7c", "plug-in", "... (groups of cells)")
    ('T10 implicit', 'T7c plug-in, coarse')
    >>> name("T7f", "", "total variation of the fit, every user over groups of cells")
    'T7f, fit, coarse'
    """
    if theorem in ("T5", "T6", "T10"):
        # These have one basis only, the truth itself.
        basis = ""
    words = f"{theorem} {basis}".rstrip()
    words += f" {SHORT[target]}" if target in SHORT else ""
    words += ", fit" if target.startswith(OF_THE_FIT) else ""
    return f"{words}, coarse" if GROUPS in target else words


def names(certificates: pl.DataFrame) -> dict[Key, str]:
    """Name every certificate of a table, by theorem, basis and target.

    Where `name` gives several of them the same, each gets the words of its target that tell it from the others, and
    the side if even the target is shared.

    >>> rows = [("T7a", "known", "upper", "a"), ("T9", "", "upper", "risk of the code"), ("T9", "", "upper", "risk")]
    >>> rows += [("T9-pool", "", side, "a") for side in ("upper", "lower")]
    >>> list(names(pl.DataFrame(rows, CERTIFICATE, orient="row")).values())
    ['T7a known', 'T9', 'T9: of the code', 'T9-pool, from below', 'T9-pool, from above']
    """
    alike: defaultdict[str, list[Key]] = defaultdict(list)
    ordered = _keys(certificates)
    for key in ordered:
        theorem, basis, _, target = key
        alike[name(theorem, basis, target)].append(key)
    found: dict[Key, str] = {}
    for words, keys in alike.items():
        targets = [target for *_, target in keys]
        own = _distinct(sorted(set(targets)))
        for key in keys:
            *_, side, target = key
            told = f"{words}: {own[target]}" if own[target] else words
            found[key] = f"{told}, {SIDES[side]}" if targets.count(target) > 1 else told
    return {key: found[key] for key in ordered}


def in_order(certificates: pl.DataFrame, called: Mapping[Key, str] | None = None) -> Iterator[tuple[str, pl.DataFrame]]:
    """Go through the certificates of a table: each one's name, and its rows; by theorem, basis and target.

    A table that is a part of another takes the `names` of the whole.
    """
    known = names(certificates) if called is None else called
    for key in _keys(certificates):
        of_one = pl.all_horizontal(pl.col(column) == value for column, value in zip(CERTIFICATE, key, strict=True))
        yield known[key], certificates.filter(of_one)


def named(certificates: pl.DataFrame) -> pl.DataFrame:
    """Put each row's name into a column ``certificate``."""
    found = [(*key, words) for key, words in names(certificates).items()]
    labels = pl.DataFrame(found, [*CERTIFICATE, "certificate"], orient="row")
    return certificates.join(labels, on=CERTIFICATE, how="left", maintain_order="left")


def _distinct(targets: Sequence[str]) -> dict[str, str]:
    """Keep of each of several targets the words between those that all of them begin and end with."""
    split = [target.split(" ") for target in targets]
    least = min(map(len, split))
    front = next((i for i in range(least) if len({words[i] for words in split}) > 1), least)
    left = least - front
    back = next((i for i in range(left) if len({words[-1 - i] for words in split}) > 1), left)
    kept = [" ".join(words[front : len(words) - back]) for words in split]
    return dict(zip(targets, kept if len(targets) > 1 else [""], strict=True))


def _keys(certificates: pl.DataFrame) -> list[Key]:
    """List what tells certificates apart by theorem, basis and target; what is in no list comes after the listed."""

    def place(key: Key) -> tuple[int, int, int, Key]:
        theorem, basis, _, target = key
        lists: tuple[tuple[tuple[str, ...], str], ...] = ((THEOREMS, theorem), (BASES, basis), (TARGETS, target))
        first, second, third = (known.index(word) if word in known else len(known) for known, word in lists)
        return first, second, third, key

    return sorted(certificates.select(CERTIFICATE).unique().rows(), key=place)
