"""All that a bound may look at: weights as arrays, sample sizes, the protocol and measured risks."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.geometry import Network
from conv4rec_bounds.loss import SmoothedLosses, check_cells, smoothed_losses

__all__ = ["Evidence", "HeldOut", "Protocol", "Scored"]


@dataclass(frozen=True)
class Protocol:
    """How the profile and the scored part came about.

    Independence cannot be read off data, so ``sampling`` has no default: it is declared.

    Attributes
    ----------
    sampling
        ``"independent"``: given the users, scored and held-out interactions are independent draws;
        ``"finite pool"``: they are uniformly random subsets, without replacement, of a finite pool
        (ratings that cannot repeat). Certificates then speak of the pool's own law;
        ``"neither"``: for example periods of ratings that cannot repeat. Theorems that start from either refuse.
    profile
        ``"fixed"``: the encoder's input is independent of the scored part given the users;
        ``"self-reconstruction"``: the encoder reads the interactions that it is scored on.
    training
        ``"fixed profile"`` or ``"redrawn profiles"``; bounds that hold for all weights allow both, as long as
        the risk is measured on one designated fixed profile.
    """

    sampling: Literal["independent", "finite pool", "neither"]
    profile: Literal["fixed", "self-reconstruction"] = "fixed"
    training: Literal["fixed profile", "redrawn profiles"] = "fixed profile"

    def __post_init__(self) -> None:
        """Refuse words that no theorem knows."""
        allowed = {
            "profile": ("fixed", "self-reconstruction"),
            "sampling": ("independent", "finite pool", "neither"),
            "training": ("fixed profile", "redrawn profiles"),
        }
        for name, words in allowed.items():
            if getattr(self, name) not in words:
                raise RefusedError(f"protocol {name} is {getattr(self, name)!r}; expected one of {', '.join(words)}")


@dataclass(frozen=True)
class Scored:
    """The scored part: its size N and mean losses on it, in nats: the model's, a known truth's, the uniform law's.

    Measured risks are taken as the exact numbers given; what is computed from them is rounded outward.

    >>> Scored(size=1000, risk=4.2).size
    1000
    """

    size: int
    risk: float
    truth_risk: float | None = None
    uniform_risk: float | None = None

    def __post_init__(self) -> None:
        """Refuse empty parts and impossible risks."""
        if self.size < 1:
            raise RefusedError(f"the scored part holds {self.size} interactions; expected at least 1")
        for name, risk in (("risk", self.risk), ("truth_risk", self.truth_risk), ("uniform_risk", self.uniform_risk)):
            if risk is not None and not (math.isfinite(risk) and risk >= 0):
                raise RefusedError(f"the scored {name} is {risk}; expected a finite mean loss of at least 0 nats")


@dataclass(frozen=True)
class HeldOut:
    """Interactions that neither training nor tuning has touched.

    Attributes
    ----------
    log_probabilities, cells
        The model's log-probability of each interaction (nats) and the number of unmasked cells of its user.
    smoothing
        The weight of the uniform law in the certified predictor, chosen without these interactions.
    untouched
        False if training, early stopping or tuning has seen them: every held-out theorem then refuses.
    pool
        For the finite-pool reading: the number of unmasked cells of every interaction of the pool of which these are
        a uniformly random subset.

    Examples
    --------
    >>> HeldOut(np.log([0.5, 0.25]), np.array([4, 4]), smoothing=0.5).losses.high
    2.079441541679836
    """

    log_probabilities: NDArray[np.float64]
    cells: NDArray[np.int64]
    smoothing: float = 0.01
    untouched: bool = True
    pool: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Refuse bad arrays at once, not when a theorem is asked, and keep copies that nobody can change."""
        for name in ("log_probabilities", "cells", "pool"):
            given = getattr(self, name)
            if given is not None:
                kept = np.array(given)
                kept.flags.writeable = False
                object.__setattr__(self, name, kept)
        _ = self.losses
        if self.pool is None:
            return
        check_cells(self.pool)
        pool, sample = (np.unique(cells, return_counts=True) for cells in (self.pool, self.cells))
        in_pool = dict(zip(*pool, strict=True))
        if any(in_pool.get(cells, 0) < count for cells, count in zip(*sample, strict=True)):
            raise RefusedError(
                f"a sample of {self.size} interactions cannot come from the pool of {self.pool.size} that was given: "
                "the pool has too few interactions with as many cells; pass the cells of every interaction of the pool"
            )

    @property
    def size(self) -> int:
        """The number of interactions."""
        return int(self.log_probabilities.size)

    @property
    def losses(self) -> SmoothedLosses:
        """The losses of the smoothed predictor."""
        return smoothed_losses(self.log_probabilities, self.cells, self.smoothing)


@dataclass(frozen=True)
class Evidence:
    """What is known about one trained model.

    Attributes
    ----------
    cells
        The largest number of unmasked cells of any user, at most n R: the uniform law's loss is its logarithm.
    protocol
        How the parts came about.
    network, scored
        The weights, and the size and mean losses of the scored part; a theorem that misses one refuses and says so.
    held_out
        Held-out interactions, read as independent draws given the users.
    pool_sample
        Held-out interactions, read as a random subset of a finite held-out pool.

    Raises
    ------
    RefusedError
        If there is fewer than one cell, or more than the network has.
    """

    cells: int
    protocol: Protocol
    network: Network | None = None
    scored: Scored | None = None
    held_out: HeldOut | None = None
    pool_sample: HeldOut | None = None

    def __post_init__(self) -> None:
        """Refuse cell counts that contradict each other."""
        if self.cells < 1:
            raise RefusedError(f"there are {self.cells} cells; expected at least 1")
        if self.network is not None and self.cells > self.network.cells:
            raise RefusedError(f"a user has {self.cells} cells, but the network has {self.network.cells} in all")
        for part in (self.held_out, self.pool_sample):
            if part is not None and int(part.cells.max()) > self.cells:
                raise RefusedError(
                    f"a held-out interaction has {int(part.cells.max())} cells, but at most {self.cells} were given"
                )
            if part is not None and part.pool is not None and int(part.pool.max()) > self.cells:
                raise RefusedError(
                    f"an interaction of the pool has {int(part.pool.max())} cells, but at most {self.cells} were given"
                )
