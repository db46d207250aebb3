"""`bench new-learner`, and what it makes: a package that is installed, checked, run, reported."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import cli
from bench.cli.new_learner import class_name
from bench.errors import BenchError
from bench.testing import CHECKS


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def python(*arguments: str | Path, cwd: Path) -> str:
    command = [sys.executable, "-m", *map(str, arguments)]
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What `bench new-learner demo-means` makes."""
    sys.modules.pop("bench_demo_means", None)  # an earlier test's
    ran = bench("new-learner", "demo-means", "--dir", tmp_path)
    assert ran.exit_code == 0, ran.output
    return tmp_path / "bench-demo-means"


def test_the_package(package):
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {
        "pyproject.toml", "README.md", "bench_demo_means.py", "tests/test_bench_demo_means.py",
    }  # fmt: skip
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["name"] == "bench-demo-means"
    assert project["dependencies"] == ["bench-metalearning"]
    points = project["entry-points"]["bench.learners"]
    assert points == {"demo-means": "bench_demo_means:DemoMeans"}
    for path in package.rglob("*"):
        if path.is_file():
            assert not {"{{", "}}", "{%"} & set(path.read_text().split())


def test_from_nothing_to_the_report(package, put_on_path, tmp_path):
    """Lint, pip, its own tests, `bench check`, and a run beside a built-in learner."""
    python("ruff", "check", "--no-cache", ".", cwd=package)
    python("ruff", "format", "--no-cache", "--check", ".", cwd=package)
    python(
        "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
        "--disable-pip-version-check", "--target", tmp_path / "site", ".", cwd=package,
    )  # fmt: skip
    put_on_path(tmp_path / "site")

    tests = python("pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=package)
    assert f"{len(CHECKS)} passed" in tests

    learner = "demo-means[filters=8]"
    checked = bench("check", learner, "--format", "json")
    assert checked.exit_code == 0, checked.output
    assert {row["status"] for row in json.loads(checked.stdout)} == {"pass"}

    results = tmp_path / "results"
    ran = bench(
        "run", "--suite", "glyphs-5way", "--learner", learner, "--learner",
        "pixel-nearest-neighbour", "--budget", "smoke", "--device", "cpu/1", "--executor",
        "inline", "--results", results,
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    rows = json.loads(bench("results", "--results", results, "--format", "json").stdout)
    assert {(row["learner"], row["setting"], row["status"]) for row in rows} == {
        (name, setting, "done")
        for name in (learner, "pixel-nearest-neighbour")
        for setting in ("5way1shot", "5way5shot")
    }
    assert learner in (results / "report.html").read_text(encoding="utf-8")

    again = bench("new-learner", "demo-means", "--dir", tmp_path / "elsewhere")
    assert isinstance(again.exception, BenchError)
    assert "bench-demo-means has a learner 'demo-means' already" in str(again.exception)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My-Learner", "lower-case"),
        ("my_learner", "lower-case"),
        ("2nd", "lower-case"),
        ("a--b", "lower-case"),
        ("", "lower-case"),
        ("../up", "lower-case"),
        ("prototypical", "bench-metalearning has a learner 'prototypical' already"),
    ],
)
def test_a_wrong_name_is_one_message(name, words, tmp_path):
    ran = bench("new-learner", "--dir", tmp_path, "--", name)
    assert isinstance(ran.exception, BenchError)
    assert words in str(ran.exception)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_kept(package):
    learner = package / "bench_demo_means.py"
    learner.write_text("# mine\n")
    ran = bench("new-learner", "demo-means", "--dir", package.parent)
    assert isinstance(ran.exception, BenchError)
    assert "exists already" in str(ran.exception)
    assert learner.read_text() == "# mine\n"


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path):
    (tmp_path / "file").touch()
    ran = bench("new-learner", "demo-means", "--dir", tmp_path / "file" / "below")
    assert isinstance(ran.exception, BenchError)
    assert "choose another --dir" in str(ran.exception)


def test_a_module_that_is_installed_is_not_shadowed(put_on_path, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "bench_taken.py").touch()
    put_on_path(tmp_path / "site")
    ran = bench("new-learner", "taken", "--dir", tmp_path)
    assert isinstance(ran.exception, BenchError)
    assert "'bench_taken' is installed already" in str(ran.exception)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lasso", "Lasso"),
        ("my-2nd-learner", "My2ndLearner"),
        ("learner", "LearnerLearner"),  # the contract's own name
        ("none", "NoneLearner"),  # a keyword
        ("exception", "ExceptionLearner"),  # a builtin
    ],
)
def test_class_names(name, expected, tmp_path):
    assert class_name(name) == expected
    assert bench("new-learner", name, "--dir", tmp_path).exit_code == 0
    module = tmp_path / f"bench-{name}" / f"bench_{name.replace('-', '_')}.py"
    tree = ast.parse(module.read_text())
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == [expected]
