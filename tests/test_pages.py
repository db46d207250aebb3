"""What the pages under docs/ say is true: figures, commands, links, tables, names.

tests/test_docs.py runs their code blocks.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import tomllib
import zlib
from pathlib import Path

import click
import numpy as np
import pytest

import bench
from bench.planning.plan import choose_suites
from bench.registry.contestants import contestants
from bench.registry.installed import learners
from bench.results.table import COLUMNS
from tests.helpers.made_parts import PART, pages, renewed
from tests.helpers.pages import (
    ROOT,
    commands,
    fences,
    name_in,
    parse,
    reference_cells,
    reference_commands,
    rows_below,
    stored,
)
from tests.helpers.public_names import MODULES, documented, missing, public_names

DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in pages()}
POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
REFERENCE = PAGES["reference-results.md"]
REFERENCE_CELLS = ROOT / "results" / "reference" / "cells"
each_page = pytest.mark.parametrize("page", PAGES)


# -- figures --------------------------------------------------------------------------------------


@each_page
def test_made_parts_are_what_they_would_be_now(page):
    assert PAGES[page] == renewed(PAGES[page]), "run: python -m tests.helpers.made_parts"


def test_a_wrong_figure_in_a_made_part_is_noticed():
    page = PAGES["learners/prototypical.md"]
    assert "98.4 ± 0.2 %" in page
    assert renewed(page.replace("98.4 ± 0.2 %", "98.5 ± 0.2 %")) == page


def test_timings_of_the_reference_are_of_the_code_of_their_results():
    cells = [path.parents[1] for path in REFERENCE_CELLS.glob("*/*/*/timings/*.json")]
    assert len(cells) > 200
    for cell in cells:
        code = {
            json.loads(path.read_bytes())["source"]
            for path in (cell / "result.json", *cell.glob("timings/*.json"))
        }
        assert len(code) == 1, cell


def test_presentations_are_the_stored_ones():
    rows = rows_below(REFERENCE, "<!-- made: presentations omniglot-online -->")
    assert len(rows) >= 6
    for name, *said, _, _ in rows:
        cells = stored("omniglot-online", "5way10times", name_in(name))
        seeds = np.array([[p["mean"] for p in cell["by_presentation"]] for cell in cells])
        for place, figures in zip((1, 2, 5, 10), said, strict=True):
            own = 100 * seeds[:, place - 1]
            shown = [own.mean(), own.min(), own.max()][: 1 if len(own) == 1 else None]
            assert re.findall(r"[\d.]+", figures) == [f"{figure:.1f}" for figure in shown], name


@pytest.mark.parametrize(
    ("heading", "suite", "unit", "learners_shown"),
    [
        ("The memory probe `copy`", "copy", "length", 3),
        ("The memory probe `associative-recall`", "associative-recall", "items", 4),
    ],
)
def test_wrong_bits_are_the_stored_ones(heading, suite, unit, learners_shown):
    head = REFERENCE[REFERENCE.index(heading) :].split("\n\n")[1].splitlines()[0]
    sizes = re.findall(r"\d+", head)
    rows = rows_below(REFERENCE, heading)
    rows = [row for row in rows if row[0].count("`") == 2 and row[0].endswith("`")]
    assert len(rows) == learners_shown
    for name, *said in rows:
        for size, figure in zip(sizes, said, strict=True):
            (cell,) = stored(suite, f"{unit}{size}", name_in(name))
            wrong = cell["metrics"]["bit_errors"]["mean"]
            assert float(figure) == float(f"{wrong:.2g}" if wrong < 100 else f"{wrong:.0f}"), name


# -- learners' pages ------------------------------------------------------------------------------


SECTIONS = ["The paper", "The authors' code", "What we do", "Deviations, and why", "Options"]


def page_of(learner: str) -> str:
    return f"learners/{'learn2learn' if learner.endswith('-l2l') else learner}.md"


@pytest.mark.parametrize("name", POINTS["bench.learners"])
def test_a_built_in_learner_has_a_page(name):
    assert page_of(name) in PAGES, "write it: docs/learners/template.md is what to copy"
    page = PAGES[page_of(name)]
    assert re.search(rf"^# .*\b{name}\b", page)
    made = {(kind, learner) for _, kind, learner, _ in PART.findall(page)}
    assert ("results", name) in made
    for section in SECTIONS:
        assert f"\n## {section}\n" in page, section
    if name in learners().things:  # learn2learn's need the library
        assert ("options", name) in made or name.endswith("-l2l")
        plain = " ".join(page.split())
        for reference in learners().get(name).references:
            assert reference in plain, reference


def test_every_reference_result_is_on_its_learners_page():
    for cell in reference_cells():
        assert (ROOT / "docs" / page_of(cell["learner_name"])).exists()
    said = {command for page in PAGES.values() for command in commands(page)}
    assert set(reference_commands()) <= said


def test_every_built_in_learner_and_suite_is_in_a_table():
    rows = set(re.findall(r"^\| \[`(.+?)`\]", PAGES["learners/index.md"], re.MULTILINE))
    assert rows == set(POINTS["bench.learners"])
    rows = set(re.findall(r"^\| `(.+?)` \|", PAGES["running.md"], re.MULTILINE))
    assert rows == {path.stem for path in (ROOT / "bench" / "suites").glob("*.toml")}


# -- commands, code, files ------------------------------------------------------------------------

OF_THE_READER = re.compile(r"my-|/|closed-form|package\.module|theirs|before|\.toml|letters-3way")
"""In commands on what a reader has made: only their options are looked at."""


@each_page
def test_commands_exist(page):
    for line in commands(PAGES[page]):
        try:
            options = parse(line).params
        except click.exceptions.Exit:
            assert line.endswith("--help")
            continue
        if not OF_THE_READER.search(line):
            choose_suites(options.get("suites", ()))
            missing_ones = {p.name for p in learners().problems if p.install}
            specs = [spec for spec in options.get("learners", ()) if spec not in missing_ones]
            contestants(specs, learners())


def test_python_snippet_uses_what_exists():
    (snippet,) = [text for _, text in fences(PAGES["running.md"]) if "bench.run(" in text]
    calls = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Call)]
    for call in calls:
        if ast.unparse(call.func).startswith("bench."):
            function = getattr(bench, call.func.attr)
            keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            inspect.signature(function).bind(*map(ast.literal_eval, call.args), **keywords)
    (columns,) = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.List)][-1:]
    assert set(ast.literal_eval(columns)) <= set(COLUMNS)


@each_page
def test_files_that_are_named_exist(page):
    for name in re.findall(r"`((?:bench|plugins|tests|docs)/[\w/.-]+)`", PAGES[page]):
        assert (ROOT / name).exists(), name


def test_bench_run_is_followed_through_functions_that_exist():
    rows = re.findall(r"\| `(bench/[\w/]+\.py)` \| `(\w+)` \|", PAGES["architecture.md"])
    assert len(rows) == 6 + 4
    for path, function in rows:
        tree = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        names = {node.name for node in tree if isinstance(node, ast.FunctionDef)}
        assert function in names, f"{path}: {function}"


LINK = re.compile(r"\[[^\]]+\]\(([^)#]*)(?:#([^)]+))?\)")


@each_page
def test_links_lead_somewhere(page):
    for path, heading in LINK.findall(PAGES[page]):
        if path.startswith("http"):
            continue
        target = (DOCS / page).parent / path if path else DOCS / page
        assert target.exists(), path
        if heading and "reference" not in target.parts:  # there headings are made from code
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
            assert heading in anchors, f"{path}#{heading}"


def test_every_page_is_in_the_sites_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert {page for page in PAGES if page not in menu} == set()


# -- the reference --------------------------------------------------------------------------------


def test_every_public_name_is_on_a_page():
    """mkdocstrings shows all public names of a module that a page names; see docs/hooks.py."""
    text = "\n".join(text for page, text in PAGES.items() if page.startswith("reference/"))
    shown = dict(re.findall(r"^::: ([\w.]+)((?:\n .*)*)", text, re.MULTILINE))
    for module in MODULES:
        assert module in shown, module
        listed = re.search(r"members: \[(.+)\]", shown[module])
        names = {name.rpartition(".")[2] for name in public_names(module)}
        assert listed is None or set(listed[1].split(", ")) == names, module


def inventory(names: set[str]) -> bytes:
    lines = "".join(f"{name} py:class 1 page/#$ -\n" for name in sorted(names))
    return b"# 1\n# 2\n# 3\n# 4\n" + zlib.compress(lines.encode())


def test_a_name_that_is_on_no_page_is_noticed():
    names = set().union(*map(public_names, MODULES))
    assert {"bench.run", "bench.api.Learner", "bench.store.records.CellResult"} <= names
    assert documented(inventory(names)) == names
    assert missing(inventory(names)) == []
    assert missing(inventory(names - {"bench.api.Learner"})) == ["bench.api.Learner"]


def test_the_docs_environment_has_what_the_extra_has():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {re.split(r"[>=]", text)[0] for text in project["optional-dependencies"]["docs"]}
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    section = tox[tox.index("[testenv:docs]") :].split("\n\n")[0]
    deps = section[section.index("deps =") : section.index("set_env")]
    assert set(deps.split()[2:]) == extra
    assert Path(DOCS / "hooks.py").exists()
