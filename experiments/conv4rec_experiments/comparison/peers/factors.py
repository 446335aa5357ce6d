"""Matrix factorisations: implicit ALS for ranking; cornac's MF and lenskit's biased MF for rating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from conv4rec.memory import chosen_threads
from conv4rec_experiments.comparison.heads import OrderedLogit, fit_temperature
from conv4rec_experiments.comparison.peers.cornac_data import dataset, expanded
from conv4rec_experiments.comparison.systems import Fitted, Options, Task

if TYPE_CHECKING:
    pass

__all__ = ["ALS_GRID", "BIASED_GRID", "MF_GRID", "fit_als", "fit_biased", "fit_mf"]

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

ALS_GRID: tuple[Options, ...] = tuple(
    {"factors": factors, "regularization": penalty, "alpha": alpha, "iterations": 15}
    for factors, penalty, alpha in ((32, 10, 5), (64, 30, 10), (128, 30, 10), (128, 60, 20), (128, 100, 40))
)
MF_GRID: tuple[Options, ...] = tuple(
    {"k": k, "max_iter": steps, "lambda_reg": penalty, "learning_rate": 0.01}
    for k, steps, penalty in ((20, 60, 0.1), (50, 100, 0.1), (50, 200, 0.1), (100, 200, 0.1))
)
BIASED_GRID: tuple[Options, ...] = tuple(
    {"embedding_size": size, "regularization": penalty, "epochs": 15}
    for size, penalty in ((20, 0.05), (20, 0.1), (50, 0.1), (50, 0.15), (50, 0.2))
)


@dataclass(frozen=True)
class Factors:
    """Biases and products of factors; the expected level is also what items are ranked by.

    Attributes
    ----------
    mean : float
    user_bias, item_bias : float64 arrays (user,) and (item,)
    user, item : float64 arrays (user, factor) and (item, factor)
    """

    mean: float
    user_bias: Array
    item_bias: Array
    user: Array
    item: Array

    def scores(self, users: Codes) -> Array:
        """Return scores of all items, shape (user, item)."""
        scores: Array = self.user[users] @ self.item.T + self.item_bias + self.user_bias[users, None] + self.mean
        return scores

    def expected_levels(self, user: Codes, item: Codes) -> Array:
        """Return the expected level of pairs, shape (pair,)."""
        products = np.einsum("pf,pf->p", self.user[user], self.item[item])
        expected: Array = products + self.mean + self.user_bias[user] + self.item_bias[item]
        return expected


def fit_als(task: Task, options: Options) -> Fitted:
    """Fit weighted least squares by turns (Hu, Koren and Volinsky 2008) with the library implicit.

    Options: arguments of its ``AlternatingLeastSquares``.
    """
    from implicit.als import AlternatingLeastSquares

    # The library asks for one thread of the linear algebra, as it has its own.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(**options, random_state=task.seed, num_threads=1, use_gpu=False)
        model.fit(csr_matrix(task.consumed, dtype=np.float32), show_progress=False)
    user, item = np.asarray(model.user_factors, dtype=np.float64), np.asarray(model.item_factors, dtype=np.float64)
    ranker = Factors(0.0, np.zeros(len(user)), np.zeros(len(item)), user, item)
    return Fitted(ranker=ranker, temperature=fit_temperature(ranker, task))


def fit_mf(task: Task, options: Options) -> Fitted:
    """Fit biased matrix factorisation by stochastic gradients with cornac.

    Options: arguments of its ``MF``.
    """
    from cornac.models import MF

    data = dataset(task)
    model = MF(**options, use_bias=True, num_threads=1, seed=task.seed).fit(data)
    return _rated(
        Factors(
            float(model.global_mean),
            expanded(data.uid_map, model.u_biases, task.training.n_users),
            expanded(data.iid_map, model.i_biases, task.training.n_items),
            expanded(data.uid_map, model.u_factors, task.training.n_users),
            expanded(data.iid_map, model.i_factors, task.training.n_items),
        ),
        task,
    )


def fit_biased(task: Task, options: Options) -> Fitted:
    """Fit biased matrix factorisation by least squares in turns with lenskit.

    Options: of its ``BiasedMFScorer``.
    """
    import pandas as pd

    part = task.training
    frame = pd.DataFrame({"user_id": part.user, "item_id": part.item, "rating": task.ratings})
    # lenskit leaves torch with one thread, and other systems would not find the same bits afterwards.
    with chosen_threads(0, threads=1):
        from lenskit.als import BiasedMFScorer
        from lenskit.data import from_interactions_df
        from lenskit.training import TrainingOptions

        model = BiasedMFScorer(**options)
        model.train(from_interactions_df(frame), TrainingOptions(rng=task.seed))
    users = {code: place for place, code in enumerate(model.users.ids())}
    items = {code: place for place, code in enumerate(model.items.ids())}
    return _rated(
        Factors(
            float(model.bias.global_bias),
            expanded(users, np.asarray(model.bias.user_biases), part.n_users),
            expanded(items, np.asarray(model.bias.item_biases), part.n_items),
            expanded(users, np.asarray(model.user_embeddings), part.n_users),
            expanded(items, np.asarray(model.item_embeddings), part.n_items),
        ),
        task,
    )


def _rated(model: Factors, task: Task) -> Fitted:
    return Fitted(
        ranker=model,
        temperature=fit_temperature(model, task),
        rater=model,
        levels=OrderedLogit.fit(model, task),
    )
