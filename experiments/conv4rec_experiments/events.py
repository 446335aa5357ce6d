"""Events of user and cell, chosen without the held-out part, with which a model can be caught out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conv4rec_bounds import Events
from conv4rec_experiments.regions import Regions, Table

__all__ = ["coarse_events"]

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


def coarse_events(held_out: Table, chosen: Counts | slice, hints: Table | None) -> Events:
    r"""Compare shares among some held-out interactions with the model's probabilities over all of them.

    Every event is a union of segments of users by groups of cells: each group of items, each level, each group at each
    level, each segment at each group and at each level, and what a table of hints (the validation part) shows too often
    under the model, at three resolutions: the *discriminators*, which would attain the total variation if the hints
    were the truth.

    Parameters
    ----------
    held_out
        The held-out part beside the model.
    chosen
        Which of its interactions are counted.
    hints
        Interactions that are not held out, beside the same model; None if there are none.
    """
    regions = held_out.regions
    names, inside = _fixed(regions)
    if hints is not None:
        further, found = _discriminators(hints)
        names, inside = names + further, np.concatenate([inside, found])
    counts, size = held_out.counts(chosen), len(held_out.stratum[chosen])
    shares = held_out.sizes / held_out.sizes.sum()
    probabilities = inside.reshape(len(names), -1) @ (shares[:, None] * held_out.laws).ravel()
    return Events(
        size=size,
        counts=inside.reshape(len(names), -1).astype(np.int64) @ counts.ravel(),
        # Sums of probabilities may leave [0, 1] by rounding.
        probabilities=np.clip(probabilities, 0, 1),
        names=tuple(names),
        resolution=regions.words,
    )


def _fixed(regions: Regions) -> tuple[list[str], NDArray[np.bool_]]:
    """Events that need no hints, as tables of shape (event, segment, cell)."""
    s, g, r = regions.segments, regions.groups, regions.levels
    segment, group, level = (
        np.eye(n, dtype=bool).reshape(shape) for n, shape in ((s, (s, s, 1, 1)), (g, (g, 1, g, 1)), (r, (r, 1, 1, r)))
    )
    kinds = {
        "item group {}": group,
        "level {}": level,
        "item group {} at level {}": group[:, None] & level,
        "segment {}, item group {}": segment[:, None] & group,
        "segment {}, level {}": segment[:, None] & level,
    }
    names: list[str] = []
    tables = []
    for words, events in kinds.items():
        whole = np.broadcast_to(events, (*events.shape[:-3], s, g, r))
        names += [words.format(*(index + 1 for index in place)) for place in np.ndindex(whole.shape[:-3])]
        tables.append(whole.reshape(-1, s, g * r))
    return names, np.concatenate(tables)


def _discriminators(hints: Table) -> tuple[list[str], NDArray[np.bool_]]:
    """Cells, alone, by segment, and segments' levels, that came more often than the model says."""
    regions = hints.regions
    shape = regions.segments, regions.groups, regions.levels
    excess = (hints.counts() - hints.sizes[:, None] * hints.laws).reshape(shape)
    found = [
        np.broadcast_to(excess.sum(axis=0, keepdims=True) > 0, shape),
        excess > 0,
        np.broadcast_to(excess.sum(axis=1, keepdims=True) > 0, shape),
    ]
    names = [f"{what} that the model finds too rare" for what in ("cells", "segments' cells", "segments' levels")]
    return names, np.stack(found).reshape(3, regions.segments, regions.cells)
