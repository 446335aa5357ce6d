"""Benchmarks report ratios; no test judges a time."""

import pytest

from conv4rec_experiments.benchmarks.encode import encode_ratios
from conv4rec_experiments.benchmarks.norms import norm_ratios


def test_ratios_are_positive_and_relative_to_the_smallest_catalogue() -> None:
    rows = list(encode_ratios(items=(60, 120)))
    assert [row["items"] for row in rows] == [60, 120]
    assert rows[0]["ours over smallest"] == 1
    assert all(row["dense over ours"] > 0 for row in rows)


def test_the_certified_end_is_above_the_decomposition() -> None:
    (row,) = norm_ratios(shapes=((40, 7),))
    assert row["svd over ours"] > 0
    assert row["relative excess"] == pytest.approx(0, abs=1e-8)
    assert row["relative excess"] > -1e-14
