"""The main job on an embedded known truth: train, certify, study, and write everything into one folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from conv4rec import Conv4Rec, Interactions, Split, split_from_parts
from conv4rec_experiments.evaluation import Evaluation, evaluate
from conv4rec_experiments.figures.convergence import caption, draw_convergence
from conv4rec_experiments.figures.gems import draw_gems
from conv4rec_experiments.files import write_text
from conv4rec_experiments.fits import fitting
from conv4rec_experiments.gems import certified_total_variation, gem_ladder
from conv4rec_experiments.report.facts import facts, notes, part_sizes
from conv4rec_experiments.report.page import Figure, Page, render
from conv4rec_experiments.runs import write_evaluation
from conv4rec_experiments.studies.parts import Tables, run
from conv4rec_experiments.studies.receipt import load_receipt, write_receipt
from conv4rec_experiments.studies.study import Study, TruthChoice
from conv4rec_experiments.studies.summary import certificate_medians, medians
from conv4rec_experiments.truths import Truth

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Demo", "Settings", "draw_split", "run_demo"]

GEMS_CAPTION = (
    "Pools of items that a user would hardly find, nested by the model's probability of a high level once consumed: "
    "its own claim, the share of high levels among held-out interactions, and two certified lower ends, from these "
    "interactions (T9-gems) and from the certified total variation (T10)."
)
SHARED = ("channels", "code", "lift_activation", "code_activation")
TRAINING: Mapping[str, Any] = {
    "shared_maps": False,
    "level_offset": False,
    "epochs": 400,
    "patience": 40,
    "batch_users": 40,
    "learning_rate": 0.03,
    "schedule": "constant",
    "weight_decay": 0.0,
    "bias_decay": 0.0,
    "balance": 0.0,
    "redraw": False,
    "precision": "float64",
    "device": "cpu",
}


@dataclass(frozen=True)
class Settings:
    """How much the demo does.

    Attributes
    ----------
    truth, truth_seed
        A name in `conv4rec_experiments.truths.TRUTHS` and its seed: what everything is drawn from.
    scored, validation, held_out
        Numbers of draws in each part.
    training
        Arguments of `conv4rec.Conv4Rec` beside the sizes and activations, which are the truth's.
    sizes, seeds, fits
        Sample sizes of the convergence study, the seeds at each, and how hard its fits try.
    delta
        Failure probability of everything that is reported: one half for the trained model's certificates, the other
        in equal shares for the certificates of the study.
    """

    truth: str = "reference"
    truth_seed: int = 0
    scored: int = 100_000
    validation: int = 20_000
    held_out: int = 20_000
    training: Mapping[str, Any] = field(default_factory=lambda: TRAINING)
    sizes: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    fits: fitting.Settings = field(default_factory=fitting.Settings)
    delta: float = 0.05

    @property
    def study(self) -> Study:
        """The convergence study."""
        share = self.delta / 2 / (len(self.sizes) * len(self.seeds))
        return Study(
            name="demo",
            truths=(TruthChoice(self.truth, self.truth_seed),),
            sizes=self.sizes,
            seeds=self.seeds,
            batch=len(self.seeds),
            delta=share,
            theorems=("T6",),
            fits=self.fits,
        )


@dataclass(frozen=True)
class Demo:
    """What the demo found, the files that it wrote, the page first, and the failure probability of all it states."""

    evaluation: Evaluation
    study: pl.DataFrame
    paths: list[Path]
    failure: float

    @property
    def model_failure(self) -> float:
        """The failure probability that the trained model's certificates share."""
        return float(self.evaluation.report.budget.total)


def run_demo(out: Path, settings: Settings | None = None, *, progress: bool = True) -> Demo:
    """Train on draws from a known truth, certify, run a convergence study; write tables, figures and the page.

    Raises
    ------
    InputError
        If the settings cannot be used, or the folder holds another study.
    """
    settings = settings or Settings()
    study = settings.study
    truth = study.truths[0].make()
    split = draw_split(truth, settings)
    # Truths decode linearly.
    known = {name: getattr(truth, name) for name in SHARED} | {"decode_activation": "identity"}
    options = known | dict(settings.training)
    model = Conv4Rec(**options).fit(split.interactions, split, progress=progress)
    model.save(out / "model")
    evaluation = evaluate(model, delta=settings.delta / 2, truth=truth)
    tables = run(study, out / "study", progress=progress)
    summary = _summary(tables)
    paths = write_evaluation(evaluation, out)
    receipt = write_receipt(tables.certificates, study.description(), out / "study")
    paths += receipt
    paths += draw_gems(_ladder(evaluation), out / "gems")
    paths += draw_convergence(tables.measures, tables.certificates, out / "study" / "convergence")
    page = Page(
        title="A trained model, its certificates, and the truth they are about",
        report=evaluation.report,
        measured=evaluation.measured,
        losses=evaluation.losses,
        parts=evaluation.part_rows(),
        intervals=evaluation.intervals,
        facts=facts(model) | _facts(truth, split),
        notes=notes(evaluation),
        receipt=load_receipt(receipt[0]),
        figures=[
            Figure("Hidden gems", GEMS_CAPTION, out / "gems.png"),
            Figure(
                "Convergence in total variation",
                caption(tables.measures, tables.certificates),
                out / "study" / "convergence.png",
            ),
        ],
        study=summary.to_dicts(),
        study_failure=settings.delta / 2,
    )
    return Demo(evaluation, summary, [write_text(out / "report.html", render(page)), *paths], settings.delta)


def draw_split(truth: Truth, settings: Settings) -> Split:
    """Draw scored, validation and held-out part independently, beside the fixed profiles of the truth's users."""
    # A key of its own keeps these draws apart from those of the study.
    rng = np.random.default_rng(np.random.SeedSequence(truth.seed, spawn_key=(settings.scored,)))
    sizes = settings.scored, settings.validation, settings.held_out
    profile = truth.profiles.reshape(truth.users, truth.cells)
    return split_from_parts(
        *(_interactions(truth, counts) for counts in (profile, *(truth.sample(size, rng) for size in sizes)))
    )


def _ladder(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Set the lower ends of T9-gems beside those that T10 draws from a certified total variation."""
    if evaluation.gems is None:
        raise ValueError("the demo's truth has several levels and a held-out part, so there are pools")
    report = evaluation.report
    return gem_ladder(evaluation.gems, report["T9-gems"].quantities, certified_total_variation(report))


def _summary(tables: Tables) -> pl.DataFrame:
    """Reduce the study to medians over seeds, one row for each sample size."""
    both = medians(tables.measures).join(certificate_medians(tables.certificates, "T6"), on="size")
    return both.select("size", "seeds", "tv", "floor", "histogram_tv", "t6", "gap")


def _interactions(truth: Truth, counts: NDArray[np.int64]) -> Interactions:
    """List a count table of shape (user, cell) draw by draw; identifiers are the truth's own numbers."""
    user, cell = np.nonzero(counts)
    times = counts[user, cell]
    user, cell = np.repeat(user, times), np.repeat(cell, times)
    return Interactions(
        user=user,
        item=cell // truth.levels,
        level=cell % truth.levels,
        time=None,
        user_ids=pl.Series("user", np.arange(truth.users)),
        item_ids=pl.Series("item", np.arange(truth.items)),
        levels=tuple(float(level) for level in range(1, truth.levels + 1)),
    )


def _facts(truth: Truth, split: Split) -> dict[str, str]:
    return {
        "truth": f"{truth.name}, seed {truth.seed}: {truth.users} users, {truth.items} items, {truth.levels} levels",
        "parts": part_sizes(split),
        "least possible risk": f"{truth.entropy:.4f} nats, the truth's own conditional entropy",
    }
