"""Two never work in one folder, where nothing but files is shared between them."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

from bench.store import atomic, leases
from bench.store.atomic import clear, lock_file, locked
from bench.store.leases import LEASE, Lease


@pytest.fixture(params=["no flock", "flock that others do not see"])
def _no_common_locks(request, monkeypatch):
    """A disk that knows no locks, or two mounts that know their own."""

    def flock(descriptor, how):
        if request.param == "no flock":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(leases, "LOOK_SECONDS", 0.02)


@pytest.mark.usefixtures("_no_common_locks")
def test_the_second_waits(tmp_path):
    told, inside = [], threading.Event()
    with locked(tmp_path):

        def second() -> None:
            with locked(tmp_path, lambda waits: (told.append(waits), inside.set())):
                told.append("in")

        thread = threading.Thread(target=second)
        thread.start()
        assert inside.wait(30)
        time.sleep(0.1)
        assert told == [True]
        assert not clear(tmp_path)
    thread.join(30)
    assert told == [True, False, "in"]
    assert [path.name for path in tmp_path.iterdir()] == [".lock"], "it is given back"


@pytest.mark.usefixtures("_no_common_locks")
def test_many_at_once_are_one_after_another(tmp_path):
    """A count that is read, and written a moment later, is right in the end."""
    count = tmp_path / "count"
    count.write_text("0")

    def work() -> None:
        for _ in range(5):
            with locked(tmp_path / "folder"):
                before = int(count.read_text())
                time.sleep(0.001)
                count.write_text(str(before + 1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert count.read_text() == "30"


def test_of_a_process_that_was_killed_it_is_free_at_once(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from bench.store.leases import Lease\n"
        "Lease(Path(sys.argv[1])).take(False); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert (tmp_path / LEASE).exists()
    lease = Lease(tmp_path)
    assert lease.take(False)
    lease.give_back()
    assert list(tmp_path.iterdir()) == []


def test_of_another_machine_it_is_free_when_it_is_not_touched_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "STALE_SECONDS", 0.5)
    path = tmp_path / LEASE
    path.write_text(f"elsewhere_1-77-{'a' * 32}")
    lease = Lease(tmp_path)
    assert not lease.take(False)
    touched = time.monotonic() + 1.0

    def pause(seconds: float) -> None:
        time.sleep(0.05)
        if time.monotonic() < touched:
            path.touch()  # its owner works on

    assert lease.take(True, pause)
    assert time.monotonic() > touched + 0.4
    lease.give_back()


def test_who_does_not_wait_takes_that_of_a_machine_that_is_gone(tmp_path):
    """As `--rerun` and each worker's first look do: they watch nobody for two minutes."""
    path = tmp_path / LEASE
    path.write_text(f"elsewhere_1-77-{'a' * 32}")
    (tmp_path / "result.json").write_text("{}")
    assert not clear(tmp_path)
    long_ago = time.time() - leases.STALE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    assert clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_it_is_touched_while_its_owner_works(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)
    with locked(tmp_path):
        os.utime(tmp_path / LEASE, (0, 0))
        until = time.monotonic() + 10
        while (tmp_path / LEASE).stat().st_mtime == 0:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_one_that_somebody_has_made_since_is_put_back(tmp_path):
    path = tmp_path / LEASE
    path.write_text("new")
    Lease(tmp_path)._remove(("old", 0))
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == [LEASE]


def test_a_lease_that_is_not_its_own_is_not_given_back(tmp_path):
    with lock_file(tmp_path) as lock:
        assert lock(False)
        (tmp_path / LEASE).write_text("of another, who took it over")
    assert (tmp_path / LEASE).exists()


def test_a_disk_that_refuses_is_told(tmp_path):
    (tmp_path / LEASE).mkdir()
    with pytest.raises(atomic.CannotWriteError, match=r"\.lease"), lock_file(tmp_path) as lock:
        lock(False)


def test_a_full_disk_leaves_no_empty_lease(tmp_path, monkeypatch):
    lease = Lease(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.store.leases.os.fdopen", full)
    with pytest.raises(OSError, match="No space left"):
        lease.take(wait=False)
    assert not (tmp_path / LEASE).exists()
