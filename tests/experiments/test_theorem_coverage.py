"""Monte Carlo coverage of every theorem on known truths, its mutation, and what refusals prevent.

A test fails only if so many misses are all but impossible (binomial tail under delta below 1e-6); the same bound
divided by 1.1 times its median tightness must fail it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from conv4rec_bounds import THEOREMS, Budget, Evidence, HeldOut, Network, Protocol, Scored
from conv4rec_bounds.divergences import total_variation
from conv4rec_bounds.geometry import logits
from conv4rec_experiments.coverage import Replicates, coverage, fits, shrunk
from conv4rec_experiments.fitting import State
from conv4rec_experiments.truths import small_truth, user_mix

DELTA = 0.05
REPLICATES = 1000


@dataclass(frozen=True)
class Measured:
    """Certified values and the exact targets that they bound, one of each for every replicate."""

    bounds: np.ndarray
    targets: np.ndarray


def value(number: str, evidence: Evidence) -> float:
    theorem = next(theorem for theorem in THEOREMS if theorem.number == number)
    assert theorem.refusal(evidence) is None
    return theorem.evaluate(evidence, Fraction(DELTA), Budget(DELTA)).value


@pytest.fixture(scope="module")
def blind_fits() -> Replicates:
    return fits(small_truth(0), size=2000, replicates=REPLICATES, seed=1)


def t1_and_t6(replicates: Replicates) -> Iterator[tuple[float, float, float, float]]:
    truth = replicates.truth
    for index, (counts, fit) in enumerate(zip(replicates.counts, replicates.fits, strict=True)):
        network = Network(replicates.weights(index), truth.lift_activation, truth.code_activation)
        log_law = truth.likelihood.log_law(fit.theta)
        size, mix = int(counts.sum()), user_mix(counts)
        risk = -float((counts * log_law).sum()) / size
        evidence = Evidence(
            cells=truth.cells,
            protocol=Protocol("independent"),
            network=network,
            scored=Scored(size, risk, truth_risk=truth.empirical_risk(counts)),
        )
        exact_risk = -float(mix @ (truth.law * log_law).sum(axis=1))
        distance = total_variation(truth.law, np.exp(log_law), mix)
        yield value("T1", evidence), exact_risk, value("T6", evidence), distance


def t1_pool_replicates() -> Iterator[tuple[float, float]]:
    """Random subsets of a pool, users with unequal masks, and the best on the subset of fifty networks."""
    rng = np.random.default_rng(4)
    users, items, each = 30, 12, 9
    open_items = np.arange(2, items)[np.arange(users) % (items - 2)]
    networks, losses = [], []
    owner = np.repeat(np.arange(users), each)
    cells = np.concatenate([rng.integers(open_items[user], size=each) for user in range(users)])
    for _ in range(50):
        weights = {
            "lift": rng.normal(size=(1, 1)),
            "encode": rng.normal(size=(1, items, 1)),
            "decode": rng.normal(size=(1, items, 1)),
            "project": rng.normal(size=(1, 1)),
            "cell_bias": rng.normal(size=(items, 1)),
        }
        network = Network({name: 0.2 * array for name, array in weights.items()}, "identity", "tanh")
        table = logits(network, np.eye(items)[:, :1])[:, 0]
        normaliser = np.array([np.logaddexp.reduce(table[: open_items[user]]) for user in range(users)])
        networks.append(network)
        losses.append(normaliser[owner] - table[cells])
    loss = np.array(losses)
    own_pool = np.array([np.bincount(owner, weights=row) / each for row in loss])
    for _ in range(REPLICATES):
        scored = rng.choice(owner.size, size=60, replace=False)
        best = int(loss[:, scored].mean(axis=1).argmin())
        evidence = Evidence(
            cells=int(open_items.max()),
            protocol=Protocol("finite pool"),
            network=networks[best],
            scored=Scored(60, float(loss[best, scored].mean())),
        )
        yield value("T1", evidence), float(own_pool[best, owner[scored]].mean())


def test_t1_holds_for_the_users_own_pools_under_unequal_masks() -> None:
    bounds, targets = np.array(list(t1_pool_replicates())).T
    found = coverage(bounds, targets, DELTA)
    assert found.holds
    assert not coverage(shrunk(bounds, 1.1 * found.tightness[1]), targets, DELTA).holds


def skewed_losses(rng: np.random.Generator, size: int) -> np.ndarray:
    """Log-probabilities of a model that is rarely, but then badly, surprised: hard for empirical variances."""
    return np.log(np.where(rng.random(size) < 0.01, 1e-3, 0.3))


def t9_replicates() -> Iterator[tuple[float, float]]:
    rng, cells, alpha = np.random.default_rng(5), 90, 0.01
    losses = -np.log((1 - alpha) * np.array([1e-3, 0.3]) + alpha / cells)
    target = float(np.array([0.01, 0.99]) @ losses)
    for _ in range(REPLICATES):
        part = HeldOut(skewed_losses(rng, 60), np.full(60, cells), smoothing=alpha)
        yield value("T9", Evidence(cells=cells, protocol=Protocol("independent"), held_out=part)), target


def t9_pool_replicates() -> Iterator[tuple[float, float]]:
    rng, cells = np.random.default_rng(6), 90
    pool = HeldOut(skewed_losses(rng, 200), np.full(200, cells))
    target = float(pool.losses.losses.mean())
    for _ in range(REPLICATES):
        chosen = rng.choice(200, size=60, replace=False)
        part = HeldOut(pool.log_probabilities[chosen], pool.cells[chosen], pool=np.full(200, cells))
        yield (
            value("T9-pool", Evidence(cells=cells, protocol=Protocol("finite pool"), pool_sample=part)),
            target,
        )


def unequal_pool_replicates() -> Iterator[tuple[float, float]]:
    """Users whose masks leave them very different numbers of cells: most samples see none of the large ones."""
    rng = np.random.default_rng(9)
    cells = np.array([1] * 900 + [10**6] * 100)
    with np.errstate(divide="ignore"):
        pool = HeldOut(np.log((cells == 1).astype(float)), cells, smoothing=0.5)
    target = float(pool.losses.losses.mean())
    for _ in range(REPLICATES):
        chosen = rng.choice(1000, size=20, replace=False)
        part = HeldOut(pool.log_probabilities[chosen], cells[chosen], smoothing=0.5, pool=cells)
        protocol = Protocol("finite pool")
        yield value("T9-pool", Evidence(cells=10**6, protocol=protocol, pool_sample=part)), target


def test_the_pool_bound_holds_when_users_have_unequal_cells() -> None:
    bounds, targets = np.array(list(unequal_pool_replicates())).T
    found = coverage(bounds, targets, DELTA)
    assert found.holds
    assert not coverage(shrunk(bounds, 1.1 * found.tightness[1]), targets, DELTA).holds


@pytest.fixture(scope="module")
def measured(blind_fits: Replicates) -> dict[str, Measured]:
    t1, risk, t6, distance = (np.array(column) for column in zip(*t1_and_t6(blind_fits), strict=True))
    t9, pool = (np.array(list(rows)).T for rows in (t9_replicates(), t9_pool_replicates()))
    return {"T1": Measured(t1, risk), "T6": Measured(t6, distance), "T9": Measured(*t9), "T9-pool": Measured(*pool)}


every_theorem = pytest.mark.parametrize("number", [theorem.number for theorem in THEOREMS])


@every_theorem
def test_the_bound_holds_as_often_as_it_says(measured: dict[str, Measured], number: str) -> None:
    found = coverage(measured[number].bounds, measured[number].targets, DELTA)
    assert found.replicates >= REPLICATES
    assert found.holds


@every_theorem
def test_a_shrunk_bound_fails(measured: dict[str, Measured], number: str) -> None:
    rows = measured[number]
    tightness = coverage(rows.bounds, rows.targets, DELTA).tightness[1]
    assert not coverage(shrunk(rows.bounds, 1.1 * max(tightness, 1.0)), rows.targets, DELTA).holds


def test_blind_fits_reach_at_least_the_truths_own_likelihood(blind_fits: Replicates) -> None:
    assert sum(fit.state is State.ACCEPTED for fit in blind_fits.fits) >= 0.99 * REPLICATES
    assert max(fit.gap for fit in blind_fits.fits) <= 0


def test_t6_misses_none_of_a_thousand_blind_fits(measured: dict[str, Measured]) -> None:
    assert coverage(measured["T6"].bounds, measured["T6"].targets, DELTA).misses == 0


def test_unrefused_self_reconstruction_would_be_wrong() -> None:
    """An identity on its own input has no training loss and certifies nothing: the number would be far too small.

    With one item a user and self-reconstruction, weights that copy the profile predict the scored cell almost surely; a
    fresh interaction of the same user is elsewhere with probability 9/10.
    """
    items, sharp = 10, 40.0
    identity = np.eye(items)[None]
    network = Network(
        {
            "lift": np.ones((1, 1)),
            "encode": identity,
            "decode": identity * sharp,
            "project": np.ones((1, 1)),
            "cell_bias": np.zeros((items, 1)),
        },
        "identity",
        "identity",
    )
    copied = float(np.log1p((items - 1) * np.exp(-sharp)))
    fresh = copied + sharp * (items - 1) / items
    truth_risk = float(np.log(items))
    size = 10**5
    scored = Scored(size, copied, truth_risk=truth_risk)
    unrefused = Evidence(cells=items, protocol=Protocol("independent"), network=network, scored=scored)
    assert value("T1", unrefused) < fresh
    uniform, sharp_law = np.full((1, items), 1 / items), np.eye(items)[:1]
    assert value("T6", unrefused) < total_variation(uniform, sharp_law, np.ones(1))
    honest = Evidence(items, Protocol("independent", profile="self-reconstruction"), network, scored)
    for theorem in THEOREMS[:2]:
        assert "self-reconstruction" in str(theorem.refusal(honest))


def test_unrefused_touched_data_would_be_wrong() -> None:
    """A table of counts scored on the interactions that it was counted from misses far more often than delta."""
    rng, cells, size, misses = np.random.default_rng(7), 1000, 400, 0
    for _ in range(100):
        drawn = rng.integers(cells, size=size)
        counted = np.bincount(drawn, minlength=cells) / size
        with np.errstate(divide="ignore"):
            part = HeldOut(np.log(counted[drawn]), np.full(size, cells))
        everywhere = -np.log(0.99 * counted + 0.01 / cells)
        misses += (
            value("T9", Evidence(cells=cells, protocol=Protocol("independent"), held_out=part)) < everywhere.mean()
        )
    assert misses == 100


def test_an_inference_from_the_sample_to_training_data_would_be_wrong() -> None:
    """With the training part in the pool, a model fitted to it looks better over the pool than on the sample, or worse
    where the model forgot it: the pool theorem's number says nothing about either."""
    rng, cells = np.random.default_rng(8), 50
    wrong = 0
    for _ in range(100):
        good, bad = np.log(np.full(100, 0.9)), np.log(np.full(900, 1e-3))
        held_out = HeldOut(rng.permutation(good)[:50], np.full(50, cells), pool=np.full(1000, cells))
        everything = HeldOut(np.concatenate([good, bad]), np.full(1000, cells)).losses.losses.mean()
        bound = value("T9-pool", Evidence(cells=cells, protocol=Protocol("finite pool"), pool_sample=held_out))
        wrong += bound < everything
    assert wrong == 100
