"""A measure of a part that costs next to nothing, for tests of how studies run; it can sleep, and kill its process."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np
import polars as pl
import torch

from conv4rec_experiments.studies.study import Part, Study
from conv4rec_experiments.studies.tables import CERTIFICATES, GROUPS, KEYS, MEASURES, table


@dataclass(frozen=True)
class Toy:
    """Rows that depend on last bits of linear algebra, on the part, and on the study's delta.

    ``pause`` is slept in every part. The process that computes ``deadly`` (size, first seed) is killed as long as
    ``diary`` holds fewer than ``deaths`` files; ``diary`` gets a file for every part that was begun.
    """

    diary: Path
    pause: float = 0.0
    deadly: tuple[int, int] | None = None
    deaths: int = 1

    def __call__(self, study: Study, part: Part) -> dict[str, pl.DataFrame]:
        begin = perf_counter()
        (self.diary / f"{part.size}-{part.seeds[0]}-{os.getpid()}-{begin}").touch()
        if (part.size, part.seeds[0]) == self.deadly:
            told = self.diary / "deaths"
            told.mkdir(exist_ok=True)
            if len(list(told.iterdir())) < self.deaths:
                (told / str(begin)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        sleep(self.pause)
        values = np.random.default_rng(part.seeds).standard_normal((300, 300)) / np.sqrt(part.size)
        trace = float(np.trace(values @ values @ values)) + float(torch.as_tensor(values).logdet().nan_to_num())
        rows = [keys(part, seed) for seed in part.seeds]
        nothing = dict.fromkeys(MEASURES)
        measures = [
            nothing | row | {"estimator": "fit", "tv": trace / (1 + row["seed"]), "seconds": perf_counter() - begin}
            for row in rows
        ]
        certificates = [
            row
            | {"theorem": number, "basis": "", "side": "upper", "target": "tv", "delta": study.delta}
            | {"bound": trace, "measured": 0.0, "refused": None, "seconds": perf_counter() - begin}
            for row in rows
            for number in study.theorems
        ]
        groups = [
            row | {"estimator": "fit", "kind": "item popularity", "group": 0, "share": 1.0, "members": 1, "tv": trace}
            for row in rows
        ]
        return {
            "measures": table(measures, MEASURES),
            "certificates": table(certificates, CERTIFICATES),
            "groups": table(groups, GROUPS),
        }


def keys(part: Part, seed: int) -> dict[str, Any]:
    values = (part.truth.name, part.truth.seed, part.protocol, part.sampling, part.size, seed)
    return dict(zip(KEYS, values, strict=True))
