"""What the README shows is true: its commands exist, its figures are stored, its learner runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bench.planning.plan import choose_suites
from bench.registry.contestants import contestants
from bench.registry.installed import learners
from tests.helpers.pages import ROOT, commands, fences, name_in, parse, rows_below, stored

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = "bench run --suite glyphs-5way --budget smoke"


@pytest.mark.parametrize("line", commands(README))
def test_command_exists(line):
    options = parse(line).params
    choose_suites(options.get("suites", ()))
    contestants(options.get("learners", ()), learners())


def test_commands_are_found():
    """The patterns see the page, and a wrong one is noticed."""
    assert FIRST in commands(README)
    assert len(commands(README)) >= 5
    with pytest.raises(click.UsageError):
        parse("bench run --suite glyphs-5way --no-such-option")


def test_the_two_commands_are_what_ci_pastes():
    """`.ci/run` takes them from the page by this prefix."""
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert len(lines) == 2
    assert lines[0].endswith("pip install -c constraints.txt . && " + FIRST)
    assert lines[1].endswith("pip install -c constraints.txt tox && tox")


def test_it_is_read_in_five_minutes():
    assert len(README.splitlines()) < 170


def test_accuracies_are_the_stored_ones():
    rows = rows_below(README, "Omniglot, 5-way, accuracy in percent")
    assert len(rows) == 9
    for name, family, *figures, seeds in rows:
        counts = []
        for setting, figure in zip(("5way1shot", "5way5shot"), figures, strict=True):
            cells = stored("omniglot-5way", setting, name_in(name))
            means = sorted(100 * cell["metrics"]["accuracy"]["mean"] for cell in cells)
            spread = f" ({means[0]:.1f} to {means[-1]:.1f})" if len(means) > 1 else ""
            assert figure == f"{sum(means) / len(means):.1f}{spread}", name
            counts.append(str(len(means)))
            for cell in cells:
                assert (family, cell["precision"]) == (cell["family"], "fp32"), name
                assert cell["config"].get("encoder", "conv4") == "conv4", name
        assert seeds == "; in 5-shot ".join(dict.fromkeys(counts)), name


def test_the_map_has_every_package():
    (block,) = [text for _, text in fences(README) if text.startswith("bench/\n")]
    mapped = re.findall(r"^  (\w+)/  ", block, re.MULTILINE)
    packages = [path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")]
    assert sorted(mapped) == sorted(packages)


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    assert len(links) > 8
    for link in links:
        assert (ROOT / link).exists(), link


def test_the_citation_names_this_version():
    import bench

    assert "(CITATION.cff)" in README
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {bench.__version__}\n" in citation


# -- the learner ----------------------------------------------------------------------------------

FILE = "bench_closed_form.py"


def example() -> str:
    (text,) = [text for _, text in fences(README) if text.startswith(f"# {FILE}\n")]
    return text


@pytest.fixture
def example_package(tmp_path: Path) -> Path:
    """A folder with the README's learner as pip would install it."""
    info = tmp_path / "site" / "bench_closed_form-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: bench-closed-form\nVersion: 0.1.0\n"
    )
    points = "[bench.learners]\nclosed-form = bench_closed_form:ClosedForm\n"
    (info / "entry_points.txt").write_text(points)
    (info.parent / FILE).write_text(example(), encoding="utf-8")
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
    run("run", *suites, "--learner", "closed-form", "--budget", "smoke", "--device", "cpu/1")
    rows = json.loads(run("results", "--format", "json"))
    assert len(rows) == 3
    for row in rows:
        assert (row["learner"], row["family"]) == ("closed-form", "optimization-based")
        assert row["status"] == "done"
        assert row["accuracy"] - row["accuracy_ci95"] > 1 / row["ways"]


def test_example_learner_is_about_twenty_lines():
    text = example()
    body = text[text.index("class ") :].splitlines()
    assert len([line for line in body if line.strip()]) <= 20
