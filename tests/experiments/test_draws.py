"""Draws around trained weights: a prior without the scored part, exact log-ratios, a scale that is paid for."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from conv4rec import Conv4Rec, Interactions, split_by_coin, split_by_interaction, split_from_parts
from conv4rec.start import start_stream
from conv4rec_experiments import gathering
from conv4rec_experiments.draws import SCALES, Draws, blind_start, draw_around, profile_popularity


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"user": rng.integers(20, size=600), "item": rng.integers(6, size=600), "rating": rng.integers(1, 4, size=600)}
    )
    data = Interactions.from_frame(frame, duplicates="keep")
    split = split_by_interaction(data, seed=1)
    return Conv4Rec(channels=2, code=2, epochs=3, device="cpu").fit(data, split, progress=False)


def test_log_ratios_are_those_of_the_two_densities_and_never_below(model):
    draws = draw_around(model, seed=3)
    start, centre = blind_start(model), model.weights()
    for drawn, found in zip(draws.models, draws.log_ratios, strict=True):
        weights = drawn.weights()
        own = sum(norm.logpdf(weights[n], centre[n], draws.scale).sum() for n in weights)
        mixture = np.logaddexp.reduce(
            [sum(norm.logpdf(weights[n], start[n], scale).sum() for n in weights) for scale in SCALES]
        ) - math.log(len(SCALES))
        alone = sum(norm.logpdf(weights[n], start[n], draws.scale).sum() for n in weights) - math.log(len(SCALES))
        assert found >= own - mixture
        assert found == pytest.approx(own - alone, rel=1e-6)


def test_the_prior_has_not_seen_the_scored_part(model):
    """Other scored interactions leave the prior's centre as it is; other profiles do not."""
    split = model.split
    data = split.interactions

    def with_levels(part):
        level = data.level.copy()
        level[split.part == part] = 0
        names = ("user", "item", "time", "user_ids", "item_ids", "levels")
        changed = Interactions(**{name: getattr(data, name) for name in names}, level=level)
        other = Conv4Rec(channels=2, code=2, epochs=1, device="cpu")
        return other.fit(changed, type(split)(changed, split.part, split.protocol, split.seed), progress=False)

    for name, value in blind_start(with_levels(1)).items():
        np.testing.assert_array_equal(value, blind_start(model)[name])
    assert not np.array_equal(profile_popularity(with_levels(0)), profile_popularity(model))


def test_the_prior_s_random_values_are_not_those_that_cut_the_data(model):
    """The split of the same seed is read off its stream; the prior's centre must tell nothing of it."""
    data, seed = model.interactions, model.options.seed
    start = blind_start(model)
    stream = np.random.default_rng(seed)
    stream.standard_normal(start["lift"].shape)
    stream.standard_normal(start["project"].shape)
    shared = stream.standard_normal(start["encode"].shape) / 10
    assert not np.isclose(start["encode"], shared).any()
    for cut in (split_by_interaction, split_by_coin):
        parts = cut(data, seed=seed).part
        order = start_stream(seed).permutation(len(data))
        ranked = np.sort(parts)[np.argsort(order)]
        expected = np.square(np.bincount(parts) / len(data)).sum()
        assert abs(np.mean(ranked == parts) - expected) < 5 * np.sqrt(expected / len(data))


def test_the_training_starts_where_the_prior_has_its_centre_but_for_the_popularity(model):
    still = Conv4Rec(channels=2, code=2, epochs=0, device="cpu", precision="float64")
    started = still.fit(model.interactions, model.split, progress=False)
    weights, start = started.weights(), blind_start(started)
    assert {name for name in start if not np.array_equal(weights[name], start[name])} == {"cell_bias"}


def test_draws_that_miss_everything_keep_the_range_of_their_losses(model, monkeypatch):
    """One item that the scored part never shows takes all mass: every loss lies at the top of its range."""
    data = model.interactions
    rest = data.subset(data.item > 0)
    split = split_from_parts(data, rest, rest, rest)
    still = Conv4Rec(channels=2, code=2, epochs=0, device="cpu").fit(split.interactions, split, progress=False)
    blank = {name: 0 * value for name, value in still.weights().items()}
    blank["cell_bias"][0] = 1e4
    draws = Draws([still.with_weights(blank)], np.zeros(1), 1.0)
    monkeypatch.setattr(gathering, "draw_around", lambda model, seed: draws)
    own = {name: still.log_probabilities(getattr(split, name)) for name in ("scored", "validation", "held_out")}
    posterior = gathering.gather(still, own, own, gathering.Declared(), 0.05).evidence.posterior
    assert posterior.risks.tolist() == [posterior.high]


def test_the_same_seed_draws_the_same_models(model):
    first, second, other = (draw_around(model, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.log_ratios, second.log_ratios)
    assert not np.array_equal(first.log_ratios, other.log_ratios)
    assert first.scale in SCALES


def test_other_weights_predict_other_things_and_leave_the_model_as_it_was(model):
    before = model.predict_proba([1])
    doubled = model.with_weights({name: 2 * value for name, value in model.weights().items()})
    assert not np.array_equal(doubled.predict_proba([1]), before)
    np.testing.assert_array_equal(model.predict_proba([1]), before)
