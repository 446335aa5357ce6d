"""Tables of a study for people: what was found, what was counted, and how far assumptions carry, as short CSV files."""

import re
from pathlib import Path

import polars as pl

from conv4rec.errors import InputError
from conv4rec_experiments.files import write_text
from conv4rec_experiments.formatting import interval, number, upper
from conv4rec_experiments.studies.coverage import coverage_table, in_order
from conv4rec_experiments.studies.samplings import SAMPLINGS
from conv4rec_experiments.studies.slopes import slope
from conv4rec_experiments.studies.stress import stress_table
from conv4rec_experiments.studies.summary import medians
from conv4rec_experiments.studies.tables import KEYS

__all__ = ["write_counts", "write_medians", "write_ratios", "write_stress"]

MEANS = re.compile(r"\(mean over [^)]*\)| that weighs .*")
"""What a target says of means and weights, which a table of ratios leaves out."""


def write_medians(measures: pl.DataFrame, path: Path) -> Path:
    """Write the medians of a study's measures, a line for each truth, protocol and size under independent sampling.

    "Accepted" counts the accepted fits among all seeds, and by that word the stationary ones where none can be
    accepted; where the encoder reads the sample, nothing lower than the model's own limit can be reached, and the floor
    of fixed profiles stands beside it for comparison only.

    Raises
    ------
    InputError
        If the table has no independent samples.
    """
    table = medians(measures.filter(pl.col("sampling") == "independent"))
    if table.is_empty():
        raise InputError("The table has no independent samples; medians are told for these; run them.")
    head = ("truth", "protocol", "N", "fitted TV", "floor", "fitted / floor", "histogram", "smoothed", "KL", "accepted")
    lines = [",".join(head)]
    for row in table.to_dicts():
        truth = row["truth"] if not row["truth_seed"] else f"{row['truth']} {row['truth_seed']}"
        ratio = None if row["floor"] is None else row["tv"] / row["floor"]
        cells = [number(row[name], 3) for name in ("tv", "floor")] + [number(ratio)]
        cells += [number(row[name], 3) for name in ("histogram_tv", "smoothed_tv", "kl")]
        ended = f"{row['accepted']} of {row['seeds']}"
        if row["accepted"] is None:
            ended = f"{row['stationary']} of {row['seeds']} stationary"
        lines.append(",".join([truth, row["protocol"], f"{row['size']:.0e}", *cells, ended]))
    return write_text(path, "\n".join(lines) + "\n")


def write_counts(certificates: pl.DataFrame, path: Path) -> Path:
    """Write how often each certificate missed, a line for each theorem and basis under independent sampling.

    Replicates and misses are added up over truths, sizes and targets; the rate is the greatest of them with its exact
    95 % interval, an asterisk marking one that is all but impossible under delta; the tightness is the range of
    medians; "shrunk" says of how many of these lines the count would have refuted the bound without its slack. A dash
    stands where there is nothing to tell: all were refused, or a bound or target is exactly 0.

    Raises
    ------
    InputError
        If the table has no independent samples with fixed profiles.
    """
    table = coverage_table(_plain(certificates))
    lines = ["theorem,basis,replicates,refused,misses,greatest rate,tightness,shrunk caught"]
    for theorem, basis in _kinds(table):
        of_one = table.filter((pl.col("theorem") == theorem) & (pl.col("basis") == basis))
        tightness = of_one["tightness_50"].drop_nulls()
        ends = [number(end, 3) for end in (tightness.min(), tightness.max()) if isinstance(end, float)]
        caught = of_one["mutation_caught"].drop_nulls()
        fields = [str(of_one[name].sum()) for name in ("replicates", "refused", "misses")]
        fields += [_worst(of_one), " to ".join(dict.fromkeys(ends)) or "–"]
        lines.append(",".join([theorem, basis or "–", *fields, f"{caught.sum()} of {len(caught)}"]))
    return write_text(path, "\n".join(lines) + "\n")


def write_ratios(certificates: pl.DataFrame, measures: pl.DataFrame, path: Path) -> Path:
    """Write certificates of total variation over the total variation of the fit to all data, medians over seeds.

    A line for each theorem, basis and target, a column for each size; beside the ratios stand the median of bound over
    its own target at the greatest size, and the log-log slope of the bound with its 95 % interval.

    Raises
    ------
    InputError
        If there are no certificates of total variation of one truth under independent sampling.
    """
    plain = _plain(certificates)
    rows = plain.filter(pl.col("target").str.starts_with("total variation") & pl.col("bound").is_not_null())
    if rows.is_empty() or rows.select("truth", "truth_seed").n_unique() > 1:
        raise InputError("Ratios are told for certificates of total variation on one truth; give such a table.")
    of_fit = measures.filter(pl.col("estimator") == "fit").select(*KEYS, fitted=pl.col("tv"))
    joined = rows.filter(pl.col("side") == "upper").join(of_fit, on=list(KEYS))
    sizes = sorted(set(joined["size"]))
    lines = ["theorem,basis,target," + ",".join(f"N = {size:.0e}" for size in sizes) + ",over own target,slope"]
    kinds = joined.select("theorem", "basis", "target").unique().sort(in_order(pl.col("theorem")), "basis", "target")
    for theorem, basis, target in kinds.rows():
        of_one = joined.filter(
            (pl.col("theorem") == theorem) & (pl.col("basis") == basis) & (pl.col("target") == target)
        )
        over = of_one.group_by("size").agg((pl.col("bound") / pl.col("fitted")).median().alias("ratio"))
        ratios = dict(over.rows())
        last = of_one.filter(pl.col("size") == sizes[-1])
        own = last.select((pl.col("bound") / pl.col("measured")).median()).item()
        fitted = slope(of_one, "bound")
        cells = [upper(ratios.get(size), 3) for size in sizes] + [upper(own, 3)]
        words = MEANS.sub("", target.removeprefix("total variation").removeprefix(" of ")).strip() or "the model"
        cells.append(f"{fitted.value:.3f} [{fitted.low:.3f} to {fitted.high:.3f}]")
        lines.append(",".join([theorem, basis or "–", f'"{words}"', *cells]))
    return write_text(path, "\n".join(lines) + "\n")


def write_stress(certificates: pl.DataFrame, path: Path) -> Path:
    """Write the worst miss rate of each certificate under each sampling, a line for each theorem and basis.

    A field holds the greatest rate over truths, sizes and targets, in percent, with its exact 95 % interval; an
    asterisk marks a rate that is all but impossible under delta. A dash stands for a certificate that was always
    refused or never asked.

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
    for theorem, basis in _kinds(table):
        of_one = table.filter((pl.col("theorem") == theorem) & (pl.col("basis") == basis))
        fields = [_worst(of_one.filter(pl.col("sampling") == sampling)) for sampling in samplings]
        lines.append(",".join([theorem, basis or "–", *fields]))
    return write_text(path, "\n".join(lines) + "\n")


def _plain(certificates: pl.DataFrame) -> pl.DataFrame:
    kept = certificates.filter((pl.col("sampling") == "independent") & (pl.col("protocol") == "fixed profile"))
    if kept.is_empty():
        raise InputError(
            "The table has no independent samples with fixed profiles, where misses are counted; run them."
        )
    return kept


def _kinds(table: pl.DataFrame) -> list[tuple[str, str]]:
    return table.select("theorem", "basis").unique().sort(in_order(pl.col("theorem")), "basis").rows()


def _worst(rows: pl.DataFrame) -> str:
    counted = rows.filter(pl.col("replicates") > 0)
    if counted.is_empty():
        return "–"
    worst = counted.sort("rate", descending=True, maintain_order=True).to_dicts()[0]
    return f"{100 * worst['rate']:.1f} % ({interval(worst)}){'' if worst['holds'] else ' *'}"
