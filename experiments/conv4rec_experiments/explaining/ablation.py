"""What the 1x1 convolutions buy: the model against the same network in which levels are never mixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from conv4rec import Architecture, Conv4Rec, InputError, split_by_coin, split_by_interaction
from conv4rec.network import Network
from conv4rec.options import choose_device
from conv4rec.training import train

if TYPE_CHECKING:
    from conv4rec import Interactions, Split
    from conv4rec.options import TrainingOptions

__all__ = ["MEASURES", "ablate", "differences", "fit_without_mixing", "learned_weights", "resplit", "without_mixing"]

MIXING, ONE_HOT = "1x1 convolutions", "one-hot levels"
FIXED = ("lift", "project")
MEASURES = ("joint", "implicit", "explicit", "rmse")


def learned_weights(architecture: Architecture, fixed: Sequence[str] = ()) -> int:
    """Count the weights that training changes: all but those of the maps in `fixed`.

    Examples
    --------
    >>> learned_weights(Architecture(n_items=10, n_levels=5, channels=3, code=4, level_offset=False))
    172
    """
    return sum(math.prod(shape) for name, shape in architecture.shapes().items() if name not in fixed)


def without_mixing(architecture: Architecture) -> Architecture:
    """Return the sizes of the network without mixing whose number of learned weights comes nearest.

    It has one channel for each level, lift and project are fixed, and the size of the code is chosen; of two sizes
    that come as near the larger is taken, to the advantage of the network without mixing.

    Examples
    --------
    >>> ours = Architecture(n_items=1000, n_levels=10, channels=3, code=50, shared_maps=False)
    >>> other = without_mixing(ours)
    >>> other.channels, other.code, learned_weights(ours), learned_weights(other, FIXED)
    (10, 15, 311710, 311650)
    """
    target = learned_weights(architecture)
    whole = replace(architecture, channels=architecture.n_levels)

    def distance(code: int) -> int:
        return abs(learned_weights(replace(whole, code=code), FIXED) - target)

    # The count grows with the code: the first that reaches the target, or the one before, is nearest.
    first = next(code for code in count(1) if learned_weights(replace(whole, code=code), FIXED) >= target)
    code = min((first, max(first - 1, 1)), key=lambda size: (distance(size), -size))
    return replace(whole, code=code)


def fit_without_mixing(
    architecture: Architecture, options: TrainingOptions, interactions: Interactions, split: Split
) -> Conv4Rec:
    r"""Train a network whose lift and project stay :math:`\sqrt R\,I`: every level is a channel of its own.

    The factor gives a channel the norm that it has at the start of a network that mixes, so that steps are of one size.

    Raises
    ------
    InputError
        If there are not as many channels as levels.
    """
    if architecture.channels != architecture.n_levels:
        raise InputError(
            f"there are {architecture.channels} channels and {architecture.n_levels} levels; without mixing every "
            "level is a channel, so give as many."
        )
    start = _model(architecture, replace(options, epochs=0)).fit(interactions, split, progress=False)
    one_hot = math.sqrt(architecture.n_levels) * np.eye(architecture.n_levels)
    network = Network(architecture, dtype=options.dtype)
    network.set_weights(start.weights() | dict.fromkeys(FIXED, one_hot))
    network.to(choose_device(options.device))
    for name in FIXED:
        getattr(network, name).requires_grad_(False)
    train(network, split, options, progress=False)
    return start.with_weights(network.double().weights())


def ablate(
    model: Conv4Rec,
    split_of_seed: Callable[[int], Split],
    seeds: Sequence[int],
    on_fit: Callable[[int, str], None] | None = None,
) -> pl.DataFrame:
    """Train both networks on the same split for each seed, and measure them on its held-out part.

    Parameters
    ----------
    model
        Gives the sizes and options; its weights are not used.
    split_of_seed
        A split of the model's interactions for each seed.
    seeds
        Seeds of the splits and of the training.
    on_fit
        Called with the seed and the name of the network before each training.

    Returns
    -------
    polars.DataFrame
        Two rows for each seed: ``seed``, ``network``, ``channels``, ``code``, ``weights`` (the number learned),
        ``joint``, ``implicit`` and ``explicit`` (mean losses on held out in nats, under the mask of the split) and
        ``rmse`` (of the expected level, in units of the levels).

    Raises
    ------
    InputError
        If there is no seed, one level only, or a split has no held-out part.
    """
    if not len(seeds):
        raise InputError("there are no seeds; give at least one.")
    if model.architecture.n_levels == 1:
        raise InputError("there is one level, so there is nothing to mix; read the data with several levels.")
    ours, other = model.architecture, without_mixing(model.architecture)
    rows = []
    for seed in seeds:
        split = split_of_seed(seed)
        if not len(split.held_out):
            raise InputError("the split has no held-out part to measure on; give a share above 0.")
        options = replace(model.options, seed=seed)
        data = split.interactions
        for name, sizes, fixed in ((MIXING, ours, ()), (ONE_HOT, other, FIXED)):
            if on_fit is not None:
                on_fit(seed, name)
            if fixed:
                fitted = fit_without_mixing(sizes, options, data, split)
            else:
                fitted = _model(sizes, options).fit(data, split, progress=False)
            row = {"seed": seed, "network": name, "channels": sizes.channels, "code": sizes.code}
            row["weights"] = learned_weights(sizes, fixed)
            rows.append(row | _measured(fitted, split))
    return pl.DataFrame(rows)


def resplit(model: Conv4Rec, seed: int) -> Split:
    """Split the data of a model anew by its random protocol, with default shares; other splits stay as they are."""
    if model.split.protocol == "coin":
        return split_by_coin(model.interactions, seed=seed)
    if model.split.protocol == "interaction":
        return split_by_interaction(model.interactions, seed=seed)
    return model.split


def differences(table: pl.DataFrame) -> pl.DataFrame:
    """Return for each measure what mixing takes away, paired by seed: without mixing less with it.

    Columns: ``measure``; ``mixing`` and ``one_hot``, means over seeds; ``difference``, the mean of the paired
    differences; ``error``, its standard error (none for one seed); ``better``, in how many seeds mixing is better;
    ``seeds``.
    """
    ours, other = (table.filter(network=name).sort("seed") for name in (MIXING, ONE_HOT))
    rows = []
    for measure in MEASURES:
        paired = (other[measure] - ours[measure]).to_numpy()
        error = float(paired.std(ddof=1) / math.sqrt(len(paired))) if len(paired) > 1 else None
        rows.append(
            {
                "measure": measure,
                "mixing": float(ours[measure].to_numpy().mean()),
                "one_hot": float(other[measure].to_numpy().mean()),
                "difference": float(paired.mean()),
                "error": error,
                "better": int((paired > 0).sum()),
                "seeds": len(paired),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"error": pl.Float64})


def _model(architecture: Architecture, options: TrainingOptions) -> Conv4Rec:
    given = asdict(architecture) | asdict(options)
    return Conv4Rec(**{name: value for name, value in given.items() if name not in ("n_items", "n_levels")})


def _measured(model: Conv4Rec, split: Split) -> dict[str, Any]:
    part, data = split.held_out, split.interactions
    expected = model.expected_level(data.user_ids.gather(part.user), data.item_ids.gather(part.item))
    squared = (expected - data.level_values[part.level]) ** 2
    return model.log_probabilities(part).losses() | {"rmse": float(np.sqrt(squared.mean()))}
