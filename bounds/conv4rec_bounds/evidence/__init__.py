"""All that a bound may look at: weights as arrays, sample sizes, the protocol and measured risks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.evidence.compressed import Compressed
from conv4rec_bounds.evidence.events import Events, GemPool, refuse_unknown_mix
from conv4rec_bounds.evidence.gems import GemCounts
from conv4rec_bounds.evidence.held_out import HeldOut
from conv4rec_bounds.evidence.named import BinnedEvents, NamedLoss, NamedLosses, UserScores
from conv4rec_bounds.evidence.paired import Paired
from conv4rec_bounds.evidence.posterior import Against, Posterior
from conv4rec_bounds.evidence.protocol import Protocol
from conv4rec_bounds.evidence.rounds import Rounds
from conv4rec_bounds.evidence.scored import Comparator, References, Scored, UserMeans
from conv4rec_bounds.evidence.time_ordered import TimeOrdered
from conv4rec_bounds.evidence.untouched import CellCounts, Ensemble, Prequential, TruthLoss, Untouched
from conv4rec_bounds.geometry import Network

__all__ = [
    "Against",
    "BinnedEvents",
    "CellCounts",
    "Comparator",
    "Compressed",
    "Ensemble",
    "Events",
    "Evidence",
    "GemCounts",
    "GemPool",
    "HeldOut",
    "NamedLoss",
    "NamedLosses",
    "Paired",
    "Posterior",
    "Prequential",
    "Protocol",
    "References",
    "Rounds",
    "Scored",
    "TimeOrdered",
    "TruthLoss",
    "Untouched",
    "UserMeans",
    "UserScores",
]


@dataclass(frozen=True)
class Evidence:
    """What is known about one trained model.

    Attributes
    ----------
    cells
        The largest number of unmasked cells of any user, at most n R: the uniform law's loss is its logarithm.
    protocol
        How the parts came about.
    network, references
        The weights, and weights from which some distances are measured.
    seen
        The number of all interactions drawn from the users' laws that an estimator may have seen: profiles, validation
        and scored part.
    scored, user_means, comparator
        Sizes and mean losses of the scored part, by interaction and by user, and a network to compare with.
    held_out
        Held-out interactions, read as independent draws given the users.
    pool_sample
        Held-out interactions, read as a random subset of a finite held-out pool.
    paired
        Held-out interactions with the log-probabilities of two models, read as a random subset of a finite pool if it
        comes with one, else as independent draws given the users.
    time_ordered
        Interactions in time order, each predicted before it was seen.
    named_losses, user_scores, binned_events
        Further bounded losses of held-out interactions, scores of users' held-out parts, and events with probabilities.
    untouched, prequential, ensemble, cell_counts
        Losses on interactions that the predictors had not seen, beside the truth's own.
    rounds
        Counts of untouched interactions in rounds, beside the laws that they are compared with.
    posterior
        Draws around the weights, with their smoothed losses, and how they do beside a law that was fixed beforehand.
    compressed
        A predictor that was decoded from a file, with the file's length.
    events, gem_pool, gem_counts, level_values
        Events and pools of items chosen beforehand, what of the held-out part fell into such pools, and the values of
        the levels.
    total_variation, total_variation_users
        A bound on the model's total variation to the truth that another certificate of the same report has paid for,
        and over whose mix it is a mean: ``"scored"``, ``"untouched"`` or ``"blocks"``. It needs its mix.

    A theorem that misses a part refuses and says so.

    Raises
    ------
    RefusedError
        If there is fewer than one cell, or more than the network has, or parts contradict each other: with means by
        user, fewer cells than the network has are refused unless the means are said to be masked.
    """

    cells: int
    protocol: Protocol
    network: Network | None = None
    scored: Scored | None = None
    references: References | None = None
    user_means: UserMeans | None = None
    comparator: Comparator | None = None
    held_out: HeldOut | None = None
    pool_sample: HeldOut | None = None
    paired: Paired | None = None
    time_ordered: TimeOrdered | None = None
    named_losses: NamedLosses | None = None
    user_scores: UserScores | None = None
    binned_events: BinnedEvents | None = None
    untouched: Untouched | None = None
    prequential: Prequential | None = None
    ensemble: Ensemble | None = None
    cell_counts: CellCounts | None = None
    rounds: Rounds | None = None
    posterior: Posterior | None = None
    compressed: Compressed | None = None
    events: Events | None = None
    gem_pool: GemPool | None = None
    gem_counts: GemCounts | None = None
    level_values: tuple[float, ...] | None = None
    total_variation: float | None = None
    total_variation_users: Literal["scored", "untouched", "blocks"] | None = None
    seen: int | None = None

    def __post_init__(self) -> None:
        """Refuse cell counts that contradict each other."""
        if self.cells < 1:
            raise RefusedError(f"there are {self.cells} cells; expected at least 1")
        if self.network is not None and self.cells > self.network.cells:
            raise RefusedError(f"a user has {self.cells} cells, but the network has {self.network.cells} in all")
        unmasked = self.user_means is not None and not self.user_means.masked
        if unmasked and self.network is not None and self.cells < self.network.cells:
            raise RefusedError(
                f"the users have at most {self.cells} cells of the network's {self.network.cells}, so some are masked, "
                "but the mean loss over users came without a word of masks; new users may have other cells; pass "
                "UserMeans(..., masked=True)"
            )
        compared = None if self.paired is None else self.paired.model
        for part in (self.held_out, self.pool_sample, compared):
            if part is not None and int(part.cells.max()) > self.cells:
                raise RefusedError(
                    f"a held-out interaction has {int(part.cells.max())} cells, but at most {self.cells} were given"
                )
            if part is not None and part.pool is not None and int(part.pool.max()) > self.cells:
                raise RefusedError(
                    f"an interaction of the pool has {int(part.pool.max())} cells, but at most {self.cells} were given"
                )
        counted = self.pool_sample if self.protocol.sampling == "finite pool" else self.held_out
        if self.events is not None and counted is not None and self.events.size != counted.size:
            raise RefusedError(
                f"events were counted among {self.events.size} interactions, but the held-out part has "
                f"{counted.size}; expected the same part; count the events in the held-out part that is given"
            )
        for name, array in () if self.references is None else self.references.weights.items():
            if self.network is not None and array.shape != self.network.weights.get(name, np.empty(0)).shape:
                raise RefusedError(f"the reference for {name!r} has shape {array.shape}; expected the network's own")
        if self.level_values is not None and not np.isfinite(self.level_values).all():
            raise RefusedError(f"level values are {self.level_values}; expected finite numbers")
        if self.total_variation is not None and not 0 <= self.total_variation <= 1:
            raise RefusedError(f"the total variation is {self.total_variation}; expected between 0 and 1")
        if self.total_variation is not None and self.total_variation_users is None:
            raise RefusedError(
                "a total variation was given without the users over whom it is a mean; expected 'scored', 'untouched' "
                "or 'blocks'; pass total_variation_users"
            )
        if self.total_variation_users is not None:
            refuse_unknown_mix("the total variation", self.total_variation_users)
        least = 1 if self.scored is None else self.scored.size
        if self.seen is not None and self.seen < least:
            raise RefusedError(
                f"{self.seen} interactions were seen; expected at least {least}, the scored part among them; count "
                "profiles, validation and scored part"
            )
