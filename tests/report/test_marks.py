"""Marks: what has to be known of a figure stands beside it, wherever it is compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cli.terminal import print_boards
from bench.report import write_report
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell


def page_of(folder: Path, sources: dict[str, str]) -> Path:
    return write_report(folder, formats=["html"], single=True, sources=sources)[0]


def test_marks_stand_wherever_figures_are_compared(tmp_path: Path) -> None:
    for suite, source in (("omniglot-5way", "1"), ("glyphs-5way", "2")):
        write_cell(tmp_path, "old", suite=suite, source=source, accuracy=0.9)
        write_cell(tmp_path, "new", suite=suite, accuracy=0.8)
    html = page_of(tmp_path, sources={"old": "2"}).read_text()
    tables = re.findall(r'<figure class="table">.*?</figure>', html, re.DOTALL)
    (overview,) = [table for table in tables if "Learners by settings" in table]
    assert "† measured with other code" in overview
    (row,) = re.findall(r'<tr data-learner="old".*?</tr>', overview, re.DOTALL)
    glyphs, omniglot = re.findall("<td.*?</td>", row)
    assert ("†" in glyphs, "†" in omniglot) == (False, True)
    squares = [table for table in tables if "told apart from whom" in table]
    assert [("old<sup>†</sup>" in table) for table in squares] == [
        "omniglot-5way" in table for table in squares
    ]
    against = [table for table in tables if "against the other learners" in table]
    of_old, of_new = sorted(against, key=lambda table: "new against" in table)
    assert "omniglot-5way 5way1shot<sup>†</sup>" in of_old
    assert len(re.findall("<td[^>]*>[^<]+<sup>†</sup>", of_new)) == 1
    assert all("† measured with other code" in table for table in against)


def test_what_is_lost_in_transfer_is_marked(tmp_path: Path) -> None:
    for setting, other in (("near", {}), ("far", {"test_dataset": "kmnist", "test_split": "all"})):
        write_cell(
            tmp_path, "old", suite="transfer", setting=setting, training="old-0", source="1",
            dataset="omniglot", split="vinyals", **other,
        )  # fmt: skip
    html = page_of(tmp_path, sources={"old": "2"}).read_text()
    (table,) = re.findall(
        r"<figcaption>[^\n]*What is lost on other data.*?</figure>", html, re.DOTALL
    )
    assert "old<sup>†</sup>" in table
    assert "† measured with other code" in table


def test_the_terminal_says_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_cell(tmp_path, "old", source="1")
    write_cell(tmp_path, "new", source="1", transductive=True)
    print_boards(read_results(tmp_path, {"old": "2", "new": "1"}).rows)
    text = capsys.readouterr().out
    assert "old (other code) " in text
    assert "new (transductive) " in text
