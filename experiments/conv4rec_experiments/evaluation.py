"""From a trained model to its losses beside its peers, the evidence for the theorems, and their certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conv4rec.loss import LogProbabilities
from conv4rec.popularity import Popularity, Uniform
from conv4rec_bounds import Evidence, Report, certify
from conv4rec_experiments.gathering import Declared, gather
from conv4rec_experiments.gem_pools import GemPools
from conv4rec_experiments.measuring import Measured, measure

if TYPE_CHECKING:
    from conv4rec import Conv4Rec
    from conv4rec_experiments.truths import Truth

__all__ = ["Evaluation", "Loss", "evaluate"]

Predictions = Mapping[str, Mapping[str, LogProbabilities]]

PARTS = {"scored": "scored", "validation": "validation", "held_out": "held out"}
MODEL = "Conv4Rec"


@dataclass(frozen=True)
class Loss:
    """Mean losses of one model on one part, in nats: joint = implicit + explicit, all under the mask of the split."""

    part: str
    model: str
    interactions: int
    implicit: float
    explicit: float
    joint: float


@dataclass(frozen=True)
class Evaluation:
    """All that is reported about one trained model.

    Attributes
    ----------
    losses
        One row for each part and model.
    evidence, report
        What the theorems were given, and their certificates, which hold jointly.
    measured
        For each theorem, the quantity that it bounds, as far as it is known.
    smoothing
        The weight of the uniform law in the certified predictor of the held-out theorems.
    notes
        Sentences on how the data was split and what was handed to the theorems.
    gems
        The model's pools of hidden gems, if there is a held-out part with several levels.
    """

    losses: tuple[Loss, ...]
    evidence: Evidence
    report: Report
    measured: Mapping[str, Measured]
    smoothing: float
    notes: tuple[str, ...]
    gems: GemPools | None = None

    def loss(self, part: str, model: str = MODEL) -> Loss:
        """Return the row of a part and a model."""
        return next(row for row in self.losses if (row.part, row.model) == (part, model))

    def certificate_rows(self) -> list[dict[str, Any]]:
        """Return one flat row for each certificate, with what was measured beside it."""
        rows = []
        for certificate in self.report:
            measured = self.measured.get(certificate.theorem)
            rows.append(
                certificate.row()
                | {
                    "measured": measured.value if measured else None,
                    "measured_as": measured.meaning if measured else None,
                }
            )
        return rows


def evaluate(
    model: Conv4Rec,
    *,
    delta: float = 0.05,
    independent: bool = False,
    new_users: bool = False,
    independent_levels: bool = False,
    truth: Truth | None = None,
) -> Evaluation:
    """Measure a trained model on its own split and certify it.

    Parameters
    ----------
    model
        A trained model; its split says what was scored and what was held out.
    delta
        The failure probability that all certificates share.
    independent
        Declares what no data can show: given their users, interactions are independent draws from a catalogue that was
        fixed beforehand. Without it, random splits are read as subsets of a finite pool, and others as neither.
    new_users
        Declares that users, with all their interactions, are independent draws from one population, from a catalogue
        that was fixed beforehand, and that coins, one permutation, or dates fixed beforehand made their parts.
    independent_levels
        Declares that, given users and items of the held-out interactions and the training part, their levels are
        independent, however the items came to be consumed: T9-gems then speaks of probabilities and uses all of them.
    truth
        The known law of the interactions, if they were drawn from one, independently and from its own catalogue.

    Raises
    ------
    InputError
        If the model is not trained, the data cannot be independent draws from the truth as they stand, or new users
        were declared for a split by time, whose dates tie the users.
    RefusedError
        If ``delta`` is no probability, or the weights cannot be used at all.
    """
    split = model.split
    parts = {name: getattr(split, name) for name in PARTS if len(getattr(split, name))}
    shape = split.interactions.n_items, split.interactions.n_levels
    popularity, uniform = Popularity.fit(split), Uniform.of(*shape)
    predictions = {
        MODEL: {name: model.log_probabilities(part) for name, part in parts.items()},
        "popularity": {name: popularity.log_probabilities(part, split) for name, part in parts.items()},
        "uniform": {name: uniform.log_probabilities(part, split) for name, part in parts.items()},
    }
    own = predictions[MODEL]
    gathered = gather(model, own, Declared(independent, new_users, independent_levels, truth), delta)
    report = certify(gathered.evidence, delta)
    return Evaluation(
        losses=_losses(predictions),
        evidence=gathered.evidence,
        report=report,
        measured=measure(model, gathered, own, truth, report),
        smoothing=gathered.smoothing,
        notes=(split.statement,),
        gems=gathered.gems,
    )


def _losses(predictions: Predictions) -> tuple[Loss, ...]:
    return tuple(
        Loss(part=PARTS[name], model=model, interactions=len(found.joint), **found.losses())
        for name in PARTS
        for model, of_part in predictions.items()
        if (found := of_part.get(name)) is not None
    )
