"""T5 and T6: total variation of the fit to a known truth."""

from dataclasses import replace

import numpy as np

from conv4rec_bounds import Comparator, Evidence
from conv4rec_bounds.divergences import kullback_leibler
from conv4rec_experiments.studies.certificates.replicate import Replicate, mean_loss
from conv4rec_experiments.studies.certificates.risks import scored_evidence
from conv4rec_experiments.studies.certificates.statement import Statements, answer

__all__ = ["fast_rate", "oracle_inequality"]


def oracle_inequality(replicate: Replicate, delta: float) -> Statements:
    """T5: compared with the nearest network of the class, or with the truth itself where none is known.

    A truth with empty cells has no bounded logits and can be no comparator: the theorem is then told of none.
    """

    def make() -> tuple[Evidence, float]:
        measured = replicate.distance(replicate.law, replicate.mix)
        return replace(scored_evidence(replicate), comparator=_comparator(replicate)), measured

    yield answer("T5", delta, make, basis="known")


def fast_rate(replicate: Replicate, delta: float) -> Statements:
    """T6: from the truth's own mean loss on the sample; the class need not contain the truth."""
    yield answer(
        "T6",
        delta,
        lambda: (scored_evidence(replicate), replicate.distance(replicate.law, replicate.mix)),
        basis="known",
    )


def _comparator(replicate: Replicate) -> Comparator | None:
    log_law = replicate.truth.nearest
    if log_law is None and bool((replicate.sample.target_law > 0).all()):
        log_law = np.log(replicate.sample.target_law)
    if log_law is None:
        return None
    oscillation = float(np.ptp(log_law, axis=1).max())
    excess = kullback_leibler(replicate.sample.target_law, log_law, replicate.mix)
    # Rounding must not make either of them too small.
    return Comparator(
        excess=max(0.0, excess) + 1e-12,
        oscillation=oscillation * (1 + 1e-12),
        risk=mean_loss(replicate.total, log_law),
    )
