"""A study that is killed at random, whole process groups or main processes alone, ends in the same tables."""

from pathlib import Path

from kills import kill_again_and_again


def test_a_study_that_is_killed_again_and_again_ends_in_the_same_tables(tmp_path: Path) -> None:
    outcome = kill_again_and_again(tmp_path, kills=4, seeds=16, seed=2)
    assert outcome.kills == 4
    assert 0 < outcome.of_groups < 4
    assert outcome.equal == {"certificates": True, "groups": True, "measures": True}
    assert outcome.parts == outcome.expected == 16
    assert outcome.leftovers == ()
