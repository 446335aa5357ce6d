"""From a trained model to its losses beside its peers, the evidence for the theorems, and their certificates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from conv4rec.loss import LogProbabilities
from conv4rec.popularity import Popularity, Uniform
from conv4rec_bounds import THEOREMS, Budget, Evidence, Report, certify
from conv4rec_experiments.distances import AT_LEAST, AT_MOST, Distances, Interval, compare, interval, laws_of_popularity
from conv4rec_experiments.gathering import Declared, gather
from conv4rec_experiments.gem_pools import GemPools
from conv4rec_experiments.measured import Measured
from conv4rec_experiments.measuring import measure
from conv4rec_experiments.parts import part_rows

if TYPE_CHECKING:
    from conv4rec import Conv4Rec
    from conv4rec_experiments.truths import Truth

__all__ = ["Evaluation", "Loss", "evaluate"]

Predictions = Mapping[str, Mapping[str, LogProbabilities]]

PARTS = {"scored": "scored", "validation": "validation", "held_out": "held out"}
MODEL, RIVAL = "Conv4Rec", "popularity"
"""What is certified, and what it is compared with."""

RIVALS = Fraction(1, 10)
"""The share of the failure probability that goes to the distance of the popularity model."""


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
    intervals
        How far the model and the popularity model are from the truth, at least and at most, over groups of cells.
    code
        The file of the network that T8-code certifies (see `conv4rec_experiments.codes`); None if there is none.
    gems
        The model's pools of hidden gems, if there is a held-out part with several levels.
    """

    losses: tuple[Loss, ...]
    evidence: Evidence
    report: Report
    measured: Mapping[str, Measured]
    smoothing: float
    notes: tuple[str, ...]
    intervals: tuple[Interval, ...] = ()
    code: bytes | None = None
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

    def part_rows(self) -> list[dict[str, Any]]:
        """Return one flat row for each end that the certificates of several quantities hold, with what was measured."""
        measured = {theorem: found.parts for theorem, found in self.measured.items()}
        return part_rows(self.report, self.evidence, measured)


def evaluate(
    model: Conv4Rec,
    *,
    delta: float = 0.05,
    independent: bool = False,
    new_users: bool = False,
    independent_levels: bool = False,
    truth: Truth | None = None,
    prior: Conv4Rec | None = None,
    least_interactions: int = 0,
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
        independent, however the items came to be consumed, and from a set of levels that was fixed beforehand: T9-gems
        then speaks of probabilities and uses all of them.
    truth
        The known law of the interactions, if they were drawn from one, independently and from its own catalogue.
    prior
        A network of the same sizes that was trained on `conv4rec_experiments.priors.prior_split` of the model's split:
        the centre of the prior of T8 and T8-paired. By default that is the start of the training, and T8-paired is
        refused.
    least_interactions
        How many training interactions the items of the certified pools of hidden gems have at least.

    Raises
    ------
    InputError
        If the model is not trained, the data cannot be independent draws from the truth as they stand, or new users
        were declared for a split by time, whose dates tie the users, or the prior has seen other interactions, or no
        item has ``least_interactions``.
    RefusedError
        If ``delta`` is no probability, or the weights cannot be used at all.
    """
    split = model.split
    parts = {name: getattr(split, name) for name in PARTS if len(getattr(split, name))}
    shape = split.interactions.n_items, split.interactions.n_levels
    popularity, uniform = Popularity.fit(split), Uniform.of(*shape)
    predictions = {
        MODEL: {name: model.log_probabilities(part) for name, part in parts.items()},
        RIVAL: {name: popularity.log_probabilities(part, split) for name, part in parts.items()},
        "uniform": {name: uniform.log_probabilities(part, split) for name, part in parts.items()},
    }
    own = predictions[MODEL]
    rival = predictions[RIVAL]
    declared = Declared(independent, new_users, independent_levels, truth)
    gathered = gather(model, own, rival, declared, delta, prior, least_interactions)
    budget = Budget(delta)
    shared = Fraction(delta) * RIVALS if gathered.distances.parts else Fraction(0)
    report = certify(gathered.evidence, Fraction(delta) - shared, budget=budget)
    intervals = [interval(MODEL, report, gathered.distances.at_most)] if shared else []
    if shared:
        far = compare(split, laws_of_popularity(popularity), gathered.evidence)
        intervals.append(_interval_of(RIVAL, far, gathered.evidence, shared, budget))
    return Evaluation(
        losses=_losses(predictions),
        evidence=gathered.evidence,
        report=report,
        measured=measure(model, gathered, own, rival, truth, report),
        smoothing=gathered.smoothing,
        notes=(split.statement, str(gathered.draws)),
        intervals=tuple(intervals),
        code=None if gathered.code is None else gathered.code.data,
        gems=gathered.gems,
    )


def _interval_of(name: str, found: Distances, evidence: Evidence, share: Fraction, budget: Budget) -> Interval:
    """Certify how far another model is, and say in the ledger whose payments these are."""
    begin = len(budget.entries)
    both = [theorem for theorem in THEOREMS if theorem.number in (AT_LEAST, AT_MOST)]
    report = certify(Evidence(evidence.cells, evidence.protocol, **found.parts), share, both, budget)
    budget.entries[begin:] = [(f"{name} model, {purpose}", amount) for purpose, amount in budget.entries[begin:]]
    return interval(name, report, found.at_most)


def _losses(predictions: Predictions) -> tuple[Loss, ...]:
    return tuple(
        Loss(part=PARTS[name], model=model, interactions=len(found.joint), **found.losses())
        for name in PARTS
        for model, of_part in predictions.items()
        if (found := of_part.get(name)) is not None
    )
