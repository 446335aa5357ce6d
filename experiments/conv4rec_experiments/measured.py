"""What a certificate bounds, where it can be measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from conv4rec_experiments.distances import AT_LEAST, AT_MOST, Distances

__all__ = ["Measured", "measured_distance"]


@dataclass(frozen=True)
class Measured:
    """What a certificate bounds, where it can be measured exactly, and what that is in words.

    ``value`` is None if only some of its ``parts``, by their names in the certificate's quantities, can be measured.
    """

    value: float | None
    meaning: str
    parts: Mapping[str, float] = field(default_factory=dict)


def measured_distance(found: Distances) -> dict[str, Measured]:
    """Return the distance that T7f and T9-lower bound, where the whole pool is in hand; keys are their numbers.

    >>> measured_distance(Distances({}, 0.25, 0.25))["T7f"].value, measured_distance(Distances({}))
    (0.25, {})
    """
    if found.at_most is None:
        return {}
    far = Measured(found.at_most, "total variation to the whole held-out pool's law, over groups of cells")
    return {AT_MOST: far, AT_LEAST: far}
