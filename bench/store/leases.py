"""Leases: who works in a folder, where locks do not say it.

A lock is known to those who share it: not on disks that know no locks (``flock`` is not implemented
on many a Lustre), and not between two machines that mount one folder with locks of their own. A
lease is a file, which all of them see. Its owner touches it while it works. One that is not touched
any more, or whose owner was a process of this machine and has ended, is taken over.

This keeps two from doing the same work. Should it fail, as where a process was suspended for
minutes, the same is computed twice: files are whole all the same, as each is written beside its
place and then put there.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.api.files import owner
from bench.store.layout import LEASE, PARTIAL

BEAT_SECONDS = 10.0
"""So often an owner touches its lease."""

STALE_SECONDS = 120.0
"""A lease that was not touched for so long is nobody's."""

LOOK_SECONDS = 1.0
"""So often one that waits looks at it."""

Seen = tuple[str, int]
"""What is in a lease, and when it was touched: in the clock of whatever has the disk, which is
compared with nothing but itself."""


class Lease:
    """The lease of a folder; made when it is taken.

    Args:
        folder: is there.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEASE
        self._name = f"{owner()}-{uuid.uuid4().hex}"
        self._over = threading.Event()
        self._beats: threading.Thread | None = None

    def take(self, wait: bool, pause: Callable[[float], object] = time.sleep) -> bool:
        """Takes it; whether it has it.

        Args:
            wait: until it is free; else it is taken now or not at all.
            pause: waits between two looks.

        Raises:
            OSError: the disk refuses.
        """
        seen: Seen | None = None
        since = time.monotonic()
        while not self._create():
            now = self._look()
            if now is None:  # given back at this moment
                continue
            if now != seen:
                seen, since = now, time.monotonic()
            watched = time.monotonic() - since
            if _has_ended(now[0]) or watched > STALE_SECONDS or not (wait or self._is_fresh(now)):
                self._remove(now)
                seen = None
            elif not wait:
                return False
            else:
                pause(LOOK_SECONDS)
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()
        return True

    def give_back(self) -> None:
        """Where it was taken."""
        self._over.set()
        if self._beats is not None:
            self._beats.join()
            if (seen := self._look()) is not None and seen[0] == self._name:
                with contextlib.suppress(OSError):
                    self._path.unlink()

    def _create(self) -> bool:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(self._path, flags, 0o644)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(self._name)
        except OSError:  # a full disk: an empty lease would be waited for
            with contextlib.suppress(OSError):
                self._path.unlink()
            raise
        return True

    def _look(self) -> Seen | None:
        """What is there; None where nothing is."""
        try:
            touched = self._path.lstat().st_mtime_ns
            with self._path.open("rb") as file:
                return file.read(500).decode(errors="replace"), touched
        except FileNotFoundError:
            return None

    def _is_fresh(self, seen: Seen) -> bool:
        """Whether it was touched lately, for whoever has no time to watch: a file that is new is
        dated by the same clock."""
        clock = self._path.with_name(f".{self._name}{PARTIAL}")
        clock.touch()
        try:
            return clock.stat().st_mtime_ns - seen[1] < STALE_SECONDS * 1e9
        finally:
            clock.unlink()

    def _remove(self, stale: Seen) -> None:
        """Takes a lease away that is nobody's: no other one, which someone has made since."""
        aside = self._path.with_name(f".{self._name}{LEASE}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:  # somebody else has
            return
        if aside.read_text(errors="replace") != stale[0]:
            with contextlib.suppress(OSError):
                os.link(aside, self._path)
        aside.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._path)


def touched_lately(folder: Path, clock: Path) -> bool:
    """Whether somebody works in a folder, as far as its lease says: no other machine's process can
    be looked at.

    Args:
        folder: may be missing.
        clock: a file on the same disk. It is touched, for times of two clocks say nothing.
    """
    try:
        touched = (folder / LEASE).stat().st_mtime
        os.utime(clock)
        return clock.stat().st_mtime - touched < STALE_SECONDS
    except OSError:
        return False


def _has_ended(name: str) -> bool:
    """Whether its owner was a process of this machine, which has ended."""
    here, _, _ = owner().rpartition("-")
    found = re.fullmatch(r"(?P<host>\w+)-(?P<pid>\d{1,9})-[0-9a-f]{32}", name)
    if found is None or found["host"] != here:
        return False
    return not psutil.pid_exists(int(found["pid"]))
