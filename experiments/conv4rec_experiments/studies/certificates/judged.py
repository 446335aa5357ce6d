"""T9-parts, T9-users and T9-calibration: what the fit is judged by on interactions after the sample."""

import numpy as np
from numpy.typing import NDArray

from conv4rec.profiles import high_levels
from conv4rec_bounds import BinnedEvents, Evidence, NamedLoss, NamedLosses, UserScores
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, smoothed_losses
from conv4rec_experiments.judged_truth import expected_hits, expected_losses, expected_miscalibration, level_law
from conv4rec_experiments.judging import EXPLICIT, HIGH, IMPLICIT, LEVEL_ERROR, bin_edges
from conv4rec_experiments.ranking import Cutoffs, ranks_in
from conv4rec_experiments.studies.certificates.held_out import MOST_SCORED, subset
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import Statements, answer
from conv4rec_experiments.truths.truth import Counts, user_mix

__all__ = ["calibration", "losses_of_parts", "scores_of_users"]

Array = NDArray[np.float64]


def _tables(replicate: Replicate) -> tuple[Array, Array]:
    """Return the true and the fitted probabilities, both of shape (user, item, level)."""
    shape = replicate.truth.users, replicate.truth.items, replicate.truth.levels
    return replicate.sample.target_law.reshape(shape), replicate.law.reshape(shape)


def _scored(replicate: Replicate, theorem: str) -> Counts:
    """Take at most 20,000 held-out interactions, counts of shape (user, item, level)."""
    given = replicate.sample.held_out
    drawn = subset(given, min(MOST_SCORED, int(given.sum())), replicate.coins(theorem))
    return drawn.reshape(replicate.truth.users, replicate.truth.items, replicate.truth.levels)


def losses_of_parts(replicate: Replicate, delta: float) -> Statements:
    """T9-parts: the explicit loss of the fit's smoothed level law; implicit loss and level error share delta with it.

    Where there is one level only, the implicit loss alone.
    """

    def make() -> tuple[Evidence, float]:
        (true, law), counts = _tables(replicate), _scored(replicate, "T9-parts")
        user, item, level = (np.repeat(axis, counts[counts > 0]) for axis in np.nonzero(counts))
        values = np.arange(1.0, law.shape[2] + 1)
        expected = expected_losses(true, law, user_mix(counts.sum(axis=2)), DEFAULT_SMOOTHING, values)
        losses: tuple[NamedLoss, ...] = (_smoothed(IMPLICIT, law.sum(axis=2)[user, item], law.shape[1]),)
        if law.shape[2] > 1:
            levels = level_law(law)[user, item]
            # Sums of probabilities times levels may leave the scale by rounding.
            error = np.clip(np.abs(values[level] - levels @ values), 0, values[-1] - 1)
            losses = (
                _smoothed(EXPLICIT, levels[np.arange(len(level)), level], law.shape[2]),
                *losses,
                NamedLoss(LEVEL_ERROR, "levels", error, 0.0, values[-1] - 1, error=1e-12),
            )
        evidence = Evidence(cells=replicate.truth.cells, protocol=replicate.declared, named_losses=NamedLosses(losses))
        return evidence, expected[losses[0].name]

    yield answer("T9-parts", delta, make)


def _smoothed(name: str, probabilities: Array, among: int) -> NamedLoss:
    with np.errstate(divide="ignore"):
        logs = np.minimum(np.log(probabilities), 0.0)
    found = smoothed_losses(logs, np.full(logs.size, among), DEFAULT_SMOOTHING)
    return NamedLoss(name, "nats", found.losses, found.low, found.high, error=found.error)


def scores_of_users(replicate: Replicate, delta: float) -> Statements:
    """T9-users: the share of a user's held-out interactions whose items are among the first of his list.

    A list holds all items by the fit's probabilities. This score is a mean over interactions, so its expectation is
    exact; those of NDCG and recall under draws that repeat are not known in closed form.
    """

    def make() -> tuple[Evidence, float]:
        true, law = _tables(replicate)
        counts = replicate.sample.held_out.reshape(law.shape).sum(axis=2)
        users = np.flatnonzero(counts.sum(axis=1))
        cutoff, shown = Cutoffs.of(law.shape[1]).recall, np.ones((users.size, law.shape[1]), dtype=bool)
        listed = ranks_in(law.sum(axis=2)[users], shown) <= cutoff
        shares = (counts[users] * listed).sum(axis=1) / counts[users].sum(axis=1)
        evidence = Evidence(
            cells=replicate.truth.cells,
            protocol=replicate.declared,
            user_scores=UserScores({f"hit share@{cutoff}": shares}),
        )
        return evidence, expected_hits(true[users], law[users], shown, cutoff)

    yield answer("T9-users", delta, make)


def calibration(replicate: Replicate, delta: float) -> Statements:
    """T9-calibration: the fit's probability of a high level given the item, on bins of equal numbers of pairs.

    Bins are made from the fit alone: pairs of user and item, ordered by that probability.
    """

    def make() -> tuple[Evidence, float]:
        true, law = _tables(replicate)
        if law.shape[2] == 1:
            return Evidence(cells=replicate.truth.cells, protocol=replicate.declared), 0.0
        counts = _scored(replicate, "T9-calibration")
        user, item, level = (np.repeat(axis, counts[counts > 0]) for axis in np.nonzero(counts))
        high = high_levels(np.arange(1.0, law.shape[2] + 1))
        claimed = level_law(law)[:, :, high].sum(axis=2).clip(0, 1)
        edges = bin_edges(claimed.ravel())
        told = claimed[user, item]
        events = BinnedEvents({HIGH: high[level]}, {HIGH: told}, {HIGH: np.searchsorted(edges, told, side="right")})
        evidence = Evidence(cells=replicate.truth.cells, protocol=replicate.declared, binned_events=events)
        return evidence, expected_miscalibration(true, law, user_mix(counts.sum(axis=2)), high, edges)

    yield answer("T9-calibration", delta, make)
