"""Do bounds hold as often as they say? The count of misses, of one bound and of a whole table of certificates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom, binomtest

from conv4rec.errors import InputError
from conv4rec_bounds import THEOREMS
from conv4rec_experiments.fits.fitting import Fit, Settings, fit_many
from conv4rec_experiments.studies.tables import KEYS
from conv4rec_experiments.truths.truth import Counts, Truth

__all__ = [
    "CERTIFICATE",
    "COVERAGE",
    "Coverage",
    "Replicates",
    "binomial_tail",
    "coverage",
    "coverage_table",
    "exact_interval",
    "fits",
    "in_order",
    "most_misses",
    "shrunk",
]

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


def most_misses(replicates: int, delta: float) -> int:
    """Give the greatest number of misses whose binomial tail under delta is not below 1e-6.

    If that is all replicates, they are too few to refute a bound.

    Examples
    --------
    >>> most_misses(2000, 0.05), most_misses(10, 0.0), most_misses(4, 0.05)
    (149, 0, 4)
    """
    # A survival function of at most 1e-6 at a number is a tail of at most 1e-6 from the next one on.
    return int(binom.isf(LEAST_TAIL, replicates, delta)) if delta > 0 else 0


def exact_interval(misses: int, replicates: int) -> tuple[float, float]:
    """Exact (Clopper-Pearson) 95 % interval of a rate of misses.

    Examples
    --------
    >>> [round(end, 4) for end in exact_interval(0, 1000)]
    [0.0, 0.0037]
    """
    interval = binomtest(misses, replicates).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


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
    low, middle, high = (float(q) for q in np.quantile(bound / target, (0.05, 0.5, 0.95), method="inverted_cdf"))
    return Coverage(
        misses=misses,
        replicates=bound.size,
        tail=binomial_tail(misses, bound.size, delta),
        interval=exact_interval(misses, bound.size),
        tightness=(low, middle, high),
    )


def shrunk(bounds: ArrayLike, factor: float) -> Array:
    """Divide bounds by a factor of at least 1: the mutation that every coverage test must catch."""
    if not factor >= 1:
        raise InputError(f"The factor is {factor}; a shrunk bound is divided by at least 1; raise it.")
    result: Array = np.asarray(bounds, dtype=np.float64) / factor
    return result


CERTIFICATE = ("theorem", "basis", "side", "target")
"""What tells one certificate of a replicate from another."""

COVERAGE: Mapping[str, type[pl.DataType]] = {
    **{name: kind for name, kind in KEYS.items() if name != "seed"},
    **dict.fromkeys(CERTIFICATE, pl.String),
    "delta": pl.Float64,
    "replicates": pl.Int64,
    "refused": pl.Int64,
    "misses": pl.Int64,
    "rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "tail": pl.Float64,
    "holds": pl.Boolean,
    "tightness_05": pl.Float64,
    "tightness_50": pl.Float64,
    "tightness_95": pl.Float64,
    "zeros": pl.Int64,
    "mutation_caught": pl.Boolean,
    "reason": pl.String,
}
"""One row for each certificate at each point of the grid.

``replicates``, ``refused``
    How many replicates have the certificate, and how many were refused it; ``reason`` is the most frequent refusal.
``misses``, ``rate``, ``low``, ``high``
    How often the target lay beyond the bound, on whichever side it bounds, the rate, and its exact 95 % interval.
``tail``, ``holds``
    Probability of so many misses or more if each has probability ``delta``; false only if that is below 1e-6. What
    holds for sure has the delta 0, and one miss refutes it.
``tightness_05``, ``tightness_50``, ``tightness_95``
    Quantiles of the larger over the smaller of bound and target: bound over target from above, target over bound from
    below; null where infinite.
``zeros``
    Replicates whose smaller side is not positive, so that there is no such ratio (or 1, if both sides are equal).
``mutation_caught``
    Whether the same bound, with 1.1 times the median tightness taken away, is refuted by the same count; null where
    that tightness is infinite.
"""


def in_order(theorem: pl.Expr) -> pl.Expr:
    """Give the place of every theorem in the table of all theorems, by which tables are sorted."""
    places = {known.number: place for place, known in enumerate(THEOREMS)}
    return theorem.replace_strict(places, default=len(places), return_dtype=pl.Int64)


def coverage_table(certificates: pl.DataFrame) -> pl.DataFrame:
    """Count the misses of every certificate at every point of the grid (see `COVERAGE`).

    Raises
    ------
    InputError
        If the table has no rows, or a row has neither a bound and its target nor a refusal.

    Examples
    --------
    >>> row = {"truth": "small", "truth_seed": 0, "protocol": "fixed profile", "sampling": "independent", "size": 100}
    >>> row |= {"theorem": "T6", "basis": "known", "side": "upper", "target": "total variation", "delta": 0.05}
    >>> pairs = [(0.4, 0.1), (0.2, 0.25), (0.3, 0.1)]
    >>> rows = [row | {"bound": bound, "measured": far, "refused": None} for bound, far in pairs]
    >>> counted = coverage_table(pl.DataFrame(rows, infer_schema_length=None))
    >>> counted["replicates"][0], counted["misses"][0], round(counted["tightness_50"][0], 6)
    (3, 1, 3.0)
    """
    if certificates.is_empty():
        raise InputError("The table of certificates has no rows; run a study with theorems first.")
    answered = pl.col("bound").is_finite() & pl.col("measured").is_finite()
    broken = certificates.filter(pl.col("refused").is_null() & ~answered.fill_null(False))
    if not broken.is_empty():
        raise InputError(
            f"{len(broken)} certificates were not refused but lack a finite bound or target, the first of "
            f"{broken['theorem'][0]}; a comparison would pass by accident; look at how they were computed."
        )
    by = [*(name for name in KEYS if name != "seed"), *CERTIFICATE, "delta"]
    # Theorems in their own order: T2 comes before T10.
    order = [in_order(pl.col(name)) if name == "theorem" else pl.col(name) for name in by]
    groups = certificates.sort(order, maintain_order=True).group_by(by, maintain_order=True)
    rows = [dict(zip(by, key, strict=True)) | _counted(group, float(group["delta"][0])) for key, group in groups]
    return pl.DataFrame(rows, schema=dict(COVERAGE), orient="row")


def _counted(group: pl.DataFrame, delta: float) -> dict[str, Any]:
    reasons = group["refused"].drop_nulls()
    given = group.filter(pl.col("refused").is_null())
    found: dict[str, Any] = {
        "replicates": len(given),
        "refused": len(reasons),
        "reason": None if reasons.is_empty() else reasons.mode().sort()[0],
    }
    if given.is_empty():
        return found
    bounds, targets = (given[name].to_numpy() for name in ("bound", "measured"))
    larger, smaller = (bounds, targets) if given["side"][0] == "upper" else (targets, bounds)
    misses = int((smaller > larger).sum())
    low, high = exact_interval(misses, len(given))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Margins may be negative: they have no ratio either.
        positive = np.where(smaller > 0, larger / smaller, np.inf)
        ratios = np.where(larger == smaller, 1.0, positive)
    quantiles = np.quantile(ratios, (0.05, 0.5, 0.95), method="inverted_cdf")
    names = ("tightness_05", "tightness_50", "tightness_95")
    tail = binomial_tail(misses, len(given), delta)
    found |= {"misses": misses, "rate": misses / len(given), "low": low, "high": high, "tail": tail}
    found |= {"holds": tail >= LEAST_TAIL, "zeros": int((smaller <= 0).sum())}
    found |= {name: float(value) if np.isfinite(value) else None for name, value in zip(names, quantiles, strict=True)}
    middle = float(quantiles[1])
    if np.isfinite(middle):
        mutated = int((smaller > shrunk(larger, 1.1 * max(middle, 1.0))).sum())
        found["mutation_caught"] = binomial_tail(mutated, len(given), delta) < LEAST_TAIL
    return found
