"""The scored part: sizes and mean losses, by interaction and by user, and a network to compare with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import refuse_bad_loss, refuse_bad_size

__all__ = ["Comparator", "References", "Scored", "UserMeans"]


@dataclass(frozen=True)
class Scored:
    """The scored part: its size N and mean losses on it, in nats: the model's, a known truth's, the uniform law's.

    Measured risks are taken as the exact numbers given; what is computed from them is rounded outward.

    Attributes
    ----------
    size
        The number of scored interactions.
    risk, truth_risk, uniform_risk
        Mean losses on them.
    users
        The number of users with at least one of them.

    Examples
    --------
    >>> Scored(size=1000, risk=4.2).size
    1000
    """

    size: int
    risk: float
    truth_risk: float | None = None
    uniform_risk: float | None = None
    users: int | None = None

    def __post_init__(self) -> None:
        """Refuse empty parts and impossible risks."""
        refuse_bad_size("the scored part", self.size)
        for name in ("risk", "truth_risk", "uniform_risk"):
            refuse_bad_loss(f"scored {name}", getattr(self, name))
        if self.users is not None and not 1 <= self.users <= self.size:
            raise RefusedError(f"{self.users} users have {self.size} scored interactions; expected 1 to {self.size}")


@dataclass(frozen=True)
class UserMeans:
    """The scored part user by user: every user with at least one scored interaction counts once.

    Attributes
    ----------
    size
        The number of such users.
    risk
        The mean over them of each user's own mean loss, in nats.
    masked
        Whether the softmax leaves cells out, so that new users may have any number of them.
    uniform_risk
        The uniform law's mean of means, if it was measured.

    Examples
    --------
    >>> UserMeans(size=600, risk=4.2).masked
    False
    """

    size: int
    risk: float
    masked: bool = False
    uniform_risk: float | None = None

    def __post_init__(self) -> None:
        """Refuse a part without users and impossible risks."""
        if self.size < 1:
            raise RefusedError(f"{self.size} users have scored interactions; expected at least 1")
        refuse_bad_loss("mean loss over users", self.risk)
        refuse_bad_loss("uniform mean loss over users", self.uniform_risk)


@dataclass(frozen=True)
class Comparator:
    r"""A predictor with positive probabilities, of the class or not, with which an oracle inequality compares.

    Attributes
    ----------
    excess
        :math:`\mathrm{KL}(f^*\|f_0)` to the truth in nats, under the scored user mix: 0 if it is the truth.
    oscillation
        A bound on the oscillation of its logits for every user.
    risk
        Its mean loss on the scored part, in nats.
    blind
        True if it was chosen without the scored part: from users, profiles, masks and data that are independent of the
        scored part given these.

    Examples
    --------
    >>> Comparator(excess=0.0, oscillation=5.0, risk=3.1).excess
    0.0
    """

    excess: float
    oscillation: float
    risk: float
    blind: bool = True

    def __post_init__(self) -> None:
        """Refuse what no predictor can have."""
        refuse_bad_loss("comparator's risk", self.risk)
        for name in ("excess", "oscillation"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise RefusedError(f"the comparator's {name} is {value}; expected a finite number of at least 0")


@dataclass(frozen=True)
class References:
    """Weights from which distances are measured: layers that are missing are compared with zero.

    Attributes
    ----------
    weights
        Arrays for some of ``encode``, ``decode`` and ``cell_bias``, of the network's own shapes.
    blind
        True if they are functions of users, profiles, masks and of data that are independent of the scored part given
        these, such as a seed. In a finite pool the unscored rest of the pool (validation, held-out part) is not: who
        knows it knows the scored part.

    Examples
    --------
    >>> References({"cell_bias": np.zeros((3, 2))}).blind
    True
    """

    weights: Mapping[str, NDArray[np.floating]]
    blind: bool = True

    def __post_init__(self) -> None:
        """Refuse arrays that are not numbers, and layers whose distance no theorem uses."""
        for name, array in self.weights.items():
            if name not in ("encode", "decode", "cell_bias"):
                raise RefusedError(f"a reference for {name!r} was given; expected encode, decode or cell_bias")
            if not np.isfinite(np.asarray(array)).all():
                raise RefusedError(f"the reference for {name!r} holds NaN or infinities; expected finite numbers")
