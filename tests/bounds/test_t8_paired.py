"""T8-paired: every step of its proof on cases that can be enumerated, both readings, and what it is told from."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import Against, Certificate, Evidence, Protocol, RefusedError, Status, certify
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.theorems.t8_pac_bayes import RATES, PacBayes
from conv4rec_bounds.theorems.t8_paired import PAIRED, PairedDraws, deviation, level
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import CELLS, DELTA, certified_value
from theorem_rows.t8 import drawn, smoothed
from theorem_rows.t8_paired import FULL, beside, compared, fitted

REPLICATES, USERS, OPEN = 250, 3, 12
shares = st.floats(1e-6, 1)
rates = st.one_of(st.sampled_from(RATES), st.floats(1e-6, 0.999))


def evaluate(evidence: Evidence) -> Certificate:
    return certify(evidence, DELTA, [PairedDraws()])["T8-paired"]


def laws(data: st.DataObject, count: int, cells: int) -> np.ndarray:
    rows = data.draw(st.lists(st.lists(shares, min_size=cells, max_size=cells), min_size=count, max_size=count))
    table = np.array(rows)
    return table / table.sum(axis=1, keepdims=True)


def exponents(gaps: np.ndarray, width: float, centre: float, rate: float) -> np.ndarray:
    """Return how an interaction moves the logarithm of the moment, of differences x: (b - x)/(2W) is its distance."""
    share = (centre - gaps) / (2 * width)
    return rate * share + (math.log1p(-rate) + rate) * share**2


@given(st.data(), st.integers(1, 5), st.integers(2, 5), rates)
def test_the_moment_of_differences_of_two_smoothed_laws_is_at_most_one(
    data: st.DataObject, size: int, cells: int, rate: float
) -> None:
    """Interactions are independent, each from a law of its own; all outcomes of each are enumerated."""
    law = laws(data, size + 2, cells)
    truth, gaps = law[2:], smoothed(law[0]) - smoothed(law[1])
    width = math.log(1 + 0.99 * cells / 0.01)
    assert np.abs(gaps).max() <= width * (1 + 1e-12)
    centre = data.draw(st.floats(-1, 1)) * width
    moment = np.log(truth @ np.exp(exponents(gaps, width, centre, rate))).sum()
    assert moment <= rate * size * (centre - (truth @ gaps).mean()) / (2 * width) + 1e-9


@given(
    st.lists(st.tuples(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.integers(1, 4)), min_size=1, max_size=3),
    st.floats(-1, 1),
    rates,
)
def test_the_moment_holds_for_random_subsets_of_the_users_own_pools(users: list, centre: float, rate: float) -> None:
    moment = mean = 0.0
    size = 0
    for pool, wanted in users:
        many = min(wanted, len(pool))
        factors = [np.exp(exponents(np.array(part), 1.0, centre, rate).sum()) for part in combinations(pool, many)]
        moment += math.log(np.mean(factors))
        mean, size = mean + many * float(np.mean(pool)), size + many
    assert moment <= rate * (size * centre - mean) / 2 + 1e-9


@given(st.integers(0, 10**6), st.sampled_from(RATES))
def test_any_posterior_on_a_finite_set_keeps_the_moment(seed: int, rate: float) -> None:
    """Three predictors beside one law, four interactions of two outcomes: every sample, every pair of draws."""
    rng, size, models, width = np.random.default_rng(seed), 4, 3, 2.0
    law = rng.uniform(0, width, (size, 2))
    gaps = rng.uniform(0, width, (models, size, 2)) - law
    chance, prior, centre = rng.random(size), rng.dirichlet(np.ones(models)), rng.uniform(-width, width)
    means = (gaps[:, :, 0] * (1 - chance) + gaps[:, :, 1] * chance).mean(axis=1)
    total = 0.0
    for outcome in product((0, 1), repeat=size):
        weight = np.prod([chance[t] if y else 1 - chance[t] for t, y in enumerate(outcome)])
        moved = exponents(gaps[:, range(size), outcome], width, centre, rate).sum(axis=1)
        single = moved - rate * size * (centre - means) / (2 * width)
        posterior = rng.dirichlet(np.full(models, 0.3))
        single -= np.log(posterior / prior)
        total += weight * float(np.exp(np.add.outer(single, single) / 2) @ posterior @ posterior)
    assert total <= 1 + 1e-9


@given(st.floats(-20, 500), st.floats(0, 12), st.integers(10, 10**7), st.floats(0.5, 30))
def test_the_rate_is_the_best_of_the_grid(ratio: float, square: float, size: int, width: float) -> None:
    inputs = {"N": size, "delta": 0.01, "dbar": 0.3, "W": width, "D": ratio, "V_b": square}
    chosen = PairedDraws().complete(inputs)
    bound = Formula(value=PAIRED.where[deviation], where={level: PAIRED.where[level]})
    del inputs["dbar"]
    found = bound.number(**inputs, eta=chosen["eta"])
    assert found <= min(bound.number(**inputs, eta=rate) for rate in RATES) * (1 + 1e-9)


def between(first: np.ndarray, second: np.ndarray, sampling: str, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Bound the margin of draws near the first fit, on the way to that of all, over what is popular in the first."""
    scale, step = 0.3, 0.1
    start = fitted(first)
    noise = scale * rng.standard_normal((2, *start.shape))
    logits = start + step * (fitted(first + second) - start) + noise
    ratios = ((logits - start) ** 2 - noise**2).sum(axis=(1, 2)) / (2 * scale**2)
    losses = smoothed(np.exp(logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)))
    popular = first.sum(axis=0) + 0.5
    other = smoothed(popular / popular.sum())
    part = beside(second, losses, other, ratios, OPEN)
    evidence = Evidence(OPEN, Protocol(sampling), posterior=part)
    return max(certified_value(PairedDraws(), evidence), 1e-9), other - losses.mean(axis=0)


def independent_draws() -> Iterator[tuple[float, float]]:
    rng = np.random.default_rng(45)
    truth, each = rng.dirichlet(np.full(OPEN, 0.2), size=USERS), np.array([3000, 2000, 1000])
    for _ in range(REPLICATES):
        bound, margins = between(rng.multinomial(each // 4, truth), rng.multinomial(each, truth), "independent", rng)
        yield bound, float((margins * truth * each[:, None]).sum() / each.sum())


def subsets_of_a_pool() -> Iterator[tuple[float, float]]:
    """Cut a pool at random: first, second, and what nobody sees; the target is what the first left, by user."""
    rng = np.random.default_rng(46)
    pool = rng.multinomial((6000, 4000, 2000), rng.dirichlet(np.full(OPEN, 0.2), size=USERS))
    for _ in range(REPLICATES):
        first = rng.multivariate_hypergeometric(pool.ravel(), 1500).reshape(pool.shape)
        left = pool - first
        second = rng.multivariate_hypergeometric(left.ravel(), 6000).reshape(pool.shape)
        bound, margins = between(first, second, "finite pool", rng)
        of_users = (margins * left).sum(axis=1) / left.sum(axis=1)
        yield bound, float(of_users @ second.sum(axis=1) / second.sum())


READINGS = {"independent": independent_draws, "finite pool": subsets_of_a_pool}


@cache
def replicated(reading: str) -> np.ndarray:
    return np.array(list(READINGS[reading]())).T


@pytest.mark.parametrize("reading", READINGS)
def test_the_margin_holds_as_often_as_it_says_and_a_larger_one_does_not(reading: str) -> None:
    bounds, targets = replicated(reading)
    found = coverage(targets, bounds, DELTA)
    assert found.holds
    assert found.interval[1] < DELTA
    assert found.tightness[1] < 2
    assert not coverage(shrunk(targets, 1.1 * found.tightness[1]), bounds, DELTA).holds


def test_the_margin_is_certified_where_two_bounds_on_risks_tell_nothing() -> None:
    """Losses vary by nats from one interaction to the next, but for the draws and the other law alike."""
    rng, size = np.random.default_rng(47), 4000
    hard, gap = rng.uniform(1, 7, size), rng.normal(-0.3, 0.3, size)
    part = drawn(size, [hard.mean()], [0.0], squares=[((hard - 2.0) ** 2).mean() + 1e-9])
    part = compared(part, [gap.mean()], [((gap + 0.4) ** 2).mean()])
    report = certify(replace(FULL, posterior=part), 2 * DELTA, [PacBayes(), PairedDraws()])
    assert report["T8-paired"].value > 0.2
    assert report["T8-paired"].spent == report["T8"].spent == DELTA
    assert report["T8"].terms["deviation"] > 2 * report["T8-paired"].terms["deviation"]


def test_draws_are_not_better_than_a_law_that_does_as_they_do() -> None:
    part = compared(drawn(10**6, [2.0], [0.0]), [0.0], [0.16])
    certificate = evaluate(replace(FULL, posterior=part))
    assert certificate.value < 0
    assert certificate.status is Status.VACUOUS


def test_a_draw_that_the_prior_likes_better_never_gives_more_than_the_measured_margin() -> None:
    for ratio in (-5.0, -1e6):
        part = compared(drawn(1000, [2.0], [ratio]), [-0.4], [0.001])
        certificate = evaluate(replace(FULL, posterior=part))
        assert certificate.value <= certificate.terms_of[1]
        assert certificate.attribution["posterior against prior"] == 0


def test_all_of_delta_goes_to_one_inequality() -> None:
    report = certify(FULL, DELTA, [PairedDraws()])
    assert [(purpose, float(amount)) for purpose, amount in report.budget.entries] == [("T8-paired: Bernstein", DELTA)]


@pytest.mark.parametrize(
    ("sampling", "prior_size", "words"),
    [
        ("independent", 300, "its risk less their mean risk"),
        ("finite pool", 0, "over the scored users' own pools"),
        ("finite pool", 300, "over what the prior left"),
    ],
)
def test_the_target_says_of_what_the_margin_is(sampling: str, prior_size: int, words: str) -> None:
    part = replace(FULL.posterior, prior_size=prior_size)
    certificate = evaluate(replace(FULL, protocol=Protocol(sampling), posterior=part))
    assert words in certificate.target
    assert certificate.quantities.get("N_1", 0) == prior_size
    assert certificate.value == evaluate(FULL).value


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (([-0.3], [0.4], 0.0, math.nan), "no difference of losses is larger than nan"),
        (([-0.3], [0.4], 0.0, 0.0), "expected a finite number above 0"),
        (([-0.3], [0.4, 0.4], 0.0, 9.0), "1 differences came with 2 squares"),
        (([math.nan], [0.4], 0.0, 9.0), "differences holds"),
        (([-9.5], [99.0], 0.0, 9.0), "a mean difference lies outside"),
        (([-0.3], [0.4], 9.5, 9.0), "squares were taken around 9.5"),
        (([-0.3], [0.4], math.nan, 9.0), "squares were taken around nan"),
        (([-0.3], [0.08], 0.0, 9.0), "below that of the mean difference"),
    ],
)
def test_what_two_smoothed_laws_cannot_have_is_refused(arguments: tuple, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        Against(*arguments)


@pytest.mark.parametrize(
    ("differences", "why"),
    [
        ([-0.5], "2 risks came with 1 differences"),
        ([-0.5, -0.5], "expected one number"),
        ([5.0, 5.1], "expected one number"),
    ],
)
def test_differences_that_no_single_law_has_are_refused(differences: list[float], why: str) -> None:
    part = drawn(1000, [2.0, 2.1], [0.0, 0.0])
    with pytest.raises(RefusedError, match=why):
        compared(part, differences, [50.0] * len(differences), CELLS)
