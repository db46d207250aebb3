"""What the README shows is true: its commands exist, its example learner runs."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

import bench
from bench.cli import cli
from bench.planning.plan import choose_suites
from bench.registry.contestants import contestants
from bench.registry.installed import learners
from bench.results.table import COLUMNS
from tests.helpers.coloured_shapes import write_folder

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL_LINES = [line for language, block in BLOCKS if not language for line in block.splitlines()]
COMMANDS = sorted(
    {line.rpartition("&& ")[2] for line in SHELL_LINES if "bench " in line.rpartition("&& ")[2]}
    | set(re.findall(r"`(bench \w+ [^`]+)`", README))
)
VERBS = sorted(set(re.findall(r"`bench (\w+)`", README)))
SUITE = next(block for language, block in BLOCKS if "my-suite.toml" in block and language)
FIRST = "bench run --suite glyphs-5way --budget smoke"


def parse(line: str) -> click.Context:
    """What a command line means; raises a click exception for a wrong one."""
    _, *words = shlex.split(line, comments=True)
    command: click.Command = cli
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(click.Context(command), words)
    return command.make_context(line, words)


@pytest.mark.parametrize("line", COMMANDS)
def test_command_exists(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-suite.toml").write_text(SUITE, encoding="utf-8")
    try:
        options = parse(line).params
    except click.exceptions.Exit:  # --help
        assert "--help" in line
        return
    choose_suites(options.get("suites", ()))
    absent = {"ridge", *(problem.name for problem in learners().problems if problem.install)}
    specs = [spec for spec in options.get("learners", ()) if spec not in absent]
    contestants(specs, learners())


def test_the_suite_of_the_readme_fits_a_folder_of_images(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "my-suite.toml").write_text(SUITE, encoding="utf-8")
    write_folder(tmp_path / "images")
    with pytest.raises(SystemExit) as ended:
        cli(["check", str(tmp_path / "my-suite.toml")])
    assert ended.value.code == 0


@pytest.mark.parametrize("verb", VERBS)
def test_verb_exists(verb):
    assert verb in cli.commands


def test_commands_are_found():
    """The patterns above see the page."""
    assert FIRST in COMMANDS
    assert len(COMMANDS) > 15
    with pytest.raises(click.UsageError):
        parse("bench run --suite glyphs-5way --no-such-option")


def test_the_two_commands_are_what_ci_pastes():
    """`.ci/run` takes them from the page by this prefix."""
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2
    assert lines[0].endswith("pip install -c constraints.txt . && " + FIRST)
    assert lines[1].endswith("pip install -c constraints.txt tox && tox")


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the table that follows a sentence."""
    table = README[README.index(heading) :].split("\n\n")[1]
    return [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]


def stored(suite: str, setting: str, learner: str) -> list[dict[str, Any]]:
    """Reference results, whatever their budget."""
    paths = (ROOT / "results" / "reference" / "cells" / suite / setting).glob("*/result.json")
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [cell for cell in cells if cell["learner"] == learner]


def name_in(text: str) -> str:
    return text.split("`")[1]


def test_accuracies_are_the_stored_ones():
    rows = rows_below("Omniglot, 5-way, accuracy in percent")
    assert len(rows) == 16
    for name, family, *told, precision in rows:
        for setting, figure in zip(("5way1shot", "5way5shot"), told, strict=True):
            found = stored("omniglot-5way", setting, name_in(name))
            (cell,) = [cell for cell in found if cell["budget"] in {"standard", "none"}]
            accuracy = cell["metrics"]["accuracy"]
            assert figure == f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['ci95']:.1f}", name
            assert (family, precision) == (cell["family"], cell["precision"]), name


def test_longer_trainings_are_the_stored_ones():
    (sentence,) = re.findall(r"After two million images (.+?\.)\n", README)
    told = re.findall(r"`(.+?)` is at (.+? ± .+?) in (\d)-shot", sentence)
    assert len(told) == 2
    for learner, figure, shots in told:
        found = stored("omniglot-5way", f"5way{shots}shot", learner)
        (cell,) = [cell for cell in found if cell["budget"] == "2000000examples"]
        accuracy = cell["metrics"]["accuracy"]
        assert figure == f"{100 * accuracy['mean']:.1f} ± {100 * accuracy['ci95']:.1f}"


def test_presentations_are_the_stored_ones():
    rows = [row for row in rows_below("Omniglot, online, 5 classes, accuracy") if "`" in row[0]]
    assert len(rows) >= 6
    for name, *told, encoder, images in rows:
        own = name_in(name)
        found = [
            cell
            for learner in (own, f"{own}[encoder={encoder}]")
            for cell in stored("omniglot-online", "5way10times", learner)
        ]
        (cell,) = [cell for cell in found if f"{cell['examples']:,}" == images]
        figures = [cell["by_presentation"][k - 1]["mean"] for k in (1, 2, 5, 10)]
        assert told == [f"{100 * figure:.1f}" for figure in figures], name
        assert encoder == cell["config"]["encoder"]


@pytest.mark.parametrize(
    ("heading", "suite", "unit", "learners_shown"),
    [
        ("The memory probe `copy`", "copy", "length", 2),
        ("The memory probe `associative-recall`", "associative-recall", "items", 2),
    ],
)
def test_wrong_bits_are_the_stored_ones(heading, suite, unit, learners_shown):
    head = README[README.index(heading) :].split("\n\n")[1].splitlines()[0]
    sizes = re.findall(r"\d+", head)
    rows = [row for row in rows_below(heading) if row[0].count("`") == 2 and row[0].endswith("`")]
    assert len(rows) == learners_shown
    for name, *told in rows:
        for size, figure in zip(sizes, told, strict=True):
            (cell,) = stored(suite, f"{unit}{size}", name_in(name))
            wrong = cell["metrics"]["bit_errors"]["mean"]
            assert float(figure) == float(f"{wrong:.2g}" if wrong < 100 else f"{wrong:.0f}"), name


def test_every_built_in_learner_and_suite_is_in_a_table():
    rows = set(re.findall(r"^\| `(.+?)` \|", README, re.MULTILINE))
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    suites = {path.stem for path in (ROOT / "bench" / "suites").glob("*.toml")}
    assert rows == {*points["bench.learners"], *suites}


def test_python_snippet_uses_what_exists():
    (snippet,) = [text for language, text in BLOCKS if language == "python" and "bench.run" in text]
    calls = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Call)]
    for call in calls:
        if ast.unparse(call.func).startswith("bench."):
            function = getattr(bench, call.func.attr)
            keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            inspect.signature(function).bind(*map(ast.literal_eval, call.args), **keywords)
    (columns,) = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.List)][-1:]
    assert set(ast.literal_eval(columns)) <= set(COLUMNS)


@pytest.fixture
def example_package(tmp_path: Path) -> Path:
    """A folder with the README's package as pip would install it."""
    named = {text.partition("\n")[0].removeprefix("# "): text for _, text in BLOCKS}
    project = tomllib.loads(named["pyproject.toml"])
    (module,) = project["tool"]["setuptools"]["py-modules"]
    name, version = project["project"]["name"], project["project"]["version"]
    info = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["project"]["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
            for group, points in groups.items()
        )
    )
    (info.parent / f"{module}.py").write_text(named[f"{module}.py"], encoding="utf-8")
    return info.parent


def test_example_learner_runs_in_both_protocols(example_package, tiny_suite, tiny_online, tmp_path):
    """From nothing but the page: found, meta-trained, tested, and better than chance."""
    folders = [str(example_package), *os.environ["PYTHONPATH"].split(os.pathsep)]

    def run(*words: str) -> str:
        command = [sys.executable, "-c", "from bench.cli import main; main()", *words]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
        ended = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    suites = ["--suite", str(tiny_suite), "--suite", str(tiny_online)]
    run("run", *suites, "--learner", "ridge", "--budget", "smoke", "--device", "cpu/1")
    rows = json.loads(run("results", "--format", "json"))
    assert len(rows) == 3
    for row in rows:
        assert (row["learner"], row["family"]) == ("ridge", "optimization-based")
        assert row["status"] == "done"
        assert row["accuracy"] - row["accuracy_ci95"] > 1 / row["ways"]


def test_example_learner_is_about_twenty_lines():
    (text,) = [text for _, text in BLOCKS if text.startswith("# bench_ridge.py")]
    body = text[text.index("class ") :].splitlines()
    assert len([line for line in body if line.strip()]) <= 20
