"""T9-paired and T9-sequence: the fit against the popularity of its sample, and the fit under repeated looks."""

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Evidence, HeldOut, Paired, TimeOrdered
from conv4rec_experiments.studies.certificates.held_out import listed, scored_subset, smoothed_logs
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import Statements, answer
from conv4rec_experiments.truths.truth import user_mix

__all__ = ["against_popularity", "in_random_order", "popularity_law"]

Array = NDArray[np.float64]


def popularity_law(replicate: Replicate) -> Array:
    """Give the law that is the same for all users: cells as often as the sample has them, one half added to each."""
    counts = replicate.total.sum(axis=0) + 0.5
    law: Array = np.broadcast_to(counts / counts.sum(), replicate.law.shape)
    return law


def against_popularity(replicate: Replicate, delta: float) -> Statements:
    """T9-paired: risk of the smoothed popularity less that of the smoothed fit under the scored held-out users."""

    def make() -> tuple[Evidence, float]:
        rng, cells, rival = replicate.coins("T9-paired"), replicate.truth.cells, popularity_law(replicate)
        scored = scored_subset(replicate, rng)
        # One list of places, so that both are scored on the same interactions in the same order.
        place = listed(scored, np.arange(scored.size, dtype=np.float64), rng).astype(np.int64)
        own, other = (logs.reshape(-1)[place] for logs in (replicate.log_law, np.log(rival)))
        pair = Paired(HeldOut(own, np.full(own.size, cells)), other)
        mix = user_mix(scored)
        margin = replicate.risk(smoothed_logs(rival), mix) - replicate.risk(smoothed_logs(replicate.law), mix)
        return Evidence(cells=cells, protocol=replicate.declared, paired=pair), margin

    yield answer("T9-paired", delta, make)


def in_random_order(replicate: Replicate, delta: float) -> Statements:
    """T9-sequence: the fit on the scored held-out interactions one after the other, at the last look.

    Given the users in their order, what is to be expected of each interaction is its user's own risk.
    """

    def make() -> tuple[Evidence, float]:
        rng, cells = replicate.coins("T9-sequence"), replicate.truth.cells
        scored = scored_subset(replicate, rng)
        logs = listed(scored, replicate.log_law, rng)
        ordered = TimeOrdered(logs, np.full(logs.size, cells), most_cells=cells)
        evidence = Evidence(cells=cells, protocol=replicate.declared, time_ordered=ordered)
        return evidence, replicate.risk(smoothed_logs(replicate.law), user_mix(scored))

    yield answer("T9-sequence", delta, make)
