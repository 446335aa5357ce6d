"""Do bounds hold as often as they say? Blind fits on a known truth, and the count of misses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, binomtest

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Fit, Settings, fit_many
from conv4rec_experiments.truths.truth import Counts, Truth

__all__ = ["Coverage", "Replicates", "binomial_tail", "coverage", "fits", "shrunk"]

Array = NDArray[np.float64]
LEAST_TAIL = 1e-6
REPLICATE = 0xC0  # keeps the draws apart from the stream that made the truth
QUICK = Settings(starts=2, kept=1, screening=15, iterations=60)


@dataclass(frozen=True, eq=False)
class Replicates:
    """Samples of one size from one truth, and a blind maximum-likelihood fit to each.

    Attributes
    ----------
    truth
        What was drawn from.
    counts
        Count tables, shape (replicate, user, cell).
    fits
        One fit for each replicate.
    """

    truth: Truth
    counts: Counts
    fits: Sequence[Fit]

    def weights(self, replicate: int) -> dict[str, Array]:
        """Named arrays of one replicate's fit."""
        return self.truth.likelihood.unpack(self.fits[replicate].theta)


def fits(truth: Truth, size: int, replicates: int, seed: int, settings: Settings = QUICK) -> Replicates:
    """Draw ``replicates`` samples of ``size`` interactions and fit each, side by side.

    The first replicates of a seed do not depend on how many follow.
    """
    if replicates < 1:
        raise InputError(f"{replicates} replicates were asked for; coverage needs at least 1; raise the number.")
    streams = [np.random.SeedSequence(seed, spawn_key=(REPLICATE, replicate)) for replicate in range(replicates)]
    sources = [np.random.default_rng(stream) for stream in streams]
    counts = np.stack([truth.sample(size, source) for source in sources])
    seeds = [int(source.integers(2**62)) for source in sources]
    found = fit_many(truth.likelihood, counts, [truth.empirical_risk(table) for table in counts], seeds, settings)
    return Replicates(truth, counts, found)


def binomial_tail(misses: int, replicates: int, delta: float) -> float:
    """Probability of at least ``misses`` misses if each of ``replicates`` bounds misses with probability delta.

    Examples
    --------
    >>> binomial_tail(0, 1000, 0.05)
    1.0
    >>> round(binomial_tail(65, 1000, 0.05), 4)
    0.0207
    """
    return float(binom.sf(misses - 1, replicates, delta))


@dataclass(frozen=True)
class Coverage:
    """How a bound fared on replicates.

    Attributes
    ----------
    misses, replicates
        How often the target lay above the bound, and of how many.
    tail
        Binomial tail of so many misses under delta (see `binomial_tail`).
    interval
        Exact (Clopper-Pearson) 95 % interval of the miss rate; reported, not the criterion.
    tightness
        The 5 %, 50 % and 95 % quantiles of bound over target, each one of the observed ratios.
    """

    misses: int
    replicates: int
    tail: float
    interval: tuple[float, float]
    tightness: tuple[float, float, float]

    @property
    def holds(self) -> bool:
        """False only if so many misses are all but impossible under delta: a tail below 1e-6."""
        return self.tail >= LEAST_TAIL


def coverage(bounds: ArrayLike, targets: ArrayLike, delta: float) -> Coverage:
    """Count the misses of upper bounds on positive targets, one of each for every replicate.

    Raises
    ------
    InputError
        If the two have other than one common length, are empty, hold NaN, or a target is not positive and finite;
        if delta is not strictly between 0 and 1.

    Examples
    --------
    >>> found = coverage([0.3, 0.2, 0.4], [0.1, 0.25, 0.2], delta=0.05)
    >>> found.misses, round(found.tail, 4), found.tightness[1]
    (1, 0.1426, 2.0)
    """
    bound, target = np.asarray(bounds, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if bound.ndim != 1 or bound.shape != target.shape or bound.size == 0:
        raise InputError(
            f"Bounds of shape {bound.shape} came with targets of shape {target.shape}; expected two lists of one "
            "length, not empty; give one bound and one target for each replicate."
        )
    if np.isnan(bound).any() or not (np.isfinite(target) & (target > 0)).all():
        raise InputError(
            "A bound is NaN, or a target is not a positive finite number; a comparison would pass by accident; "
            "look at how they were computed."
        )
    if not 0 < delta < 1:
        raise InputError(f"delta is {delta}; expected a number strictly between 0 and 1; for instance 0.05.")
    misses = int((target > bound).sum())
    interval = binomtest(misses, bound.size).proportion_ci(0.95, method="exact")
    low, middle, high = (float(q) for q in np.quantile(bound / target, (0.05, 0.5, 0.95), method="inverted_cdf"))
    return Coverage(
        misses=misses,
        replicates=bound.size,
        tail=binomial_tail(misses, bound.size, delta),
        interval=(float(interval.low), float(interval.high)),
        tightness=(low, middle, high),
    )


def shrunk(bounds: ArrayLike, factor: float) -> Array:
    """Divide bounds by a factor of at least 1: the mutation that every coverage test must catch."""
    if not factor >= 1:
        raise InputError(f"The factor is {factor}; a shrunk bound is divided by at least 1; raise it.")
    result: Array = np.asarray(bounds, dtype=np.float64) / factor
    return result
