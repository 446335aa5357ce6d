"""Tables of a study that never ran: power laws with a little noise, in the schemas of the real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from conv4rec_bounds import THEOREMS
from conv4rec_experiments.fits.outcomes import State
from conv4rec_experiments.studies.certificates.coincidences import TARGETS as OF_COINCIDENCES
from conv4rec_experiments.studies.certificates.consequences import WORDS
from conv4rec_experiments.studies.certificates.drawn import COARSE
from conv4rec_experiments.studies.tables import CERTIFICATES, GROUP_KINDS, GROUPS, MEASURES, table

TARGETS = {theorem.number: theorem.target for theorem in THEOREMS}
BASES = ("known", "realisable", "plug-in")
LOWER = ("T7e", "T8-paired", "T9-paired", "T9-lower", "T9-users", "T9-gems")
ALL: tuple[tuple[str, str, str], ...] = (
    *((number, "", TARGETS[number]) for number in ("T1", "T2", "T3", "T4")),
    *((number, "known", TARGETS[number]) for number in ("T5", "T6")),
    *((number, basis, TARGETS[number]) for number in ("T7a", "T7b", "T7c", "T7d") for basis in BASES[:2]),
    *((number, "plug-in", TARGETS[number]) for number in ("T7a", "T7b", "T7d")),
    ("T7c", "plug-in", COARSE),
    ("T7e", "", TARGETS["T7e"]),
    *(("T7f", "", words) for words in OF_COINCIDENCES),
    *((number, "", TARGETS[number]) for number in ("T8", "T8-paired", "T8-code", "T9")),
    *((number, "", TARGETS[number]) for number in ("T9-pool", "T9-paired", "T9-sequence")),
    *((number, "", TARGETS[number]) for number in ("T9-lower", "T9-parts", "T9-users", "T9-calibration", "T9-gems")),
    *(("T10", "known", words) for words in WORDS.values()),
    ("T11", "", TARGETS["T11"]),
)
"""Theorem, basis and target of every certificate that a study has."""


@dataclass(frozen=True)
class Tables:
    measures: pl.DataFrame
    certificates: pl.DataFrame
    groups: pl.DataFrame


def toy_tables(
    truths: Sequence[tuple[str, int]] = (("reference", 0),),
    protocols: Sequence[str] = ("fixed profile",),
    samplings: Sequence[str] = ("independent",),
    sizes: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000),
    seeds: int = 5,
    certificates: Sequence[tuple[str, str, str]] = ALL,
    limit: float | None = 0.0,
    miss: float = 0.0,
) -> Tables:
    """Make the tables of a grid; ``miss`` is the probability that a certificate misses unless draws are independent."""
    rng = np.random.default_rng(0)
    measures, bounds, groups = [], [], []
    for (truth, truth_seed), protocol, sampling, size, seed in product(
        truths, protocols, samplings, sizes, range(seeds)
    ):
        keys = {"truth": truth, "truth_seed": truth_seed, "protocol": protocol, "sampling": sampling}
        keys |= {"size": size, "seed": seed}
        floor = 6 * size**-0.5
        noise = np.exp(0.05 * rng.standard_normal(3))
        stuck = 0.2 if protocol == "self-reconstruction" else limit or 0.0
        tv = {
            "fit": floor * noise[0] + stuck,
            "histogram": 17 * size**-0.5 * noise[1],
            "smoothed": size**-0.3 * noise[2],
        }
        measures += [_measure(keys, estimator, far, floor, limit) for estimator, far in tv.items()]
        missed = sampling != "independent" and rng.random() < miss
        for place, (theorem, basis, target) in enumerate(certificates):
            factor = (2 + place / 4) * size**0.05 * float(np.exp(0.05 * rng.standard_normal()))
            bounds.append(_bound(keys, theorem, basis, target, tv["fit"], 0.9 if missed else factor))
        groups += [
            _group(keys, estimator, kind, group, far * (2 - group / 4) * float(np.exp(0.05 * rng.standard_normal())))
            for estimator, far in tv.items()
            for kind in GROUP_KINDS
            for group in range(5)
        ]
    return Tables(table(measures, MEASURES), table(bounds, CERTIFICATES), table(groups, GROUPS))


def _measure(keys: Mapping[str, Any], estimator: str, far: float, floor: float, limit: float | None) -> dict[str, Any]:
    row = {name: keys.get(name) for name in MEASURES} | {"estimator": estimator, "tv": far, "floor": floor}
    row |= {"tv_limit": limit, "seconds": 0.1}
    if estimator == "fit":
        goal = limit == 0 and keys["protocol"] == "fixed profile"
        row |= {
            "state": State.ACCEPTED.value if goal else State.STATIONARY.value,
            "gap": -1 / keys["size"] - keys["seed"] * 1e-9,
            "starts": 8,
            "iterations": 20,
        }
    return row


def _bound(keys: Mapping[str, Any], theorem: str, basis: str, target: str, far: float, factor: float) -> dict[str, Any]:
    lower = theorem in LOWER or target.startswith("probability of the highest")
    refused = theorem == "T11" or (theorem, basis, target) == ("T7c", "plug-in", TARGETS["T7c"])
    bound: float | None = far / factor if lower else far * factor
    if theorem == "T9-lower" and keys["size"] < 10_000:
        bound = 0.0
    answer = {"bound": None, "measured": None, "refused": "Not applicable: no."} if refused else {"refused": None}
    row = {name: keys.get(name) for name in CERTIFICATES} | {"theorem": theorem, "basis": basis, "target": target}
    row |= {"side": "lower" if lower else "upper", "delta": 0.0 if theorem == "T7e" else 0.05, "seconds": 0.1}
    return row | {"bound": bound, "measured": far} | answer


def _group(keys: Mapping[str, Any], estimator: str, kind: str, group: int, far: float) -> dict[str, Any]:
    shares = (0.05, 0.1, 0.15, 0.25, 0.45)
    row = {**keys, "estimator": estimator, "kind": kind, "group": group, "share": shares[group]}
    return row | {"members": 8, "tv": far}
