"""The overview: learners by settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report import write_report
from bench.report.matrix import TINTS, Cell, Matrix, matrix
from bench.results.boards import boards
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell, write_probe


def made(root: Path, *controls: str, whole: bool = False) -> Matrix:
    return matrix(boards(read_results(root).rows), controls, whole=whole)


def cells(found: Matrix) -> dict[str, list[Cell]]:
    return {row.learner: row.cells for row in found.rows}


def test_a_row_a_learner_a_column_a_setting(tmp_path: Path) -> None:
    for suite in ("omniglot-5way", "glyphs-5way"):
        write_cell(tmp_path, "a", suite=suite, accuracy=0.9)
    write_cell(tmp_path, "b", "model-based", suite="glyphs-5way", accuracy=0.7)
    found = made(tmp_path)
    assert [(head.suite, head.setting, head.budget) for head in found.heads] == [
        ("glyphs-5way", "5way1shot", ""), ("omniglot-5way", "5way1shot", ""),
    ]  # fmt: skip
    assert found.groups == [("glyphs-5way", 1), ("omniglot-5way", 1)]
    assert {family: [row.learner for row in rows] for family, rows in found.families.items()} == {
        "model-based": ["b"], "metric-based": ["a"],
    }  # fmt: skip
    assert [cell.state for cell in cells(found)["b"]] == ["done", "absent"]
    first, alone = cells(found)["a"]
    assert first.text.startswith(("89.", "90."))
    assert float(first.half) > 0
    assert (first.best, first.tint) == (True, TINTS - 1)
    assert (alone.best, alone.tint) == (False, None)  # nothing to compare with
    assert cells(found)["b"][0].tint == 0


def test_what_is_missing_and_what_guesses_is_said(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", accuracy=0.9)
    write_cell(tmp_path, "a", seed=1, status="failed")
    write_cell(tmp_path, "guesses", accuracy=0.2)
    write_cell(tmp_path, "fails", status="failed")
    write_cell(tmp_path, "begun", status="unfinished")
    found = cells(made(tmp_path))
    assert found["a"][0].seeds == "1 of 2"
    assert not found["a"][0].chance
    assert found["guesses"][0].chance
    assert (found["fails"][0].state, found["fails"][0].text) == ("failed", "failed")
    assert found["begun"][0].state == "unfinished"


def test_a_column_that_is_not_ranked_has_no_best_and_no_tints(tmp_path: Path) -> None:
    """One of two seeds is missing where the figure is the highest, and nowhere on glyphs."""
    for suite in ("glyphs-5way", "omniglot-5way"):
        write_cell(tmp_path, "lucky", suite=suite, accuracy=0.95)
        write_cell(tmp_path, "steady", suite=suite, accuracy=0.8)
    write_cell(tmp_path, "lucky", suite="omniglot-5way", seed=1, status="failed")
    found = made(tmp_path)
    assert [head.suite for head in found.heads] == ["glyphs-5way", "omniglot-5way"]
    glyphs, omniglot = zip(*cells(found).values(), strict=True)
    assert [(cell.best, cell.tint) for cell in omniglot] == [(False, None)] * 2
    assert [(cell.best, cell.tint) for cell in glyphs] == [(True, TINTS - 1), (False, 0)]
    assert [head.unranked for head in found.heads] == [False, True]
    html = write_report(tmp_path, formats=["html"], single=True)[0].read_text()
    assert "a column without tints is not ranked" in html
    assert html.count("data-unranked>") == 1


def test_budgets_of_a_suite_are_told_apart(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", budget="standard")
    write_cell(tmp_path, "a", budget="smoke")
    write_cell(tmp_path, "pixels", budget="none")
    found = made(tmp_path)
    assert [head.budget for head in found.heads] == ["smoke", "standard"]
    assert [row.control for row in found.rows] == [False, True]


def test_what_packages_call_a_control_stands_last(tmp_path: Path) -> None:
    for learner in ("a", "b", "c"):
        write_cell(tmp_path, learner)
    assert [(row.learner, row.control) for row in made(tmp_path, "a").rows] == [
        ("b", False), ("c", False), ("a", True),
    ]  # fmt: skip


def test_of_a_memory_probe_the_longest_sequences_stand_for_the_others(tmp_path: Path) -> None:
    for items in (10, 20, 50):
        write_probe(tmp_path, "ntm", items=items, wrong=0.1)
        write_probe(tmp_path, "lstm", items=items, wrong=4.0 * items)
    write_cell(tmp_path, "a")
    found = made(tmp_path)
    assert [head.setting for head in found.heads] == ["5way1shot", "length50"]
    assert found.left_out == 2
    assert (cells(found)["ntm"][1].best, cells(found)["lstm"][1].best) == (True, False)
    assert cells(found)["lstm"][1].chance
    whole = made(tmp_path, whole=True)
    assert [head.setting for head in whole.heads][1:] == ["length10", "length20", "length50"]


def test_two_trainings_of_one_learner_are_two_rows(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", precision="fp32")
    write_cell(tmp_path, "a", precision="bf16", budget="standard", device="cuda")
    labels = [row.learner for row in made(tmp_path).rows]
    assert labels == sorted(labels)
    assert len(labels) == 2
    assert all(label.startswith("a · ") for label in labels)


@pytest.mark.parametrize("value", [0.1, 0.2, 0.9])
def test_equal_scores_have_one_tint(tmp_path: Path, value: float) -> None:
    same = {"accuracy": {"mean": value, "ci95": 0.01, "n": 200}}
    metrics = same | {"nll": same["accuracy"], "ece": {"mean": 0.0, "ci95": None, "n": 200}}
    for learner in ("a", "b"):
        write_cell(tmp_path, learner, metrics=metrics)
    assert [(cell.best, cell.tint) for (cell,) in cells(made(tmp_path)).values()] == [
        (True, None),
        (True, None),
    ]
