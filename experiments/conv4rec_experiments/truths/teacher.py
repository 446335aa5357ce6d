"""Realisable truths: random Conv4Rec teachers."""

from math import log

import numpy as np
from scipy.optimize import bisect

from conv4rec.errors import InputError
from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.truths.truth import Array, Truth

__all__ = ["reference_truth", "small_truth"]

ENCODER = ("lift", "encode", "code_bias")


def reference_truth(
    seed: int = 0,
    *,
    users: int = 40,
    items: int = 30,
    levels: int = 3,
    channels: int = 2,
    code: int = 2,
    profile_items: int = 8,
    entropy_share: float = 0.82,
    name: str = "reference",
) -> Truth:
    """Draw a random Conv4Rec teacher: the reference truth, on which figures compare.

    Every user has a fixed profile of ``profile_items`` random items, each at a random level, and users are uniform.
    Identity lift, tanh codes. Lift, encode and code bias are standard Gaussians, so that the codes' arguments are of
    order one. Decode and project are standard Gaussians times one scale, the cell bias times half of it, so that users
    differ by more than popularity; bisection finds the scale at which the conditional entropy is
    ``entropy_share * log(items * levels)``.

    Examples
    --------
    >>> truth = reference_truth(0)
    >>> round(truth.entropy / log(truth.cells), 6)
    0.82
    """
    if not 1 <= profile_items <= items:
        raise InputError(
            f"A profile of {profile_items} items was asked for among {items}; it must hold 1 to {items}; change it."
        )
    if not 0 < entropy_share < 1:
        raise InputError(
            f"The entropy share was {entropy_share}; it must lie strictly between 0 and 1; for instance 0.82."
        )
    rng = np.random.default_rng(seed)
    profiles = np.zeros((users, items, levels), dtype=np.int64)
    for profile in profiles:
        profile[rng.choice(items, profile_items, replace=False), rng.integers(levels, size=profile_items)] = 1
    likelihood = Likelihood(profiles, channels, code)
    gaussian = likelihood.unpack(rng.standard_normal(likelihood.size))

    def teacher(scale: float) -> dict[str, Array]:
        scales = dict.fromkeys(ENCODER, 1.0) | {"decode": scale, "project": scale, "cell_bias": scale / 2}
        return {name: scales[name] * gaussian[name] for name in gaussian}

    def excess(scale: float) -> float:
        log_law = likelihood.log_law(likelihood.pack(teacher(scale)))
        return float(-(np.exp(log_law) * log_law).sum(axis=1).mean()) - entropy_share * log(likelihood.cells)

    upper = 1.0
    while excess(upper) > 0:
        upper *= 2
    weights = teacher(bisect(excess, 0.0, upper, xtol=1e-12))
    return Truth(
        name=name,
        seed=seed,
        profiles=profiles,
        pi=np.full(users, 1 / users),
        law=np.exp(likelihood.log_law(likelihood.pack(weights))),
        channels=channels,
        code=code,
        weights=weights,
        realisable=True,
    )


def small_truth(seed: int = 0) -> Truth:
    """Draw the small truth (12 users, 10 items, 3 levels) on which coverage is counted over many replicates."""
    return reference_truth(seed, users=12, items=10, profile_items=5, name="small")
