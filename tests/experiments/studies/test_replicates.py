"""A part of a study: the same numbers whoever computes it, and what fits find under both protocols."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from conv4rec.errors import InputError
from conv4rec_bounds.divergences import kullback_leibler, total_variation
from conv4rec_experiments.fits.fitting import Settings, State, fit
from conv4rec_experiments.fits.floor import histogram_law, nearest_law, statistical_floor
from conv4rec_experiments.studies import replicates
from conv4rec_experiments.studies.replicates import common_law, measure, self_reconstruction
from conv4rec_experiments.studies.samplings import Sample
from conv4rec_experiments.studies.study import Study, TruthChoice
from conv4rec_experiments.studies.tables import CERTIFICATES, ESTIMATORS, GROUP_KINDS, GROUPS, KEYS, MEASURES, TIMING
from conv4rec_experiments.truths import reference_truth, small_truth

QUICK = Settings(starts=2, kept=1, screening=15, iterations=60, rounds=1)
STUDY = Study("quick", (TruthChoice("small"),), sizes=(20_000,), seeds=(0, 1), batch=2, theorems=("T6",), fits=QUICK)
PART = STUDY.parts()[0]
FIXED, SELF = "fixed profile", "self-reconstruction"


def without_clock(rows: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: frame.drop(TIMING, strict=False) for name, frame in rows.items()}


@pytest.fixture(scope="module")
def rows() -> dict[str, pl.DataFrame]:
    return measure(STUDY, PART)


def of(rows: dict[str, pl.DataFrame], estimator: str, column: str) -> list[float]:
    return rows["measures"].filter(pl.col("estimator") == estimator)[column].to_list()


def test_tables_have_their_columns_and_one_row_for_everything(rows: dict[str, pl.DataFrame]) -> None:
    schemas = {"measures": MEASURES, "certificates": CERTIFICATES, "groups": GROUPS}
    assert {name: dict(frame.schema) for name, frame in rows.items()} == {n: dict(s) for n, s in schemas.items()}
    assert rows["measures"].select("seed", "estimator").rows() == [(s, e) for s in (0, 1) for e in ESTIMATORS]
    assert rows["measures"].select(*KEYS).row(0) == ("small", 0, FIXED, "independent", 20_000, 0)
    grid = [(s, e, k, g) for s in (0, 1) for e in ESTIMATORS for k in GROUP_KINDS for g in range(5)]
    assert rows["groups"].select("seed", "estimator", "kind", "group").rows() == grid
    certificates = rows["certificates"].filter(pl.col("theorem") == "T6")
    assert sorted(set(certificates["seed"])) == [0, 1]
    assert certificates.select(*KEYS).drop("seed").unique().rows() == [("small", 0, FIXED, "independent", 20_000)]


def test_what_is_measured_agrees_with_the_truth_itself(rows: dict[str, pl.DataFrame]) -> None:
    truth = small_truth(0)
    for row in rows["measures"].iter_rows(named=True):
        assert 0 < row["tv"] <= np.sqrt(row["kl"] / 2)
        assert max(row["tv_implicit"], row["hellinger"] ** 2) < row["tv"]
        assert row["gem_precision"] <= row["gem_precision_best"] + 0.02
        assert row["tv_population"] == pytest.approx(row["tv"], rel=0.1)
        assert row["floor"] == statistical_floor(truth).tv(20_000)
        assert row["tv_limit"] == nearest_law(truth).tv == pytest.approx(0, abs=1e-12)
        assert row[TIMING] > 0
        if row["estimator"] == "fit":
            assert row["gap"] == row["training_loss"] - row["truth_loss"] < 0
            assert row["state"] == "accepted"
            assert row["starts"] >= 2
        else:
            assert (row["gap"], row["iterations"], row["state"]) == (None, None, None)
    for fitted, rival in zip(of(rows, "fit", "tv"), of(rows, "smoothed", "tv"), strict=True):
        assert fitted < 0.8 * rival


def test_groups_of_a_uniform_truth_average_to_the_whole(rows: dict[str, pl.DataFrame]) -> None:
    tv = dict(rows["measures"].select(pl.concat_str("seed", "estimator"), "tv").rows())
    items = rows["groups"].filter(pl.col("kind") == "item popularity")
    users = rows["groups"].filter(pl.col("kind") == "user activity")
    for groups in (items, users):
        summed = groups.group_by(pl.concat_str("seed", "estimator")).agg((pl.col("tv") * pl.col("share")).sum())
        assert dict(summed.rows()) == {key: pytest.approx(value, rel=0.03) for key, value in tv.items()}


def test_the_same_part_has_the_same_bits(rows: dict[str, pl.DataFrame]) -> None:
    again = without_clock(measure(STUDY, PART))
    for name, frame in without_clock(rows).items():
        assert_frame_equal(again[name], frame, check_exact=True)


def test_a_sample_does_not_depend_on_its_batch(rows: dict[str, pl.DataFrame]) -> None:
    """Rivals of the fit depend on the sample alone, so they are the sample's fingerprint."""
    alone = measure(STUDY, replace(PART, seeds=(1,)))
    reordered = measure(STUDY, replace(PART, seeds=(5, 1)))
    for other in (alone, reordered):
        pair = [
            frame.filter((pl.col("seed") == 1) & (pl.col("estimator") != "fit")).drop(TIMING)
            for frame in (rows["measures"], other["measures"])
        ]
        assert_frame_equal(*pair, check_exact=True)
        fitted = [
            of({"measures": frame.filter(pl.col("seed") == 1)}, "fit", "tv")[0]
            for frame in (rows["measures"], other["measures"])
        ]
        assert fitted[0] == pytest.approx(fitted[1], rel=1e-6)


def test_every_key_has_a_sample_of_its_own(rows: dict[str, pl.DataFrame]) -> None:
    plain = replace(STUDY, theorems=())
    parts = [
        replace(PART, truth=TruthChoice("small", 1)),
        replace(PART, truth=TruthChoice("reference", 0, {"users": 12, "items": 10, "profile_items": 5})),
        replace(PART, protocol=SELF),
        replace(PART, size=20_001),
        replace(PART, sampling="dependent"),
        replace(PART, seeds=(2,)),
    ]
    found = [of(measure(plain, replace(part, seeds=part.seeds[:1])), "histogram", "tv")[0] for part in parts]
    assert len({*found, *of(rows, "histogram", "tv")}) == len(parts) + 2


def test_only_independent_draws_have_a_floor_and_drift_aims_at_its_end() -> None:
    study = replace(STUDY, theorems=(), fits=replace(QUICK, rounds=1))
    drifting = measure(study, replace(PART, sampling="drifting", seeds=(0,), size=10**7))["measures"]
    assert drifting["floor"].null_count() == drifting["tv_limit"].null_count() == len(drifting)
    # Over time the sample has the mean of both ends; KL tells which end it is compared with.
    truth = small_truth(0)
    table = truth.law.reshape(truth.users, truth.items, truth.levels)
    end = ((table + np.roll(table, 1, axis=1)) / 2).reshape(truth.law.shape)
    to_end, to_begin = (kullback_leibler(law, np.log((truth.law + end) / 2), truth.pi) for law in (end, truth.law))
    assert abs(to_end - to_begin) > 0.05 * to_end
    assert of({"measures": drifting}, "histogram", "kl")[0] == pytest.approx(to_end, rel=0.01)


def test_a_drawn_sample_is_measured_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = small_truth(0)
    total = truth.sample_given(np.arange(1, 13) * 500, np.random.default_rng(0))
    target = np.roll(truth.law, 1, axis=0)
    blocks = np.stack([total, np.zeros_like(total)])
    monkeypatch.setattr(replicates, "draw", lambda *_: Sample(blocks, total, target))
    row = measure(replace(STUDY, theorems=()), replace(PART, seeds=(0,)))["measures"].row(1, named=True)
    law = histogram_law(total)
    assert row["tv"] == pytest.approx(total_variation(target, law, total.sum(axis=1) / total.sum()))
    assert row["tv_population"] == pytest.approx(total_variation(target, law, truth.pi))
    assert abs(row["tv_population"] / row["tv"] - 1) > 1e-3


def test_unknown_limits_are_null() -> None:
    study = replace(STUDY, theorems=())
    choice = TruthChoice("latent_classes", 0)
    found = measure(study, replace(PART, truth=choice, seeds=(0,), size=2_000))["measures"]
    assert found.select("truth", "floor", "tv_limit").unique().rows() == [("latent_classes", None, None)]


def test_a_truth_outside_the_class_has_the_limit_of_its_nearest_network() -> None:
    choice = TruthChoice("twins", 0, {"users": 4, "items": 3, "profile_items": 1})
    found = measure(replace(STUDY, theorems=()), replace(PART, truth=choice, seeds=(0,), size=10**8))["measures"]
    limit = nearest_law(choice.make()).tv
    assert limit > 0.1
    assert found["tv_limit"].to_list() == [limit] * 3
    assert of({"measures": found}, "fit", "tv")[0] == pytest.approx(limit, rel=0.01)
    assert of({"measures": found}, "fit", "floor")[0] == pytest.approx(limit, rel=0.01)


def test_self_reconstruction_forgets_the_users_as_the_sample_grows() -> None:
    """First TV falls, for profiles tell users apart; then all profiles become full, and it rises to its limit."""
    truth, study = small_truth(0), replace(STUDY, theorems=(), protocols=(SELF,), fits=replace(QUICK, starts=4, kept=2))
    limit = truth.tv(np.tile(truth.pi @ truth.law, (truth.users, 1)))
    median = {}
    for size in (100, 1_000, 10**8):
        found = measure(study, replace(PART, protocol=SELF, size=size, seeds=(0, 1)))["measures"]
        assert found["tv_limit"].to_list() == pytest.approx([limit] * len(found))
        assert found["floor"].null_count() == len(found)
        fits = found.filter(pl.col("estimator") == "fit")
        assert set(fits["state"]) <= {State.STATIONARY.value, State.BOUNDARY.value}
        median[size] = {e: float(np.median(of({"measures": found}, e, "tv"))) for e in ESTIMATORS}
        gaps = of({"measures": found}, "fit", "gap")
        # A small sample is memorised, a large one cannot be reconstructed.
        assert size != 100 or max(gaps) < -0.5
        assert size != 10**8 or min(gaps) > 0.2
    assert median[1_000]["fit"] < 0.7 * limit < limit < median[100]["fit"]
    assert median[10**8]["fit"] == pytest.approx(limit, rel=0.002)
    assert median[10**8]["histogram"] < 0.001


def test_equal_profiles_give_everybody_the_pooled_shares() -> None:
    truth = small_truth(0)
    counts = truth.sample(10**7, np.random.default_rng(0))
    assert (counts > 0).all()
    likelihood = self_reconstruction(truth, counts)
    pooled = counts.sum(axis=0) / counts.sum()
    random = likelihood.log_law(np.random.default_rng(1).standard_normal(likelihood.size))
    assert np.ptp(random, axis=0).max() < 1e-12
    found = fit(likelihood, counts, truth.empirical_risk(counts), 0, replace(QUICK, starts=4, kept=2))
    law = np.exp(likelihood.log_law(found.theta))
    assert np.abs(law - pooled).max() < 1e-6
    assert found.training_loss == pytest.approx(-pooled @ np.log(pooled), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_no_common_law_is_nearer_than_half_the_limit(seed: int) -> None:
    truth = reference_truth(seed, users=5, items=4, profile_items=2)
    limit = truth.tv(np.tile(common_law(truth), (truth.users, 1)))
    rng = np.random.default_rng(seed)
    others = [rng.dirichlet(np.full(truth.cells, 5.0)) for _ in range(200)] + list(truth.law)
    assert min(truth.tv(np.tile(law, (truth.users, 1))) for law in others) >= limit / 2


def test_users_with_empty_cells_have_no_known_limit() -> None:
    truth = TruthChoice("sharp").make()
    assert (truth.law == 0).any()
    assert common_law(truth) is None


def test_profiles_are_the_cells_of_the_sample() -> None:
    truth = small_truth(0)
    counts = truth.sample(50, np.random.default_rng(0))
    counts[0] = 0
    inputs = self_reconstruction(truth, counts).inputs.numpy().reshape(truth.law.shape)
    assert np.array_equal(inputs > 0, counts > 0)
    with pytest.raises(InputError, match="a sample of that truth"):
        self_reconstruction(truth, counts[:, :-1])


def test_a_fit_is_near_an_efficient_one(rows: dict[str, pl.DataFrame]) -> None:
    assert np.mean(of(rows, "fit", "tv")) == pytest.approx(of(rows, "fit", "floor")[0], rel=0.2)
    counts = small_truth(0).sample(20_000, np.random.default_rng(0))
    typical = small_truth(0).tv(histogram_law(counts))
    assert of(rows, "histogram", "tv")[0] == pytest.approx(typical, rel=0.15)
