"""Planning: the least number found, certified there; what is assumed; what is out of reach; the picture of it."""

import csv
import json
import math
from dataclasses import replace
from fractions import Fraction
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from conv4rec import Conv4Rec
from conv4rec.errors import InputError
from conv4rec.network import Architecture
from conv4rec_bounds import THEOREMS, Evidence, HeldOut, Network, Protocol, Scored, certify
from conv4rec_bounds.covering import EXAMPLE, RadiusClass, grid_index
from conv4rec_bounds.geometry import LAYERS
from conv4rec_experiments import planning
from conv4rec_experiments.cli import app
from conv4rec_experiments.figures import planning as figure
from conv4rec_experiments.figures.style import save
from conv4rec_experiments.planning import curve, plan, plannable, plans, write_plans
from conv4rec_experiments.setting import DISTANCES, NORMS, Setting

THEOREM = {theorem.number: theorem for theorem in THEOREMS}
PLANNED = [theorem.number for theorem in plannable()]


def weights(architecture, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in architecture.shapes().items()}


@pytest.mark.parametrize("number", PLANNED)
def test_every_theorem_that_can_be_planned_is(number):
    found = plan(number)
    theorem = THEOREM[number]
    assert found.bound <= found.wanted == planning.WANTED["nats" if "(nats)" in theorem.target else "share"]
    setting = Setting()
    bound = planning._bound(theorem, setting)
    assert bound(found.needed) == found.bound
    # What is needed is the least number where the bound falls throughout, as it does around every one that was found.
    assert found.needed == planning.LEAST or bound(found.needed - 1) > found.wanted
    points = curve(found)
    sizes, bounds = [point["size"] for point in points], [point["bound"] for point in points]
    assert sizes == sorted(set(sizes))
    assert found.needed in sizes
    assert bounds == sorted(bounds, reverse=True)
    assert {point["theorem"] for point in points} == {number}


@pytest.mark.parametrize("number", PLANNED)
def test_larger_networks_never_need_less(number):
    # The expected risk is held, as its default grows with the number of cells.
    small = Setting(items=20, levels=2, channels=1, code=3, users=50, risk=2.0)
    large = replace(small, items=40, levels=3, channels=2, code=6)
    assert plan(number, setting=small).needed <= plan(number, setting=large).needed


@settings(max_examples=15)
@given(wanted=st.floats(0.02, 0.9), finer=st.floats(0.1, 1.0))
def test_a_finer_wish_needs_no_less(wanted, finer):
    for number in ("T6", "T9", "T9-pool"):
        setting = Setting(items=30, levels=2, channels=1, code=2, pool=10**9)
        assert plan(number, wanted * finer, setting).needed >= plan(number, wanted, setting).needed


def test_the_least_number_is_what_a_plain_search_finds():
    setting = Setting(items=4, levels=2, smoothing=0.1, variance=0.3, pool=2_000)
    for number in ("T9", "T9-pool"):
        bound = planning._bound(THEOREM[number], setting)
        for wanted in (1.5, 0.5, 0.2):
            plain = next(size for size in range(2, 2_000) if bound(size) <= wanted)
            assert plan(number, wanted, setting).needed == plain


def test_a_plan_for_t9_is_what_the_certificate_says():
    setting = Setting(items=10, levels=3, variance=0.0, smoothing=0.05)
    found = plan("T9", 0.3, setting)
    part = HeldOut(np.full(found.needed, math.log(0.2)), np.full(found.needed, 30), smoothing=0.05)
    certificate = certify(Evidence(30, Protocol("independent"), held_out=part), 0.05)["T9"]
    planned = min(certificate.quantities[name] for name in ("Delta_H", "Delta_B"))
    assert planned == pytest.approx(found.bound, rel=1e-3)
    # What betting gains is no part of a plan.
    assert certificate.terms["deviation"] <= planned * (1 + 1e-9) <= 0.3


@pytest.mark.parametrize("shared", [False, True])
def test_a_plan_for_t1_is_what_the_certificate_says(shared):
    architecture = Architecture(n_items=7, n_levels=2, channels=2, code=3, shared_maps=shared)
    network = Network(weights(architecture), "identity", Architecture.code_activation)
    norms = RadiusClass.of(network).norms
    setting = Setting(items=7, levels=2, channels=2, code=3, shared_maps=shared, norms=norms, risk=2.0)
    found = plan("T1", 0.7, setting)
    theorem = THEOREM["T1"]
    evidence = Evidence(14, Protocol("independent"), network=network, scored=Scored(found.needed, 2.0))
    certificate = certify(evidence, 0.05, [theorem])["T1"]
    assert Fraction(certificate.value) - 2 <= Fraction(0.7) + Fraction(1, 10**9)
    assert certificate.value - 2.0 == pytest.approx(found.bound, rel=1e-9)


def test_defaults_are_those_of_the_model(tmp_path):
    model, setting = signature(Conv4Rec).parameters, Setting()
    for name in ("channels", "code", "shared_maps", "code_activation"):
        assert getattr(setting, name) == model[name].default
    run = CliRunner()
    for said, expected in (
        ((), setting),
        (("--channels", "2", "--code", "9"), Setting(channels=2, code=9)),
        (("--no-shared-maps", "--code-activation", "relu"), Setting(shared_maps=False, code_activation="relu")),
    ):
        done = run.invoke(app, ["plan", "--theorem", "T9", "--out", str(tmp_path), *said])
        assert done.exit_code == 0
        assert json.loads((tmp_path / "plan.json").read_text())["setting"] == expected.record()


def test_sizes_are_those_of_the_model():
    setting = Setting(items=11, levels=3, channels=2, code=5)
    for shared in (False, True):
        shapes = Architecture(n_items=11, n_levels=3, channels=2, code=5, shared_maps=shared).shapes()
        inputs = replace(setting, shared_maps=shared).inputs()
        assert {name: inputs[f"p_{LAYERS[name].letter}"] for name in shapes} == {
            name: math.prod(shape) for name, shape in shapes.items()
        }
    cap = Network(
        weights(Architecture(11, 3, 2, 5, shared_maps=False)), "identity", Architecture.code_activation
    ).code_cap
    assert setting.inputs()["h_max"] == cap
    assert replace(setting, code_activation="relu").inputs()["h_max"] == math.inf
    assert replace(setting, cells=20).inputs()["q"] == 20


def test_norms_that_are_not_given_are_those_of_the_example():
    inputs = Setting().inputs()
    assert set(NORMS) == set(LAYERS)
    for name, layer in LAYERS.items():
        assert inputs[f"s_{layer.letter}"] == EXAMPLE[f"s_{layer.letter}"] == grid_index(NORMS[name])
    for name in DISTANCES:
        index = f"t_{LAYERS[name].letter}"
        assert inputs[index] == THEOREM["T2"].example[index]
    assert Setting(norms={"encode": 8.0}).inputs()["s_E"] == grid_index(8.0)
    assert Setting(distances={"encode": 8.0}).inputs()["t_E"] == grid_index(8.0)


def test_the_measured_risk_moves_no_additive_bound():
    for number in ("T1", "T6", "T9"):
        low, high = (plan(number, setting=Setting(items=50, risk=risk)) for risk in (0.5, 6.0))
        assert low == high


def test_a_model_worse_than_the_truth_needs_more_to_be_certified_close():
    for number in ("T5", "T6", "T7a", "T7d"):
        assert plan(number, setting=Setting(excess=0.01)).needed > plan(number).needed
    with pytest.raises(InputError, match=r"T6 cannot promise 0\.1: even .* interactions leave 0\.[1-9]"):
        plan("T6", 0.1, Setting(excess=0.5))


def test_other_inputs_can_be_set():
    assert plan("T8", 0.1, Setting(others={"D": 20_000.0})).needed > plan("T8", 0.1).needed
    assert plan("T6", 0.1, Setting(others={"D": 20_000.0})) == plan("T6", 0.1)


SETTINGS = {
    "a size": ({"items": 0}, "items is 0"),
    "an unknown layer": ({"norms": {"bias": 1.0}}, "no norms of 'bias'"),
    "a layer without a reference": ({"distances": {"lift": 1.0}}, "no distances of 'lift'"),
    "a negative norm": ({"norms": {"lift": -1.0}}, "at least 0"),
    "an infinite norm": ({"norms": {"lift": math.inf}}, "finite"),
    "an activation": ({"code_activation": "gelu"}, "choose identity, relu, tanh"),
    "too many cells": ({"cells": 5001}, "1 to items times levels"),
    "no cells": ({"cells": 0}, "1 to items times levels"),
    "delta": ({"delta": 0.0}, "strictly between 0 and 1"),
    "smoothing": ({"smoothing": 1.0}, "strictly between 0 and 1"),
    "a variance": ({"variance": math.nan}, "variance is nan"),
    "a risk": ({"risk": -1.0}, "at least 0 nats"),
    "a pool": ({"pool": 2}, "at least 3"),
    "another input": ({"others": {"D": math.inf}}, "D is inf; expected a finite number"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_no_network_has_is_refused(name):
    given, words = SETTINGS[name]
    with pytest.raises(InputError, match=words):
        Setting(**given)


WISHES = {
    "no such theorem": (("T0", 1.0, {}), "there is no theorem 'T0'; choose T1, "),
    "nothing to plan": (("T10", 1.0, {}), "T10 is no bound that more data lowers; choose T1, "),
    "zero": (("T1", 0.0, {}), "above 0"),
    "nan": (("T1", math.nan, {}), "above 0"),
    "infinite": (("T1", math.inf, {}), "finite"),
    "a share of one": (("T6", 1.0, {}), "at most 1"),
    "too fine": (("T1", 1e-9, {}), "T1 cannot promise 1e-09: even 1,125,899,906,842,624 scored interactions leave"),
    "a pool too small": (("T9-pool", 0.01, {"pool": 50}), "even 49 held-out interactions leave .* enlarge the pool"),
    "an input of no formula": (("T1", 1.0, {"others": {"foo": 1.0}}), "no formula has an input 'foo'"),
    "the number itself": (("T1", 1.0, {"others": {"N": 5.0}}), "no formula has an input 'N'"),
    "what has its own place": (("T1", 1.0, {"others": {"delta": 2.0}}), "no formula has an input 'delta'"),
}


@pytest.mark.parametrize("name", WISHES)
def test_a_wish_out_of_reach_is_a_sentence(name):
    (number, wanted, given), words = WISHES[name]
    with pytest.raises(InputError, match=words):
        plan(number, wanted, Setting(**given))


def test_one_wish_out_of_reach_leaves_the_others(tmp_path):
    setting = Setting(items=50, levels=2)
    found = plans(["T6", "T9"], 2.0, setting)
    assert [row.needed is None for row in found] == [True, False]
    assert "at most 1" in found[0].reason
    assert found[1].reason == ""
    with pytest.raises(InputError, match="T6 bounds a share"):
        plans(["T6"], 2.0, setting)
    paths = write_plans(found, setting, tmp_path)
    assert [path.name for path in paths] == ["plan.csv", "plan_curves.csv", "plan.json", "plan.pdf", "plan.png"]
    rows = list(csv.DictReader((tmp_path / "plan.csv").read_text().splitlines()))
    assert [(row["theorem"], row["needed"] == "") for row in rows] == [("T6", True), ("T9", False)]
    kept = json.loads((tmp_path / "plan.json").read_text())
    assert kept["setting"]["norms"] == dict(NORMS)
    assert kept["setting"]["cells"] == 100
    assert kept["plans"][1]["needed"] == found[1].needed
    assert {point["theorem"] for point in kept["curves"]} == {"T6", "T9"}


def test_a_plan_of_a_risk_says_that_its_bound_lies_above_the_measured_loss(tmp_path):
    setting = Setting(items=50, levels=2)
    found = plans(["T9", "T6"], None, setting)
    assert found[0].bounds.startswith("nats above the measured loss: risk of the smoothed predictor")
    assert [row.unit for row in found] == ["nats", "share"]
    assert found[1].bounds == THEOREM["T6"].target
    write_plans(found, setting, tmp_path)
    rows = list(csv.DictReader((tmp_path / "plan.csv").read_text().splitlines()))
    assert [(row["unit"], row["bounds"]) for row in rows] == [(row.unit, row.bounds) for row in found]
    assert json.loads((tmp_path / "plan.json").read_text())["plans"][0]["unit"] == "nats"


@pytest.mark.parametrize("case", ["wanted", "others"])
def test_what_is_wrong_for_every_theorem_is_said_once(case):
    wanted, others = {"wanted": (-1.0, {}), "others": (None, {"foo": 1.0})}[case]
    with pytest.raises(InputError) as caught:
        plans(None, wanted, Setting(others=others))
    assert str(caught.value).count("; ") == 1


def test_the_figure_marks_what_is_wanted_and_what_is_needed(tmp_path, monkeypatch):
    drawn = []

    def keep(picture, stem):
        drawn.append(picture)
        return save(picture, stem)

    monkeypatch.setattr(figure, "save", keep)
    setting = Setting(items=50, levels=2)
    found = plans(["T9", "T6", "T9-pool"], None, setting)
    first, second = (write_plans(found, setting, tmp_path / name) for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert Path(one).read_bytes() == Path(other).read_bytes()
    panels = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title().split(":")[0] for axes in panels] == ["T9", "T6", "T9-pool"]
    for axes, row in zip(panels, found, strict=True):
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert axes.get_xlabel() == row.counts
        bound, wanted, *marks = axes.lines
        assert bound.get_label() == "bound"
        assert set(wanted.get_ydata()) == {row.wanted}
        assert (marks[-1].get_xdata()[0], marks[-1].get_ydata()[0]) == (row.needed, row.bound)
        assert axes.texts[0].get_text() == f"{row.needed:,}"
    assert [axes.get_title().split(": ")[1] for axes in panels[:2]] == ["0.5 wanted", "0.25 wanted"]
    assert [axes.get_ylabel() for axes in panels][:2] == ["nats above the measured", "total variation"]
