"""What a study found, in a few rows."""

import polars as pl

from conv4rec_experiments.fits.outcomes import State

__all__ = ["certificate_medians", "medians", "reachable"]

POINT = ("truth", "truth_seed", "protocol", "sampling", "size")


def medians(measures: pl.DataFrame) -> pl.DataFrame:
    """Reduce the measures to medians over seeds, one row for each point of the grid.

    Columns beside the point: ``seeds``; ``tv``, ``kl`` (nats), ``floor`` and ``gap`` (nats) of the fit;
    ``histogram_tv`` and ``smoothed_tv`` of its rivals; ``accepted``, the number of accepted fits, or ``stationary``
    where none can be accepted (see `reachable`).

    Examples
    --------
    >>> point = {"truth": "small", "truth_seed": 0, "protocol": "fixed profile", "sampling": "independent", "size": 9}
    >>> fit = {"kl": 0.01, "floor": 0.1, "tv_limit": 0.0, "gap": -0.1, "state": "accepted"}
    >>> rows = [point | {"estimator": "fit", "tv": tv} | fit for tv in (0.1, 0.2, 0.4)]
    >>> rows += [point | {"estimator": name, "tv": 0.5} for name in ("histogram", "smoothed")]
    >>> medians(pl.DataFrame(rows)).select("seeds", "tv", "histogram_tv", "accepted", "stationary").rows()
    [(3, 0.2, 0.5, 3, None)]
    """

    def of(estimator: str, column: str) -> pl.Expr:
        return pl.col(column).filter(pl.col("estimator") == estimator)

    goal = pl.col("reachable").any()
    return (
        measures.with_columns(reachable=reachable())
        .group_by(POINT)
        .agg(
            of("fit", "tv").len().alias("seeds"),
            *(of("fit", column).median().alias(column) for column in ("tv", "floor")),
            *(of(rival, "tv").median().alias(f"{rival}_tv") for rival in ("histogram", "smoothed")),
            *(of("fit", column).median().alias(column) for column in ("kl", "gap")),
            pl.when(goal).then((of("fit", "state") == State.ACCEPTED).sum()).alias("accepted"),
            pl.when(~goal).then((of("fit", "state") == State.STATIONARY).sum()).alias("stationary"),
        )
        .sort(POINT)
    )


def reachable() -> pl.Expr:
    """Say of each row whether its fits may be accepted: their class has the truth, whose loss is their goal.

    A network that reads its own sample has no such goal. Under fixed profiles a limit of 0 tells it, or an outcome
    that only a goal allows, on any row of the same truth.

    Examples
    --------
    >>> point = {"truth": "small", "truth_seed": 0, "protocol": "fixed profile"}
    >>> inside = point | {"tv_limit": None, "state": "training loss above the truth's"}
    >>> outside = inside | {"truth": "latent_classes", "state": "stalled"}
    >>> pl.DataFrame([inside, outside]).select(reachable()).to_series().to_list()
    [True, False]
    """
    told = (pl.col("tv_limit") == 0) | pl.col("state").is_in([State.ACCEPTED, State.ABOVE_TRUTH])
    of_truth = told.fill_null(False).any().over("truth", "truth_seed", "protocol")
    return (of_truth & (pl.col("protocol") == "fixed profile")).alias("reachable")


def certificate_medians(certificates: pl.DataFrame, theorem: str) -> pl.DataFrame:
    """Reduce one theorem's certificates to their medians over seeds, one row for each point of the grid.

    The column of medians has the theorem's number in small letters for its name.

    Examples
    --------
    >>> point = {"truth": "small", "truth_seed": 0, "protocol": "fixed profile", "sampling": "independent", "size": 9}
    >>> bounds = (("T6", 0.5), ("T6", 0.7), ("T5", 1.0))
    >>> rows = [point | {"theorem": number, "bound": value} for number, value in bounds]
    >>> certificate_medians(pl.DataFrame(rows), "T6").select("size", "t6").rows()
    [(9, 0.6)]
    """
    of_theorem = certificates.filter(pl.col("theorem") == theorem)
    return of_theorem.group_by(POINT).agg(pl.col("bound").median().alias(theorem.lower())).sort(POINT)
