r"""T4: the risk of frozen codes, which the encoder may have computed from the scored interactions themselves.

With probability at least :math:`1-\delta`, for all codes of the users with :math:`\max_i\|H_i\|_F\le h_{\max}` and all
weights of the decoder at once,

.. math::
    L \le \hat L + 4\epsilon + M\sqrt{\frac{C(\epsilon) + P + \log(1/\delta)}{2N}}, \qquad
    C_H = mkC\,\log\left(1+\frac{2\rho_H(\rho_G\rho_D+\rho_O)}{\epsilon_H}\right) .
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import ClassVar

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.covered_risk import best_resolution, covered_risk, deviation, loss_range
from conv4rec_bounds.covering import (
    CODES,
    COMPLEXITY,
    COUNT,
    EXAMPLE,
    INDEX,
    RADII,
    Cover,
    RadiusClass,
    eps,
    grid_index,
    log_cardinality,
    radius_definitions,
)
from conv4rec_bounds.evidence import Evidence
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import (
    LAYERS,
    RADIUS,
    Network,
    code_cap,
    code_norm,
    reach,
    sensitivities,
    size_definitions,
)
from conv4rec_bounds.loss import RANGE
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import SCORED_SAMPLING, Assumption, Theorem, given
from conv4rec_bounds.theorems.t1_parameter_count import parameter_count_formula

__all__ = ["FrozenCodes", "FrozenCover", "code_size", "frozen_constants", "frozen_definitions"]

DECODER = ("decode", "project", "offset", "cell_bias")
ENCODER = ("lift", "encode", "code_bias")


def frozen_constants(present: tuple[str, ...]) -> dict[str, sympy.Expr]:
    r"""Return how far a change of each user's code and of each decoder layer moves the logits.

    >>> for name, constant in frozen_constants(("decode", "project", "cell_bias")).items():
    ...     print(name, constant)
    codes rho_D*rho_G
    decode h*rho_G
    project h*rho_D
    cell_bias 1
    """
    decoder = tuple(name for name in DECODER if name in present)
    return {CODES: reach(present), **sensitivities(decoder)}


def frozen_definitions(present: tuple[str, ...]) -> dict[sympy.Symbol, sympy.Expr]:
    """Return, symbolically, a cover of all codes of all users and all decoders of a class."""
    constants = frozen_constants(present)
    sizes = size_definitions(tuple(constants)) | {code_norm: sympy.Min(RADII[CODES], code_cap)}
    logarithms = log_cardinality(constants)
    # A bounded activation caps every code, so no class needs a larger ball than that.
    logarithms[COMPLEXITY[CODES]] = logarithms[COMPLEXITY[CODES]].subs(RADII[CODES], code_norm)
    return radius_definitions(constants) | sizes | logarithms


@cache
def frozen_codes_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound for networks with the given layers."""
    known_profiles = parameter_count_formula(present)
    definitions = frozen_definitions(present) | {loss_range: RANGE, deviation: known_profiles.where[deviation]}
    return Formula(value=known_profiles.value, where=definitions)


def code_size(network: Network) -> float:
    r"""Return a certified bound on :math:`\|H\|_F` for every profile: :math:`\min(\rho_E\rho_K+\rho_a, h_{\max})`.

    With hidden layers on the code only :math:`h_{\max}` is known; it is infinite unless the activation is bounded.

    >>> import numpy as np
    >>> ones = dict(lift=np.ones((1, 1)), encode=np.ones((1, 4, 1)), decode=np.ones((1, 4, 1)),
    ...             project=np.ones((1, 1)), cell_bias=np.zeros((4, 1)))
    >>> round(code_size(Network(ones, "identity", "relu")), 6), round(code_size(Network(ones, "identity", "tanh")), 6)
    (2.0, 1.0)
    """
    if network.has_hidden_layers:
        return network.code_cap
    encoder = tuple(name for name in ENCODER if name in network.layers)
    norms = {str(RADIUS[name]): LAYERS[name].upper_norm(network.weights[name]) for name in encoder}
    bound = Formula(value=size_definitions(encoder)[code_norm], where={})
    return bound.upper(**norms, **{str(code_cap): network.code_cap})


@dataclass(frozen=True)
class FrozenCover(Cover):
    """The inputs that the formula needs about the class of one decoder and the codes of some users."""

    users: int

    @classmethod
    def of_users(cls, network: Network, users: int) -> "FrozenCover":
        """Build the cover of the smallest class that holds the decoder and every code."""
        norms = {CODES: code_size(network)} | {
            name: LAYERS[name].upper_norm(network.weights[name]) for name in DECODER if name in network.layers
        }
        return cls(network, RadiusClass(norms, {name: grid_index(norm) for name, norm in norms.items()}), users)

    def inputs(self) -> dict[str, Number]:
        """Return the values of the symbols, all of them functions of sizes and class index only."""
        values: dict[str, Number] = {str(code_cap): self.network.code_cap}
        for name, index in self.radii.index.items():
            values[str(INDEX[name])] = index
            values[str(COUNT[name])] = self._count(name)
        return values

    def _count(self, name: str) -> int:
        if name != CODES:
            return self.network.parameters(name)
        return self.users * int(self.network.weights["project"].shape[0]) * int(self.network.weights["decode"].shape[2])


def _users_not_counted(evidence: Evidence) -> str | None:
    if evidence.scored is not None and evidence.scored.users is None:
        return (
            "the number of users with scored interactions is unknown; every one of them has a free code; pass it as "
            "the scored part's number of users"
        )
    return None


def _codes_not_bounded(evidence: Evidence) -> str | None:
    network = evidence.network
    if network is None:
        return "no weights were given; pass the network's arrays, or use T9, which needs none"
    if not math.isfinite(code_size(network)):
        return (
            f"the network has hidden layers with the activation {network.code_activation!r}, so that no lemma bounds "
            "its codes; train with hidden=() or with code_activation='tanh', or use T9, which holds for any predictor"
        )
    return None


TARGETS = {
    "independent": "risk under the scored user mix, codes frozen (nats)",
    "finite pool": "mean loss over the scored users' own pools, codes frozen (nats)",
}


class FrozenCodes(Theorem):
    """T4: deviation of the risk of frozen codes by the number of codes and decoder weights, radii paid for."""

    number = "T4"
    title = "Risk of frozen codes"
    target = TARGETS["independent"]
    claim = "a generalization bound for the autoencoder, scored on what it reads"
    rate = r"\sqrt{(mkC+p_{\mathrm{dec}})\log N/N}"
    page = "theory/t4"
    assumptions = (
        Assumption(
            "A1",
            "Given users and masks, the scored interactions are independent, each from its user's law (or a uniformly "
            "random subset of a finite pool fixed before the cut, which may contain the profiles; a user's law is then "
            "that of his own pool). Masks were fixed without the scored interactions; codes and weights may be any "
            "function of them.",
            SCORED_SAMPLING.broken,
        ),
        Assumption("A2", "The number of users with scored interactions is known.", _users_not_counted),
        Assumption(
            "A3",
            "The decoder is decode with a 1-Lipschitz activation that vanishes at 0, project, cell bias and, if "
            "present, offset; the weights bound the norm of the code of every profile; catalogue, sizes, activations, "
            "sharing of maps and layers were fixed without the scored part.",
            _codes_not_bounded,
        ),
    )
    example: ClassVar[Mapping[str, Number]] = {
        name: value for name, value in EXAMPLE.items() if name[2:] not in [LAYERS[layer].letter for layer in ENCODER]
    } | {"s_H": 20, "p_H": 16_000, "N": 10**9, "delta": 0.05, "q": 5_000, "Lhat": 6.0}
    moves = ("N", "delta", "q", "p_H", "s_H", "s_B")

    @property
    def formula(self) -> Formula:
        """The bound for a network that has every layer."""
        return frozen_codes_formula(tuple(LAYERS))

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the resolution of the cover."""
        return dict(inputs) | {str(eps): best_resolution(self.formula, inputs)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk of the decoder on the frozen codes of the scored users."""
        network, scored = given(evidence.network), given(evidence.scored)
        paid = budget.spend(f"{self.number}: all codes and decoders, over radius classes and covers", delta)
        cover = FrozenCover.of_users(network, given(scored.users))
        return covered_risk(
            self,
            frozen_codes_formula(network.layers),
            cover,
            cover.inputs() | {"N": scored.size, "delta": paid, "q": evidence.cells},
            risk=scored.risk,
            trivial=math.log(evidence.cells) if scored.uniform_risk is None else scored.uniform_risk,
            target=TARGETS[evidence.protocol.sampling],
            paid=paid,
        )
