r"""The network as a chain of linear maps with 1-Lipschitz activations, and what published bounds read off it.

A user's profile passes :math:`I_n\otimes K`, the block diagonal of the :math:`E_c^\top`, the block diagonal of the
:math:`D_c` and :math:`I_n\otimes G^\top`; biases are linear maps of the constant 1, and the level offset is a linear
map of the code that is copied to every item.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from flint import arb
from numpy.typing import NDArray

from conv4rec_bounds import norms
from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence import References
from conv4rec_bounds.formula import CertifiedFunction, Formula
from conv4rec_bounds.geometry import LAYERS, RADIUS, Network, code_cap, oscillation_bound, size_definitions
from conv4rec_bounds.loss import LOSS_RANGE

__all__ = [
    "COPIES",
    "DISTANCE",
    "FROBENIUS",
    "SIZE",
    "SPECTRAL",
    "Norms",
    "TwoThirds",
    "code_bound",
    "euclidean_products",
    "live_layers",
    "loss_range",
    "norm",
    "risk_bound",
    "root_of_cube",
]

Array = NDArray[np.floating]

N, delta, M, empirical_risk = sympy.symbols("N delta M Lhat", positive=True)
n, R, C, k = sympy.symbols("n R C k", positive=True)


def _symbols(prefix: str) -> dict[str, sympy.Symbol]:
    return {name: sympy.Symbol(f"{prefix}_{layer.letter}", nonnegative=True) for name, layer in LAYERS.items()}


SPECTRAL = _symbols("sigma")
"""Spectral norms; of the code's bias the Euclidean norm."""
DISTANCE = _symbols("b")
"""(2,1) norms of the distances to the references: over outputs, the sum of the Euclidean norms of incoming weights."""
FROBENIUS = _symbols("f")
"""Frobenius norms of the distances to the references, added up over the maps of a layer."""
SIZE = _symbols("p")
"""Parameter counts."""
COPIES = {name: sympy.Symbol(f"c_{LAYERS[name].letter}", positive=True) for name in ("encode", "decode")}
"""How many channels use one map: all of them if it is shared."""


class TwoThirds(CertifiedFunction):
    r"""The function :math:`x^{2/3}` for :math:`x\ge0`, with its value 0 at 0."""

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the value."""
        (argument,) = arguments
        root: arb = argument.nonnegative_part().root(3)
        return root * root

    @classmethod
    def fast(cls, *arguments: float) -> float:
        """Return the value in floating point."""
        return math.cbrt(arguments[0]) ** 2


def root_of_cube(symbol: sympy.Symbol) -> sympy.Expr:
    r"""Return :math:`x^{3/2}`, written so that it has a value at 0."""
    return sympy.sqrt(symbol**3)


def norm(symbols: Mapping[str, sympy.Symbol], name: str, present: tuple[str, ...]) -> sympy.Expr:
    """Return the symbol of a layer, or zero if the network has no such layer."""
    return symbols[name] if name in present else sympy.Integer(0)


def code_bound(symbols: Mapping[str, sympy.Symbol], present: tuple[str, ...]) -> sympy.Expr:
    r"""Return the bound on the code's norm from norms of lift, encode and code bias, without the activation's cap."""
    lift, encode, bias = (norm(symbols, name, present) for name in ("lift", "encode", "code_bias"))
    return encode * lift + bias


def euclidean_products(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    r"""Return, layer by layer, input norm times distance times the Lipschitz constant from there to the logits.

    All norms are Euclidean. The chain without biases gives :math:`\prod_j\sigma_j\cdot b_l/\sigma_l`. Copying the level
    offset to all items costs :math:`\sqrt n`. Codes lie in the ball of the radius that norms and activation give.

    >>> euclidean_products(("lift", "encode", "decode", "project", "cell_bias"))["decode"]
    b_D*sigma_G*Min(h_max, sigma_E*sigma_K)
    """
    names = ("lift", "encode", "decode", "project", "offset")
    lift, encode, decode, project, offset = (norm(SPECTRAL, name, present) for name in names)
    code = sympy.Min(code_bound(SPECTRAL, present), code_cap)
    reach = project * decode + sympy.sqrt(n) * offset
    factors = {
        "lift": reach * encode,
        "encode": reach * lift,
        "code_bias": reach,
        "decode": project * code,
        "project": decode * code,
        "offset": sympy.sqrt(n) * code,
        "cell_bias": sympy.Integer(1),
    }
    return {name: sympy.expand(factors[name]) * DISTANCE[name] for name in present}


def risk_bound(rademacher: sympy.Expr) -> sympy.Expr:
    r"""Return :math:`\hat L + M(2\mathfrak R + 3\sqrt{\log(2/\delta)/(2N)})`, the loss having a range of length M.

    Symmetrisation and twice the inequality of bounded differences, each with half of delta (after Bartlett, Foster and
    Telgarsky 2017, Lemma 3.1).
    """
    return empirical_risk + M * (2 * rademacher + 3 * sympy.sqrt(sympy.log(2 / delta) / (2 * N)))


@dataclass(frozen=True)
class Norms:
    """Certified upper ends of all norms that published bounds use, by the names of their symbols.

    Attributes
    ----------
    spectral, two_one, frobenius
        Spectral norms, and the two kinds of distances to the references. That of the cell bias is the least over
        constant shifts, which change no loss: at the median for the (2,1) norm, at the mean for the Frobenius norm.
    radii
        The norms of `conv4rec_bounds.geometry.LAYERS`.
    """

    spectral: Mapping[str, float]
    two_one: Mapping[str, float]
    frobenius: Mapping[str, float]
    radii: Mapping[str, float]

    @classmethod
    def of(cls, network: Network, references: References | None = None) -> "Norms":
        """Measure a network; layers without a reference are compared with zero."""
        if network.has_hidden_layers:
            raise RefusedError("published bounds are read for networks without hidden layers; train with hidden=()")
        given = {} if references is None else references.weights
        spectral, two_one, frobenius = {}, {}, {}
        for name in network.layers:
            weights = network.weights[name]
            reference = given.get(name, np.zeros_like(weights))
            pairs = list(zip(_maps(name, weights), _maps(name, reference), strict=True))
            spectral[name] = max(norms.spectral(trained) for trained, _ in pairs)
            if name == "cell_bias":
                difference = np.subtract(*pairs[0], dtype=np.float64)
                two_one[name] = _shifted(norms.two_one, *pairs[0], float(np.median(difference)))
                frobenius[name] = _shifted(norms.frobenius, *pairs[0], float(np.mean(difference)))
            else:
                two_one[name] = _sum([norms.distance(norms.two_one, *pair) for pair in pairs])
                frobenius[name] = _sum([norms.distance(norms.frobenius, *pair) for pair in pairs])
        radii = {name: LAYERS[name].upper_norm(network.weights[name]) for name in network.layers}
        return cls(spectral, two_one, frobenius, radii)


def _maps(name: str, weights: Array) -> list[Array]:
    """Return the linear maps of a layer, one for each channel or one in all, columns standing for outputs."""
    match name:
        case "encode":
            return list(weights)
        case "decode":
            return [channel.T for channel in weights]
        case "code_bias" | "cell_bias":
            return [weights.reshape(1, -1)]
    return [weights.reshape(-1, weights.shape[-1])]


def _sum(parts: list[float]) -> float:
    return parts[0] if len(parts) == 1 else math.nextafter(math.fsum(parts), math.inf)


def _shifted(norm_of: Callable[[Array], float], array: Array, reference: Array, shift: float) -> float:
    """Return an upper end of the norm of array - reference - shift."""
    shifted = reference.astype(np.float64) + shift
    # The sum was rounded entry by entry, by at most half a unit of its last place.
    rounding = math.nextafter(2 * norms.UNIT * norm_of(shifted), math.inf)
    return math.nextafter(norms.distance(norm_of, array, shifted) + rounding, math.inf)


def live_layers(measured: Norms) -> tuple[str, ...]:
    """Return the layers that reach the logits of some network whose norms are at most the measured ones.

    A layer of norm 0 is zero in all of them, and what only passes through it is lost. The cell bias always stays.

    >>> radii = {"lift": 0.0, "encode": 1.0, "decode": 1.0, "project": 1.0, "offset": 1.0, "cell_bias": 1.0}
    >>> live_layers(Norms({}, {}, {}, radii))
    ('cell_bias',)
    >>> live_layers(Norms({}, {}, {}, radii | {"code_bias": 1.0}))
    ('code_bias', 'decode', 'project', 'offset', 'cell_bias')
    """
    alive = {name for name, radius in measured.radii.items() if radius > 0}
    for pair in ({"lift", "encode"}, {"decode", "project"}):
        alive -= set() if pair <= alive else pair
    if not alive & {"lift", "code_bias"} or not alive & {"decode", "offset"}:
        alive = set()
    return tuple(name for name in LAYERS if name in alive | {"cell_bias"})


def loss_range(network: Network, measured: Norms, cells: int) -> float:
    """Return an upper end of the length of the interval that holds every user's losses (Lemmas 1 and 5)."""
    present = network.layers
    definitions = size_definitions(present)
    reach = Formula(value=definitions.pop(oscillation_bound), where=definitions)
    values = {str(RADIUS[name]): measured.radii[name] for name in present}
    oscillation = reach.upper(**values, **{str(code_cap): network.code_cap})
    # One cell, or equal logits: the range is zero, which a ball would miss by its rounding.
    return 0.0 if cells == 1 or oscillation == 0 else LOSS_RANGE.upper(q=cells, w=oscillation)
