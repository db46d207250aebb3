"""One number of threads from a training's first update to its tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.api.dataset import DataFolders
from bench.worker.assignment import Assignment
from bench.worker.devices import Device
from bench.worker.threads import begun_with, threads_of
from tests.helpers.synthetic import write_cell, write_training


@pytest.fixture
def threads(make_training, tmp_path, monkeypatch):
    """The threads of a phase of one training, on a machine of 8 cores."""
    monkeypatch.setattr("bench.worker.threads.cores", lambda: 8)

    def threads(phase: str, device: str = "cpu", asked: int | None = None) -> int:
        folders = DataFolders(None, tmp_path / "cache")
        assignment = Assignment(phase, make_training(), None, tmp_path, folders, device, asked)
        return threads_of(assignment, Device.parse(device))

    return threads


@pytest.fixture
def folder(make_training, tmp_path) -> Path:
    made = make_training().folder(tmp_path)
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    ("device", "asked", "used"),
    [("cpu", None, 8), ("cpu", 3, 3), ("cpu/2", None, 2), ("cpu/2", 2, 2), ("cuda:1", 4, 4)],
)
def test_what_it_begins_with_is_written_down_and_kept(threads, folder, device, asked, used):
    assert threads("train", device, asked) == used
    stored = json.loads((folder / "started.json").read_text())
    assert (stored["threads"], stored["device"]) == (used, device)
    written = (folder / "started.json").stat().st_mtime_ns
    for phase in ("train", "test", "audit"):
        assert threads(phase, "cpu/1", 5) == used
    assert (folder / "started.json").stat().st_mtime_ns == written


def test_a_timing_has_the_threads_of_its_place(threads, folder):
    threads("train", "cpu", 3)
    assert threads("time", "cpu", 5) == 8
    assert threads("time", "cpu/1", 5) == 1


def test_only_a_training_is_written_down(threads, folder):
    assert threads("test", "cpu", 3) == 3
    assert not (folder / "started.json").exists()


@pytest.mark.parametrize("damaged", [b"", b"{}", b"\xff", b"[1]", b'{"threads": null}'])
def test_a_start_that_cannot_be_read_is_written_again(threads, folder, damaged):
    (folder / "started.json").write_bytes(damaged)
    assert threads("train", "cpu", 3) == 3
    assert json.loads((folder / "started.json").read_text())["threads"] == 3


def test_a_training_of_an_older_version_has_the_threads_of_its_environment(
    make_training, threads, folder, tmp_path
):
    written = write_training(tmp_path, write_cell(tmp_path, "maml", episodes=4))
    stored = json.loads((written / "result.json").read_text())
    del stored["threads"]
    stored["environment"]["threads"] = 6
    (folder / "result.json").write_text(json.dumps(stored))
    assert begun_with(make_training(), tmp_path) == 6
    (folder / "result.json").write_text(json.dumps(stored | {"threads": 7}))
    assert threads("test", "cpu", 3) == 7
