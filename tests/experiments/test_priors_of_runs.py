"""A run with a prior that has learnt: trained, kept, used by the report, refused where it is not the run's own."""

import shutil
import sys

import numpy as np
import polars as pl
import pytest

from conv4rec import Conv4Rec, InputError, Interactions
from conv4rec_experiments import cli
from conv4rec_experiments.evaluation import evaluate
from conv4rec_experiments.run_files import claim_folder
from conv4rec_experiments.runs import certify_run, train_run

OPTIONS = {"channels": 2, "code": 3, "epochs": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    item = np.concatenate([rng.choice(12, 8, replace=False) for _ in range(30)])
    levels = rng.integers(1, 4, size=item.size)
    return Interactions.from_frame(pl.DataFrame({"user": np.repeat(np.arange(30), 8), "item": item, "rating": levels}))


def train(data, run, *, share=0.4, resume=False, seed=0):
    options = OPTIONS | {"seed": seed}
    return train_run(data, run, protocol="coin", resume=resume, options=options, prior_share=share)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    train(data, run)
    return run


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_the_command_line_trains_a_prior_and_its_report_scores_the_rest(data, tmp_path, capsys, monkeypatch):
    table, run = tmp_path / "ratings.csv", tmp_path / "run"
    data.frame().write_csv(table)
    names = (f"--{name}={value}" for name, value in OPTIONS.items())
    for arguments in (["train", table, "--out", run, *names, "--prior-share", 0.4], ["certify", run]):
        monkeypatch.setattr(sys, "argv", ["conv4rec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
    scored = len(Conv4Rec.load(run).split.scored)
    seen = round(0.4 * scored)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"trained on {seen} of the scored interactions; the draws are scored on {scored - seen} inter" in printed


def test_the_certificate_names_what_the_prior_left_and_the_measured_value_is_that(trained):
    model, prior = Conv4Rec.load(trained), Conv4Rec.load(trained / "prior")
    found = evaluate(model, prior=prior)
    certificate, measured = found.report["T8"], found.measured["T8"]
    assert certificate.quantities["N_1"] == round(0.4 * len(model.split.scored))
    assert "what the prior left" in certificate.target
    assert "without what made the prior" in measured.meaning
    assert certificate.terms["mean loss of the draws"] < certificate.value
    assert abs(measured.value - certificate.terms["mean loss of the draws"]) < 0.5
    assert found.evidence.posterior.size == len(model.split.scored) - certificate.quantities["N_1"]
    plain = evaluate(model)
    assert "N_1" not in plain.report["T8"].quantities
    assert "the start of the training" in plain.notes[-1]


def test_without_a_share_an_old_prior_is_deleted(data, copied):
    for resume in (True, False):
        train(data, copied, share=None, resume=resume)
        assert not (copied / "prior" / "model.json").exists()


def test_the_same_seed_gives_the_same_prior_and_the_model_is_that_of_a_run_without(data, trained, tmp_path):
    train(data, tmp_path / "again")
    train(data, tmp_path / "plain", share=None)
    pairs = (("prior/model.safetensors", "again"), ("model.safetensors", "again"), ("model.safetensors", "plain"))
    for name, other in pairs:
        assert (trained / name).read_bytes() == (tmp_path / other / name).read_bytes()


def test_a_prior_that_was_changed_is_refused(copied):
    path = copied / "prior" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is damaged \(it is not the file that was saved\)"):
        certify_run(copied, 0.05)


def test_the_prior_of_another_run_is_refused(data, copied, tmp_path):
    train(data, tmp_path / "other", seed=1)
    shutil.rmtree(copied / "prior")
    shutil.copytree(tmp_path / "other" / "prior", copied / "prior")
    with pytest.raises(InputError, match="trained on other interactions than the model's split and seed"):
        certify_run(copied, 0.05)


def test_a_share_out_of_range_is_refused_before_anything_is_deleted(data, copied):
    with pytest.raises(InputError, match=r"the prior's share is 1\.5; expected a number strictly between 0 and 1"):
        train(data, copied, share=1.5)
    assert (copied / "model.json").exists()


def test_a_run_whose_prior_was_finished_and_whose_model_was_not_can_be_continued(data, copied):
    for name in ("model.json", "training.safetensors"):
        (copied / name).unlink()
    with pytest.raises(InputError, match="was interrupted; continue with --resume"):
        certify_run(copied, 0.05)
    with pytest.raises(InputError, match="already holds a training"):
        claim_folder(copied, resume=False, force=False)
    before = (copied / "prior" / "model.safetensors").read_bytes()
    train(data, copied, resume=True)
    assert (copied / "prior" / "model.safetensors").read_bytes() == before
    assert (copied / "model.json").exists()
