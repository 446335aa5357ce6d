"""Monte Carlo coverage of every theorem (`theorem_rows`), its mutation, and what refusals prevent.

A test fails only if so many misses are all but impossible (binomial tail under delta below 1e-6); the same bound
divided by 1.1 times its median tightness must fail it.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from attacks import covered, covered_when_shrunk, larger_and_smaller
from conv4rec_bounds import Evidence, HeldOut, Network, Protocol, Scored
from conv4rec_bounds.geometry import logits
from conv4rec_bounds.theorems.base import Theorem
from conv4rec_bounds.theorems.t1_parameter_count import ParameterCount
from conv4rec_bounds.theorems.t2_norms import Norms
from conv4rec_bounds.theorems.t9_finite_pool import HeldOutPool
from conv4rec_experiments.fits.fitting import State
from conv4rec_experiments.studies.coverage import QUICK, coverage, shrunk
from theorem_rows import ROWS
from theorem_rows.blind_fits import blind_fits
from theorem_rows.common import DELTA, REPLICATES, certified_value

TESTS = Path(__file__).parents[1]
COVERED = [number for number, row in ROWS.items() if row.replicates is not None]
DEMONSTRATED = [(number, name) for number, row in ROWS.items() for name in row.unrefused]


@pytest.mark.parametrize("number", COVERED)
def test_the_bound_holds_as_often_as_it_says(number: str) -> None:
    assert covered(number).replicates >= REPLICATES
    assert covered(number).holds


@pytest.mark.parametrize("number", COVERED)
def test_a_shrunk_bound_fails(number: str) -> None:
    assert not covered_when_shrunk(number).holds


@pytest.mark.parametrize(("number", "assumption"), DEMONSTRATED)
def test_unrefused_the_number_would_be_wrong(number: str, assumption: str) -> None:
    row = ROWS[number]
    assert assumption in {known.name for known in row.theorem.assumptions}
    assert not coverage(*larger_and_smaller(row, row.unrefused[assumption]()), DELTA).holds


def test_every_theorem_is_covered_or_says_which_test_checks_it() -> None:
    for row in ROWS.values():
        if row.replicates is None:
            file, name = row.instead.split("::")
            assert f"def {name}(" in (TESTS / file).read_text(encoding="utf-8")
        if not row.theorem.deterministic:
            assert row.unrefused or row.instead


def pool_replicates(theorem: Theorem) -> Iterator[tuple[float, float]]:
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
            scored=Scored(60, float(loss[best, scored].mean()), users=np.unique(owner[scored]).size),
        )
        yield certified_value(theorem, evidence), float(own_pool[best, owner[scored]].mean())


@pytest.mark.parametrize("theorem", [ParameterCount(), Norms()], ids=["T1", "T2"])
def test_a_bound_for_all_weights_holds_for_the_users_own_pools_under_unequal_masks(theorem: Theorem) -> None:
    bounds, targets = np.array(list(pool_replicates(theorem))).T
    measured = coverage(bounds, targets, DELTA)
    assert measured.holds
    assert not coverage(shrunk(bounds, 1.1 * measured.tightness[1]), targets, DELTA).holds


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
        yield certified_value(HeldOutPool(), Evidence(cells=10**6, protocol=protocol, pool_sample=part)), target


def test_the_pool_bound_holds_when_users_have_unequal_cells() -> None:
    bounds, targets = np.array(list(unequal_pool_replicates())).T
    measured = coverage(bounds, targets, DELTA)
    assert measured.holds
    assert not coverage(shrunk(bounds, 1.1 * measured.tightness[1]), targets, DELTA).holds


def test_blind_fits_reach_at_least_the_truths_own_likelihood() -> None:
    fits = blind_fits().fits
    # With few counts the maximum may lie at infinity; what both states share is all that T6 needs of a fit.
    assert sum(fit.state in (State.ACCEPTED, State.BOUNDARY) for fit in fits) >= 0.99 * REPLICATES
    assert sum(fit.gradient_norm <= QUICK.tolerance for fit in fits) >= 0.99 * REPLICATES
    assert max(fit.gap for fit in fits) <= 0


def test_t6_misses_none_of_a_thousand_blind_fits() -> None:
    assert covered("T6").misses == 0
