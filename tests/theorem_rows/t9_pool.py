"""T9 for finite pools."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, HeldOut, Protocol
from conv4rec_bounds.theorems.t9_finite_pool import HeldOutPool
from theorem_rows.common import (
    CELLS,
    REPLICATES,
    certified_value,
    held_out,
    held_out_inputs,
    scored_evidence,
    sizes,
    unrefused_value,
)
from theorem_rows.row import Row
from theorem_rows.t9 import skewed_losses, width


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), pool_sample=held_out(size, pool=np.full(2 * size, CELLS)))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    losses = -np.log(0.99 * np.exp(given.pool_sample.log_probabilities) + 0.01 / CELLS)
    size = losses.size
    serfling = width() * math.sqrt((1 - (size - 1) / (2 * size)) * math.log(40) / (2 * size))
    betting = math.sqrt(2 * certificate.quantities["V_W"] * math.log(40) / size)
    assert math.isclose(certificate.quantities["Delta_S"], serfling, rel_tol=1e-9)
    return float(losses.mean() + min(serfling, betting))


def replicates() -> Iterator[tuple[float, float]]:
    rng, cells = np.random.default_rng(6), 90
    pool = HeldOut(skewed_losses(rng, 200), np.full(200, cells))
    target = float(pool.losses.losses.mean())
    for _ in range(REPLICATES):
        chosen = rng.choice(200, size=60, replace=False)
        part = HeldOut(pool.log_probabilities[chosen], pool.cells[chosen], pool=np.full(200, cells))
        found = Evidence(cells=cells, protocol=Protocol("finite pool"), pool_sample=part)
        yield certified_value(HeldOutPool(), found), target


def training_part_in_the_pool() -> Iterator[tuple[float, float]]:
    """Infer from a held-out sample to a pool with the training part in it, which the model here has forgotten."""
    rng, cells = np.random.default_rng(8), 50
    for _ in range(100):
        good, bad = np.log(np.full(100, 0.9)), np.log(np.full(900, 1e-3))
        part = HeldOut(rng.permutation(good)[:50], np.full(50, cells), pool=np.full(1000, cells), untouched=False)
        everything = HeldOut(np.concatenate([good, bad]), np.full(1000, cells)).losses.losses.mean()
        found = Evidence(cells=cells, protocol=Protocol("finite pool"), pool_sample=part)
        yield unrefused_value(HeldOutPool(), found), float(everything)


ROW = Row(
    theorem=HeldOutPool(),
    inputs=st.builds(
        lambda values, more, w: values | {"H": values["N"] + more, "V_W": w},
        held_out_inputs(),
        sizes,
        st.floats(0, 600),
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, pool_sample=None), "not given as a random subset"),
        (replace(FULL, pool_sample=held_out(100)), "not given as a random subset"),
        (replace(FULL, pool_sample=held_out(100, pool=np.full(100, CELLS))), "whole pool"),
        (replace(FULL, pool_sample=held_out(100, pool=np.full(200, CELLS), untouched=False)), "has seen"),
    ),
    rises_in=("l_max", "lbar", "V_W", "H"),
    grows_with_n=("H",),
    vanishing=("Delta_S", "Delta_W"),
    replicates=replicates,
    unrefused={"A1": training_part_in_the_pool},
)
