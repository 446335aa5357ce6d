"""The command that looks at models in use."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["monitor"]


def monitor(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="A model's log-probabilities in the order of time, CSV or Parquet.")
    ],
    against: Annotated[
        Path | None, typer.Option(help="Another model's table of the same interactions in the same order.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="A look after so many interactions; by default at powers of two.")
    ] = None,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells inside the softmax, if they are always as many.")] = (
        None
    ),
    catalogue: Annotated[
        int | None, typer.Option(min=1, help="Cells of the whole catalogue; needed if their number differs by row.")
    ] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(help="Weight of the uniform law in the certified predictor; 0.01.", show_default=False),
    ] = None,
    delta: Annotated[float, typer.Option(help="Probability that any interval misses, at any look.")] = 0.05,
    out: Annotated[
        Path, typer.Option(help="The folder of the results, whose files of the same names are replaced.")
    ] = Path("monitor"),
) -> None:
    """Say where a model's mean expected loss lies, or its margin over another's, however often one looks."""
    from conv4rec_bounds.loss import DEFAULT_SMOOTHING
    from conv4rec_experiments.formatting import confidence
    from conv4rec_experiments.monitoring import monitor_log_probabilities, write_monitored
    from conv4rec_experiments.printing import print_lines, print_looks, print_paths

    found = monitor_log_probabilities(
        table,
        against=against,
        cells=cells,
        catalogue=catalogue,
        smoothing=DEFAULT_SMOOTHING if smoothing is None else smoothing,
        every=every,
        delta=delta,
    )
    what = "margin of the model over the other, nats" if found.compared else "mean loss of the model, nats"
    print_looks(found.looks, f"{what}; at all looks together with confidence {confidence(delta)}")
    print_lines("", verdict(found.looks[-1], compared=found.compared))
    print_paths(write_monitored(found, out))


def verdict(last: dict[str, float], *, compared: bool) -> str:
    """Say what the last look tells.

    >>> verdict({"lower": -0.1, "upper": 0.2, "trivial": 0.0}, compared=True)
    'It is open which of the two is better.'
    """
    if compared:
        if last["lower"] > 0:
            return "The model was to be expected better than the other."
        return (
            "The other was to be expected better than the model."
            if last["upper"] < 0
            else "It is open which of the two is better."
        )
    if last["upper"] < last["trivial"]:
        return "The model was to be expected better than the uniform law."
    return "It is open whether the model is better than the uniform law."
