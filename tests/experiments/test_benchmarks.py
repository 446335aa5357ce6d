"""Benchmarks report ratios; no test judges a time."""

import pytest

from conv4rec_bounds import Status, certify
from conv4rec_experiments.benchmarks.certify import held_out_ratios, large_evidence
from conv4rec_experiments.benchmarks.encode import encode_ratios
from conv4rec_experiments.benchmarks.norms import large_norm_ratios, norm_ratios


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


def test_a_large_layer_is_measured_against_its_limit() -> None:
    (row,) = large_norm_ratios(shape=(20, 300))
    assert row["processor time over 10 s"] > 0


def test_held_out_certificates_are_measured_against_their_limit() -> None:
    rows = list(held_out_ratios(size=1000))
    assert [row["certificates"] for row in rows] == ["T9", "T9 and T9-paired", "T9-sequence"]
    assert all(row["time over 2 s"] > 0 for row in rows)


def test_the_large_evidence_is_accepted_by_every_theorem_but_the_one_for_pools() -> None:
    report = certify(large_evidence(items=40, levels=3, channels=2, code=4))
    assert {found.theorem for found in report if found.status is Status.REFUSED} == {"T9-pool"}
