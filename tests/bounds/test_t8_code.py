"""T8-code: every step of its proof on cases that can be enumerated, and what only it promises."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from conv4rec_bounds import Budget, Compressed, RefusedError
from conv4rec_bounds.betting import betting_upper, number_of_bets
from conv4rec_bounds.inversions import KL_UPPER
from conv4rec_bounds.rounding import surprisal
from conv4rec_bounds.theorems.t8_code import COMPRESSED, CompressedRisk, file_weight
from theorem_rows.common import CELLS, DELTA
from theorem_rows.t8_code import FULL, file

unit = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
pools = st.lists(unit, min_size=1, max_size=5)


def kl(u: float, p: float) -> float:
    """Return the divergence for p strictly between 0 and 1."""
    return sum(a * math.log(a / b) if a > 0 else 0.0 for a, b in ((u, p), (1 - u, 1 - p)))


def test_step_1_the_weights_of_all_files_sum_to_one() -> None:
    for longest in (0, 1, 7, 50):
        total = sum(256**length * file_weight(length) for length in range(longest + 1))
        assert total == 1 - Fraction(1, longest + 2)


@given(st.integers(0, 10**5), st.floats(1e-9, 0.5))
def test_the_price_in_the_formula_is_that_of_the_weight(length: int, delta: float) -> None:
    inputs = {"N": 1, "delta": delta, "B": length, "Lhat": 1.0, "l_min": 0.0, "l_max": 2.0, "V_W": 1.0}
    price = float(COMPRESSED.enclose(**inputs)["c"])
    assert price == pytest.approx(surprisal(Fraction(delta) / 2 * file_weight(length)), rel=1e-12)


@given(st.lists(st.tuples(unit, unit, unit), min_size=1, max_size=7), st.floats(0.01, 6))
def test_step_2_the_lower_tail_of_unlike_variables(laws: list[tuple[float, float, float]], price: float) -> None:
    """Each variable is one of two values with a chance of its own; all outcomes are enumerated."""
    mean = float(np.mean([chance * a + (1 - chance) * b for a, b, chance in laws]))
    missed = 0.0
    for places in product((0, 1), repeat=len(laws)):
        values = [law[place] for law, place in zip(laws, places, strict=True)]
        chance = math.prod(law[2] if place == 0 else 1 - law[2] for law, place in zip(laws, places, strict=True))
        average = float(np.mean(values))
        if 0 < mean < 1 and average <= mean - 1e-12 and len(laws) * kl(average, mean) >= price:
            missed += chance
    assert missed <= math.exp(-price) * (1 + 1e-9)


@given(st.lists(st.tuples(pools, st.integers(1, 5)), min_size=1, max_size=3), st.floats(0, 8), st.floats(0, 1))
def test_steps_2_and_3_in_pools_of_several_users(users: list[tuple[list[float], int]], rate: float, bet: float) -> None:
    """Subsets of each user's pool, all of them; the users are independent."""
    taken = [(np.array(pool), min(size, len(pool))) for pool, size in users]
    total = sum(size for _, size in taken)
    mean = sum(size * pool.mean() for pool, size in taken) / total

    def expected(factors: list[np.ndarray]) -> float:
        parts = (
            np.mean([math.prod(chosen) for chosen in combinations(each.tolist(), size)])
            for each, (_, size) in zip(factors, taken, strict=True)
        )
        return float(math.prod(parts))

    moment = expected([np.exp(-rate * pool) for pool, _ in taken])
    assert moment <= (1 - mean * -math.expm1(-rate)) ** total * (1 + 1e-9)
    if mean < 1 - 1e-6:
        assert expected([1 - bet + bet * (1 - pool) / (1 - mean) for pool, _ in taken]) <= 1 + 1e-9


@given(st.floats(0.01, 0.8), st.integers(2, 400), st.integers(0, 400))
def test_step_3_the_betting_end_at_the_price_of_a_file(loss: float, size: int, length: int) -> None:
    """Equal losses have a capital that can be written down; its root is found in logarithms."""
    length = min(length, size)
    # A multiple of 1/1024 is a point of the grid, so the split moves nothing.
    height = 1 - round(loss * 1024) / 1024
    weight = Fraction(1, 40) * file_weight(length)
    bets = 2.0 ** -np.arange(number_of_bets(size))

    def log_capital(v: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.logaddexp.reduce(size * np.log(1 - bets + bets * height / v)) - math.log(bets.size))

    root = brentq(lambda log_v: log_capital(math.exp(log_v)) - surprisal(weight), -690, math.log(height))
    found = betting_upper(np.full(size, 1 - height), weight)
    assert 1 - math.exp(root) - 1e-12 <= found <= 1 - math.exp(root) + 1e-6


@given(st.lists(st.floats(-12, 0), min_size=1, max_size=30), st.integers(0, 400))
def test_the_value_is_the_closer_of_two_bounds_and_stays_in_the_range(logs: list[float], length: int) -> None:
    given_file = file(logs, length)
    certificate = CompressedRisk().evaluate(replace(FULL, compressed=given_file), Fraction(DELTA), Budget(DELTA))
    losses = given_file.losses
    assert losses.losses.mean() <= certificate.value <= losses.high
    width = losses.high - losses.low
    share = min(1.0, max(0.0, (losses.losses.mean() - losses.low) / width))
    by_kl = losses.low + width * KL_UPPER.number(u=share, c=certificate.quantities["c"])
    assert certificate.value <= by_kl + 1e-9
    assert math.fsum(certificate.attribution.values()) == certificate.terms["deviation"]
    assert sum(certificate.quantities[f"bits of {part}"] for part in given_file.bits) == 8 * length


def test_betting_feels_the_spread_of_the_losses_and_kl_the_range_only() -> None:
    logs = np.log(np.random.default_rng(1).uniform(0.05, 0.3, size=2000))
    certificate = CompressedRisk().evaluate(replace(FULL, compressed=file(logs, 5)), Fraction(DELTA), Budget(DELTA))
    assert certificate.quantities["Delta_W"] < certificate.quantities["Delta_K"] / 2


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"length": 4}, "parts"),
        ({"length": 2.5}, "whole number"),
        ({"length": -1}, "at least"),
        ({"bits": {"header": -8, "encode": 32}}, "parts"),
        ({"uniform_risk": math.nan}, "uniform law's mean loss is nan"),
        ({"smoothing": 0.0}, "strictly between 0 and 1"),
        ({"log_probabilities": np.array([math.nan, -1.0])}, "is NaN"),
        ({"log_probabilities": np.array([0.5, -1.0])}, "at most 0"),
        ({"log_probabilities": np.empty(0), "cells": np.empty(0, dtype=int)}, "at least one"),
    ],
)
def test_files_that_cannot_be_are_refused(changed: dict[str, object], words: str) -> None:
    whole = {"log_probabilities": np.array([-1.0, -2.0]), "cells": np.full(2, CELLS), "smoothing": 0.01, "length": 3}
    whole |= {"bits": {"header": 16, "encode": 8}, "uniform_risk": 3.0}
    assert Compressed(**whole).length == 3
    with pytest.raises(RefusedError, match=words):
        Compressed(**whole | changed)
