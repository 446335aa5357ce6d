"""A truth of latent classes: every user's law is a mixture of a few common laws."""

import numpy as np

from conv4rec.errors import InputError
from conv4rec_experiments.truths.profiles import profiles_from_law
from conv4rec_experiments.truths.sizes import Sizes, between, generator
from conv4rec_experiments.truths.truth import Truth

__all__ = ["latent_classes_truth"]

LEAST_CONCENTRATION, MOST_CONCENTRATION = 1e-3, 1e6


def latent_classes_truth(
    seed: int = 0,
    *,
    users: int = 40,
    items: int = 30,
    levels: int = 3,
    channels: int = 2,
    code: int = 2,
    profile_items: int = 8,
    classes: int = 4,
    weight_concentration: float = 0.5,
    law_concentration: float = 0.5,
    name: str = "latent_classes",
) -> Truth:
    r"""Draw a mixture ``Q_i(y) = sum_z w_iz g_z(y)`` of ``classes`` laws: a law table of at most that rank.

    The weights ``w_i`` and the laws ``g_z`` are symmetric Dirichlet with the given concentrations. Profiles are drawn
    from the users' own laws, each item once, independently of all samples. Users are uniform. No softmax of a network
    is this mixture in general, and the nearest network is unknown.

    Raises
    ------
    InputError
        If the sizes do not go together, there is no class, or a concentration is not between 1e-3 and 1e6.

    Examples
    --------
    >>> truth = latent_classes_truth(0, classes=3)
    >>> int(np.linalg.matrix_rank(truth.law))
    3
    """
    sizes = Sizes(users, items, levels, channels, code, profile_items)
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 1:
        raise InputError(f"{classes!r} classes were asked for; expected a whole number of at least 1; change it.")
    between("concentration of the weights", weight_concentration, LEAST_CONCENTRATION, MOST_CONCENTRATION)
    between("concentration of the laws", law_concentration, LEAST_CONCENTRATION, MOST_CONCENTRATION)
    rng = generator(seed)
    common = rng.dirichlet(np.full(sizes.cells, law_concentration), classes)
    weights = rng.dirichlet(np.full(classes, weight_concentration), users)
    law = weights @ common
    law /= law.sum(axis=1, keepdims=True)
    return Truth(
        name=name,
        seed=seed,
        profiles=profiles_from_law(rng, law, sizes),
        pi=np.full(users, 1 / users),
        law=law,
        channels=channels,
        code=code,
    )
