"""T9-gems: every step of its proof, in both readings, and what its certificate says."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from conv4rec_bounds import Certificate, Evidence, GemCounts, RefusedError, Status, certify
from conv4rec_bounds.inversions import KL_LOWER
from conv4rec_bounds.theorems.t9_gems import GEMS, HiddenGems, lower_end
from conv4rec_bounds.unequal_chances import mean_chance_lower
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import DELTA, REPLICATES, held_out
from theorem_rows.t9_gems import FULL, NAMES, PROTOCOL, gem_counts, named_pool

unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))


def evaluate(evidence: Evidence) -> Certificate:
    return certify(evidence, DELTA, [HiddenGems()])["T9-gems"]


@given(st.lists(unit, min_size=1, max_size=12), st.floats(1e-3, 3))
def test_step_1_shares_of_unequal_chances_are_seldom_too_large(chances: list[float], level: float) -> None:
    """All sums of independent zeros and ones are enumerated."""
    size, mean = len(chances), float(np.mean(chances))
    law = np.ones(1)
    for chance in chances:
        law = np.convolve(law, [1 - chance, chance])
    shares = np.arange(size + 1) / size
    above = sum(w for s, w in zip(shares, law, strict=True) if KL_LOWER.lower(u=s, c=level) > mean + 1e-12)
    assert above <= math.exp(-size * level) * (1 + 1e-9)


@given(st.integers(1, 60), st.data())
def test_step_2_shares_of_a_random_subset_are_seldom_too_large(pool: int, data: st.DataObject) -> None:
    """All numbers of high levels in a subset are enumerated, for every pool and every size of the subset."""
    high, size = data.draw(st.integers(0, pool)), data.draw(st.integers(1, pool))
    level = data.draw(st.floats(1e-3, 3))
    counts = np.arange(size + 1)
    law = hypergeom(pool, high, size).pmf(counts)
    missed = [KL_LOWER.lower(u=Fraction(int(k), size), c=level) > high / pool + 1e-12 for k in counts]
    assert law[missed].sum() <= math.exp(-size * level) * (1 + 1e-9)


@given(st.integers(2, 40), st.data())
def test_step_2_a_subset_cut_by_a_fixed_pool_is_a_random_subset_of_it(size: int, data: st.DataObject) -> None:
    """Given how many of the drawn lie in the pool, the number of high levels among them is hypergeometric."""
    inside = data.draw(st.integers(1, size - 1))
    high, drawn = data.draw(st.integers(0, inside)), data.draw(st.integers(1, size - 1))
    many = data.draw(st.integers(max(0, drawn - (size - inside)), min(drawn, inside)))
    # Count the subsets with so many high and low levels inside and the rest outside.
    ways = [
        math.comb(high, k) * math.comb(inside - high, many - k) * math.comb(size - inside, drawn - many)
        for k in range(many + 1)
    ]
    law = hypergeom(inside, high, many).pmf(np.arange(many + 1))
    assert np.array(ways) / sum(ways) == pytest.approx(law, abs=1e-12)


def pool_replicates() -> Iterator[tuple[float, float]]:
    """Draw half of a fixed pool of interactions; the target is the share of high levels in the whole named pool."""
    rng, size = np.random.default_rng(31), 800
    claims = rng.random(size)
    high = rng.random(size) < claims
    inside = np.array([claims >= threshold for threshold in (0.0, 0.5, 0.8)])
    targets = (inside & high).sum(axis=1) / inside.sum(axis=1)
    for _ in range(REPLICATES):
        drawn = rng.permutation(size) < size // 2
        counts = GemCounts(
            size // 2,
            int((high & drawn).sum()),
            (inside & drawn).sum(axis=1),
            (inside & high & drawn).sum(axis=1),
            NAMES,
            levels="finite pool",
            pool=size,
            all_in_pool=inside.sum(axis=1),
        )
        certificate = evaluate(Evidence(18, PROTOCOL, gem_counts=counts))
        assert certificate.value is not None
        yield certificate.value, float(targets[named_pool(certificate, NAMES)])


def test_random_subsets_of_a_pool_are_covered_and_a_shrunk_slack_is_caught() -> None:
    bounds, targets = np.array(list(pool_replicates())).T
    found = coverage(targets, bounds, DELTA)
    assert found.holds
    assert not coverage(shrunk(targets, 1.1 * found.tightness[1]), bounds, DELTA).holds


def test_the_largest_pool_with_a_wanted_lower_end_may_be_chosen_after_looking() -> None:
    """All lower ends hold at once: whichever pool is chosen, its target is not below in more than delta of the cases.

    The levels are fair coins in 64 disjoint pools: without the price of the choice, the luckiest one misses often.
    """
    rng, pools, each, times = np.random.default_rng(32), 64, 100, 200
    luckiest = rng.binomial(each, 0.5, size=(times, pools)).max(axis=1).tolist()
    paid, unpaid = (
        sum(GEMS.lower(N=each, K=price, delta=DELTA, s=Fraction(high, each), p_0=0) > 0.5 for high in luckiest)
        for price in (pools, 1)
    )
    assert paid <= DELTA * times
    assert unpaid > 4 * DELTA * times


def test_levels_that_are_read_off_the_held_out_part_make_two_tails_pay_for_one() -> None:
    """High is a level of 10 where one came, else one of 2: the example of the page, in exact binomial laws."""
    size, chance, theorem = 1000, 0.002992, HiddenGems()

    def end(high: int) -> float:
        known = {"N": size, "K": 1, "delta": Fraction(DELTA), "s": Fraction(high, size)}
        return theorem.formula.lower(**theorem.complete(known))

    no_ten = float(binom.pmf(0, size, chance)) if end(size) > 1 - chance else 0.0
    many_tens = sum(float(binom.pmf(h, size, chance)) for h in range(1, 60) if end(h) > chance)
    assert 0.0499 < no_ten < DELTA
    assert many_tens < DELTA
    assert no_ten + many_tens > 1.5 * DELTA


def test_all_lower_ends_and_the_base_rate_are_told() -> None:
    certificate = evaluate(FULL)
    found = gem_counts(10_000)
    for name, size, high in zip(NAMES, found.in_pool.tolist(), found.high_in_pool.tolist(), strict=True):
        by_tails = mean_chance_lower(high, size, Fraction(DELTA) / 3)
        exact = GEMS.lower(N=size, K=3, delta=Fraction(DELTA), s=Fraction(high, size), p_0=by_tails)
        assert certificate.quantities[lower_end(name)] == exact
    assert certificate.value == certificate.quantities[lower_end("likelier")]
    assert certificate.target.endswith(": likelier)")
    assert certificate.quantities["base rate"] == 0.5
    assert certificate.terms_of == ("share of high levels in the pool 'likelier'", 0.88)


def test_pools_without_interactions_promise_nothing() -> None:
    counts = GemCounts(10, 4, [0, 10], [0, 4], ("none", "all"), levels="independent")
    certificate = evaluate(replace(FULL, gem_counts=counts))
    assert certificate.quantities[lower_end("none")] == 0
    empty = GemCounts(10, 4, [0], [0], ("none",), levels="independent")
    certificate = evaluate(replace(FULL, gem_counts=empty))
    assert (certificate.value, certificate.status) == (0.0, Status.VACUOUS)


def test_a_pool_that_was_looked_at_as_a_whole_does_not_head_the_certificate() -> None:
    """Its lower end is what was measured: true, told among all, and no promise about anything unseen."""
    names = ("one, all seen", "half seen")
    counts = GemCounts(1_000, 600, [1, 200], [1, 170], names, levels="finite pool", pool=2_000, all_in_pool=[1, 400])
    found = evaluate(Evidence(18, PROTOCOL, gem_counts=counts))
    assert found.quantities[lower_end("one, all seen")] == 1.0
    assert "half seen" in found.target
    assert found.value is not None
    assert found.value == found.quantities[lower_end("half seen")] < 0.85


def test_the_reading_of_a_pool_needs_no_independence_and_is_the_closer_one() -> None:
    found = replace(FULL, gem_counts=gem_counts(10_000, levels="finite pool", pool=20_000))
    levels, pool = evaluate(FULL), evaluate(found)
    assert pool.quantities["p_0"] - 1e-15 <= pool.value
    assert 1.3 < levels.terms["deviation"] / pool.terms["deviation"] < 1.5
    assert pool.quantities["p_0"] * 2500 == pytest.approx(round(pool.quantities["p_0"] * 2500), abs=1e-9)
    assert evaluate(replace(found, held_out=held_out(20_000))).value is not None


def pool_of(size: object, all_in_pool: list) -> dict:
    return {"levels": "finite pool", "pool": size, "all_in_pool": all_in_pool}


@pytest.mark.parametrize(
    ("arguments", "options", "why"),
    [
        ((0, 0, [0], [0], ("a",)), {}, "holds 0 interactions"),
        ((10, 5, [0.5], [1], ("a",)), {}, "not their share"),
        ((10, 5, [[1]], [1], ("a",)), {}, "expected a list of integers"),
        ((10, 5, [1, 2], [1], ("a",)), {}, "expected as many of each"),
        ((10, 5, [1, 2], [1, 1], ("a", "a")), {}, "two pools have one name"),
        ((10, 11, [1], [1], ("a",)), {}, "more high levels than interactions"),
        ((10, 5, [1], [2], ("a",)), {}, "more high levels than interactions"),
        ((10, 5, [1], [-1], ("a",)), {}, "fewer than none"),
        ((10, 5, [7], [6], ("a",)), {}, "more than all of the 10"),
        ((10, 5, [7], [1], ("a",)), {}, "more than all of the 10"),
        ((10, 5, [1], [1], ("a",)), {"levels": "fair"}, "levels are 'fair'"),
        ((10, 5, [1], [1], ("a",)), {"pool": 20}, "exactly for a random subset"),
        ((10, 5, [1], [1], ("a",)), {"levels": "finite pool"}, "exactly for a random subset"),
        ((10, 5, [1], [1], ("a",)), {"levels": "finite pool", "pool": 20}, "exactly for a random subset"),
        ((10, 5, [1], [1], ("a",)), {"all_in_pool": [2]}, "exactly for a random subset"),
        ((10, 5, [1], [1], ("a",)), pool_of(9, [2]), "cannot be a subset of a pool of 9"),
        ((10, 5, [1], [1], ("a",)), pool_of(20.5, [2]), "expected a whole number"),
        ((10, 5, [1], [1], ("a",)), pool_of(20, [2, 3]), "differ in length"),
        ((10, 5, [1], [1], ("a",)), pool_of(20, [0]), "less than none or more than all of the 10 other"),
        ((10, 5, [1], [1], ("a",)), pool_of(20, [12]), "less than none or more than all of the 10 other"),
        ((10, 5, [1], [1], ("a",)), pool_of(20, [1.5]), "expected a list of integers"),
    ],
)
def test_what_cannot_have_been_counted_is_refused(arguments: tuple, options: dict, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        GemCounts(*arguments, **({"levels": "independent"} | options))
