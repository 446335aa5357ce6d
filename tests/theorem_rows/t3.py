"""T3."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Network, Protocol, UserMeans
from conv4rec_bounds.geometry import LAYERS, logits
from conv4rec_bounds.theorems.t3_new_users import NewUsers
from theorem_rows.common import (
    CELLS,
    REPLICATES,
    certified_value,
    cover_inputs,
    risks,
    scored_evidence,
    unrefused_value,
    with_hidden_layer,
)
from theorem_rows.row import Row

ITEMS, NETWORKS, POPULATION = 6, 50, 200
NEW_USERS = Protocol("neither", users="independent")


def evidence(size: int = 10_000) -> Evidence:
    protocol = Protocol("independent", users="independent")
    return replace(scored_evidence(), protocol=protocol, user_means=UserMeans(size, 2.0))


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    q, size = certificate.quantities, given.user_means.size
    high, low = (math.log1p((CELLS - 1) * math.exp(sign * q["w"])) for sign in (1, -1))
    return 2.0 + 4 * q["epsilon"] + (high - low) * math.sqrt((q["C"] + q["P"] + math.log(20)) / (2 * size))


@cache
def networks() -> list[Network]:
    rng = np.random.default_rng(12)
    shapes = {name: [ITEMS if axis == "item" else 1 for axis in layer.axes] for name, layer in LAYERS.items()}
    chosen = ("lift", "encode", "decode", "project", "cell_bias")
    drawn = [{name: 0.3 * rng.normal(size=shapes[name]) for name in chosen} for _ in range(NETWORKS)]
    return [Network(weights, "identity", "tanh") for weights in drawn]


@cache
def population(*, masked: bool, self_reconstruction: bool) -> np.ndarray:
    """Return each network's mean loss on each user of a population, NaN for users with nothing scored.

    A user likes one item and repeats himself: his interactions are as dependent as can be.
    """
    rng = np.random.default_rng(3)
    table = np.full((NETWORKS, POPULATION), np.nan)
    for user in range(POPULATION):
        open_cells = int(rng.integers(1, ITEMS + 1)) if masked else ITEMS
        scored = np.repeat(rng.integers(open_cells, size=rng.integers(3)), rng.integers(1, 4))
        if scored.size == 0:
            continue
        profile = np.zeros((ITEMS, 1))
        profile[scored if self_reconstruction else rng.integers(ITEMS, size=2)] = 1.0
        for index, network in enumerate(networks()):
            reached = logits(network, profile)[:open_cells, 0]
            table[index, user] = np.logaddexp.reduce(reached) - reached[scored].mean()
    return table


def best_of_fifty(
    table: np.ndarray, rng: np.random.Generator, size: int, *, masked: bool, protocol: Protocol
) -> tuple[Evidence, float]:
    """Draw users, choose the network that is best on them; return its evidence and its risk on a new user."""
    drawn = table[:, rng.integers(POPULATION, size=size)]
    drawn = drawn[:, ~np.isnan(drawn[0])]
    best = int(drawn.mean(axis=1).argmin())
    found = Evidence(
        cells=ITEMS,
        protocol=protocol,
        network=networks()[best],
        user_means=UserMeans(drawn.shape[1], float(drawn[best].mean()), masked=masked),
    )
    return found, float(np.nanmean(table[best]))


def replicates() -> Iterator[tuple[float, float]]:
    """Users with masks of every size, who repeat themselves."""
    rng, table = np.random.default_rng(21), population(masked=True, self_reconstruction=False)
    for _ in range(REPLICATES):
        found, risk = best_of_fifty(table, rng, 60, masked=True, protocol=NEW_USERS)
        yield certified_value(NewUsers(), found), risk


def clones() -> Iterator[tuple[float, float]]:
    """Copy three users a million times: the sample is far smaller than it looks."""
    rng, table = np.random.default_rng(22), population(masked=False, self_reconstruction=False)
    for _ in range(100):
        found, risk = best_of_fifty(table, rng, 6, masked=False, protocol=Protocol("neither"))
        copied = replace(found, user_means=UserMeans(found.user_means.size * 10**6, found.user_means.risk))
        yield unrefused_value(NewUsers(), copied), risk


ROW = Row(
    theorem=NewUsers(),
    inputs=st.builds(
        lambda cover, fewest, more, eps, risk: (
            cover | {"q_min": fewest, "q_max": max(fewest + more, 2), "epsilon": eps, "Lhat": risk}
        ),
        cover_inputs(),
        st.one_of(st.just(1), st.integers(1, 10**7)),
        st.integers(0, 10**7),
        st.floats(1e-9, 10),
        risks,
    ),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, protocol=Protocol("independent")), "declare users='independent'"),
        (replace(FULL, user_means=None), "no mean loss by user"),
        (replace(FULL, network=None), "no weights"),
        (replace(FULL, network=with_hidden_layer()), "hidden layers"),
    ),
    rises_in=("q_max", "Lhat", *(f"s_{layer.letter}" for layer in LAYERS.values())),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": clones},
)
