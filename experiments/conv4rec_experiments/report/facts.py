"""Facts about a trained model and its data, as a page tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Split
    from conv4rec_experiments.evaluation import Evaluation

__all__ = ["facts", "notes", "part_sizes"]

AFTER = {"lift": "lift", "code": "encode", "decode": "decode"}
TRAINING = {"fixed profile": "fixed profiles", "redrawn profiles": "redrawn profiles"}


def facts(model: Conv4Rec) -> dict[str, str]:
    """Tell the data, the sizes of its parts, the network and its training, by name."""
    network, options = model.architecture, model.options
    weights = sum(array.size for array in model.weights().values())
    hidden = f", hidden layers of {', '.join(map(str, network.hidden))}" if network.hidden else ""
    after = ", ".join(f"{getattr(network, f'{name}_activation')} after {map_}" for name, map_ in AFTER.items())
    sizes = f"{network.channels} channels and codes of {network.code}{hidden}; {weights:,} weights"
    return {
        "data": model.interactions.summary,
        "parts": part_sizes(model.split),
        "network": f"Conv4Rec with {sizes}; {after}",
        "training": f"at most {options.epochs} epochs with patience {options.patience}, {options.precision}, "
        f"seed {options.seed}",
    }


def part_sizes(split: Split) -> str:
    """Tell how many interactions every part of a split has."""
    return ", ".join(f"{count:,} {part.replace('_', ' ')}" for part, count in split.counts().items())


def notes(evaluation: Evaluation) -> list[str]:
    """Say how the data was split, what training read, and which predictor the held-out certificates are about."""
    training = TRAINING[evaluation.evidence.protocol.training]
    return [
        *evaluation.notes,
        f"Training read {training}; every loss on this page is measured with the profiles of the split. Held-out "
        f"certificates speak of the smoothed model, which gives weight {evaluation.smoothing} to the uniform law; that "
        "weight was chosen without the held-out part.",
    ]
