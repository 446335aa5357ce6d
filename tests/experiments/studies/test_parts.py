"""A study's folder: parts are whole or not there, tables hold the study's own, and a folder belongs to one study."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from conv4rec.errors import InputError
from conv4rec_experiments.fits.fitting import Settings
from conv4rec_experiments.studies import parts as module
from conv4rec_experiments.studies.parts import ORDER, Tables, run
from conv4rec_experiments.studies.study import Study, TruthChoice
from conv4rec_experiments.studies.tables import CERTIFICATES, GROUPS, MEASURES
from toy_measure import Toy

STUDY = Study(
    "tiny",
    (TruthChoice("small"), TruthChoice("reference")),
    sizes=(4_000, 1_000),
    seeds=(0, 1, 2),
    batch=2,
    theorems=("T5", "T6"),
)
NAMES = ("measures", "certificates", "groups")


def runs(study: Study, folder: Path, **options: Any) -> Tables:
    """Run with a measure that costs nothing; its diary is beside the folder."""
    diary = folder.parent / f"{folder.name}-diary"
    diary.mkdir(exist_ok=True)
    return run(study, folder, progress=False, measure=Toy(diary), **options)


def begun(folder: Path) -> int:
    return len(list((folder.parent / f"{folder.name}-diary").iterdir()))


def assert_same(one: Tables, other: Tables) -> None:
    for name in NAMES:
        assert_frame_equal(
            *(getattr(tables, name).drop("seconds", strict=False) for tables in (one, other)), check_exact=True
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "study"


def test_tables_are_tidy_whole_sorted_and_on_disk(folder: Path) -> None:
    tables = runs(STUDY, folder)
    for name, schema in zip(NAMES, (MEASURES, CERTIFICATES, GROUPS), strict=True):
        table = getattr(tables, name)
        assert table.schema == dict(schema)
        assert table.sort(ORDER[name]).equals(table)
        assert not table.select(ORDER[name]).is_duplicated().any()
        assert_frame_equal(pl.read_parquet(folder / f"{name}.parquet"), table)
        assert_frame_equal(pl.read_csv(folder / f"{name}.csv", schema=dict(schema)), table)
    assert len(tables.measures) == STUDY.replicates == 12
    assert len(tables.certificates) == 24
    assert Study.from_toml(folder / "study.toml") == STUDY
    assert json.loads((folder / "study.json").read_text())["software"].keys() >= {"conv4rec", "torch"}
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".parquet") == [
        f"{name}.parquet" for name in sorted(NAMES)
    ]


def test_without_theorems_the_table_of_certificates_is_empty_but_typed(folder: Path) -> None:
    tables = runs(replace(STUDY, theorems=()), folder)
    assert tables.certificates.is_empty()
    assert pl.read_parquet(folder / "certificates.parquet").schema == dict(CERTIFICATES)


def test_what_is_finished_is_not_run_again_and_gives_the_same_bytes(folder: Path) -> None:
    runs(STUDY, folder)
    first, before = begun(folder), {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    runs(STUDY, folder)
    assert begun(folder) == first == len(STUDY.parts())
    assert {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()} == before


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lost=st.sets(st.integers(0, 8 * 3 - 1), min_size=1), torn=st.booleans())
def test_whatever_parts_are_lost_or_torn_the_tables_come_out_the_same(
    lost: set[int], torn: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any") / "study"
    whole = runs(STUDY, folder)
    files = sorted((folder / "parts").rglob("*.parquet"))
    assert len(files) == 24
    for place in lost:
        if torn:
            files[place].write_bytes(files[place].read_bytes()[:-9])
        else:
            files[place].unlink()
    parts = {files[place].name for place in lost}
    assert_same(runs(STUDY, folder), whole)
    assert begun(folder) == len(STUDY.parts()) + len(parts)


def test_temporary_files_of_killed_runs_are_neither_read_nor_kept(folder: Path) -> None:
    whole = runs(STUDY, folder)
    part = folder / "parts" / "measures" / STUDY.parts()[0].file_name
    leftovers = [folder / f"{name}.parquet.part" for name in NAMES]
    leftovers += [part.with_name(f"{part.name}.part"), part.with_name("of-another-study.parquet.part")]
    part.unlink()
    for path in leftovers:
        path.write_bytes(b"PAR1")
    (folder / "somebody-elses.part").touch()
    assert_same(runs(STUDY, folder), whole)
    assert [path.name for path in folder.rglob("*.part")] == ["somebody-elses.part"]


def test_an_interrupted_run_keeps_what_was_finished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = [], module.write_bytes

    def interrupted(path: Path, content: bytes) -> Path:
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, content)

    monkeypatch.setattr(module, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs(STUDY, folder)
    assert len(list((folder / "parts").rglob("*.parquet"))) == 7
    assert not (folder / "measures.parquet").exists()
    monkeypatch.setattr(module, "write_bytes", write)
    assert_same(runs(STUDY, folder), runs(STUDY, folder.parent / "other"))
    # Two parts were whole; the third had one of its files.
    assert begun(folder) == 3 + len(STUDY.parts()) - 2


def test_a_study_grows_and_tables_hold_its_own_parts_only(folder: Path) -> None:
    small = replace(STUDY, truths=STUDY.truths[:1], sizes=(1_000,), seeds=(0, 1))
    before = runs(small, folder)
    assert_same(runs(STUDY, folder), runs(STUDY, folder.parent / "other"))
    assert begun(folder) == len(STUDY.parts())
    assert_same(runs(small, folder), before)
    assert begun(folder) == len(STUDY.parts())
    # Other companions in a part make another part.
    assert_same(
        runs(replace(STUDY, seeds=(0, 2)), folder), runs(replace(STUDY, seeds=(0, 2)), folder.parent / "another")
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"delta": 0.1}, r"another delta \(0.05 there, 0.1 here\); parts of two studies do not mix"),
        ({"threads": 2}, "another threads"),
        ({"theorems": ("T5",)}, "another theorems"),
        ({"fits": Settings(starts=2)}, r"another fits.starts \(\d+ there, 2 here\)"),
        ({"truths": (TruthChoice("small", 1),)}, "another truths"),
    ],
)
def test_parts_of_two_studies_do_not_mix(changed: dict[str, Any], words: str, folder: Path) -> None:
    runs(STUDY, folder)
    before = (folder / "study.toml").read_bytes()
    with pytest.raises(InputError, match=words):
        runs(replace(STUDY, **changed), folder)
    assert (folder / "study.toml").read_bytes() == before


def test_parts_of_another_version_are_refused(folder: Path) -> None:
    runs(STUDY, folder)
    path = folder / "study.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps(described | {"software": described["software"] | {"conv4rec": "0.0.1"}}))
    with pytest.raises(InputError, match=r"another software.conv4rec \(0.0.1 there, "):
        runs(STUDY, folder)


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_folder_with_something_else_is_refused(content: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "study.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"study.json does not describe a study"):
        runs(STUDY, folder)


def test_two_runs_at_once_are_refused_and_a_kill_gives_the_folder_back(folder: Path) -> None:
    folder.mkdir()
    code = (
        "import sys, time; from pathlib import Path; from conv4rec_experiments.studies.parts import _locked\n"
        "with _locked(Path(sys.argv[1])):\n    print('locked', flush=True)\n    time.sleep(100)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(InputError, match="Another run is at work in"):
            runs(STUDY, folder)
        other.kill()
    assert len(runs(STUDY, folder).measures) == 12


def test_rows_that_are_not_a_parts_are_a_defect(folder: Path, tmp_path: Path) -> None:
    toy = Toy(tmp_path)

    def loses_a_seed(study: Study, part: Any) -> dict[str, pl.DataFrame]:
        return toy(study, replace(part, seeds=part.seeds[:1]))

    def loses_a_column(study: Study, part: Any) -> dict[str, pl.DataFrame]:
        return {name: frame.drop("size") for name, frame in toy(study, part).items()}

    with pytest.raises(ValueError, match="other seeds"):
        run(STUDY, folder, progress=False, measure=loses_a_seed)
    with pytest.raises(ValueError, match="other columns"):
        run(STUDY, folder, progress=False, measure=loses_a_column)


def test_progress_counts_what_is_there_and_tells_the_time_left(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diary = folder.parent / "diary"
    diary.mkdir()
    run(replace(STUDY, seeds=(0, 1)), folder, measure=Toy(diary))
    run(STUDY, folder, measure=Toy(diary))
    assert capsys.readouterr().out.count("12/12 replicates") == 1
    assert len(list(diary.iterdir())) == 4 + 4


def test_the_real_measure_has_the_same_bits_whoever_computes_it(folder: Path) -> None:
    few = Settings(starts=2, kept=1, screening=5, iterations=10, rounds=1)
    study = replace(STUDY, truths=STUDY.truths[:1], theorems=("T6",), fits=few)
    here = run(study, folder, progress=False)
    there = run(study, folder.parent / "other", workers=2, progress=False)
    assert_same(there, here)
    assert set(here.measures["estimator"]) == {"fit", "histogram", "smoothed"}
    assert (here.measures["tv"] > 0).all()


def test_a_truth_that_cannot_be_made_is_refused_by_name_before_anything_is_computed(tmp_path: Path) -> None:
    bad = TruthChoice("twins", options={"items": 5})
    study = replace(STUDY, truths=(TruthChoice("small"), bad))
    with pytest.raises(InputError, match="The truth twins cannot be made: A profile of 8 items"):
        runs(study, tmp_path / "study")
    assert begun(tmp_path / "study") == 0
    assert not (tmp_path / "study").exists()


def test_a_truth_of_a_file_goes_by_the_name_that_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("user,item\n")
    for options, words in (
        ({"name": "shop"}, r"The truth shop \(from_counts\) cannot be made: .*empty.csv: there are no rows"),
        ({}, r"The truth from_counts cannot be made: .*empty.csv: there are no rows"),
    ):
        with pytest.raises(InputError, match=words):
            TruthChoice("from_counts", options={"path": str(path)} | options).make()


def test_a_script_without_a_guard_gets_one_sentence_and_no_tracebacks_of_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from conv4rec_experiments.studies.parts import run\n"
        "from conv4rec_experiments.studies.study import Study, TruthChoice\n"
        "study = Study('tiny', (TruthChoice('small'),), sizes=(1_000, 2_000), seeds=(0,))\n"
        "run(study, Path('out'), workers=2, progress=False)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1].startswith("conv4rec.errors.InputError: No worker process came to its work")
    assert "under `if __name__ == '__main__':`" in done.stderr
