"""The page is self-contained, complete, and never promises more than the certificates."""

import json
import re
from dataclasses import replace
from fractions import Fraction
from html import escape

import numpy as np
import pytest

from conv4rec_bounds import Budget, Certificate, Evidence, HeldOut, Protocol, Report, Status, certify
from conv4rec_experiments.evaluation import Evaluation, Loss
from conv4rec_experiments.figures.certificates import draw_certificates
from conv4rec_experiments.measuring import Measured
from conv4rec_experiments.report.page import Figure, Page, headline, reason, render


def evaluation(probability=0.2, size=4000):
    held_out = HeldOut(np.log(np.full(size, probability)), np.full(size, 90), smoothing=0.01)
    evidence = Evidence(cells=90, protocol=Protocol("independent"), held_out=held_out)
    return Evaluation(
        losses=tuple(
            Loss(part, model, size, 1.0, 0.5, 1.5)
            for part in ("scored", "held out")
            for model in ("Conv4Rec", "popularity")
        ),
        evidence=evidence,
        report=certify(evidence, 0.05),
        measured={"T9": Measured(1.6, "an estimate")},
        smoothing=0.01,
        notes=("A note with <markup> & more.",),
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_certificates(evaluation().certificate_rows(), tmp_path_factory.mktemp("figures") / "certificates")


@pytest.fixture(scope="module")
def page(drawn):
    figure = Figure("Certificates", "What is promised.", drawn[1])
    study = ({"size": 1000, "tv": 0.25},)
    return render(Page("A title", evaluation(), [figure], {"truth": "small"}, study, study_failure=0.01))


def test_the_page_needs_nothing_from_anywhere(page):
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert 'src="data:image/png;base64,iVBOR' in page
    assert '<meta name="viewport"' in page
    assert "@media print" in page


def test_the_page_says_everything_about_every_certificate(page):
    found = evaluation()
    for certificate in found.report:
        assert f"<strong>{certificate.theorem}</strong> {certificate.title}" in page
    certificate = found.report["T9"]
    for words in (*certificate.terms, *certificate.attribution, *certificate.quantities, *certificate.assumptions):
        assert escape(words).replace("&#x27;", "&#39;") in page
    for purpose, _ in found.report.budget.entries:
        assert purpose in page
    assert "A note with &lt;markup&gt; &amp; more." in page
    assert "theorems T9\nas stated" in page


def test_confidence_counts_what_the_study_has_paid(page):
    assert "hold jointly with probability at least 94 %" in page
    assert "The failure probability 0.06 is divided" in page


def test_the_headline_never_promises_less_loss_than_is_certified():
    found = evaluation()
    sentence = headline(found)
    promised = float(re.search(r"at most ([\d.]+) nats", sentence).group(1))
    assert found.report["T9"].value <= promised <= found.report["T9"].value * 1.001
    assert sentence.startswith("With confidence 95 %: ")


def with_certificates(*certificates):
    found = evaluation()
    kept = [c for c in found.report if c.theorem not in {new.theorem for new in certificates}]
    return replace(found, report=Report((*kept, *certificates), Budget(0.05)), measured={})


def certificate(theorem, value, **changes):
    parts = {"trivial": 1.0, "terms": {"all": value}, "terms_of": ("value", value), "spent": Fraction(1, 100)}
    named = {"theorem": theorem, "title": "Title", "target": "total variation (mean over the scored users)"}
    return Certificate(status=Status.VALID, reason="It holds.", value=value, **named | parts | changes)


def test_the_headline_tells_the_least_total_variation_of_the_model_and_what_refutes_it():
    falsified = certificate("T9-lower", 0.0412345, side="lower", trivial=0.0)
    sentence = headline(with_certificates(certificate("T6", 0.31234), falsified))
    assert "by at most 31.3 percentage points" in sentence
    assert "by at least 4.12 percentage points" in sentence
    assert "the smoothed model's mean loss" in sentence


def test_a_headline_of_any_risk_theorem_can_be_told():
    new = certificate("T8", 1.5, target="risk of the drawn predictors (nats)", trivial=4.5)
    kept = with_certificates(replace(evaluation().report["T9"], status=Status.VACUOUS), new)
    assert "the model's risk of the drawn predictors is at most 1.5 nats" in headline(kept)


def test_a_lower_bound_is_shown_as_one():
    found = with_certificates(certificate("T9-lower", 0.0412366, side="lower", trivial=0.0))
    shown = render(Page("A title", found))
    assert "≥ 0.04123<" in shown
    assert "value,\n0.04123:" in shown
    assert re.search("≤ 1.6[0-9]+<", shown)


def test_a_printed_quantity_is_on_its_side_of_the_one_in_the_file():
    quantities = {"hidden gems, lower end": 0.639624, "regret": 0.639624, "alpha": 0.012344, "K": 12345.0}
    found = with_certificates(certificate("T10", 0.1, quantities=quantities))
    (kept,) = (c for c in json.loads(json.dumps(found.report.record()))["certificates"] if c["theorem"] == "T10")
    shown = dict(re.findall(r"<code>(.+?)</code>&nbsp;=&nbsp;([\d,.]*\d)", render(Page("A title", found))))
    lower, upper = (float(shown[name]) for name in ("hidden gems, lower end", "regret"))
    assert kept["quantities"]["hidden gems, lower end"] - 1e-4 < lower <= kept["quantities"]["hidden gems, lower end"]
    assert kept["quantities"]["regret"] <= upper < kept["quantities"]["regret"] + 1e-4
    assert (shown["alpha"], shown["K"]) == (f"{kept['quantities']['alpha']:.4g}", "12,345")


def test_without_a_valid_certificate_the_headline_says_so():
    assert headline(evaluation(probability=1e-6)) == (
        "No certificate says more about this model than what holds for any model."
    )


def test_a_reason_names_its_theorem_once():
    for row in evaluation().certificate_rows():
        assert reason(row).count(row["theorem"] + (" " if row["value"] is None else ":")) == 1


def test_figures_are_written_as_vectors_and_pixels(drawn):
    assert [path.suffix for path in drawn] == [".pdf", ".png"]
    assert drawn[0].read_bytes().startswith(b"%PDF")
    assert drawn[1].read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_refusals_alone_can_be_drawn(tmp_path):
    rows = [row for row in evaluation().certificate_rows() if row["value"] is None]
    assert all(path.stat().st_size for path in draw_certificates(rows, tmp_path / "refused"))
