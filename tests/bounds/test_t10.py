"""T10: every step against random laws, linear programs over all laws, and laws that come as far as the constants."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from conv4rec_bounds import Evidence, GemPool, Protocol, RefusedError, Status, certify
from conv4rec_bounds.certify import Report
from conv4rec_bounds.theorems import THEOREMS
from conv4rec_bounds.theorems.t10_what_tv_buys import EXPLICIT, GEMS, LEVEL_ERROR, REGRET, WhatTotalVariationBuys
from theorem_rows.common import DELTA, certified_value
from theorem_rows.t6 import FULL as WITH_KNOWN_TRUTH

Laws = tuple[np.ndarray, np.ndarray]
ROUNDING = 1e-12
distances = st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1), st.floats(1e-12, 1e-3))


@st.composite
def joint_laws(draw: st.DrawFn) -> Laws:
    """Draw truth and model over (user, item, level): flat or spiked, near or far, with cells that one never uses."""
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = int(np.prod(shape[1:]))
    truth, model = (rng.dirichlet(np.full(size, draw(st.sampled_from([0.02, 1.0, 50.0]))), shape[0]) for _ in range(2))
    near = 10.0 ** -draw(st.integers(0, 12))
    model = (1 - near) * truth + near * model
    if draw(st.booleans()) and size > 1:
        emptied = truth if draw(st.booleans()) else model
        emptied[:, 0] = 0
        emptied[:, -1] += emptied.sum(axis=1) == 0
    truth, model = (law / law.sum(axis=1, keepdims=True) for law in (truth, model))
    users = rng.dirichlet(np.ones(shape[0]))[:, None]
    return (users * truth).reshape(shape), (users * model).reshape(shape)


def half_l1(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).sum() / 2)


def given_item(law: np.ndarray) -> np.ndarray:
    """Return the laws of the level; where an item has no mass any law will do: the first level it is."""
    mass = law.sum(axis=-1, keepdims=True)
    return np.where(mass > 0, law / np.where(mass > 0, mass, 1), np.eye(law.shape[-1])[0])


def explicit(truth: np.ndarray, model: np.ndarray) -> float:
    return half_l1(truth, truth.sum(axis=-1, keepdims=True) * given_item(model))


@given(joint_laws())
def test_step_1_items_are_no_further_than_cells(laws: Laws) -> None:
    truth, model = laws
    assert half_l1(truth.sum(axis=-1), model.sum(axis=-1)) <= half_l1(truth, model) + ROUNDING


@given(joint_laws())
def test_step_2_levels_given_the_item(laws: Laws) -> None:
    truth, model = laws
    distance = half_l1(truth, model)
    found = explicit(truth, model)
    assert found <= EXPLICIT.upper(tau=min(distance, 1.0)) + ROUNDING
    assert found <= distance + half_l1(truth.sum(axis=-1), model.sum(axis=-1)) + ROUNDING
    common, model_items = np.minimum(truth, model).sum(axis=-1), model.sum(axis=-1)
    squares = np.divide(common**2, model_items, out=np.zeros_like(common), where=model_items > 0).sum()
    assert 1 - found >= squares - ROUNDING
    assert squares >= (1 - distance) ** 2 - ROUNDING


def nearby(model: np.ndarray, distance: float) -> dict[str, np.ndarray]:
    """Return the linear constraints of all laws (first half of the variables) within a distance of a model."""
    size = model.size
    away = np.hstack([np.eye(size), -np.eye(size)])
    return {
        "A_ub": np.vstack([away, np.repeat([0.0, 1.0], size)]),
        "b_ub": np.append(model, distance),
        "A_eq": np.repeat([[1.0, 0.0]], size, axis=1),
        "b_eq": np.ones(1),
    }


def furthest_levels(model: np.ndarray, distance: float) -> float:
    """Return the greatest explicit distance of any law near a model of two levels: one program for each sign."""
    found = []
    for signs in product((-1.0, 1.0), repeat=len(model)):
        first = given_item(model)[:, 0]
        # |Q(j, first) - Q_j P(first | j)| for each item, linear once its sign is fixed.
        gain = np.array(signs)[:, None] * np.stack([1 - first, -first], axis=1)
        costs = np.append(-gain.ravel(), np.zeros(model.size))
        found.append(-linprog(costs, **nearby(model.ravel(), distance)).fun)
    return max(found)


@pytest.mark.parametrize("distance", [0.01, 0.1, 0.4, 0.8])
def test_step_2_no_law_is_further_and_some_come_as_far_as_one_likes(distance: float) -> None:
    rng = np.random.default_rng(0)
    bound = EXPLICIT.upper(tau=distance)
    for _ in range(50):
        model = rng.dirichlet(np.full(6, rng.choice([0.1, 1.0]))).reshape(3, 2)
        assert furthest_levels(model, distance) <= bound + 1e-9
    rare = 1e-6
    hard = np.array([[rare, 0.0], [(1 - rare) * distance, (1 - rare) * (1 - distance)]])
    assert furthest_levels(hard, distance) >= 0.999 * bound


def test_step_2_is_attained_where_the_model_has_no_mass() -> None:
    for distance in (0.125, 0.5, 0.875):
        model = np.array([[0.0, 0.0], [distance, 1 - distance]])
        truth = np.array([[0.0, distance], [0.0, 1 - distance]])
        assert half_l1(truth, model) == pytest.approx(distance)
        assert explicit(truth, model) == pytest.approx(EXPLICIT.upper(tau=distance), rel=1e-12)


@given(joint_laws(), st.integers(0, 2**32 - 1), st.sampled_from([1e-12, 1.0, 1e12]))
def test_step_3_expected_levels(laws: Laws, seed: int, scale: float) -> None:
    truth, model = laws
    values = scale * np.random.default_rng(seed).normal(size=truth.shape[-1])
    errors = np.abs((given_item(truth) - given_item(model)) @ values)
    mean = float((truth.sum(axis=-1) * errors).sum())
    distance = min(half_l1(truth, model), 1.0)
    ends = {"r_min": float(values.min()), "r_max": float(values.max())}
    assert mean <= LEVEL_ERROR.upper(tau=distance, **ends) + ROUNDING * scale * 10
    assert mean <= np.ptp(values) * explicit(truth, model) + ROUNDING * scale * 10


def test_step_2_needs_levels_that_the_truth_has_not() -> None:
    """Where the model has no mass any law of the level may stand; one that shares a level with the truth is nearer."""
    shared = 0.3 * half_l1(np.array([0.5, 0.5]), np.array([0.0, 1.0])) + 0.7 * 0.3
    assert shared == pytest.approx(0.36)
    assert shared < EXPLICIT.lower(tau=0.3) == pytest.approx(0.51)


def test_a_number_above_1_counts_as_1() -> None:
    ends = {"r_min": 1, "r_max": 5}
    for distance in (1.0, 1.5, 2.0, 3.0):
        assert EXPLICIT.upper(tau=distance) == REGRET.upper(tau=distance) == 1
        assert LEVEL_ERROR.upper(tau=distance, **ends) == 4
        assert GEMS.lower(tau=distance, P_G=1.0, P_high=1.0) == 0


def test_step_3_is_attained_by_two_levels() -> None:
    model, truth = np.array([[0.0, 0.0], [0.25, 0.75]]), np.array([[0.0, 0.25], [0.0, 0.75]])
    values = np.array([1.0, 5.0])
    errors = np.abs((given_item(truth) - given_item(model)) @ values)
    assert truth.sum(axis=-1) @ errors == pytest.approx(LEVEL_ERROR.upper(tau=0.25, r_min=1, r_max=5), rel=1e-12)


@given(joint_laws(), st.integers(1, 5))
def test_step_4_what_a_list_loses(laws: Laws, length: int) -> None:
    truth, model = (law.sum(axis=-1) for law in laws)
    chosen = np.argsort(-model, axis=1, kind="stable")[:, :length]
    best = -np.sort(-truth, axis=1)[:, :length].sum()
    regret = best - np.take_along_axis(truth, chosen, axis=1).sum()
    assert regret <= 2 * half_l1(truth, model) + ROUNDING
    assert regret <= REGRET.upper(tau=min(half_l1(*laws), 1.0)) + ROUNDING


@given(joint_laws(), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_step_4_under_masks_a_short_list_is_the_whole_catalogue(laws: Laws, length: int, seed: int) -> None:
    truth, model = (law.sum(axis=-1) for law in laws)
    left = np.random.default_rng(seed).random(truth.shape) < 0.5
    left[:, 0] = True
    masked = []
    for law in (truth, model):
        kept = law * left
        kept += left * (kept.sum(axis=1, keepdims=True) == 0)
        masked.append(kept / kept.sum(axis=1, keepdims=True) / len(law))
    truth, model = masked
    regret = 0.0
    for user in range(len(truth)):
        items = np.flatnonzero(left[user])
        chosen = items[np.argsort(-model[user, items], kind="stable")][:length]
        lost = -np.sort(-truth[user, items])[:length].sum() - truth[user, chosen].sum()
        assert lost <= 2 * half_l1(truth[user], model[user]) + ROUNDING
        assert items.size > length or abs(lost) <= ROUNDING
        regret += lost
    assert regret <= REGRET.upper(tau=min(half_l1(truth, model), 1.0)) + ROUNDING


@pytest.mark.parametrize("distance", [0.01, 0.3, 0.5, 0.9])
def test_step_4_is_attained_by_ties(distance: float) -> None:
    """Over all laws near the model, the two items that it did not choose may gain what the two chosen lose."""
    model, gain = np.full(4, 0.25), np.array([-1.0, -1.0, 1.0, 1.0])
    found = linprog(np.append(-gain, np.zeros(4)), **nearby(model, distance))
    assert -found.fun == pytest.approx(REGRET.upper(tau=distance), abs=1e-9)


@given(joint_laws(), st.integers(0, 2**32 - 1))
def test_step_5_a_pool_of_gems(laws: Laws, seed: int) -> None:
    truth, model = laws
    pool = np.random.default_rng(seed).random(truth.shape[:2]) < 0.5
    high = np.arange(truth.shape[2]) >= truth.shape[2] // 2
    mass, high_mass = float(model[pool].sum()), float(model[pool][:, high].sum())
    if mass > 0 and truth[pool].sum() > 0:
        found = truth[pool][:, high].sum() / truth[pool].sum()
        least = GEMS.lower(tau=min(half_l1(truth, model), 1.0), P_G=mass, P_high=high_mass)
        assert found >= least - ROUNDING / mass


def least_gems(mass: float, high: float, distance: float) -> float:
    """Return the least Q(high|G) of any law near (high in G, low in G, outside), by the Charnes-Cooper program."""
    model = np.array([high, mass - high, 1 - mass])
    # Variables: Q times t, excess times t, and t = 1/Q(G).
    near = nearby(model, distance)
    bounded = np.hstack([near["A_ub"], -near["b_ub"][:, None]])
    total = np.hstack([near["A_eq"], [[-1.0]]])
    pool = np.array([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    found = linprog(
        np.eye(7)[0], A_ub=bounded, b_ub=np.zeros(4), A_eq=np.vstack([total, pool]), b_eq=np.array([0.0, 1.0])
    )
    return float(found.fun)


@given(st.floats(0.02, 1), st.floats(0, 1), st.floats(0, 1))
def test_step_5_is_exact_over_all_laws(mass: float, share: float, distance: float) -> None:
    high = share * mass
    assert GEMS.lower(tau=distance, P_G=mass, P_high=high) == pytest.approx(least_gems(mass, high, distance), abs=1e-7)


def test_step_5_gems_are_not_certified_one_by_one() -> None:
    """A hundred items of which the model is equally sure, one of them no gem at all: a small distance hides it."""
    items, sure = 100, 0.9
    model = np.tile([(1 - sure) / items, sure / items], (items, 1))
    truth = model.copy()
    truth[7] = [1 / items, 0.0]
    distance = half_l1(truth, model)
    assert distance == pytest.approx(sure / items)
    assert truth[7, 1] == 0
    assert GEMS.lower(tau=distance, P_G=1 / items, P_high=sure / items) == pytest.approx(0, abs=1e-12)
    assert GEMS.lower(tau=distance, P_G=1.0, P_high=sure) == pytest.approx(truth[:, 1].sum(), rel=1e-12)


@given(distances)
def test_the_whole_range_of_distances_gives_certificates(distance: float) -> None:
    evidence = Evidence(cells=4, protocol=Protocol("neither"), total_variation=distance, total_variation_users="scored")
    certificate = certify(evidence, theorems=[WhatTotalVariationBuys()])["T10"]
    assert certificate.status is (Status.VALID if distance < 1 - 1e-9 else Status.VACUOUS) or distance > 1 - 1e-7
    assert distance <= certificate.value <= 2 * distance * (1 + 1e-15) + 1e-322
    assert sum(certificate.terms.values()) == certificate.value
    assert certificate.spent == 0


def certified(total_variation: float, over: str, pool: str) -> Report:
    """Certify a model whose total variation is given, beside what its own losses certify over the scored users."""
    given_too = {"total_variation": total_variation, "total_variation_users": over}
    known = replace(WITH_KNOWN_TRUTH, **given_too, gem_pool=GemPool(0.25, 0.2, users=pool))  # pyright: ignore
    return certify(known, DELTA, theorems=THEOREMS)


def test_it_builds_on_the_least_total_variation_of_the_same_report() -> None:
    report = certified(0.9, over="scored", pool="scored")
    found = [report[theorem.number].value for theorem in THEOREMS if theorem.model_tv]
    assert report["T10"].quantities["implicit"] == min([0.9, *(value for value in found if value is not None)])
    alone = replace(WITH_KNOWN_TRUTH, total_variation=0.01, total_variation_users="blocks")
    assert certify(alone)["T10"].value == certified_value(WhatTotalVariationBuys(), alone)
    assert certify(alone)["T10"].value == EXPLICIT.upper(tau=0.01)
    assert "blocks users" in certify(alone)["T10"].target


def test_the_mix_of_the_pool_goes_first_and_without_it_only_the_gems_are_left_out() -> None:
    """A pool over held-out users is certified by their total variation, be it larger; by no other is it certified."""
    over_the_pool = certified(0.99, over="untouched", pool="untouched")["T10"]
    assert over_the_pool.quantities["implicit"] == 0.99
    assert "untouched users" in over_the_pool.target
    assert "hidden gems, lower end" in over_the_pool.quantities
    elsewhere = certified(0.01, over="untouched", pool="blocks")["T10"]
    assert elsewhere.status is Status.VALID
    assert elsewhere.quantities["implicit"] == 0.01
    assert set(elsewhere.quantities) == {"implicit", "explicit", "regret"}


def test_gems_of_another_mix_may_be_fewer_than_a_total_variation_says() -> None:
    """Two users: the model is right about the first, and the total variation is over a mix that hardly has another."""
    truth, model = np.array([[0.1, 0.9], [1.0, 0.0]]), np.array([[0.1, 0.9], [0.1, 0.9]])
    scored, pool = np.array([0.99, 0.01]), np.array([0.5, 0.5])
    distance = float(scored @ np.abs(truth - model).sum(axis=1)) / 2
    wrong = GEMS.lower(tau=distance, P_G=1.0, P_high=float(pool @ model[:, 1]))
    assert wrong > 0.89 > 0.45 == pytest.approx(float(pool @ truth[:, 1]))
    known = Evidence(cells=2, protocol=Protocol("neither"), gem_pool=GemPool(1.0, 0.9, users="untouched"))
    known = replace(known, total_variation=distance, total_variation_users="scored")
    assert "hidden gems, lower end" not in certify(known)["T10"].quantities


def test_a_total_variation_has_its_users_and_lies_between_0_and_1() -> None:
    with pytest.raises(RefusedError, match="without the users over whom it is a mean"):
        Evidence(cells=4, protocol=Protocol("neither"), total_variation=0.1)
    with pytest.raises(RefusedError, match="users of the total variation are 'all'; expected scored, untouched or blo"):
        Evidence(4, Protocol("neither"), total_variation=0.1, total_variation_users="all")  # pyright: ignore
    with pytest.raises(RefusedError, match="users of the pool are 'held out'; expected scored, untouched or blocks"):
        GemPool(0.25, 0.2, users="held out")  # pyright: ignore
    for distance in (-0.1, 2.0, float("nan")):
        with pytest.raises(RefusedError, match="expected between 0 and 1"):
            Evidence(4, Protocol("neither"), total_variation=distance, total_variation_users="scored")
