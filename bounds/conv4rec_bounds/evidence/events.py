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

    Probabilities are taken as the exact numbers given, but for a rounding above 1; shares are exact fractions.

    Attributes
    ----------
    size
        The number N of held-out interactions, or of those that were drawn from a held-out pool.
    counts
        :math:`\sum_t 1\{y_t\in A_k\}`, integers from 0 to N, shape (event,).
    probabilities
        :math:`\frac1N\sum_t P(A_k\mid i_t)` under the model, shape (event,); for a pool, the mean over all of it.
    names
        What the events are, for people.
    resolution
        Segments of users and groups of cells, fixed beforehand, of which every event is a union, for people; empty if
        some event is none.
    blind
        False if the events were chosen with a look at the held-out part.
    untouched
        False if training, early stopping or tuning of the model has seen the held-out part.

    Raises
    ------
    RefusedError
        If counts are no integers from 0 to N, probabilities leave [0, 1], or the lists differ in length.

    Examples
    --------
    >>> Events(1000, [500], [0.4], ("popular items",)).shares
    array([0.5])
    """

    size: int
    counts: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    names: tuple[str, ...]
    resolution: str = ""
    blind: bool = True
    untouched: bool = True

    def __post_init__(self) -> None:
        """Keep copies that nobody can change; refuse what are no counts or no probabilities."""
        refuse_bad_size("the held-out part", self.size)
        counts = np.array(self.counts)
        if counts.ndim != 1 or counts.size == 0 or counts.dtype.kind not in "iu":
            raise RefusedError(
                f"the counts of the events have shape {counts.shape} and type {counts.dtype}; expected a list of "
                "integers; pass how often each event happened, not its share"
            )
        if (counts < 0).any() or (counts > self.size).any():
            raise RefusedError(
                f"the counts of the events leave 0 to {self.size}, the number of interactions; count each "
                "interaction at most once for an event"
            )
        probabilities = frozen_copy("probabilities", self.probabilities)
        if (probabilities < 0).any() or (probabilities > 1 + 1e-9).any():
            raise RefusedError("the probabilities of the events leave [0, 1]; expected means of the model's own")
        if not len(self.names) == counts.size == probabilities.size:
            raise RefusedError(
                f"{len(self.names)} names, {counts.size} counts and {probabilities.size} probabilities of events were "
                "given; expected as many of each"
            )
        counts = counts.astype(np.int64)
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "probabilities", probabilities)

    @property
    def shares(self) -> NDArray[np.float64]:
        """The shares of the events among the interactions, rounded to the nearest floats, shape (event,)."""
        return np.divide(self.counts, self.size)


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
