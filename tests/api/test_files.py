"""Files as they may lie on a disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench.api.files import FORGOTTEN, abandoned, owner, read_regular


def test_a_file_and_a_link_to_it_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"content"
    assert read_regular(tmp_path / "file", most=7) == b"content"


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(bytes(9))
    for name, why in {
        "pipe": "a pipe", "zero": "a device", "loop": "symbolic links", ".": "directory",
        "large": "larger than", "nothing": "No such file",
    }.items():  # fmt: skip
        with pytest.raises(OSError, match=why):
            read_regular(tmp_path / name, most=8)


def test_what_a_living_process_writes_is_its_own_however_long_that_takes(tmp_path):
    mine = tmp_path / f".building-{owner()}-abc"
    mine.mkdir()
    long_ago = time.time() - 2 * FORGOTTEN
    os.utime(mine, (long_ago, long_ago))
    assert not abandoned(mine)


def test_what_a_dead_process_wrote_is_waste(tmp_path):
    name = "from bench.api.files import owner; print(owner())"
    dead = subprocess.run([sys.executable, "-c", name], capture_output=True, text=True, check=True)
    (tmp_path / f".{dead.stdout.strip()}-abc.partial").touch()
    assert abandoned(tmp_path / f".{dead.stdout.strip()}-abc.partial")


@pytest.mark.parametrize("name", [".building-elsewhere_7-4711-abc", ".result.json.abc.partial"])
def test_of_an_owner_elsewhere_nobody_can_ask(name, tmp_path):
    left = tmp_path / name
    left.touch()
    assert not abandoned(left)
    long_ago = time.time() - FORGOTTEN - 60
    os.utime(left, (long_ago, long_ago))
    assert abandoned(left)
    left.unlink()
    assert not abandoned(left)
