"""The page is self-contained, complete, and never promises more than the certificates."""

import re
from html import escape

import numpy as np
import pytest

from conv4rec_bounds import Evidence, HeldOut, Protocol, certify
from conv4rec_experiments.evaluation import Evaluation, Loss
from conv4rec_experiments.measuring import Measured
from conv4rec_experiments.figures.certificates import draw_certificates
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
    assert "hold jointly with probability 94 %" in page
    assert "The failure probability 0.06 is divided" in page


def test_the_headline_never_promises_less_loss_than_is_certified():
    found = evaluation()
    sentence = headline(found)
    promised = float(re.search(r"at most ([\d.]+) nats", sentence).group(1))
    assert found.report["T9"].value <= promised <= found.report["T9"].value * 1.001
    assert sentence.startswith("With confidence 95 %: ")


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
