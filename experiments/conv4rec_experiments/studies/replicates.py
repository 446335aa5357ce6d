"""One part of a study: its samples, the fits and their rivals, and every number that is measured on them.

All that a replicate draws comes from a stream of its own, keyed by truth, protocol, sampling, size and seed. So a
sample depends neither on the other seeds of its part nor on who computes it; a fit does so through the last bits of
batched linear algebra alone.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Fit, fit_many
from conv4rec_experiments.fits.floor import Floor, histogram_law, nearest_law, statistical_floor
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.studies.certificates import certificate_rows
from conv4rec_experiments.studies.estimators import smoothed_law
from conv4rec_experiments.studies.groups import activity_groups, popularity_groups
from conv4rec_experiments.studies.measures import Comparison
from conv4rec_experiments.studies.samplings import draw
from conv4rec_experiments.studies.study import Part, Study
from conv4rec_experiments.studies.tables import CERTIFICATES, ESTIMATORS, GROUP_KINDS, GROUPS, MEASURES, TIMING, table
from conv4rec_experiments.truths.truth import Counts, Truth, user_mix

__all__ = ["common_law", "measure", "self_reconstruction"]

Array = NDArray[np.float64]
Row = dict[str, Any]

OF_FITS = ("training_loss", "truth_loss", "gap", "gradient_norm", "gradient_max", "iterations", "starts", "state")
"""Columns that only fits have."""

PURPOSES = ("sample", "fit")
TRUTHS_KEPT = 4


def measure(study: Study, part: Part) -> dict[str, pl.DataFrame]:
    """Draw, fit and measure the replicates of a part; its rows of the three tables.

    Measures compare with the law that the sampling aims at. All samples of a part are in memory together, seven tables
    of shape (user, cell) for each seed.

    Returns
    -------
    dict
        Frames named ``"measures"``, ``"certificates"`` and ``"groups"``, as `conv4rec_experiments.studies.tables` has
        them.

    Examples
    --------
    >>> from conv4rec_experiments.studies.study import TruthChoice
    >>> study = Study("tiny", (TruthChoice("small"),), sizes=(100_000,), seeds=(0,))
    >>> rows = measure(study, study.parts()[0])["measures"]
    >>> rows.select("estimator", pl.col("tv", "floor").round(3)).rows()
    [('fit', 0.013, 0.012), ('histogram', 0.021, 0.012), ('smoothed', 0.02, 0.012)]
    """
    truth = part.truth.make()
    samples = [draw(part.sampling, truth, part.size, _stream(truth, part, seed, "sample")) for seed in part.seeds]
    totals = [sample.total for sample in samples]
    begin = perf_counter()
    likelihoods, fits = _fits(study, part, truth, totals)
    fitting = (perf_counter() - begin) / len(fits)

    measures: list[Row] = []
    groups: list[Row] = []
    for seed, sample, total, likelihood, fit in zip(part.seeds, samples, totals, likelihoods, fits, strict=True):
        for estimator in ESTIMATORS:
            begin = perf_counter()
            keys = _keys(truth, part, seed) | {"estimator": estimator}
            log_law = _log_law(estimator, total, likelihood, fit)
            comparison = Comparison.of(sample.target_law, log_law, truth.profiles.sum(axis=2) == 0)
            distances = asdict(comparison.mean(user_mix(total)))
            population = {"tv_population": comparison.mean(truth.pi).tv}
            groups += [keys | group for group in _groups(truth, total, comparison)]
            seconds = perf_counter() - begin + (fitting if estimator == "fit" else 0)
            limits = _limits(truth, part)
            of_fit = _of_fit(fit, truth.empirical_risk(total)) if estimator == "fit" else dict.fromkeys(OF_FITS)
            measures.append(keys | distances | population | limits | of_fit | {TIMING: seconds})

    rows = certificate_rows(study, truth, part.protocol, samples, fits, likelihoods, part.seeds)
    certificates = [_keys(truth, part, row["seed"]) | row for row in rows]
    return {
        "measures": table(measures, MEASURES),
        "certificates": table(certificates, CERTIFICATES),
        "groups": table(groups, GROUPS),
    }


def self_reconstruction(truth: Truth, counts: Counts) -> Likelihood:
    """Give the truth's class of networks with the sample itself for profiles: one for each cell that a user has.

    Parameters
    ----------
    counts
        Count table of shape (user, cell); a user without interactions gets an empty profile.

    Raises
    ------
    InputError
        If the table has another shape than the truth's law.

    Examples
    --------
    >>> from conv4rec_experiments.truths import small_truth
    >>> truth = small_truth(0)
    >>> likelihood = self_reconstruction(truth, truth.sample(10**6, np.random.default_rng(0)))
    >>> bool((likelihood.inputs == likelihood.inputs[0]).all())
    True
    """
    if counts.shape != truth.law.shape:
        raise InputError(
            f"A count table of shape {counts.shape} was given for a truth whose law has shape {truth.law.shape}; "
            "give a sample of that truth."
        )
    profiles = (counts > 0).astype(np.int64).reshape(truth.profiles.shape)
    return Likelihood(profiles, truth.channels, truth.code, truth.lift_activation, truth.code_activation)


def common_law(truth: Truth) -> Array | None:
    r"""Law that fits under self-reconstruction tend to, shape (cell,); None if a cell of some user is empty.

    Once every user has every cell, all profiles are equal, and so are the laws of all users under any weights. The
    class then contains every positive common law, and maximum likelihood is the sample's share of each cell, which
    tends to ``sum_i pi_i Q_i``.

    Examples
    --------
    >>> from conv4rec_experiments.truths import small_truth
    >>> truth = small_truth(0)
    >>> round(truth.tv(np.tile(common_law(truth), (truth.users, 1))), 4)
    0.2575
    """
    if not (truth.law > 0).all():
        return None
    law: Array = (truth.pi[:, None] * truth.law).sum(axis=0)
    return law


def _fits(study: Study, part: Part, truth: Truth, totals: Sequence[Counts]) -> tuple[list[Likelihood], list[Fit]]:
    """Fit all samples of a part, side by side where they share their profiles.

    The truth's own loss is a goal where the truth is in the class, and nowhere else.
    """
    seeds = [int(_stream(truth, part, seed, "fit").integers(2**62)) for seed in part.seeds]
    reachable = truth.realisable and part.protocol == "fixed profile"
    losses = [truth.empirical_risk(total) if reachable else None for total in totals]
    if part.protocol == "fixed profile":
        return [truth.likelihood] * len(totals), fit_many(truth.likelihood, np.stack(totals), losses, seeds, study.fits)
    likelihoods = [self_reconstruction(truth, total) for total in totals]
    fits = [
        fit_many(likelihood, total[None], [loss], [seed], study.fits)[0]
        for likelihood, total, loss, seed in zip(likelihoods, totals, losses, seeds, strict=True)
    ]
    return likelihoods, fits


def _log_law(estimator: str, counts: Counts, likelihood: Likelihood, fit: Fit) -> Array:
    if estimator == "fit":
        return likelihood.log_law(fit.theta)
    with np.errstate(divide="ignore"):
        law: Array = np.log(histogram_law(counts) if estimator == "histogram" else smoothed_law(counts))
    return law


def _of_fit(fit: Fit, truth_loss: float) -> Row:
    values = (
        fit.training_loss,
        truth_loss,
        fit.training_loss - truth_loss,
        fit.gradient_norm,
        fit.gradient_max,
        fit.iterations,
        fit.starts,
        fit.state.value,
    )
    return dict(zip(OF_FITS, values, strict=True))


def _groups(truth: Truth, counts: Counts, comparison: Comparison) -> list[Row]:
    numbers = counts.sum(axis=1)
    found = zip(GROUP_KINDS, (activity_groups, popularity_groups), strict=True)
    return [{"kind": kind} | asdict(group) for kind, groups in found for group in groups(comparison, truth.pi, numbers)]


def _limits(truth: Truth, part: Part) -> Row:
    """Floor and limit of the fits; they are those of independent draws, and null under other samplings."""
    floor, limit = None, None
    if part.sampling == "independent" and part.protocol == "fixed profile":
        efficient, limit = _fixed_profile_limits(truth)
        floor = None if efficient is None else efficient.tv(part.size)
    elif part.sampling == "independent":
        law = common_law(truth)
        limit = None if law is None else truth.tv(np.tile(law, (truth.users, 1)))
    return {"floor": floor, "tv_limit": limit}


@lru_cache(maxsize=TRUTHS_KEPT)
def _fixed_profile_limits(truth: Truth) -> tuple[Floor | None, float | None]:
    """Floor and limit where the nearest network is known; one that a search finds bounds nothing and takes long."""
    nearest = None if truth.weights is None else nearest_law(truth)
    return statistical_floor(truth), None if nearest is None else nearest.tv


def _keys(truth: Truth, part: Part, seed: int) -> Row:
    return {
        "truth": truth.name,
        "truth_seed": truth.seed,
        "protocol": part.protocol,
        "sampling": part.sampling,
        "size": part.size,
        "seed": seed,
    }


def _stream(truth: Truth, part: Part, seed: int, purpose: str) -> np.random.Generator:
    """Give the coins of one replicate and purpose: the same whatever else its part computes."""
    words = tuple(crc32(word.encode()) for word in (truth.name, part.protocol, part.sampling))
    key = (*words, PURPOSES.index(purpose))
    return np.random.default_rng(np.random.SeedSequence((truth.seed, part.size, seed), spawn_key=key))
