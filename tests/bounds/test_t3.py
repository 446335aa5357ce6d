"""T3: the range of the loss over users with unequal masks, and new users however they are scored."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import polars as pl
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from conv4rec import Interactions, split_by_time
from conv4rec_bounds import Budget, Certificate, Evidence, Network, Protocol, RefusedError, UserMeans
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import logits
from conv4rec_bounds.loss import LOSS_RANGE, cross_entropy, q_max, q_min, w
from conv4rec_bounds.theorems.t3_new_users import RANGE_OVER_USERS, NewUsers
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import DELTA, REPLICATES, certified_value
from theorem_rows.t3 import FULL, ITEMS, NETWORKS, best_of_fifty, networks, population

ONE_CUT = Protocol("neither", users="cut")
RANGE = Formula(value=RANGE_OVER_USERS, where={})
oscillations = st.one_of(st.just(0.0), st.integers(-12, 2).map(lambda power: 10.0**power), st.floats(0, 700))
counts = st.integers(1, 40)


def evaluate(evidence: Evidence) -> Certificate:
    return NewUsers().evaluate(evidence, Fraction(DELTA), Budget(DELTA))


def ends(fewest: int, most: int, oscillation: float) -> tuple[float, float]:
    low = float(np.log1p((fewest - 1) * np.exp(-oscillation)))
    return low, float(np.logaddexp(0.0, np.log(most - 1) + oscillation)) if most > 1 else 0.0


@given(oscillations, counts, counts, st.integers(0, 10**6))
def test_step_1_one_interval_holds_the_mean_loss_of_every_user(
    oscillation: float, first: int, second: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    fewest, most = sorted((first, second))
    low, high = ends(fewest, most, oscillation)
    cells = int(rng.integers(fewest, most + 1))
    logits = oscillation * rng.choice([rng.random(cells), np.round(rng.random(cells))])
    means = cross_entropy(logits)[rng.integers(cells, size=(20, 3))].mean(axis=1)
    assert low - 1e-9 <= means.min()
    assert means.max() <= high + 1e-9
    assert RANGE.upper(q_min=fewest, q_max=most, w=oscillation) == pytest.approx(high - low, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("oscillation", [0.0, 1e-6, 1.0, 5.0, 30.0])
def test_step_1_both_ends_are_attained(oscillation: float) -> None:
    """The best cell of the user with the fewest cells, and the worst of the one with the most."""
    best = cross_entropy(np.array([oscillation, 0.0, 0.0]))[0]
    worst = cross_entropy(np.array([0.0] + [oscillation] * 7))[0]
    assert worst - best == pytest.approx(RANGE.number(q_min=3, q_max=8, w=oscillation), rel=1e-9, abs=1e-12)


def test_step_1_the_range_is_that_of_lemma_1_without_masks_and_grows_from_there() -> None:
    fewest, grown = sympy.symbols("f g", positive=True)
    at = RANGE_OVER_USERS.subs({q_min: 1 + fewest, q_max: 1 + fewest + grown})
    same = LOSS_RANGE.value.subs({sympy.Symbol("q", positive=True): 1 + fewest})
    assert sympy.simplify(at.subs(grown, 0) - same) == 0
    rises = sympy.simplify(sympy.diff(at, grown))
    assert sympy.simplify(rises - sympy.exp(w) / (1 + (fewest + grown) * sympy.exp(w))) == 0  # positive
    falls = sympy.diff(RANGE_OVER_USERS, q_min)
    assert sympy.simplify(falls + sympy.exp(-w) / (1 + (q_min - 1) * sympy.exp(-w))) == 0  # negative
    wider = sympy.diff(sympy.log(1 + grown * sympy.exp(w)) - sympy.log(1 + fewest * sympy.exp(-w)), w)
    parts = grown * sympy.exp(w) / (1 + grown * sympy.exp(w)) + fewest * sympy.exp(-w) / (1 + fewest * sympy.exp(-w))
    assert sympy.simplify(wider - parts) == 0  # positive


def test_step_1_one_users_range_would_be_wrong_for_users_drawn_with_their_masks() -> None:
    """One network without any oscillation: each user's loss is certain, and yet differs from user to user.

    One user of ten has a million cells, the others have one. Hoeffding's inequality with the length of one user's
    interval, zero, misses whenever no user of the sample has a million cells; with the range over users it holds.
    """
    users, share, most = 20, 0.1, 10**6
    naive = LOSS_RANGE.number(q=most, w=1e-9) * math.sqrt(math.log(1 / DELTA) / (2 * users))
    right = RANGE.number(q_min=1, q_max=most, w=1e-9) * math.sqrt(math.log(1 / DELTA) / (2 * users))
    seen = np.arange(users + 1)
    missing = (share - seen / users) * math.log(most)
    chances = binom.pmf(seen, users, share)
    assert chances[missing > naive].sum() > 0.39
    assert chances[missing > right].sum() <= DELTA


def test_step_2_users_with_something_scored_are_independent_given_which_they_are() -> None:
    """All samples of three users from a population of four, one of whom has nothing scored, are enumerated."""
    law = {None: Fraction(1, 4), 1: Fraction(1, 8), 2: Fraction(1, 8), 5: Fraction(1, 2)}
    given_scored = {value: mass / Fraction(3, 4) for value, mass in law.items() if value is not None}
    joint: dict[tuple[bool, ...], Counter[tuple[int, ...]]] = {}
    for sample in product(law, repeat=3):
        pattern = tuple(value is not None for value in sample)
        values = tuple(value for value in sample if value is not None)
        joint.setdefault(pattern, Counter())[values] += math.prod(law[value] for value in sample)
    for pattern, table in joint.items():
        total = sum(table.values())
        for values, mass in table.items():
            assert mass / total == math.prod(given_scored[value] for value in values)
        assert sum(pattern) == len(next(iter(table)))


def test_step_3_a_cut_of_one_permutation_leaves_users_independent_given_their_numbers() -> None:
    """Two users with two and three interactions, two of the five are scored: all cuts are enumerated."""
    owners = (0, 0, 1, 1, 1)
    by_numbers: dict[tuple[int, int], Counter[tuple[frozenset[int], frozenset[int]]]] = {}
    for labels in product((False, True), repeat=5):
        if sum(labels) != 2:
            continue
        sets = tuple(frozenset(t for t in range(5) if labels[t] and owners[t] == user) for user in (0, 1))
        by_numbers.setdefault((len(sets[0]), len(sets[1])), Counter())[(sets[0], sets[1])] += 1
    for (first, second), table in by_numbers.items():
        assert len(table) == math.comb(2, first) * math.comb(3, second)
        assert set(table.values()) == {1}


def test_a_masked_population_may_hold_users_with_every_number_of_cells() -> None:
    """The sample's largest number of cells is no bound for new users; without masks all have the same number."""
    masked = replace(FULL, user_means=replace(FULL.user_means, masked=True))
    certificates = [evaluate(replace(masked, cells=cells)) for cells in (2, 18)]
    oscillation = certificates[0].quantities["w"]
    assert [c.quantities["M"] for c in certificates] == pytest.approx([math.log1p(17 * math.exp(oscillation))] * 2)
    assert [c.trivial for c in certificates] == [math.log(18)] * 2
    unmasked = evaluate(FULL)
    assert unmasked.quantities["M"] == pytest.approx(LOSS_RANGE.number(q=18, w=oscillation))
    assert unmasked.quantities["M"] < certificates[0].quantities["M"]
    for cells in (2, 17):
        with pytest.raises(RefusedError, match=f"at most {cells} cells of the network's 18.*masked=True"):
            replace(FULL, cells=cells)


def test_the_target_says_how_new_users_are_scored() -> None:
    own_input = replace(FULL, protocol=replace(FULL.protocol, profile="self-reconstruction"))
    assert NewUsers().refusal(own_input) is None
    assert "self-reconstruction" in evaluate(own_input).target
    assert "self-reconstruction" not in evaluate(FULL).target


def test_the_target_says_which_new_users_are_meant_after_a_cut() -> None:
    cut = replace(FULL, protocol=replace(FULL.protocol, users="cut"))
    assert NewUsers().refusal(cut) is None
    assert "a new user with as many interactions in each part" in evaluate(cut).target
    assert "a new user, every user" in evaluate(FULL).target
    assert evaluate(cut).value == evaluate(FULL).value


def test_the_trivial_value_is_the_uniform_laws_own_mean_if_it_was_measured() -> None:
    users = UserMeans(100, 1.0, uniform_risk=2.5)
    assert evaluate(replace(FULL, user_means=users)).trivial == 2.5


@pytest.mark.parametrize("masked", [False, True])
def test_t3_holds_for_users_who_are_scored_on_their_own_profile(masked: bool) -> None:
    """New users are reconstructed as the old ones were: the bound holds, masks or none."""
    rng, table = np.random.default_rng(41), population(masked=masked, self_reconstruction=True)
    protocol = Protocol("neither", profile="self-reconstruction", users="independent")
    drawn = [best_of_fifty(table, rng, 40, masked=masked, protocol=protocol) for _ in range(REPLICATES)]
    bounds = [certified_value(NewUsers(), evidence) for evidence, _ in drawn]
    measured = coverage(bounds, [risk for _, risk in drawn], DELTA)
    assert measured.holds
    assert not coverage(shrunk(bounds, 1.1 * measured.tightness[1]), [risk for _, risk in drawn], DELTA).holds


def cut_of_one_permutation() -> Iterator[tuple[float, float]]:
    """Users who like one to three items each; half of all interactions are scored, by one cut that ties the users.

    The target is exact: for every number of interactions and of scored ones, the mean over all users of the
    population with that number and over all ways to choose the scored ones.
    """
    rng, users = np.random.default_rng(61), 60
    liked = [rng.permutation(ITEMS)[: 1 + user % 3] for user in range(users)]
    sizes = np.array([items.size for items in liked])
    losses = np.full((NETWORKS, users, 8), np.nan)
    for user, items in enumerate(liked):
        for code in range(1, 2**items.size):
            scored = items[(code >> np.arange(items.size)) & 1 == 1]
            profile = np.zeros((ITEMS, 1))
            profile[np.setdiff1d(items, scored)] = 1.0
            for index, network in enumerate(networks()):
                reached = logits(network, profile)[:, 0]
                losses[index, user, code] = np.logaddexp.reduce(reached) - reached[scored].mean()
    scored_of = np.array([bin(code).count("1") for code in range(8)])
    by_numbers = np.full((NETWORKS, 4, 4), np.nan)
    for size, scored in ((s, b) for s in (1, 2, 3) for b in range(1, s + 1)):
        by_numbers[:, size, scored] = np.nanmean(losses[:, sizes == size][:, :, scored_of == scored], axis=(1, 2))
    for _ in range(REPLICATES):
        sample = rng.integers(users, size=40)
        owner = np.repeat(np.arange(40), sizes[sample])
        place = np.concatenate([np.arange(sizes[user]) for user in sample])
        chosen = rng.permutation(owner.size)[: owner.size // 2]
        codes = np.bincount(owner[chosen], weights=1 << place[chosen], minlength=40).astype(int)
        kept = codes > 0
        drawn = losses[:, sample[kept], codes[kept]]
        best = int(drawn.mean(axis=1).argmin())
        target = by_numbers[best, sizes[sample[kept]], scored_of[codes[kept]]].mean()
        means = UserMeans(int(kept.sum()), float(drawn[best].mean()))
        found = Evidence(cells=ITEMS, protocol=ONE_CUT, network=networks()[best], user_means=means)
        yield certified_value(NewUsers(), found), float(target)


def test_t3_holds_when_one_permutation_of_all_interactions_was_cut() -> None:
    bounds, targets = np.array(list(cut_of_one_permutation())).T
    measured = coverage(bounds, targets, DELTA)
    assert measured.holds
    assert not coverage(shrunk(bounds, 1.1 * measured.tightness[1]), targets, DELTA).holds


def mean_loss_after_a_cut_by_dates(users: int, heavy: int) -> tuple[int, float]:
    """Return how many users are scored and their mean loss, the logits being 4 for item 0 and 0 for item 1.

    A heavy user has three times as many interactions, at time 0, as there are users; the others have item 0 at time 1
    and item 1 at time 2.
    """
    light = np.arange(heavy, users)
    user = np.concatenate([np.repeat(np.arange(heavy), 3 * users), light, light])
    time = np.repeat([0, 1, 2], [3 * users * heavy, light.size, light.size])
    frame = pl.DataFrame({"user": user, "item": (time == 2).astype(int), "time": time})
    scored = split_by_time(Interactions.from_frame(frame, duplicates="keep")).scored
    losses = cross_entropy(np.array([4.0, 0.0]))[scored.item]
    assert np.unique(scored.user).size == scored.user.size
    return scored.user.size, float(losses.mean())


def test_a_date_computed_from_the_data_of_all_users_makes_the_number_wrong() -> None:
    """Every user is heavy with a chance that leaves all of 2,000 light with probability one half.

    If all are light, item 1 is scored; if exactly one is heavy, which has a chance above 0.3, his interactions move the
    common date, and item 0 is. The risk of a new user is at least half of what he loses in the first case.
    """
    users = 2_000
    chance = 1 - 0.5 ** (1 / users)
    (_, without), (size, measured) = (mean_loss_after_a_cut_by_dates(users, heavy) for heavy in (0, 1))
    weights = {name: np.zeros((2, 1) if name == "cell_bias" else (1, 2, 1)) for name in ("encode", "decode")}
    weights |= {"lift": np.zeros((1, 1)), "project": np.zeros((1, 1)), "cell_bias": np.array([[4.0], [0.0]])}
    means = UserMeans(size, measured)
    found = Evidence(
        2, Protocol("neither", users="independent"), Network(weights, "identity", "tanh"), user_means=means
    )
    assert binom.pmf(1, users, chance) > 0.3
    assert evaluate(found).value < 0.5 * without
