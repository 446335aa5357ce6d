"""T8 with a prior from a part of the scored interactions: how often it misses, and what a prior must not have seen."""

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np
import pytest

from conv4rec_bounds import Budget, Evidence, Protocol
from conv4rec_bounds.theorems.t8_pac_bayes import PacBayes
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import DELTA, certified_value, unrefused_value
from theorem_rows.t8 import CENTRE, drawn, smoothed

CELLS, DRAWS, REPLICATES = 12, 2, 250
STEPS, SCALES = (0.0, 0.5), (0.02, 0.2)


def fitted(counts: np.ndarray) -> np.ndarray:
    """Return logits (user, cell) that counts give."""
    logits = np.log(counts + 1.0)
    return logits - logits.mean(axis=1, keepdims=True)


def certified(scored: np.ndarray, losses: np.ndarray, ratios: np.ndarray, sampling: str) -> float:
    size = scored.sum()
    risks = (losses * scored).sum(axis=(1, 2)) / size * (1 + 1e-12)
    squares = ((losses - CENTRE) ** 2 * scored).sum(axis=(1, 2)) / size * (1 + 1e-12)
    part = drawn(int(size), risks, ratios, CELLS, squares, prior_size=int(size))
    return certified_value(PacBayes(), Evidence(CELLS, Protocol(sampling), posterior=part))


def between(first: np.ndarray, second: np.ndarray, sampling: str, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Bound the draws' risk: prior from the first counts, posterior on the way to the fit of all, as trials say."""
    start, way = fitted(first), fitted(first + second) - fitted(first)

    def draw(step: float, scale: float, number: int) -> tuple[np.ndarray, np.ndarray]:
        noise = scale * rng.standard_normal((number, *start.shape))
        logits = start + step * way + noise
        ratios = (((logits - start) ** 2 - noise**2) / (2 * scale**2)).sum(axis=(1, 2)) + math.log(len(SCALES))
        return smoothed(np.exp(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True))), ratios

    pairs = list(product(STEPS, SCALES))
    best = min(pairs, key=lambda pair: certified(second, *draw(*pair, 1), sampling))
    losses, ratios = draw(*best, DRAWS)
    return certified(second, losses, ratios, sampling), losses.mean(axis=0)


def independent_draws() -> Iterator[tuple[float, float]]:
    rng = np.random.default_rng(31)
    truth = rng.dirichlet(np.full(CELLS, 0.3), size=3)
    for _ in range(REPLICATES):
        first, second = (rng.multinomial(each, truth) for each in ([20, 10, 5], [150, 100, 50]))
        bound, losses = between(first, second, "independent", rng)
        yield bound, float((losses * truth * second.sum(axis=1, keepdims=True)).sum() / second.sum())


def subsets_of_a_pool() -> Iterator[tuple[float, float]]:
    """Cut a pool at random: first, second, and what nobody sees; the target is what the first left, by user."""
    rng = np.random.default_rng(32)
    pool = rng.multinomial((120, 90, 50), rng.dirichlet(np.full(CELLS, 0.3), size=3))
    for _ in range(REPLICATES):
        first = rng.multivariate_hypergeometric(pool.ravel(), 40).reshape(pool.shape)
        left = pool - first
        second = rng.multivariate_hypergeometric(left.ravel(), 110).reshape(pool.shape)
        bound, losses = between(first, second, "finite pool", rng)
        risks = (losses * left).sum(axis=1) / left.sum(axis=1)
        yield bound, float(risks @ second.sum(axis=1) / second.sum())


READINGS = {"independent": independent_draws, "finite pool": subsets_of_a_pool}


@cache
def replicated(reading: str) -> np.ndarray:
    return np.array(list(READINGS[reading]())).T


@pytest.mark.parametrize("reading", READINGS)
def test_a_prior_from_a_part_of_the_scored_interactions_keeps_the_coverage(reading: str) -> None:
    bounds, targets = replicated(reading)
    found = coverage(bounds, targets, DELTA)
    assert found.holds
    assert found.interval[1] < DELTA
    assert not coverage(shrunk(bounds, 1.1 * found.tightness[1]), targets, DELTA).holds


def test_a_prior_that_saw_what_the_draws_are_scored_on_makes_the_number_wrong() -> None:
    """The prior is fitted to first and second counts together, over so many cells that most are seen once."""
    rng, cells, size, missed = np.random.default_rng(33), 2000, 300, []
    for _ in range(50):
        seen = rng.integers(cells, size=2 * size)
        counted = np.bincount(seen, minlength=cells) / (2 * size)
        losses = smoothed(counted)
        scored = losses[seen[size:]]
        spread = [((scored - CENTRE) ** 2).mean() * (1 + 1e-12)]
        part = drawn(size, [scored.mean() * (1 + 1e-12)], [0.0], cells, spread, blind_prior=False)
        evidence = Evidence(cells, Protocol("independent"), posterior=part)
        assert "the prior has seen" in (PacBayes().refusal(evidence) or "")
        missed.append(unrefused_value(PacBayes(), evidence) < losses.mean())
    assert all(missed)


def test_in_a_pool_a_prior_that_knows_the_validation_part_makes_the_number_wrong() -> None:
    """A pool of 600 cells, each once: who knows the half that is not scored spreads all mass over the other half."""
    rng, cells, missed = np.random.default_rng(34), 600, []
    for _ in range(50):
        validation = rng.permutation(cells)[: cells // 2]
        law = np.ones(cells)
        law[validation] = 0
        losses = smoothed(law / law.sum())
        scored = losses[law > 0]
        spread = [((scored - CENTRE) ** 2).mean() * (1 + 1e-12)]
        part = drawn(scored.size, [scored.mean() * (1 + 1e-12)], [0.0], cells, spread, blind_prior=False, prior_size=1)
        evidence = Evidence(cells, Protocol("finite pool"), posterior=part)
        missed.append(unrefused_value(PacBayes(), evidence) < losses.mean())
    assert all(missed)


def test_the_target_says_that_the_prior_s_interactions_are_not_in_the_pool() -> None:
    part = drawn(1000, [2.0], [0.0], prior_size=300)
    for sampling, words in (("finite pool", "what the prior left"), ("independent", "mean risk of the drawn")):
        evidence = Evidence(18, Protocol(sampling), posterior=part)
        certificate = PacBayes().evaluate(evidence, Fraction(DELTA), Budget(DELTA))
        assert words in certificate.target
        assert certificate.quantities["N_1"] == 300
