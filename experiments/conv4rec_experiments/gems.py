"""Hidden gems with a guarantee: the ladder of a model's pools, and the largest pool that keeps a wanted promise."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from conv4rec.arguments import real_number
from conv4rec.errors import InputError
from conv4rec_bounds import THEOREMS
from conv4rec_bounds.theorems.t9_gems import lower_end
from conv4rec_bounds.theorems.t10_what_tv_buys import GEMS
from conv4rec_experiments.files import write_csv
from conv4rec_experiments.gem_pools import SEGMENTS, THRESHOLDS, GemPools, choose_pools

if TYPE_CHECKING:
    from conv4rec import Conv4Rec
    from conv4rec_bounds import Report

__all__ = ["certified_quantities", "certified_total_variation", "gem_ladder", "gem_pairs", "gems_of_run", "promised"]

CERTIFICATES = "certificates.json"


def gem_ladder(
    pools: GemPools, quantities: Mapping[str, float], total_variation: float | None = None
) -> list[dict[str, Any]]:
    """Return one row for each pool, from the largest of every segment to the smallest.

    Parameters
    ----------
    pools
        The pools of a model.
    quantities
        Those of the certificate of T9-gems, which hold the lower end of every pool. All hold at once, so a pool may be
        chosen after looking at them.
    total_variation
        On a known truth: a bound on the total variation of the model to the truth under the held-out user mix. Rows
        then hold what T10 says about the pool under that mix.

    Returns
    -------
    list
        Rows with ``segment, least_interactions, threshold, users, pairs``, the number of held-out ``interactions`` in
        the pool and their ``share``, the model's mean ``claim`` about them, the ``measured`` share of high levels among
        them, the certified ``lower_end``, the ``base_rate`` (share of high levels among all held-out interactions of
        the segment), and ``from_total_variation``. Means of nothing are None.
    """
    rows = []
    for place, name in enumerate(pools.names):
        segment, rung = divmod(place, len(THRESHOLDS))
        inside, of_segment = pools.inside[place], pools.member[segment, pools.user]
        mass, high = float(pools.mass[place]), float(pools.high_mass[place])
        from_total_variation = None
        if total_variation is not None:
            from_total_variation = 0.0
            if mass > 0:
                # The safe end may lie one float below 0.
                from_total_variation = max(0.0, GEMS.lower(tau=total_variation, P_G=mass, P_high=high))
        rows.append(
            {
                "segment": SEGMENTS[segment],
                "least_interactions": pools.least_interactions,
                "threshold": THRESHOLDS[rung],
                "users": int(pools.member[segment].sum()),
                "pairs": int(pools.pairs[place]),
                "interactions": int(inside.sum()),
                "share": float(inside.mean()),
                "claim": _mean(pools.claim[inside]),
                "measured": _mean(pools.high[inside]),
                "lower_end": quantities[lower_end(name)],
                "base_rate": _mean(pools.high[of_segment]),
                "from_total_variation": from_total_variation,
            }
        )
    return rows


def certified_total_variation(report: Report) -> float | None:
    """Return the least total variation of the model under the held-out user mix that a report certifies, if any."""
    values = [report[theorem.number].value for theorem in THEOREMS if theorem.model_tv == "untouched"]
    return min((value for value in values if value is not None), default=None)


def promised(
    ladder: Sequence[Mapping[str, Any]], wanted: float, by: str = "lower_end"
) -> dict[str, Mapping[str, Any] | None]:
    """Return of every segment the largest pool whose certified lower end is at least ``wanted``, None if there is none.

    Parameters
    ----------
    ladder
        Rows of `gem_ladder`.
    wanted
        A probability above 0 and below 1.
    by
        ``"lower_end"`` (T9-gems) or ``"from_total_variation"`` (T10, on a known truth).

    Raises
    ------
    InputError
        If ``wanted`` is no such probability.

    Examples
    --------
    >>> rows = [{"segment": "all", "threshold": t, "lower_end": end} for t, end in ((0.0, 0.5), (0.6, 0.7), (0.8, 0.9))]
    >>> promised(rows, 0.65)["all"]["threshold"], promised(rows, 0.95)
    (0.6, {'all': None})
    """
    if not 0 < real_number("wanted", wanted) < 1:
        raise InputError(f"wanted is {wanted}; expected a probability above 0 and below 1.")
    found: dict[str, Mapping[str, Any] | None] = {}
    for row in ladder:
        found.setdefault(row["segment"], None)
        if found[row["segment"]] is None and row[by] is not None and row[by] >= wanted:
            found[row["segment"]] = row
    return found


def gem_pairs(model: Conv4Rec, pools: GemPools, row: Mapping[str, Any], k: int = 5) -> pl.DataFrame:
    """Return examples of a pool: the surest gem of each of at most k users, by their own identifiers.

    Columns: ``segment``, ``user``, ``item``, ``p_consume``, ``p_high``, and ``interactions``, the number of the item's
    training interactions. Only the pool is certified, no single pair.
    """
    segment = SEGMENTS.index(row["segment"])
    claims = np.where(pools.member[segment], pools.best_claim, -1.0)
    users = np.argsort(-claims, kind="stable")[:k]
    users = users[claims[users] >= row["threshold"]]
    data = model.interactions
    return pl.DataFrame(
        {
            "segment": pl.Series([row["segment"]] * len(users), dtype=pl.String),
            "user": data.user_ids.gather(users),
            "item": data.item_ids.gather(pools.best[users]),
            "p_consume": pools.best_consume[users],
            "p_high": pools.best_claim[users],
            "interactions": model.split.item_counts[pools.best[users]],
        }
    )


def certified_quantities(run: Path) -> tuple[dict[str, float], float]:
    """Return the quantities of T9-gems and the failure probability of the report that `conv4rec certify` has written.

    Raises
    ------
    InputError
        If the run was not certified, or the theorem was refused there.
    """
    path = run / CERTIFICATES
    if not path.exists():
        raise InputError(f"{run} holds no certificates; make them with: conv4rec certify {run}")
    record = json.loads(path.read_text(encoding="utf-8"))
    found = next((row for row in record["certificates"] if row["theorem"] == "T9-gems"), None)
    if found is None:
        raise InputError(f"{path} knows nothing of T9-gems; write it anew with: conv4rec certify {run}")
    if found["value"] is None:
        raise InputError(found["reason"])
    return found["quantities"], record["delta"]


def gems_of_run(
    model: Conv4Rec,
    run: Path,
    wanted: float,
    segments: Sequence[str] = (),
    k: int = 5,
    least_interactions: int = 0,
) -> tuple[list[dict[str, Any]], dict[str, Mapping[str, Any] | None], pl.DataFrame, list[Path]]:
    """Find the pools of a certified run that keep a wanted promise; write tables and figure into its folder.

    ``least_interactions`` is the floor with which the run was certified.

    Returns
    -------
    tuple
        The ladder of the segments, of each the largest pool (or None), examples of these pools, and the paths.

    Raises
    ------
    InputError
        If the run was not certified, or with another floor, a segment is unknown, or ``wanted`` is no probability above
        0 and below 1.
    """
    from conv4rec_experiments.figures.gems import draw_gems

    if odd := sorted(set(segments) - set(SEGMENTS)):
        raise InputError(f"there is no segment {odd[0]!r}; choose some of {', '.join(SEGMENTS)}.")
    quantities, delta = certified_quantities(run)
    pools = choose_pools(model, least_interactions=least_interactions)
    if lower_end(pools.names[0]) not in quantities:
        floor = f" --least-interactions {least_interactions}" if least_interactions else ""
        raise InputError(
            f"the report of {run} has another floor than {least_interactions} training interactions for its gems; give "
            f"its own as --least-interactions, or certify anew with: conv4rec certify {run}{floor}"
        )
    ladder = [row for row in gem_ladder(pools, quantities) if row["segment"] in (segments or SEGMENTS)]
    found = promised(ladder, wanted)
    examples = [gem_pairs(model, pools, row, k) for row in found.values() if row is not None]
    table = pl.concat(examples) if examples else pl.DataFrame()
    paths = [
        write_csv(run / "gems.csv", [row | {"delta": delta} for row in ladder]),
        *draw_gems(ladder, run / "gems", wanted=wanted),
    ]
    if len(table):
        paths.append(write_csv(run / "gem_examples.csv", table.to_dicts()))
    return ladder, found, table, paths


def _mean(values: np.ndarray[Any, Any]) -> float | None:
    return math.fsum(values) / len(values) if len(values) else None
