"""A truth with cells that are nearly certain and cells that are empty."""

import numpy as np

from conv4rec_experiments.truths.sizes import Sizes, between, generator
from conv4rec_experiments.truths.teacher import Teacher
from conv4rec_experiments.truths.truth import Truth

__all__ = ["sharp_truth"]

NEARLY_CERTAIN = 0.99
STEP = 1.1


def sharp_truth(
    seed: int = 0,
    *,
    users: int = 40,
    items: int = 30,
    levels: int = 3,
    channels: int = 2,
    code: int = 2,
    profile_items: int = 8,
    sure_users: float = 0.2,
    threshold: float = 1e-3,
    name: str = "sharp",
) -> Truth:
    r"""Draw a truth in which some users nearly always choose one cell, and many cells are empty.

    A `Teacher` ``f`` is scaled up by steps of a tenth until at least the share ``sure_users`` of the users have a cell
    with probability above 0.99 and some cell lies below its user's threshold ``t_i = threshold max_y f_i(y)``. Then

        ``Q_i(y) = f_i(y) 1{f_i(y) >= t_i} / sum_y' f_i(y') 1{f_i(y') >= t_i}``.

    A softmax has no empty cells, so Q is outside the class, and the nearest network is unknown. Users are uniform.

    Raises
    ------
    InputError
        If the sizes do not go together, or the share or the threshold does not lie between 0 and 1.

    Examples
    --------
    >>> truth = sharp_truth(0)
    >>> bool((truth.law.max(axis=1) > 0.99).mean() >= 0.2), round(float((truth.law == 0).mean()), 2)
    (True, 0.87)
    """
    sizes = Sizes(users, items, levels, channels, code, profile_items)
    between("share of sure users", sure_users, 0, 1)
    between("threshold of empty cells", threshold, 0, 1)
    teacher = Teacher(generator(seed), sizes)
    scale = 1.0
    while True:
        law = teacher.law(scale)
        largest = law.max(axis=1, keepdims=True)
        kept = np.where(law >= threshold * largest, law, 0.0)
        if (largest > NEARLY_CERTAIN).mean() >= sure_users and not kept.all():
            break
        scale *= STEP
    return Truth(
        name=name,
        seed=seed,
        profiles=teacher.profiles,
        pi=np.full(users, 1 / users),
        law=kept / kept.sum(axis=1, keepdims=True),
        channels=channels,
        code=code,
    )
