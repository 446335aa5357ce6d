"""T7f: every inequality of its proof, its two readings, and what it refuses at the door."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import permutations, product

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom, hypergeom

from conv4rec_bounds import CellCounts, Evidence, Protocol, RefusedError, Rounds, Status, TruthLoss, Untouched, certify
from conv4rec_bounds.coincidences import SAFE, ceiling, coincidences
from conv4rec_bounds.theorems.t7a_point import PointTotalVariation
from conv4rec_bounds.theorems.t7e_truth_loss import plug_in_entropy
from conv4rec_bounds.theorems.t7f_coincidences import CoincidenceTotalVariation
from conv4rec_experiments.studies.coverage import coverage, shrunk
from theorem_rows.common import unrefused_value

T7F = CoincidenceTotalVariation()
shares = st.floats(0, 1)
laws_of_four = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda x: np.array(x) / sum(x))


def certified(rounds: Rounds, sampling: str = "independent") -> float:
    return certify(Evidence(rounds.laws.shape[1], Protocol(sampling), rounds=rounds), theorems=[T7F])["T7f"].value


@given(size=st.integers(1, 400), share=shares, surprise=st.floats(0.01, 40), pool=st.integers(0, 300))
def test_ceilings_are_exceeded_by_no_probability_that_is_likely(
    size: int, share: float, surprise: float, pool: int
) -> None:
    count = math.floor(share * size)
    bound = float(ceiling(np.array(count / size), surprise / size))
    if bound < 1:
        assert binom.cdf(count, size, min(1, bound * (1 + 1e-12))) <= math.exp(-surprise) * (1 + 1e-9)
        marked = math.ceil(bound * (size + pool))
        assert hypergeom.cdf(count, size + pool, marked, size) <= math.exp(-surprise) * (1 + 1e-9)


def test_the_ceiling_is_close_where_nothing_was_seen() -> None:
    assert float(ceiling(np.array(0.0), 0.01)) == pytest.approx(0.01 * 4 / 3)
    assert float(ceiling(np.array(0.25), 1e-6)) == pytest.approx(0.25 + math.sqrt(0.5e-6), rel=1e-4)


@given(truth=laws_of_four, model=laws_of_four, weight=laws_of_four)
def test_half_the_root_of_the_divergence_is_above_total_variation(
    truth: np.ndarray, model: np.ndarray, weight: np.ndarray
) -> None:
    divergence = ((truth - model) ** 2 / weight).sum()
    assert np.abs(truth - model).sum() / 2 <= math.sqrt(divergence) / 2 * (1 + 1e-12)


@given(truth=laws_of_four, model=laws_of_four, weight=laws_of_four, seed=st.integers(0, 2**32 - 1))
def test_scores_estimate_the_divergence_up_to_the_noise_of_the_laws_that_score(
    truth: np.ndarray, model: np.ndarray, weight: np.ndarray, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, size=4)
    counts = np.array([rng.multinomial(size, truth) for size in sizes])
    earlier, before = np.cumsum(counts, axis=0) - counts, np.cumsum(sizes) - sizes
    pairs = (sizes * before).sum()
    excess = earlier - before[:, None] * model
    estimate = (sizes[:, None] * excess * (truth - model) / weight).sum() / pairs
    weights = (sizes.sum() - np.cumsum(sizes)) / pairs
    ratio = (truth - model) / weight
    noise = (weights[:, None] * (counts - sizes[:, None] * truth) * ratio).sum()
    divergence = ((truth - model) ** 2 / weight).sum()
    assert estimate == pytest.approx(divergence + noise, rel=1e-9, abs=1e-9)


@given(
    truth=st.floats(0.05, 0.95),
    model=st.floats(0.05, 0.95),
    weight=st.floats(0.2, 0.8),
    rate=st.floats(0.01, 1),
)
def test_the_scores_of_three_draws_are_a_supermartingale(
    truth: float, model: float, weight: float, rate: float
) -> None:
    """One stratum, two cells, rounds of one interaction each; every outcome is enumerated."""
    p, f, v = (np.array([x, 1 - x]) for x in (truth, model, weight))
    rate *= 0.9 / (3 * max(1 / v) * 2)  # so that no factor can be negative
    mean = 0.0
    for cells in product(range(2), repeat=3):
        seen, value, known = np.zeros(2), 1.0, 0.0
        for before, y in enumerate(cells):
            excess = (seen - before * f) / v
            value *= 1 - rate * (excess[y] - f @ excess)
            known += (p - f) @ excess
            seen[y] += 1
        mean += np.prod(p[list(cells)]) * value * math.exp(rate * known)
    assert mean <= 1 + 1e-12


@given(
    pool=st.lists(st.integers(0, 2), min_size=5, max_size=6),
    model=st.lists(st.floats(0.1, 1), min_size=3, max_size=3),
    rate=st.floats(0.01, 1),
)
def test_the_scores_of_a_pool_are_a_supermartingale(pool: list[int], model: list[float], rate: float) -> None:
    """A pool in a random order, rounds of one, two and two interactions; every order is enumerated."""
    size, f = len(pool), np.array(model) / sum(model)
    p, v = np.bincount(pool, minlength=3) / size, np.full(3, 1 / 3)
    rate *= 0.9 / 40
    values = []
    for order in permutations(pool):
        value, known, first = 1.0, 0.0, 0
        for of_round in (1, 2, 2):
            seen = np.bincount(order[:first], minlength=3)
            excess = (seen - first * f) / v
            for y in order[first : first + of_round]:
                score = (1 - first / size) * excess[y] - f @ excess + seen @ excess / size
                assert rate * score < 0.9
                value *= 1 - rate * score
            known += of_round * float((p - f) @ excess)
            first += of_round
        values.append(value * math.exp(rate * known))
    assert math.fsum(values) / len(values) <= 1 + 1e-12


@given(
    truth=laws_of_four,
    model=laws_of_four,
    weight=laws_of_four,
    heaviness=st.floats(0, 2),
    rate=st.floats(0.01, 3),
)
def test_the_noise_of_one_draw_has_the_exponential_moment_of_the_proof(
    truth: np.ndarray, model: np.ndarray, weight: np.ndarray, heaviness: float, rate: float
) -> None:
    x = (truth - model) / weight
    xi = max(rate * 2 * float((model / weight).max()), 1e-6)
    bend = (math.expm1(xi) - xi) / xi**2
    left = float(logsumexp(-rate * heaviness * (x - truth @ x), b=truth))
    square = float(truth @ x**2)
    assert left <= bend * (rate * heaviness) ** 2 * square * (1 + 1e-9) + 1e-9
    rho, divergence = float((truth / weight).max()), float(((truth - model) ** 2 / weight).sum())
    assert square <= rho * divergence * (1 + 1e-12)


@given(
    values=st.lists(st.floats(-2, 2), min_size=4, max_size=5),
    weights=st.lists(st.floats(0, 2), min_size=3, max_size=3),
)
def test_unequal_weights_without_replacement_have_no_larger_moment_than_with(
    values: list[float], weights: list[float]
) -> None:
    def moment(weight: float) -> float:
        return sum(math.exp(-weight * value) for value in values) / len(values)

    drawn = [math.exp(-float(np.dot(weights, order))) for order in permutations(values, 3)]
    assert math.fsum(drawn) / len(drawn) <= math.prod(map(moment, weights)) * (1 + 1e-9)


def pools(replicates: int) -> list[tuple[float, float]]:
    """Random halves of a fixed pool of four segments and 24 groups, in ten rounds, beside a model that is off."""
    rng = np.random.default_rng(31)
    pool = rng.multinomial(3000, rng.dirichlet(np.full(24, 2.0)), size=4)
    truth = pool / pool.sum(axis=1, keepdims=True)
    model = 0.9 * truth + 0.1 / 24
    found = []
    for _ in range(replicates):
        counts = np.zeros((10, 4, 24), dtype=np.int64)
        for s in range(4):
            order = rng.permutation(np.repeat(np.arange(24), pool[s]))[:1500].reshape(10, 150)
            counts[:, s] = [np.bincount(part, minlength=24) for part in order]
        part = Rounds(counts, model, "segments", "four segments", pool=pool.sum(axis=1))
        target = float(part.mix @ np.abs(model - truth).sum(axis=1)) / 2
        found.append((certified(part, "finite pool"), target))
    return found


def test_random_subsets_of_a_pool_are_covered_and_a_shrunk_bound_is_not() -> None:
    bounds, targets = np.array(pools(1000)).T
    found = coverage(bounds, targets, 0.05)
    assert found.holds
    assert not coverage(shrunk(bounds, 1.1 * found.tightness[1]), targets, 0.05).holds
    assert found.tightness[1] < 3


def test_what_was_counted_of_a_pool_is_gone_from_it() -> None:
    """Two copies of each of many cells, all drawn: without the correction copies are too rare to be one half each."""
    rng, cells = np.random.default_rng(38), 500
    counts = np.zeros((10, 1, 2 * cells), dtype=np.int64)
    for round_, part in enumerate(rng.permutation(np.repeat(np.arange(cells), 2)).reshape(10, -1)):
        np.add.at(counts[round_, 0], part, 1)
    law = np.repeat([1.5, 0.5], cells // 2)[None] / cells
    law = np.concatenate([law, np.zeros((1, cells))], axis=1)
    part = Rounds(counts, law, "segments", "one", pool=np.array([2 * cells]))
    assert certified(part, "finite pool") >= 0.25
    with pytest.raises(RefusedError, match="fewer interactions coincide than any law allows"):
        unrefused_value(T7F, Evidence(2 * cells, Protocol("independent"), rounds=replace(part, pool=None)))


def test_the_sum_of_a_pools_scores_is_what_a_hand_computes() -> None:
    rng = np.random.default_rng(39)
    counts, law = rng.integers(1, 9, size=(3, 1, 3)), rng.dirichlet(np.ones(3), size=1)
    pool = int(counts.sum()) + 7
    rounds = Rounds(counts, law, "segments", "one", pool=np.array([pool]))
    level = math.log(5 * 3 * 20) / counts.sum()
    weight = ceiling(law[0], level) / ceiling(law[0], level).sum()
    pairs = float(rounds.pairs[0])
    for rate, total in coincidences(rounds, Fraction(1, 20)).scores:
        found, step = 0.0, rate * counts.sum()
        for k in (1, 2):
            seen = counts[:k, 0].sum(axis=0)
            excess = (seen - seen.sum() * law[0]) / weight
            score = (1 - seen.sum() / pool) * excess - law[0] @ excess + seen @ excess / pool
            found -= (counts[k, 0] * np.log1p(-step * score / pairs)).sum() / step
        assert total == pytest.approx(found, rel=1e-6, abs=1e-9)


def test_a_rate_counts_only_if_no_cell_could_have_broken_it() -> None:
    """Nothing came in the heavy cell later, but something might have: its score decides all the same."""
    law = np.array([[0.1, 0.9]])
    counts = np.array([[[40, 0]], [[0, 1]], [[0, 1]]])
    rounds = Rounds(counts, law, "users", "one")
    level = math.log(5 * 2 * 20) / 42
    weight = ceiling(law[0], level) / ceiling(law[0], level).sum()
    spread = math.sqrt(2 / rounds.pairs[0])
    tops = []
    for seen in (np.array([40, 0]), np.array([40, 1])):
        excess = (seen - seen.sum() * law[0]) / weight / rounds.pairs[0]
        tops.append((excess - law[0] @ excess).max())
    counted = [2.0**power / spread for power in range(-5, 3) if 2.0**power / spread * max(tops) <= 0.9]
    found = [rate * 42 for rate, _ in coincidences(rounds, Fraction(1, 20)).scores]
    assert 0 < len(counted) < 8
    assert found == pytest.approx(counted)


def test_a_truth_beyond_any_law_is_refused_and_tiny_deltas_are_paid() -> None:
    rounds = Rounds(np.tile([[400, 600]], (5, 1, 1)), np.array([[0.4, 0.6]]), "users", "one")
    tiny = certify(Evidence(2, Protocol("independent"), rounds=rounds), Fraction(1, 10**400), [T7F])["T7f"].value
    assert 0.2 < tiny < 1
    with pytest.raises(RefusedError, match="more than 9e"):
        Rounds(np.full((2, 1, 1), 2**62), np.ones((1, 1)), "users", "one")


def test_a_far_predictor_is_found_far_and_no_farther() -> None:
    truth, law = np.array([0.3, 0.7]), np.array([[0.6, 0.4]])
    counts = np.tile(np.rint(10**6 * truth).astype(np.int64), (10, 1, 1))
    assert 0.3 <= certified(Rounds(counts, law, "users", "one")) < 0.32


def test_blocks_remade_in_time_are_covered_with_weights_and_a_shipped_model() -> None:
    """Unequal users in two blocks; the second predictor is the smoothed share of the first block."""
    rng, users, cells = np.random.default_rng(40), 5, 12
    truth = rng.dirichlet(np.full(cells, 2.0), size=users)
    numbers = np.array([400, 300, 200, 100, 50])
    shipped = 0.95 * truth + 0.05 / cells
    bounds, targets = [], []
    for _ in range(1000):
        counts = np.zeros((8, 2 * users, cells), dtype=np.int64)
        counts[:4, :users] = [rng.multinomial(numbers // 4, truth) for _ in range(4)]
        counts[4:, users:] = [rng.multinomial(numbers // 4, truth) for _ in range(4)]
        first = counts[:4, :users].sum(axis=0)
        again = (first + 1) / (first.sum(axis=1, keepdims=True) + cells)
        laws = np.concatenate([np.full((users, cells), 1 / cells), again])
        weights = np.concatenate([np.full(users, 0.05), np.full(users, 0.15)])
        mixture = 0.25 * laws[:users] + 0.75 * laws[users:]
        far = float(np.abs(shipped - mixture).sum(axis=1).mean()) / 2
        owners = np.tile(np.arange(users), 2)
        part = Rounds(counts, laws, "users", "five", owners=owners, weights=weights, distance=far)
        bounds.append(certified(part))
        targets.append(float(np.abs(shipped - truth).sum(axis=1).mean()) / 2)
    assert coverage(np.array(bounds), np.array(targets), 0.05).holds
    assert np.median(bounds) < 1


def test_the_bound_falls_at_the_rate_of_one_over_root_n() -> None:
    rng = np.random.default_rng(32)
    law = rng.dirichlet(np.full(60, 3.0), size=20)
    values = [
        certified(Rounds(rng.multinomial(size // 200, law, size=(10, 20)), law, "users", "20 users"))
        for size in (10**5, 10**6, 10**7)
    ]
    slopes = np.diff(np.log(values)) / math.log(10)
    assert (np.abs(slopes + 0.5) < 0.06).all()


def test_it_is_closer_than_the_entropy_of_counts_where_cells_are_many() -> None:
    rng = np.random.default_rng(33)
    law = rng.dirichlet(np.full(90, 3.0), size=40)
    counts = rng.multinomial(250, law, size=(10, 40))
    total = counts.sum(axis=0)
    loss = float(-(total * np.log(law)).sum() / total.sum())
    entropy = TruthLoss(plug_in_entropy(CellCounts.of_table(total)), "plug-in")
    found = Evidence(90, Protocol("independent"), untouched=Untouched(int(total.sum()), loss, entropy))
    by_entropy = certify(found, theorems=[PointTotalVariation()])["T7a"].value
    assert certified(Rounds(counts, law, "users", "40 users")) < 0.6 * by_entropy


def test_blocks_of_one_user_share_his_ceilings() -> None:
    rng = np.random.default_rng(34)
    law = rng.dirichlet(np.full(30, 3.0), size=10)
    counts = np.zeros((8, 20, 30), dtype=np.int64)
    counts[:4, :10], counts[4:, 10:] = rng.multinomial(50, law, size=(2, 4, 10))
    twice, owners = np.concatenate([law, law]), np.tile(np.arange(10), 2)
    shared = Rounds(counts, twice, "users", "ten users", owners=owners)
    total = counts[:, :10].sum(axis=0) + counts[:, 10:].sum(axis=0)
    level = math.log(5 * 10 * 30 * 20) / 400
    raised = ceiling(law, level)
    exact = (ceiling(total / 400, level) / (raised / raised.sum(axis=1, keepdims=True))).max()
    assert coincidences(shared, Fraction(1, 20)).rho == pytest.approx(exact, rel=1e-9)
    assert certified(shared) < certified(Rounds(counts, twice, "users", "ten users in two blocks"))


def test_weights_of_strata_may_be_those_of_another_mix() -> None:
    rng = np.random.default_rng(37)
    truth, shift = rng.dirichlet(np.full(8, 3.0), size=2), np.array([0.0, 0.3])
    law = (1 - shift[:, None]) * truth + shift[:, None] / 8
    counts = rng.multinomial(5_000, truth, size=(8, 2))
    near, far = (certified(Rounds(counts, law, "users", "two", weights=np.array(w))) for w in ([0.9, 0.1], [0.1, 0.9]))
    distance = np.abs(truth[1] - law[1]).sum() / 2
    assert 0.1 * distance <= near < far
    assert far >= 0.9 * distance


def test_a_shipped_model_pays_its_distance() -> None:
    counts, law = np.tile([[400, 600]], (5, 1, 1)), np.array([[0.4, 0.6]])
    alone, shipped = (certified(Rounds(counts, law, "users", "one", distance=d)) for d in (None, 0.125))
    assert shipped == pytest.approx(alone + 0.125, rel=1e-12)


def test_too_few_interactions_for_the_cells_give_the_trivial_value() -> None:
    law = np.full((1, 500), 1 / 500)
    counts = np.zeros((2, 1, 500), dtype=np.int64)
    counts[:, 0, :2] = 1
    found = certify(Evidence(500, Protocol("independent"), rounds=Rounds(counts, law, "users", "one")), theorems=[T7F])
    assert (found["T7f"].value, found["T7f"].status) == (1.0, Status.VACUOUS)


def test_one_user_one_cell_is_found_right() -> None:
    assert certified(Rounds(np.full((4, 1, 1), 10**6), np.ones((1, 1)), "users", "one")) < 0.01


def test_the_heaviest_weight_lies_on_the_safe_side_of_the_exact_one() -> None:
    rng = np.random.default_rng(35)
    for _ in range(20):
        counts = rng.integers(0, 9, size=(3, 2, 3)) + 1
        rounds = Rounds(counts, rng.dirichlet(np.ones(3), size=2), "users", "two")
        found = coincidences(rounds, Fraction(1, 20))
        assert found.scores
        exact = Fraction(0)
        for s in range(2):
            sizes = [int(n) for n in counts[:, s].sum(axis=1)]
            share = Fraction(sum(sizes), int(counts.sum())) / int(rounds.pairs[s])
            exact = max(exact, share * (sum(sizes) - sizes[0]) * int(counts.sum()))
        assert exact <= Fraction(found.heaviest) <= exact * (1 + Fraction(3 * SAFE))


def test_the_sum_of_the_scores_lies_on_the_safe_side_of_sixty_digits() -> None:
    """Weights of cells are taken as they are; everything after them is done again with sixty digits."""
    rng = np.random.default_rng(36)
    for _ in range(5):
        counts, laws = rng.integers(1, 40, size=(3, 2, 4)), rng.dirichlet(np.ones(4), size=2)
        rounds = Rounds(counts, laws, "users", "two")
        size, level = counts.sum(), (math.log(8 * 5 * 20) / counts.sum(axis=(0, 2)))[:, None]
        weight = ceiling(laws, level)
        weight /= weight.sum(axis=1, keepdims=True) * (1 + SAFE)
        found = coincidences(rounds, Fraction(1, 20))
        for rate, total in found.scores:
            with mpmath.workdps(60):
                exact = mpmath.mpf(0)
                for s in range(2):
                    share = mpmath.mpf(int(rounds.sizes[s])) / int(size) / int(rounds.pairs[s])
                    for k in (1, 2):
                        seen = [int(n) for n in counts[:k, s].sum(axis=0)]
                        excess = [(seen[y] - sum(seen) * mpmath.mpf(laws[s, y])) / weight[s, y] for y in range(4)]
                        centre = mpmath.fsum(mpmath.mpf(laws[s, y]) * excess[y] for y in range(4))
                        for y in range(4):
                            step = mpmath.mpf(rate) * int(size)
                            exact -= int(counts[k, s, y]) * mpmath.log(1 - step * share * (excess[y] - centre)) / step
                assert 0 <= mpmath.mpf(total) - exact <= mpmath.mpf("1e-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"counts": np.ones((2, 1, 2))}, "integers of at least 0"),
        ({"counts": -np.ones((2, 1, 2), dtype=int)}, "integers of at least 0"),
        ({"laws": np.full((1, 3), 1 / 3)}, "expected a law for each stratum"),
        ({"laws": np.array([[0.5, 0.4]])}, "does not sum to 1"),
        ({"laws": np.array([[np.nan, 1.0]])}, "NaN"),
        ({"strata": "people"}, "expected users or segments"),
        ({"pool": np.array([3])}, "a pool is smaller"),
        ({"pool": np.array([3.5])}, "expected a whole number"),
        ({"owners": np.array([0, 1])}, "expected a whole number for each of 1 strata"),
        ({"weights": np.array([0.5])}, "the sum 1"),
        ({"weights": np.array([0.5, 0.5])}, "expected a positive weight"),
        ({"distance": math.nan}, "expected between 0 and 1"),
        ({"counts": np.array([[[1, 1]], [[0, 0]]])}, "nothing can coincide"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_the_door(options: dict[str, object], words: str) -> None:
    good = {"counts": np.ones((2, 1, 2), dtype=int), "laws": np.array([[0.5, 0.5]]), "strata": "users"}
    with pytest.raises(RefusedError, match=words):
        Rounds(**({"resolution": "one"} | good | options))
