"""T10: what a certified total variation buys, part by part; and T11, which no single fit can be held against."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import GemPool, RefusedError, certify
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import BY_NUMBER, Statement, Statements, inapplicable
from conv4rec_experiments.studies.certificates.untouched import point_evidence
from conv4rec_experiments.truths.truth import Truth, user_mix

__all__ = ["Parts", "limits", "parts", "what_it_buys"]

Array = NDArray[np.float64]

LIST = 5
POOL_SHARE = 0.25

WORDS = {
    "implicit": "total variation of the item's law",
    "explicit": "total variation of the level given the item, truly consumed items",
    "level error": "error of the expected level, truly consumed items",
    "regret": "loss of the best items' list against the truly best",
    "hidden gems, lower end": "probability of the highest level in the model's own pool of hidden gems",
}
"""Quantities of T10 and what they bound; all under the users of the last block, for the predictor that T7a scores."""


@dataclass(frozen=True)
class Parts:
    """What T10 bounds, exactly, by the names of its quantities, and the pool that the model chose."""

    measured: dict[str, float]
    pool: GemPool | None


def parts(truth: Truth, true_law: Array, law: Array, mix: Array) -> Parts:
    """Measure the parts of the distance of a law (user, cell) to a true one under a mix of users.

    Lists hold the 5 most probable items, or half of them if there are fewer than 10. The pool holds for each user the
    quarter of items to which the model gives the highest probability of the top level once consumed.
    """
    shape = truth.users, truth.items, truth.levels
    true, model = true_law.reshape(shape), law.reshape(shape)
    of_items, model_items = true.sum(axis=2), model.sum(axis=2)
    levels = np.divide(true, of_items[:, :, None], out=np.zeros_like(true), where=of_items[:, :, None] > 0)
    model_levels = np.divide(
        model, model_items[:, :, None], out=np.full_like(model, 1 / truth.levels), where=model_items[:, :, None] > 0
    )
    consumed = mix[:, None] * of_items
    expected = np.abs((levels - model_levels) @ np.arange(1, truth.levels + 1))
    listed = max(1, min(LIST, truth.items // 2))
    best, chosen = (np.argsort(-table, axis=1, kind="stable")[:, :listed] for table in (of_items, model_items))
    caught, catchable = (np.take_along_axis(of_items, places, axis=1).sum(axis=1) for places in (chosen, best))
    measured = {
        "implicit": float(mix @ np.abs(of_items - model_items).sum(axis=1)) / 2,
        "explicit": float((consumed * np.abs(levels - model_levels).sum(axis=2)).sum()) / 2,
        "level error": float((consumed * expected).sum()),
        "regret": float(mix @ (catchable - caught)),
    }
    if truth.levels == 1:
        return Parts(measured, None)
    size = max(1, int(POOL_SHARE * truth.items))
    places = np.argsort(-model_levels[:, :, -1], axis=1, kind="stable")[:, :size]
    mass, high, true_mass, true_high = (
        float(mix @ np.take_along_axis(table, places, axis=1).sum(axis=1))
        for table in (model_items, model[:, :, -1], of_items, true[:, :, -1])
    )
    if not true_mass > 0 or not mass > 0:
        return Parts(measured, None)
    measured["hidden gems, lower end"] = true_high / true_mass
    return Parts(measured, GemPool(mass=min(1.0, mass), high=min(high, mass, 1.0), users="untouched"))


def what_it_buys(replicate: Replicate, delta: float) -> Statements:
    """T10 on top of T7a with a known truth: every part holds whenever that one does, so delta is T7a's."""
    try:
        mix = user_mix(replicate.last)
        found = parts(replicate.truth, replicate.sample.target_law, np.exp(replicate.before), mix)
        evidence = replace(
            point_evidence(replicate, "known"),
            level_values=tuple(float(level) for level in range(1, replicate.truth.levels + 1)),
            gem_pool=found.pool,
        )
        certificate = certify(evidence, delta, [BY_NUMBER["T7a"], BY_NUMBER["T10"]])["T10"]
    except RefusedError as error:
        yield _part("implicit", delta, None, None, f"T10 refuses: {error}.")
        return
    if certificate.value is None:
        yield _part("implicit", delta, None, None, certificate.reason)
        return
    for name, measured in found.measured.items():
        yield _part(name, delta, certificate.quantities[name], measured, None)


def _part(name: str, delta: float, bound: float | None, measured: float | None, refused: str | None) -> Statement:
    side = "lower" if name.endswith("lower end") else "upper"
    return Statement("T10", "known", WORDS[name], side, delta, bound, measured, refused)


def limits(replicate: Replicate, delta: float) -> Statements:
    """T11: a limit for the worst truth in the mean, which the fit of one sample can neither keep nor break."""
    yield inapplicable(
        "T11",
        delta,
        "Not applicable: the limit is one of the mean over samples for the worst of all truths; a single fit to a "
        "sample of one truth may lie on either side of it.",
    )
