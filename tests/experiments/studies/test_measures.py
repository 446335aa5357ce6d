"""Measures against plain loops, and theorem T10 and Lemma 4 between them."""

from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec.profiles import high_levels, rank_gems
from conv4rec_bounds.divergences import kullback_leibler, squared_hellinger, total_variation
from conv4rec_bounds.theorems.t10_what_tv_buys import EXPLICIT, GEMS, LEVEL_ERROR, REGRET
from conv4rec_experiments.studies import measures
from conv4rec_experiments.studies.measures import Comparison

SLACK = 1e-12


def logs(law: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(law)


def random_law(rng: np.random.Generator, users: int, cells: int, empty: float) -> np.ndarray:
    """Laws flat or spiked, with a share of empty cells, and at least one cell that is not."""
    law = rng.dirichlet(np.full(cells, rng.choice([0.2, 1.0, 5.0])), size=users)
    law[rng.random(law.shape) < empty] = 0
    law[np.arange(users), rng.integers(cells, size=users)] += 0.01
    return law / law.sum(axis=1, keepdims=True)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A truth (user, cell), an estimate far from it or near, candidates (user, item) and a mix of users."""
    users, items, levels = draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    empty = draw(st.sampled_from([0.0, 0.3, 0.8]))
    truth = random_law(rng, users, items * levels, empty)
    near = draw(st.sampled_from([0.0, 0.9, 0.999]))
    estimate = near * truth + (1 - near) * random_law(rng, users, items * levels, empty)
    mix = rng.dirichlet(np.ones(users))
    mix[rng.random(users) < 0.2] = 0
    mix = mix / mix.sum() if mix.sum() > 0 else np.full(users, 1 / users)
    return truth, estimate, rng.random((users, items)) < 0.8, mix


def levels_of(law: np.ndarray, items: int) -> np.ndarray:
    """P(r | j) of one user's law, uniform where the item has no mass."""
    table = law.reshape(items, -1)
    mass = table.sum(axis=1, keepdims=True)
    return np.where(mass > 0, table / np.where(mass > 0, mass, 1), 1 / table.shape[1])


@given(problems())
def test_distances_are_those_of_the_theory(problem: tuple[np.ndarray, ...]) -> None:
    truth, estimate, candidates, mix = problem
    users, items = candidates.shape
    found = Comparison.of(truth, logs(estimate), candidates).mean(mix)
    by_item = [law.reshape(users, items, -1).sum(axis=2) for law in (truth, estimate)]
    explicit, level_error, kl_explicit = 0.0, 0.0, 0.0
    for user in range(users):
        pairs = zip(levels_of(truth[user], items), levels_of(estimate[user], items), strict=True)
        for j, (right, got) in enumerate(pairs):
            mass = mix[user] * by_item[0][user, j]
            explicit += mass * np.abs(right - got).sum() / 2
            level_error += mass * abs(sum((r + 1) * (right[r] - got[r]) for r in range(len(right))))
            if mass > 0:
                kl_explicit += kullback_leibler(right[None], logs(got)[None], np.array([mass]))
    assert found.tv == pytest.approx(total_variation(truth, estimate, mix), abs=SLACK)
    assert found.tv_implicit == pytest.approx(total_variation(*by_item, mix), abs=SLACK)
    assert found.tv_explicit == pytest.approx(explicit, abs=SLACK)
    assert found.level_error == pytest.approx(level_error, abs=SLACK)
    assert found.hellinger == pytest.approx(sqrt(squared_hellinger(truth, estimate, mix)), abs=SLACK)
    assert found.kl == pytest.approx(kullback_leibler(truth, logs(estimate), mix), rel=1e-9, abs=SLACK)
    assert found.kl_implicit == pytest.approx(kullback_leibler(by_item[0], logs(by_item[1]), mix), rel=1e-9, abs=SLACK)
    assert found.kl_explicit == pytest.approx(kl_explicit, rel=1e-9, abs=SLACK)


@given(problems())
def test_lists_and_gems_are_those_of_plain_loops(problem: tuple[np.ndarray, ...]) -> None:
    truth, estimate, candidates, mix = problem
    users, items = candidates.shape
    levels = truth.shape[1] // items
    found = Comparison.of(truth, logs(estimate), candidates).mean(mix)
    regret, caught = 0.0, {"estimate": np.zeros(2), "truth": np.zeros(2)}
    for user in range(users):
        tables = {"estimate": estimate[user].reshape(items, -1), "truth": truth[user].reshape(items, -1)}
        mass = tables["truth"].sum(axis=1)
        size = min(5, items)
        listed = np.argsort(-tables["estimate"].sum(axis=1), kind="stable")[:size]
        best = max(mass[list(chosen)].sum() for chosen in combinations(range(items), size))
        regret += mix[user] * (best - mass[listed].sum())
        open_items = np.flatnonzero(candidates[user])
        if levels == 1 or open_items.size == 0:
            continue
        high = high_levels(np.arange(1.0, levels + 1))
        for name, table in tables.items():
            liked = levels_of(table.ravel(), items)[:, high].sum(axis=1)
            gems = rank_gems(table.sum(axis=1), liked, open_items, 5)
            caught[name] += mix[user] * np.array([tables["truth"][gems][:, high].sum(), mass[gems].sum()])
    assert found.topk_regret == pytest.approx(regret, abs=SLACK)
    for precision, name in ((found.gem_precision, "estimate"), (found.gem_precision_best, "truth")):
        high_mass, mass = caught[name]
        assert (precision is None) == (mass == 0)
        assert precision is None or precision == pytest.approx(high_mass / mass, rel=1e-9)


@given(problems())
def test_theorem_t10_holds_between_the_measures(problem: tuple[np.ndarray, ...]) -> None:
    truth, estimate, candidates, mix = problem
    levels = truth.shape[1] // candidates.shape[1]
    found = Comparison.of(truth, logs(estimate), candidates).mean(mix)
    tau = min(1.0, found.tv + SLACK)
    assert found.tv_implicit <= tau
    assert found.tv_explicit <= EXPLICIT.upper(tau=tau)
    assert found.tv_explicit <= found.tv + found.tv_implicit + SLACK
    assert found.tv <= found.tv_implicit + found.tv_explicit + SLACK
    assert found.level_error <= LEVEL_ERROR.upper(tau=tau, r_min=1, r_max=levels) + SLACK
    assert found.level_error <= (levels - 1) * found.tv_explicit + SLACK
    assert 0 <= found.topk_regret <= min(1.0, 2 * found.tv_implicit) + SLACK
    assert found.topk_regret <= REGRET.upper(tau=tau)


@given(problems())
def test_the_gems_of_an_estimate_hold_what_t10_promises(problem: tuple[np.ndarray, ...]) -> None:
    """Seen from the estimate's side: its own lists, its own masses, and the truth's share of high levels in them."""
    truth, estimate, candidates, mix = problem
    if truth.shape[1] == candidates.shape[1]:
        return
    found = Comparison.of(truth, logs(estimate), candidates)
    mirrored = Comparison.of(estimate, logs(estimate), candidates)
    high, mass = mix @ mirrored.gems
    precision = found.mean(mix).gem_precision
    if mass > 0 and precision is not None:
        tau = found.mean(mix).tv + SLACK
        assert precision >= GEMS.lower(tau=tau, P_G=mass, P_high=high) - 1e-9 / mass


@given(problems())
def test_distances_are_tied_as_in_lemma_4(problem: tuple[np.ndarray, ...]) -> None:
    truth, estimate, candidates, mix = problem
    found = Comparison.of(truth, logs(estimate), candidates).mean(mix)
    squared = found.hellinger**2
    assert found.tv <= sqrt(found.kl / 2) + 1e-7
    assert found.tv_implicit <= sqrt(found.kl_implicit / 2) + 1e-7
    assert found.tv_explicit <= sqrt(found.kl_explicit / 2) + 1e-7
    assert squared - SLACK <= found.tv <= found.hellinger * sqrt(2 - squared) + 1e-9
    assert squared >= 1 or found.kl >= -2 * np.log1p(-squared) - 1e-9
    assert found.kl == pytest.approx(found.kl_implicit + found.kl_explicit)
    same = Comparison.of(truth, logs(truth), candidates).mean(mix)
    distances = (
        same.tv,
        same.kl,
        same.hellinger,
        same.level_error,
        same.topk_regret,
    )
    assert distances == pytest.approx((0, 0, 0, 0, 0), abs=1e-8)
    assert same.gem_precision == same.gem_precision_best


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_t10_is_attained_where_its_page_says_so(tau: float) -> None:
    # Two items and two levels: the model gives the first next to no mass, the truth moves all of (b, 1) to (a, 2).
    small = 1e-13
    model = np.array([[small, 0.0, (1 - small) * tau, (1 - small) * (1 - tau)]])
    truth = np.array([[small, (1 - small) * tau, 0.0, (1 - small) * (1 - tau)]])
    found = Comparison.of(truth, logs(model), np.ones((1, 2), dtype=bool)).mean(np.ones(1))
    assert found.tv == pytest.approx(tau)
    assert found.tv_explicit == pytest.approx(EXPLICIT.number(tau=tau), rel=1e-9)
    assert found.level_error == pytest.approx(LEVEL_ERROR.number(tau=tau, r_min=1, r_max=2), rel=1e-9)
    # Levels that agree: the implicit part is all of it.
    level = np.array([0.2, 0.8])
    laws = [np.outer(items, level).reshape(1, -1) for items in ([1 - tau, tau], [1.0, 0.0])]
    found = Comparison.of(laws[0], logs(laws[1]), np.ones((1, 2), dtype=bool)).mean(np.ones(1))
    assert (found.tv, found.tv_implicit) == pytest.approx((tau, tau))
    # Ten items tied under the model: the first five are listed, and the truth moves mass from them to the others.
    moved = min(tau, 0.5)
    model = np.full((1, 10), 0.1)
    truth = model + moved / 5 * np.repeat([-1.0, 1.0], 5)
    found = Comparison.of(truth, logs(model), np.ones((1, 10), dtype=bool)).mean(np.ones(1))
    assert found.tv == pytest.approx(moved)
    assert found.topk_regret == pytest.approx(REGRET.number(tau=moved))
    # One gem, and the truth moves mass from its high level to its low one.
    model = np.array([[0.05, 0.4, 0.25, 0.3]])
    moved = 0.4 * tau
    truth = model + moved * np.array([[1.0, -1.0, 0.0, 0.0]])
    found = Comparison.of(truth, logs(model), np.ones((1, 2), dtype=bool)).mean(np.ones(1))
    assert found.gem_precision == pytest.approx(GEMS.number(tau=moved, P_G=0.45, P_high=0.4))


def test_an_item_without_mass_has_uniform_levels_and_costs_infinite_kl() -> None:
    truth, estimate = np.array([[0.3, 0.1, 0.6, 0.0]]), np.array([[0.0, 0.0, 1.0, 0.0]])
    found = Comparison.of(truth, logs(estimate), np.ones((1, 2), dtype=bool)).mean(np.ones(1))
    assert (found.kl, found.kl_implicit) == (np.inf, np.inf)
    assert found.kl_explicit == pytest.approx(0.3 * np.log(1.5) + 0.1 * np.log(0.5))
    assert found.tv_explicit == pytest.approx(0.4 * 0.25)
    assert found.level_error == pytest.approx(0.4 * 0.25)


def test_users_of_no_weight_do_not_count_and_one_level_has_no_gems() -> None:
    truth, estimate = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    comparison = Comparison.of(truth, logs(estimate), np.ones((2, 2), dtype=bool))
    found = comparison.mean(np.array([0.0, 1.0]))
    assert (found.tv, found.kl, found.hellinger) == (0, 0, 0)
    assert found.gem_precision is None
    assert found.gem_precision_best is None
    assert comparison.mean(np.array([0.5, 0.5])).kl == np.inf


def test_gems_are_never_items_of_the_profile() -> None:
    # Items 0 and 1 are certain to be liked, but not candidates; of 2 and 3 the less likely is listed.
    law = np.array([[0.0, 0.1, 0.0, 0.1, 0.1, 0.1, 0.3, 0.3]])
    candidates = np.array([[False, False, True, True]])
    assert Comparison.of(law, logs(law), candidates).mean(np.ones(1)).gem_precision == pytest.approx(0.5)
    everything = np.ones((1, 4), dtype=bool)
    assert Comparison.of(law, logs(law), everything).mean(np.ones(1)).gem_precision == pytest.approx(1.0)
    nothing = np.zeros((1, 4), dtype=bool)
    assert Comparison.of(law, logs(law), nothing).mean(np.ones(1)).gem_precision is None


def test_users_are_compared_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, estimate = (random_law(rng, 7, 12, 0.2) for _ in range(2))
    candidates = rng.random((7, 4)) < 0.8
    whole = Comparison.of(truth, logs(estimate), candidates)
    monkeypatch.setattr(measures, "CELLS_AT_ONCE", 24)
    pieces = Comparison.of(truth, logs(estimate), candidates)
    for name, values in vars(whole).items():
        assert np.array_equal(values, vars(pieces)[name])


@pytest.mark.parametrize(
    ("truth", "log_estimate", "candidates", "words"),
    [
        (np.ones((1, 4)) / 4, logs(np.ones((1, 2)) / 2), np.ones((1, 2), dtype=bool), "shape"),
        (np.ones((1, 4)) / 4, logs(np.ones((1, 4)) / 4), np.ones((1, 3), dtype=bool), "shape"),
        (np.ones((1, 4)) / 4, logs(np.ones((1, 4)) / 4), np.ones((2, 2), dtype=bool), "shape"),
        (np.empty((0, 4)), np.empty((0, 4)), np.empty((0, 2), dtype=bool), "shape"),
        (np.ones((1, 4)) / 4, logs(np.ones((1, 4)) / 5), np.ones((1, 2), dtype=bool), "sum to one"),
        (np.ones((1, 4)) / 5, logs(np.ones((1, 4)) / 4), np.ones((1, 2), dtype=bool), "sum to one"),
        (np.array([[1.5, -0.5]]), logs(np.ones((1, 2)) / 2), np.ones((1, 2), dtype=bool), "negative"),
        (np.full((1, 2), np.nan), logs(np.ones((1, 2)) / 2), np.ones((1, 2), dtype=bool), "missing"),
        (np.ones((1, 2)) / 2, np.full((1, 2), np.nan), np.ones((1, 2), dtype=bool), "missing"),
        (np.ones((1, 2)) / 2, np.full((1, 2), np.inf), np.ones((1, 2), dtype=bool), "sum to one"),
    ],
)
def test_laws_that_are_none_are_refused(
    truth: np.ndarray, log_estimate: np.ndarray, candidates: np.ndarray, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Comparison.of(truth, log_estimate, candidates)
