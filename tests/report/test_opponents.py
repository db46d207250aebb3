"""A learner against each other one, on its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.report.opponents import Opponents, opponents
from bench.results.boards import boards
from bench.results.pairs import compare_answered, read_board
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell, write_probe


def table(root: Path, learner: str) -> Opponents | None:
    found = boards(read_results(root).rows)
    compared = {id(board): compare_answered(read_board(board, [])) for board in found}
    own = [(b, e) for b in found for e in b.entries if e.cells[0].learner_name == learner]
    return opponents(own, compared)


def test_differences_have_the_sign_of_the_page(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", accuracy=0.9)
    write_cell(tmp_path, "b", accuracy=0.8)
    write_cell(tmp_path, "b", setting="5way5shot", accuracy=0.8)
    write_cell(tmp_path, "c", "model-based", setting="5way5shot", accuracy=0.8)
    found = table(tmp_path, "b")
    assert found is not None
    assert [column.board.setting for column in found.columns] == ["5way1shot", "5way5shot"]
    assert list(found.families) == ["model-based", "metric-based"]
    less_a, nothing = found.families["metric-based"]["a"]
    assert nothing is None
    assert less_a is not None
    assert less_a.value == pytest.approx(-0.1, abs=0.03)
    assert less_a.text.startswith("−")
    assert less_a.told_apart
    none, less_c = found.families["model-based"]["c"]
    assert none is None
    assert less_c is not None
    assert not less_c.told_apart
    assert found.about_weights  # one seed


def test_of_a_probe_the_longest_stands(tmp_path: Path) -> None:
    for items in (5, 20):
        write_probe(tmp_path, "ntm", items=items)
        write_probe(tmp_path, "lstm", items=items, wrong=9.0)
    found = table(tmp_path, "ntm")
    assert found is not None
    assert [column.board.setting for column in found.columns] == ["length20"]


def test_alone_there_is_no_table(tmp_path: Path) -> None:
    write_cell(tmp_path, "a")
    assert table(tmp_path, "a") is None
