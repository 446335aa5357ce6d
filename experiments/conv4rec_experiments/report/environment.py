"""How pages are filled in: strict about names, and numbers of bounds rounded to the safe side."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from conv4rec_experiments.formatting import bound, lower, number, quantity, upper
from conv4rec_experiments.report.sentences import reason

__all__ = ["new_environment"]


def new_environment() -> Environment:
    """Return the environment that all templates of this folder share."""
    environment = Environment(
        loader=PackageLoader("conv4rec_experiments", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"bound": bound, "number": number, "quantity": quantity}
    environment.filters |= {"upper": upper, "lower": lower, "reason": reason}
    return environment
