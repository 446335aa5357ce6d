"""From a trained model to its losses beside its peers, the evidence for the theorems, and their certificates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from conv4rec.errors import InputError
from conv4rec.loss import LogProbabilities
from conv4rec.popularity import Popularity, Uniform
from conv4rec_bounds import Evidence, HeldOut, Network, Protocol, Report, Scored, certify
from conv4rec_bounds.loss import smoothed_losses, uniform_risk
from conv4rec_experiments.truths import user_mix

if TYPE_CHECKING:
    from conv4rec import Conv4Rec, Interactions, Split
    from conv4rec_experiments.truths import Truth

__all__ = ["Evaluation", "Loss", "Measured", "evaluate"]

Array = NDArray[np.float64]
Predictions = Mapping[str, Mapping[str, LogProbabilities]]

SMOOTHING_GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2)
DEFAULT_SMOOTHING = 0.01
HALF_OF_POOL = 0x9001
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
class Measured:
    """What a certificate bounds, where it can be measured exactly, and what that is in words."""

    value: float
    meaning: str


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
    """

    losses: tuple[Loss, ...]
    evidence: Evidence
    report: Report
    measured: Mapping[str, Measured]
    smoothing: float
    notes: tuple[str, ...]

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
    model: Conv4Rec, *, delta: float = 0.05, independent: bool = False, truth: Truth | None = None
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
    truth
        The known law of the interactions, if they were drawn from one, independently and from its own catalogue.

    Raises
    ------
    InputError
        If the model is not trained, or the data cannot be independent draws from the truth as they stand.
    RefusedError
        If ``delta`` is no probability, or the weights cannot be used at all.
    """
    if truth is not None:
        _check_draws(model.split, truth)
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
    evidence, smoothing, notes = _evidence(model, own, delta, independent, truth)
    return Evaluation(
        losses=_losses(predictions),
        evidence=evidence,
        report=certify(evidence, delta),
        measured=_measured(model, evidence, own, smoothing, truth),
        smoothing=smoothing,
        notes=notes,
    )


def _losses(predictions: Predictions) -> tuple[Loss, ...]:
    return tuple(
        Loss(part=PARTS[name], model=model, interactions=len(found.joint), **found.losses())
        for name in PARTS
        for model, of_part in predictions.items()
        if (found := of_part.get(name)) is not None
    )


def _evidence(
    model: Conv4Rec, own: Mapping[str, LogProbabilities], delta: float, independent: bool, truth: Truth | None
) -> tuple[Evidence, float, tuple[str, ...]]:
    split = model.split
    training: Literal["fixed profile", "redrawn profiles"] = (
        "redrawn profiles" if model.options.redraw else "fixed profile"
    )
    protocol = Protocol(sampling=_sampling(split, independent, truth), training=training)
    scored = Scored(
        size=len(split.scored),
        risk=own["scored"].losses()["joint"],
        truth_risk=None if truth is None else truth.empirical_risk(_counts(split.scored)),
        uniform_risk=uniform_risk(own["scored"].cells),
    )
    blind = Evidence(
        cells=max(int(found.cells.max()) for found in own.values()),
        protocol=protocol,
        network=Network(model.weights(), model.architecture.lift_activation, model.architecture.code_activation),
        scored=scored,
    )
    smoothing = _smoothing(own.get("validation"), blind.cells, delta)
    return _with_held_out(blind, own.get("held_out"), smoothing, split.seed), smoothing, (split.statement,)


def _check_draws(split: Split, truth: Truth) -> None:
    """Refuse interactions that cannot be independent draws from the truth under the softmax of the split."""
    data = split.interactions
    if split.masked:
        raise InputError(
            "a known truth came with a masked split, under which the law is the truth's only given the mask; "
            "expected an unmasked split; split by interaction or give the parts."
        )
    if data.merged:
        raise InputError(
            f"a known truth came with data of which {data.merged} repeated interactions were merged; expected every "
            "draw; read the data with duplicates='keep'."
        )
    if (data.n_users, data.n_items, data.n_levels) != (truth.users, truth.items, truth.levels):
        raise InputError(
            f"the data has {data.n_users} users, {data.n_items} items and {data.n_levels} levels, the truth "
            f"{truth.users}, {truth.items} and {truth.levels}; expected the truth's own; give all its identifiers."
        )


def _sampling(split: Split, independent: bool, truth: Truth | None) -> Literal["independent", "finite pool", "neither"]:
    """Say how the scored and held-out parts came about: as was declared, else as the split makes sure."""
    if truth is not None or independent:
        return "independent"
    return "finite pool" if split.protocol in ("coin", "interaction") else "neither"


def _smoothing(validation: LogProbabilities | None, cells: int, delta: float) -> float:
    """Choose the smoothing that would give the best certificate if the validation part were the held-out one.

    No certificate calls the validation part held out, and no random number is drawn, so nothing is owed for the choice.
    """
    if validation is None or len(validation.joint) < 2:
        return DEFAULT_SMOOTHING

    def promised(smoothing: float) -> float:
        part = HeldOut(validation.joint, validation.cells, smoothing)
        value = certify(Evidence(cells, Protocol("independent"), held_out=part), delta)["T9"].value
        return math.inf if value is None else value

    return min(SMOOTHING_GRID, key=promised)


def _with_held_out(evidence: Evidence, found: LogProbabilities | None, smoothing: float, seed: int | None) -> Evidence:
    """Add a held-out part, and for a finite pool a uniformly random half of it, drawn without a look at the losses."""
    if found is None:
        return evidence
    evidence = replace(evidence, held_out=HeldOut(found.joint, found.cells, smoothing))
    pool = len(found.joint)
    if evidence.protocol.sampling == "independent" or pool < 2:
        return evidence
    # A key of its own keeps the draw apart from the streams that split the data and trained the model.
    stream = np.random.SeedSequence(seed or 0, spawn_key=(HALF_OF_POOL,))
    sample = np.random.default_rng(stream).permutation(pool)[: pool // 2]
    return replace(evidence, pool_sample=HeldOut(found.joint[sample], found.cells[sample], smoothing, pool=found.cells))


def _measured(
    model: Conv4Rec,
    evidence: Evidence,
    own: Mapping[str, LogProbabilities],
    smoothing: float,
    truth: Truth | None,
) -> dict[str, Measured]:
    """Measure what each certificate bounds where it is known: on known truths and finite pools."""
    measured: dict[str, Measured] = {}
    held_out = own.get("held_out")
    if truth is not None:
        log_law = np.log(model.predict_proba(model.split.interactions.user_ids)).reshape(truth.users, truth.cells)
        scored_mix = user_mix(_counts(model.split.scored))
        measured["T1"] = Measured(truth.risk(log_law, scored_mix), "risk under the known truth")
        distance = truth.distances(log_law, scored_mix).tv
        measured["T6"] = Measured(distance, "total variation to the known truth")
        if held_out is not None:
            smoothed = np.log((1 - smoothing) * np.exp(log_law) + smoothing / truth.cells)
            risk = truth.risk(smoothed, user_mix(_counts(model.split.held_out)))
            measured["T9"] = Measured(risk, "risk of the smoothed predictor under the known truth")
    elif held_out is not None:
        if evidence.protocol.sampling == "finite pool":
            measured["T1"] = Measured(_pool_risk(model, own), "mean loss over the scored users' own pools")
        if evidence.protocol.sampling != "independent":
            mean = float(smoothed_losses(held_out.joint, held_out.cells, smoothing).losses.mean())
            measured["T9-pool"] = Measured(mean, "mean loss over the whole held-out pool")
    return measured


def _pool_risk(model: Conv4Rec, own: Mapping[str, LogProbabilities]) -> float:
    """Return the mean over scored interactions of the mean loss of the user's pool: what T1 bounds for a pool."""
    parts = [getattr(model.split, name) for name in own]
    users, joint = np.concatenate([part.user for part in parts]), np.concatenate([own[name].joint for name in own])
    sizes, sums = np.bincount(users), np.bincount(users, weights=-joint)
    scored = model.split.scored.user
    return float((sums[scored] / sizes[scored]).mean())


def _counts(part: Interactions) -> NDArray[np.int64]:
    """Count the interactions of a part in a table of shape (user, cell)."""
    counts = np.zeros((part.n_users, part.n_items * part.n_levels), dtype=np.int64)
    np.add.at(counts, (part.user, part.item * part.n_levels + part.level), 1)
    return counts
