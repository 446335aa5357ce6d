r"""Finite covers of classes of networks, and the price of radii that were read off the weights (Lemma 7).

Class :math:`s \in \mathbb N^{\text{layers}}` holds the networks with
:math:`\|\theta_l\|_l \le \rho_l = \rho_0\, 2^{s_l/4}`, each layer in its own norm. Its weight is
:math:`\prod_l 1/((s_l+1)(s_l+2))`; all weights add up to one, so a union over all classes costs
:math:`\sum_l \log((s_l+1)(s_l+2))` and the smallest class that holds the trained network may be used.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy
from flint import arb

from conv4rec_bounds.geometry import (
    LAYERS,
    RADIUS,
    Network,
    code_cap,
    sensitivities,
    size_definitions,
)
from conv4rec_bounds.rounding import Number, ceil_float, split_exactly, surprisal

__all__ = ["BASE_RADIUS", "EXAMPLE", "Cover", "RadiusClass", "cover_definitions", "grid_index"]

BASE_RADIUS = Fraction(1, 8)
STEPS_PER_OCTAVE = 4

eps = sympy.Symbol("epsilon", positive=True)
parameters_total = sympy.Symbol("p", positive=True)
complexity_total = sympy.Symbol("C", positive=True)
radius_price = sympy.Symbol("P", positive=True)


CODES = "codes"
"""The codes of all users, where a theorem takes them for free parameters (T4)."""

LETTER: Mapping[str, str] = {name: layer.letter for name, layer in LAYERS.items()} | {CODES: "H"}
RADII: Mapping[str, sympy.Symbol] = {**RADIUS, CODES: sympy.Symbol("rho_H", positive=True)}


def _symbol(prefix: str, layer: str, **assumptions: bool) -> sympy.Symbol:
    return sympy.Symbol(f"{prefix}_{LETTER[layer]}", **assumptions)


INDEX = {name: _symbol("s", name, nonnegative=True) for name in LETTER}
COUNT = {name: _symbol("p", name, positive=True) for name in LETTER}
COMPLEXITY = {name: _symbol("C", name, positive=True) for name in LETTER}


def radius_definitions(names: Iterable[str]) -> dict[sympy.Symbol, sympy.Expr]:
    r"""Return the radii :math:`\rho_l = \tfrac18 2^{s_l/4}` of a class.

    >>> radius_definitions(["lift"])
    {rho_K: 2**(s_K/4)/8}
    """
    return {RADII[name]: sympy.Rational(1, 8) * 2 ** (INDEX[name] / STEPS_PER_OCTAVE) for name in names}


def log_cardinality(constants: Mapping[str, sympy.Expr]) -> dict[sympy.Symbol, sympy.Expr]:
    r"""Return :math:`p`, each :math:`C_l`, :math:`C(\epsilon)` and :math:`P` of layers with constants :math:`c_l`.

    The constants are those of :math:`\|Z-Z'\|_\infty \le \sum_l c_l\|\theta_l-\theta'_l\|`.

    >>> for name, size in log_cardinality({"cell_bias": sympy.Integer(1)}).items():
    ...     print(name, "=", size)
    p = p_B
    C_B = p_B*log(ceiling(p*rho_B/(epsilon*p_B)))
    C = C_B
    P = log((s_B + 1)*(s_B + 2))
    """
    definitions = {parameters_total: sum((COUNT[name] for name in constants), start=sympy.Integer(0))}
    for name, constant in constants.items():
        ratio = RADII[name] * constant * parameters_total / (eps * COUNT[name])
        size = sympy.ceiling(ratio) if name == "cell_bias" else 1 + 2 * ratio
        definitions[COMPLEXITY[name]] = COUNT[name] * sympy.log(size)
    definitions[complexity_total] = sum((COMPLEXITY[name] for name in constants), start=sympy.Integer(0))
    definitions[radius_price] = sum(
        (sympy.log((INDEX[name] + 1) * (INDEX[name] + 2)) for name in constants), start=sympy.Integer(0)
    )
    return definitions


def cover_definitions(present: tuple[str, ...]) -> dict[sympy.Symbol, sympy.Expr]:
    r"""Return, symbolically, a cover of a class whose logits are within ``epsilon`` in the sup norm.

    Layer :math:`l` gets the share :math:`p_l/p` of the resolution, :math:`\epsilon_l = \epsilon p_l/(p c_l)`: it
    minimises :math:`\sum_l p_l\log(1/\epsilon_l)` under :math:`\sum_l c_l\epsilon_l = \epsilon`. The log-cardinality
    is :math:`p_l\log(1+2\rho_l/\epsilon_l)` in a norm, and :math:`p_B\log\lceil\rho_B/\epsilon_B\rceil` for the
    box of the cell bias. All centres lie in the class, so its radii hold for them.
    """
    return radius_definitions(present) | size_definitions(present) | log_cardinality(sensitivities(present))


EXAMPLE: dict[str, Number] = {
    "h_max": math.sqrt(2 * 8),
    **{f"s_{LAYERS[name].letter}": index for name, index in zip(LAYERS, (12, 16, 8, 8, 12, 4, 20), strict=True)},
    **{
        f"p_{LAYERS[name].letter}": size
        for name, size in zip(LAYERS, (10, 16_000, 16, 16_000, 10, 80, 5_000), strict=True)
    },
}
"""A cover's inputs for 1,000 items, 5 levels, 2 channels, code 8, all layers: the example of several theorems."""


def grid_index(norm: float) -> int:
    r"""Return the least :math:`s \ge 0` with :math:`\rho_0 2^{s/4} \ge` ``norm``, decided in exact arithmetic.

    >>> grid_index(0.125), grid_index(0.126), grid_index(1.0), grid_index(1.0000001)
    (0, 1, 12, 13)
    """
    fourth_power = (Fraction(norm) / BASE_RADIUS) ** STEPS_PER_OCTAVE
    if fourth_power <= 1:
        return 0
    # The integer logarithm of an exact ratio: ceil(log2 x) = bit length of ceil(x) - 1.
    return (math.ceil(fourth_power) - 1).bit_length()


@dataclass(frozen=True)
class RadiusClass:
    """The smallest class of the grid that holds a network.

    Attributes
    ----------
    norms
        Certified upper ends of each layer's norm.
    index
        The class index of each layer.
    """

    norms: Mapping[str, float]
    index: Mapping[str, int]

    @classmethod
    def of(cls, network: Network) -> "RadiusClass":
        """Measure the norms of a network and look up its class."""
        measured = {name: LAYERS[name].upper_norm(network.weights[name]) for name in network.layers}
        return cls(measured, {name: grid_index(norm) for name, norm in measured.items()})


@dataclass(frozen=True)
class Cover:
    """The inputs that a theorem's formula needs about the class of one network."""

    network: Network
    radii: RadiusClass

    @classmethod
    def of(cls, network: Network) -> "Cover":
        """Build the cover of the smallest class that holds the network."""
        return cls(network, RadiusClass.of(network))

    def inputs(self) -> dict[str, Number]:
        """Return the values of the symbols, all of them functions of sizes and class index only."""
        values: dict[str, Number] = {str(code_cap): self.network.code_cap}
        for name in self.network.layers:
            values[str(INDEX[name])] = self.radii.index[name]
            values[str(COUNT[name])] = self.network.parameters(name)
        return values

    def attribute(
        self, term: float, balls: Mapping[str, arb], delta: Fraction, distances: Mapping[str, int] | None = None
    ) -> dict[str, float]:
        """Split a term over the layers' complexities, the price of their radii, and the confidence.

        A layer's share counts the cover of the layer and the price of its radius, and that of the class index of its
        distance to a reference where there is one. The parts add up exactly.
        """
        nats = {
            name: ceil_float(balls[str(COMPLEXITY[name])]) + math.log((index + 1) * (index + 2))
            for name, index in self.radii.index.items()
        }
        for name, index in ({} if distances is None else distances).items():
            nats[name] += math.log((index + 1) * (index + 2))
        nats["confidence"] = surprisal(delta)
        return dict(zip(nats, split_exactly(term, list(nats.values())), strict=True))

    def norm_quantities(self) -> dict[str, float]:
        """Return each layer's certified norm under the name ``norm_`` and its letter."""
        return {f"norm_{LETTER[name]}": norm for name, norm in self.radii.norms.items()}
