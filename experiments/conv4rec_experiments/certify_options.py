"""Which options of `conv4rec certify` go together."""

from collections.abc import Mapping

import typer

__all__ = ["refuse_odd_options"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "run": ("independent", "independent_levels", "independent_users", "least_interactions"),
    "weights": (
        *("map", "transpose", "activations", "scored", "risk", "truth_risk", "users", "user_risk", "cells"),
        *("masked", "independent", "pool", "fixed_profile", "independent_users", "cut", "out"),
    ),
    "log_probabilities": (
        *("against", "cells", "pool_size", "smoothing", "independent", "pool", "out", "levels", "level_range"),
        *("whole_users", "independent_users"),
    ),
    "user_scores": ("independent", "pool", "whole_users", "independent_users", "out"),
    "laws": ("interactions", "seed", "independent", "pool", "out"),
}
"""What can be certified, and the options that go with each."""

TABLES = {"log_probabilities", "user_scores", "laws"}
"""What may be certified together."""

NEEDS: Mapping[str, tuple[str, ...]] = {
    "cut": ("independent_users",),
    "masked": ("user_risk",),
    "scored": ("risk",),
    "risk": ("scored",),
    "truth_risk": ("risk",),
    "user_risk": ("users",),
    "users": ("risk", "user_risk"),
    "pool_size": ("pool",),
    "whole_users": ("user_scores",),
    "laws": ("interactions",),
    "seed": ("interactions",),
}
"""Options that say something together with another one only: with any of those named."""


def refuse_odd_options(context: typer.Context) -> None:
    """Refuse more or less than one thing to certify, and options that do not go with it."""
    origins = {name: context.get_parameter_source(name) for name in context.params}
    said = {name for name, origin in origins.items() if origin is not None and origin.name == "COMMANDLINE"}
    kinds = said & set(KINDS)
    if not kinds or (len(kinds) > 1 and not kinds <= TABLES):
        raise typer.BadParameter(
            "give one thing to certify: the folder RUN, --weights FILE, or tables: --log-probabilities FILE, "
            "--user-scores FILE or --laws FILE"
        )
    if odd := sorted(said - kinds - {"delta", "receipt"} - {name for kind in kinds for name in KINDS[kind]}):
        fits = " or ".join(_option(name) for name, own in KINDS.items() if odd[0] in own)
        given = " and ".join(_option(name) for name in KINDS if name in kinds)
        raise typer.BadParameter(f"{_option(odd[0])} does not go with {given}; it goes with {fits}")
    for name, needed in NEEDS.items():
        if name in said and not said & set(needed):
            others = " or ".join(map(_option, needed))
            raise typer.BadParameter(f"{_option(name)} says nothing without {others}; give {others}, too")
    if {"independent", "pool"} <= said:
        raise typer.BadParameter("--independent and --pool declare different things; give the one that is true")


def _option(name: str) -> str:
    return "RUN" if name == "run" else f"--{name.replace('_', '-')}"
