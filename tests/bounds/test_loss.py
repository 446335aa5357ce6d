"""Lemmas 1 to 3: the loss's Lipschitz constant and range, smoothing, and its split."""

import math

import numpy as np
import pytest
import sympy
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from conv4rec_bounds import RefusedError
from conv4rec_bounds.loss import LOSS_RANGE, RANGE, cross_entropy, oscillation, q, smoothed_losses, w

scales = st.integers(-40, 9).map(lambda e: 2.0**e)
sizes = st.integers(1, 12)


@st.composite
def logit_pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size, scale = draw(sizes), draw(scales)
    entries = hnp.arrays(np.float64, size, elements=st.floats(-1, 1))
    return draw(entries) * scale, draw(entries) * scale


@given(logit_pairs())
def test_lemma_1_the_loss_is_1_lipschitz_in_the_oscillation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair
    change = np.abs(cross_entropy(first) - cross_entropy(second)).max()
    slack = 1e-13 * (1 + np.abs(first).max() + np.abs(second).max())
    assert change <= oscillation(first - second) + slack
    assert oscillation(first - second) <= 2 * np.abs(first - second).max() + slack


@given(logit_pairs())
def test_lemma_1_the_loss_lies_in_its_interval(pair: tuple[np.ndarray, np.ndarray]) -> None:
    logits, _ = pair
    width, cells, losses = oscillation(logits), logits.size, cross_entropy(logits)
    low = math.log1p((cells - 1) * math.exp(-width))
    high = width + math.log(math.exp(-width) + cells - 1) if cells > 1 else 0.0
    slack = 1e-12 * (1 + width)
    assert low - slack <= losses.min()
    assert losses.max() <= high + slack
    assert high - low <= LOSS_RANGE.upper(q=cells, w=max(width, 1e-300)) + slack


@given(st.integers(1, 10**6), st.floats(1e-12, 1e12))
def test_lemma_1_the_range_is_below_both_simple_forms(cells: int, width: float) -> None:
    assert LOSS_RANGE.upper(q=cells, w=width) >= 0
    assert LOSS_RANGE.lower(q=cells, w=width) <= min(math.log(cells) + width, 2 * width) * (1 + 1e-12)


def test_lemma_1_the_range_is_attained() -> None:
    width, cells = 3.0, 5
    surprising = cross_entropy(np.array([0.0] + [width] * (cells - 1)))[0]
    expected = cross_entropy(np.array([width] + [0.0] * (cells - 1)))[0]
    assert surprising - expected == pytest.approx(LOSS_RANGE.number(q=cells, w=width), rel=1e-12)


def test_lemma_1_the_drawn_out_form_equals_the_textbook_form_symbolically() -> None:
    textbook = sympy.log((1 + (q - 1) * sympy.exp(w)) / (1 + (q - 1) * sympy.exp(-w)))
    assert sympy.simplify(sympy.exp(RANGE) - sympy.exp(textbook)) == 0


def test_lemma_1_the_range_grows_with_the_cells_symbolically() -> None:
    fewer, more = q - 1 + sympy.exp(-w), 1 + (q - 1) * sympy.exp(-w)
    positive = (1 - sympy.exp(-2 * w)) / (fewer * more)
    assert sympy.simplify(sympy.diff(RANGE, q) - positive) == 0


@given(st.integers(1, 10**5), st.integers(0, 10**5), st.floats(1e-6, 50))
def test_lemma_1_the_range_is_monotone_in_the_cells(cells: int, more: int, width: float) -> None:
    assert LOSS_RANGE.lower(q=cells, w=width) <= LOSS_RANGE.upper(q=cells + more, w=width)


probabilities = st.floats(0, 1)
alphas = st.floats(1e-6, 0.999)


@given(st.lists(st.tuples(probabilities, st.integers(1, 10**6)), min_size=1, max_size=20), alphas)
def test_lemma_2_smoothed_losses_lie_in_their_range(rows: list[tuple[float, int]], alpha: float) -> None:
    with np.errstate(divide="ignore"):
        log_probabilities = np.log(np.array([p for p, _ in rows]))
    smoothed = smoothed_losses(log_probabilities, np.array([cells for _, cells in rows]), alpha)
    assert (smoothed.losses >= smoothed.low - smoothed.error).all()
    assert (smoothed.losses <= smoothed.high + smoothed.error).all()


@given(st.lists(st.tuples(st.floats(-40, 0), st.integers(1, 10**6)), min_size=1, max_size=10), alphas)
def test_lemma_2_the_stated_error_covers_the_floating_point_error(rows: list[tuple[float, int]], alpha: float) -> None:
    smoothed = smoothed_losses(np.array([lp for lp, _ in rows]), np.array([cells for _, cells in rows]), alpha)
    with ctx.workprec(200):
        for computed, (lp, cells) in zip(smoothed.losses, rows, strict=True):
            exact = -((1 - arb(alpha)) * arb(lp).exp() + arb(alpha) / cells).log()
            assert abs(exact - arb(float(computed))) <= smoothed.error


@given(logit_pairs(), alphas)
def test_lemma_2_smoothing_costs_at_most_alpha_of_total_variation(
    pair: tuple[np.ndarray, np.ndarray], alpha: float
) -> None:
    truth, model = (np.exp(-cross_entropy(logits)) for logits in pair)
    smoothed = (1 - alpha) * model + alpha / model.size
    distance = np.abs(truth - model).sum() / 2
    assert np.abs(truth - smoothed).sum() / 2 <= (1 - alpha) * distance + alpha + 1e-12


@given(logit_pairs(), alphas)
def test_lemma_2_the_smoothed_loss_stays_1_lipschitz(pair: tuple[np.ndarray, np.ndarray], alpha: float) -> None:
    first, second = (-np.log((1 - alpha) * np.exp(-cross_entropy(logits)) + alpha / logits.size) for logits in pair)
    slack = 1e-12 * (1 + np.abs(pair[0]).max() + np.abs(pair[1]).max())
    assert np.abs(first - second).max() <= oscillation(pair[0] - pair[1]) + slack


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1), scales)
def test_lemma_3_the_joint_loss_is_implicit_plus_explicit(items: int, levels: int, seed: int, scale: float) -> None:
    joint = np.exp(-cross_entropy(np.random.default_rng(seed).normal(size=items * levels) * min(scale, 50.0)))
    table = joint.reshape(items, levels)
    consume = table.sum(axis=1)
    explicit = table / consume[:, None]
    with np.errstate(divide="ignore"):
        split = -np.log(consume)[:, None] - np.log(explicit)
        whole = -np.log(table)
    finite = np.isfinite(whole)
    np.testing.assert_allclose(split[finite], whole[finite], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("log_probabilities", "cells", "alpha", "sentence"),
    [
        ([], [], 0.1, "at least one"),
        ([0.0, -1.0], [3], 0.1, "one for each"),
        ([math.nan], [3], 0.1, "NaN"),
        ([0.5], [3], 0.1, "at most 0"),
        ([-1.0], [0], 0.1, "at least 1"),
        ([-1.0], [3], 0.0, "strictly between"),
        ([-1.0], [3], 1.0, "strictly between"),
        ([-1.0], [3], math.nan, "strictly between"),
    ],
)
def test_bad_held_out_data_is_refused(log_probabilities, cells, alpha: float, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        smoothed_losses(np.array(log_probabilities, dtype=float), np.array(cells, dtype=np.int64), alpha)


def test_a_probability_of_zero_costs_the_top_of_the_range() -> None:
    smoothed = smoothed_losses(np.array([-math.inf]), np.array([10]), 0.1)
    assert smoothed.losses[0] == pytest.approx(math.log(100))
