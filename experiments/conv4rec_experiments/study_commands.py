"""The command that runs a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conv4rec_experiments.words import names, whole_numbers

if TYPE_CHECKING:
    from conv4rec_experiments.studies.study import Study

__all__ = ["study"]

ALL = "all"
COUNTED = ("certificate", "side", "replicates", "refused", "misses", "low", "high", "tightness_50")
LABELLED = ("truth", "protocol", "sampling", "size")


def study(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="A study file, or: quick, reference, truths, certificates, coverage, stress, stress_large.",
        ),
    ] = "quick",
    out: Annotated[
        Path | None, typer.Option(help="The folder of the study, studies/NAME; what is there is not run again.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that compute side by side.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Instead: a dask scheduler whose workers compute.")
    ] = None,
    truth: Annotated[str | None, typer.Option(help="Instead of the file's: one known law by name.")] = None,
    truth_seed: Annotated[int, typer.Option(min=0, help="Seed of that law.")] = 0,
    sizes: Annotated[str | None, typer.Option(help="Instead of the file's: sample sizes, such as 1e3,1e4.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Instead of the file's: samples of each size.")] = None,
    delta: Annotated[
        float | None, typer.Option(help="Instead of the file's: failure probability of each certificate by itself.")
    ] = None,
    theorems: Annotated[
        str | None, typer.Option(help="Instead of the file's: certificates, such as T5,T6; all; or none.")
    ] = None,
) -> None:
    """Measure what fits find of known laws and how certificates fare, over sizes and seeds."""
    from conv4rec_experiments.figures.naming import named
    from conv4rec_experiments.figures.studies import draw_study
    from conv4rec_experiments.printing import print_frame, print_paths
    from conv4rec_experiments.studies.coverage import coverage_table
    from conv4rec_experiments.studies.parts import run
    from conv4rec_experiments.studies.receipt import write_receipt
    from conv4rec_experiments.studies.study import Study
    from conv4rec_experiments.studies.study_file import find
    from conv4rec_experiments.studies.summary import medians

    chosen = _overridden(Study.from_toml(find(study)), truth, truth_seed, sizes, seeds, delta, theorems)
    folder = Path("studies") / chosen.name if out is None else out
    tables = run(chosen, folder, workers=workers, scheduler=scheduler)
    print_frame(medians(tables.measures), "medians over seeds")
    paths = [folder / f"{name}.parquet" for name in ("measures", "certificates", "groups")]
    if not tables.certificates.is_empty():
        counts = named(coverage_table(tables.certificates))
        print_frame(counts.select(*LABELLED, *COUNTED), "certificates against what they bound")
        paths += write_receipt(tables.certificates, chosen.description(), folder)
    print_paths([*paths, *draw_study(tables, folder / "figures")])


def _overridden(
    chosen: Study,
    truth: str | None,
    truth_seed: int,
    sizes: str | None,
    seeds: int | None,
    delta: float | None,
    theorems: str | None,
) -> Study:
    """Put what the options say in the place of what the file says."""
    from dataclasses import replace

    from conv4rec_experiments.studies.study import TruthChoice, known_theorems

    if truth is None and truth_seed:
        raise typer.BadParameter("--truth-seed says nothing without --truth; give it, too")
    if truth is not None:
        chosen = replace(chosen, truths=(TruthChoice(truth, truth_seed),))
    if sizes is not None:
        chosen = replace(chosen, sizes=whole_numbers(sizes))
    if seeds is not None:
        chosen = replace(chosen, seeds=tuple(range(seeds)))
    if delta is not None:
        chosen = replace(chosen, delta=delta)
    if theorems is not None:
        asked = {ALL: known_theorems(), "none": ()}
        chosen = replace(chosen, theorems=asked[theorems] if theorems in asked else tuple(names(theorems)))
    return chosen
