"""T9."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, HeldOut, Protocol
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk
from theorem_rows.common import (
    CELLS,
    REPLICATES,
    certified_value,
    held_out,
    held_out_inputs,
    scored_evidence,
    unrefused_value,
)
from theorem_rows.row import Row


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), held_out=held_out(size))


FULL = evidence()


def width() -> float:
    """Return the length of the interval of the smoothed losses of `held_out`."""
    return math.log(CELLS / 0.01) + math.log(0.99 + 0.01 / CELLS)


def again(given: Evidence, certificate: Certificate) -> float:
    losses = -np.log(0.99 * np.exp(given.held_out.log_probabilities) + 0.01 / CELLS)
    hoeffding = width() * math.sqrt(math.log(60) / (2 * losses.size))
    bernstein = math.sqrt(2 * losses.var(ddof=1) * math.log(120) / losses.size)
    bernstein += 7 * width() * math.log(120) / (3 * (losses.size - 1))
    # That V_W is the betting bound's is held by tests/bounds/test_betting.py.
    betting = math.sqrt(2 * certificate.quantities["V_W"] * math.log(60) / losses.size)
    assert math.isclose(certificate.quantities["Delta_H"], hoeffding, rel_tol=1e-9)
    assert math.isclose(certificate.quantities["Delta_B"], bernstein, rel_tol=1e-9)
    return float(losses.mean() + min(hoeffding, bernstein, betting))


def skewed_losses(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return log-probabilities of a model that is rarely, but then badly, surprised: hard for empirical variances."""
    return np.log(np.where(rng.random(size) < 0.01, 1e-3, 0.3))


def replicates() -> Iterator[tuple[float, float]]:
    rng, cells, alpha = np.random.default_rng(5), 90, 0.01
    losses = -np.log((1 - alpha) * np.array([1e-3, 0.3]) + alpha / cells)
    target = float(np.array([0.01, 0.99]) @ losses)
    for _ in range(REPLICATES):
        part = HeldOut(skewed_losses(rng, 60), np.full(60, cells), smoothing=alpha)
        found = Evidence(cells=cells, protocol=Protocol("independent"), held_out=part)
        yield certified_value(HeldOutRisk(), found), target


def touched() -> Iterator[tuple[float, float]]:
    """Score a table of counts on the interactions that it was counted from."""
    rng, cells, size = np.random.default_rng(7), 1000, 400
    for _ in range(100):
        drawn = rng.integers(cells, size=size)
        counted = np.bincount(drawn, minlength=cells) / size
        with np.errstate(divide="ignore"):
            part = HeldOut(np.log(counted[drawn]), np.full(size, cells), untouched=False)
        everywhere = -np.log(0.99 * counted + 0.01 / cells)
        found = Evidence(cells=cells, protocol=Protocol("independent"), held_out=part)
        yield unrefused_value(HeldOutRisk(), found), float(everywhere.mean())


def bursts() -> Iterator[tuple[float, float]]:
    """Let interactions come in bursts of equal ones: the sample is far smaller than it looks."""
    rng, cells, alpha = np.random.default_rng(8), 90, 0.01
    losses = -np.log((1 - alpha) * np.array([1e-3, 0.3]) + alpha / cells)
    for _ in range(100):
        drawn = np.repeat(rng.random(3) < 0.4, 2000)
        part = HeldOut(np.log(np.where(drawn, 1e-3, 0.3)), np.full(drawn.size, cells), smoothing=alpha)
        found = Evidence(cells=cells, protocol=Protocol("finite pool"), held_out=part)
        yield unrefused_value(HeldOutRisk(), found), float(np.array([0.4, 0.6]) @ losses)


ROW = Row(
    theorem=HeldOutRisk(),
    inputs=st.builds(
        lambda values, v, w: values | {"V": v, "V_W": w}, held_out_inputs(), st.floats(0, 600), st.floats(0, 600)
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("neither")), "was not declared"),
        (replace(FULL, held_out=None), "no held-out part"),
        (replace(FULL, held_out=held_out(100, untouched=False)), "has seen"),
        (replace(FULL, held_out=held_out(1)), "at least 2"),
        (replace(FULL, protocol=Protocol("finite pool")), "use T9-pool"),
    ),
    rises_in=("l_max", "V", "V_W", "lbar"),
    vanishing=("Delta_H", "Delta_B", "Delta_W"),
    replicates=replicates,
    unrefused={"A1": touched, "A2": bursts},
)
