"""The peers of the fits' benchmark descend, and its rows say what arrived."""

import numpy as np
import torch

from conv4rec_experiments.benchmarks.fits import Problem, adam, fit_rows, lbfgs
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.truths import small_truth

COUNTS = torch.tensor([[[3.0, 1.0]], [[1.0, 1.0]]], dtype=torch.float64)
ENTROPIES = [-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), np.log(2)]


def problem(goals: list[float]) -> Problem:
    """Two samples of two cells, each from two starts; the maximum is the entropy of the sample."""
    likelihood = Likelihood(np.ones((1, 2, 1)), channels=1, code=1)
    owner = torch.tensor([0, 0, 1, 1])
    theta = torch.as_tensor(np.random.default_rng(0).standard_normal((4, likelihood.size)))
    frequencies = COUNTS / COUNTS.sum((1, 2), keepdim=True)
    return Problem(likelihood, frequencies[owner], theta, owner, torch.tensor(goals, dtype=torch.float64))


def test_the_peers_arrive_where_a_goal_can_be_reached() -> None:
    goals = [entropy + 1e-6 for entropy in ENTROPIES]
    for peer in (lbfgs, adam):
        losses = peer(problem(goals), 20.0)
        assert (losses <= torch.tensor(goals)).all()
        assert (losses >= torch.tensor(ENTROPIES) - 1e-12).all()


def test_a_peer_that_cannot_arrive_stops_at_its_limit_near_the_maximum() -> None:
    losses = lbfgs(problem([0.0, 0.0]), 0.5)
    np.testing.assert_allclose(losses, ENTROPIES, atol=1e-9)


def test_rows_say_who_arrived_and_what_is_left() -> None:
    rows = list(fit_rows(sizes=(1_000_000,), samples=2, patience=0.5, truth=small_truth(0)))
    assert [row["method"] for row in rows] == ["ours", "L-BFGS", "L-BFGS, screened starts free", "Adam"]
    assert rows[0]["arrived"] == "2 of 2"
    assert rows[-1]["arrived"] == "0 of 2"
    assert str(rows[-1]["seconds per arrival"]).startswith("did not arrive in")
    assert rows[-1]["largest excess left, in rank/(2N)"] > 1e-3
