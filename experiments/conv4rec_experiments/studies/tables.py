"""The tables of a study: names and types of their columns.

A study writes three tables in long form. A row of each begins with the same keys; figures, slopes and coverage read
nothing else. Distances and losses are defined in the guide "What a study measures".
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from conv4rec.errors import InputError

__all__ = ["CERTIFICATES", "ESTIMATORS", "GROUPS", "GROUP_KINDS", "KEYS", "MEASURES", "TIMING", "table"]

Schema = Mapping[str, type[pl.DataType]]

KEYS: Schema = {
    "truth": pl.String,
    "truth_seed": pl.Int64,
    "protocol": pl.String,
    "sampling": pl.String,
    "size": pl.Int64,
    "seed": pl.Int64,
}
"""What tells one replicate from another, in every table.

``truth``, ``truth_seed``
    The truth's name and the seed that it was made from.
``protocol``
    ``"fixed profile"``: networks read the truth's own profiles; ``"self-reconstruction"``: they read the sample that
    they are fitted to.
``sampling``
    How the sample was drawn, ``"independent"`` for draws as theorems assume them.
``size``
    Number N of scored interactions.
``seed``
    Number of the replicate.
"""

ESTIMATORS = ("fit", "histogram", "smoothed")
"""Maximum likelihood in the class, observed shares of every user, and those shrunk towards popularity."""

GROUP_KINDS = ("user activity", "item popularity")
"""What the groups of the third table are groups of."""

TIMING = "seconds"
"""The column that no comparison of two runs may look at."""

MEASURES: Schema = {
    **KEYS,
    "estimator": pl.String,
    "tv": pl.Float64,
    "tv_implicit": pl.Float64,
    "tv_explicit": pl.Float64,
    "kl": pl.Float64,
    "kl_implicit": pl.Float64,
    "kl_explicit": pl.Float64,
    "hellinger": pl.Float64,
    "level_error": pl.Float64,
    "topk_regret": pl.Float64,
    "gem_precision": pl.Float64,
    "gem_precision_best": pl.Float64,
    "tv_population": pl.Float64,
    "floor": pl.Float64,
    "tv_limit": pl.Float64,
    "training_loss": pl.Float64,
    "truth_loss": pl.Float64,
    "gap": pl.Float64,
    "gradient_norm": pl.Float64,
    "gradient_max": pl.Float64,
    "iterations": pl.Int64,
    "starts": pl.Int64,
    "state": pl.String,
    TIMING: pl.Float64,
}
"""One row for each replicate and estimator. Means over users are under the sample's own user mix ``n_i / N``.

``estimator``
    One of `ESTIMATORS`.
``tv``, ``tv_implicit``, ``tv_explicit``
    Total variation to the truth of the joint law, of the law of the item, and of the law of the level given the item
    in the mean over truly consumed items.
``kl``, ``kl_implicit``, ``kl_explicit``
    Kullback-Leibler divergence from the truth in nats, and its parts by the chain rule, which add up to it; infinite
    where the estimator has no mass and the truth has.
``hellinger``
    Hellinger distance, in [0, 1].
``level_error``
    Absolute error of the expected level, in the mean over truly consumed items; levels count 1 to R.
``topk_regret``
    Truth's mass of its own best K items less that of the estimator's; K is 5, or the number of items if that is less.
``gem_precision``, ``gem_precision_best``
    True probability of a high level given that the consumed item is in the estimator's, or the truth's own, list of
    hidden gems; null with a single level, or where the truth never consumes an item of the lists.
``tv_population``
    As ``tv``, under the truth's own user marginal.
``floor``
    Mean total variation, for large sizes, of the maximum-likelihood fit of the class; null where unknown. It is no
    lower bound if the class does not contain the truth.
``tv_limit``
    Total variation, under the truth's user marginal, of the law that fits of the class tend to as N grows; 0 if the
    class contains the truth, null where unknown.
``training_loss``, ``truth_loss``, ``gap``
    Mean losses of fit and truth on the sample in nats, and their difference, the optimisation gap if the class contains
    the truth; of fits only. Elsewhere the difference has the class's own approximation excess in it as well.
``gradient_norm``, ``gradient_max``
    Distance from stationarity in standard errors, and the greatest entry of the gradient in nats; of fits only.
``iterations``, ``starts``, ``state``
    Steps of the winning start, random starts used, and how the fit ended (see
    `conv4rec_experiments.fits.outcomes.State`); of fits only.
``seconds``
    Wall time of the row's share of its part.
"""

CERTIFICATES: Schema = {
    **KEYS,
    "theorem": pl.String,
    "basis": pl.String,
    "side": pl.String,
    "target": pl.String,
    "delta": pl.Float64,
    "bound": pl.Float64,
    "measured": pl.Float64,
    "refused": pl.String,
    TIMING: pl.Float64,
}
"""One row for each replicate and certificate.

``theorem``
    Number of the theorem, for instance ``"T6"``.
``basis``
    What the certificate was told about the truth: ``"known"``, ``"realisable"``, ``"plug-in"``, or empty.
``side``
    ``"upper"`` or ``"lower"``: on which side of the target the bound lies.
``target``
    What is bounded, in words.
``delta``
    Probability with which the bound may miss.
``bound``
    The certificate; null if it was refused.
``measured``
    The exact value of the target; null if the certificate was refused.
``refused``
    Why there is no certificate; null if there is one.
``seconds``
    Wall time of the row's share.
"""

GROUPS: Schema = {
    **KEYS,
    "estimator": pl.String,
    "kind": pl.String,
    "group": pl.Int64,
    "share": pl.Float64,
    "members": pl.Int64,
    "tv": pl.Float64,
}
"""One row for each replicate, estimator and group of users or items.

``estimator``
    One of `ESTIMATORS`.
``kind``
    One of `GROUP_KINDS`.
``group``
    Place of the group, 0 the least active or least popular.
``share``
    Share of the truth's interactions that are the group's.
``members``
    Number of users or items in the group.
``tv``
    Total variation within the group, divided by the group's share of the sample's user mix or, for items, by the
    truth's mass of the group under that mix; null if that is 0.
"""


def table(rows: Iterable[Mapping[str, Any]], schema: Schema) -> pl.DataFrame:
    """Make a frame of exactly the columns of a schema, in their order.

    Raises
    ------
    InputError
        If a row has other columns than the schema.

    Examples
    --------
    >>> table([{"group": 0, "tv": 0.25}], {"tv": pl.Float64, "group": pl.Int64}).rows()
    [(0.25, 0)]
    """
    kept = list(rows)
    for row in kept:
        if row.keys() != schema.keys():
            wrong = ", ".join(sorted(row.keys() ^ schema.keys()))
            raise InputError(f"A row and the table's schema differ in {wrong}; expected exactly its columns.")
    return pl.DataFrame([tuple(row[name] for name in schema) for row in kept], schema=dict(schema), orient="row")
