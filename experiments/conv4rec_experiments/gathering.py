"""From a trained model to the evidence that theorems may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec.loss import LogProbabilities
from conv4rec_bounds import (
    Comparator,
    Ensemble,
    Evidence,
    Network,
    Protocol,
    References,
    Scored,
    TruthLoss,
    UserMeans,
)
from conv4rec_bounds.loss import uniform_risk
from conv4rec_experiments.codes.compressing import Code, compress
from conv4rec_experiments.distances import Distances, compare, laws_of
from conv4rec_experiments.draws import Draws, draw_around, profile_popularity
from conv4rec_experiments.gem_pools import GemPools, choose_pools
from conv4rec_experiments.held_out_evidence import count_table, held_out_evidence, random_half, smoothing_for
from conv4rec_experiments.judging import Judged
from conv4rec_experiments.priors import Prior
from conv4rec_experiments.regions import Laws
from conv4rec_experiments.rivals import Rival

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Split
    from conv4rec_experiments.truths import Truth

__all__ = ["Declared", "Gathered", "gather"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


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
        the items came to be consumed, and from a set of levels that was fixed beforehand; independent interactions have
        such levels.
    truth
        The known law of the interactions, if they were drawn from one, independently and from its own catalogue.
    """

    independent: bool = False
    new_users: bool = False
    independent_levels: bool = False
    truth: Truth | None = None


@dataclass(frozen=True)
class Gathered:
    """Evidence, and what it was made of.

    Attributes
    ----------
    evidence, smoothing, draws, distances
        What theorems may look at, the smoothing of the held-out predictors, the draws around the weights, and the
        coarse distances.
    judged
        Losses, ranks and probabilities of the whole held-out part, if there is one.
    sample
        Places of the interactions of the held-out part that were drawn from it, if it is read as a finite pool.
    code
        The file of the network that T8-code certifies; None where that theorem refuses.
    gems
        Pools of hidden gems, if there is a held-out part with several levels.
    rival
        What the draws are compared with, if their prior has learnt.
    """

    evidence: Evidence
    smoothing: float
    draws: Draws
    distances: Distances
    judged: Judged | None = None
    sample: Rows | None = None
    code: Code | None = None
    gems: GemPools | None = None
    rival: Rival | None = None


def gather(
    model: Conv4Rec,
    own: Mapping[str, LogProbabilities],
    rival: Mapping[str, LogProbabilities],
    declared: Declared,
    delta: float,
    prior: Conv4Rec | None = None,
    least_interactions: int = 0,
) -> Gathered:
    """Collect all that the theorems may look at.

    ``own`` and ``rival`` hold the log-probabilities of every part by the model and by what it is compared with;
    ``prior`` is a network for the prior of the draws (see `conv4rec_experiments.priors`), and ``least_interactions``
    the floor of the pools of gems.

    Raises
    ------
    InputError
        If the data cannot be independent draws from a declared truth as they stand, or users that were declared
        independent are tied by dates that were computed from the data of all of them, or the prior's network has seen
        other interactions than it may have, or no item has ``least_interactions``.
    """
    truth, split, sizes = declared.truth, model.split, model.architecture
    if truth is not None:
        _check_draws(split, truth)
    if declared.new_users:
        _check_users(split)
    learnt = None if prior is None else Prior.of(model, prior)
    against = None if learnt is None else Rival.of(learnt)
    draws = draw_around(model, learnt, delta=delta, seed=model.options.seed)
    protocol = _protocol(model, declared)
    code = None if protocol.sampling == "neither" else compress(model, delta)
    evidence = Evidence(
        cells=max(int(found.cells.max()) for found in own.values()),
        protocol=protocol,
        compressed=None if code is None else code.compressed,
        network=Network(model.weights(), sizes.lift_activation, sizes.code_activation, sizes.decode_activation),
        references=References({"cell_bias": profile_popularity(model)}),
        level_values=tuple(float(value) for value in split.interactions.level_values),
        seen=len(split.profile) + len(split.scored) + len(split.validation),
        **_scored(model, own["scored"], draws, against, truth),
    )
    smoothing = smoothing_for(own.get("validation"), evidence.cells, delta)
    judged, sample, gems = None, None, None
    if "held_out" in own:
        judged = Judged.of(model, own["held_out"], smoothing)
        sample = random_half(split, protocol)
        parts = held_out_evidence(model, own["held_out"], rival["held_out"], judged, smoothing, protocol, sample, truth)
        evidence = replace(evidence, **parts)
        if split.interactions.n_levels > 1:
            gems = choose_pools(model, "unmet" if truth is None else "all", least_interactions)
            whole = declared.independent_levels or protocol.sampling == "independent"
            if whole or sample is not None:
                evidence = replace(evidence, gem_counts=gems.counts(None if whole else sample))
    found = compare(split, laws_of(model), evidence, None if truth is None else truth_laws(truth))
    evidence = replace(evidence, **found.parts)
    return Gathered(evidence, smoothing, draws, found, judged, sample, code, gems, against)


def _protocol(model: Conv4Rec, declared: Declared) -> Protocol:
    training: Literal["fixed profile", "redrawn profiles"] = (
        "redrawn profiles" if model.options.redraw else "fixed profile"
    )
    return Protocol(
        sampling=_sampling(model.split, declared.independent, declared.truth),
        training=training,
        users=_users(model.split) if declared.new_users else "given",
    )


def _scored(
    model: Conv4Rec, found: LogProbabilities, draws: Draws, rival: Rival | None, truth: Truth | None
) -> dict[str, Any]:
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
    scores = [drawn.log_probabilities(draws.part) for drawn in draws.models]
    against = None if rival is None else rival.against(scores, draws.part, model.split)
    parts["posterior"] = replace(draws.posterior(scores), against=against)
    if truth is not None and truth_risk is not None:
        log_law = np.log(truth.law)
        parts["comparator"] = Comparator(
            excess=0.0,
            # Both cover the rounding of logarithms; where the law is nearly uniform, only the second does.
            oscillation=float(np.ptp(log_law, axis=1).max()) * (1 + 1e-9) + 1e-12,
            risk=truth_risk,
        )
        parts["ensemble"] = Ensemble(
            size=len(draws.part),
            risks=np.array([score.losses()["joint"] for score in scores]),
            log_ratios=draws.log_ratios,
            truth_loss=TruthLoss(truth.empirical_risk(count_table(draws.part)), "known"),
        )
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


def truth_laws(truth: Truth) -> Laws:
    """Return a known truth's probabilities as a function of numbers of users."""
    table = truth.law.reshape(truth.users, truth.items, truth.levels)
    return lambda users: table[users]
