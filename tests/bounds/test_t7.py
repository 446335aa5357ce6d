"""T7a to T7e: their steps on cases that can be enumerated, and what only they promise."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds import (
    Budget,
    CellCounts,
    Ensemble,
    Evidence,
    Prequential,
    Protocol,
    RefusedError,
    Status,
    TruthLoss,
    Untouched,
)
from conv4rec_bounds.divergences import affinity, total_variation
from conv4rec_bounds.excess_loss import GRID
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_bounds.theorems.t7a_point import PointTotalVariation
from conv4rec_bounds.theorems.t7b_prequential import PrequentialTotalVariation
from conv4rec_bounds.theorems.t7c_draws import DrawnTotalVariation
from conv4rec_bounds.theorems.t7d_transfer import TransferredTotalVariation
from conv4rec_bounds.theorems.t7e_truth_loss import plug_in_entropy
from conv4rec_experiments.truths import small_truth
from theorem_rows.t7c import GROUPED

DELTA = 0.2
powers = st.floats(0.02, 0.98)
seeds = st.integers(0, 2**32 - 1)


def value(theorem: Theorem, size: int, risk: float, truth: float, **more: Number) -> float:
    return theorem.formula.number(N=size, delta=DELTA, Lhat=risk, Lhat_star=truth, **more)


def laws(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.dirichlet(np.full(shape[-1], 0.7), size=shape[:-1]) * (1 - 1e-9) + 1e-9 / shape[-1]


def outcomes(truth: np.ndarray, users: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """Every list of cells and its probability, given the users."""
    cells = range(truth.shape[1])
    return [(y, math.prod(truth[users, y])) for y in itertools.product(cells, repeat=len(users))]


@given(seeds, st.integers(1, 2), st.integers(1, 3), st.integers(1, 6), powers)
def test_t7a_the_exponential_moment_is_one_and_the_bound_fails_seldom(
    seed: int, users: int, cells: int, size: int, power: float
) -> None:
    rng = np.random.default_rng(seed)
    truth, model, who = laws(rng, users, cells), laws(rng, users, cells), rng.integers(users, size=size)
    each = np.array([affinity(truth[[i]], model[[i]], np.ones(1), power) for i in who])
    moment, failing = 0.0, 0.0
    target = total_variation(truth, model, np.bincount(who, minlength=users) / size)
    for y, chance in outcomes(truth, who):
        ratio = model[who, y] / truth[who, y]
        moment += chance * float(np.prod(ratio**power / each))
        risks = (-float(np.log(law[who, y]).mean()) for law in (model, truth))
        failing += chance * (target > value(PointTotalVariation(), size, *risks) + 1e-9)
    assert moment == pytest.approx(1, rel=1e-6)
    assert failing <= DELTA


def learner(cells: int, seen: list[int], fallback: np.ndarray) -> np.ndarray:
    """Predict a cell by how often it came before."""
    counts = np.bincount(np.array(seen, dtype=int), minlength=cells) * 3.0
    return (counts + fallback) / (counts.sum() + 1)


@given(seeds, st.integers(1, 2), st.integers(2, 3), st.integers(1, 6), powers)
def test_t7b_is_a_martingale_and_bounds_the_user_wise_mixture(
    seed: int, users: int, cells: int, size: int, power: float
) -> None:
    rng = np.random.default_rng(seed)
    truth, who = laws(rng, users, cells), rng.integers(users, size=size)
    fallback, mix = laws(rng, 1, cells)[0], np.bincount(who, minlength=users) / size
    moment, failing = 0.0, 0.0
    for y, chance in outcomes(truth, who):
        predicted = np.array([learner(cells, list(y[:t]), fallback) for t in range(size)])
        each = np.array([affinity(truth[[i]], predicted[[t]], np.ones(1), power) for t, i in enumerate(who)])
        loss = -np.log(predicted[range(size), y])
        moment += chance * float(np.prod((predicted[range(size), y] / truth[who, y]) ** power / each))
        mixture = np.array([predicted[who == i].mean(axis=0) if (who == i).any() else fallback for i in range(users)])
        bound = value(PrequentialTotalVariation(), size, loss.mean(), -float(np.log(truth[who, y]).mean()))
        failing += chance * (total_variation(truth, mixture, mix) > bound + 1e-9)
    assert moment == pytest.approx(1, rel=1e-6)
    assert failing <= DELTA


def test_t7b_does_not_hold_for_the_plain_mixture() -> None:
    """Two users, one in each block, each predictor right for its own user: the losses are the truth's own."""
    truth = np.array([[0.9, 0.1], [0.1, 0.9]])
    right_for_the_first, right_for_the_second = np.tile(truth[0], (2, 1)), np.tile(truth[1], (2, 1))
    bound = value(PrequentialTotalVariation(), 2000, 0.325, 0.325)
    half = np.full(2, 0.5)
    plain = (right_for_the_first + right_for_the_second) / 2
    assert total_variation(truth, plain, half) == pytest.approx(0.4)
    assert bound < 0.1
    user_wise = np.array([right_for_the_first[0], right_for_the_second[1]])
    assert total_variation(truth, user_wise, half) == 0


@given(seeds, st.integers(1, 3), st.integers(2, 3), st.integers(1, 4), st.integers(1, 2))
def test_t7c_fails_seldom_for_the_ensemble_and_for_the_mean_of_its_draws(
    seed: int, models: int, cells: int, size: int, draws: int
) -> None:
    """Enumerate interactions and draws, the posterior being tilted by the very losses that are scored."""
    rng = np.random.default_rng(seed)
    truth, candidates, prior = laws(rng, 1, cells), laws(rng, models, cells), rng.dirichlet(np.ones(models))
    far = np.array([total_variation(truth, law[None], np.ones(1)) for law in candidates])
    failing = np.zeros(2)
    for y, chance in outcomes(truth, np.zeros(size, dtype=int)):
        losses = -np.log(candidates[:, y]).mean(axis=1)
        posterior = prior * np.exp(-size * (losses - losses.min()))
        posterior /= posterior.sum()
        own = -float(np.log(truth[0, list(y)]).mean())
        for chosen in itertools.product(range(models), repeat=draws):
            k = list(chosen)
            ratio = float(np.log(posterior[k] / prior[k]).mean())
            bound = value(DrawnTotalVariation(), size, float(losses[k].mean()), own, kappa=ratio) + 1e-9
            ensemble = total_variation(truth, candidates[k].mean(axis=0)[None], np.ones(1))
            assert ensemble <= far[k].mean() + 1e-12
            failing += chance * math.prod(posterior[k]) * np.array([ensemble > bound, far[k].mean() > bound])
    assert (failing <= DELTA).all()


@given(seeds, st.integers(1, 4), st.integers(1, 3), powers)
def test_t7e_independent_draws_of_a_segment_have_at_most_the_moment_of_its_mean_law(
    seed: int, size: int, cells: int, power: float
) -> None:
    """The step by the means, and the certificate for the segment's laws that rests on it."""
    rng = np.random.default_rng(seed)
    truth, users = laws(rng, size, cells), np.arange(size)
    mean, model = truth.mean(axis=0), laws(rng, size, cells).mean(axis=0)
    moment, failing = 0.0, 0.0
    far = total_variation(mean[None], model[None], np.ones(1))
    for y, chance in outcomes(truth, users):
        moment += chance * float(np.prod((model / mean)[list(y)] ** power))
        counted = plug_in_entropy(CellCounts.of_table(np.bincount(y, minlength=cells)[None]))
        risk = -float(np.log(model[list(y)]).mean())
        failing += chance * (far > value(DrawnTotalVariation(), size, risk, counted, kappa=0.0) + 1e-9)
    assert moment <= affinity(mean[None], model[None], np.ones(1), power) ** size * (1 + 1e-9)
    assert failing <= DELTA


@given(seeds, st.integers(1, 6), st.integers(2, 4), powers)
def test_t7c_a_subset_of_a_pool_has_at_most_the_moment_of_independent_draws(
    seed: int, pool_size: int, cells: int, power: float
) -> None:
    rng = np.random.default_rng(seed)
    pool, model = rng.integers(cells, size=pool_size), laws(rng, 1, cells)[0]
    law = np.bincount(pool, minlength=cells) / pool_size
    ratio = np.where(law > 0, model / np.where(law > 0, law, 1), 0) ** power
    for size in range(1, pool_size + 1):
        subsets = [math.prod(ratio[pool[list(chosen)]]) for chosen in itertools.combinations(range(pool_size), size)]
        assert np.mean(subsets) <= float(law @ ratio) ** size * (1 + 1e-9)


@given(seeds, st.integers(1, 5), st.integers(1, 6), st.integers(0, 12))
def test_t7e_no_law_that_is_the_same_throughout_a_segment_does_better(
    seed: int, segments: int, cells: int, tens: int
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 10**tens + 1, size=(segments, cells)) * rng.integers(0, 2, size=(segments, cells))
    table[0, 0] += 1
    entropy = plug_in_entropy(CellCounts.of_table(table))
    for law in (laws(rng, segments, cells), (table + 0.5) / (table + 0.5).sum(axis=1, keepdims=True)):
        assert entropy <= -(table * np.log(law)).sum() / table.sum() + 1e-12
    sizes = np.maximum(table.sum(axis=1, keepdims=True), 1)
    empirical = np.where(table > 0, table / sizes, 1)
    assert entropy == pytest.approx(-(table * np.log(empirical)).sum() / table.sum(), abs=1e-9)
    with mpmath.workdps(60):
        exact = mpmath.fsum(
            int(n) * mpmath.log(mpmath.mpf(int(s)) / int(n))
            for row, s in zip(table, sizes[:, 0], strict=True)
            for n in row
            if n
        )
        assert entropy <= exact / int(table.sum())
        assert entropy >= exact / int(table.sum()) - mpmath.mpf(10) ** -12


@given(seeds, st.integers(1, 5), st.integers(1, 6), st.integers(1, 40))
def test_t7e_counts_interactions_as_a_table_does(seed: int, segments: int, cells: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    segment, cell = rng.integers(segments, size=size), rng.integers(cells, size=size)
    table = np.zeros((segments, cells), dtype=np.int64)
    np.add.at(table, (segment, cell), 1)
    far = 2**61
    counted = CellCounts.of_interactions(segment * (far // 10), cell * (far // 10))
    whole = CellCounts.of_table(table)
    assert counted.segments.tolist() == whole.segments.tolist()
    assert counted.counts.tolist() == whole.counts.tolist()
    assert counted.size == whole.size == size
    assert plug_in_entropy(counted) == plug_in_entropy(whole)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: CellCounts(np.array([2]), np.array([1])), "segments of 2 interactions came with counts of 1"),
        (lambda: CellCounts(np.array([1, 1]), np.array([2])), "count the same interactions"),
        (lambda: CellCounts(np.array([2, 2]), np.array([3, 1])), "count the same interactions"),
        (lambda: CellCounts(np.array([0, 2]), np.array([2])), "positive integers"),
        (lambda: CellCounts(np.array([2.0]), np.array([2])), "positive integers"),
        (lambda: CellCounts.of_table(np.array([1, 2])), "of shape"),
        (lambda: CellCounts.of_table(np.array([[1, -1]])), "a negative count or none"),
        (lambda: CellCounts.of_table(np.array([[0, 0]])), "a negative count or none"),
        (lambda: CellCounts.of_interactions(np.array([1, 2]), np.array([1])), "one number for each interaction"),
        (lambda: CellCounts.of_interactions(np.array([], int), np.array([], int)), "at least one interaction"),
    ],
)
def test_t7e_refuses_what_are_no_counts(make, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        make()


def test_t7e_is_below_the_loss_of_a_known_truth_and_near_it_when_counts_are_many() -> None:
    truth, rng = small_truth(0), np.random.default_rng(3)
    for size, nearest in ((1000, 0.2), (10**7, 1e-4)):
        counts = truth.sample(size, rng)
        gap = truth.empirical_risk(counts) - plug_in_entropy(CellCounts.of_table(counts))
        assert 0 <= gap <= nearest
        assert gap == pytest.approx(truth.users * (truth.cells - 1) / (2 * size), rel=0.3)


def test_t7e_does_not_bound_the_losses_of_users_who_share_a_segment() -> None:
    """Two sure users: a segment of both has log 2. Set against it, a model far from both averages looks perfect."""
    truth, model = np.eye(2), np.array([[1.0, 0.0], [0.5, 0.5]])
    entropy = plug_in_entropy(CellCounts.of_table(np.array([[500, 500]])))
    assert entropy == pytest.approx(math.log(2))
    own_predictions = math.log(2) / 2
    assert value(PointTotalVariation(), 1000, own_predictions, entropy) == 0
    averages = truth.mean(axis=0)[None], model.mean(axis=0)[None]
    assert total_variation(*averages, np.ones(1)) == pytest.approx(0.25)
    averaged = -float(np.log(averages[1]).mean())
    assert value(PointTotalVariation(), 1000, averaged, entropy) >= 0.25


@given(seeds, st.integers(1, 4), st.integers(1, 6))
def test_t7d_distances_under_one_mix_add_up(seed: int, users: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    truth, mixture, shipped = (laws(rng, users, cells) for _ in range(3))
    mix = rng.dirichlet(np.ones(users))
    whole = total_variation(truth, shipped, mix)
    assert whole <= total_variation(truth, mixture, mix) + total_variation(mixture, shipped, mix) + 1e-12


@given(seeds, st.integers(1, 6), st.integers(1, 6))
def test_t7c_averaging_over_segments_and_groups_only_loses_distance(seed: int, users: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    truth, model, mix = laws(rng, users, cells), laws(rng, users, cells), rng.dirichlet(np.ones(users))
    segment, group = np.eye(2)[rng.integers(2, size=users)], np.eye(2)[rng.integers(2, size=cells)]
    coarse = [segment.T @ (mix[:, None] * law) @ group for law in (truth, model)]
    assert np.abs(coarse[0] - coarse[1]).sum() / 2 <= total_variation(truth, model, mix) + 1e-12


def test_t7_the_best_power_solves_its_equation() -> None:
    g, cost, power = sympy.symbols("g Delta lambda", positive=True)
    slope = sympy.diff((power * g + cost) / (2 * power * (1 - power)), power)
    assert sympy.simplify(sympy.numer(sympy.together(slope)) / (g * power**2 + 2 * cost * power - cost)).is_number
    assert all(0 < step <= Fraction(1, 2) for step in GRID)


@pytest.mark.parametrize(("basis", "words"), [("known", "is known"), ("realisable", "local"), ("plug-in", "nothing")])
def test_t7_names_the_level_of_information(basis: str, words: str) -> None:
    evidence = Evidence(18, Protocol("independent"), untouched=Untouched(1000, 2.1, TruthLoss(2.0, basis)))
    certificate = PointTotalVariation().evaluate(evidence, Fraction(1, 20), Budget(0.05))
    assert words in certificate.target


def test_t7c_takes_predictors_that_give_cells_no_chance_at_all() -> None:
    """With zeros, and with models that share no cell with the truth, the moment of what is finite is at most 1."""
    truth = np.array([0.5, 0.5, 0.0])
    for model in (np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([0.2, 0.0, 0.8])):
        shared, ratio = affinity(truth[None], model[None], np.ones(1), 0.5), np.sqrt(model[:2] / truth[:2])
        moment = sum(0.25 * ratio[list(y)].prod() for y in itertools.product(range(2), repeat=2))
        assert moment == pytest.approx(shared**2, abs=1e-15)
    pool = np.array([0, 0, 1])
    ratio = np.sqrt(np.array([1.0, 0.0]) / np.array([2 / 3, 1 / 3]))
    pairs = [ratio[pool[list(chosen)]].prod() for chosen in itertools.combinations(range(3), 2)]
    assert np.mean(pairs) <= ratio[pool].mean() ** 2


def test_t7c_needs_a_prior_that_saw_nothing_of_the_pool() -> None:
    """Every user's pool holds one interaction in each of two groups; the prior saw the one that is not scored."""
    users, seen = 1000, np.arange(1000) % 2
    model = np.where(seen[:, None] == np.arange(2), 0.01, 0.99)
    counted = plug_in_entropy(CellCounts.of_table(np.eye(2, dtype=int)[1 - seen]))
    far = total_variation(np.full((users, 2), 0.5), model, np.full(users, 1 / users))
    part = Ensemble(users, [-math.log(0.99)], [0.0], TruthLoss(counted, "plug-in", coarse=True), blind_prior=False)
    evidence = Evidence(2, Protocol("finite pool"), ensemble=part)
    assert "the rest of its finite pool" in str(DrawnTotalVariation().refusal(evidence))
    unrefused = DrawnTotalVariation().evaluate(evidence, Fraction(1, 20), Budget(0.05)).value
    assert unrefused is not None
    assert unrefused < 0.15 < far


def test_t7e_users_of_different_laws_only_narrow_the_gap_to_the_truths_loss() -> None:
    """One segment: the entropy's mean lies below the loss of the mean law by less if laws differ, less in a pool."""
    size, cells, rng = 2000, 5, np.random.default_rng(5)
    alike = np.full((size, cells), 1 / cells)
    own = 0.1 * alike + 0.9 * np.eye(cells)[np.arange(size) % cells]
    pool = np.repeat(np.arange(cells), size // cells + 40)

    def mean_gap(*draws: np.ndarray) -> float:
        found = [plug_in_entropy(CellCounts.of_table(np.bincount(y, minlength=cells)[None])) for y in draws]
        return math.log(cells) - float(np.mean(found))

    equal, different = (
        mean_gap(*((rng.random((size, 1)) > law.cumsum(axis=1)[:, :-1]).sum(axis=1) for _ in range(400)))
        for law in (alike, own)
    )
    taken = mean_gap(*(rng.permutation(pool)[:size] for _ in range(400)))
    assert equal == pytest.approx((cells - 1) / (2 * size), rel=0.2)
    assert different < equal / 2
    assert taken < equal / 2


@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_t7e_a_segment_has_at_most_the_entropy_of_its_size(seed: int, segments: int, cells: int) -> None:
    """The entropy of a segment is at most log n_s, and 0 if it was seen once or in one group only."""
    table = np.random.default_rng(seed).integers(0, 3, size=(segments, cells))
    table[0, 0] += 1
    sizes = table.sum(axis=1)
    alive = (table > 0).sum(axis=1) > 1
    most = float((sizes[alive] * np.log(sizes[alive])).sum()) / int(sizes.sum())
    assert plug_in_entropy(CellCounts.of_table(table)) <= most + 1e-12


def test_t7c_names_coarse_laws_and_pools() -> None:
    for sampling, words in (("independent", "groups of cells"), ("finite pool", "the pool's own law")):
        evidence = replace(GROUPED, protocol=Protocol(sampling))
        assert DrawnTotalVariation().refusal(evidence) is None
        assert words in DrawnTotalVariation().evaluate(evidence, Fraction(1, 20), Budget(0.05)).target


def test_t7_loses_nothing_to_rounding_where_losses_all_but_cancel() -> None:
    """A price far below the losses, and losses far below the truth's: parts still add up exactly."""
    for (risk, own, size), ratio in itertools.product(
        ((50.0, 0.1, 10**9), (2.0, 2.0 + 1e-9, 10**9), (0.1, 50.0, 10), (2.0, 2.0, 1)),
        (-math.log(len(GRID) * 20), -0.5, 1e9),
    ):
        part = Ensemble(size, [risk, risk / 3], [ratio, ratio + 1e-9], TruthLoss(own, "known"))
        certificate = DrawnTotalVariation().evaluate(
            Evidence(18, Protocol("independent"), ensemble=part), Fraction(1, 20), Budget(0.05)
        )
        assert math.fsum(certificate.terms.values()) == certificate.terms_of[1]
        assert math.fsum(certificate.attribution.values()) == certificate.terms["price"]


def test_t7a_tends_to_pinsker_up_to_one_per_cent() -> None:
    for g in (1e-4, 1e-3, 0.02):
        assert value(PointTotalVariation(), 10**14, g, 0.0) <= math.sqrt(64 / 63 * g / 2) * (1 + 1e-3)


def test_a_total_variation_near_one_is_called_vacuous() -> None:
    evidence = Evidence(18, Protocol("independent"), untouched=Untouched(3, 9.0, TruthLoss(2.0, "known")))
    certificate = PointTotalVariation().evaluate(evidence, Fraction(1, 20), Budget(0.05))
    assert certificate.status is Status.VACUOUS
    assert value(TransferredTotalVariation(), 1000, 2.0, 2.0, d=1.0) > 1


def test_t7d_is_zero_only_if_the_truths_loss_lies_far_above_and_nothing_is_far_from_the_mixture() -> None:
    blocks = Prequential(1000, 2.0, TruthLoss(9.0, "known"), distance=0.0)
    evidence = Evidence(18, Protocol("independent"), prequential=blocks)
    certificate = TransferredTotalVariation().evaluate(evidence, Fraction(1, 20), Budget(0.05))
    assert certificate.value == 0
    assert math.fsum(certificate.terms.values()) == 0
