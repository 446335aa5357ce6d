"""Certificates of two theorems under two samplings, few enough to be counted by hand."""

from typing import Any

import polars as pl

from conv4rec_experiments.studies.tables import CERTIFICATES


def row(number: int, **changes: Any) -> dict[str, Any]:
    given = {"truth": "small", "truth_seed": 0, "protocol": "fixed profile", "sampling": "independent", "size": 1_000}
    given |= {"theorem": "T6", "basis": "known", "side": "upper", "target": "total <variation>"}
    return (
        given
        | {"delta": 0.05, "bound": 0.5, "measured": 0.25, "refused": None, "seed": number, "seconds": 0.1}
        | changes
    )


def certificates(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(CERTIFICATES), orient="row")


TABLE = certificates(
    *(row(seed, measured=0.25 if seed else 0.75) for seed in range(40)),
    *(row(seed, sampling="dependent", measured=0.25 if seed > 25 else 0.75) for seed in range(40)),
    row(0, theorem="T11", basis="", side="lower", bound=None, measured=None, refused="T11 refuses (A1): no."),
)
