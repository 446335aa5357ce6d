"""From a trained model to the evidence that theorems may look at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec.loss import LogProbabilities
from conv4rec.profiles import high_levels
from conv4rec_bounds import (
    CellCounts,
    Comparator,
    Ensemble,
    Evidence,
    GemPool,
    HeldOut,
    Network,
    Posterior,
    Protocol,
    References,
    Scored,
    TruthLoss,
    Untouched,
    UserMeans,
    certify,
)
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, smoothed_losses, uniform_risk
from conv4rec_bounds.theorems.t9_held_out import HeldOutRisk, mean_upper
from conv4rec_experiments.draws import Draws, draw_around, profile_popularity
from conv4rec_experiments.events import popularity_events
from conv4rec_experiments.gem_pools import GemPools, choose_pools
from conv4rec_experiments.truths import user_mix

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions, Split
    from conv4rec_experiments.truths import Truth

__all__ = ["Declared", "Gathered", "count_table", "gather"]

Array = NDArray[np.float64]

SMOOTHING_GRID = (0.001, 0.003, DEFAULT_SMOOTHING, 0.03, 0.1, 0.2)
HALF_OF_POOL = 0x9001


@dataclass(frozen=True)
class Declared:
    """What no data can show and a user has to declare.

    Attributes
    ----------
    independent
        Given their users, interactions are independent draws from a catalogue that was fixed beforehand.
    new_users
        Users, with all their interactions, are independent draws from one population, from a catalogue that was fixed
        beforehand; what made their parts is coins, one random permutation, or dates fixed beforehand.
    independent_levels
        Given users and items of the held-out interactions and the training part, their levels are independent, however
        the items came to be consumed; independent interactions have such levels.
    truth
        The known law of the interactions, if they were drawn from one, independently and from its own catalogue.
    """

    independent: bool = False
    new_users: bool = False
    independent_levels: bool = False
    truth: Truth | None = None


@dataclass(frozen=True)
class Gathered:
    """Evidence, the smoothing of the held-out predictor, the draws around the weights, and pools of hidden gems."""

    evidence: Evidence
    smoothing: float
    draws: Draws
    gems: GemPools | None


def gather(model: Conv4Rec, own: Mapping[str, LogProbabilities], declared: Declared, delta: float) -> Gathered:
    """Collect all that the theorems may look at; ``own`` holds the model's log-probabilities of every part.

    Raises
    ------
    InputError
        If the data cannot be independent draws from a declared truth as they stand, or users that were declared
        independent are tied by dates that were computed from the data of all of them.
    """
    truth, split = declared.truth, model.split
    if truth is not None:
        _check_draws(split, truth)
    if declared.new_users:
        _check_users(split)
    draws = draw_around(model, seed=model.options.seed)
    evidence = Evidence(
        cells=max(int(found.cells.max()) for found in own.values()),
        protocol=_protocol(model, declared),
        network=Network(model.weights(), model.architecture.lift_activation, model.architecture.code_activation),
        references=References({"cell_bias": profile_popularity(model)}),
        level_values=tuple(float(value) for value in split.interactions.level_values),
        seen=len(split.profile) + len(split.scored) + len(split.validation),
        **_scored(model, own["scored"], draws, truth),
    )
    smoothing = _smoothing(own.get("validation"), evidence.cells, delta)
    # One random half of the held-out part, drawn without a look at it, serves all that reads it as a finite pool.
    half = None if evidence.protocol.sampling == "independent" else _half(len(split.held_out), split.seed)
    evidence = _with_held_out(evidence, own.get("held_out"), smoothing, half)
    gems = None
    if "held_out" in own and split.interactions.n_levels > 1:
        gems = choose_pools(model, "unmet" if truth is None else "all")
        whole = declared.independent_levels or evidence.protocol.sampling == "independent"
        if whole or half is not None:
            evidence = replace(evidence, gem_counts=gems.counts(None if whole else half))
    if evidence.held_out is not None and evidence.protocol.sampling == "independent":
        evidence = replace(evidence, **_independent_held_out(model, own["held_out"], truth))
    return Gathered(evidence, smoothing, draws, gems)


def _protocol(model: Conv4Rec, declared: Declared) -> Protocol:
    training: Literal["fixed profile", "redrawn profiles"] = (
        "redrawn profiles" if model.options.redraw else "fixed profile"
    )
    return Protocol(
        sampling=_sampling(model.split, declared.independent, declared.truth),
        training=training,
        users=_users(model.split) if declared.new_users else "given",
    )


def _scored(model: Conv4Rec, found: LogProbabilities, draws: Draws, truth: Truth | None) -> dict[str, Any]:
    """Measure the scored part: by interaction, by user, under the truth, and by the draws around the weights."""
    part = model.split.scored
    _, user = np.unique(part.user, return_inverse=True)
    each = np.bincount(user)
    truth_risk = None if truth is None else truth.empirical_risk(count_table(part))
    parts: dict[str, Any] = {
        "scored": Scored(
            size=len(part),
            risk=found.losses()["joint"],
            truth_risk=truth_risk,
            uniform_risk=uniform_risk(found.cells),
            users=each.size,
        ),
        "user_means": UserMeans(
            size=each.size,
            risk=float((np.bincount(user, weights=-found.joint) / each).mean()),
            masked=model.split.masked,
            uniform_risk=float((np.bincount(user, weights=np.log(found.cells)) / each).mean()),
        ),
    }
    scores = [drawn.log_probabilities(part) for drawn in draws.models]
    smoothed = [smoothed_losses(score.joint, score.cells, DEFAULT_SMOOTHING) for score in scores]
    parts["posterior"] = Posterior(
        size=len(part),
        # Rounding up must not lift a draw that misses everything out of the range of its losses.
        risks=np.array([min(mean_upper(losses), losses.high) for losses in smoothed]),
        low=smoothed[0].low,
        high=smoothed[0].high,
        log_ratios=draws.log_ratios,
        uniform_risk=uniform_risk(found.cells),
    )
    if truth is not None and truth_risk is not None:
        log_law = np.log(truth.law)
        parts["comparator"] = Comparator(
            excess=0.0,
            # Both cover the rounding of logarithms; where the law is nearly uniform, only the second does.
            oscillation=float(np.ptp(log_law, axis=1).max()) * (1 + 1e-9) + 1e-12,
            risk=truth_risk,
        )
        parts["ensemble"] = Ensemble(
            size=len(part),
            risks=np.array([score.losses()["joint"] for score in scores]),
            log_ratios=draws.log_ratios,
            truth_loss=TruthLoss(truth_risk, "known"),
        )
    return parts


def _gem_pool(model: Conv4Rec, mix: Array, truth: Truth) -> GemPool | None:
    """For every user of the held-out part, take the half of the items that the model expects to be liked most."""
    if truth.levels < 2:
        return None
    high = high_levels(model.interactions.level_values)
    law = model.predict_proba(model.interactions.user_ids)
    liked = law[:, :, high].sum(axis=2)
    consumed = law.sum(axis=2)
    order = np.argsort(-liked / consumed, axis=1, kind="stable")[:, : max(1, truth.items // 2)]
    mass = float(mix @ np.take_along_axis(consumed, order, axis=1).sum(axis=1))
    high_mass = float(mix @ np.take_along_axis(liked, order, axis=1).sum(axis=1))
    return GemPool(mass=min(mass, 1.0), high=min(high_mass, mass, 1.0), users="untouched")


def _independent_held_out(model: Conv4Rec, found: LogProbabilities, truth: Truth | None) -> dict[str, Any]:
    """Measure what only independent held-out interactions can tell."""
    part = model.split.held_out
    parts: dict[str, Any] = {
        "cell_counts": CellCounts.of_interactions(part.user, part.item * part.n_levels + part.level),
        "events": popularity_events(model),
    }
    if truth is not None and bool(np.isfinite(found.joint).all()):
        counts = count_table(part)
        own = TruthLoss(truth.empirical_risk(counts), "known")
        parts["untouched"] = Untouched(len(part), found.losses()["joint"], own)
        parts["gem_pool"] = _gem_pool(model, user_mix(counts), truth)
    return parts


def _check_draws(split: Split, truth: Truth) -> None:
    """Refuse interactions that cannot be independent draws from the truth under the softmax of the split."""
    data = split.interactions
    if split.masked:
        raise InputError(
            "a known truth came with a masked split, under which the law is the truth's only given the mask; "
            "expected an unmasked split; split by interaction or give the parts."
        )
    if data.merged:
        raise InputError(
            f"a known truth came with data of which {data.merged} repeated interactions were merged; expected every "
            "draw; read the data with duplicates='keep'."
        )
    if (data.n_users, data.n_items, data.n_levels) != (truth.users, truth.items, truth.levels):
        raise InputError(
            f"the data has {data.n_users} users, {data.n_items} items and {data.n_levels} levels, the truth "
            f"{truth.users}, {truth.items} and {truth.levels}; expected the truth's own; give all its identifiers."
        )


def _check_users(split: Split) -> None:
    """Refuse users whose parts depend on the data of all users."""
    if split.protocol == "time":
        raise InputError(
            "independent users were declared for a split by time, whose dates were computed from the data of all users "
            "and so tie them; expected coins, one permutation, or dates fixed beforehand; split by coin or by "
            "interaction, or give the parts that fixed dates make."
        )


def _users(split: Split) -> Literal["independent", "cut"]:
    """Say what may tie users that are independent draws with all their interactions."""
    return "cut" if split.protocol in ("coin", "interaction") else "independent"


def _sampling(split: Split, independent: bool, truth: Truth | None) -> Literal["independent", "finite pool", "neither"]:
    """Say how the scored and held-out parts came about: as was declared, else as the split makes sure."""
    if truth is not None or independent:
        return "independent"
    return "finite pool" if split.protocol in ("coin", "interaction") else "neither"


def _smoothing(validation: LogProbabilities | None, cells: int, delta: float) -> float:
    """Choose the smoothing that would give the best certificate if the validation part were the held-out one.

    No certificate calls the validation part held out, and no random number is drawn, so nothing is owed for the choice.
    """
    if validation is None or len(validation.joint) < 2:
        return DEFAULT_SMOOTHING

    def promised(smoothing: float) -> float:
        part = HeldOut(validation.joint, validation.cells, smoothing)
        evidence = Evidence(cells, Protocol("independent"), held_out=part)
        value = certify(evidence, delta, [HeldOutRisk()])["T9"].value
        return math.inf if value is None else value

    return min(SMOOTHING_GRID, key=promised)


def _half(pool: int, seed: int | None) -> NDArray[np.int64] | None:
    """Draw the places of a uniformly random half of a pool; None if it is too small to have one."""
    if pool < 2:
        return None
    # A key of its own keeps the draw apart from the streams that split the data and trained the model.
    stream = np.random.SeedSequence(seed or 0, spawn_key=(HALF_OF_POOL,))
    return np.random.default_rng(stream).permutation(pool)[: pool // 2]


def _with_held_out(
    evidence: Evidence, found: LogProbabilities | None, smoothing: float, half: NDArray[np.int64] | None
) -> Evidence:
    """Add a held-out part, and the half of it that was drawn where it is a finite pool."""
    if found is None:
        return evidence
    evidence = replace(evidence, held_out=HeldOut(found.joint, found.cells, smoothing))
    if half is None:
        return evidence
    return replace(evidence, pool_sample=HeldOut(found.joint[half], found.cells[half], smoothing, pool=found.cells))


def count_table(part: Interactions) -> NDArray[np.int64]:
    """Count the interactions of a part in a table of shape (user, cell), which is as large as a known truth's law."""
    counts = np.zeros((part.n_users, part.n_items * part.n_levels), dtype=np.int64)
    np.add.at(counts, (part.user, part.item * part.n_levels + part.level), 1)
    return counts
