"""All figures of a study: which are drawn, from which tables."""

from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from conv4rec_experiments.figures import studies
from conv4rec_experiments.figures.studies import draw_study
from toy_tables import ALL, Tables, toy_tables

T6 = [row for row in ALL if row[0] == "T6"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the files that would be drawn."""

    def named(*arguments: object) -> list[Path]:
        stem = arguments[-1]
        assert isinstance(stem, Path)
        return [stem]

    for name in vars(studies).copy():
        if name.startswith("draw_") and name != "draw_study":
            monkeypatch.setattr(studies, name, named)


def names(tables: Tables) -> set[str]:
    return {path.name for path in draw_study(tables, Path("figures"))}


@pytest.mark.usefixtures("quick")
def test_a_study_over_sizes() -> None:
    tables = toy_tables(truths=(("small", 0), ("twins", 1)), sizes=(100, 1_000), seeds=2, certificates=T6)
    each = {f"{kind}_{truth}" for kind in ("convergence", "tightness", "groups") for truth in ("small_0", "twins_1")}
    assert names(tables) == each | {"coverage", "slopes"}


@pytest.mark.usefixtures("quick")
def test_a_study_of_coverage_and_stress() -> None:
    samplings = ("independent", "without replacement")
    tables = toy_tables(samplings=samplings, sizes=(100,), seeds=2, certificates=T6)
    groups = {"groups_reference_0", "groups_reference_0_without-replacement"}
    assert names(tables) == groups | {"coverage", "tightness", "stress_reference_0"}


@pytest.mark.usefixtures("quick")
def test_a_study_of_protocols() -> None:
    protocols = ("fixed profile", "self-reconstruction")
    tables = toy_tables(protocols=protocols, sizes=(100, 1_000), seeds=2, certificates=[])
    each = {f"{kind}_reference_0" for kind in ("convergence", "groups")}
    assert names(tables) == each | {f"{name}_self-reconstruction" for name in each} | {
        "slopes",
        "protocols_reference_0",
    }


def test_the_files_are_there(tmp_path: Path, drawn: list[Figure]) -> None:
    tables = toy_tables(sizes=(100, 1_000), seeds=2, certificates=T6)
    paths = draw_study(tables, tmp_path / "new")
    assert len(paths) == len(set(paths)) == 3 * len(drawn) == 15
    assert all(path.stat().st_size > 100 for path in paths)


def test_certificates_that_are_all_refused_make_no_figure(tmp_path: Path) -> None:
    tables = toy_tables(sizes=(100,), seeds=2, certificates=[row for row in ALL if row[0] == "T11"])
    assert tables.certificates["bound"].null_count() == 2
    tables = Tables(tables.measures, tables.certificates, tables.groups.filter(pl.lit(False)))
    assert draw_study(tables, tmp_path) == []
