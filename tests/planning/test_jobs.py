"""Identity: what makes another training or cell, and what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.api import TaskSpec
from bench.planning.jobs import Cell, Training, describe
from bench.store.atomic import write_json
from bench.store.records import Failure
from bench.suites.schema import Budget

TASK = TaskSpec((1, 4, 4), ways=3, shots=1, queries=2, episodes_per_update=4, classes=12)


def cell_of(training: Training, **changes) -> Cell:
    fields = {
        "training": training,
        "suite": "tiny",
        "suite_version": 1,
        "setting": "3way1shot",
        "task": TASK,
        "test_rotations": False,
        "bank_seed": 7,
        "bank_episodes": 1000,
        "episodes": 200,
        "bank": "abcd",
        "timing_batch": 16,
    }
    return Cell(**{**fields, **changes})


def test_identities_are_pinned(make_training):
    # When this fails, stored results are not found again. Change it only knowing that.
    training = make_training()
    assert training.id == "613c42f21af5"
    assert cell_of(training).id == "8dd72bf6f44e"


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"width": 9, "lr": 0.01}},
        {"seed": 1},
        {"precision": "bf16"},
        {"device": "cuda"},
        {"content": "4567"},
        {"dataset": "glyphs"},
        {"split": "quarters"},
        {"image_size": 28},
        {"train_rotations": True},
        {"val_rotations": True},
        {"learner_name": "other"},
        {"bank_seed": 8},
        {"budget": None},
        {"budget": Budget(updates=21, validations=4, validation_images=180)},
        {"budget": Budget(updates=20, validations=4, validation_images=180, patience=2)},
        {"task": TASK.but(ways=4)},
        {"task": TASK.but(shots=(1, 5))},
        {"task": TASK.but(episodes_per_update=1)},
        {"task": TASK.but(items=1)},
        {"task": TASK.but(items=(1, 2))},
        {"task": TASK.but(outputs=1)},
    ],
    ids=str,
)
def test_what_decides_the_weights_makes_another_training(make_training, changes):
    assert make_training(**changes).id != make_training().id


@pytest.mark.parametrize(
    "changes",
    [
        {"learner": "another label"},
        {"family": "another family"},
        {"budget_name": "20updates"},
        {"config": {"lr": 0.01, "width": 8}},  # the order of options
        {"budget": Budget(updates=20, validations=4, validation_images=180, test_episodes=50)},
    ],
    ids=str,
)
def test_what_only_describes_does_not(make_training, changes):
    assert make_training(**changes).id == make_training().id


@pytest.mark.parametrize(
    "changes",
    [
        {"suite": "other"}, {"suite_version": 2}, {"setting": "other"},
        {"task": TASK.but(queries=3)}, {"bank": "ef"},
    ],
    ids=str,
)  # fmt: skip
def test_what_decides_the_answers_makes_another_cell(make_training, changes):
    training = make_training()
    assert cell_of(training, **changes).id != cell_of(training).id


def test_a_cell_follows_its_training_and_not_its_timings(make_training):
    training = make_training()
    assert cell_of(training).id != cell_of(make_training(seed=1)).id
    assert cell_of(training).id == cell_of(training, timing_batch=32).id


def test_a_changed_copy_has_another_id(make_training):
    training = make_training()
    cell = cell_of(training)
    before = training.id, cell.id  # were they kept, the copies would have them
    later = training.model_copy(update={"seed": 99})
    assert later.id == make_training(seed=99).id != before[0]
    moved = cell.model_copy(update={"training": later})
    assert moved.id == cell_of(later).id != before[1]
    assert moved.folder(Path()).name == f"toy-{moved.id}"
    later.config["width"] = 9
    assert later.id == make_training(seed=99, config={"width": 9, "lr": 0.01}).id


def test_an_id_that_is_kept_is_computed_once_and_a_copy_has_its_own(make_training, monkeypatch):
    training, cell = make_training(), cell_of(make_training())
    for job in (training, cell):
        job.keep_id()
    assert training == make_training(), "it is no part of what it is"
    assert training.model_dump() == make_training().model_dump()
    assert training.model_copy(update={"seed": 99}).id == make_training(seed=99).id
    moved = cell.model_copy(update={"training": make_training(seed=99)})
    assert moved.id == cell_of(make_training(seed=99)).id
    asked = training.id, cell.id
    monkeypatch.delattr(Training, "identity")
    monkeypatch.delattr(Cell, "identity")
    assert (training.id, cell.id) == asked


def test_folders_and_what_is_written_first(make_training, tmp_path):
    training = make_training()
    cell = cell_of(training)
    for job in (training, cell):
        describe(job, tmp_path)
        assert job.status(tmp_path) == "unfinished"
    [training_file] = tmp_path.glob(f"trainings/toy-{training.id}/training.json")
    [cell_file] = tmp_path.glob(f"cells/tiny/3way1shot/toy-{cell.id}/cell.json")
    stored = json.loads(cell_file.read_text())
    assert stored["training"] == training_file.parent.name
    assert stored["budget"] == "smoke"
    assert stored["protocol"] == "kshot"
    assert stored["training_task"]["episodes_per_update"] == 4

    # the description is enough to make the training again
    told = json.loads(training_file.read_text())
    again = Training(**{key: told[key] for key in Training.model_fields})
    assert again.id == told["id"] == training.id


def test_a_failure_makes_it_failed_and_what_is_no_record_nothing(make_training, tmp_path):
    training = make_training()
    folder = training.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "failure.json").write_text("{}")
    (folder / "result.json").write_text("{}")
    assert training.status(tmp_path) == "unfinished"
    assert [problem.path for problem in training.damaged(tmp_path)] == [str(folder / "result.json")]
    write_json(
        folder / "failure.json", Failure(kind="exit", reason="gone", phase="train", finished="")
    )
    assert training.status(tmp_path) == "failed"
    assert training.failure(tmp_path) == "gone"
