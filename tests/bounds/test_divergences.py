"""Lemma 4: the inequalities between affinity, Hellinger, Kullback-Leibler and total variation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec_bounds.divergences import (
    TV_FROM_EXPONENT,
    affinity,
    kullback_leibler,
    squared_hellinger,
    total_variation,
)


@st.composite
def joint_laws(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    users, cells = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = 10.0 ** draw(st.integers(-8, 2))
    truth, model = (rng.dirichlet(np.full(cells, 1.0), size=users) for _ in range(2))
    if draw(st.booleans()):  # nearby laws
        model = (1 - min(sharpness, 1)) * truth + min(sharpness, 1) * model
    if draw(st.booleans()) and cells > 1:  # cells that the truth never uses
        truth[:, 0] = 0.0
        truth /= truth.sum(axis=1, keepdims=True)
    return truth, model, rng.dirichlet(np.ones(users))


@given(joint_laws())
def test_lemma_4_hellinger_bounds_total_variation(laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    hellinger = squared_hellinger(*laws)
    assert total_variation(*laws) <= math.sqrt(hellinger * (2 - hellinger)) + 1e-7
    exponent = -math.log1p(-hellinger) if hellinger < 1 else math.inf
    assert total_variation(*laws) <= TV_FROM_EXPONENT.number(a=exponent) + 1e-7


@given(joint_laws())
def test_lemma_4_pinsker_and_bretagnolle_huber(laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, model, users = laws
    with np.errstate(divide="ignore"):
        divergence = kullback_leibler(truth, np.log(model), users)
    distance = total_variation(*laws)
    assert distance <= math.sqrt(max(divergence, 0.0) / 2) + 1e-7
    assert distance <= math.sqrt(1 - math.exp(-max(divergence, 0.0))) + 1e-7


@given(joint_laws(), st.floats(0.01, 0.99))
def test_lemma_4_gilardoni(laws: tuple[np.ndarray, np.ndarray, np.ndarray], power: float) -> None:
    assert -math.log(affinity(*laws, power)) >= 2 * power * (1 - power) * total_variation(*laws) ** 2 - 1e-9


@given(joint_laws())
def test_lemma_4_hellinger_is_one_minus_the_affinity(laws: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert squared_hellinger(*laws) == pytest.approx(1 - affinity(*laws), abs=1e-12)


@given(joint_laws(), st.floats(0.05, 0.95))
def test_lemma_4_the_mean_of_log_affinities_is_below_the_log_of_the_mean(
    laws: tuple[np.ndarray, np.ndarray, np.ndarray], power: float
) -> None:
    truth, model, users = laws
    each = np.array([affinity(truth[[i]], model[[i]], np.ones(1), power) for i in range(len(users))])
    assert users @ np.log(each) <= math.log(affinity(truth, model, users, power)) + 1e-12


def test_the_hellinger_bound_is_attained_by_two_points() -> None:
    truth, model = np.array([[0.5 + 0.3, 0.5 - 0.3]]), np.array([[0.5 - 0.3, 0.5 + 0.3]])
    hellinger = squared_hellinger(truth, model, np.ones(1))
    assert total_variation(truth, model, np.ones(1)) == pytest.approx(math.sqrt(hellinger * (2 - hellinger)), rel=1e-12)


def test_a_model_that_misses_mass_has_infinite_divergence() -> None:
    assert kullback_leibler(np.array([[0.5, 0.5]]), np.array([[0.0, -math.inf]]), np.ones(1)) == math.inf
    nobody = np.array([1.0, 0.0])
    truth, log_model = np.full((2, 2), 0.5), np.array([[math.log(0.5)] * 2, [0.0, -math.inf]])
    assert kullback_leibler(truth, log_model, nobody) == 0
