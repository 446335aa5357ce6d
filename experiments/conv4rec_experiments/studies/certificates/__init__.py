"""Every certificate that a study can compute, beside the exact value of what it bounds.

One file for each family of theorems. Whatever the sampling was, the evidence declares independent draws: that is what
a stress of the assumptions is about. What a predictor is said not to have seen, it has not seen.
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import DENSE_MOST, Fit, Settings
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.studies.certificates.coded import compressed_risk
from conv4rec_experiments.studies.certificates.coincidences import by_coincidences
from conv4rec_experiments.studies.certificates.comparisons import against_popularity, in_random_order
from conv4rec_experiments.studies.certificates.consequences import limits, what_it_buys
from conv4rec_experiments.studies.certificates.distances import fast_rate, oracle_inequality
from conv4rec_experiments.studies.certificates.drawn import drawn_distance, pac_bayes, paired_draws
from conv4rec_experiments.studies.certificates.gems import hidden_gems
from conv4rec_experiments.studies.certificates.held_out import falsification, held_out_pool, held_out_risk
from conv4rec_experiments.studies.certificates.judged import calibration, losses_of_parts, scores_of_users
from conv4rec_experiments.studies.certificates.refits import Refits, least_losses, refit_slices
from conv4rec_experiments.studies.certificates.replicate import Replicate, coins
from conv4rec_experiments.studies.certificates.risks import frozen_codes, new_users, norms, parameter_count
from conv4rec_experiments.studies.certificates.statement import Statement, Statements, inapplicable
from conv4rec_experiments.studies.certificates.untouched import FIRST, least_loss, point, prequential, transferred
from conv4rec_experiments.studies.samplings import Sample
from conv4rec_experiments.truths.truth import Truth

__all__ = ["THEOREMS", "Asked", "Statement", "certificate_rows"]

FAMILIES: Mapping[str, Callable[[Replicate, float], Statements]] = {
    "T1": parameter_count,
    "T2": norms,
    "T3": new_users,
    "T4": frozen_codes,
    "T5": oracle_inequality,
    "T6": fast_rate,
    "T7a": point,
    "T7b": prequential,
    "T7c": drawn_distance,
    "T7d": transferred,
    "T7e": least_loss,
    "T7f": by_coincidences,
    "T8": pac_bayes,
    "T8-paired": paired_draws,
    "T8-code": compressed_risk,
    "T9": held_out_risk,
    "T9-pool": held_out_pool,
    "T9-paired": against_popularity,
    "T9-sequence": in_random_order,
    "T9-lower": falsification,
    "T9-parts": losses_of_parts,
    "T9-users": scores_of_users,
    "T9-calibration": calibration,
    "T9-gems": hidden_gems,
    "T10": what_it_buys,
    "T11": limits,
}

THEOREMS: tuple[str, ...] = tuple(FAMILIES)
"""Numbers of the theorems that a study can ask."""

IN_TIME_ORDER = frozenset({"T7a", "T7b", "T7c", "T7d", "T7f", "T8", "T8-paired", "T8-code", "T10"})
WITH_LEAST_LOSS = frozenset({"T7a", "T7b", "T7c", "T7d"})


class Asked(Protocol):
    """What of a study decides its certificates."""

    @property
    def theorems(self) -> tuple[str, ...]:
        """Numbers of the theorems, some of `THEOREMS`."""

    @property
    def delta(self) -> float:
        """The failure probability of each certificate by itself."""

    @property
    def fits(self) -> Settings:
        """How hard fits try."""


def certificate_rows(
    study: Asked,
    truth: Truth,
    protocol: str,
    samples: Sequence[Sample],
    fits: Sequence[Fit],
    likelihoods: Sequence[Likelihood],
    seeds: Sequence[int],
) -> list[dict[str, Any]]:
    """Compute every certificate that a study asks for, of every replicate, with its exact target.

    Parameters
    ----------
    study
        Which theorems, and with which failure probability each.
    truth, protocol
        What was drawn from; ``"fixed profile"`` or ``"self-reconstruction"``.
    samples, fits, likelihoods, seeds
        One of each for every replicate, all samples of one size; under fixed profiles the likelihood is the truth's
        own.

    Returns
    -------
    list
        Rows of the certificates table without the keys but ``seed``.

    Raises
    ------
    InputError
        If a theorem or the protocol is unknown, or the lists differ in length.
    """
    unknown = [number for number in study.theorems if number not in FAMILIES]
    if unknown:
        raise InputError(f"There is no theorem {unknown[0]!r} in studies; expected some of {', '.join(THEOREMS)}.")
    if protocol not in ("fixed profile", "self-reconstruction"):
        raise InputError(f"The protocol is {protocol!r}; expected 'fixed profile' or 'self-reconstruction'.")
    if not len(samples) == len(fits) == len(likelihoods) == len(seeds):
        raise InputError(
            f"{len(samples)} samples came with {len(fits)} fits, {len(likelihoods)} likelihoods and {len(seeds)} "
            "seeds; expected one of each for every replicate."
        )
    if not study.theorems:
        return []
    begin = perf_counter()
    replicates = _prepare(study, truth, protocol, samples, fits, likelihoods, seeds)
    shared = (perf_counter() - begin) / max(1, len(replicates))
    rows: list[dict[str, Any]] = []
    for seed, replicate in zip(seeds, replicates, strict=True):
        found = [_timed(number, replicate, study.delta) for number in study.theorems]
        answers = sum(len(statements) for statements, _ in found)
        for statements, seconds in found:
            rows += [
                {"seed": seed, **vars(statement), "seconds": seconds / len(statements) + shared / answers}
                for statement in statements
            ]
    return rows


def _timed(number: str, replicate: Replicate, delta: float) -> tuple[list[Statement], float]:
    begin = perf_counter()
    if number in IN_TIME_ORDER and _too_large(replicate.protocol, replicate.truth):
        weights = replicate.truth.likelihood.size
        reason = f"Not computed: a class of {weights} weights is too large for fits to every prefix of the sample."
        return [inapplicable(number, delta, reason)], perf_counter() - begin
    return list(FAMILIES[number](replicate, delta)), perf_counter() - begin


def _too_large(protocol: str, truth: Truth) -> bool:
    return protocol == "fixed profile" and truth.likelihood.size > DENSE_MOST


def _prepare(
    study: Asked,
    truth: Truth,
    protocol: str,
    samples: Sequence[Sample],
    fits: Sequence[Fit],
    likelihoods: Sequence[Likelihood],
    seeds: Sequence[int],
) -> list[Replicate]:
    """Fit what several theorems share: predictors of prefixes, and least losses where the truth is of the class."""
    asked = frozenset(study.theorems)
    fixed = protocol == "fixed profile" and not _too_large(protocol, truth)
    keys = [(truth.seed, int(sample.total.sum()), seed) for sample, seed in zip(samples, seeds, strict=True)]
    in_order: list[Refits] | list[None] = [None] * len(samples)
    least: list[tuple[float, float] | None] = [None] * len(samples)
    if fixed and asked & IN_TIME_ORDER:
        in_order = made = refit_slices(truth.likelihood, samples, [coins(key, "refits") for key in keys], study.fits)
        if truth.realisable and asked & WITH_LEAST_LOSS:
            least = list(_least(study, truth, samples, made, keys, fits))
    return [
        Replicate(truth, protocol, sample, fit, likelihood, key, in_time, lowest)
        for sample, fit, likelihood, key, in_time, lowest in zip(
            samples, fits, likelihoods, keys, in_order, least, strict=True
        )
    ]


def _least(
    study: Asked,
    truth: Truth,
    samples: Sequence[Sample],
    made: Sequence[Refits],
    keys: Sequence[tuple[int, ...]],
    fits: Sequence[Fit],
) -> list[tuple[float, float]]:
    """Find the least losses of the class on the last block and on the slices of T7b, from starts of their own."""
    tables = [
        np.stack([sample.blocks[-1] for sample in samples]),
        np.stack([refits.slices[FIRST["realisable"] :].sum(axis=0) for refits in made]),
    ]
    starts = [[int(coins(key, name).integers(2**62)) for key in keys] for name in ("last block", "later blocks")]
    last, later = (
        least_losses(truth.likelihood, table, seeds_of, study.fits, fits)
        for table, seeds_of in zip(tables, starts, strict=True)
    )
    return [(one.training_loss, other.training_loss) for one, other in zip(last, later, strict=True)]
