"""The table of a board's pairs."""

from __future__ import annotations

from pathlib import Path

from bench.report import write_report
from bench.report.differences import Differences, differences
from bench.report.figures import Palette
from bench.report.figures.boards import MOST
from bench.report.figures.pairs import WEIGHTS_NOTE, differences_picture
from bench.report.summary import detectable
from bench.results.boards import boards
from bench.results.pairs import compare_board
from bench.results.reading import read_results
from tests.helpers.synthetic import write_cell, write_probe


def table(root: Path) -> Differences:
    (board,) = boards(read_results(root).rows)
    found = differences(compare_board(board))
    assert found is not None
    return found


def tints(found: Differences) -> list[list[str | None]]:
    return [[cell and cell.tint for cell in row] for row in found.rows]


def test_rows_less_columns(tmp_path: Path) -> None:
    for name, accuracy in (("a", 0.95), ("b", 0.94), ("c", 0.3)):
        write_cell(tmp_path, name, accuracy=accuracy)
    found = table(tmp_path)
    assert [entry.label for entry in found.entries] == found.heads == ["a", "b", "c"]
    assert all(found.rows[k][k] is None for k in range(3))
    first = found.rows[0][2], found.rows[2][0]
    assert all(first)
    ahead, behind = (cell for cell in first if cell)
    assert (ahead.text[0], behind.text[0]) == ("+", "−")
    assert ahead.text[1:] == behind.text[1:]
    assert (ahead.tint, behind.tint) == ("a4", "b4")  # the largest difference


def test_of_wrong_bits_fewer_are_ahead(tmp_path: Path) -> None:
    write_probe(tmp_path, "few", wrong=1.0)
    write_probe(tmp_path, "many", wrong=40.0)
    found = table(tmp_path)
    assert [entry.label for entry in found.entries] == ["few", "many"]
    assert tints(found) == [[None, "a4"], ["b4", None]]
    assert found.rows[0][1] is not None
    assert found.rows[0][1].text.startswith("−")


def test_what_is_alike_has_no_ground(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", accuracy=0.9)
    write_cell(tmp_path, "b", accuracy=0.9, episodes=200)
    found = table(tmp_path)
    assert tints(found) == [[None, ""], ["", None]]


def test_trained_weights_are_told_from_learners(tmp_path: Path) -> None:
    """a and b have three seeds, c has one: whatever is said of c is said of its weights."""
    for seed in range(3):
        write_cell(tmp_path, "a", accuracy=0.95, seed=seed)
        write_cell(tmp_path, "b", accuracy=0.5, seed=seed)
    write_cell(tmp_path, "c", accuracy=0.2)
    found = table(tmp_path)
    assert [entry.label for entry in found.entries] == ["a", "b", "c"]
    assert [[cell and cell.weights for cell in row] for row in found.rows] == [
        [None, False, True], [False, None, True], [True, True, None],
    ]  # fmt: skip
    assert all(cell.tint for row in found.rows for cell in row if cell)
    assert WEIGHTS_NOTE in found.note
    (board,) = boards(read_results(tmp_path).rows)
    compared = compare_board(board)
    picture = differences_picture(compared, Palette(["metric-based"]))
    assert picture is not None
    assert WEIGHTS_NOTE in picture.caption
    assert "(these weights)" in picture.alt
    html = write_report(tmp_path, formats=["html"], single=True)[0].read_text()
    square = html[html.index('<table class="square">') :].partition("</table>")[0]
    assert square.count(' weights">') == 4
    learners, weights = detectable(compared)
    assert learners.startswith("Between learners: a true difference of ")
    assert weights.startswith("Between trained weights, where there are fewer than 3 seeds: ")


def test_of_learners_alone_nothing_is_said_of_weights(tmp_path: Path) -> None:
    for seed in range(3):
        write_cell(tmp_path, "a", accuracy=0.95, seed=seed)
        write_cell(tmp_path, "b", accuracy=0.5, seed=seed)
    assert WEIGHTS_NOTE not in table(tmp_path).note


def test_the_best_of_many(tmp_path: Path) -> None:
    for k in range(MOST + 2):
        write_cell(tmp_path, f"l{k}", accuracy=0.99 - 0.01 * k, episodes=50)
    found = table(tmp_path)
    assert len(found.rows) == len(found.rows[0]) == MOST
    assert f"The best {MOST} of {MOST + 2} learners." in found.note


def test_the_page_has_the_table_and_the_files_the_figure(tmp_path: Path) -> None:
    write_cell(tmp_path, "a", accuracy=0.9)
    write_cell(tmp_path, "b", accuracy=0.5)
    page, *files = write_report(tmp_path, formats=["html", "figures"])
    text = page.read_text(encoding="utf-8")
    assert '<table class="square">' in text
    assert "Paired differences" not in text
    assert any("differences" in path.name for path in files)
