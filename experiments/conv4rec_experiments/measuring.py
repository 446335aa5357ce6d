"""What certificates bound, measured where it is known: on known truths and in finite pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from conv4rec.loss import LogProbabilities
from conv4rec.popularity import Popularity
from conv4rec.profiles import high_levels
from conv4rec.splits import Part
from conv4rec_bounds.loss import DEFAULT_SMOOTHING, smoothed_losses
from conv4rec_bounds.theorems.t9_gems import lower_end
from conv4rec_experiments.codes.compressing import Code
from conv4rec_experiments.gathering import Gathered
from conv4rec_experiments.held_out_evidence import count_table
from conv4rec_experiments.judged_truth import judged_under_truth
from conv4rec_experiments.measured import Measured, measured_distance
from conv4rec_experiments.truths import user_mix

if TYPE_CHECKING:
    from conv4rec import Conv4Rec
    from conv4rec_bounds import Certificate, Evidence, Report
    from conv4rec_experiments.truths import Truth

__all__ = ["measure"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

OVER_THE_POOL = {
    "T9-parts": "mean over the whole held-out pool",
    "T9-users": "mean over users of the exact expectation over subsets of the same size of each one's held-out pool",
    "T9-calibration": "calibration error over the whole held-out pool, on the same bins",
}
UNDER_THE_TRUTH = {
    "T9-parts": "mean under the known truth",
    "T9-users": "expected share of hits under the known truth; expectations of the other scores have no closed form",
    "T9-calibration": "calibration error under the known truth, on the same bins",
}


def measure(
    model: Conv4Rec,
    gathered: Gathered,
    own: Mapping[str, LogProbabilities],
    rival: Mapping[str, LogProbabilities],
    truth: Truth | None,
    report: Report,
) -> dict[str, Measured]:
    """Measure the target of every theorem for which it is known; the keys are the theorems' numbers."""
    gems = _in_the_named_pool(model, gathered, truth, report["T9-gems"])
    return gems | (_of_pools(model, gathered, own, rival) if truth is None else _under_truth(model, gathered, truth))


def _in_the_named_pool(
    model: Conv4Rec, gathered: Gathered, truth: Truth | None, certificate: Certificate
) -> dict[str, Measured]:
    """Measure how often the levels of the pool that the certificate names are high, where it is known."""
    pools, counts = gathered.gems, gathered.evidence.gem_counts
    if pools is None or counts is None or certificate.value is None:
        return {}
    inside = pools.inside[max(range(len(pools.names)), key=lambda k: certificate.quantities[lower_end(pools.names[k])])]
    if not inside.any():
        return {}
    if counts.levels == "finite pool":
        return {
            "T9-gems": Measured(float(pools.high[inside].mean()), "share of high levels in the pool, held-out part")
        }
    if truth is None:
        return {}
    part = model.split.held_out
    levels = truth.law.reshape(truth.users, truth.items, truth.levels)[part.user[inside], part.item[inside]]
    high = levels[:, high_levels(model.interactions.level_values)].sum(axis=1) / levels.sum(axis=1)
    return {"T9-gems": Measured(float(high.mean()), "probability of a high level in the pool, its held-out items")}


def _of_pools(
    model: Conv4Rec,
    gathered: Gathered,
    own: Mapping[str, LogProbabilities],
    rival: Mapping[str, LogProbabilities],
) -> dict[str, Measured]:
    sampling, held_out = gathered.evidence.protocol.sampling, own.get("held_out")
    measured: dict[str, Measured] = {}
    if sampling == "finite pool":
        losses = {name: -found.joint for name, found in own.items()}
        pool = Measured(_pool_risk(model, losses), "mean loss over the scored users' own pools")
        measured |= dict.fromkeys(("T1", "T2", "T4"), pool)
        if (code := gathered.code) is not None:
            coded = {name: _smoothed_losses(code.log_probabilities(getattr(model.split, name))) for name in own}
            meaning = "mean loss of the smoothed decoded network over the scored users' own pools"
            measured["T8-code"] = Measured(_pool_risk(model, coded), meaning)
        measured |= _draws_in_the_pool(model, gathered)
    if sampling != "independent" and held_out is not None:
        means = [
            float(smoothed_losses(found.joint, found.cells, gathered.smoothing).losses.mean())
            for found in (held_out, rival["held_out"])
        ]
        measured["T9-pool"] = Measured(means[0], "mean loss over the whole held-out pool")
        margin = means[1] - means[0]
        measured["T9-paired"] = Measured(margin, "popularity's mean loss less the model's over the whole held-out pool")
    measured |= measured_distance(gathered.distances)
    if gathered.judged is not None and gathered.sample is not None:
        measured |= _parts(gathered.evidence, gathered.judged.over_the_pool(gathered.sample), OVER_THE_POOL)
    return measured


def _parts(
    evidence: Evidence, found: Mapping[str, Mapping[str, float]], meanings: Mapping[str, str]
) -> dict[str, Measured]:
    """Put parts under their theorems; the value is that of the part which the certificate reports, if it is known."""
    reported = {
        "T9-parts": evidence.named_losses and evidence.named_losses.losses[0].name,
        "T9-users": evidence.user_scores and next(iter(evidence.user_scores.scores)),
        "T9-calibration": evidence.binned_events and next(iter(evidence.binned_events.happened)),
    }
    return {
        number: Measured(parts.get(str(reported[number])), meanings[number], parts) for number, parts in found.items()
    }


def _under_truth(model: Conv4Rec, gathered: Gathered, truth: Truth) -> dict[str, Measured]:
    laws = [_law(drawn, truth) for drawn in gathered.draws.models]
    law, scored = _law(model, truth), user_mix(count_table(model.split.scored))
    drawn = user_mix(count_table(gathered.draws.part))
    risk = Measured(truth.risk(np.log(law), scored), "risk under the known truth")
    distance = Measured(truth.tv(law, scored), "total variation to the known truth, scored users")
    measured = dict.fromkeys(("T1", "T2", "T4"), risk) | dict.fromkeys(("T5", "T6"), distance)
    measured["T7c"] = Measured(truth.tv(np.mean(laws, axis=0), drawn), "total variation of the ensemble to the truth")
    of_draws = [truth.risk(_smoothed(each, DEFAULT_SMOOTHING), drawn) for each in laws]
    measured["T8"] = Measured(float(np.mean(of_draws)), "mean risk of the smoothed draws under the known truth")
    if gathered.rival is not None:
        other = np.broadcast_to(np.exp(gathered.rival.law.cell_logits).reshape(-1), law.shape)
        margin = truth.risk(_smoothed(other, DEFAULT_SMOOTHING), drawn) - float(np.mean(of_draws))
        measured["T8-paired"] = Measured(margin, "popularity's risk less that of the draws under the known truth")
    if gathered.code is not None:
        coded = _smoothed(_coded_law(gathered.code, truth), DEFAULT_SMOOTHING)
        measured["T8-code"] = Measured(truth.risk(coded, scored), "risk of the smoothed decoded network, known truth")
    if gathered.evidence.held_out is not None:
        mix = user_mix(count_table(model.split.held_out))
        smoothed = truth.risk(_smoothed(law, gathered.smoothing), mix)
        measured["T9"] = Measured(smoothed, "risk of the smoothed predictor under the known truth")
        popular = np.broadcast_to(np.exp(Popularity.fit(model.split).cell_logits).reshape(-1), law.shape)
        margin = truth.risk(_smoothed(popular, gathered.smoothing), mix) - smoothed
        measured["T9-paired"] = Measured(margin, "popularity's risk less the model's under the known truth")
        far = Measured(truth.tv(law, mix), "total variation to the known truth, held-out users")
        measured |= {"T7a": far, "T9-lower": far}
        own = truth.empirical_risk(count_table(model.split.held_out))
        measured["T7e"] = Measured(own, "the truth's own mean loss on the held-out part")
        if gathered.distances.at_most is not None:
            words = "total variation to the known truth over groups of cells"
            measured["T7f"] = Measured(gathered.distances.at_most, words)
        explicit = _level_distance(law, truth, mix)
        measured["T10"] = Measured(explicit, "total variation of the level given the item, held-out users")
    if gathered.judged is not None:
        found = judged_under_truth(model, gathered.judged, truth, law, gathered.smoothing)
        measured |= _parts(gathered.evidence, found, UNDER_THE_TRUTH)
    return measured


def _law(model: Conv4Rec, truth: Truth) -> Array:
    return model.predict_proba(model.interactions.user_ids).reshape(truth.users, truth.cells)


def _coded_law(code: Code, truth: Truth) -> Array:
    logits = code.logits(np.arange(truth.users)).reshape(truth.users, truth.cells)
    law: Array = logits.softmax(dim=1).numpy()
    return law


def _level_distance(law: Array, truth: Truth, mix: Array) -> float:
    """Mean over truly consumed items of the total variation between true and predicted levels."""
    shape = truth.users, truth.items, truth.levels
    true, model = truth.law.reshape(shape), law.reshape(shape)
    consumed = true.sum(axis=2, keepdims=True)
    gap = np.abs(true / consumed - model / model.sum(axis=2, keepdims=True)).sum(axis=2) / 2
    return float(mix @ (consumed[:, :, 0] * gap).sum(axis=1))


def _smoothed(law: Array, smoothing: float) -> Array:
    """Logarithms of the smoothed law."""
    logs: Array = np.log((1 - smoothing) * law + smoothing / law.shape[1])
    return logs


def _smoothed_losses(found: LogProbabilities) -> Array:
    losses: Array = smoothed_losses(found.joint, found.cells, DEFAULT_SMOOTHING).losses
    return losses


def _draws_in_the_pool(model: Conv4Rec, gathered: Gathered) -> dict[str, Measured]:
    """Measure what T8 and T8-paired bound for a pool: mean losses over what the prior has left of it."""
    draws, split, rival = gathered.draws, model.split, gathered.rival
    rest = split.interactions.subset((split.part == Part.VALIDATION) | (split.part == Part.HELD_OUT))
    parts = [part for part in (draws.part, rest) if len(part)]
    users = np.concatenate([part.user for part in parts])
    losses = [
        np.concatenate([_smoothed_losses(drawn.log_probabilities(part)) for part in parts]) for drawn in draws.models
    ]
    where = "over the scored users' own pools" + (", without what made the prior" if draws.prior_size else "")
    value = _mean_of_pools(users, np.mean(losses, axis=0), draws.part.user)
    measured = {"T8": Measured(value, f"mean loss of the smoothed draws {where}")}
    if rival is not None:
        other = np.concatenate([_smoothed_losses(rival.law.log_probabilities(part, split)) for part in parts])
        margin = _mean_of_pools(users, other, draws.part.user) - value
        measured["T8-paired"] = Measured(margin, f"popularity's mean loss less that of the draws {where}")
    return measured


def _pool_risk(model: Conv4Rec, losses: Mapping[str, Array]) -> float:
    """Return the mean over scored interactions of the mean loss of the user's pool: what T1 bounds for a pool."""
    users = np.concatenate([getattr(model.split, name).user for name in losses])
    return _mean_of_pools(users, np.concatenate(list(losses.values())), model.split.scored.user)


def _mean_of_pools(users: Rows, losses: Array, scored: Rows) -> float:
    sizes, sums = np.bincount(users), np.bincount(users, weights=losses)
    return float((sums[scored] / sizes[scored]).mean())
