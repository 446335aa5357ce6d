"""T8-paired."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Against, Certificate, Evidence, Posterior, Protocol
from conv4rec_bounds.theorems.t8_pac_bayes import RATES
from conv4rec_bounds.theorems.t8_paired import PairedDraws
from theorem_rows.common import CELLS, REPLICATES, certified_value, confidences, scored_evidence, unrefused_value
from theorem_rows.row import Row
from theorem_rows.t8 import ALPHA, drawn, smoothed

UP = 1 + 1e-12
CENTRE = -0.4


def compared(part: Posterior, differences: object, squares: object, cells: int = CELLS, **options: object) -> Posterior:
    """Set a law beside draws, by means and mean squares around CENTRE that are then rounded up."""
    gap = math.log(1 + (1 - ALPHA) * cells / ALPHA) * UP
    found = Against(np.asarray(differences) + 1e-12, np.asarray(squares) * UP + 1e-12, CENTRE, gap, **options)  # pyright: ignore
    return replace(part, against=found)


def beside(
    counts: np.ndarray, losses: np.ndarray, other: np.ndarray, ratios: object, cells: int, **options: object
) -> Posterior:
    """Score draws, losses (draw, ...), and a law on the same counts."""
    axes, size = tuple(range(1, losses.ndim)), int(counts.sum())
    gaps = losses - other

    def mean(values: np.ndarray) -> np.ndarray:
        return (values * counts).sum(axis=axes) / size

    blind_prior = bool(options.pop("blind_prior", True))
    part = drawn(size, mean(losses), ratios, cells, blind_prior=blind_prior)
    return compared(part, mean(gaps), mean((gaps - CENTRE) ** 2), cells, **options)


def evidence(size: int = 10_000, blind_prior: bool = True, **options: object) -> Evidence:
    part = drawn(size, [2.0, 2.1], [30.0, 40.0], squares=[1.0, 1.2], blind_prior=blind_prior)
    return replace(scored_evidence(size), posterior=compared(part, [-0.5, -0.4], [0.3, 0.2], **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    gap = math.log(1 + 0.99 * CELLS / 0.01)
    price = (35.0 + math.log(8 / 0.05)) / given.posterior.size
    assert math.isclose(certificate.quantities["c_B"], price, rel_tol=1e-12)
    rates = [2.0**-power for power in range(1, 9)]
    # The same sum in nats: neither a share of the range nor its square.
    deviations = [2 * gap * price / rate - (math.log(1 - rate) + rate) / rate * 0.25 / (2 * gap) for rate in rates]
    return 0.45 - min(deviations)


def fitted(counts: np.ndarray) -> np.ndarray:
    """Return logits (user, cell) that counts give, with the mean 0 over cells."""
    logits = np.log(counts + 0.5)
    return logits - logits.mean(axis=1, keepdims=True)


def replicates() -> Iterator[tuple[float, float]]:
    """Draw twice on the way from the fit of a first part to that of all; the other law is popular in the first part."""
    rng, cells, scale = np.random.default_rng(41), 12, 0.2
    truth, each = rng.dirichlet(np.full(cells, 0.3), size=3), np.array([15_000, 10_000, 5_000])
    for _ in range(REPLICATES):
        first, second = rng.multinomial(each // 10, truth), rng.multinomial(each, truth)
        start, goal = (fitted(counts) for counts in (first, first + second))
        noise = scale * rng.standard_normal((2, *start.shape))
        logits = start + 0.3 * (goal - start) + noise
        ratios = ((logits - start) ** 2 - noise**2).sum(axis=(1, 2)) / (2 * scale**2)
        losses = smoothed(np.exp(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)))
        popular = first.sum(axis=0) + 0.5
        other = smoothed(popular / popular.sum())
        target = ((other - losses) * truth * each[:, None]).sum(axis=(1, 2)).mean() / each.sum()
        part = beside(second, losses, other, ratios, cells)
        yield (
            max(certified_value(PairedDraws(), Evidence(cells, Protocol("independent"), posterior=part)), 1e-9),
            target,
        )


def unrefused(part: Posterior, cells: int, **protocol: object) -> float:
    return unrefused_value(PairedDraws(), Evidence(cells, Protocol("independent", **protocol), posterior=part))  # pyright: ignore


def self_reconstruction() -> Iterator[tuple[float, float]]:
    """Copy the profile, beside the uniform law, which is no worse on fresh interactions of ten equal cells."""
    copied, uniform = smoothed(np.eye(10)[0]), smoothed(np.full(10, 0.1))
    part = beside(10_000 * np.eye(10, dtype=int)[0], copied[None], uniform, [0.0], 10)
    bound = unrefused(part, 10, profile="self-reconstruction")
    yield from [(bound, float((uniform - copied).mean()))] * 100


def bursts() -> Iterator[tuple[float, float]]:
    """Repeat each of three interactions two thousand times; the draw and the law are mirror images of each other."""
    rng, cells = np.random.default_rng(42), 90
    law = np.array([0.3, 1e-3] + [0.699 / 88] * 88)
    own, other = smoothed(law), smoothed(law[[1, 0, *range(2, 90)]])
    for _ in range(100):
        first = 2000 * int((rng.random(3) < 0.5).sum())
        counts = np.array([first, 6000 - first] + [0] * 88)
        yield max(unrefused(beside(counts, own[None], other, [0.0], cells), cells), 1e-9), 1e-9


def one_of_many_cells(law: str) -> Iterator[tuple[float, float]]:
    """Score uniform draws from a thousand cells by their own shares, or beside a law that avoids them."""
    rng, cells, uniform = np.random.default_rng(43), 1000, np.full(1000, 1e-3)
    for _ in range(100):
        counts = np.bincount(rng.integers(cells, size=400), minlength=cells)
        avoiding = (counts == 0) / (counts == 0).sum()
        own, other = (counts / 400, uniform) if law == "draw" else (uniform, avoiding)
        options = {"blind_prior": False} if law == "draw" else {"blind": False}
        part = beside(counts, smoothed(own)[None], smoothed(other), [0.0], cells, **options)
        yield unrefused(part, cells), float((smoothed(other) - smoothed(own)).mean())


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, float]:
    gap = draw(st.floats(1e-3, 50))
    values = {"dbar": draw(st.floats(-1, 1)) * gap, "W": gap, "V_b": draw(st.floats(0, 1)) * (2 * gap) ** 2}
    values |= {"D": draw(st.one_of(st.floats(-50, 100), st.floats(0, 1e9))), "eta": draw(st.sampled_from(RATES))}
    return values | {"N": draw(st.integers(1, 10**9)), "delta": draw(confidences)}


ROW = Row(
    theorem=PairedDraws(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, posterior=None), "no draws from a posterior"),
        (evidence(blind_prior=False), "the prior has seen"),
        (replace(FULL, posterior=replace(FULL.posterior, against=None)), "no other law was given"),
        (evidence(blind=False), "with a look at"),
    ),
    falls_in=("V_b",),
    rises_in=("N", "delta"),
    vanishing=("c_B",),
    replicates=replicates,
    unrefused={
        "A1": self_reconstruction,
        "A2": bursts,
        "A3": partial(one_of_many_cells, "draw"),
        "A4": partial(one_of_many_cells, "other"),
    },
)
