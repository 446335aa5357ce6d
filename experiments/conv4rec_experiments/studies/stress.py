"""How far the miss rate of every certificate moves when the sample is not what the certificate takes it for."""

from pathlib import Path

import polars as pl

from conv4rec.errors import InputError
from conv4rec_experiments.files import write_text
from conv4rec_experiments.studies.coverage import CERTIFICATE, coverage_table, in_order
from conv4rec_experiments.studies.samplings import SAMPLINGS

__all__ = ["stress_table", "write_stress"]

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


def write_stress(certificates: pl.DataFrame, path: Path) -> Path:
    """Write the worst miss rate of each certificate under each sampling as CSV for people.

    One row for each theorem and basis, one column for each sampling. A field holds the greatest rate over truths,
    sizes and targets, in percent, with its exact 95 % interval; an asterisk marks a rate that is all but impossible
    under delta. A dash stands for a certificate that was always refused or never asked.

    Raises
    ------
    InputError
        If the table has no rows, or the protocol is never that of fixed profiles.
    """
    table = stress_table(certificates).filter(pl.col("protocol") == "fixed profile")
    if table.is_empty():
        raise InputError("The table has no fixed profiles; the stress of assumptions is told for these; run them.")
    samplings = [name for name in SAMPLINGS if name in set(table["sampling"])]
    lines = [",".join(["theorem", "basis", *samplings])]
    kinds = table.select("theorem", "basis").unique().sort(in_order(pl.col("theorem")), "basis")
    for theorem, basis in kinds.rows():
        of_one = table.filter((pl.col("theorem") == theorem) & (pl.col("basis") == basis))
        fields = [_worst(of_one.filter(pl.col("sampling") == sampling)) for sampling in samplings]
        lines.append(",".join([theorem, basis or "–", *fields]))
    return write_text(path, "\n".join(lines) + "\n")


def _worst(rows: pl.DataFrame) -> str:
    counted = rows.filter(pl.col("replicates") > 0)
    if counted.is_empty():
        return "–"
    rate, low, high, holds = counted.sort("rate", descending=True).select("rate", "low", "high", "holds").row(0)
    refuted = "" if holds else " *"
    return f"{100 * rate:.1f} % ({100 * low:.1f} to {100 * high:.1f}){refuted}"
