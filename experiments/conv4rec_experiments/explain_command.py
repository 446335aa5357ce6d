"""The command that shows what a trained model has learned."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["explain"]


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder that `conv4rec train` has written.")],
    user: Annotated[
        str | None, typer.Option(help="Whose profile page is drawn; by default the busiest user's.")
    ] = None,
    titles: Annotated[Path | None, typer.Option(help="A CSV table of items and their titles.")] = None,
    ablation: Annotated[
        int, typer.Option(min=0, help="Train so many seeds with and without mixing of levels, too.")
    ] = 0,
    out: Annotated[Path | None, typer.Option(help="The folder of the results; by default that of the run.")] = None,
) -> None:
    """Draw what a run has learned: how it mixes levels, its channels, a user, the catalogue."""
    from conv4rec_experiments.printing import print_frame, print_lines, print_paths
    from conv4rec_experiments.runs import explain_run

    def tell(seed: int, network: str) -> None:
        print_lines(f"Training with {network}, seed {seed}.")

    found = explain_run(run, out, user=user, titles=titles, seeds=range(ablation), on_fit=tell)
    print_frame(found.effects, "channels: what each does, and what is lost without it")
    if found.differences is not None:
        print_frame(found.differences, "what mixing of levels buys on held out, paired by seed")
    print_paths(found.paths)
