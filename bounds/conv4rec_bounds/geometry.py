r"""How far the logits of a Conv4Rec network reach and move (Lemma 5).

The forward map of one user with normalised profile :math:`\hat X` (item, level), :math:`\|\hat X\|_F \le 1`:

.. math::
    U = \phi(\hat X K), \quad H_c = \psi(E_c^\top U_{:,c} + a_c), \quad V_{:,c} = \chi(D_c H_c), \quad
    Z = V G + B + \mathbf 1\,\mathrm{vec}(H)^\top O .
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import sympy
from numpy.typing import NDArray

from conv4rec_bounds import norms
from conv4rec_bounds.errors import RefusedError

__all__ = ["ACTIVATIONS", "LAYERS", "Layer", "Network", "logits"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One layer: its letter on the pages, its axes, its norm in words and the norm's certified upper end."""

    letter: str
    axes: tuple[str, ...]
    norm: str

    def upper_norm(self, weights: NDArray[np.floating]) -> float:
        """Return the certified upper end of the layer's own norm."""
        match self.norm:
            case "spectral":
                return norms.spectral(weights)
            case "largest spectral norm of a channel":
                return max(norms.spectral(channel) for channel in weights)
            case "Frobenius":
                return norms.frobenius(weights)
            case "largest row":
                return norms.largest_row(weights)
            case "largest column":
                return norms.largest_column(weights)
        return norms.half_oscillation(weights)


LAYERS: Mapping[str, Layer] = {
    "lift": Layer("K", ("level", "channel"), "spectral"),
    "encode": Layer("E", ("channel", "item", "code"), "largest spectral norm of a channel"),
    "code_bias": Layer("a", ("channel", "code"), "Frobenius"),
    "decode": Layer("D", ("channel", "item", "code"), "largest row"),
    "project": Layer("G", ("channel", "level"), "largest column"),
    "offset": Layer("O", ("channel", "code", "level"), "largest column"),
    "cell_bias": Layer("B", ("item", "level"), "half oscillation"),
}
REQUIRED = ("lift", "encode", "decode", "project", "cell_bias")

ACTIVATIONS: Mapping[str, float] = {"identity": math.inf, "relu": math.inf, "tanh": 1.0, "asinh": math.inf}
"""Activations that are 1-Lipschitz with value 0 at 0, and the bound on their absolute value."""

RADIUS: Mapping[str, sympy.Symbol] = {
    name: sympy.Symbol(f"rho_{layer.letter}", positive=True) for name, layer in LAYERS.items()
}
code_cap = sympy.Symbol("h_max", positive=True)
code_norm = sympy.Symbol("h", positive=True)
oscillation_bound = sympy.Symbol("w", positive=True)


def radius(name: str, present: tuple[str, ...]) -> sympy.Expr:
    """Return the radius symbol of a layer, or zero if the network has no such layer."""
    return RADIUS[name] if name in present else sympy.Integer(0)


def size_definitions(present: tuple[str, ...]) -> dict[sympy.Symbol, sympy.Expr]:
    r"""Return the bounds on the code, :math:`\|H\|_F \le h`, and on the logits, :math:`\mathrm{osc}(Z) \le w`.

    >>> for name, bound in size_definitions(("lift", "encode", "decode", "project", "cell_bias")).items():
    ...     print(name, "=", bound)
    h = Min(h_max, rho_E*rho_K)
    w = 2*h*rho_D*rho_G + 2*rho_B
    """
    kappa, e, a = (radius(name, present) for name in ("lift", "encode", "code_bias"))
    return {
        code_norm: sympy.Min(e * kappa + a, code_cap),
        oscillation_bound: 2 * reach(present) * code_norm + 2 * radius("cell_bias", present),
    }


def reach(present: tuple[str, ...]) -> sympy.Expr:
    r"""Return :math:`\rho_G\rho_D + \rho_O`, the factor with which a change of the code reaches a logit."""
    return radius("project", present) * radius("decode", present) + radius("offset", present)


def sensitivities(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    r"""Return, layer by layer, :math:`c_l` with :math:`\|Z - Z'\|_\infty \le \sum_l c_l \|\theta_l - \theta'_l\|`.

    Each radius bounds the norm of that layer in **both** networks.

    >>> sensitivities(("lift", "encode", "decode", "project", "cell_bias"))["lift"]
    rho_D*rho_E*rho_G
    """
    code = reach(present)
    everything = {
        "lift": code * radius("encode", present),
        "encode": code * radius("lift", present),
        "code_bias": code,
        "decode": radius("project", present) * code_norm,
        "project": radius("decode", present) * code_norm,
        "offset": code_norm,
        "cell_bias": sympy.Integer(1),
    }
    return {name: everything[name] for name in present}


@dataclass(frozen=True)
class Network:
    """The weights of a Conv4Rec network as named arrays, checked at the door.

    Attributes
    ----------
    weights
        ``lift`` (level, channel), ``encode`` and ``decode`` (channel or 1, item, code), ``project``
        (channel, level), ``cell_bias`` (item, level), and optionally ``code_bias`` (channel, code), ``offset``
        (channel, code, level) and hidden layers on the code (``hidden.*``). float32
        arrays are taken as the exact numbers they store.
    lift_activation, code_activation, decode_activation
        ``"identity"``, ``"relu"``, ``"tanh"`` or ``"asinh"``, entry by entry; nothing happens after decode unless it
        is said.

    Raises
    ------
    RefusedError
        If an array is missing, unknown, empty, of the wrong shape, or holds NaN or infinities, or if an activation
        is none of these.

    Examples
    --------
    >>> ones = dict(lift=np.ones((2, 1)), encode=np.ones((1, 3, 1)), decode=np.ones((1, 3, 1)),
    ...             project=np.ones((1, 2)), cell_bias=np.zeros((3, 2)))
    >>> Network(ones, "identity", "tanh").cells
    6
    """

    weights: Mapping[str, NDArray[np.floating]]
    lift_activation: str
    code_activation: str
    decode_activation: str = "identity"

    def __post_init__(self) -> None:
        """Refuse weights and activations that no lemma covers."""
        for activation in (self.lift_activation, self.code_activation, self.decode_activation):
            if activation not in ACTIVATIONS:
                raise RefusedError(
                    f"activation {activation!r} is not covered; expected one of {', '.join(ACTIVATIONS)}"
                )
        for name in REQUIRED:
            if name not in self.weights:
                raise RefusedError(f"the weights lack {name!r}; expected at least {', '.join(REQUIRED)}")
        for name, array in self.weights.items():
            _check_array(name, np.asarray(array))
        self._check_shapes()

    def _check_shapes(self) -> None:
        channels, levels = self.weights["project"].shape
        items, code = self.weights["decode"].shape[1:]
        # Hidden layers on the code may change its size between encode and decode.
        encoded = self.weights["encode"].shape[2] if self.has_hidden_layers else code
        expected: dict[str, set[tuple[int, ...]]] = {
            "lift": {(levels, channels)},
            "encode": {(channels, items, encoded), (1, items, encoded)},
            "decode": {(channels, items, code), (1, items, code)},
            "code_bias": {(channels, encoded)},
            "offset": {(channels, code, levels)},
            "cell_bias": {(items, levels)},
        }
        for name, shapes in expected.items():
            if name in self.weights and self.weights[name].shape not in shapes:
                raise RefusedError(
                    f"{name!r} has shape {self.weights[name].shape}; expected {' or '.join(map(str, sorted(shapes)))} "
                    f"({', '.join(LAYERS[name].axes)}) beside a project of shape {(channels, levels)} "
                    f"and a decode of shape {self.weights['decode'].shape}"
                )

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers that are present, in the order of the forward map."""
        return tuple(name for name in LAYERS if name in self.weights)

    @property
    def has_hidden_layers(self) -> bool:
        """Whether there are further layers on the code, which the lemmas of this module do not cover."""
        return any(name.startswith("hidden.") for name in self.weights)

    @property
    def cells(self) -> int:
        """The number of (item, level) cells, n R."""
        return int(self.weights["cell_bias"].size)

    @property
    def code_cap(self) -> float:
        """A bound on the code's norm from the activation alone: sqrt(C k) for tanh, infinite otherwise."""
        channels = self.weights["project"].shape[0]
        bound = ACTIVATIONS[self.code_activation]
        # math.sqrt rounds to nearest: one step up keeps the cap on the safe side.
        return bound * math.nextafter(math.sqrt(channels * self.weights["decode"].shape[2]), math.inf)

    def parameters(self, layer: str) -> int:
        """Return the number of parameters of a layer."""
        return int(self.weights[layer].size)


def _check_array(name: str, array: NDArray[np.generic]) -> None:
    if name.startswith("hidden."):
        return
    if name not in LAYERS:
        raise RefusedError(f"unknown weights {name!r}; expected only {', '.join(LAYERS)}")
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise RefusedError(f"{name!r} holds {array.dtype}; expected real numbers of at most 64 bits")
    if array.ndim != len(LAYERS[name].axes) or array.size == 0:
        raise RefusedError(
            f"{name!r} has shape {array.shape}; expected non-empty axes ({', '.join(LAYERS[name].axes)})"
        )
    if not np.isfinite(array).all():
        raise RefusedError(f"{name!r} holds NaN or infinite weights; expected finite numbers; check the training run")


_FUNCTION: Mapping[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "asinh": np.arcsinh,
}


def logits(network: Network, profile: Array) -> Array:
    r"""Return the logits :math:`Z` (item, level) of one user from the profile (item, level), entries 0 or 1.

    This dense form is the reference that every faster one is tested against.

    >>> ones = dict(lift=np.ones((1, 1)), encode=np.ones((1, 1, 1)), decode=np.ones((1, 1, 1)),
    ...             project=np.ones((1, 1)), cell_bias=np.zeros((1, 1)))
    >>> logits(Network(ones, "identity", "tanh"), np.ones((1, 1))).round(6)
    array([[0.761594]])
    """
    if network.has_hidden_layers:
        raise RefusedError("the reference forward map covers no hidden layers on the code; expected none")
    weights = network.weights
    size = np.linalg.norm(profile)
    lifted = _FUNCTION[network.lift_activation]((profile / size if size > 0 else profile) @ weights["lift"])
    channels = lifted.shape[1]
    encode = np.broadcast_to(weights["encode"], (channels, *weights["encode"].shape[1:]))
    decode = np.broadcast_to(weights["decode"], (channels, *weights["decode"].shape[1:]))
    code = _FUNCTION[network.code_activation](np.einsum("jc,cjk->ck", lifted, encode) + weights.get("code_bias", 0.0))
    decoded = _FUNCTION[network.decode_activation](np.einsum("cjk,ck->jc", decode, code))
    result: Array = decoded @ weights["project"] + weights["cell_bias"]
    if "offset" in weights:
        result = result + np.einsum("ck,ckr->r", code, weights["offset"])
    return result
