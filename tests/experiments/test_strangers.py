"""Models made elsewhere: files and tables as they come, what they must hold, and certificates that agree with ours."""

import json
import math
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors.numpy import save_file

from conv4rec import network as networks
from conv4rec.batches import Cells, ProfileBatch
from conv4rec.errors import InputError
from conv4rec.network import Activation, Architecture
from conv4rec_bounds import Evidence, HeldOut, Network, Paired, Protocol, RefusedError, Scored, UserMeans, certify
from conv4rec_bounds.geometry import logits
from conv4rec_experiments import cli, printing
from conv4rec_experiments.log_probability_tables import read_held_out
from conv4rec_experiments.strangers import certify_log_probabilities, certify_weights, write_report
from conv4rec_experiments.weight_files import read_arrays, read_network

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "how-to"
ACTIVATIONS = ("identity", "tanh")
INDEPENDENT, POOL = Protocol("independent"), Protocol("finite pool")


def weights(**sizes):
    rng = np.random.default_rng(0)
    shapes = Architecture(**sizes).shapes()
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


OURS = weights(n_items=7, n_levels=3, channels=2, code=4)


def saved(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    return path


def same(network, arrays):
    assert set(network.weights) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(network.weights[name], array)
        assert network.weights[name].dtype == np.float64


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_arrays_of_other_names_shapes_and_orders_are_the_same_network(suffix, tmp_path):
    foreign = {
        "conv1.weight": OURS["lift"].T[:, :, None, None],
        "enc/weight": OURS["encode"].swapaxes(1, 2),
        "enc/bias": OURS["code_bias"],
        "dec": OURS["decode"],
        "conv2": OURS["project"][:, :, None],
        "shift": OURS["offset"],
        "popularity": OURS["cell_bias"],
        "unused": np.arange(3),
    }
    path = saved(tmp_path / f"model{suffix}", foreign)
    names = dict(
        zip(("lift", "encode", "code_bias", "decode", "project", "offset", "cell_bias"), foreign, strict=False)
    )
    network = read_network(str(path), names, activations=ACTIVATIONS, transposed=["lift", "encode"])
    same(network, OURS)
    assert (network.lift_activation, network.code_activation) == ACTIVATIONS
    assert set(read_arrays(path)) == set(foreign)


def test_one_level_and_one_channel_need_no_axes_of_their_own(tmp_path):
    ours = weights(n_items=5, n_levels=1, channels=1, code=2)
    flat = {
        "E": ours["encode"][0],
        "a": ours["code_bias"][0],
        "D": ours["decode"][0],
        "O": ours["offset"][0],
        "B": ours["cell_bias"][:, 0],
    }
    path = saved(tmp_path / "model.npz", flat)
    names = {"encode": "E", "code_bias": "a", "decode": "D", "offset": "O", "cell_bias": "B"}
    one = np.ones((1, 1))
    same(read_network(path, names, activations=ACTIVATIONS), ours | {"lift": one, "project": one})
    bare = read_network(path, {"encode": "E", "decode": "D"}, activations=ACTIVATIONS)
    np.testing.assert_array_equal(bare.weights["cell_bias"], np.zeros((5, 1)))
    assert bare.layers == ("lift", "encode", "decode", "project", "cell_bias")


def test_one_channel_of_several_levels_may_lack_its_axis(tmp_path):
    ours = weights(n_items=5, n_levels=3, channels=1, code=2)
    path = saved(tmp_path / "model.npz", {name: np.squeeze(array) for name, array in ours.items()})
    same(read_network(path, {name: name for name in ours}, activations=ACTIVATIONS), ours)


activations = st.sampled_from(get_args(Activation))


@given(
    st.builds(
        Architecture,
        n_items=st.integers(1, 5),
        n_levels=st.integers(1, 3),
        channels=st.integers(1, 3),
        code=st.integers(1, 4),
        shared_maps=st.booleans(),
        level_offset=st.booleans(),
        lift_activation=activations,
        code_activation=activations,
        decode_activation=activations,
    ),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_a_file_of_weights_is_the_model_whose_weights_they_are(size, density, seed):
    """The map that the theorems are about gives the model's logits, for all activations and after a round trip."""
    rng = np.random.default_rng(seed)
    arrays = {name: 2 * rng.normal(size=shape) for name, shape in size.shapes().items()}
    profile = (rng.random((size.n_items, size.n_levels)) < density).astype(float)
    model = networks.Network(size, dtype=torch.float64)
    model.set_weights(arrays)
    cells = Cells(np.zeros(int(profile.sum()), dtype=np.int64), *np.nonzero(profile))
    with torch.no_grad():
        expected = model(ProfileBatch.of(cells, 1, *profile.shape, dtype=torch.float64))[0].numpy()
    named = (size.lift_activation, size.code_activation, size.decode_activation)
    with TemporaryDirectory() as folder:
        path = saved(Path(folder) / "model.npz", arrays)
        found = read_network(path, {name: name for name in arrays}, activations=named)
    np.testing.assert_allclose(logits(found, profile), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.int64])
def test_numbers_are_taken_as_they_are_stored(kind, tmp_path):
    arrays = {"encode": np.arange(10).reshape(5, 2).astype(kind), "decode": np.ones((5, 2), kind)}
    for name in ("model.npz", "model.safetensors"):
        network = read_network(
            saved(tmp_path / name, arrays), {"encode": "encode", "decode": "decode"}, activations=ACTIVATIONS
        )
        np.testing.assert_array_equal(network.weights["encode"][0], np.arange(10).reshape(5, 2))


def test_foreign_weights_have_the_certificates_of_our_own(tmp_path):
    path = saved(tmp_path / "model.npz", OURS)
    scored = Scored(size=50_000, risk=2.5, truth_risk=2.4, users=40)
    means = UserMeans(size=40, risk=2.6)
    protocol = Protocol("independent", users="independent")
    network = Network({name: array.astype(np.float64) for name, array in OURS.items()}, *ACTIVATIONS)
    evidence = Evidence(21, protocol, network=network, scored=scored, user_means=means)
    given = {"activations": ACTIVATIONS, "protocol": protocol, "scored": scored, "user_means": means}
    report = certify_weights(path, {name: name for name in OURS}, **given, delta=0.1)
    assert report.rows() == certify(evidence, 0.1).rows()
    assert report["T1"].value is not None
    assert report["T6"].value is not None
    with pytest.raises(RefusedError, match="masked=True"):
        certify_weights(path, {name: name for name in OURS}, **given, cells=20)
    masked = given | {"user_means": UserMeans(size=40, risk=2.6, masked=True)}
    fewer = certify_weights(path, {name: name for name in OURS}, **masked, cells=20, delta=0.1)
    assert fewer["T1"].value <= report["T1"].value


def test_what_is_not_declared_is_refused_by_name(tmp_path):
    path, names = saved(tmp_path / "model.npz", OURS), {name: name for name in OURS}
    scored = Scored(size=1000, risk=2.5)
    report = certify_weights(path, names, activations=ACTIVATIONS, scored=scored)
    assert "T1 refuses (A1): the encoder reads the interactions that it is scored on" in report["T1"].reason
    fixed = certify_weights(path, names, activations=ACTIVATIONS, scored=scored, protocol=Protocol("neither"))
    assert "T1 refuses (A2): the scored interactions are neither" in fixed["T1"].reason
    table = tmp_path / "table.csv"
    table.write_text("log_probability,cells\n-1,9\n-2,9\n")
    report = certify_log_probabilities(table)
    assert "T9 refuses (A2)" in report["T9"].reason
    assert "T9-pool refuses (A1)" in report["T9-pool"].reason
    assert not report.budget.entries


MAPS = {
    "nothing": ({}, (), "no array is named for encode and decode; .* holds cell_bias (7, 3), code_bias (2, 4), decode"),
    "no decode": ({"encode": "encode"}, (), "no array is named for decode;"),
    "lift alone": ({"encode": "encode", "decode": "decode", "lift": "lift"}, (), "no array is named for project;"),
    "no such layer": ({"encoder": "encode"}, (), "no layer 'encoder'; expected some of lift, encode,"),
    "no such array": ({"encode": "E", "decode": "decode"}, (), "no array 'E' for encode; it holds cell_bias (7, 3)"),
    "transposed nothing": ({"encode": "encode", "decode": "decode"}, ("lift",), "lift is to be transposed, but"),
    "transposed unknown": ({"encode": "encode", "decode": "decode"}, ("E",), "no layer 'E'"),
    "too few axes": (
        {"encode": "vector", "decode": "decode"},
        (),
        "encode in .* shape (7,); expected the axes (channel,",
    ),
    "too many axes": ({"encode": "encode", "decode": "decode", "cell_bias": "offset"}, (), "the array for cell_bias"),
    "words": ({"encode": "words", "decode": "decode"}, (), "holds <U1; expected real numbers"),
}


@pytest.mark.parametrize("name", MAPS)
def test_a_wrong_map_lists_what_the_file_holds(name, tmp_path):
    given, transposed, words = MAPS[name]
    odd = {"vector": np.ones(7), "words": np.full((7, 4), "x")}
    path = saved(tmp_path / "model.npz", OURS | odd)
    pattern = ".*".join(re.escape(part) for part in words.split(".*"))
    with pytest.raises(InputError, match=pattern):
        read_network(path, given, activations=ACTIVATIONS, transposed=transposed)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    with pytest.raises(InputError, match="it holds no arrays"):
        read_network(saved(tmp_path / "model.npz", {}), {"encode": "E"}, activations=ACTIVATIONS)


def test_shapes_that_do_not_fit_and_weights_that_are_not_finite_are_refused(tmp_path):
    names = {name: name for name in OURS}
    for odd, words in (
        ({"encode": OURS["encode"].swapaxes(1, 2)}, "'encode' has shape"),
        ({"encode": np.full_like(OURS["encode"], np.nan)}, "NaN or infinite"),
        ({"lift": OURS["lift"].astype(np.longdouble)}, None),
    ):
        path = saved(tmp_path / "model.npz", OURS | odd)
        if words is None:
            assert read_network(path, names, activations=ACTIVATIONS).weights["lift"].dtype == np.float64
            continue
        with pytest.raises(RefusedError, match=words):
            read_network(path, names, activations=ACTIVATIONS)
    path = saved(tmp_path / "model.npz", OURS)
    for unknown in (("identity", "gelu"), ("identity", "tanh", "gelu")):
        with pytest.raises(RefusedError, match="activation 'gelu' is not covered"):
            read_network(path, names, activations=unknown)
    for count in (("tanh",), ("tanh",) * 4):
        with pytest.raises(InputError, match="such as identity,tanh or identity,tanh,asinh"):
            read_network(path, names, activations=count)


class Trap:
    """Unpickling this would run code."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_files_that_are_damaged_or_would_run_code_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trap = np.empty(1, dtype=object)
    trap[0] = Trap()
    np.savez("trap.npz", encode=trap)
    Path("text.npz").write_text("hello")
    Path("empty.npz").touch()
    Path("text.safetensors").write_text("hello")
    Path("cut.safetensors").write_bytes(saved(tmp_path / "whole.safetensors", OURS).read_bytes()[:-9])
    Path("cut.npz").write_bytes(saved(tmp_path / "whole.npz", OURS).read_bytes()[:-9])
    Path("model.pt").touch()
    header = json.dumps({"E": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    Path("half.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    for name in (
        "trap.npz",
        "text.npz",
        "empty.npz",
        "text.safetensors",
        "cut.safetensors",
        "cut.npz",
        "half.safetensors",
    ):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            read_arrays(name)
    assert not Path("trapped").exists()
    with pytest.raises(InputError, match=r"suffix '\.pt'; expected \.npz or \.safetensors"):
        read_arrays("model.pt")
    with pytest.raises(FileNotFoundError):
        read_arrays("missing.npz")


def table(path, **columns):
    frame = pl.DataFrame(columns)
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(
    log_probabilities=st.lists(st.floats(max_value=0.0, allow_nan=False), min_size=2, max_size=20),
    seed=st.integers(0, 9),
)
def test_a_table_is_what_was_written(suffix, tmp_path_factory, log_probabilities, seed):
    cells = np.random.default_rng(seed).integers(1, 10**9, len(log_probabilities))
    path = tmp_path_factory.mktemp("table") / f"table{suffix}"
    part = read_held_out(table(path, log_probability=log_probabilities, cells=cells, user=cells), smoothing=0.2)
    np.testing.assert_array_equal(part.log_probabilities, log_probabilities)
    np.testing.assert_array_equal(part.cells, cells)
    assert (part.pool, part.smoothing) == (None, 0.2)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_held_out_certificates_are_those_of_the_evidence(suffix, tmp_path):
    rng = np.random.default_rng(0)
    log_probabilities, cells = -rng.exponential(3.0, 2_000), rng.integers(50, 60, 2_000)
    sampled = rng.permutation(2_000) < 1_000
    path = table(tmp_path / f"all{suffix}", log_probability=log_probabilities, cells=cells)
    held_out = HeldOut(log_probabilities, cells, 0.03)
    report = certify_log_probabilities(path, protocol=INDEPENDENT, smoothing=0.03, delta=0.1)
    assert report.rows() == certify(Evidence(int(cells.max()), INDEPENDENT, held_out=held_out), 0.1).rows()
    assert report["T9"].status.value == "valid"

    seen = [value if drawn else None for value, drawn in zip(log_probabilities, sampled, strict=True)]
    path = table(tmp_path / f"pool{suffix}", log_probability=seen, cells=cells, sampled=sampled)
    sample = HeldOut(log_probabilities[sampled], cells[sampled], 0.01, pool=cells)
    bare = HeldOut(log_probabilities[sampled], cells[sampled], 0.01)
    report = certify_log_probabilities(path, protocol=POOL)
    evidence = Evidence(int(cells.max()), POOL, held_out=bare, pool_sample=sample)
    assert report.rows() == certify(evidence).rows()
    assert report["T9-pool"].value is not None


def test_equal_cells_need_no_column_and_their_pool_only_a_size(tmp_path):
    path = table(tmp_path / "table.csv", log_probability=[-1.0] * 40)
    with_column = table(tmp_path / "column.csv", log_probability=[-1.0] * 40, cells=[9] * 40)
    report = certify_log_probabilities(path, protocol=POOL, cells=9, pool=100)
    assert report.rows() == certify_log_probabilities(with_column, protocol=POOL, pool=100).rows()
    assert report["T9-pool"].quantities["H"] == 100
    whole = certify_log_probabilities(path, protocol=POOL, cells=9, pool=40)
    assert "the sample is the whole pool" in whole["T9-pool"].reason


@pytest.mark.parametrize("word", ["true", "True", "1", " TRUE "])
def test_marks_are_read_as_people_write_them(word, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"sampled,log_probability,cells\n{word},-1,5\nfalse,,6\n{word},-inf,5\n0,-3,6\n")
    part = read_held_out(path, finite_pool=True)
    np.testing.assert_array_equal(part.log_probabilities, [-1, -math.inf])
    np.testing.assert_array_equal(part.pool, [5, 6, 5, 6])


TABLES = {
    "no log-probabilities": ("p,cells\n1,2\n", {}, "has the columns p, cells; expected log_probability"),
    "empty": ("", {}, "is no table"),
    "no rows": ("log_probability,cells\n", {}, "has no rows"),
    "no cells": ("log_probability\n-1\n", {}, "has no column cells"),
    "cells twice": ("log_probability,cells\n-1,2\n", {"cells": 3}, "a number of cells was given too"),
    "half a cell": ("log_probability,cells\n-1,2\n-1,2.5\n", {}, "row 2 of .* has '2.5' cells"),
    "no number": ("log_probability,cells\n-1,2\nx,2\n", {}, "row 2 of .* has 'x' as log_probability"),
    "a gap": ("log_probability,cells\n-1,2\n,2\n", {}, "row 2 of .* has None as log_probability"),
    "marks undeclared": ("log_probability,cells,sampled\n-1,2,true\n", {}, "column 'sampled', which marks"),
    "size undeclared": ("log_probability,cells\n-1,2\n", {"pool": 9}, "the size of a pool was given; declare"),
    "odd marks": ("log_probability,cells,sampled\n-1,2,yes\n", {"finite_pool": True}, "row 1 of .* 'yes' as sampled"),
    "no marks": ("log_probability,cells,sampled\n-1,2,false\n", {"finite_pool": True}, "no row of .* is marked"),
    "no pool": ("log_probability,cells\n-1,2\n", {"finite_pool": True}, "has no column sampled, and no size is given"),
    "pool twice": (
        "log_probability,cells,sampled\n-1,2,true\n",
        {"finite_pool": True, "pool": 9},
        "marks a sample, and a size was given too",
    ),
    "unequal cells": ("log_probability,cells\n-1,2\n-1,3\n", {"finite_pool": True, "pool": 9}, "different numbers"),
    "small pool": ("log_probability,cells\n-1,2\n-1,2\n", {"finite_pool": True, "pool": 1}, "a pool of 1 interactions"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_says_too_little_or_too_much_is_refused(name, tmp_path):
    content, given, words = TABLES[name]
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_held_out(path, **given)


@pytest.mark.parametrize(
    ("row", "words"),
    [("0.5,9", "expected at most 0"), ("NaN,9", "is NaN"), ("-1,0", "has 0 cells; expected at least 1")],
)
def test_values_that_no_model_gives_are_refused(row, words, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"log_probability,cells\n-1,9\n{row}\n")
    with pytest.raises(RefusedError, match=words):
        read_held_out(path)


def test_cells_of_a_parquet_file_are_integers(tmp_path):
    path = table(tmp_path / "table.parquet", log_probability=[-1.0], cells=[2.0])
    with pytest.raises(InputError, match=r"row 1 of .* has 2\.0 cells"):
        read_held_out(path)
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match="is no table"):
        read_held_out(tmp_path / "text.parquet")


def test_a_report_is_written_as_page_tables_and_figure(tmp_path):
    path = table(tmp_path / "table.csv", log_probability=[-1.0] * 400)
    report = certify_log_probabilities(path, protocol=INDEPENDENT, cells=9)
    stale = tmp_path / "out" / "parts.csv"
    stale.parent.mkdir()
    stale.write_text("of an earlier report")
    written = {path.name for path in write_report(report, tmp_path / "out", {"file": "table.csv"})}
    assert not stale.exists()
    assert {"report.html", *(f"certificates.{suffix}" for suffix in ("csv", "json", "tex", "pdf", "png"))} <= written
    assert "table.csv" in (tmp_path / "out" / "report.html").read_text()
    kept = json.loads((tmp_path / "out" / "certificates.json").read_text())
    assert kept == json.loads(json.dumps(report.record())) | {"origin": {"file": "table.csv"}}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (PAGES / page).read_text(), re.S | re.M)


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def command(folder, line):
    """Run a line of the console in a folder, in this process, and return what it printed."""
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        patch.setenv("COLUMNS", "120")
        # It was made with the width of the terminal that other tests have seen.
        patch.setattr(printing, "console", Console(soft_wrap=False, highlight=False))
        patch.setattr(sys, "argv", line.split()[1:])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 0
    return printed.getvalue()


def test_the_page_on_a_peer_library_does_what_it_says(tmp_path):
    code = "\n".join(blocks("strangers.md", "python"))
    assert "import EASE" in code
    # In a process of its own: what the peer library imports stays away from the other tests; its warnings are errors.
    printed = run(tmp_path, "-c", code).splitlines()
    bound, trivial = (float(number) for number in re.findall(r"\d+\.\d+", printed[0]))
    measured = float(printed[1].split(": ")[1])
    assert measured < bound < measured + 0.25
    assert bound < trivial - 0.25
    margin = float(re.fullmatch(r"The bound (\d+\.\d+) lies above the trivial value 0\.", printed[2]).group(1))
    assert margin > 0.3
    assert re.fullmatch(r"The bound \d+\.\d+ holds but is no better than the trivial value 4\.787\.", printed[-1])
    lines = [line for block in blocks("strangers.md", "console") for line in block.splitlines() if "ease.csv" in line]
    assert printed[0] in command(tmp_path, lines[0])
    assert (tmp_path / "ease" / "certificates.csv").exists()
    half, certified = (
        float(number) for number in re.findall(r"\b0\.\d+", next(x for x in printed if "Recall@20" in x))
    )
    assert half - 0.1 < certified < half
    assert f"Recall@20 (share) ≥ {certified:.2f}"[:-1] in " ".join(command(tmp_path, lines[1]).split())
    told = next(line for line in printed if line.startswith("at least"))
    lower, upper, far = (float(number) for number in re.findall(r"\b0\.\d+", told))
    assert 0 < lower < far < upper < 0.25
    made = {path.name: path.read_bytes() for path in (tmp_path / "regions").iterdir()}
    cut, certify_distance = (
        next(line for block in blocks("strangers.md", "console") for line in block.splitlines() if word in line)
        for word in ("conv4rec regions", "--laws laws.csv")
    )
    assert "4 segments of users over 50 groups of cells" in " ".join(command(tmp_path, cut).split())
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "regions").iterdir()}
    shown = " ".join(command(tmp_path, certify_distance).split())
    assert re.search(r"the model 0\.003\d* 0\.20\d* 0\.092\d* ", shown)


def test_the_page_on_the_monitor_does_what_it_says(tmp_path):
    alone, compared = run(tmp_path, "-c", "\n".join(blocks("monitor.md", "python"))).splitlines()
    lower, upper, trivial = (float(number) for number in re.findall(r"\d+\.\d+", alone))
    assert lower < upper < trivial
    assert compared == "[500]"
    for line in blocks("monitor.md", "console")[0].splitlines():
        assert "was to be expected better than" in command(tmp_path, line)
    for folder in ("monitor", "comparison"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == [
            *("monitor.csv", "monitor.pdf", "monitor.png")
        ]


def test_the_page_on_plans_shows_what_is_printed(tmp_path):
    line = blocks("plan.md", "console")[0].splitlines()[1]
    shown = command(tmp_path, line).split("written:")[0]
    assert [row.rstrip() for row in shown.splitlines()] == blocks("plan.md", "text")[0].splitlines()
    (code,) = blocks("plan.md", "python")
    needed, *words, bound = run(tmp_path, "-c", code).split()
    assert int(needed) > 10**5
    assert words == ["scored", "interactions"]
    assert float(bound) <= 0.1


def pair(folder, **changes):
    rng = np.random.default_rng(1)
    columns = {"log_probability": -rng.uniform(1, 5, 400), "cells": [90] * 400, "id": list(range(400))}
    other = columns | {"log_probability": np.minimum(columns["log_probability"] - 0.5, 0)} | changes
    return table(folder / "ours.csv", **columns), table(folder / "theirs.csv", **other)


def test_two_tables_of_the_same_interactions_are_compared(tmp_path):
    ours, theirs = pair(tmp_path)
    report = certify_log_probabilities(ours, against=theirs, protocol=INDEPENDENT)
    first, second = (pl.read_csv(path)["log_probability"].to_numpy() for path in (ours, theirs))
    part = HeldOut(first, np.full(400, 90))
    again = certify(Evidence(90, INDEPENDENT, held_out=part, paired=Paired(part, second)))
    assert report.rows() == again.rows()
    assert report["T9-paired"].value < 0.5
    undeclared = certify_log_probabilities(ours, against=theirs)
    assert "T9-paired refuses (A2)" in undeclared["T9-paired"].reason


def test_two_tables_of_a_pool_are_compared_on_its_sample(tmp_path):
    rng = np.random.default_rng(2)
    sampled = rng.permutation(1000) < 500
    columns = {"cells": rng.integers(50, 60, 1000), "sampled": sampled}
    logs = -rng.uniform(1, 5, 1000)
    ours = table(tmp_path / "ours.parquet", log_probability=logs, **columns)
    theirs = table(tmp_path / "theirs.csv", log_probability=logs - 1.0, **columns)
    report = certify_log_probabilities(ours, against=theirs, protocol=POOL)
    sample = HeldOut(logs[sampled], columns["cells"][sampled], pool=columns["cells"])
    bare = replace(sample, pool=None)
    compared = Paired(sample, logs[sampled] - 1.0)
    assert report.rows() == certify(Evidence(59, POOL, held_out=bare, pool_sample=sample, paired=compared)).rows()


OTHERS = {
    "fewer rows": (
        {"log_probability": [-1.0] * 399, "cells": [90] * 399, "id": list(range(399))},
        "differ in number of rows: 400 and 399",
    ),
    "other cells": ({"cells": [90] * 9 + [80] * 391}, "differ in cells in row 10: 90 and 80"),
    "other order": ({"id": [1, 0, *range(2, 400)]}, "differ in id in row 1: '0' and '1'"),
    "a mark": ({"sampled": [True] * 399 + [False]}, "differ in sampled in row 400: True and False"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_tables_of_other_interactions_are_refused(name, tmp_path):
    changes, words = OTHERS[name]
    ours, theirs = pair(tmp_path, **changes)
    with pytest.raises(InputError, match=f"{words}; expected two models' log-probabilities of the same interactions"):
        certify_log_probabilities(ours, against=theirs, protocol=INDEPENDENT)


def test_identifiers_are_compared_only_if_both_tables_have_them(tmp_path):
    ours, theirs = pair(tmp_path)
    pl.read_csv(theirs).drop("id").write_csv(theirs)
    assert certify_log_probabilities(ours, against=theirs, protocol=INDEPENDENT)["T9-paired"].value is not None
