"""The command line: parse, call, print. What is heavy is imported by the command that needs it."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from conv4rec_experiments.bound_commands import certify, plan
from conv4rec_experiments.comparison_commands import compare, evaluate, search
from conv4rec_experiments.explain_command import explain
from conv4rec_experiments.model_options import OptionsFile, read_options
from conv4rec_experiments.monitor_command import monitor
from conv4rec_experiments.prediction_commands import gems, profile, recommend
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
from conv4rec_experiments.region_command import regions
from conv4rec_experiments.study_commands import study
from conv4rec_experiments.words import as_options

__all__ = ["app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    help="Train Conv4Rec on interactions, certify it, and study how fast it finds a known law.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


class SplitProtocol(StrEnum):
    """How interactions are divided."""

    COIN = "coin"
    INTERACTION = "interaction"
    TIME = "time"


def show_version(asked: bool) -> None:
    """Print the version and end, if it was asked for."""
    if asked:
        from importlib.metadata import version

        print(f"conv4rec {version('conv4rec')}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take what no single command owns."""


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the run.")] = Path("run"),
    protocol: Annotated[SplitProtocol, typer.Option(help="How to split.")] = SplitProtocol.COIN,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split and of the training.")] = 0,
    channels: Annotated[int | None, typer.Option(min=1, help="Number of channels.")] = None,
    code: Annotated[int | None, typer.Option(min=1, help="Size of the code in each channel.")] = None,
    hidden: Annotated[list[int] | None, typer.Option(min=1, help="Size of a further layer; repeatable.")] = None,
    options_file: OptionsFile = None,
    epochs: Annotated[int | None, typer.Option(min=0, help="Most epochs.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size of Adam.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Penalty on encode and decode.")] = None,
    profile_dropout: Annotated[float | None, typer.Option(help="Share of a profile left out in training.")] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Epochs without a better validation loss.")] = None,
    redraw: Annotated[
        bool | None, typer.Option("--redraw/--no-redraw", help="Draw profile and scored anew in every epoch.")
    ] = None,
    prior_share: Annotated[
        float | None, typer.Option(help="Share of the scored part that also trains a prior, for T8 and T8-paired.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a training that was interrupted.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run that the folder holds.")] = False,
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
    """Split interactions, train a model on them, and keep both in a folder."""
    from conv4rec_experiments.printing import print_lines, print_training
    from conv4rec_experiments.run_files import claim_folder
    from conv4rec_experiments.runs import train_run

    options = {
        "channels": channels,
        "code": code,
        "hidden": hidden or None,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "profile_dropout": profile_dropout,
        "patience": patience,
        "redraw": redraw,
        "seed": seed,
        "device": device,
    }
    claim_folder(out, resume=resume, force=force)
    interactions = read_data(data, file_format, user, item, level, time, implicit, levels, columns, duplicates)
    given = read_options(options_file) | {name: value for name, value in options.items() if value is not None}
    model = train_run(interactions, out, protocol=protocol.value, resume=resume, options=given, prior_share=prior_share)
    print_training(model)
    print_lines(f"The model is in {out}; certify it with: conv4rec certify {out}")


app.command()(compare)
app.command()(evaluate)
app.command()(search)
app.command()(certify)
app.command()(plan)
app.command()(monitor)
app.command()(regions)


app.command()(profile)
app.command()(recommend)
app.command()(gems)
app.command()(explain)
app.command()(study)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="The folder of the results.")] = Path("out")) -> None:
    """Train, certify and study on a known law, in about a minute."""
    from conv4rec_experiments.demo import run_demo
    from conv4rec_experiments.formatting import confidence
    from conv4rec_experiments.printing import print_evaluation, print_frame, print_lines, print_paths

    result = run_demo(out)
    print_evaluation(result.evaluation)
    print_frame(result.study, "convergence study, medians over seeds")
    print_lines(
        f"The certificates above hold jointly with confidence {confidence(result.model_failure)}; the rest of the "
        "failure probability is the study's. All statements of the page hold jointly with confidence "
        f"{confidence(result.failure)}."
    )
    print_paths(result.paths)


def main() -> None:
    """Run the command line; an error that the user can mend is one sentence on standard error and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        _fail(error.format_message())
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}; check the path and its permissions")
    except ValueError as error:
        if not _is_the_users(error):
            raise
        _fail(as_options(str(error)))
    if code == INTERRUPTED:
        _fail(f"interrupted; {_next_step(sys.argv[1:])}", INTERRUPTED)
    sys.exit(code or 0)


def _is_the_users(error: ValueError) -> bool:
    """Say whether an error is about the input; any other is a defect of the program and is shown whole."""
    from conv4rec.errors import InputError
    from conv4rec_bounds.errors import RefusedError

    return isinstance(error, InputError | RefusedError)


def _next_step(arguments: list[str]) -> str:
    if arguments[:1] != ["train"]:
        return "what was finished is kept"
    kept = [argument for argument in arguments if argument not in ("--force", "--resume")]
    return f"continue with: {shlex.join(['conv4rec', *kept, '--resume'])}"


def _fail(sentence: str, code: int = 2) -> None:
    print(f"conv4rec: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
