"""T11: every step of the lower bound by quadrature and exact sums, estimators against it, and the histogram."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from conv4rec_bounds import Evidence, Protocol, RefusedError, Scored, certify
from conv4rec_bounds.minimax import BAYES_RISK, good_prior
from conv4rec_bounds.theorems.t11_limits import HISTOGRAM, Limits

shapes = st.one_of(st.floats(2.0**-4, 4), st.floats(1, 1e4))
points = st.floats(1e-9, 1 - 1e-9)


def height(first: np.ndarray | float, second: np.ndarray | float, point: np.ndarray | float) -> np.ndarray:
    """Return 2 c^first (1-c)^second / (total B)."""
    return 2 * point * (1 - point) * stats.beta.pdf(point, first, second) / (first + second)


def distance_to(first: np.ndarray | float, second: np.ndarray | float, point: np.ndarray | float) -> np.ndarray:
    """Return E|X - c| in closed form (step 3)."""
    below = stats.beta.cdf(point, first, second)
    return height(first, second, point) + (2 * below - 1) * (point - first / (first + second))


@given(st.floats(0.5, 200), st.floats(0.5, 200), st.floats(0.01, 0.99))
def test_step_3_distance_to_a_point_in_closed_form(first: float, second: float, point: float) -> None:
    law = stats.beta(first, second)
    parts = [
        quad(lambda x: abs(x - point) * law.pdf(x), *ends, epsabs=1e-12)[0]
        for ends in ((0, point / 2), (point / 2, point), (point, (1 + point) / 2), ((1 + point) / 2, 1))
    ]
    assert distance_to(first, second, point) == pytest.approx(sum(parts), rel=1e-6, abs=1e-9)


@given(shapes, shapes, points)
def test_step_3_no_point_is_nearer_than_the_median(first: float, second: float, point: float) -> None:
    median = stats.beta.median(first, second)
    least = distance_to(first, second, median)
    assert least == pytest.approx(height(first, second, median), rel=1e-6, abs=1e-12)
    assert distance_to(first, second, point) >= least * (1 - 1e-9) - 1e-12


@given(shapes, shapes, points)
def test_step_4_any_point_gives_both_ends(first: float, second: float, point: float) -> None:
    """The lower end is the tangent at the point, with the median replaced by all that is known of it."""
    median, spread = stats.beta.median(first, second), stats.beta.std(first, second)
    least, excess = height(first, second, median), abs(2 * stats.beta.cdf(point, first, second) - 1)
    assert height(first, second, point) - excess * spread <= least * (1 + 1e-9) + 1e-12
    assert abs(median - stats.beta.mean(first, second)) <= spread * (1 + 1e-9)


@given(st.floats(1, 1e5), st.floats(1, 1e5))
def test_step_5_mode_median_mean(first: float, second: float) -> None:
    small, large = sorted((first, second))
    if small + large > 2.001:
        mode, mean = (small - 1) / (small + large - 2), small / (small + large)
        median = stats.beta.median(small, large)
        assert mode <= median * (1 + 1e-9) + 1e-12
        assert median <= mean * (1 + 1e-9)
        between = height(small, large, median)
        assert height(small, large, mode) <= between * (1 + 1e-6)
        assert between <= height(small, large, mean) * (1 + 1e-6)


def beta_binomial(size: int, cells: int, prior: float) -> np.ndarray:
    return stats.betabinom.pmf(np.arange(size + 1), size, prior, (cells - 1) * prior)


def exact_bayes_risk(size: int, cells: int, prior: float, estimate: np.ndarray) -> float:
    """Return the mean over the prior of half the absolute errors of an estimator, a function of the hits of a cell."""
    hits = np.arange(size + 1)
    errors = distance_to(prior + hits, (cells - 1) * prior + size - hits, estimate)
    return float(cells / 2 * beta_binomial(size, cells, prior) @ errors)


cases = st.tuples(st.integers(1, 300), st.integers(2, 300), st.floats(0.1, 20))


@given(cases, st.floats(0, 5), st.integers(0, 2**32 - 1))
def test_step_2_no_estimate_has_a_smaller_mean_over_the_prior(case: tuple, constant: float, seed: int) -> None:
    size, cells, prior = case
    bound = BAYES_RISK.lower(N=size, q=cells, a=prior)
    hits, wild = np.arange(size + 1), np.random.default_rng(seed).random(size + 1)
    added = np.clip((hits + constant) / (size + constant * cells), 1e-12, 1 - 1e-12)
    for estimate in (added, wild):
        assert exact_bayes_risk(size, cells, prior, estimate) >= bound * (1 - 1e-9)


@given(cases)
def test_step_2_posterior_medians_attain_it(case: tuple) -> None:
    size, cells, prior = case
    hits = np.arange(size + 1)
    medians = stats.beta.median(prior + hits, (cells - 1) * prior + size - hits)
    found = exact_bayes_risk(size, cells, prior, medians)
    assert BAYES_RISK.lower(N=size, q=cells, a=prior) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize(("size", "prior"), [(1, 0.5), (3, 1.0), (8, 4.0)])
def test_two_cells_by_quadrature_over_the_law(size: int, prior: float) -> None:
    """Integrate the risk of the posterior medians over the law itself, without any posterior law."""
    medians = stats.beta.median(prior + np.arange(size + 1), prior + size - np.arange(size + 1))

    def risk(share: float) -> float:
        chances = stats.binom.pmf(np.arange(size + 1), size, share)
        # For two cells the total variation is the error of the first one: both errors are equal.
        return float(chances @ np.abs(medians - share)) * stats.beta.pdf(share, prior, prior)

    found = sum(quad(risk, left, left + 0.125, epsabs=1e-12)[0] for left in np.arange(8) / 8)
    assert BAYES_RISK.lower(N=size, q=2, a=prior) == pytest.approx(found, rel=1e-5)


def test_no_estimator_beats_the_limit_on_average() -> None:
    """Simulated laws and counts; a mean of 40,000 losses in [0, 1] is off by more than `slack` once in a million."""
    rng, size, cells, laws = np.random.default_rng(1), 100, 30, 40_000
    prior = good_prior(size, cells)
    bound, slack = BAYES_RISK.lower(N=size, q=cells, a=prior), math.sqrt(math.log(1e6) / (2 * laws))
    truth = rng.dirichlet(np.full(cells, prior), size=laws)
    counts = rng.multinomial(size, truth)
    medians = stats.beta.median(prior + np.arange(size + 1), (cells - 1) * prior + size - np.arange(size + 1))[counts]
    estimates = {c: (counts + c) / (size + c * cells) for c in (0.0, 0.1, 0.5, prior, 1.0, math.sqrt(size) / cells)}
    estimates |= {"uniform": np.full_like(truth, 1 / cells), "median": medians / medians.sum(axis=1, keepdims=True)}
    means = {}
    for name, estimate in estimates.items():
        losses = np.abs(estimate - truth).sum(axis=1) / 2
        assert 0 <= losses.min() <= losses.max() <= 1
        means[name] = float(losses.mean())
        assert means[name] >= bound - slack
    # A limit a tenth higher would be beaten: the best of them comes this near.
    assert min(means.values()) + slack < 1.1 * bound


def test_the_worst_law_of_known_estimators_is_above_the_limit() -> None:
    """At the uniform law the histogram's mean is an exact sum; the law is one of those that the limit ranges over."""
    for size, cells in ((10, 5), (1000, 30), (10_000, 200)):
        hits = np.arange(size + 1)
        exact = cells / 2 * stats.binom.pmf(hits, size, 1 / cells) @ np.abs(hits / size - 1 / cells)
        assert exact >= BAYES_RISK.lower(N=size, q=cells, a=good_prior(size, cells))


def test_profiles_tell_of_the_laws_as_well_as_scored_interactions_do() -> None:
    """A thousand users with one profile and one scored interaction each: counting both parts beats a limit for one."""
    scored, cells = 1_000, 30
    counting_all = HISTOGRAM.upper(N=2 * scored, m=1, q=cells)
    exact = (
        cells
        / 2
        * float(
            stats.binom.pmf(np.arange(2 * scored + 1), 2 * scored, 1 / cells)
            @ np.abs(np.arange(2 * scored + 1) / (2 * scored) - 1 / cells)
        )
    )
    assert exact <= counting_all == pytest.approx(0.0602, abs=1e-4)
    assert BAYES_RISK.lower(N=scored, q=cells, a=good_prior(scored, cells)) > counting_all
    part = Scored(scored, risk=3.0, users=scored)
    certified = certify(Evidence(cells, Protocol("independent"), scored=part, seen=2 * scored))["T11"].value
    assert certified == BAYES_RISK.lower(N=2 * scored, q=cells, a=good_prior(2 * scored, cells)) < exact
    refused = certify(Evidence(cells, Protocol("independent"), scored=part))["T11"]
    assert refused.reason.startswith("T11 refuses (A1): it is not known how many interactions")
    with pytest.raises(RefusedError, match="999 interactions were seen; expected at least 1000"):
        Evidence(cells, Protocol("independent"), scored=part, seen=scored - 1)
    with pytest.raises(RefusedError, match="0 interactions were seen; expected at least 1"):
        Evidence(cells, Protocol("independent"), seen=0)


def test_it_needs_no_scored_part() -> None:
    """A limit for all estimators looks at no loss; the histogram of scored interactions is then left out."""
    certificate = certify(Evidence(30, Protocol("independent", "self-reconstruction"), seen=1_000))["T11"]
    assert certificate.value == pytest.approx(0.0623, rel=2e-3)
    assert set(certificate.quantities) == {"a"}


@pytest.mark.parametrize(
    ("size", "cells", "value"),
    [
        (10, 1_000, 0.485),
        (100, 1_000, 0.417),
        (500, 1_000, 0.310),
        (999, 1_000, 0.256),
        (10, 30, 0.335),
        (29, 30, 0.254),
    ],
)
def test_fewer_interactions_than_cells(size: int, cells: int, value: float) -> None:
    assert BAYES_RISK.lower(N=size, q=cells, a=good_prior(size, cells)) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize(("size", "value"), [(1_000, 0.0623), (10_000, 0.0209), (100_000, 0.00673)])
def test_thirty_cells(size: int, value: float) -> None:
    found = BAYES_RISK.lower(N=size, q=30, a=good_prior(size, 30))
    assert found == pytest.approx(value, rel=2e-3)
    assert found < math.sqrt(29 / (2 * math.pi * size))


@given(st.integers(1, 2000), st.integers(2, 500))
def test_the_prior_is_a_good_one(size: int, cells: int) -> None:
    chosen = BAYES_RISK.number(N=size, q=cells, a=good_prior(size, cells))
    others = [BAYES_RISK.number(N=size, q=cells, a=2.0**power) for power in range(-5, 7)]
    assert chosen >= 0.95 * max(others)


@pytest.mark.parametrize(("size", "cells"), [(1_000, 30), (10**6, 30), (10**8, 30), (10**8, 200_000)])
def test_large_sizes_are_summed_over_a_window_and_lose_little(size: int, cells: int) -> None:
    value = BAYES_RISK.lower(N=size, q=cells, a=good_prior(size, cells))
    limit = math.sqrt((cells - 1) / (2 * math.pi * size))
    assert 0.9 * limit <= value <= limit


@given(st.integers(1, 30), st.integers(2, 50), st.floats(0.1, 20))
def test_the_limit_lies_below_one_half(size: int, cells: int, prior: float) -> None:
    assert 0 < BAYES_RISK.lower(N=size, q=cells, a=prior) <= BAYES_RISK.upper(N=size, q=cells, a=prior) < 0.5


def test_sizes_are_whole_numbers() -> None:
    with pytest.raises(RefusedError, match="whole number"):
        BAYES_RISK.lower(N=10.5, q=3, a=1.0)


@given(st.integers(1, 500), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_step_6_the_histogram_of_one_user(size: int, cells: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(cells, rng.choice([0.05, 1.0, 100.0])))
    hits = np.arange(size + 1)[:, None]
    exact = (stats.binom.pmf(hits, size, law) * np.abs(hits / size - law)).sum() / 2
    roots = np.sqrt(law * (1 - law) / size).sum() / 2
    assert exact <= roots * (1 + 1e-9) + 1e-12
    assert min(roots, 1.0) <= HISTOGRAM.upper(N=size, m=1, q=cells) * (1 + 1e-12)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30))
def test_step_6_users_of_unequal_sizes(sizes: list[int]) -> None:
    total = sum(sizes)
    weighted = sum(size / total * HISTOGRAM.number(N=size, m=1, q=10) for size in sizes)
    assert weighted <= HISTOGRAM.upper(N=total, m=len(sizes), q=10) * (1 + 1e-12)


def test_step_6_is_attained_by_one_toss_of_a_coin() -> None:
    assert HISTOGRAM.upper(N=1, m=1, q=2) == 0.5
    assert np.abs(np.array([0.0, 1.0]) - 0.5).mean() == 0.5


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(2, 10**6))
def test_a_histogram_is_never_further_than_1(users: int, more: int, cells: int) -> None:
    assert HISTOGRAM.upper(N=users * more, m=users, q=cells) <= 1


def test_a_free_prior_is_completed_by_the_theorem() -> None:
    theorem = Limits()
    inputs = theorem.complete(theorem.example)
    assert inputs["a"] == good_prior(inputs["N"], inputs["q"])
    assert theorem.formula.lower(**inputs) == pytest.approx(theorem.formula.number(**inputs), rel=1e-6)
