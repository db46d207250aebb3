"""What a run shows: plain lines in a pipe, bars on a terminal."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.api import TaskSpec
from bench.api.dataset import DataFolders
from bench.cli.progress import PLAIN_SECONDS, Display, details, title
from bench.groups.events import Event
from bench.planning.jobs import Cell
from bench.registry.installed import protocol
from bench.worker.assignment import Assignment


def titled(assignment):
    """Its title where the plan has said what its training learns."""
    training = assignment.training
    words = protocol(training.task.protocol).describe_task(training.task)
    return title(assignment, {training.id: words})


@pytest.fixture
def assign(make_training, tmp_path):
    """Assignments of the phases of one cell."""

    def make(phase: str, task: TaskSpec | None = None) -> Assignment:
        training = make_training(**({"task": task} if task else {}))
        cell = Cell(
            training=training, suite="tiny", suite_version=1, setting="3way1shot",
            task=training.task, test_rotations=False, bank_seed=7, bank_episodes=9, episodes=9,
            bank="abcd", timing_batch=4,
        )  # fmt: skip
        folders = DataFolders(None, tmp_path)
        return Assignment(
            phase, training, None if phase == "train" else cell, tmp_path, folders, "cpu/1"
        )

    return make


def test_titles(assign):
    assert titled(assign("train")) == "train toy[width=8] codes 3-way 1-shot seed 0"
    ranged = TaskSpec((1,), 3, shots=(1, 5))
    assert titled(assign("train", ranged)) == "train toy[width=8] codes 3-way 1-5-shot seed 0"
    online = TaskSpec((1,), 3, protocol="online", length=12)
    expected = "train toy[width=8] codes 3-way online, 12 steps seed 0"
    assert titled(assign("train", online)) == expected
    probe = TaskSpec((8,), 1, protocol="sequence", items=(2, 6), outputs=6)
    assert titled(assign("train", probe)) == "train toy[width=8] codes 2-6 items seed 0"
    assert titled(assign("test")) == "test toy[width=8] tiny 3way1shot seed 0"
    assert titled(assign("time")) == "time toy[width=8] tiny 3way1shot on cpu/1 seed 0"


def test_details_as_far_as_known():
    assert details({}) == ""
    assert details({"fraction": 0.5}) == ""
    told = {
        "updates": 120, "loss": 0.4149, "val": 0.9321, "rate": 811.6,
        "seconds_left": 200.4,
    }  # fmt: skip
    assert details(told) == "update 120  loss 0.415  val 93.2%  812 examples/s  3:20 left"
    assert details({"updates": 0, "loss": None}) == "update 0"
    assert details({"val": None, "val_heading": None}) == ""
    error = {"val": 0.35142, "val_heading": "mean squared error"}
    assert details(error) == "val 0.351 mean squared error"


def shown(events: list[Event], terminal: bool) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=200, highlight=False)
    with Display(console) as display:
        for event in events:
            display.listen(event)
    return written.getvalue()


def test_a_pipe_gets_plain_lines_and_not_too_many(assign, monkeypatch):
    now = 1000.0
    monkeypatch.setattr("bench.cli.progress.time", SimpleNamespace(monotonic=lambda: now))
    assignment = assign("train")
    written = io.StringIO()
    display = Display(Console(file=written, force_terminal=False, width=40, highlight=False))
    display.listen(Event("start", assignment))
    for _ in range(120):
        now += PLAIN_SECONDS / 50
        display.listen(Event("progress", assignment, {"fraction": 0.5, "updates": 3}))
    display.listen(Event("done", assignment))
    name = title(assignment, {})  # longer than the console is wide: lines are not wrapped
    assert written.getvalue().splitlines() == [
        f"start {name}",
        f"{name}: 50% update 3",
        f"{name}: 50% update 3",
        f"done {name}",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_failures_are_told_with_their_reason_also_without_a_start(assign, terminal):
    told = shown([Event("failed", assign("test"), {"reason": "it [bold]broke"})], terminal)
    assert "FAILED test toy[width=8] tiny 3way1shot seed 0: it [bold]broke" in told


def test_bars_take_every_order_of_events(assign):
    one, other = assign("train"), assign("time")
    told = shown(
        [
            Event("start", one),
            Event("start", other),
            Event("progress", one, {"fraction": 0.5, "updates": 12}),
            Event("done", other),
            Event("kept", assign("test")),
            Event("progress", one, {"fraction": 1.0}),
            Event("failed", one, {"reason": "it broke"}),
        ],
        terminal=True,
    )
    assert "it broke" in told


@pytest.mark.parametrize("terminal", [True, False])
def test_labels_and_reasons_are_shown_literally(assign, terminal, make_training):
    assignment = assign("train")
    label = "toy[red]x[/red][width=8]\x1b[2J"
    training = assignment.training.model_copy(update={"learner": label})
    assignment = replace(assignment, training=training)
    reason = "ValueError: [bold]no[/nope]\r\n\x1b]0;owned\x07 " + "x" * 10_000
    text = shown(
        [
            Event("start", assignment),
            Event("progress", assignment, {"fraction": math.nan, "loss": math.nan}),
            Event("progress", assignment, {"fraction": 1e300, "seconds_left": math.inf}),
            Event("failed", assignment, {"reason": reason}),
        ],
        terminal,
    )
    assert r"train toy[red]x[/red][width=8]\x1b[2J" in text
    assert r"[bold]no[/nope]  \x1b]0;owned\x07 xxx" in text
    assert "\x07" not in text
    assert text.count("x" * 400) == 1
    assert len(text) < 20_000


def test_details_that_are_no_numbers_are_left_out():
    assert details({"updates": "many", "loss": math.nan, "seconds_left": -3.0}) == (
        "loss nan  0:00 left"
    )
