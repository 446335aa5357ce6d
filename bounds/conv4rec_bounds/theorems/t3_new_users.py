r"""T3: the risk on new users, by the number of users.

With probability at least :math:`1-\delta`, for all weights at once, :math:`N` being the number of users with at least
one scored interaction,

.. math::
    L_{\mathrm{user}} \le \hat L_{\mathrm{user}} + 4\epsilon + M\sqrt{\frac{C(\epsilon) + P + \log(1/\delta)}{2N}} .
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache

import sympy

from conv4rec_bounds.budget import Budget
from conv4rec_bounds.certificate import Certificate
from conv4rec_bounds.covered_risk import best_resolution, covered_risk, loss_range
from conv4rec_bounds.covering import EXAMPLE, Cover, eps
from conv4rec_bounds.evidence import Evidence, Protocol
from conv4rec_bounds.formula import Formula
from conv4rec_bounds.geometry import LAYERS
from conv4rec_bounds.loss import q_max, q_min, w
from conv4rec_bounds.rounding import Number
from conv4rec_bounds.theorems.base import COVERED_NETWORK, Assumption, Theorem, given
from conv4rec_bounds.theorems.t1_parameter_count import parameter_count_formula

__all__ = ["RANGE_OVER_USERS", "NewUsers"]

# log(1+(q_max-1)e^w) - log(1+(q_min-1)e^-w) with e^w drawn out, so that no w overflows.
RANGE_OVER_USERS = w + sympy.log((q_max - 1 + sympy.exp(-w)) / (1 + (q_min - 1) * sympy.exp(-w)))


@cache
def new_users_formula(present: tuple[str, ...]) -> Formula:
    """Return the bound for networks with the given layers: T1's with the range of the loss over all users."""
    known_users = parameter_count_formula(present)
    return Formula(value=known_users.value, where=dict(known_users.where) | {loss_range: RANGE_OVER_USERS})


def _users_not_independent(evidence: Evidence) -> str | None:
    if evidence.protocol.users == "given":
        return (
            "the users are taken as given; this theorem speaks of new users and needs users that are independent "
            "draws from one population; declare users='independent' if they are (or 'cut', if one permutation of all "
            "their interactions was cut), or use T1, which is about these users"
        )
    return None


def _no_means_by_user(evidence: Evidence) -> str | None:
    if evidence.user_means is None:
        return (
            "no mean loss by user was given; pass the number of users with scored interactions and the mean over them "
            "of each user's own mean loss"
        )
    return None


def _target(protocol: Protocol) -> str:
    risk = "risk" if protocol.profile == "fixed" else "self-reconstruction loss"
    alike = " with as many interactions in each part" if protocol.users == "cut" else ""
    return f"{risk} of a new user{alike}, every user counting once (nats)"


class NewUsers(Theorem):
    """T3: deviation of the user-average risk on new users by parameter count, radii paid for."""

    number = "T3"
    title = "Risk on new users"
    target = _target(Protocol("independent", users="independent"))
    claim = "a generalization bound for the autoencoder, on users that it has not seen"
    rate = r"\sqrt{p\log m_+/m_+}"
    page = "theory/t3"
    assumptions = (
        Assumption(
            "A1",
            "Users, each with profile, mask and scored interactions, are independent draws from one population (or "
            "users with all their interactions are, tied by nothing but coins and a cut of one random permutation of "
            "all interactions; new users are then such with the same numbers of interactions in each part). Dates "
            "computed from the data of all users tie them, dates fixed beforehand do not.",
            _users_not_independent,
        ),
        Assumption(
            "A2",
            "The empirical risk is the mean, over all users with at least one scored interaction, of the user's own "
            "mean loss, with profiles and masks made the way that was fixed beforehand.",
            _no_means_by_user,
        ),
        Assumption(
            "A3",
            "The network is lift, encode, decode, project with 1-Lipschitz activations that vanish at 0 and no further "
            "layers; catalogue, sizes, activations, sharing of maps and layers were fixed without these users, their "
            "profiles included.",
            COVERED_NETWORK.broken,
        ),
    )
    example = EXAMPLE | {"N": 10**9, "delta": 0.05, "q_min": 1, "q_max": 5_000, "Lhat": 6.0}
    moves = ("N", "delta", "q_max", "p_E", "s_E", "s_B")

    @property
    def formula(self) -> Formula:
        """The bound for a network that has every layer."""
        return new_users_formula(tuple(LAYERS))

    def complete(self, inputs: Mapping[str, Number]) -> dict[str, Number]:
        """Add the resolution of the cover."""
        return dict(inputs) | {str(eps): best_resolution(self.formula, inputs)}

    def evaluate(self, evidence: Evidence, delta: Fraction, budget: Budget) -> Certificate:
        """Return the certified risk on new users."""
        network, users = given(evidence.network), given(evidence.user_means)
        paid = budget.spend(f"{self.number}: all weights, over radius classes and covers", delta)
        cover = Cover.of(network)
        # Under masks a new user may have one unmasked cell or all of them, whatever the users of the sample have.
        fewest, most = 1 if users.masked else network.cells, network.cells
        return covered_risk(
            self,
            new_users_formula(network.layers),
            cover,
            cover.inputs() | {"N": users.size, "delta": paid, str(q_min): fewest, str(q_max): most},
            risk=users.risk,
            trivial=math.log(most) if users.uniform_risk is None else users.uniform_risk,
            target=_target(evidence.protocol),
            paid=paid,
        )
