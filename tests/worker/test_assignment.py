"""An assignment goes to another process as JSON, and is the same there."""

from __future__ import annotations

import math
from enum import Enum
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.api import TaskSpec
from bench.api.dataset import DataFolders
from bench.planning.jobs import Cell
from bench.store.records import Measure
from bench.worker.assignment import Assignment


@pytest.mark.parametrize("phase", ["train", "time"])
@pytest.mark.parametrize(
    "task",
    [
        TaskSpec((1, 8, 8), 3, shots=(1, 5)),
        TaskSpec((1, 8, 8), 3, protocol="online", length=12),
        TaskSpec((8,), 1, protocol="sequence", items=(2, 6), outputs=6),
    ],
)
def test_it_is_read_back_as_it_was(phase, task, make_training, tmp_path):
    training = make_training(task=task)
    measure = Measure(metric="m", heading="h", higher_is_better=True, unit="number")
    cell = Cell(
        training=training, suite="tiny", suite_version=1, setting="3way1shot", task=task,
        test_rotations=False, bank_seed=7, bank_episodes=9, episodes=9, bank="abcd",
        timing_batch=4, measure=measure,
    )  # fmt: skip
    folders = DataFolders(None, tmp_path / "caf\u00e9", frozenset({"b 2", "a 1"}))
    before = Assignment(
        phase, training, cell if phase == "time" else None, tmp_path, folders, "cpu/1", 2
    )
    after = Assignment.from_json(before.to_json())
    assert after == before
    assert after.output == before.output
    assert isinstance(after.results, Path)
    assert after.training.id == training.id


def test_options_of_a_learner_keep_their_values(make_training, tmp_path):
    class Kind(Enum):
        WIDE = "wide"

    config = {"lr": math.inf, "least": -math.inf, "text": "a,b]", "sizes": [1, 2], "none": None}
    training = make_training(config={**config, "nan": math.nan, "kind": Kind.WIDE})
    assignment = Assignment("train", training, None, tmp_path, DataFolders(None, tmp_path), "cpu")
    read = Assignment.from_json(assignment.to_json()).training.config
    assert math.isnan(read.pop("nan"))
    assert read.pop("kind") == "wide"
    assert read == config


def test_what_json_cannot_hold_is_not_sent_as_its_text(make_training, tmp_path):
    training = make_training(config={"of a plugin": object()})
    assignment = Assignment("train", training, None, tmp_path, DataFolders(None, tmp_path), "cpu")
    with pytest.raises(TypeError, match="cannot hold a object"):
        assignment.to_json()


def test_what_is_no_assignment_is_refused():
    with pytest.raises(ValidationError):
        Assignment.from_json('{"phase": "dance"}')
