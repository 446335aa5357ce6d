"""The page is self-contained, complete, and never promises more than the certificates."""

import json
import os
import re
from dataclasses import replace
from fractions import Fraction
from html import escape, unescape

import numpy as np
import pytest

from browsers import browsers
from conv4rec_bounds import THEOREMS, Budget, Certificate, Evidence, HeldOut, Protocol, Report, Status, certify
from conv4rec_experiments.figures.certificates import draw_certificates
from conv4rec_experiments.report.cited import cited
from conv4rec_experiments.report.ledger import ledger
from conv4rec_experiments.report.page import Page, render
from conv4rec_experiments.report.sentences import about, glossary, headline, reason, statement
from conv4rec_experiments.studies.receipt import make_receipt
from toy_pages import trained_page
from toy_receipt import TABLE, certificates, row


def held_out_report(probability=0.2, size=4000):
    held_out = HeldOut(np.log(np.full(size, probability)), np.full(size, 90), smoothing=0.01)
    return certify(Evidence(cells=90, protocol=Protocol("independent"), held_out=held_out), 0.05)


def certificate(theorem, value, **changes):
    parts = {"trivial": 1.0, "terms": {"all": value}, "terms_of": ("value", value), "spent": Fraction(1, 100)}
    named = {"theorem": theorem, "title": "Title", "target": "total variation (mean over the scored users)"}
    return Certificate(status=Status.VALID, reason="It holds.", value=value, **named | parts | changes)


def report_of(*found):
    return Report(found, Budget(0.05))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    page, evaluation = trained_page(tmp_path_factory.mktemp("page"))
    return page, evaluation, render(page)


def test_on_a_server_of_continuous_integration_there_is_a_browser():
    assert browsers() or "CI" not in os.environ


def test_the_page_needs_nothing_from_anywhere(whole):
    _, _, page = whole
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert "http" not in page
    assert 'src="data:image/png;base64,iVBOR' in page
    assert '<meta name="viewport"' in page
    assert "@media print" in page
    assert len(page.encode()) < 1_000_000


def test_equal_pages_are_equal_bytes(whole):
    page, _, written = whole
    assert render(page) == written


def test_the_page_says_everything_about_every_certificate(whole):
    _, evaluation, page = whole
    page = unescape(page)
    valued = [found for found in evaluation.report if found.value is not None]
    assert len(valued) > 8
    for found in evaluation.report:
        assert page.count(found.title) >= 1
        if found.value is None:
            reason_without_theorem = found.reason.partition(" ")[2]
            assert page.count(f"{found.theorem}</strong> ({found.title}) {reason_without_theorem}<") == 1
    for found in valued:
        section = page.partition(f'id="certificate-{found.theorem}"')[2].partition("</section>")[0]
        assert statement(found) in section
        for words in (*found.terms, *found.attribution, *found.quantities, *found.assumptions):
            assert words in section
        assert section.count("<svg") == 1 + (len(found.attribution) > 1)
    for purpose, _ in evaluation.report.budget.entries:
        assert purpose in page
    for note in evaluation.notes:
        assert note in page


def test_what_a_page_is_told_cannot_become_part_of_it():
    found = certificate("T1", 0.5, target="<b>&", title="<i>", terms={"<u>": 0.5}, attribution={"<s>": 0.2, "&": 0.3})
    page = render(Page("<h1>", report_of(found), facts={"<a>": "<p>"}, notes=("<em>",)))
    assert not re.search("<(b|i|u|s|em|a)>", page)
    assert escape("<s>") in page


def test_confidence_counts_what_the_study_has_paid(whole):
    _, _, page = whole
    assert "hold jointly with probability at least 94 %" in page
    assert "δ&nbsp;=&nbsp;0.06" in page


def test_the_printed_shares_add_up_to_everything(whole):
    page, evaluation, written = whole
    table = written.partition('id="ledger"')[2].partition("</table>")[0]
    shares = [Fraction(share) for share in re.findall(r'<td class="n">(\d+/\d+)</td>', table)]
    assert len(shares) == len(evaluation.report.budget.entries) + 1
    assert sum(shares) == 1
    of_the_report = ledger(evaluation.report.budget)
    assert sum(payment.share for payment in of_the_report.payments) == 1
    for found in page.report:
        paid = sum((payment.share for payment in of_the_report.of(found.theorem)), Fraction(0))
        assert paid * Fraction(page.report.budget.total) == found.spent


def test_what_is_left_of_the_confidence_is_said():
    budget = Budget(Fraction(1, 10))
    budget.spend("T9: betting", Fraction(1, 40))
    laid_out = ledger(budget, (("another study", 0.5),))
    assert [payment.purpose for payment in laid_out.payments] == ["T9: betting", "another study", "left over"]
    assert [payment.fraction for payment in laid_out.payments] == ["1/24", "5/6", "1/8"]
    assert laid_out.failure == 0.6
    assert [payment.fraction for payment in ledger(Budget(0.3), (("a study", 0.1),)).payments] == ["1/4", "3/4"]
    odd = ledger(Budget(Fraction(1, 10**7)), (("a study", 0.3),))
    assert [payment.fraction for payment in odd.payments] == ["≈ 1", "≈ 3.333e-07"]


def test_the_headline_never_promises_less_loss_than_is_certified():
    report = held_out_report()
    sentence = headline(report)
    promised = float(re.search(r"at most ([\d.]+) nats", sentence).group(1))
    assert report["T9"].value <= promised <= report["T9"].value * 1.001
    choices = float(re.search(r"blindly among ([\d.]+) answers instead of 90", sentence).group(1))
    assert np.exp(report["T9"].value) <= choices <= np.exp(report["T9"].value) * 1.01
    assert sentence.startswith("With confidence 95 %: the risk of the smoothed predictor")
    assert headline(report, 0.01).startswith("With confidence 99 %: ")


def test_the_headline_tells_the_least_total_variation_of_the_model_and_what_refutes_it():
    model = "total variation of the model (mean over the held-out user mix)"
    falsified = certificate("T9-lower", 0.0412345, side="lower", trivial=0.0, target=model)
    other = certificate("T7c", 0.01, target="total variation of the equal-weight ensemble of the draws")
    sentence = headline(report_of(certificate("T6", 0.31234), certificate("T7a", 0.41), other, falsified))
    assert "by at most 31.3 percentage points" in sentence
    assert "for" not in sentence
    assert "some event differs from the true one, on average over the users, by at least 4.12" in sentence
    assert sentence.count("percentage points") == 2


def test_the_headline_keeps_distances_over_groups_apart_from_those_over_all_cells():
    fine = certificate("T6", 0.3)
    words = "total variation of the predictor (4 segments over 80 groups of cells); the truth is the pool's own law"
    coarse = certificate("T7f", 0.12, target=words)
    below = certificate("T9-lower", 0.02, target=words, side="lower", trivial=0.0)
    sentence = headline(report_of(fine, coarse, below))
    assert (
        "any event differs from the true one, on average over the users, by at most 30.1 percentage points" in sentence
    )
    of_groups = (
        "event that is made of groups of cells differs from its share in the held-out pool, on average over the users, "
    )
    assert f"any {of_groups}by at most 12.1 percentage points" in sentence
    assert f"some {of_groups}by at least 1.99 percentage points" in sentence
    assert "groups of cells" not in headline(report_of(certificate("T6", 0.1), coarse))
    margin = certificate(
        "T9-paired", 0.38, target="margin over the other smoothed predictor: (nats)", side="lower", trivial=0.0
    )
    assert "lies at least 0.38 nats below the other predictor's" in headline(report_of(margin))


def test_the_headline_takes_what_is_preferred_of_each_kind_and_what_it_does_not_know_in_its_own_words():
    new = certificate("T8", 1.5, target="risk of the drawn predictors (nats)", trivial=4.5)
    better = certificate("T9", 1.625, target="risk of the model (nats)", trivial=4.5)
    unknown = certificate("T9-new", 0.375, target="quality of lists", side="lower", trivial=0.0)
    margin = certificate("T9-margin", 0.25, target="margin of the loss (nats)", side="lower", trivial=-1.0)
    sure = certificate("T11", 0.5, target="mean total variation of any estimator", side="lower", trivial=0.0)
    vacuous = replace(certificate("T6", 0.999), status=Status.VACUOUS)
    assert "the risk of the drawn predictors is at most 1.5 nats" in headline(report_of(new))
    assert headline(report_of(new, better, unknown, margin, sure, vacuous)) == (
        "With confidence 95 %: the risk of the model is at most 1.625 nats, as if it chose blindly among 5.08 answers "
        "instead of 90; and the margin of the loss is at least 0.25 nats; and the quality of lists is at least 0.375."
    )


def test_without_a_valid_certificate_the_headline_says_so():
    nothing = "No certificate says more about this model than what holds for any model."
    assert headline(held_out_report(probability=1e-6)) == nothing
    page = render(Page("A title", report_of(Certificate.refused("T9", "Title", "risk", "T9 refuses (A1): no."))))
    assert nothing in page
    assert "No certificate has a value" in page


def test_a_page_says_what_its_statements_are_not_about():
    pool = certificate("T9-pool", 1.5, target="mean loss over the held-out pool (nats)")
    drawn = certificate("T8", 1.5, target="mean risk of the drawn smoothed predictors (nats)")
    assert about([pool]) == [
        "This is about interactions that exist already, in that pool, and not about future ones or about other users."
    ]
    assert len(about([drawn, drawn])) == 2
    assert "not about the trained network itself" in about([drawn])[1]
    assert about([pool])[0] in render(Page("A title", report_of(pool)))
    assert list(glossary([pool])) == ["loss", "nats", "pool"]
    gems = certificate("T9-gems", 0.5, target="probability of a high level in a pool of hidden gems", side="lower")
    assert "not about single items or items pushed at users" in about([gems])[0]
    assert list(glossary([gems])) == ["pool of hidden gems"]
    assert list(glossary([gems, pool])) == ["loss", "nats", "pool of hidden gems", "pool"]


def test_every_theorem_has_a_scope_and_a_sentence():
    for theorem in THEOREMS:
        found = certificate(theorem.number, 0.25, target=theorem.target, side=theorem.side)
        assert about([found])[0].startswith("This is about ")
        side = "at most 0.25" if theorem.side == "upper" else "at least 0.25"
        assert side in statement(found)
        assert "(nats)" not in statement(found)


def test_a_lower_bound_is_shown_as_one():
    lower = certificate("T9-lower", 0.0412366, side="lower", trivial=0.0)
    shown = render(Page("A title", report_of(*held_out_report(), lower)))
    assert "≥ 0.04123<" in shown
    assert "value,\n0.04123<" in shown
    assert re.search("≤ 1.6[0-9]+<", shown)


def test_a_printed_quantity_is_on_its_side_of_the_one_in_the_file():
    quantities = {"hidden gems, lower end": 0.639624, "regret": 0.639624, "alpha": 0.012344, "K": 12345.0}
    report = report_of(certificate("T10", 0.1, quantities=quantities))
    (kept,) = json.loads(json.dumps(report.record()))["certificates"]
    shown = dict(re.findall(r"<code>(.+?)</code>&nbsp;=&nbsp;([\d,.]*\d)", render(Page("A title", report))))
    lower, upper = (float(shown[name]) for name in ("hidden gems, lower end", "regret"))
    assert kept["quantities"]["hidden gems, lower end"] - 1e-4 < lower <= kept["quantities"]["hidden gems, lower end"]
    assert kept["quantities"]["regret"] <= upper < kept["quantities"]["regret"] + 1e-4
    assert (shown["alpha"], shown["K"]) == (f"{kept['quantities']['alpha']:.4g}", "12,345")


def test_a_page_cites_the_receipt_it_rests_on():
    receipt = make_receipt(TABLE, {"name": "toy"})
    counted = cited(receipt)
    assert list(counted) == ["T6"]
    assert (counted["T6"].misses, counted["T6"].replicates, counted["T6"].lines) == (1, 40, 1)
    assert (counted["T6"].worst, counted["T6"].delta, counted["T6"].tightness) == ("0.06 to 13.16 %", "5 %", "2")
    page = render(Page("A title", report_of(certificate("T6", 0.5), certificate("T5", 0.6)), receipt=receipt))
    for words in (receipt.short, receipt.hash, "1 / 40", "0.06 to 13.16 %", "missed 1 times in\n40"):
        assert words in page
    assert "Not counted in this receipt: T5." in page
    assert counted["T6"].verdict == "not refuted; 40 replicates exclude only miss rates above 13.16 %"
    assert f'<span class="few">{counted["T6"].verdict}</span>' in page
    assert 'class="held"' not in page
    assert "another version" not in page
    older = replace(receipt, version="0.0.1")
    assert "another version than this page" in render(Page("A title", report_of(certificate("T6", 0.5)), receipt=older))


@pytest.mark.parametrize(
    ("replicates", "misses", "verdict"),
    [
        (1, 0, "not refuted; 1 replicate excludes only miss rates above 97.50 %"),
        (71, 0, "not refuted; 71 replicates exclude only miss rates above 5.07 %"),
        (72, 0, "held"),
        (999, 45, "not refuted; 999 replicates exclude only miss rates above 5.99 %"),
        (1000, 45, "held"),
        (1000, 200, "refuted"),
    ],
)
def test_few_replicates_are_said_to_be_few_and_what_they_exclude(replicates, misses, verdict):
    table = certificates(*(row(seed, measured=0.75 if seed < misses else 0.1) for seed in range(replicates)))
    receipt = make_receipt(table, {})
    assert cited(receipt)["T6"].verdict == verdict
    page = render(Page("A title", report_of(certificate("T6", 0.5)), receipt=receipt))
    assert f">{verdict}</span>" in page


def test_a_receipt_of_several_points_tells_the_worst_and_a_refuted_one_says_so():
    table = certificates(
        *(row(seed) for seed in range(40)),
        *(row(seed, size=2_000, delta=0.01, measured=0.1) for seed in range(10)),
        *(row(seed, size=3_000, measured=0.75 if seed < 30 else 0.0) for seed in range(40)),
    )
    found = cited(make_receipt(table, {}))["T6"]
    assert found.verdict == "refuted"
    assert (found.lines, found.replicates, found.misses) == (3, 90, 30)
    assert (found.delta, found.tightness, found.holds) == ("1 % to 5 %", "0.667 to 5", False)
    assert found.worst.startswith("58.")
    page = render(Page("A title", report_of(certificate("T6", 0.5)), receipt=make_receipt(table, {})))
    assert '<span class="refuted">refuted</span>' in page


def test_without_a_receipt_the_page_says_how_to_make_one():
    page = render(Page("A title", held_out_report()))
    assert "conv4rec study coverage" in page
    assert "--receipt" in page


def test_a_reason_names_its_theorem_once():
    for found in held_out_report().rows():
        assert reason(found).count(found["theorem"] + (" " if found["value"] is None else ":")) == 1


def test_figures_are_written_as_vectors_and_pixels(tmp_path):
    rows = [found | {"measured": 1.6} for found in held_out_report().rows()]
    drawn = draw_certificates(rows, tmp_path / "certificates")
    assert [path.suffix for path in drawn] == [".pdf", ".png"]
    assert drawn[0].read_bytes().startswith(b"%PDF")
    assert drawn[1].read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_refusals_alone_can_be_drawn(tmp_path):
    rows = [found | {"measured": None} for found in held_out_report().rows() if found["value"] is None]
    assert all(path.stat().st_size for path in draw_certificates(rows, tmp_path / "refused"))
