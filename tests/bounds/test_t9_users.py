"""T9-users: every step of its proof, subsets of users' own pools, new users, and rare hits."""

from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from conv4rec_bounds import Budget, Evidence, Protocol, RefusedError, UserScores
from conv4rec_bounds.betting import betting_lower, number_of_bets, number_of_small_bets
from conv4rec_bounds.inversions import binomial_lower
from conv4rec_bounds.theorems.t9_users import UserScoreMeans, mean_lower
from theorem_rows.common import DELTA, REPLICATES
from theorem_rows.t9_users import FULL, INDEPENDENT, scores

unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def capital(values: np.ndarray, v: float) -> float:
    """Return K(v) as the page defines it, in plain floating point."""
    gammas = 2.0 ** -np.arange(number_of_small_bets(values.size))
    return float(np.mean([np.prod(1 - gamma + gamma * values / v) for gamma in gammas]))


def evaluate(evidence: Evidence) -> dict[str, float]:
    return dict(UserScoreMeans().evaluate(evidence, Fraction(DELTA), Budget(DELTA)).quantities)


@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=6))
def test_step_1_the_capital_is_fair_whatever_the_users(laws: list[tuple[float, float]]) -> None:
    """Each score is one of two values with equal chances; all outcomes are enumerated."""
    nu = float(np.mean(laws))
    if nu > 1e-6:
        assert np.mean([capital(np.array(outcome), nu) for outcome in product(*laws)]) <= 1 + 1e-9


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.floats(1e-4, 0.5))
def test_the_end_is_close_to_that_of_the_definition_and_never_above(values: list[float], delta: float) -> None:
    given_scores = np.array(values)
    found = betting_lower(given_scores, delta)

    def excess(v: float) -> float:
        with np.errstate(over="ignore"):
            return min(capital(given_scores, v), 1e300) * delta - 1

    root = 0.0 if excess(1e-9) < 0 else float(brentq(excess, 1e-9, 1, xtol=1e-15))
    assert root - 0.03 <= found <= root + 1e-9
    assert found <= given_scores.mean() + 1e-12


@given(st.lists(unit, min_size=1, max_size=40))
def test_the_mean_is_never_rounded_up(values: list[float]) -> None:
    exact = sum(map(Fraction, values)) / len(values)
    assert exact - Fraction(1, 10**12) <= Fraction(mean_lower(np.array(values))) <= exact


def test_rare_hits_need_small_bets() -> None:
    """Twelve users of six hundred are hit: with the bets of a loss the end would be a quarter of it."""
    hits = np.repeat([0.0, 1.0], [588, 12])
    gammas = 2.0 ** -np.arange(number_of_bets(600))
    large = brentq(lambda v: np.log(np.mean([np.prod(1 - g + g * hits / v) for g in gammas]) * 0.05), 1e-9, 0.02)
    found = betting_lower(hits, 0.05)
    assert 0.5 * binomial_lower(12, 600, 0.05) < found < binomial_lower(12, 600, 0.05)
    assert large < 0.3 * found


def test_every_score_has_its_own_end_and_share() -> None:
    found = evaluate(FULL)
    for name, values in FULL.user_scores.scores.items():
        assert found[f"{name}, lower end"] == pytest.approx(betting_lower(values, DELTA / 2), rel=1e-12)
        assert found[f"{name}, lower end"] < found[f"{name}, sample mean"] <= values.mean()


def dcg(ranks: np.ndarray, cutoff: int) -> float:
    return float(np.where(ranks <= cutoff, 1 / np.log2(1 + ranks), 0).sum())


@given(st.sets(st.integers(1, 12), min_size=1, max_size=6), st.data())
def test_expected_scores_of_a_subset_are_those_of_the_page(ranks: set[int], data: st.DataObject) -> None:
    """All subsets of a user's pool are enumerated: recall and NDCG are linear in the subset, given its size."""
    pool, cutoff = np.array(sorted(ranks)), 3
    size = data.draw(st.integers(1, pool.size))
    best = dcg(np.arange(1, min(cutoff, size) + 1), cutoff)
    subsets = [np.array(subset) for subset in combinations(pool, size)]
    ndcg = np.mean([dcg(subset, cutoff) for subset in subsets]) / best
    recall = np.mean([(subset <= cutoff).sum() for subset in subsets]) / min(cutoff, size)
    assert ndcg == pytest.approx(size / pool.size * dcg(pool, cutoff) / best)
    assert recall == pytest.approx(size / pool.size * (pool <= cutoff).sum() / min(cutoff, size))


def test_the_bound_holds_for_a_random_half_of_users_pools_given_the_sizes() -> None:
    """A half of all interactions is drawn, which ties the sizes; the target is conditional on them."""
    rng, cutoff = np.random.default_rng(44), 5
    owner = np.repeat(np.arange(60), rng.integers(1, 8, 60))
    rank = rng.integers(1, 15, owner.size)
    gain, held = np.where(rank <= cutoff, 1.0, 0.0), np.bincount(owner)
    missed = 0
    for _ in range(REPLICATES):
        drawn = rng.permutation(owner.size)[: owner.size // 2]
        size = np.bincount(owner[drawn], minlength=60)
        kept = size > 0
        hits = np.bincount(owner[drawn], gain[drawn], minlength=60)[kept] / np.minimum(cutoff, size[kept])
        expected = np.bincount(owner, gain)[kept] / held[kept] * size[kept] / np.minimum(cutoff, size[kept])
        part = UserScores({"recall": np.minimum(hits, 1)}, pools=True)
        found = Evidence(9, Protocol("neither"), user_scores=part)
        assert UserScoreMeans().refusal(found) is None
        missed += evaluate(found)["recall, lower end"] > expected.mean()
    assert missed <= 0.05 * REPLICATES


def test_new_users_of_a_population_need_whole_users_that_are_declared_independent() -> None:
    part = scores(np.full(100, 0.3), whole_users=True)
    users = Protocol("neither", users="independent")
    assert UserScoreMeans().refusal(Evidence(9, users, user_scores=part)) is None
    certificate = UserScoreMeans().evaluate(Evidence(9, users, user_scores=part), Fraction(DELTA), Budget(DELTA))
    assert certificate.target == "NDCG: expected score of a new user"
    cut = Protocol("independent", users="cut")
    assert "T9-users refuses (A2)" in str(UserScoreMeans().refusal(Evidence(9, cut, user_scores=part)))
    rng, missed = np.random.default_rng(45), 0
    for _ in range(REPLICATES):
        chances = rng.beta(0.5, 2, 60)
        hits = UserScores({"hit": (rng.random(60) < chances).astype(float)}, whole_users=True)
        missed += evaluate(Evidence(9, users, user_scores=hits))["hit, lower end"] > 0.2
    assert missed <= 0.05 * REPLICATES


def test_users_that_training_has_seen_do_not_stand_for_new_ones() -> None:
    """The model knows its users' tastes: the bound holds for these users, and is far too good for new ones."""
    seen = Evidence(9, INDEPENDENT, user_scores=scores(np.full(200, 0.9)))
    certificate = UserScoreMeans().evaluate(seen, Fraction(DELTA), Budget(DELTA))
    assert certificate.target.endswith("mean over the held-out users")
    assert certificate.value > 0.8


@pytest.mark.parametrize(
    ("given_scores", "why"),
    [
        ({}, "at least one"),
        ({"": [0.5]}, "each with a name"),
        ({"a": []}, "at least one number"),
        ({"a": [0.5, np.nan]}, "expected finite numbers"),
        ({"a": [0.5, 1.1]}, r"expected scores in \[0, 1\]"),
        ({"a": [-0.5]}, r"expected scores in \[0, 1\]"),
        ({"a": [0.5], "b": [0.5, 0.5]}, "expected the same users"),
    ],
)
def test_what_are_no_scores_is_refused(given_scores, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        UserScores(given_scores)
    assert replace(FULL.user_scores, untouched=False).size == FULL.user_scores.size
