"""How long meta-training took is told of one place: seconds of others do not compare."""

from __future__ import annotations

from pathlib import Path

from bench.cli.terminal import board_text
from bench.report.board_tables import accuracy_table
from bench.results.boards import Board, boards
from bench.results.labels import machines_note
from bench.results.reading import read_results
from bench.results.training_times import (
    TrainedAt,
    places_of_training,
    training_places,
    training_seconds,
)
from tests.helpers.synthetic import environment, write_cell, write_training

MODEL = environment("cpu").device_name
GPU, CPU = TrainedAt("cuda", MODEL, None), TrainedAt("cpu", MODEL, None)


def write_board(root: Path) -> Board:
    """Most on a GPU; of one learner a seed on a CPU, of another one only there."""
    for seed in range(2):
        for learner, device, seconds in (
            ("maml", "cuda", 60.0 + 20 * seed),
            ("mann", "cuda", 120.0),
            ("snail", ["cpu", "cuda"][seed], [7200.0, 300.0][seed]),
            ("reptile", "cpu", 600.0 + 200 * seed),
        ):
            changes = {"device": device, "training_seconds": seconds}
            write_cell(root, learner, seed=seed, training=f"{learner}-{seed}", **changes)
    write_cell(root, "pixels", budget="none", training_seconds=0.0, updates=0)
    (board,) = boards(read_results(root).rows)
    return board


def test_seeds_of_one_place_count(tmp_path: Path) -> None:
    board = write_board(tmp_path)
    [usual] = places_of_training([board])
    assert usual == GPU
    assert {e.label: training_places(e) for e in board.entries} == {
        "maml": [GPU], "mann": [GPU], "snail": [CPU, GPU], "reptile": [CPU], "pixels": [],
    }  # fmt: skip
    assert {e.label: training_seconds(e, usual) for e in board.entries} == {
        "maml": 70, "mann": 120, "snail": 300, "reptile": 700, "pixels": None,
    }  # fmt: skip


def test_where_it_was_tested_is_another_matter(tmp_path: Path) -> None:
    """Of relation the weights are an H100's, and its seconds too; snail was trained where it was
    tested, mann's training is not there."""
    tested = environment("cuda").model_copy(update={"device_name": "H200"})
    trained = tested.model_copy(update={"device_name": "H100"})
    for learner in ("relation", "snail", "mann"):
        cell = write_cell(tmp_path, learner, device="cuda", training=learner, environment=tested)
        if learner != "mann":
            on = trained if learner == "relation" else tested
            write_training(tmp_path, cell, environment=on, threads=1)
    (board,) = boards(read_results(tmp_path).rows)
    assert {e.label: training_places(e) for e in board.entries} == {
        "relation": [TrainedAt("cuda", "H100", 1)],
        "snail": [TrainedAt("cuda", "H200", 1)],
        "mann": [TrainedAt("cuda", "H200", None)],
    }
    assert machines_note(board) == "cuda is H200, but H100 of relation"


def test_without_the_usual_place_most_of_the_own_seeds_count(tmp_path: Path) -> None:
    board = write_board(tmp_path)
    seconds = {e.label: training_seconds(e, TrainedAt("mps", None, None)) for e in board.entries}
    assert seconds["reptile"] == 700
    assert seconds["snail"] in (7200, 300), "as many here as there: one of them, never the mean"


def test_the_tables_show_it_and_say_so(tmp_path: Path) -> None:
    board = write_board(tmp_path)
    table = accuracy_table(board)
    at = [column.title for column in table.columns].index("time")
    shown = {line.label: line.cells[at] for own in table.families.values() for line in own}
    assert shown == {
        "maml": "1 min 10 s", "mann": "2 min 00 s", "snail": "5 min 00 s",
        "reptile": "11 min 40 s", "pixels": "–",
    }  # fmt: skip
    assert any(note.startswith("time: of the seeds") for note in table.notes)
    line = next(line for line in board_text(board).splitlines() if line.startswith("  snail"))
    assert "5 min 00 s" in line
