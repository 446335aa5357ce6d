"""Pages of all kinds, small: of a trained model on a known truth, of a model made elsewhere, and a coverage receipt."""

from pathlib import Path

import numpy as np

from conv4rec import Conv4Rec
from conv4rec_bounds import Protocol
from conv4rec_experiments.demo import SHARED, TRAINING, Settings, draw_split
from conv4rec_experiments.evaluation import Evaluation, evaluate
from conv4rec_experiments.explaining.explain import explain
from conv4rec_experiments.figures.style import applied, new_figure, save
from conv4rec_experiments.files import write_text
from conv4rec_experiments.report.facts import facts, notes
from conv4rec_experiments.report.page import Figure, Page, render
from conv4rec_experiments.strangers import certify_log_probabilities, write_report
from conv4rec_experiments.studies.receipt import load_receipt, write_receipt
from conv4rec_experiments.truths import small_truth
from toy_receipt import TABLE

SIZES = Settings(truth="small", scored=4_000, validation=400, held_out=4_000)


def write_pages(folder: Path) -> dict[str, Path]:
    """Write a page of each kind into the folder and return their paths by kind."""
    receipt_json, receipt_html = write_receipt(TABLE, {"name": "toy"}, folder / "study")
    page, _ = trained_page(folder)
    table = folder / "table.csv"
    losses = -np.random.default_rng(0).exponential(1.0, 2_000)
    table.write_text("log_probability\n" + "\n".join(f"{loss:.6f}" for loss in losses) + "\n")
    elsewhere = certify_log_probabilities(table, protocol=Protocol("independent"), cells=90)
    nothing = certify_log_probabilities(table, cells=90)
    origin = {"file": "a<b>.csv", "declared": {"sampling": "independent"}}
    return {
        "trained": write_text(folder / "trained.html", render(page)),
        "elsewhere": write_report(elsewhere, folder / "elsewhere", origin, load_receipt(receipt_json))[0],
        "nothing": write_report(nothing, folder / "nothing")[0],
        "receipt": receipt_html,
        "explained": explained_page(folder / "explained"),
    }


def explained_page(folder: Path) -> Path:
    """Explain a model that is hardly trained, with long titles and an ablation, and return the path of the page."""
    truth = small_truth()
    split = draw_split(truth, SIZES)
    options = {name: getattr(truth, name) for name in SHARED} | TRAINING | {"epochs": 1}
    model = Conv4Rec(**options).fit(split.interactions, split, progress=False)
    titles = {str(item): f"<{item}> of {'a long title ' * 4}{'w' * 80}" for item in model.interactions.item_ids}
    explain(model, folder, titles=titles, seeds=[0])
    return folder / "explained.html"


def trained_page(folder: Path) -> tuple[Page, Evaluation]:
    """Train and certify on draws from a small truth, and put all on the page that a page can show."""
    truth = small_truth()
    split = draw_split(truth, SIZES)
    options = {name: getattr(truth, name) for name in SHARED} | TRAINING | {"epochs": 20}
    model = Conv4Rec(**options).fit(split.interactions, split, progress=False)
    evaluation = evaluate(model, truth=truth)
    with applied():
        figure = new_figure(7.2, 3.0)
        figure.subplots().plot([1, 2, 3])
        _, png = save(figure, folder / "figure")
    page = Page(
        title="A title",
        report=evaluation.report,
        measured=evaluation.measured,
        losses=evaluation.losses,
        parts=evaluation.part_rows(),
        intervals=evaluation.intervals,
        facts=facts(model) | {"a long word": "w" * 200},
        notes=notes(evaluation),
        receipt=load_receipt(write_receipt(TABLE, {"name": "toy"}, folder / "study")[0]),
        figures=[Figure("A further figure", "What it shows.", png)],
        study=[{"size": 1000, "seeds": 5, "tv": 0.25, "floor": 0.2, "histogram_tv": 0.4, "t6": 0.71234, "gap": -0.1}],
        study_failure=0.01,
    )
    return page, evaluation
