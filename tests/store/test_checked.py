"""The one door to stored records."""

from __future__ import annotations

import json
import time

import pytest

from bench.store.checked import (
    NewerError,
    UnreadableError,
    read_json,
    read_record,
    record_part,
    set_aside,
)
from bench.store.records import CellResult, Failure, TrainingStart

START = {"schema_version": 1, "threads": 3, "device": "cpu", "started": "2026"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "started.json"
    path.write_text(json.dumps(START))
    return path


def test_a_whole_record_is_read(path):
    assert read_record(path, TrainingStart, ("device", "cpu")) == START
    assert record_part(path, TrainingStart, device="cpu").damage() is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"threads": None}, "threads"),
        ({"threads": "3"}, "threads"),
        ({"device": "cuda"}, r"belongs elsewhere: its device is 'cuda'"),
        ({"schema_version": 2}, "newer version of bench"),
    ],
)
def test_another_record_is_told_in_words(path, changes, why):
    path.write_text(json.dumps(START | changes))
    with pytest.raises(UnreadableError, match=why):
        read_record(path, TrainingStart, ("device", "cpu"))


def test_a_field_of_a_later_version_that_is_null_or_missing_is_no_damage(path):
    path.write_text('{"kind": "error", "reason": "r", "phase": "test", "finished": "now"}')
    assert read_record(path, Failure)["reason"] == "r"
    assert read_json(path, CellResult)  # half of it may be there


@pytest.mark.parametrize("text", ["NaN", "Infinity", '"\\ud800"'])
def test_what_json_cannot_say_is_damage(path, text):
    path.write_text(f'{{"threads": {text}}}')
    with pytest.raises(UnreadableError, match="damaged"):
        read_json(path)


def test_a_name_that_no_file_can_have_is_told_too():
    with pytest.raises(UnreadableError):
        read_json("a\0b")


def test_what_was_found_whole_is_read_again_only_where_it_changed(path, monkeypatch):
    part = record_part(path, TrainingStart)
    assert part.damage() is None
    began = time.monotonic()
    monkeypatch.setattr("bench.store.checked.read_regular", None)  # would raise
    assert [part.damage() for _ in range(10_000)] == [None] * 10_000
    assert time.monotonic() - began < 20
    monkeypatch.undo()
    path.write_text("")
    assert part.damage() == "is empty"
    path.unlink()
    assert part.damage() == "is missing"


def test_what_is_damaged_is_kept_beside_and_the_last_one_stays(path):
    for content in ("one", "two"):
        path.write_text(content)
        set_aside(path)
    path.mkdir()
    set_aside(path)
    path.write_text("three")
    set_aside(path)
    assert not path.exists()
    assert path.with_name("started.json.damaged").read_text() == "three"


def test_a_newer_record_is_a_kind_of_its_own(path):
    path.write_text(json.dumps(START | {"schema_version": 7}))
    with pytest.raises(NewerError, match="update bench"):
        read_json(path)
