"""T9-gems: how often the items of the fit's pools of hidden gems have a high level once consumed."""

import numpy as np

from conv4rec.profiles import high_levels, unlikely_items
from conv4rec_bounds import Evidence, GemCounts, RefusedError, certify
from conv4rec_bounds.theorems.t9_gems import lower_end
from conv4rec_experiments.gem_pools import EVERYBODY, THRESHOLDS, pool_name
from conv4rec_experiments.studies.certificates.replicate import Replicate
from conv4rec_experiments.studies.certificates.statement import BY_NUMBER, Statements, answer

__all__ = ["hidden_gems"]

NAMES = tuple(pool_name(EVERYBODY, threshold) for threshold in THRESHOLDS)


def hidden_gems(replicate: Replicate, delta: float) -> Statements:
    """T9-gems: P(high level | consumed) in the pool that the certificate names, over its held-out items.

    Pools are those of `conv4rec_experiments.gem_pools` for everybody, with every item a candidate.
    """

    def make() -> tuple[Evidence, float]:
        truth = replicate.truth
        if truth.levels == 1:
            raise RefusedError("there is one level, so that none is high")
        shape = truth.users, truth.items, truth.levels
        high = high_levels(np.arange(1.0, truth.levels + 1))
        law, true = replicate.law.reshape(shape), replicate.sample.target_law.reshape(shape)
        held_out = replicate.sample.held_out.reshape(shape)
        consume, consumed = law.sum(axis=2), true.sum(axis=2)
        claim = np.divide(law[:, :, high].sum(axis=2), consume, out=np.zeros_like(consume), where=consume > 0)
        chances = np.divide(true[:, :, high].sum(axis=2), consumed, out=np.zeros_like(consume), where=consumed > 0)
        chosen = unlikely_items(consume, np.ones(consume.shape, dtype=bool))
        pools = chosen & (claim >= np.array(THRESHOLDS)[:, None, None])
        met, liked = held_out.sum(axis=2), held_out[:, :, high].sum(axis=2)
        in_pool = (pools * met).sum(axis=(1, 2))
        counts = GemCounts(
            int(met.sum()), int(liked.sum()), in_pool, (pools * liked).sum(axis=(1, 2)), NAMES, levels="independent"
        )
        evidence = Evidence(cells=truth.cells, protocol=replicate.declared, gem_counts=counts)
        found = certify(evidence, delta, [BY_NUMBER["T9-gems"]])["T9-gems"].quantities
        named = max(range(len(NAMES)), key=lambda k: found[lower_end(NAMES[k])])
        return evidence, float((pools[named] * met * chances).sum() / max(1, in_pool[named]))

    yield answer("T9-gems", delta, make)
