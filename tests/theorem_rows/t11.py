"""T11."""

from collections.abc import Iterator
from dataclasses import replace

import mpmath
import numpy as np
from hypothesis import strategies as st
from scipy.special import betaincinv

from conv4rec_bounds import Certificate, Evidence, Protocol, Scored, UserMeans
from conv4rec_bounds.theorems.t11_limits import Limits
from theorem_rows.common import held_out, network, unrefused_value
from theorem_rows.row import Row


def evidence(size: int = 10_000) -> Evidence:
    return Evidence(
        cells=200, protocol=Protocol("independent"), seen=size, scored=Scored(size - size // 2, risk=2.0, users=50)
    )


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    """Sum over all numbers of hits with thirty digits: a float sum would be too rough for its own rounding."""
    size, cells = given.seen, given.cells
    prior = certificate.quantities["a"]
    hits = np.arange(1500)
    medians = betaincinv(prior + hits, (cells - 1) * prior + size - hits, 0.5)
    with mpmath.workdps(30):
        a, total = mpmath.mpf(prior), cells * mpmath.mpf(prior) + size
        top = sum(
            mpmath.binomial(size, k) * mpmath.mpf(median) ** (a + k) * (1 - mpmath.mpf(median)) ** (total - a - k)
            for k, median in zip(hits.tolist(), medians.tolist(), strict=True)
        )
        value = float(cells * top / (total * mpmath.beta(a, (cells - 1) * a)))
    assert certificate.quantities["histogram, upper end"] >= (50 * 199 / given.scored.size) ** 0.5 / 2 > value
    return value


def whole_pool() -> Iterator[tuple[float, float]]:
    """Draw a pool without replacement until nothing is left: its own law is then known exactly."""
    rng, size = np.random.default_rng(2), 400
    seen = replace(evidence(size), protocol=Protocol("finite pool"))
    for _ in range(100):
        pool = rng.integers(200, size=size)
        drawn = rng.permutation(pool)
        gap = np.abs(np.bincount(drawn, minlength=200) - np.bincount(pool, minlength=200)).sum() / (2 * size)
        yield unrefused_value(Limits(), seen), float(gap)


def few_cells_left() -> Iterator[tuple[float, float]]:
    """Leave two cells to every user but one, who has no interaction: counting them is far better than the limit."""
    rng, size = np.random.default_rng(3), 1000
    bound = unrefused_value(Limits(), replace(evidence(size), user_means=UserMeans(50, 2.0, masked=True)))
    for share in rng.random(100):
        worst = np.abs(rng.binomial(size, share, size=500) / size - share).mean()
        yield bound, float(worst)


ROW = Row(
    theorem=Limits(),
    inputs=st.fixed_dictionaries(
        {"N": st.integers(1, 12), "q": st.integers(2, 1000), "a": st.floats(2.0**-4, 2.0**6)},
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("finite pool")), "seen whole"),
        (replace(FULL, protocol=Protocol("neither")), "not independent draws"),
        (replace(FULL, seen=None), "how many interactions the estimator has seen"),
        (replace(FULL, cells=1), "nothing to learn"),
        (replace(FULL, user_means=UserMeans(50, 2.0, masked=True)), "masks leave"),
        (replace(FULL, held_out=held_out(100)), "masks leave"),
        (replace(FULL, cells=10, network=network()), "masks leave"),
    ),
    falls_in=("N",),
    instead="bounds/test_t11.py::test_no_estimator_beats_the_limit_on_average",
    unrefused={"A1": whole_pool, "A2": few_cells_left},
)
