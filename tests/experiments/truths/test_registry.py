"""All truths by name: from the smallest size to the largest, and the same bits from the same seed."""

from time import process_time

import numpy as np
import pytest

from conv4rec_experiments.truths import TRUTHS

MADE = [name for name in TRUTHS if name != "from_counts"]
SIZES = [
    {"users": 2, "items": 2, "levels": 1, "profile_items": 1},
    {"users": 6, "items": 5, "levels": 4, "profile_items": 5, "channels": 1, "code": 3},
]


@pytest.mark.parametrize("sizes", SIZES, ids=["smallest", "other"])
@pytest.mark.parametrize("name", MADE)
def test_every_truth_has_a_law_an_entropy_and_samples_at_any_size(name: str, sizes: dict[str, int]) -> None:
    truth = TRUTHS[name](3, **sizes)
    assert truth.profiles.shape == (sizes["users"], sizes["items"], sizes["levels"])
    assert np.isin(truth.profiles, (0, 1)).all()
    assert 0 <= truth.entropy < np.log(truth.cells)
    assert (truth.name, truth.seed) == (name, 3)
    counts = truth.sample(10**9, np.random.default_rng(0))
    assert counts.sum() == 10**9
    assert truth.empirical_risk(counts) == pytest.approx(truth.entropy, abs=1e-3)
    again, other = TRUTHS[name](3, **sizes), TRUTHS[name](4, **sizes)
    assert np.array_equal(truth.law, again.law)
    assert np.array_equal(truth.profiles, again.profiles)
    assert not np.array_equal(truth.law, other.law) or not np.array_equal(truth.profiles, other.profiles)


def test_a_name_of_its_own_keeps_two_truths_of_a_study_apart() -> None:
    for name in MADE:
        assert TRUTHS[name](0, users=2, items=2, levels=1, profile_items=1, name="mine").name == "mine"


def test_the_largest_size_is_sampled_at_a_cost_that_does_not_grow() -> None:
    truth = TRUTHS["reference"](0, users=2_000, items=1_000, levels=5)
    assert truth.law.shape == (2_000, 5_000)
    assert 0 < truth.entropy < np.log(5_000)
    seconds = []
    for size in (10**6, 10**9):
        begin = process_time()
        counts = truth.sample(size, np.random.default_rng(0))
        seconds.append(process_time() - begin)
        assert counts.sum() == size
    assert seconds[1] < 20 * seconds[0]
