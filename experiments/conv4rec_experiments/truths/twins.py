"""A truth outside the class whose nearest network is known: users whom no network can tell apart."""

import numpy as np

from conv4rec.errors import InputError
from conv4rec_experiments.truths.sizes import Sizes, between, generator
from conv4rec_experiments.truths.teacher import Teacher
from conv4rec_experiments.truths.truth import Truth

__all__ = ["twins_truth"]


def twins_truth(
    seed: int = 0,
    *,
    users: int = 40,
    items: int = 30,
    levels: int = 3,
    channels: int = 2,
    code: int = 2,
    profile_items: int = 8,
    entropy_share: float = 0.82,
    twins: int = 2,
    strength: float = 0.8,
    name: str = "twins",
) -> Truth:
    r"""Draw groups of ``twins`` users with one profile and laws of their own around a teacher's law ``f0``.

    Every network gives the users of a group one law. Their own laws are ``Q_i(y) = f0_i(y) (1 + strength a_i(y))``
    where ``|a_i(y)| <= 1``, ``sum_y f0_i(y) a_i(y) = 0`` and, in every group, ``sum_i pi_i a_i(y) = 0``: uniform
    variables in [-1, 1], centred both ways, over their largest size in the group. For every network f then
    ``KL(Q || f) = KL(f0 || f) + KL(Q || f0)`` under ``pi``, so the teacher is nearest, and no law of the class is
    nearer than ``KL(Q || f0)``. Users are uniform; the teacher's entropy is ``entropy_share * log(items * levels)``.

    Raises
    ------
    InputError
        If the sizes do not go together, users do not fill groups of at least two, or the strength does not lie
        between 0 and 1.

    Examples
    --------
    >>> truth = twins_truth(0)
    >>> round(truth.comparator_excess(), 4)
    0.0598
    """
    sizes = Sizes(users, items, levels, channels, code, profile_items)
    if isinstance(twins, bool) or not isinstance(twins, int | np.integer) or twins < 2 or users % twins:
        raise InputError(
            f"{users} users were to form groups of {twins!r}; a group holds at least 2 and all groups are full; "
            "change one of the two numbers."
        )
    between("strength of the users' own laws", strength, 0, 1)
    rng = generator(seed)
    groups = Sizes(users // twins, items, levels, channels, code, profile_items)
    teacher = Teacher(rng, groups)
    scale = teacher.scale(entropy_share)
    common = teacher.law(scale)[:, None]
    own = rng.uniform(-1.0, 1.0, (groups.users, twins, sizes.cells))
    own -= (common * own).sum(axis=2, keepdims=True)
    own -= own.mean(axis=1, keepdims=True)
    own /= np.abs(own).max(axis=(1, 2), keepdims=True)
    return Truth(
        name=name,
        seed=seed,
        profiles=np.repeat(teacher.profiles, twins, axis=0),
        pi=np.full(users, 1 / users),
        law=(common * (1 + strength * own)).reshape(users, sizes.cells),
        channels=channels,
        code=code,
        weights=teacher.weights(scale),
    )
