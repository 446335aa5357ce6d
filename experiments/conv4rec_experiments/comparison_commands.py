"""The commands that compare recommenders, evaluate one, and search for options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conv4rec_experiments.model_options import OptionsFile, read_options
from conv4rec_experiments.reading_options import (
    Columns,
    Data,
    Duplicates,
    FileFormat,
    Implicit,
    ItemColumn,
    LevelColumn,
    Levels,
    OneRow,
    TimeColumn,
    UserColumn,
    read_data,
)
from conv4rec_experiments.words import names

if TYPE_CHECKING:
    import polars as pl

__all__ = ["compare", "evaluate", "search"]

SHOWN = ("NDCG@100", "Recall@20", "Recall@50", "positive NDCG@100", "RMSE", "MAE", "level log-loss")
CALIBRATED = (
    *("item log-loss", "ECE of P(consume)", "ECE of P(level | consumed)", "ECE of P(level | consumed), if calibrated"),
    *("ECE of the likeliest level", "ECE of the likeliest level, if calibrated"),
)


def compare(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the comparison; what it holds is not fitted again.")] = Path(
        "comparison"
    ),
    peers: Annotated[
        str | None,
        typer.Option(
            help="Of popularity,ease,als,vae,mf,biased,histogram,joint, or none; else all that are installed."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many random splits.")] = 3,
    options_file: OptionsFile = None,
    file_format: FileFormat = None,
    user: UserColumn = None,
    item: ItemColumn = None,
    level: LevelColumn = None,
    time: TimeColumn = None,
    implicit: Implicit = False,
    levels: Levels = None,
    columns: Columns = None,
    duplicates: OneRow = Duplicates.LAST,
) -> None:
    """Fit Conv4Rec and its peers on the same random splits, and show which is better at what."""
    import polars as pl

    from conv4rec_experiments.comparison import comparing
    from conv4rec_experiments.comparison.registry import chosen_systems
    from conv4rec_experiments.figures.comparison import draw_comparison, draw_reliability
    from conv4rec_experiments.printing import print_frame, print_lines, print_paths

    options = read_options(options_file)
    interactions = read_data(data, file_format, user, item, level, time, implicit, levels, columns, duplicates)
    asked = None if peers is None else () if peers == "none" else tuple(names(peers))
    systems, left_out = chosen_systems(asked, options, n_levels=interactions.n_levels)
    print_lines(*left_out)
    with _progress() as progress:
        found = comparing.compare(interactions, systems, seeds, out, progress=progress)
    _print_figures(found.table(), f"held-out part, means over {seeds} {'seed' if seeds == 1 else 'seeds'}")
    paths = comparing.write_compared(found, out)
    if len(found.systems) > 1:
        told = pl.DataFrame(found.against_first()).filter(pl.col("figure").is_in(SHOWN))
        print_frame(told, f"{found.systems[0]} less each peer, with 95 % intervals over users")
    paths += draw_comparison(found.fits, out / "comparison")
    print_paths([*paths, *draw_reliability(found.fits, out / "reliability")])


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that `conv4rec train` has written.")],
    out: Annotated[Path | None, typer.Option(help="The folder of the results, RUN/evaluation.")] = None,
) -> None:
    """Measure one trained run on its held-out part: lists, levels, calibration."""
    from conv4rec_experiments.comparison.comparing import Compared, evaluated_run, write_compared
    from conv4rec_experiments.figures.comparison import draw_reliability
    from conv4rec_experiments.loading import load_run
    from conv4rec_experiments.printing import print_lines, print_paths
    from conv4rec_experiments.run_files import EVALUATION

    folder = run / EVALUATION if out is None else out
    model, _ = load_run(run, [])
    found: Compared = evaluated_run(model)
    _print_figures(found.table().drop("fit, s", "with choosing, s"), "held-out part")
    print_lines(f"{len(found.users)} users have a held-out interaction; the model reads their training part.")
    print_paths([*write_compared(found, folder), *draw_reliability(found.fits, folder / "reliability")])


def search(
    data: Data,
    trials: Annotated[int, typer.Option(min=1, help="How many trials, those included that the folder holds.")] = 30,
    out: Annotated[Path, typer.Option(help="The folder of the search; a search that it holds is continued.")] = Path(
        "search"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of the draws.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs of a trial.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    file_format: FileFormat = None,
    user: UserColumn = None,
    item: ItemColumn = None,
    level: LevelColumn = None,
    time: TimeColumn = None,
    implicit: Implicit = False,
    levels: Levels = None,
    columns: Columns = None,
    duplicates: OneRow = Duplicates.LAST,
) -> None:
    """Search for options of the model on a validation part, for `train --options` and `compare --options`."""
    from conv4rec_experiments.comparison import searching
    from conv4rec_experiments.printing import print_frame, print_lines, print_paths

    interactions = read_data(data, file_format, user, item, level, time, implicit, levels, columns, duplicates)
    with _progress() as progress:
        found = searching.search(
            interactions, out, trials=trials, seed=seed, epochs=epochs, device=device, progress=progress
        )
    print_frame(found.trials.sort("criterion", nulls_last=True).head(10), "best trials, on the validation part")
    best = out / searching.BEST
    print_paths(found.paths)
    print_lines(f"The best options are in {best}; use them with: conv4rec train {data} --options {best}")


def _print_figures(table: pl.DataFrame, title: str) -> None:
    from conv4rec_experiments.printing import print_frame

    seconds = [name for name in ("fit, s", "with choosing, s") if name in table.columns]
    print_frame(table.select("system", *SHOWN, *seconds), title)
    print_frame(
        table.select("system", *CALIBRATED),
        "calibration: item log-loss in nats, expected calibration errors, what chance makes them",
    )


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on a terminal; elsewhere a line for each thing that is begun; both on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)
        shown = -1

        def show(words: str, done: int, total: int) -> None:
            nonlocal shown
            bar.update(task, description=words, completed=done, total=total)
            if not console.is_terminal and done > shown:
                shown = done
                console.print(f"{done}/{total} {words}", soft_wrap=True)

        yield show
