"""The house rules that a machine can hold: the ground plan, the direction of imports, and a wheel that has it all."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINGS = {
    "conv4rec_bounds": ROOT / "bounds" / "conv4rec_bounds",
    "conv4rec": ROOT / "model" / "conv4rec",
    "conv4rec_experiments": ROOT / "experiments" / "conv4rec_experiments",
}
FORBIDDEN = {
    "conv4rec_bounds": {"conv4rec", "conv4rec_experiments", "torch", "matplotlib", "polars", "pandas", "typer", "rich"},
    "conv4rec": {"conv4rec_bounds", "conv4rec_experiments", "matplotlib", "sympy", "flint", "typer"},
    "conv4rec_experiments": set(),
}


def imported_packages(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("wing", WINGS)
def test_no_wing_imports_what_it_may_not(wing: str) -> None:
    files = sorted(WINGS[wing].rglob("*.py"))
    assert files
    for file in files:
        assert not imported_packages(file.read_text(encoding="utf-8")) & FORBIDDEN[wing], file


def test_a_forbidden_import_would_be_seen() -> None:
    assert imported_packages("def f():\n    from conv4rec.network import Network\n    import torch.nn as nn\n") == {
        "conv4rec",
        "torch",
    }


def test_the_top_level_is_the_ground_plan() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    plan = {"bounds", "model", "experiments", "tests", "docs", "pyproject.toml", "README.md", "Makefile", "LICENSE"}
    assert {name for name in top if not name.startswith(".")} == plan


@pytest.mark.parametrize("wing", WINGS)
def test_every_wing_is_light_to_import(wing: str) -> None:
    heavy = {"conv4rec_bounds": {"torch", "matplotlib", "polars"}}.get(wing, {"torch", "sympy", "matplotlib", "polars"})
    code = f"import sys, {wing}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_lacks_no_part(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    for name, folder in WINGS.items():
        for file in folder.rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert f"{name}/{file.relative_to(folder).as_posix()}" in packed
    assert any(name.endswith("entry_points.txt") for name in packed)


def test_the_wheel_runs_elsewhere(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site')\n"
        "import conv4rec, conv4rec_bounds, conv4rec_experiments\n"
        "assert all('site' in module.__file__ for module in (conv4rec, conv4rec_bounds, conv4rec_experiments))\n"
        "from conv4rec_experiments.cli import main\n"
        "sys.argv = ['conv4rec', '--help']\n"
        "main()\n"
    )
    command = [sys.executable, "-P", "-c", code]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    for command_name in ("demo", "train", "certify", "plan", "study", "profile", "recommend", "gems", "explain"):
        assert command_name in shown
