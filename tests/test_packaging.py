"""What is installed is what the tree holds, and `bench --help` is quick."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import bench
from bench.api import MissingRequirementError

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
FOLDERS = SETUPTOOLS["package-dir"]  # import name -> folder


def tree(suffix: str = "") -> list[tuple[str, Path]]:
    """(top package, path below its folder) of every file of the packages."""
    return [
        (name, path.relative_to(ROOT / folder))
        for name, folder in FOLDERS.items()
        for path in sorted((ROOT / folder).rglob(f"*{suffix}"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


def test_every_folder_with_code_is_a_listed_package():
    in_tree = {".".join([name, *path.parts[:-1]]) for name, path in tree(".py")}
    assert sorted(SETUPTOOLS["packages"]) == sorted(in_tree)
    have_init = {".".join([name, *p.parts[:-1]]) for name, p in tree(".py") if p.stem == "__init__"}
    assert have_init == in_tree


def test_every_other_file_is_package_data():
    globs = {(name, glob) for name, globs in SETUPTOOLS["package-data"].items() for glob in globs}
    used, missed = set(), []
    for name, path in tree():
        matching = {(n, glob) for n, glob in globs if n == name and path in glob_of(name, glob)}
        used |= matching
        if path.suffix != ".py" and not matching:
            missed.append(f"{name}/{path}")
    assert missed == []
    assert globs - used == set()  # none that matches nothing


def glob_of(name: str, glob: str) -> set[Path]:
    folder = ROOT / FOLDERS[name]
    return {path.relative_to(folder) for path in folder.glob(glob)}


def test_the_installed_packages_are_complete():
    """In tox the wheel is installed: what it lacks fails here."""
    missing = [
        f"{name}/{path}" for name, path in tree() if not files(name).joinpath(path).is_file()
    ]
    assert missing == []


def test_building_a_wheel_prints_no_warnings(tmp_path):
    """Folders of data are not taken for packages that somebody forgot to list."""
    source = tmp_path / "source"
    source.mkdir()
    for name in (*FOLDERS.values(), "pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*command, "--no-index", "--wheel-dir", tmp_path, source],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "Successfully built" in built.stdout
    printed = built.stdout + built.stderr
    assert [line for line in printed.splitlines() if "Warning:" in line or "absent" in line] == []
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{name}/{path}" for name, path in tree()} <= names


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def test_one_version():
    assert PROJECT["version"] == bench.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE)[1] == bench.__version__


@pytest.mark.parametrize("group", PROJECT["entry-points"])
def test_entry_points_load(group):
    """Or say what they need."""
    for name, value in PROJECT["entry-points"][group].items():
        with suppress(MissingRequirementError):
            assert EntryPoint(name, value, group).load() is not None


def test_the_command_line_is_an_entry_point():
    module, _, function = PROJECT["scripts"]["bench"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_every_direct_dependency_is_pinned_within_its_range():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[name] = version
    extras = PROJECT["optional-dependencies"].values()
    direct = [Requirement(text) for text in sum(extras, PROJECT["dependencies"])]
    assert {requirement.name for requirement in direct} == set(pins)
    for requirement in direct:
        assert pins[requirement.name] in requirement.specifier, requirement


def test_help_is_quick():
    """Processor time, which other processes do not change; the best of five."""
    command = [Path(sysconfig.get_path("scripts"), "bench"), "--help"]
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert "bench run --suite" in told
    assert min(seconds) < 0.5


def test_help_of_every_command_imports_nothing_heavy():
    code = """if True:
        import sys
        import click
        from bench.cli import cli

        def visit(command, words):
            command.main([*words, "--help"], "bench", standalone_mode=False)
            for name, inner in getattr(command, "commands", {}).items():
                visit(inner, words)

        visit(cli, [])
        print("IMPORTED", *{"torch", "numpy", "pandas", "matplotlib", "scipy"} & {*sys.modules})
    """
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.count("Usage:") > 5
    assert told.stdout.splitlines()[-1].split() == ["IMPORTED"]
