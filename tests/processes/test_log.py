"""A log is bounded when it is written, and read from its end."""

from __future__ import annotations

import os
import re
import time

import pytest

from bench.processes import log as module
from bench.processes.log import BoundedLog, last_line


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(module, "HEAD", 1000)
    monkeypatch.setattr(module, "TAIL", 1000)


def written(path, lines: range) -> None:
    log = BoundedLog(path)
    for number in lines:
        log.write(b"%07d\n" % number)
    log.close()


def test_a_short_one_is_kept_whole(tmp_path):
    path = tmp_path / "folder" / "log.txt"
    written(path, range(5))
    written(path, range(5, 10))
    assert path.read_text().split() == [f"{number:07d}" for number in range(10)]


def test_of_a_long_one_head_and_tail_are_kept_and_what_is_left_out_is_counted(tmp_path):
    path = tmp_path / "log.txt"
    written(path, range(2_000))
    written(path, range(2_000, 5_000))  # another process goes on
    content = path.read_bytes()
    assert len(content) < 3_100
    assert content.startswith(b"0000000\n0000001\n")
    assert content.endswith(b"0004999\n")
    marks = re.findall(rb"\n\[\.\.\. (\d+) bytes left out \.\.\.\]\n", content)
    assert len(marks) == 1
    kept = len(re.sub(rb"\n\[\.\.\. \d+ bytes left out \.\.\.\]\n", b"", content))
    assert kept + int(marks[0]) == 8 * 5_000


def test_a_link_a_pipe_and_a_full_disk_are_left_alone(tmp_path):
    (tmp_path / "other").write_text("somebody else's")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        written(tmp_path / name, range(10))
    assert (tmp_path / "other").read_text() == "somebody else's"
    assert last_line(tmp_path / "pipe") is None


def test_one_whose_folder_cannot_be_made_stops_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    written(tmp_path / "file" / "log.txt", range(10))


def test_the_last_line_of_a_large_one_is_found_at_once(tmp_path):
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.truncate(20 * 2**30)  # holes: it takes no room
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe last \xff one\n\n")
    started = time.monotonic()
    assert last_line(path) == "the last \N{REPLACEMENT CHARACTER} one"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_one_without_lines_has_no_last_one(content, tmp_path):
    (tmp_path / "log.txt").write_bytes(content)
    assert last_line(tmp_path / "log.txt") is None
    assert last_line(tmp_path / "none.txt") is None
