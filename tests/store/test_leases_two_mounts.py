"""Two machines write into one folder that each has mounted with locks of its own: nothing is lost.

The machines are two processes that call themselves so. Where bindfs is installed, and this is root,
the folder is mounted twice indeed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.slurm_toy import wait_for

MACHINE = """
import errno, fcntl, os, platform, sys, time
from pathlib import Path

what, folder, host, knows = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
platform.node = lambda: host

def flock(descriptor, how):
    if knows == "none":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

if knows != "its own":
    fcntl.flock = flock

from bench.store import leases
from bench.store.atomic import locked, write_atomically

leases.LOOK_SECONDS = 0.02
if what == "write":
    with locked(folder):
        begun = time.monotonic()
        while time.monotonic() < begun + 60:
            write_atomically(folder / "x", lambda file: file.write(bytes(2_000_000)))
            if not (folder / "seen").exists():
                seen = time.monotonic()
            elif time.monotonic() > seen + 1:
                break
        (folder / "over").touch()
else:
    def waiting(waits):
        print("waits" if waits else "goes on")
        (folder / "seen").touch()

    with locked(folder, waiting):
        print("over" if (folder / "over").exists() else "not over")
        (folder / "seen").touch()
"""


@pytest.fixture(params=["none", "unseen", "its own"])
def mounts(request, tmp_path) -> Iterator[tuple[Path, Path, str]]:
    """Two paths of one folder, and what their locks are: not implemented, seen by nobody else, or
    real ones of two mounts."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param != "its own":
        yield folder, folder, request.param
        return
    if shutil.which("bindfs") is None:
        pytest.skip("needs apt's bindfs")
    places = tmp_path / "a", tmp_path / "b"
    mounted = []
    try:
        for place in places:
            place.mkdir()
            done = subprocess.run(
                ["bindfs", folder, place], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"no folder can be mounted here: {done.stderr.strip()}")
            mounted.append(place)
        yield *places, request.param
    finally:
        for place in mounted:
            subprocess.run(["umount", "-l", place], check=True)


def begin(what: str, folder: Path, host: str, knows: str) -> subprocess.Popen:
    command = [sys.executable, "-c", MACHINE, what, str(folder), host, knows]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy())


def test_nothing_is_lost(mounts):
    first, second, knows = mounts
    writer = begin("write", first, "one", knows)
    wait_for((second / "x").exists, 60)
    other = begin("wait", second, "two", knows)
    assert writer.wait(60) == 0, "a file was taken away while it was written"
    told, _ = other.communicate(timeout=60)
    assert told.split("\n")[:3] == ["waits", "goes on", "over"]
    assert (first / "x").stat().st_size == 2_000_000
    assert {path.name for path in second.iterdir()} == {"x", "seen", "over", ".lock"}
