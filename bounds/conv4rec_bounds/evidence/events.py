"""Events with their shares and probabilities, and pools of hidden gems: total variation put to the test and to use."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.arrays import frozen_copy, refuse_bad_size

__all__ = ["Events", "GemPool", "refuse_unknown_mix"]


def refuse_unknown_mix(of: str, users: str) -> None:
    """Refuse users over whom no theorem takes means.

    Raises
    ------
    RefusedError
        If they are neither the scored, nor the untouched, nor those of the blocks.

    Examples
    --------
    >>> refuse_unknown_mix("the pool", "untouched")
    """
    if users not in ("scored", "untouched", "blocks"):
        raise RefusedError(f"the users of {of} are {users!r}; expected scored, untouched or blocks; name one of them")


@dataclass(frozen=True)
class Events:
    r"""Events :math:`A_1..A_K` of user and cell, chosen without the held-out part, and how often they happened there.

    Attributes
    ----------
    size
        The number N of held-out interactions.
    shares
        :math:`\frac1N\sum_t 1\{y_t\in A_k\}`, shape (event,).
    probabilities
        :math:`\frac1N\sum_t P(A_k\mid i_t)` under the model, shape (event,).
    names
        What the events are, for people.
    blind
        False if the events were chosen with a look at the held-out part.

    Examples
    --------
    >>> Events(1000, [0.5], [0.4], ("popular items",)).names
    ('popular items',)
    """

    size: int
    shares: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    names: tuple[str, ...]
    blind: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what are no shares."""
        refuse_bad_size("the held-out part", self.size)
        for name in ("shares", "probabilities"):
            values = frozen_copy(name, getattr(self, name))
            if (values < 0).any() or (values > 1 + 1e-9).any():
                raise RefusedError(f"the {name} of the events leave [0, 1]; expected shares of all interactions")
            object.__setattr__(self, name, values)
        if not len(self.names) == self.shares.size == self.probabilities.size:
            raise RefusedError(
                f"{len(self.names)} names, {self.shares.size} shares and {self.probabilities.size} probabilities of "
                "events were given; expected as many of each"
            )


@dataclass(frozen=True)
class GemPool:
    """What a model says about a pool of items that it chose for each user.

    Both probabilities are taken as the exact numbers given; what is computed from them is rounded outward.

    Attributes
    ----------
    mass
        P(G), the model's probability that an interaction falls into the pool, a mean over the users of the mix.
    high
        P(high and G), the probability that it does and has a high level.
    users
        Over whose mix both are means: ``"scored"``, ``"untouched"`` (held out) or ``"blocks"``. A total variation over
        another mix says nothing about the pool.

    Examples
    --------
    >>> GemPool(mass=0.1, high=0.09, users="scored").mass
    0.1
    """

    mass: float
    high: float
    users: Literal["scored", "untouched", "blocks"] = field(kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what are no probabilities, and users of no mix."""
        refuse_unknown_mix("the pool", self.users)
        if not 0 < self.mass <= 1 or not 0 <= self.high <= self.mass:
            raise RefusedError(
                f"a pool has probability {self.mass} and high levels in it {self.high}; expected the first in (0, 1] "
                "and the second between 0 and the first; choose a pool that the model gives some probability"
            )
