"""What a report lacks, said where a reader looks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.report import write_report
from bench.report.unmeasured import unmeasured
from bench.results.boards import boards
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell


def sentences(root: Path) -> list[str]:
    return unmeasured(boards(read_results(root).rows)).sentences()


def test_cells_seeds_and_timings_are_named(tmp_path: Path) -> None:
    for setting in ("5way1shot", "5way5shot", "5way10shot"):
        write_cell(tmp_path, "a", setting=setting, timed={"cpu": 0.1})
    for name in ("b", "c"):
        write_cell(tmp_path, name)
    write_cell(tmp_path, "a", seed=1)
    write_cell(tmp_path, "a", seed=2)
    write_cell(tmp_path, "a", suite="untimed")
    assert sentences(tmp_path) == [
        "glyphs-5way, 5way5shot and 5way10shot, budget standard: no cell of b and c.",
        "glyphs-5way, 5way1shot, budget standard: b and c lack seeds 1-2.",
        "untimed, 5way1shot, budget standard: nobody is timed.",
    ]


def test_another_budget_is_another_question(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", timed={"cpu": 0.1})
    write_cell(tmp_path, "b", setting="5way5shot", budget="smoke", timed={"cpu": 0.1})
    assert sentences(tmp_path) == []


def write_version(root: Path, version: int, learner: str, **changes: Any) -> None:
    """A cell in a folder of its own; the version is no part of a cell's name here."""
    folder = write_cell(root, learner, suite_version=version, **changes)
    folder.rename(folder.with_name(f"v{version}-{folder.name}"))


def test_another_version_of_a_suite_is_another_question(tmp_path: Path) -> None:
    """Each is told by its name, and neither lacks what only the other has."""
    write_version(tmp_path, 1, "maml")
    for learner in ("maml", "snail"):
        write_version(tmp_path, 2, learner)
    write_cell(tmp_path, "maml", suite="one")
    assert sentences(tmp_path) == [
        "glyphs-5way v1, 5way1shot, budget standard: nobody is timed.",
        "glyphs-5way v2, 5way1shot, budget standard: nobody is timed.",
        "one, 5way1shot, budget standard: nobody is timed.",
    ]


def test_what_a_version_lacks_is_told_of_that_version(tmp_path: Path) -> None:
    timed = {"timed": {"cpu": 0.1}}
    for version in (1, 2):
        write_version(tmp_path, version, "maml", **timed)
        write_version(tmp_path, version, "maml", setting="5way5shot", **timed)
        write_version(tmp_path, version, "snail", **timed)
    write_version(tmp_path, 1, "snail", setting="5way5shot", **timed)
    write_version(tmp_path, 2, "maml", seed=1, **timed)
    assert sentences(tmp_path) == [
        "glyphs-5way v2, 5way5shot, budget standard: no cell of snail.",
        "glyphs-5way v2, 5way1shot, budget standard: snail lacks seed 1.",
    ]


def test_the_page_lists_it(tmp_path: Path) -> None:
    write_cell(tmp_path, "a")
    (page,) = write_report(tmp_path, formats=["html"])
    text = page.read_text(encoding="utf-8")
    assert '<a href="#missing">What is missing</a>' in text
    assert "nobody is timed" in text
