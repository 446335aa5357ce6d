r"""Covers taken layer by layer, each at the centres of the layers before, with distances to references (T2).

Beside the norms of T1 a class bounds :math:`\|E-E_0\|_F\le r_E`, :math:`\|D-D_0\|_F\le r_D` and
:math:`\min_c\|B-B_0-c\|_F\le r_B`, with radii on the same grid and at the same price. Layer :math:`l` takes
:math:`\epsilon_l` of the logits' resolution and the smaller of two covers: by volume (Lemma 7) or by Lemma 6.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import sympy
from numpy.typing import NDArray

from conv4rec_bounds.covering import (
    COMPLEXITY,
    COUNT,
    INDEX,
    STEPS_PER_OCTAVE,
    complexity_total,
    eps,
    grid_index,
    radius_definitions,
    radius_price,
)
from conv4rec_bounds.dual_sudakov import Choices, cover_by_maps, cover_by_points
from conv4rec_bounds.evidence import References
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import LAYERS, RADIUS, Network, sensitivities, size_definitions
from conv4rec_bounds.loss import RANGE
from conv4rec_bounds.norms import UNIT, distance, frobenius
from conv4rec_bounds.rounding import Number

__all__ = ["Distances", "best_shares", "nested_definitions"]

Array = NDArray[np.float64]

COMPARED = ("encode", "decode", "cell_bias")
users, items, code_size = sympy.symbols("m n k", positive=True)
SHARE = {name: sympy.Symbol(f"epsilon_{layer.letter}", positive=True) for name, layer in LAYERS.items()}
DISTANCE_INDEX = {name: sympy.Symbol(f"t_{LAYERS[name].letter}", nonnegative=True) for name in COMPARED}
DISTANCE = {name: sympy.Symbol(f"r_{LAYERS[name].letter}", positive=True) for name in COMPARED}
FREE = {
    "encode": sympy.Symbol("u_E", nonnegative=True),
    "decode": sympy.Symbol("u_D", nonnegative=True),
    "cell_bias": sympy.Symbol("v_B", positive=True),
}
MAY_VANISH = frozenset(symbol.name for symbol in FREE.values() if not symbol.is_positive)


def _sizes(present: tuple[str, ...]) -> dict[sympy.Symbol, sympy.Expr]:
    distances = {DISTANCE[name]: 2 ** (DISTANCE_INDEX[name] / STEPS_PER_OCTAVE) / 8 for name in COMPARED}
    return radius_definitions(present) | distances | size_definitions(present)


def nested_definitions(present: tuple[str, ...]) -> dict[sympy.Symbol, sympy.Expr]:
    r"""Return, symbolically, a cover of a class whose logits are within ``epsilon`` for the ``m`` given users.

    The resolution is the sum of the layers' shares :math:`\epsilon_l`; they and the parameters of Lemma 6 may be any
    functions of the class, delta and what the proof conditions on (layers, sizes, m, q, N). With :math:`c_l` from Lemma
    5, encode is covered at ``m`` maps into :math:`k` columns of Frobenius norm at most :math:`\rho_K`, decode at
    ``m n`` maps into one column of norm at most :math:`h` (one for each user and item, before the activation), the cell
    bias at :math:`p_B` unit functionals.
    """
    definitions = _sizes(present) | {eps: sum((SHARE[name] for name in present), start=sympy.Integer(0))}
    maps = {"encode": (users, code_size), "decode": (users * items, sympy.Integer(1))}
    for name, sensitivity in sensitivities(present).items():
        ratio = RADIUS[name] * sensitivity / SHARE[name]
        size = sympy.ceiling(ratio) if name == "cell_bias" else 1 + 2 * ratio
        nats = COUNT[name] * sympy.log(size)
        if name in maps:
            by_norm = cover_by_maps(DISTANCE[name] * sensitivity / SHARE[name], *maps[name], FREE[name])
            nats = sympy.Min(nats, by_norm)
        elif name in COMPARED:
            by_norm = cover_by_points(DISTANCE[name] * sensitivity / SHARE[name], COUNT[name], FREE[name])
            nats = sympy.Min(nats, by_norm)
        definitions[COMPLEXITY[name]] = nats
    definitions[complexity_total] = sum((COMPLEXITY[name] for name in present), start=sympy.Integer(0))
    indices = [INDEX[name] for name in present] + list(DISTANCE_INDEX.values())
    definitions[radius_price] = sum((sympy.log((s + 1) * (s + 2)) for s in indices), start=sympy.Integer(0))
    return definitions


@dataclass(frozen=True)
class Distances:
    """Certified upper ends of the distances of a network to its references, and their classes on the grid.

    Attributes
    ----------
    measured
        Frobenius norms of the differences of encode, decode and cell bias; the latter's up to a constant shift.
    index
        Their class indices.

    Examples
    --------
    >>> ones = dict(lift=np.ones((2, 1)), encode=np.ones((1, 3, 1)), decode=np.ones((1, 3, 1)),
    ...             project=np.ones((1, 2)), cell_bias=np.ones((3, 2)))
    >>> Distances.of(Network(ones, "identity", "tanh"), References({"decode": ones["decode"]})).index
    {'encode': 16, 'decode': 0, 'cell_bias': 0}
    """

    measured: Mapping[str, float]
    index: Mapping[str, int]

    @classmethod
    def of(cls, network: Network, references: References | None) -> "Distances":
        """Measure the distances; a layer without a reference is compared with zero."""
        known = {} if references is None else references.weights
        measured = {}
        for name in COMPARED:
            weights = np.asarray(network.weights[name], dtype=np.float64)
            if name == "cell_bias":
                reference = np.asarray(known.get(name, np.zeros(weights.shape)), dtype=np.float64)
                measured[name] = _distance_up_to_a_shift(weights, reference)
            else:
                measured[name] = distance(frobenius, weights, known[name]) if name in known else frobenius(weights)
        return cls(measured, {name: grid_index(norm) for name, norm in measured.items()})

    def inputs(self) -> dict[str, Number]:
        """Return the values of the symbols of the distances' classes."""
        return {str(DISTANCE_INDEX[name]): index for name, index in self.index.items()}

    def quantities(self) -> dict[str, float]:
        """Return each certified distance under the name ``distance_`` and its letter."""
        return {f"distance_{LAYERS[name].letter}": norm for name, norm in self.measured.items()}


def _distance_up_to_a_shift(array: Array, reference: Array) -> float:
    """Return an upper end of the least distance to the reference plus a constant: that of the mean difference."""
    shifted = reference + float(np.mean(array - reference))
    # The sum is rounded entry by entry, by at most u times its size.
    return math.nextafter(distance(frobenius, array, shifted) + 2 * UNIT * frobenius(shifted), math.inf)


def _constant(name: str) -> sympy.Symbol:
    return sympy.Symbol(f"c_{LAYERS[name].letter}", positive=True)


@cache
def _constants(present: tuple[str, ...]) -> Formula:
    """Return what the choice of the shares needs: radii, Lemma 5's constants, prices and, as the value, the range."""
    constants = {_constant(name): sympy.sympify(value) for name, value in sensitivities(present).items()}
    price = {radius_price: nested_definitions(present)[radius_price]}
    return Formula(value=RANGE, where=_sizes(present) | constants | price)


@dataclass(frozen=True)
class _Roads:
    """Both covers of every layer at all prices of resolution at once."""

    present: tuple[str, ...]
    inputs: Mapping[str, Number]
    constants: Mapping[str, float]

    @cached_property
    def choices(self) -> dict[str, Choices]:
        """The grids of the free parameters of Lemma 6."""
        m, n, k, cells = (float(self.inputs[str(size)]) for size in (users, items, code_size, COUNT["cell_bias"]))
        return {
            "encode": Choices.for_maps(m, k),
            "decode": Choices.for_maps(m * n, 1.0),
            "cell_bias": Choices.for_points(cells),
        }

    def by_volume(self, name: str, prices: Array) -> tuple[Array, Array]:
        """Return resolution and nats of the volume cover that minimise nats + price times resolution."""
        count = float(self.inputs[str(COUNT[name])])
        reach = self.constants[str(RADIUS[name])] * self.constants[str(_constant(name))]
        if name == "cell_bias":
            pieces = np.ceil(np.maximum(reach * prices / count, 1.0))
            # A hair more than the piece's share keeps the ceiling from being reached twice.
            return reach / pieces * (1 + 1e-12), count * np.log(pieces)
        # The root of resolution (resolution + 2 reach) = 2 reach count / price.
        share = count / prices
        resolution = 2 * share / (1 + np.sqrt(1 + 2 * share / reach))
        return resolution, count * np.log1p(2 * reach / resolution)

    def at(self, prices: Array) -> tuple[Array, dict[str, Array]]:
        """Return the bound less the empirical risk, and all shares and free parameters, at each price."""
        chosen: dict[str, Array] = {}
        total, resolution_total = np.zeros(prices.shape), np.zeros(prices.shape)
        for name in self.present:
            resolution, nats = self.by_volume(name, prices)
            if name in COMPARED:
                reach = self.constants[str(DISTANCE[name])] * self.constants[str(_constant(name))]
                other, other_nats, parameter = self.choices[name].at_prices(reach, prices)
                better = other_nats + prices * other < nats + prices * resolution
                resolution, nats = np.where(better, other, resolution), np.where(better, other_nats, nats)
                chosen[str(FREE[name])] = parameter
            chosen[str(SHARE[name])] = resolution
            total, resolution_total = total + nats, resolution_total + resolution
        confidence = self.constants[str(radius_price)] - math.log(self.inputs["delta"])
        deviation = self.constants["value"] * np.sqrt((total + confidence) / (2 * float(self.inputs["N"])))
        return 4 * resolution_total + deviation, chosen

    def cheapest(self, log_prices: Array) -> tuple[float, dict[str, float]]:
        """Return the price, as a logarithm, with the least bound, and what was chosen there, if it is finite."""
        bound, chosen = self.at(np.exp(log_prices))
        usable = np.isfinite(bound)
        for name, values in chosen.items():
            usable &= np.isfinite(values) & ((values > 0) | (name in MAY_VANISH))
        place = int(np.where(usable, bound, math.inf).argmin())
        best = {name: float(values[place]) for name, values in chosen.items()} if usable.any() else {}
        return float(log_prices[place]), best


def best_shares(present: tuple[str, ...], inputs: Mapping[str, Number]) -> dict[str, float]:
    """Return shares of the resolution and parameters of Lemma 6 that make the bound of T2 least.

    At the minimum a further nat buys the same resolution in every layer, so one price is searched for on a grid; the
    choice sees the class, delta and sizes (m, q and N among them), never a measured risk. Weights too large for
    floating point get ones.

    Examples
    --------
    >>> from conv4rec_bounds.covering import EXAMPLE
    >>> more = {"m": 1000, "n": 1000, "k": 8, "t_E": 8, "t_D": 8, "t_B": 16, "N": 10**6, "delta": 0.05, "q": 5000}
    >>> shares = best_shares(tuple(LAYERS), EXAMPLE | more)
    >>> [round(shares[f"epsilon_{letter}"], 2) for letter in "ED"]
    [0.05, 0.11]
    """
    fallback = dict.fromkeys([*(str(SHARE[name]) for name in present), *map(str, FREE.values())], 1.0)
    formula = _constants(present)
    # Balls do not overflow, and the range of one cell is zero in them however large its logit.
    balls = formula.enclose(**{name: inputs[name] for name in formula.inputs})
    roads = _Roads(present, inputs, {name: float(ball) for name, ball in balls.items()})
    coarse = np.arange(math.log(1e-9), math.log(1e18), 0.5)
    with np.errstate(all="ignore"):
        around, _ = roads.cheapest(coarse)
        return roads.cheapest(around + np.linspace(-0.5, 0.5, 41))[1] or fallback
