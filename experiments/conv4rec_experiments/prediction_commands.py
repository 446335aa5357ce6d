"""The commands that show what a trained model predicts: one user's profile, recommendations and hidden gems."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conv4rec_experiments.reading_options import Columns, ItemColumn, LevelColumn, UserColumn
from conv4rec_experiments.words import names

if TYPE_CHECKING:
    from conv4rec.predictions import Predictions

__all__ = ["gems", "profile", "recommend"]

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that `conv4rec train` has written.")]
OneUser = Annotated[str, typer.Argument(metavar="USER", help="A user's identifier, as in the data.")]
Items = Annotated[int, typer.Option("-k", min=1, help="How many items to show.")]
Floor = Annotated[int, typer.Option(min=0, help="Of gems: only items of at least so many training interactions.")]
OF_HISTORY = ("skip_unknown", "user", "item", "level", "columns")


def profile(run: Run, user: OneUser, k: Items = 20) -> None:
    """Show what the model believes about one user: the likeliest items and how they would be liked."""
    from conv4rec_experiments.loading import load_run
    from conv4rec_experiments.printing import print_frame

    model, (known,) = load_run(run, [user])
    table = model.profile(known).sort("p_consume", descending=True, maintain_order=True)
    print_frame(table.head(k), f"user {user}")


def recommend(
    context: typer.Context,
    run: Run,
    users: Annotated[
        list[str] | None, typer.Argument(metavar="USER...", help="Users' identifiers; with --history by default all.")
    ] = None,
    k: Items = 10,
    gems: Annotated[bool, typer.Option("--gems", help="Unlikely finds that would be liked, instead.")] = False,
    least_interactions: Floor = 0,
    history: Annotated[
        Path | None, typer.Option(help="A file of what new users did, whom the training has not met.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Of --history: leave out items that the run does not know.")
    ] = False,
    user: UserColumn = None,
    item: ItemColumn = None,
    level: LevelColumn = None,
    columns: Columns = None,
) -> None:
    """Recommend items that the users have not seen."""
    import polars as pl

    from conv4rec_experiments.formatting import floor_words
    from conv4rec_experiments.loading import load_newcomers, load_run
    from conv4rec_experiments.printing import print_frame, print_lines, print_skipped

    if least_interactions and not gems:
        raise typer.BadParameter("--least-interactions says nothing without --gems")
    model: Predictions
    if history is None:
        said = [name for name in OF_HISTORY if context.params[name]]
        if said:
            raise typer.BadParameter(f"--{said[0].replace('_', '-')} says nothing without --history")
        if not users:
            raise typer.BadParameter("name a user, or give a file of new users with --history")
        model, known = load_run(run, users)
    else:
        roles = {"user": user, "item": item, "level": level, "columns": None if columns is None else names(columns)}
        model, known = load_newcomers(run, history, users or [], skip=skip_unknown, columns=roles)
        print_skipped(model.skipped)
    for place in range(len(known)):
        one = known[place]
        if gems:
            table = model.hidden_gems(one, k, least_interactions=least_interactions)
        else:
            table = model.recommend(known[place : place + 1], k)
        if len(table):
            print_frame(table.select(pl.exclude("user")), f"user {one}")
        else:
            left = "no hidden gem is left" if gems else "nothing is left to recommend"
            print_lines(f"user {one} has seen {floor_words(least_interactions, 'all ') or 'every item'}; {left}.")


def gems(
    run: Run,
    wanted: Annotated[float, typer.Option(help="The least probability of a high level to be certified.")] = 0.8,
    segment: Annotated[
        list[str] | None, typer.Option(help="A segment of users: all, quiet, middle or active; repeatable.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many examples of each pool to show.")] = 5,
    least_interactions: Floor = 0,
) -> None:
    """Show the largest pools of hidden gems that are certified to be liked so often; certify the run first."""
    from conv4rec_experiments.gems import gems_of_run
    from conv4rec_experiments.loading import load_run
    from conv4rec_experiments.printing import print_frame, print_gems, print_paths

    model, _ = load_run(run, [])
    ladder, found, examples, paths = gems_of_run(model, run, wanted, segment or (), k, least_interactions)
    print_gems(ladder, found, wanted)
    if len(examples):
        print_frame(examples, "examples; the pool is certified, no single pair")
    print_paths(paths)
