"""Draws between a prior's centre and trained weights: what the prior has seen, exact log-ratios, paid scales."""

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from conv4rec import Conv4Rec, InputError, Interactions, split_by_coin, split_by_interaction, split_from_parts
from conv4rec.splits import Part
from conv4rec.start import start_stream
from conv4rec_bounds.theorems.t8_pac_bayes import PacBayes
from conv4rec_experiments import draws as draws_module
from conv4rec_experiments import gathering
from conv4rec_experiments.draws import SCALES, Draws, blind_start, draw_around, profile_popularity
from conv4rec_experiments.priors import Prior, prior_split
from conv4rec_experiments.report.facts import facts


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"user": rng.integers(20, size=600), "item": rng.integers(6, size=600), "rating": rng.integers(1, 4, size=600)}
    )
    data = Interactions.from_frame(frame, duplicates="keep")
    split = split_by_interaction(data, seed=1)
    return Conv4Rec(channels=2, code=2, epochs=3, device="cpu").fit(data, split, progress=False)


@pytest.fixture(scope="module")
def prior(model):
    first = prior_split(model.split, 0.5, model.options.seed)
    trained = Conv4Rec(channels=2, code=2, epochs=3, device="cpu").fit(first.interactions, first, progress=False)
    return Prior.of(model, trained)


def between(start, goal, step):
    return {name: value + step * (goal[name] - value) for name, value in start.items()}


@pytest.mark.parametrize("step", [0.0, 1 / 4, 1.0])
def test_log_ratios_are_those_of_the_two_densities_and_never_below(model, prior, step, monkeypatch):
    """The exact logarithms of both densities, of the mixture and of its one component."""
    monkeypatch.setattr(draws_module, "STEPS", (step,))
    for learnt in (prior, None) if step == 1 else (prior,):
        draws = draw_around(model, learnt, seed=3)
        start = blind_start(model) if learnt is None else learnt.model.weights()
        centre = between(start, model.weights(), step)
        log_shares = -math.log(2) * (len(SCALES) - np.arange(len(SCALES)))
        assert draws.step == step
        for drawn, found in zip(draws.models, draws.log_ratios, strict=True):
            weights = drawn.weights()
            own = sum(norm.logpdf(weights[n], centre[n], draws.scale).sum() for n in weights)
            parts = log_shares + [sum(norm.logpdf(weights[n], start[n], s).sum() for n in weights) for s in SCALES]
            assert found >= own - np.logaddexp.reduce(parts)
            assert found == pytest.approx(own - parts[SCALES.index(draws.scale)], rel=1e-6, abs=1e-6)


def test_log_ratios_scatter_around_the_divergence_of_the_two_gaussians(model, prior, monkeypatch):
    """They are Gaussian around step^2 far / (2 scale^2) plus the price of the scale, with twice that as variance."""
    monkeypatch.setattr(draws_module, "STEPS", (1 / 16,))
    draws = draw_around(model, prior, seed=1, draws=200)
    start, goal = prior.model.weights(), model.weights()
    far = sum(np.square(goal[name] - start[name]).sum() for name in start)
    divergence = far * draws.step**2 / (2 * draws.scale**2)
    price = math.log(2) * (len(SCALES) - SCALES.index(draws.scale))
    assert abs(draws.log_ratios.mean() - divergence - price) < 5 * math.sqrt(2 * divergence / 200)


def test_the_weights_of_the_scales_sum_to_at_most_one():
    assert tuple(sorted(SCALES, reverse=True)) == SCALES
    assert sum(2.0 ** -(len(SCALES) - place) for place in range(len(SCALES))) <= 1


@given(st.floats(0.02, 0.98), st.integers(0, 10**6))
def test_prior_and_draws_share_the_scored_part_without_overlap(model, share, seed):
    split = model.split
    first = prior_split(split, share, seed)
    assert len(first.held_out) == 0
    assert len(first.scored) + len(first.validation) == round(share * len(split.scored))
    assert len(first.scored) > 0 < len(first.validation)
    again = prior_split(split, share, seed)
    np.testing.assert_array_equal(first.part, again.part)
    np.testing.assert_array_equal(first.interactions.item, again.interactions.item)


def test_what_the_prior_has_not_seen_is_scored_and_nothing_else(model, prior):
    def rows(*parts):
        return Counter(row for part in parts for row in zip(part.user, part.item, part.level, strict=True))

    seen = prior.model.split
    assert rows(seen.scored, seen.validation, prior.left) == rows(model.split.scored)
    assert rows(seen.profile) == rows(model.split.profile)
    assert prior.size + len(prior.left) == len(model.split.scored)
    draws = draw_around(model, prior)
    assert draws.part is prior.left
    assert draws.prior_size == prior.size


def test_the_cut_of_the_prior_is_not_read_off_the_split_s_random_numbers(model):
    """The order in which the prior's interactions are taken does not follow that in which the parts were cut."""
    seed, size = 1, len(model.interactions)
    cut = np.argsort(np.random.default_rng(seed).permutation(size))[model.split.part == Part.SCORED]
    chosen = prior_split(model.split, 0.5, seed)
    keys = {tuple(row) for row in zip(chosen.scored.user, chosen.scored.item, chosen.scored.level, strict=True)}
    part = model.split.scored
    inside = np.array([row in keys for row in zip(part.user, part.item, part.level, strict=True)])
    assert abs(cut[inside].mean() - cut[~inside].mean()) < 5 * size * math.sqrt(1 / 12 / inside.sum() * 2)


@pytest.mark.parametrize(
    ("share", "sentence"), [(0.0, "share is 0.0"), (1.0, "share is 1.0"), (math.nan, "share is nan"), (0.001, "is 0")]
)
def test_a_share_that_leaves_nothing_is_refused(model, share, sentence):
    with pytest.raises(InputError, match=sentence):
        prior_split(model.split, share, 0)


def test_a_network_that_has_seen_other_interactions_is_no_prior(model, prior):
    other = prior_split(model.split, 0.5, seed=5)
    options = {"channels": 2, "code": 2, "epochs": 0, "device": "cpu"}
    for split in (other, model.split):
        trained = Conv4Rec(**options).fit(split.interactions, split, progress=False)
        with pytest.raises(InputError, match="trained on other interactions"):
            Prior.of(model, trained)
    first = prior.model.split
    wider = Conv4Rec(**options | {"code": 3}).fit(first.interactions, first, progress=False)
    with pytest.raises(InputError, match="other sizes or activations"):
        Prior.of(model, wider)


def test_what_made_the_weights_of_a_prior_is_trusted_and_the_certificate_says_so(model, prior):
    """A split that is the right one vouches for no weights: others that carry it are taken as they come."""
    other = prior.model.with_weights({name: 2 * value for name, value in prior.model.weights().items()})
    assert Prior.of(model, other).model is other
    assert any("trusted, not checked" in str(assumption) for assumption in PacBayes().assumptions)


def test_a_poor_prior_and_much_data_make_the_posterior_leave_the_prior_s_centre():
    """Few interactions make the prior, very many are left, and a small network has to learn which items there are."""
    rng = np.random.default_rng(0)
    law = np.repeat([0.3, 0.003], [3, 33])
    size = 60_000
    frame = pl.DataFrame({"user": rng.integers(5, size=size), "item": rng.choice(36, size, p=law / law.sum())})
    data = Interactions.from_frame(frame, duplicates="keep")
    split = split_by_interaction(data, (0.0001, 0.8, 0.1, 0.0999), seed=1)
    options = {"channels": 1, "code": 1, "epochs": 5, "device": "cpu"}
    model = Conv4Rec(**options).fit(data, split, progress=False)
    first = prior_split(split, 0.0003, 0)
    trained = Conv4Rec(**options | {"epochs": 0}).fit(first.interactions, first, progress=False)
    assert draw_around(model, Prior.of(model, trained)).step > 0


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
    draws = Draws([still.with_weights(blank)], np.zeros(1), 1.0, 1.0, split.scored, 1.0)
    monkeypatch.setattr(gathering, "draw_around", lambda model, prior, **options: draws)
    own = {name: still.log_probabilities(getattr(split, name)) for name in ("scored", "validation", "held_out")}
    posterior = gathering.gather(still, own, own, gathering.Declared(), 0.05).evidence.posterior
    assert posterior.risks.tolist() == [posterior.high]


def test_the_certified_network_and_the_page_have_the_trained_network_s_activations(model, monkeypatch):
    split = model.split
    named = {"lift_activation": "relu", "code_activation": "identity", "decode_activation": "asinh"}
    other = Conv4Rec(channels=2, code=2, epochs=1, device="cpu", **named).fit(split.interactions, split, progress=False)
    draws = Draws([other], np.zeros(1), 1.0, 1.0, split.scored, 1.0)
    monkeypatch.setattr(gathering, "draw_around", lambda model, prior, **options: draws)
    own = {name: other.log_probabilities(getattr(split, name)) for name in ("scored", "validation", "held_out")}
    found = gathering.gather(other, own, own, gathering.Declared(), 0.05).evidence.network
    assert {name: getattr(found, name) for name in named} == named
    assert facts(other)["network"].endswith("; relu after lift, identity after encode, asinh after decode")


def test_the_same_seed_draws_the_same_models(model, prior):
    first, second, other = (draw_around(model, prior, seed=seed) for seed in (1, 1, 2))
    for one, same in zip(first.models, second.models, strict=True):
        np.testing.assert_array_equal(one.weights()["encode"], same.weights()["encode"])
    np.testing.assert_array_equal(first.log_ratios, second.log_ratios)
    assert not np.array_equal(first.log_ratios, other.log_ratios)
    assert first.scale in SCALES


def test_other_weights_predict_other_things_and_leave_the_model_as_it_was(model):
    before = model.predict_proba([1])
    doubled = model.with_weights({name: 2 * value for name, value in model.weights().items()})
    assert not np.array_equal(doubled.predict_proba([1]), before)
    np.testing.assert_array_equal(model.predict_proba([1]), before)
