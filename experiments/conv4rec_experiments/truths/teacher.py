"""Realisable truths: random Conv4Rec teachers."""

from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from conv4rec_experiments.fits.likelihood import Likelihood
from conv4rec_experiments.truths.profiles import random_profiles
from conv4rec_experiments.truths.sizes import Sizes, between, generator
from conv4rec_experiments.truths.truth import Array, Truth

__all__ = ["Teacher", "reference_truth", "small_truth"]

ENCODER = ("lift", "encode", "code_bias")


class Teacher:
    r"""A random network with fixed profiles, sharper the larger its scale.

    Identity lift, tanh codes. Lift, encode and code bias are standard Gaussians, so that the codes' arguments are of
    order one. Decode and project are standard Gaussians times the scale, the cell bias times half of it, so that users
    differ by more than popularity.

    Parameters
    ----------
    rng
        Draws the profiles first, each of random items at random levels, and then the Gaussians.
    sizes
        Sizes of profiles and network.

    Examples
    --------
    >>> sizes = Sizes(users=2, items=2, levels=1, channels=1, code=1, profile_items=1)
    >>> Teacher(np.random.default_rng(0), sizes).law(0.0).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """

    def __init__(self, rng: np.random.Generator, sizes: Sizes) -> None:
        self.profiles: NDArray[np.int64] = random_profiles(rng, sizes)
        self.likelihood = Likelihood(self.profiles, sizes.channels, sizes.code)
        self.gaussian = self.likelihood.unpack(rng.standard_normal(self.likelihood.size))

    def weights(self, scale: float) -> dict[str, Array]:
        """Named weights at a scale."""
        scales = dict.fromkeys(ENCODER, 1.0) | {"decode": scale, "project": scale, "cell_bias": scale / 2}
        return {name: scales[name] * value for name, value in self.gaussian.items()}

    def log_law(self, scale: float) -> Array:
        """Conditional log-probabilities (user, cell) at a scale."""
        return self.likelihood.log_law(self.likelihood.pack(self.weights(scale)))

    def law(self, scale: float) -> Array:
        """Conditional law (user, cell) at a scale."""
        law: Array = np.exp(self.log_law(scale))
        return law

    def scale(self, entropy_share: float) -> float:
        """Find the scale at which uniform users have the entropy ``entropy_share * log(items * levels)``."""
        between("entropy share", entropy_share, 0, 1)

        def excess(scale: float) -> float:
            log_law = self.log_law(scale)
            return float(-(np.exp(log_law) * log_law).sum(axis=1).mean()) - entropy_share * log(self.likelihood.cells)

        lower, upper = 0.0, 1.0
        while excess(upper) > 0:
            lower, upper = upper, 2 * upper
        return float(brentq(excess, lower, upper, xtol=1e-12))


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
    The network is a `Teacher` at the scale where the conditional entropy is ``entropy_share * log(items * levels)``.

    Raises
    ------
    InputError
        If the sizes do not go together, or the entropy share does not lie between 0 and 1.

    Examples
    --------
    >>> truth = reference_truth(0)
    >>> round(truth.entropy / log(truth.cells), 6)
    0.82
    """
    sizes = Sizes(users, items, levels, channels, code, profile_items)
    teacher = Teacher(generator(seed), sizes)
    scale = teacher.scale(entropy_share)
    return Truth(
        name=name,
        seed=seed,
        profiles=teacher.profiles,
        pi=np.full(users, 1 / users),
        law=teacher.law(scale),
        channels=channels,
        code=code,
        weights=teacher.weights(scale),
        realisable=True,
    )


def small_truth(
    seed: int = 0, *, users: int = 12, items: int = 10, profile_items: int = 5, name: str = "small", **options: Any
) -> Truth:
    """Draw the small truth (12 users, 10 items, 3 levels) on which coverage is counted over many replicates.

    Other options are those of `reference_truth`.

    Examples
    --------
    >>> truth = small_truth(0)
    >>> truth.users, truth.items, truth.levels
    (12, 10, 3)
    """
    return reference_truth(seed, users=users, items=items, profile_items=profile_items, name=name, **options)
