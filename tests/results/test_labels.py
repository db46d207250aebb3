"""Where and how learners were trained and timed, where that is not the same for all."""

from __future__ import annotations

import json
from pathlib import Path

from bench.cli.terminal import board_text
from bench.report.board_tables import accuracy_table, cost_table
from bench.report.content import gather
from bench.report.exports import as_markdown
from bench.report.summary import commands
from bench.results.boards import Board, boards
from bench.results.labels import (
    devices,
    devices_note,
    machines_note,
    notes_of,
    threads_note,
)
from bench.results.reading import read_results
from bench.results.training_times import training_places
from tests.helpers.synthetic import environment, store, timing, write_cell, write_training

L4, H100 = "NVIDIA L4", "NVIDIA H100 80GB HBM3"


def board_of(root: Path) -> Board:
    (board,) = boards(read_results(root).rows)
    return board


def write_timed(root: Path, learner: str, model: str, adapt: float) -> None:
    """Tested on a CPU, timed on a GPU of this model."""
    where = environment("cuda:0", device_name=model)
    record = timing("cuda:0", adapt).model_copy(update={"environment": where})
    store(write_cell(root, learner) / "timings" / "cuda-0.json", record)


def test_a_device_of_one_model_is_named_by_its_device(tmp_path: Path) -> None:
    write_timed(tmp_path, "maml", L4, 0.01)
    write_timed(tmp_path, "mann", L4, 0.02)
    board = board_of(tmp_path)
    assert [place.label for place in board.places] == ["cuda:0"]
    table = cost_table(board)
    assert table is not None
    assert [group.name for group in table.groups] == ["cuda:0"]


def test_devices_are_places_and_not_kinds_beside_them(tmp_path: Path) -> None:
    where = environment("cuda:1", device_name=L4)
    write_cell(tmp_path, "maml", device="cuda", environment=where, timed={"cuda:1": 1, "cpu/1": 1})
    write_cell(tmp_path, "mann", device="cuda", status="unfinished")
    write_cell(tmp_path, "snail", device="mps", status="unfinished")
    rows = read_results(tmp_path).rows
    assert devices(rows) == ["cpu/1", "cuda:1", "mps"]
    assert devices([row for row in rows if row.learner == "mann"]) == ["cuda"]  # nothing says more
    content = gather(read_results(tmp_path))
    assert content.devices == devices(rows)
    shown = {
        line.label: line.devices
        for table in content.tables
        for lines in table.families.values()
        for line in lines
    }
    (label,) = [label for label in shown if label.startswith("maml")]
    assert shown[label] == ["cpu/1", "cuda:1"]


def test_two_models_of_one_device_have_columns_of_their_own(tmp_path: Path) -> None:
    write_timed(tmp_path, "maml", L4, 0.01)
    write_timed(tmp_path, "mann", H100, 0.001)
    board = board_of(tmp_path)
    names = [f"cuda:0 ({H100})", f"cuda:0 ({L4})"]
    assert [place.label for place in board.places] == names
    table = cost_table(board)
    assert table is not None
    assert [group.name for group in table.groups] == names
    assert {column.device for column in table.columns} == {"cuda:0"}  # what a reader chooses by
    adapt = [k for k, column in enumerate(table.columns) if column.title == "adapt"]
    shown = {
        line.label: [line.values[k] for k in adapt]
        for lines in table.families.values()
        for line in lines
    }
    assert shown == {"maml": [None, 0.01], "mann": [0.001, None]}
    assert f"adapt cuda:0 ({L4})" in board_text(board, terminal=False)
    assert f"cuda:0 ({H100}) adapt" in as_markdown(table)


def test_which_models_a_device_was_is_a_note_and_in_no_name(tmp_path: Path) -> None:
    def run(learner: str, model: str, seed: int = 0) -> None:
        where = environment("cuda", device_name=model)
        write_cell(tmp_path, learner, seed=seed, device="cuda", environment=where)

    run("mann", H100)
    run("snail", H100)
    assert machines_note(board_of(tmp_path)) == "", "one model needs no words"
    run("maml", L4)
    write_cell(tmp_path, "ntm", device="cpu")
    board = board_of(tmp_path)
    assert {entry.label for entry in board.entries} == {"maml", "mann", "snail", "ntm"}
    note = f"cuda is {H100}, but {L4} of maml"
    assert machines_note(board) == note
    assert note in accuracy_table(board).notes
    assert note in board_text(board, terminal=False).splitlines()
    run("mann", L4, seed=1)
    run("lstm", H100)
    assert machines_note(board_of(tmp_path)) == (
        f"cuda is {H100}, but {H100} and {L4} of mann; {L4} of maml"
    )


def test_seeds_of_two_devices_are_one_entry_unless_both_have_one(tmp_path: Path) -> None:
    for learner, seed, device in (
        ("maml", 0, "cuda"), ("mann", 0, "cuda"),
        ("snail", 0, "cpu"), ("snail", 1, "cuda"), ("snail", 2, "cuda"),
    ):  # fmt: skip
        write_cell(tmp_path, learner, seed=seed, device=device)
    board = board_of(tmp_path)
    assert {entry.label: entry.seeds for entry in board.entries} == {
        "maml": {0}, "mann": {0}, "snail": {0, 1, 2},
    }  # fmt: skip
    note = "trained on cuda, but snail on cpu and cuda"
    assert devices_note(board) == note
    assert note in accuracy_table(board).notes
    write_cell(tmp_path, "snail", seed=0, device="cuda")
    write_cell(tmp_path, "ntm", seed=0, device="cpu")
    board = board_of(tmp_path)
    assert {entry.label: entry.seeds for entry in board.entries} == {
        "maml": {0}, "mann": {0}, "ntm": {0}, "snail · cpu": {0}, "snail · cuda": {0, 1, 2},
    }  # fmt: skip
    assert devices_note(board) == "trained on cuda, but ntm on cpu", "names are not repeated"


def test_weights_that_were_tested_elsewhere_name_no_machine(tmp_path: Path) -> None:
    """A GPU that is gone: its weights were tested on a CPU, which says nothing of the training."""
    for learner, where in (
        ("maml", environment("cuda:0", device_name=H100)),
        ("mann", environment("cpu/1", device_name="AMD EPYC")),
    ):
        write_cell(tmp_path, learner, device="cuda", environment=where)
    rows = {row.learner: row for row in read_results(tmp_path).rows}
    assert (rows["maml"].place, rows["maml"].device_name) == ("cuda:0", H100)
    assert (rows["mann"].place, rows["mann"].device_name) == ("cuda", None)
    assert devices(rows.values()) == ["cuda:0"]
    board = board_of(tmp_path)
    assert notes_of(board) == []
    assert {e.label: training_places(e) for e in board.entries} == {
        "maml": [("cuda", H100, None)], "mann": [("cuda", None, None)],
    }  # fmt: skip
    (command,) = commands(list(rows.values()), "results")
    assert "--device cuda:0" in command
    assert "cpu" not in command


def test_one_device_needs_no_words(tmp_path: Path) -> None:
    write_cell(tmp_path, "maml", device="cuda")
    write_cell(tmp_path, "pixels", device="cpu", budget="none")
    assert devices_note(board_of(tmp_path)) == "", "what has nothing to train was trained nowhere"


def test_two_machines_of_every_learner_are_told_too(tmp_path: Path) -> None:
    for seed, model in enumerate((L4, H100)):
        where = environment("cuda", device_name=model)
        write_cell(tmp_path, "maml", seed=seed, device="cuda", environment=where)
    board = board_of(tmp_path)
    assert {entry.label for entry in board.entries} == {"maml"}
    assert machines_note(board) == f"cuda is {H100} and {L4}"


def write_trained(root: Path, learner: str, threads: int, seed: int = 0, **changes: object) -> None:
    cell = write_cell(root, learner, seed=seed, training=f"{learner}-{seed}", **changes)
    write_training(root, cell, environment=environment(threads=threads))


def test_other_numbers_of_threads_are_noted(tmp_path: Path) -> None:
    write_trained(tmp_path, "maml", 1)
    write_trained(tmp_path, "mann", 1)
    assert threads_note(board_of(tmp_path)) == ""
    write_trained(tmp_path, "snail", 2)
    write_cell(tmp_path, "pixels", budget="none")
    board = board_of(tmp_path)
    note = "trained with 1 thread, but snail with 2 threads"
    assert threads_note(board) == note
    assert note in accuracy_table(board).notes
    assert board_text(board, terminal=False).splitlines()[-1] == note


def test_seeds_of_one_learner_may_differ_in_their_threads(tmp_path: Path) -> None:
    for learner in ("maml", "mann", "snail"):
        for seed in range(2):
            write_trained(tmp_path, learner, 1 + (learner == "snail" and seed), seed)
    assert threads_note(board_of(tmp_path)) == (
        "trained with 1 thread, but snail with 1 or 2 threads"
    )


def test_of_one_learner_too(tmp_path: Path) -> None:
    for seed in range(2):
        write_trained(tmp_path, "snail", 1 + seed, seed)
    assert threads_note(board_of(tmp_path)) == "trained with 1 or 2 threads"


def test_where_the_device_names_its_threads_or_nothing_is_stored_there_is_no_note(
    tmp_path: Path,
) -> None:
    write_trained(tmp_path, "maml", 1, device="cpu/1")
    write_trained(tmp_path, "mann", 2, device="cpu")
    write_cell(tmp_path, "snail")  # its training was not copied
    assert threads_note(board_of(tmp_path)) == ""


def test_threads_that_a_training_stores_itself_count(tmp_path: Path) -> None:
    write_trained(tmp_path, "maml", 2)
    path = tmp_path / "trainings" / "maml-0" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"threads": 1}))
    (row,) = read_results(tmp_path).rows
    assert row.training_threads == 1
