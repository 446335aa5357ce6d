"""How far the miss rate of every certificate moves when the sample is not what the certificate takes it for."""

import polars as pl

from conv4rec_experiments.studies.coverage import CERTIFICATE, coverage_table, in_order

__all__ = ["stress_table"]

COLUMNS = ("replicates", "refused", "misses", "rate", "low", "high", "tail", "holds")


def stress_table(certificates: pl.DataFrame) -> pl.DataFrame:
    """Set the miss rate of every certificate under every sampling beside that under independent draws.

    Returns
    -------
    polars.DataFrame
        One row for each truth, protocol, size, certificate and sampling: ``replicates``, ``refused``, ``misses``,
        ``rate`` with its exact 95 % interval ``low`` to ``high``, binomial ``tail`` under delta, ``holds``, and
        ``moved``: the rate minus that of independent draws of the same truth and size, null where there is none.

    Raises
    ------
    InputError
        If the table has no rows (see `coverage_table`).
    """
    counted = coverage_table(certificates)
    same = ["truth", "truth_seed", "protocol", "size", *CERTIFICATE]
    plain = counted.filter(pl.col("sampling") == "independent").select(*same, pl.col("rate").alias("plain"))
    joined = counted.join(plain, on=same, how="left", maintain_order="left", nulls_equal=True)
    moved = (pl.col("rate") - pl.col("plain")).alias("moved")
    order = [in_order(pl.col(name)) if name == "theorem" else pl.col(name) for name in (*same, "sampling")]
    return joined.select(*same, "sampling", "delta", *COLUMNS, moved).sort(order, maintain_order=True)
