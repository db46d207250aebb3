"""Which entries of several boards are one learner."""

from __future__ import annotations

from pathlib import Path

from bench.report.matrix import matrix
from bench.results.boards import Board, boards
from bench.results.joined import joined
from bench.results.ranks import average_ranks
from bench.results.reading import read_results
from bench.results.tradeoff import tradeoff
from tests.helpers.synthetic import write_cell, write_probe

PIXELS = {"config": {"encoder": "pixels"}}


def found_in(root: Path) -> list[Board]:
    return boards(read_results(root).rows)


def write(root: Path) -> list[Board]:
    """`old` of older code sees pixels on one of three suites."""
    for suite in ("one", "two", "three"):
        write_cell(root, "new", suite=suite, dataset=suite)
        older = PIXELS if suite == "three" else {}
        write_cell(root, "old", suite=suite, dataset=suite, accuracy=0.5, **older)
    return found_in(root)


def test_a_name_with_another_encoder_is_another_learner(tmp_path: Path) -> None:
    names = {name.learner for name in joined(write(tmp_path)).values()}
    assert names == {"new", "old", "old · encoder=pixels"}


def test_rows_points_and_ranks_are_of_one_encoder(tmp_path: Path) -> None:
    found = write(tmp_path)
    table = matrix(found)
    states = {row.learner: [cell.state for cell in row.cells] for row in table.rows}
    assert states == {
        "new": ["done"] * 3,
        "old": ["done", "absent", "done"],  # one, three, two
        "old · encoder=pixels": ["absent", "done", "absent"],
    }
    costs = tradeoff(found)
    assert costs is not None
    assert {point.label: point.settings for point in costs.points} == {
        "new": 3, "old": 2, "old · encoder=pixels": 1,
    }  # fmt: skip
    ranked = average_ranks(found)
    assert ranked is not None
    assert (ranked.names, ranked.datasets) == (["new", "old"], ["one", "two"])


def test_data_of_another_sort_has_an_encoder_of_its_own(tmp_path: Path) -> None:
    """Images are seen by a convolutional network, points by another: still one learner."""
    write_cell(tmp_path, "a", "model-based")
    points = {"input_shape": [1], "ways": 5, "shots": 1, "queries": 15, "length": 50}
    write_cell(
        tmp_path, "a", "model-based", suite="functions", task=points, config={"encoder": "mlp"}
    )  # fmt: skip
    write_probe(tmp_path, "a", **PIXELS)
    assert {name.learner for name in joined(found_in(tmp_path)).values()} == {"a"}


def test_of_two_encoders_on_one_board_each_has_its_row(tmp_path: Path) -> None:
    for suite in ("one", "two"):
        write_cell(tmp_path, "a", suite=suite)
    write_cell(tmp_path, "a", suite="two", budget="standard", seed=7, **PIXELS)
    assert {row.learner for row in matrix(found_in(tmp_path)).rows} == {"a", "a · encoder=pixels"}
