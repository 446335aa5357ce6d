"""T9-gems."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binom

from conv4rec_bounds import Certificate, Evidence, GemCounts, Protocol, certify
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.t9_gems import HiddenGems
from theorem_rows.common import DELTA, REPLICATES, confidences, held_out, scored_evidence, unrefused_value
from theorem_rows.row import Row

PROTOCOL = Protocol("neither")
NAMES = ("all", "likely", "likelier")


def gem_counts(size: int, **options: object) -> GemCounts:
    """Return three nested pools, of which the smallest is the best."""
    in_pool, high = [size // 2, size // 4, size // 8], [size * 25 // 100, size // 5, size * 11 // 100]
    if "pool" in options:
        options["all_in_pool"] = [held * options["pool"] // size for held in in_pool]  # pyright: ignore
    return GemCounts(size, size // 2, in_pool, high, NAMES, **({"levels": "independent"} | options))  # pyright: ignore


def evidence(size: int = 10_000, **options: object) -> Evidence:
    return replace(scored_evidence(size), protocol=PROTOCOL, gem_counts=gem_counts(size, **options))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    found = given.gem_counts
    size, high = int(found.in_pool[2]), int(found.high_in_pool[2])
    assert math.isclose(certificate.quantities["c"], math.log(60) / size, rel_tol=1e-12)
    return brentq(lambda p: binom.logsf(high - 1, size, p) + math.log(60), 0.5, high / size, xtol=1e-15)


def named_pool(certificate: Certificate, names: tuple[str, ...]) -> int:
    """Return the place of the pool whose lower end is the value of a certificate."""
    return max(range(len(names)), key=lambda k: certificate.quantities[f"{names[k]}, lower end"])


def replicates() -> Iterator[tuple[float, float]]:
    """Draw levels of 600 interactions with chances of their own, in three nested pools; the best pool is told."""
    rng = np.random.default_rng(21)
    chances = rng.beta(4, 2, size=600)
    # The pools are a model's: it knows the chances up to noise.
    claims = np.clip(chances + 0.1 * rng.standard_normal(600), 0, 1)
    inside = np.array([claims >= threshold for threshold in (0.0, 0.6, 0.75)])
    targets = inside @ chances / inside.sum(axis=1)
    for _ in range(REPLICATES):
        high = rng.random(600) < chances
        counts = GemCounts(
            600, int(high.sum()), inside.sum(axis=1), (inside & high).sum(axis=1), NAMES, levels="independent"
        )
        found = Evidence(18, PROTOCOL, gem_counts=counts)
        certificate = certify(found, DELTA, [HiddenGems()])["T9-gems"]
        yield certificate.value, float(targets[named_pool(certificate, NAMES)])


def pools_from_the_held_out_part() -> Iterator[tuple[float, float]]:
    """Take as the pool the pairs that had a high level: a fair coin gives all of them."""
    rng = np.random.default_rng(22)
    for _ in range(100):
        high = int(rng.binomial(200, 0.5))
        counts = GemCounts(200, high, [high], [high], ("lucky",), levels="independent", blind=False)
        yield unrefused_value(HiddenGems(), Evidence(18, PROTOCOL, gem_counts=counts)), 0.5


def bursts() -> Iterator[tuple[float, float]]:
    """Repeat the level of one fair draw 98 times, beside two levels that are high for sure."""
    rng = np.random.default_rng(23)
    for _ in range(100):
        high = 2 + 98 * int(rng.integers(2))
        counts = GemCounts(100, high, [100], [high], ("all",), levels="neither")
        yield unrefused_value(HiddenGems(), Evidence(18, PROTOCOL, gem_counts=counts)), 0.51


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Number]:
    """Draw a share as what it is, a count over N."""
    size = draw(st.integers(1, 10**9))
    share = Fraction(draw(st.integers(0, size)), size)
    found = {"s": share, "N": size, "K": draw(st.integers(1, 10**6)), "delta": draw(confidences)}
    # One that this reading would choose, or any other.
    return HiddenGems().complete(found) if draw(st.booleans()) else found | {"p_0": draw(st.floats(0, 1))}


ROW = Row(
    theorem=HiddenGems(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, gem_counts=None), "no pools of hidden gems were given"),
        (evidence(blind=False), "with a look at the held-out part"),
        (evidence(untouched=False), "has seen"),
        (replace(FULL, held_out=held_out(10_000, untouched=False)), "has seen"),
        (replace(FULL, pool_sample=held_out(10_000, untouched=False)), "has seen"),
        (evidence(levels="neither"), "neither independent given users and items"),
        (evidence(levels="finite pool", pool=10_000), "the subset is the whole pool"),
    ),
    falls_in=("K",),
    rises_in=("N", "delta", "p_0"),
    vanishing=("c",),
    replicates=replicates,
    unrefused={"A1": pools_from_the_held_out_part, "A2": bursts},
)
