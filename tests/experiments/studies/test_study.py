"""What a study is: a grid divided into parts, read from a file with care and written back."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings
from conv4rec_experiments.studies import study as module
from conv4rec_experiments.studies.samplings import SAMPLINGS
from conv4rec_experiments.studies.study import PROTOCOLS, Part, Study, TruthChoice, known_theorems
from conv4rec_experiments.studies.study_file import SHIPPED, find, written

SMALL = TruthChoice("small")
STUDY = Study("tiny", (SMALL,), sizes=(1_000, 4_000), seeds=(0, 1, 2), batch=2)

FILE = """
name = "tiny"
sizes = [1e3, 4000]
seeds = 3
batch = 2.0
truths = ["small"]
"""


def subsets(values: Any, least: int = 1) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(sorted(values)), min_size=least, max_size=3, unique=True).map(tuple)


@st.composite
def studies(draw: st.DrawFn) -> Study:
    truths = draw(subsets(["small", "reference"]))
    return Study(
        name=draw(st.text("abc .-_09", max_size=5).map("x{}".format)),
        truths=tuple(TruthChoice(name, draw(st.integers(0, 9))) for name in truths),
        sizes=tuple(draw(st.sets(st.integers(1, 10**15), min_size=1, max_size=4))),
        seeds=tuple(draw(st.sets(st.integers(0, 2**62), min_size=1, max_size=9))),
        protocols=draw(subsets(PROTOCOLS)),
        samplings=draw(subsets(SAMPLINGS)),
        batch=draw(st.integers(1, 5)),
        threads=draw(st.integers(1, 4)),
        delta=draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
        theorems=draw(subsets(known_theorems(), least=0)),
        fits=Settings(starts=draw(st.integers(3, 9)), tolerance=draw(st.floats(1e-9, 1.0))),
    )


@given(study=studies())
def test_parts_are_the_grid_and_nothing_twice(study: Study) -> None:
    parts = study.parts()
    points = [(p.truth.name, p.protocol, p.sampling, p.size, seed) for p in parts for seed in p.seeds]
    grid = product((t.name for t in study.truths), study.protocols, study.samplings, study.sizes, study.seeds)
    assert sorted(points) == sorted(grid)
    assert study.replicates == len(points)
    assert all(1 <= len(part.seeds) <= study.batch and list(part.seeds) == sorted(part.seeds) for part in parts)
    assert len({part.file_name for part in parts}) == len(parts)
    # The order in which seeds are written changes nothing.
    assert replace(study, seeds=study.seeds[::-1]).parts() == parts


@given(study=studies())
def test_a_study_is_read_from_what_is_written(study: Study, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("file") / "any.toml"
    path.write_text(written(study), encoding="utf-8")
    assert Study.from_toml(path) == study


def test_options_of_truths_survive_the_file(tmp_path: Path) -> None:
    choice = TruthChoice("reference", 3, {"users": 5, "items": 6, "profile_items": 2, "name": 'a "b" \x7f ü \\'})
    path = tmp_path / "any.toml"
    path.write_text(written(replace(STUDY, truths=(choice,))), encoding="utf-8")
    (read,) = Study.from_toml(path).truths
    assert read == choice
    assert read.make().users == 5
    assert read.make() is choice.make()


@pytest.mark.parametrize(
    "other",
    [
        {"truth": TruthChoice("small", 1)},
        {"truth": TruthChoice("reference")},
        {"truth": TruthChoice("small", options={})},
        {"protocol": PROTOCOLS[1]},
        {"sampling": "duplicated"},
        {"size": 1_001},
        {"seeds": (0, 1, 2)},
        {"seeds": (0, 2)},
    ],
)
def test_parts_have_one_file_name_for_each_content(other: dict[str, Any]) -> None:
    part = STUDY.parts()[0]
    assert (replace(part, **other).file_name == part.file_name) == (replace(part, **other) == part)
    assert Path(part.file_name).name == part.file_name


def test_options_tell_parts_apart() -> None:
    part = Part(TruthChoice("reference", 0, {"users": 5}), PROTOCOLS[0], "independent", 10, (0,))
    assert replace(part, truth=TruthChoice("reference", 0, {"users": 6})).file_name != part.file_name
    assert replace(part, truth=TruthChoice("reference", 0, {"users": 5})).file_name == part.file_name


def test_a_study_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    assert Study.from_toml(path) == STUDY
    path.write_text(FILE.replace('name = "tiny"', "").replace("seeds = 3", "seeds = [2, 0, 1e0]"))
    assert Study.from_toml(path) == replace(STUDY, name="mine", seeds=(2, 0, 1))
    path.write_text(FILE + 'theorems = "all"\n[fits]\nstarts = 4.0\ntolerance = 1\n')
    read = Study.from_toml(path)
    assert read.theorems == known_theorems()
    assert (read.fits.starts, read.fits.tolerance) == (4, 1.0)
    assert (type(read.fits.starts), type(read.fits.tolerance)) == (int, float)
    tables = FILE.replace('truths = ["small"]', '[[truths]]\nname = "reference"\nseed = 2.0\noptions = {users = 7e0}')
    path.write_text(tables)
    assert Study.from_toml(path).truths == (TruthChoice("reference", 2, {"users": 7}),)
    assert isinstance(Study.from_toml(path).truths[0].options["users"], int)
    options = {"path": "ratings.csv", "smoothing": 2, "name": "shop"}
    made_of = f"options = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in options.items())} }}"
    path.write_text(FILE.replace('truths = ["small"]', f'[[truths]]\nname = "from_counts"\n{made_of}'))
    (choice,) = Study.from_toml(path).truths
    assert choice == TruthChoice("from_counts", 0, options)
    assert isinstance(choice.options["smoothing"], float)


@pytest.mark.parametrize("name", SHIPPED)
def test_study_files_of_the_package_are_studies(name: str) -> None:
    study = Study.from_toml(find(name))
    assert study.name == name
    assert study.parts()


def test_the_package_has_the_studies_that_the_pages_speak_of() -> None:
    assert set(SHIPPED) == {"certificates", "coverage", "quick", "reference", "stress", "stress_large", "truths"}
    reference = Study.from_toml(find("reference"))
    assert (len(reference.sizes), min(reference.sizes), max(reference.sizes)) == (8, 1_000, 10**8)
    assert (len(reference.seeds), reference.fits.starts) == (32, 3)
    coverage = Study.from_toml(find("coverage"))
    assert len(coverage.truths) >= 3
    assert len(coverage.seeds) >= 2_000
    assert coverage.theorems == known_theorems()
    stress = Study.from_toml(find("stress"))
    assert set(stress.samplings) == set(SAMPLINGS)
    assert len(stress.seeds) >= 500


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("sizes", "sises", r"the study has no key 'sises'; did you mean 'sizes'\?"),
        ("seeds = 3", "seed = 3", "no key 'seed'; did you mean 'seeds'"),
        ("seeds = 3", "", "The study has no seeds; add a line that starts with seeds ="),
        ("seeds = 3", 'seeds = "three"', "seeds has 'three'; expected a whole number"),
        ("seeds = 3", "seeds = true", "seeds has True; expected a whole number"),
        ("seeds = 3", "seeds = 0", "seeds is"),
        ("seeds = 3", "seeds = [0, 0]", "seeds is"),
        ("seeds = 3", "seeds = [-1]", "seeds holds -1"),
        ("4000", "4000.5", "sizes has 4000.5; expected a whole number"),
        ("4000", "inf", "sizes has inf; expected a whole number"),
        ("4000", "nan", "sizes has nan; expected a whole number"),
        ("4000", "1e16", "sizes holds 1"),
        ("4000", "0", "sizes holds 0"),
        ("[1e3, 4000]", "1e3", "sizes has 1000.0; expected a list in square brackets"),
        ("[1e3, 4000]", "[]", "sizes is"),
        ("batch = 2.0", "batch = 0", "batch holds 0"),
        ("batch = 2.0", "threads = 0", "threads holds 0"),
        ("batch = 2.0", "delta = 1", "delta is 1.0"),
        ("batch = 2.0", "delta = nan", "delta has nan; expected a finite number"),
        ("batch = 2.0", 'theorems = ["T0"]', "theorems has 'T0', which is unknown"),
        ("batch = 2.0", "theorems = 6", "theorems has 6; expected a list"),
        ("batch = 2.0", 'protocols = ["fixed"]', "protocols has 'fixed', which is unknown; did you mean 'fixed profil"),
        ("batch = 2.0", 'samplings = ["dupes"]', "samplings has 'dupes', which is unknown"),
        ("batch = 2.0", "fits = {start = 2}", "fits has no key 'start'; did you mean 'starts'"),
        ("batch = 2.0", "fits = {starts = 2.5}", "starts has 2.5; expected a whole number"),
        ("batch = 2.0", "fits = 2", "fits has 2; expected a table"),
        ("tiny", "../tiny", "name of the study is '../tiny'"),
        ("small", "smal", "no truth named 'smal'; did you mean 'small'"),
        ('["small"]', "[3]", "truths has 3; expected a table"),
        ('["small"]', "[{seed = 3}]", "truths has no name"),
        ('["small"]', '[{name = "small", seed = -3}]', "seed of the truth small is -3"),
        ('["small"]', '[{name = "small", sed = 3}]', "truths has no key 'sed'; did you mean 'seed'"),
        (
            '["small"]',
            '[{name = "reference", options = {user = 3}}]',
            "options has no key 'user'; did you mean 'users'",
        ),
        ('["small"]', '[{name = "reference", options = {users = "x"}}]', "users has 'x'; expected a whole number"),
        ('["small"]', '["small", "small"]', "truths is"),
        ('["small"]', '["small"', "this is no TOML file"),
    ],
)
def test_what_cannot_be_is_refused_in_words_that_name_the_key(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert FILE.count(old) == 1
    path.write_text(FILE.replace(old, new))
    with pytest.raises(InputError, match=words) as refused:
        Study.from_toml(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_bytes_that_are_no_text_and_names_that_are_no_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="this is no TOML file"):
        Study.from_toml(path)
    assert find(str(path)) == path
    with pytest.raises(InputError, match="no study file referense; did you mean 'reference'"):
        find("referense")


def test_truths_refuse_options_that_their_makers_do_not_take() -> None:
    with pytest.raises(InputError, match="The truth reference has no option 'user'; did you mean 'users'"):
        TruthChoice("reference", 0, {"user": 5})


def test_differences_name_what_decides_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = json.loads(json.dumps(STUDY.description()))
    grown = replace(STUDY, name="other", truths=(SMALL, TruthChoice("small", 1)), sizes=(7,), seeds=(9,), batch=1)
    assert grown.differences(before) == []
    assert replace(STUDY, delta=0.1).differences(before) == ["delta (0.05 there, 0.1 here)"]
    fits = replace(STUDY.fits, iterations=7)
    assert replace(STUDY, fits=fits, threads=2).differences(before) == [
        f"fits.iterations ({STUDY.fits.iterations} there, 7 here)",
        "threads (1 there, 2 here)",
    ]
    assert replace(STUDY, truths=(TruthChoice("small", 1),)).differences(before) == ["truths (none in common)"]
    monkeypatch.setattr(module, "version", lambda package: "0.0.1" if package == "conv4rec" else "9")
    assert "conv4rec" in " ".join(STUDY.differences(before))
