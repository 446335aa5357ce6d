"""T8."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq

from conv4rec_bounds import Certificate, Evidence, Posterior, Protocol
from conv4rec_bounds.loss import smoothed_range
from conv4rec_bounds.theorems.t8_pac_bayes import RATES, PacBayes
from theorem_rows.common import CELLS, REPLICATES, certified_value, confidences, scored_evidence, unrefused_value
from theorem_rows.row import Row

ALPHA = 0.01


CENTRE = 2.0


def drawn(
    size: int, risks: object, log_ratios: object, cells: int = CELLS, squares: object = None, **options: object
) -> Posterior:
    """Return draws whose losses, unless their squares are told, spread as far as losses in their range can."""
    low, high = smoothed_range(cells, cells, ALPHA)
    means = np.asarray(risks, dtype=float)
    widest = (high - means) * (means - low) + (means - CENTRE) ** 2
    around = widest if squares is None else squares
    return Posterior(size, risks, around, CENTRE, low, high, log_ratios, math.log(cells), **options)  # pyright: ignore


def evidence(size: int = 10_000, **options: object) -> Evidence:
    found = drawn(size, [2.0, 2.1], [30.0, 40.0], **{"squares": [1.0, 1.2]} | options)
    return replace(scored_evidence(size), posterior=found)


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    low, high = -math.log(0.99 + 0.01 / CELLS), math.log(CELLS / 0.01)
    size = given.posterior.size
    xi = math.sqrt(math.pi * size / 2) * (1 + 1 / (12 * size)) + 2 / 3
    level, u = (35.0 + math.log(xi / 0.025)) / size, (2.05 - low) / (high - low)
    assert math.isclose(certificate.quantities["c"], level, rel_tol=1e-12)

    def excess(p: float) -> float:
        return u * math.log(u / p) + (1 - u) * math.log((1 - u) / (1 - p)) - level

    by_kl = low + (high - low) * brentq(excess, u, 1 - 1e-9, xtol=1e-15)
    assert math.isclose(certificate.quantities["Delta_K"], by_kl - 2.05, rel_tol=1e-9)
    price = (35.0 + math.log(8 / 0.025)) / size
    rates = [2.0**-power for power in range(1, 9)]
    square = 1.1 / (high - low) ** 2
    by_bernstein = min((price + (-math.log(1 - rate) - rate) * square) / rate for rate in rates) * (high - low)
    return min(by_kl, 2.05 + by_bernstein)


def smoothed(law: np.ndarray) -> np.ndarray:
    return -np.log((1 - ALPHA) * law + ALPHA / law.shape[-1])


def replicates() -> Iterator[tuple[float, float]]:
    """Draw four times from a Gaussian around the logarithms of counts, three users with twelve cells each."""
    rng, cells, users, size, spread = np.random.default_rng(10), 12, 3, 300, 0.3
    truth = rng.dirichlet(np.full(cells, 0.5), size=users)
    each = np.array([150, 100, 50])
    for _ in range(REPLICATES):
        counts = rng.multinomial(each, truth)
        fit = np.log(counts + 1.0)
        fit -= fit.mean(axis=1, keepdims=True)
        noise = rng.normal(size=(4, users, cells))
        logits = fit + spread * noise
        # The prior is the standard Gaussian on all logits.
        ratios = (logits**2 / 2 - noise**2 / 2 - math.log(spread)).sum(axis=(1, 2))
        law = np.exp(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True))
        losses = smoothed(law)
        risks = (losses * counts).sum(axis=(1, 2)) / size
        squares = ((losses - CENTRE) ** 2 * counts).sum(axis=(1, 2)) / size * (1 + 1e-12)
        target = (losses * truth * each[:, None]).sum(axis=(1, 2)).mean() / size
        found = drawn(size, np.nextafter(risks, np.inf), ratios, cells, squares)
        yield certified_value(PacBayes(), Evidence(cells, Protocol("independent"), posterior=found)), float(target)


def self_reconstruction() -> Iterator[tuple[float, float]]:
    """Copy the profile: almost no loss on the own input, a large one on a fresh interaction of ten equal cells."""
    cells = 10
    copied, missed = smoothed(np.eye(cells)[0])[:2]
    protocol = Protocol("independent", profile="self-reconstruction")
    found = Evidence(cells, protocol, posterior=drawn(10**4, [copied * (1 + 1e-12)], [0.0], cells))
    yield from [(unrefused_value(PacBayes(), found), 0.1 * copied + 0.9 * missed)] * 100


def bursts() -> Iterator[tuple[float, float]]:
    """Let interactions come in bursts of equal ones, and declare them independent."""
    rng, cells = np.random.default_rng(11), 90
    good, bad = smoothed(np.array([0.3, 1e-3] + [0.0] * (cells - 2)))[:2]
    for _ in range(100):
        share = np.mean(rng.random(3) < 0.4)
        found = drawn(6000, [share * bad + (1 - share) * good], [0.0], cells)
        certificate = unrefused_value(PacBayes(), Evidence(cells, Protocol("independent"), posterior=found))
        yield certificate, float(0.4 * bad + 0.6 * good)


def prior_that_saw_the_scored_part() -> Iterator[tuple[float, float]]:
    """Put prior and posterior on the shares of the scored interactions themselves: their ratio is 1."""
    rng, cells, size = np.random.default_rng(12), 1000, 400
    for _ in range(100):
        counted = np.bincount(rng.integers(cells, size=size), minlength=cells) / size
        losses = smoothed(counted)
        found = drawn(size, [counted @ losses], [0.0], cells, blind_prior=False)
        certificate = unrefused_value(PacBayes(), Evidence(cells, Protocol("independent"), posterior=found))
        yield certificate, float(losses.mean())


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, float]:
    low, width = draw(st.floats(0, 1)), draw(st.floats(1e-6, 50))
    share = draw(st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)))
    values = {"l_min": low, "l_max": low + width, "Lhat": min(low + share * width, low + width)}
    ratio = draw(st.one_of(st.floats(0, 100), st.floats(0, 1e9)))
    values |= {"D": ratio, "V_b": draw(st.floats(0, 1)) * width**2, "eta": draw(st.sampled_from(RATES))}
    return values | {"N": draw(st.integers(1, 10**9)), "delta": draw(confidences)}


ROW = Row(
    theorem=PacBayes(),
    inputs=inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent", profile="self-reconstruction")), "self-reconstruction"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, posterior=None), "no draws from a posterior"),
        (evidence(blind_prior=False), "the prior has seen"),
    ),
    rises_in=("D", "V_b"),
    vanishing=("c_0",),
    replicates=replicates,
    unrefused={"A1": self_reconstruction, "A2": bursts, "A3": prior_that_saw_the_scored_part},
)
