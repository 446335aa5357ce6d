"""T4."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Certificate, Evidence, Network, Protocol, Scored
from conv4rec_bounds.geometry import LAYERS, logits
from conv4rec_bounds.theorems.t4_frozen_codes import DECODER, FrozenCodes
from theorem_rows.common import (
    REPLICATES,
    certified_value,
    confidences,
    indices,
    risks,
    scored_evidence,
    sizes,
    unrefused_value,
    with_hidden_layer,
)
from theorem_rows.row import Row

OWN_INPUT = Protocol("independent", profile="self-reconstruction")
LETTERS = ("H", *(LAYERS[name].letter for name in DECODER))


def evidence(size: int = 10_000) -> Evidence:
    return replace(scored_evidence(size), protocol=OWN_INPUT)


FULL = evidence()


def again(given: Evidence, certificate: Certificate) -> float:
    q, size = certificate.quantities, given.scored.size
    assert q["p"] == 50 * 2 * 2 + 6 * 2 * 2 + 2 * 3 + 2 * 2 * 3 + 6 * 3
    return 2.0 + 4 * q["epsilon"] + q["M"] * math.sqrt((q["C"] + q["P"] + math.log(20)) / (2 * size))


@st.composite
def frozen_inputs(draw: st.DrawFn) -> dict[str, float]:
    values: dict[str, float] = {"h_max": draw(st.one_of(st.just(math.inf), st.floats(1, 40)))}
    for letter in LETTERS:
        values |= {f"s_{letter}": draw(indices), f"p_{letter}": draw(sizes)}
    values |= {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences), "q": draw(st.integers(2, 10**7))}
    return values | {"epsilon": draw(st.floats(1e-9, 10)), "Lhat": draw(risks)}


@dataclass(frozen=True)
class Autoencoders:
    """Fifty networks and, for every set of items that a user may show, their losses on every item."""

    networks: tuple[Network, ...]
    losses: np.ndarray
    laws: np.ndarray

    def scored(self, rng: np.random.Generator, each: int) -> tuple[np.ndarray, int, np.ndarray]:
        """Draw every user's items; return each network's empirical risk, the best network and its frozen risk."""
        users, items = self.laws.shape
        counts = rng.multinomial(each, self.laws)
        shown = (counts > 0) @ (1 << np.arange(items))
        frozen = self.losses[:, shown]
        empirical = (frozen * counts).sum(axis=(1, 2)) / (users * each)
        best = int(empirical.argmin())
        return empirical, best, (frozen[best] * self.laws).sum(axis=1)


@cache
def autoencoders() -> Autoencoders:
    """Four users, four items, and networks that lean to what they read: the profile is the scored part itself."""
    items, users = 4, 4
    rng = np.random.default_rng(31)
    networks = []
    for _ in range(50):
        copied = np.eye(items)[None] + 0.5 * rng.normal(size=(2, 1, items, items))
        weights = {
            "lift": np.ones((1, 1)),
            "encode": copied[0],
            "decode": rng.uniform(0, 3) * copied[1],
            "project": np.ones((1, 1)),
            "cell_bias": 0.3 * rng.normal(size=(items, 1)),
        }
        networks.append(Network(weights, "identity", "tanh"))
    reached = np.array(
        [
            [
                logits(network, np.array(shown[::-1], dtype=float)[:, None])[:, 0]
                for shown in product((0, 1), repeat=items)
            ]
            for network in networks
        ]
    )
    losses = np.logaddexp.reduce(reached, axis=2)[:, :, None] - reached
    return Autoencoders(tuple(networks), losses, rng.dirichlet(np.full(items, 0.5), size=users))


def replicates() -> Iterator[tuple[float, float]]:
    """Choose, on the interactions that were also read, the best of fifty autoencoders."""
    rng, known = np.random.default_rng(32), autoencoders()
    for _ in range(REPLICATES):
        empirical, best, risk = known.scored(rng, each=5)
        scored = Scored(20, float(empirical[best]), users=4)
        found = Evidence(cells=4, protocol=OWN_INPUT, network=known.networks[best], scored=scored)
        yield certified_value(FrozenCodes(), found), float(risk.mean())


def repeated() -> Iterator[tuple[float, float]]:
    """Count every interaction a million times: they are not independent, and far fewer than they look."""
    rng, known = np.random.default_rng(33), autoencoders()
    for _ in range(100):
        empirical, best, risk = known.scored(rng, each=2)
        scored = Scored(8 * 10**6, float(empirical[best]), users=4)
        found = Evidence(cells=4, protocol=OWN_INPUT, network=known.networks[best], scored=scored)
        yield unrefused_value(FrozenCodes(), found), float(risk.mean())


def relu_with_hidden_layer() -> Network:
    return replace(with_hidden_layer(), code_activation="relu")


ROW = Row(
    theorem=FrozenCodes(),
    inputs=frozen_inputs(),
    evidence=evidence,
    again=again,
    broken=(
        (replace(FULL, scored=None), "no scored part"),
        (replace(FULL, protocol=Protocol("neither")), "neither independent draws"),
        (replace(FULL, scored=Scored(100, 2.0)), "number of users"),
        (replace(FULL, network=None), "no weights"),
        (replace(FULL, network=relu_with_hidden_layer()), "no lemma bounds its codes"),
    ),
    rises_in=("q", "Lhat", *(f"s_{letter}" for letter in LETTERS)),
    vanishing=("Delta",),
    replicates=replicates,
    unrefused={"A1": repeated},
)
