r"""The least mean total variation that any estimator can promise for one law on q cells, from N draws of it.

Under the symmetric Dirichlet prior with weight :math:`a` for each of :math:`q` cells the law's probability of a cell
is, after :math:`N` draws of which :math:`k` fell into the cell, :math:`\mathrm{Beta}(a+k, (q-1)a+N-k)`, and
:math:`k` is beta-binomial. No estimate is nearer on average than the median, so the Bayes risk is

.. math::
    \mathcal R_a(N,q) = \frac q2 \sum_{k=0}^N \Pr\{k\}\,\mathbb E|X_k-\mathrm{med}X_k| , \qquad
    X_k \sim \mathrm{Beta}(a+k, (q-1)a+N-k) ,

and every worst case is at least as large as this mean (theorem T11).

Examples
--------
>>> [round(BAYES_RISK.lower(N=size, q=30, a=good_prior(size, 30)), 5) for size in (1_000, 10_000)]
[0.06233, 0.0209]
"""

import math

import numpy as np
import sympy
from flint import arb, ctx
from numpy.typing import NDArray
from scipy.special import betainccinv, betaincinv, betaln, gammaln

from conv4rec_bounds.errors import RefusedError
from conv4rec_bounds.formula import CertifiedFunction, Formula

__all__ = ["BAYES_RISK", "MinimaxTotalVariation", "good_prior"]

Array = NDArray[np.float64]

BITS = 128
"""Working precision of the sum: thousands of positive terms, each good to far more than a float."""

TERMS = 32768
"""So many values of k are summed at most; all terms are positive, so what is dropped only lowers the lower end."""

LARGE = 1000
"""Above this shape the median is bracketed by mode and mean, which costs about one part in 2,000, or less."""

TAIL = 1e-15


def good_prior(size: float, cells: float) -> float:
    """Return a prior weight that makes the Bayes risk nearly as large as it gets; any weight is valid.

    Where the sum would have more than `TERMS` terms, the weight is raised until most of it fits.

    >>> round(good_prior(100_000, 30), 3)
    28.968
    """
    mean = size / cells
    return max(0.1 + math.sqrt(mean) / 2, min((6 * mean / TERMS) ** 2, mean / 2))


class MinimaxTotalVariation(CertifiedFunction):
    r"""The Bayes risk :math:`\mathcal R_a(N,q)` as a function of N, q and a."""

    nargs = 3

    @classmethod
    def ball(cls, *arguments: arb) -> arb:
        """Return a ball that holds the Bayes risk; N and q must be whole numbers."""
        size, cells = (_whole(number) for number in arguments[:2])
        prior = arguments[2]
        window = _window(size, cells, float(prior.mid()))
        with ctx.workprec(BITS):
            others = (cells - 1) * prior
            first, second = prior + window[0], others + (size - int(window[0]))
            beta = _beta(first, second)
            weight = _binomial(size, int(window[0])) * beta / _beta(prior, others)
            medians = _medians(window + float(prior.mid()), cells * float(prior.mid()) + size)
            total, kept = arb(0), arb(0)
            for k, median in zip(window.astype(int).tolist(), medians.tolist(), strict=True):
                total += weight * _deviation(first, second, beta, median)
                kept += weight
                if k == size:
                    break
                # The next beta-binomial weight and Beta function, by the recurrences of both.
                weight *= (size - k) * first / ((k + 1) * (second - 1))
                beta *= first / (second - 1)
                first, second = first + 1, second - 1
            # A mean absolute deviation on [0, 1] is at most 1/2.
            dropped = (1 - kept).upper().max(arb(0)) / 2
            return total.union(total + dropped) * cells / 2

    @classmethod
    def fast(cls, *arguments: float) -> float:
        """Return the Bayes risk in ordinary floating point."""
        size, cells, prior = round(arguments[0]), round(arguments[1]), float(arguments[2])
        hits = _window(size, cells, prior)
        total = cells * prior + size
        first, second = prior + hits, total - prior - hits
        weights = gammaln(size + 1) - gammaln(hits + 1) - gammaln(size - hits + 1) - betaln(prior, (cells - 1) * prior)
        small, large = np.minimum(first, second), np.maximum(first, second)
        medians = _medians(first, total)
        # The Beta function of the weight and that of the density cancel.
        logs = weights + small * np.log(medians) + large * np.log1p(-medians)
        return float(cells * np.exp(logs).sum() / total)

    def _latex(self, printer: object) -> str:
        size, cells, prior = (sympy.latex(argument) for argument in self.args)
        return rf"\mathcal{{R}}_{{{prior}}}\left({size}, {cells}\right)"


N, q, a = sympy.symbols("N q a", positive=True)
BAYES_RISK = Formula(value=MinimaxTotalVariation(N, q, a), where={})
r"""The Bayes risk :math:`\mathcal R_a(N,q)`: a lower bound for the worst case of every estimator, for each a."""


def _whole(number: arb) -> int:
    found = number.unique_fmpz()
    if found is None:
        raise RefusedError(f"a size is {number.str(6)}; expected a whole number of interactions and of cells")
    return int(found)


def _window(size: int, cells: int, prior: float) -> Array:
    """Return the values of k that are summed, as floats: nearly all of the probability, at most `TERMS` of them."""
    low = size * float(betaincinv(prior, (cells - 1) * prior, TAIL))
    high = size * float(betainccinv(prior, (cells - 1) * prior, TAIL))
    first = max(0, math.floor(low - 8 * math.sqrt(low)))
    last = min(size, math.ceil(high + 8 * math.sqrt(high)) + 40)
    if last - first >= TERMS:
        first = max(first, size // cells - TERMS // 2)
        last = min(last, first + TERMS - 1)
    return np.arange(first, last + 1, dtype=np.float64)


def _medians(first: Array, total: float) -> Array:
    """Return approximate medians of Beta(s, total - s), s the smaller of both shapes."""
    small = np.minimum(first, total - first)
    medians: Array = (small - 1 / 3) / (total - 2 / 3)
    exactly = small <= LARGE
    medians[exactly] = np.maximum(betaincinv(small[exactly], total - small[exactly], 0.5), 1e-300)
    return medians


def _beta(first: arb, second: arb) -> arb:
    return (first.lgamma() + second.lgamma() - (first + second).lgamma()).exp()


def _binomial(size: int, chosen: int) -> arb:
    return 1 / (arb(size + 1) * _beta(arb(chosen + 1), arb(size - chosen + 1)))


def _deviation(first: arb, second: arb, beta: arb, centre: float) -> arb:
    r"""Enclose :math:`\mathbb E|X-\mathrm{med}X|` for a Beta law whose Beta function is given (T11, steps 4 and 5)."""
    small, large = (first, second) if first < second else (second, first)
    total = small + large
    mean = small / total

    def height(point: arb) -> arb:
        return 2 * (small * point.log() + large * (-point).log1p()).exp() / (total * beta)

    if small > LARGE:
        return height((small - 1) / (total - 2)).union(height(mean))
    point = arb(centre)
    below = point.beta_lower(small, large, regularized=True)
    excess = 2 * below - 1 if below.is_finite() else arb(0, 1)
    spread = (small * large / (total + 1)).sqrt() / total
    reached = height(point)
    return (reached - abs(excess) * spread).union(reached + excess * (point - mean))
