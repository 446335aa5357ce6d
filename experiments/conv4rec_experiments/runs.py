"""What is done with a run: it is trained, certified and explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from conv4rec import Conv4Rec, Interactions, Split, split_by_coin, split_by_interaction, split_by_time
from conv4rec.options import choose_device
from conv4rec_experiments.evaluation import Evaluation, evaluate
from conv4rec_experiments.exports import write_certificates
from conv4rec_experiments.figures.certificates import draw_certificates
from conv4rec_experiments.files import delete, write_bytes, write_csv, write_text
from conv4rec_experiments.loading import load_model, load_run
from conv4rec_experiments.parts import write_parts
from conv4rec_experiments.priors import prior_split
from conv4rec_experiments.report.facts import facts, notes
from conv4rec_experiments.report.page import Page, render
from conv4rec_experiments.run_files import CHECKPOINT, CODE, GEMS, MODEL, PRIOR, PRIOR_FILES, SAID

if TYPE_CHECKING:
    from conv4rec_experiments.explaining.explain import Explanation
    from conv4rec_experiments.studies.receipt import Receipt

__all__ = ["Protocol", "certify_run", "explain_run", "split_of", "train_run", "write_evaluation"]

Protocol: TypeAlias = Literal["coin", "interaction", "time"]


def split_of(interactions: Interactions, protocol: Protocol, seed: int) -> Split:
    """Split interactions by one of the protocols of `conv4rec.splitting`, with its default shares."""
    if protocol == "time":
        return split_by_time(interactions)
    return (split_by_coin if protocol == "coin" else split_by_interaction)(interactions, seed=seed)


def train_run(
    interactions: Interactions,
    run: Path,
    *,
    protocol: Protocol,
    resume: bool,
    options: Mapping[str, Any],
    prior_share: float | None = None,
) -> Conv4Rec:
    """Split, train with a checkpoint after every epoch, and save the model with its data in the folder of the run.

    With ``prior_share`` a network for the prior of T8 is trained first and kept in the run's folder ``prior``. What was
    said about other weights is deleted; unless `resume`, so is the model that the folder holds.

    Parameters
    ----------
    interactions
        The data.
    run
        The folder; it is made if there is none.
    protocol
        How to split, with the seed of the options.
    resume
        Continue the training of which the folder holds a checkpoint, if it holds one.
    options
        Arguments of `conv4rec.Conv4Rec`.
    prior_share
        The share of the scored part that trains the prior (see `conv4rec_experiments.priors`); none by default.

    Raises
    ------
    InputError
        If an option is out of range, the data cannot be split so, or training refuses.
    """
    model = Conv4Rec(**options)
    split = split_of(interactions, protocol, model.options.seed)
    first = None if prior_share is None else prior_split(split, prior_share, model.options.seed)
    if not resume:
        # A device that does not exist is refused before anything is deleted.
        choose_device(model.options.device)
        delete(run, (*SAID, MODEL, CHECKPOINT, *PRIOR_FILES))
    if first is None:
        delete(run, PRIOR_FILES)
    else:
        network = Conv4Rec(**options).fit(first.interactions, first, checkpoint=run / PRIOR, resume=resume)
        network.save(run / PRIOR)
    model.fit(interactions, split, checkpoint=run, resume=resume)
    delete(run, SAID)
    model.save(run)
    return model


def certify_run(
    run: Path,
    delta: float,
    *,
    independent: bool = False,
    new_users: bool = False,
    independent_levels: bool = False,
    least_interactions: int = 0,
    receipt: Receipt | None = None,
) -> tuple[Evaluation, list[Path]]:
    """Certify the model of a run and write tables, figure and page into its folder; return the paths of the files.

    ``independent``, ``new_users`` and ``independent_levels`` declare what no data can show (see
    `conv4rec_experiments.evaluation.evaluate`); ``least_interactions`` is the floor of the pools of hidden gems, and
    ``receipt`` what the page cites on how certificates of these kinds fare on known truths. What an earlier report said
    about hidden gems is deleted.

    Raises
    ------
    InputError
        If the folder holds no model that can be read, its split contradicts what is declared, or no item has
        ``least_interactions``.
    RefusedError
        If ``delta`` is no probability.
    """
    model = load_model(run)
    evaluation = evaluate(
        model,
        delta=delta,
        independent=independent,
        new_users=new_users,
        independent_levels=independent_levels,
        least_interactions=least_interactions,
        prior=Conv4Rec.load(run / PRIOR) if (run / PRIOR / MODEL).exists() else None,
    )
    delete(run, GEMS)
    paths = write_evaluation(evaluation, run)
    page = Page(
        title="Certificates of one trained model",
        report=evaluation.report,
        measured=evaluation.measured,
        losses=evaluation.losses,
        parts=evaluation.part_rows(),
        intervals=evaluation.intervals,
        facts=facts(model),
        notes=notes(evaluation),
        receipt=receipt,
    )
    return evaluation, [write_text(run / "report.html", render(page)), *paths]


def explain_run(
    run: Path,
    out: Path | None = None,
    *,
    user: str | None = None,
    titles: Path | None = None,
    seeds: Sequence[int] = (),
    on_fit: Callable[[int, str], None] | None = None,
) -> Explanation:
    """Explain the model of a run (see `conv4rec_experiments.explaining.explain`) in its folder, or in another.

    Raises
    ------
    InputError
        If the folder holds no model, the user is unknown, the titles cannot be read, or there is one level only.
    """
    from conv4rec_experiments.explaining.explain import explain
    from conv4rec_experiments.explaining.titles import read_titles

    model, asked = load_run(run, [] if user is None else [user])
    named = None if titles is None else read_titles(titles)
    return explain(model, out or run, user=asked[0] if asked else None, titles=named, seeds=seeds, on_fit=on_fit)


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write losses and certificates as tables (CSV, JSON, LaTeX), their figure as PDF and PNG, and the coded network.

    ``code.bin`` and ``parts.csv`` of an earlier report are deleted where this one has none.
    """
    rows = evaluation.certificate_rows()
    losses = [asdict(row) for row in evaluation.losses]
    parts = evaluation.part_rows()
    record = evaluation.report.record() | {
        "measured": {theorem: asdict(found) for theorem, found in evaluation.measured.items()},
        "smoothing": evaluation.smoothing,
        "notes": list(evaluation.notes),
        "losses": losses,
        "intervals": [
            {"model": row.model, "lower": row.lower.value, "upper": row.upper.value, "measured": row.measured}
            for row in evaluation.intervals
        ],
        "parts": parts,
    }
    delete(folder, [CODE])
    coded = [] if evaluation.code is None else [write_bytes(folder / CODE, evaluation.code)]
    return [
        *coded,
        *write_certificates(rows, folder, record, delta=float(evaluation.report.budget.total)),
        write_csv(folder / "losses.csv", losses),
        *write_parts(parts, folder),
        *draw_certificates(rows, folder / "certificates"),
    ]
