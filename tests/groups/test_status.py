"""What a group says of itself: written while it works, read by who follows it."""

from __future__ import annotations

import json
import os

import pytest

from bench.groups.events import Event
from bench.groups.status import StatusReader, StatusWriter, forget_status, read_status
from bench.running.prepare import prepare
from bench.running.request import Request
from bench.store import layout

pytestmark = pytest.mark.usefixtures("tiny_plugins")


@pytest.fixture
def group(tiny_suite, tmp_path):
    asked = Request(suites=[tiny_suite], learners=["untrained"], budget="smoke", results=tmp_path)
    return prepare(asked).groups()[0]


@pytest.fixture
def run(tmp_path):
    return tmp_path / ".runs" / "abc"


def test_what_happens_is_read_once(group, run):
    reader = StatusReader(run, group)
    assert reader.news() is None, "it has not begun"
    writer = StatusWriter(run, group)
    begun = reader.news()
    assert begun is not None
    assert (begun.state, begun.part, begun.attempts, begun.lost) == ("working", None, 1, 0)
    assert reader.news() is None
    parts = group.parts()
    writer(Event("progress", parts[1], {"note": "it is set aside"}))
    writer(Event("start", parts[1]))
    told = reader.news()
    assert told is not None
    assert (told.part, told.notes) == (1, ["it is set aside"])
    writer.state("ended")
    told = reader.news()
    assert told is not None
    assert (told.state, told.notes) == ("ended", []), "a note is told once"


def test_progress_is_written_now_and_then(group, run, monkeypatch):
    writer = StatusWriter(run, group)
    writer(Event("start", group.train()))
    file = layout.group_file(run, group.index)
    before = file.stat().st_mtime_ns
    for _ in range(50):
        writer(Event("progress", group.train(), {"fraction": 0.5, "loss": float("nan")}))
    assert file.stat().st_mtime_ns == before
    monkeypatch.setattr("bench.groups.status.TELL_SECONDS", 0.0)
    writer(Event("progress", group.train(), {"fraction": 0.75, "loss": float("nan")}))
    status = read_status(run, group)
    assert status is not None
    assert status.details == {"fraction": 0.75, "loss": None}


def test_one_that_was_broken_off_counts_and_one_that_was_stopped_does_not(group, run):
    def begin() -> int:
        status = StatusWriter(run, group)
        return status.lost

    StatusWriter(run, group).state("stopped")
    assert begin() == 0
    file = layout.group_file(run, group.index)

    def killed() -> None:  # what another machine's process leaves
        file.write_text(json.dumps(json.loads(file.read_text()) | {"process": "other_1-77"}))

    killed()
    assert begin() == 1
    killed()
    assert begin() == 2
    forget_status(run, group)
    assert read_status(run, group) is None
    assert begin() == 0


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"name": "another"}', '{"name": 3}', "\xff"])
def test_what_is_damaged_says_nothing(text, group, run):
    file = layout.group_file(run, group.index)
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("latin-1"))
    assert read_status(run, group) is None
    assert StatusReader(run, group).news() is None
    assert StatusWriter(run, group).lost == 0


def test_a_group_that_another_machine_works_on_is_not_broken_off(group, run):
    StatusWriter(run, group)
    file = layout.group_file(run, group.index)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"process": "other_1-77"}))
    folder = group.train().folder
    folder.mkdir(parents=True, exist_ok=True)
    lease = folder / layout.LEASE
    lease.write_text("other_1-77-" + "0" * 32)
    assert StatusWriter(run, group).lost == 0
    file.write_text(json.dumps(json.loads(file.read_text()) | {"process": "other_1-78"}))
    os.utime(lease, (0, 0))  # nobody has touched it for long
    assert StatusWriter(run, group).lost == 1


def test_what_is_stopped_again_and_again_without_getting_on_is_counted(group, run, monkeypatch):
    monkeypatch.setattr("bench.groups.status.LONG_SECONDS", 0.0)

    def begin(by_hand: bool = False) -> int:
        status = StatusWriter(run, group)
        status.stopped(by_hand)
        return status.idle

    assert [begin(), begin(), begin()] == [0, 1, 2]
    checkpoint = group.train().folder / layout.CHECKPOINT
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_bytes(b"")  # it has got on
    assert [begin(), begin(), begin(by_hand=True)] == [0, 1, 2]
    assert begin() == 0, "somebody wanted it to stop"
    monkeypatch.setattr("bench.groups.status.LONG_SECONDS", 60.0)
    assert [begin(), begin()] == [0, 0], "it had no time"
