"""What the commands print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conv4rec_experiments.formatting import bound, confidence, floor_words, lower, number, upper
from conv4rec_experiments.report.sentences import headline, reason

if TYPE_CHECKING:
    import polars as pl

    from conv4rec import Conv4Rec
    from conv4rec_bounds import Report
    from conv4rec_experiments.distances import Interval
    from conv4rec_experiments.evaluation import Evaluation
    from conv4rec_experiments.planning import Plan

__all__ = [
    "print_certificates",
    "print_evaluation",
    "print_frame",
    "print_gems",
    "print_intervals",
    "print_lines",
    "print_looks",
    "print_parts",
    "print_paths",
    "print_plans",
    "print_skipped",
    "print_training",
]

WIDEST = 10_000
BOUNDS = ("t6",)
console = Console(soft_wrap=False, highlight=False)


def print_lines(*lines: str) -> None:
    """Print sentences as they are."""
    for line in lines:
        console.print(escape(line))


def print_paths(paths: Iterable[Path]) -> None:
    """Print where files were written, one unbroken path on each line."""
    console.print("written:")
    for path in paths:
        console.print(f"  {escape(str(path))}", soft_wrap=True)


def print_training(model: Conv4Rec) -> None:
    """Print how the data was split, how long the training was, and the losses of the epoch whose weights are kept."""
    split, history = model.split, model.history.to_dicts()
    counts = ", ".join(f"{count} {part.replace('_', ' ')}" for part, count in split.counts().items())
    # Training keeps the first epoch of the least validation loss, or the last where there is no validation part.
    kept = min(history, key=lambda row: row["validation_joint"]) if len(split.validation) else history[-1]
    measured = {name: loss for name, loss in kept.items() if "_" in name and loss is not None}
    losses = ", ".join(f"{name.replace('_', ' ')} {loss:.4f}" for name, loss in measured.items())
    print_lines(f"Split by {split.protocol}: {counts}.")
    if not len(split.validation):
        print_lines("There is no validation part: training cannot stop early.")
    if not len(split.held_out):
        print_lines("There is no held-out part: no held-out certificate.")
    advice = ""
    if kept["epoch"] == 0:
        advice = ": training did not improve on the start values; try a lower --learning-rate or more --epochs"
    print_lines(f"Trained {len(history) - 1} epochs and kept epoch {kept['epoch']}{advice}.")
    if losses:
        print_lines(f"Its mean losses in nats: {losses}.")


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the losses, the certificates with the reason of each, and the sentence that sums them up."""
    losses = _table("mean losses, nats", ("part", "model"), ("interactions", "implicit", "explicit", "joint"))
    for row in evaluation.losses:
        amounts = (f"{value:.4f}" for value in (row.implicit, row.explicit, row.joint))
        losses.add_row(row.part, row.model, number(row.interactions), *amounts)
    console.print(losses)

    print_certificates(evaluation.certificate_rows(), evaluation.report)
    print_parts(evaluation.part_rows())
    print_intervals(evaluation.intervals)
    print_lines("", evaluation.notes[-1])
    print_lines("", headline(evaluation.report))


def print_intervals(intervals: Sequence[Interval]) -> None:
    """Print how far models are from the truth, at least and at most."""
    if not intervals:
        return
    far = _table("total variation over groups of cells", ("model",), ("at least", "at most", "measured"))
    for each in intervals:
        far.add_row(each.model, lower(each.lower.value), upper(each.upper.value), number(each.measured))
    console.print(far)


def print_parts(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what certificates of several quantities say about each, beside its value on the sample."""
    if not rows:
        return
    table = _table("parts of the certificates", ("theorem", "part"), ("value", "sample", "measured", "trivial"))
    for row in rows:
        amounts = (number(row[name]) for name in ("sample", "measured", "trivial"))
        table.add_row(row["theorem"], f"{row['part']} ({row['unit']})", bound(row), *amounts)
    console.print(table)


def print_certificates(rows: Sequence[Mapping[str, Any]], report: Report) -> None:
    """Print the rows of a report's certificates as a table, and the reason of each."""
    certificates = _table(
        f"certificates, jointly with confidence {confidence(float(report.budget.total))}",
        ("theorem", "bounds"),
        ("value", "measured", "trivial"),
        ("status",),
    )
    for found in rows:
        values = (bound(found), number(found["measured"]), number(found["trivial"]))
        certificates.add_row(found["theorem"], found["target"], *values, found["status"])
    console.print(certificates)
    print_lines(*(reason(found) for found in rows))


def print_looks(looks: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print the interval at every look, its ends rounded outward."""
    table = _table(title, (), ("interactions", "lower", "mean", "upper", "trivial"))
    for row in looks:
        ends = lower(row["lower"]), number(row["mean"]), upper(row["upper"])
        table.add_row(number(row["interactions"]), *ends, number(row["trivial"]))
    console.print(table)


def print_gems(
    ladder: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[str, Any] | None], wanted: float
) -> None:
    """Print of every segment the largest pool of hidden gems that is certified so, or how far the best one comes."""
    of = floor_words(ladder[0]["least_interactions"], " of ")
    table = _table(
        f"hidden gems{of}: largest pools with P(high | consumed) certified to be at least {wanted:g}",
        ("users", "at least"),
        ("pairs", "held out", "claim", "measured", "certified", "base rate"),
    )
    without = []
    for segment, row in found.items():
        if row is None:
            best = max((row for row in ladder if row["segment"] == segment), key=lambda row: row["lower_end"])
            without.append(
                f"{segment} users: no pool is certified so; the best certified one holds the gems of at least "
                f"{best['threshold']:g}, with a lower end of {lower(best['lower_end'])}."
            )
            continue
        numbers = (number(row[name]) for name in ("pairs", "interactions", "claim", "measured"))
        table.add_row(
            segment, f"{row['threshold']:g}", *numbers, f"≥ {lower(row['lower_end'])}", number(row["base_rate"])
        )
    if table.row_count:
        console.print(table)
    print_lines(*without)


def print_plans(plans: Sequence[Plan]) -> None:
    """Print how much each theorem needs, bounds rounded to the safe side, and why some wishes are out of reach."""
    table = Table(title="what is needed", title_justify="left", box=None, pad_edge=False, title_style="bold")
    for name in ("theorem", "needed", "counts", "wanted", "bound", "bounds"):
        table.add_column(name, justify="right" if name in ("needed", "wanted", "bound") else "left", overflow="fold")
    for plan in plans:
        if plan.needed is not None:
            written = (upper if plan.side == "upper" else lower)(plan.bound)
            table.add_row(plan.theorem, number(plan.needed), plan.counts, number(plan.wanted), written, plan.bounds)
    console.print(table)
    print_lines(*(plan.reason for plan in plans if plan.needed is None))


def print_frame(frame: pl.DataFrame, title: str) -> None:
    """Print every row of a data frame on one line, whatever the width of the terminal; floats with four digits.

    A dash stands where there is nothing. Columns of upper bounds are rounded up.
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", no_wrap=True)
    for row in frame.iter_rows(named=True):
        table.add_row(*(escape(_written(name, value)) for name, value in row.items()))
    width = console.measure(table, options=console.options.update_width(WIDEST)).maximum
    Console(width=max(width, console.width), highlight=False).print(table)


def print_skipped(skipped: pl.DataFrame) -> None:
    """Print of new users' histories which items the model does not know, each once."""
    if len(skipped):
        items = map(str, skipped["item"].unique(maintain_order=True))
        print_lines(f"Left out, as the run does not know these items: {', '.join(items)}.")


def _written(column: str, value: object) -> str:
    if not isinstance(value, float):
        return "–" if value is None else str(value)
    return upper(value) if column in BOUNDS else f"{value:.4g}"


def _table(title: str, *columns: tuple[str, ...]) -> Table:
    """Start a table whose second group of columns holds numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")
    for place, names in enumerate(columns):
        for name in names:
            table.add_column(name, justify="right" if place == 1 else "left", overflow="fold")
    return table
