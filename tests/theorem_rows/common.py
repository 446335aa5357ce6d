"""Evidence and random inputs that several rows share."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from conv4rec_bounds import Budget, Evidence, HeldOut, Network, Protocol, Scored
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.theorems.base import Theorem

DELTA = 0.05
REPLICATES = 1000
CELLS = 18


def network(scale: float = 0.7, seed: int = 0, **sizes: int) -> Network:
    """Return a random network with every layer: 6 items and 3 levels unless told otherwise."""
    shape = {"item": 6, "level": 3, "channel": 2, "code": 2} | sizes
    rng = np.random.default_rng(seed)
    weights = {name: scale * rng.normal(size=[shape[axis] for axis in layer.axes]) for name, layer in LAYERS.items()}
    return Network(weights, "identity", "tanh")


def held_out(size: int, seed: int = 0, **options: object) -> HeldOut:
    log_probabilities = np.log(np.random.default_rng(seed).uniform(0.01, 0.9, size=size))
    return HeldOut(log_probabilities, np.full(size, CELLS), **options)  # pyright: ignore


def scored_evidence(size: int = 10_000) -> Evidence:
    """Return a network with a scored part, on a known truth."""
    return Evidence(
        cells=CELLS,
        protocol=Protocol("independent"),
        network=network(),
        scored=Scored(size, risk=2.0, truth_risk=2.001, users=50),
    )


def with_hidden_layer() -> Network:
    wider = {"encode": np.ones((2, 6, 5)), "code_bias": np.ones((2, 5)), "hidden.0.weight": np.ones((4, 10))}
    return Network({**network().weights, **wider}, "identity", "tanh")


def unrefused_value(theorem: Theorem, evidence: Evidence) -> float:
    """Evaluate a theorem whether it would refuse or not, with all of delta to itself."""
    value = theorem.evaluate(evidence, Fraction(DELTA), Budget(DELTA)).value
    assert value is not None
    return value


def certified_value(theorem: Theorem, evidence: Evidence) -> float:
    """Evaluate a theorem on evidence that it accepts, with all of delta to itself."""
    assert theorem.refusal(evidence) is None
    return unrefused_value(theorem, evidence)


indices, sizes = st.integers(0, 80), st.integers(1, 10**7)
confidences = st.floats(1e-9, 0.5)
risks = st.floats(0, 50)


@st.composite
def cover_inputs(draw: st.DrawFn) -> dict[str, float]:
    """Draw the inputs of a cover: class indices, parameter counts, the code's cap, N and delta."""
    values: dict[str, float] = {"h_max": draw(st.one_of(st.just(math.inf), st.floats(1, 40)))}
    for layer in LAYERS.values():
        values |= {f"s_{layer.letter}": draw(indices), f"p_{layer.letter}": draw(sizes)}
    return values | {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences)}


@st.composite
def held_out_inputs(draw: st.DrawFn) -> dict[str, float]:
    """Draw a range of losses, their mean, N and delta."""
    low = draw(st.floats(0, 1))
    values = {"l_min": low, "l_max": low + draw(st.floats(1e-6, 50)), "lbar": draw(st.floats(0, 50))}
    return values | {"N": draw(st.integers(2, 10**9)), "delta": draw(confidences)}
