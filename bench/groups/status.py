"""Where a group stands, as it says itself: a small file that it writes while it works.

The results folder says what is done. This says what is being done, where, and how often that was
broken off, for who follows it from another machine. It may be late, and no harm if it is lost.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from pathlib import Path
from typing import Any, Literal

import psutil

from bench.api.files import owner
from bench.groups.events import Event
from bench.groups.group import Group
from bench.store import layout
from bench.store.atomic import CannotWriteError, write_json, writing
from bench.store.checked import UnreadableError, missing, read_record
from bench.store.leases import touched_lately
from bench.store.records import Record
from bench.worker.environment import now

LONG_SECONDS = 60.0
"""Who is stopped sooner had no time to get on."""

TELL_SECONDS = 2.0
"""So often it is written while nothing but a fraction changes."""


class GroupStatus(Record):
    """Where a group stands."""

    name: str
    """Of the group."""
    state: Literal["working", "stopped", "ended"]
    """``stopped``: by a signal, to be carried out again; one that was killed still says
    ``working``."""
    host: str
    process: str
    """See `bench.api.files.owner`."""
    attempts: int
    """How often it was begun."""
    lost: int
    """How often it was begun, and then neither stopped nor ended."""
    idle: int = 0
    """How often in a row it was stopped after `LONG_SECONDS` or more, and had not got on."""
    stands: str = ""
    """`bench.groups.group.Group.stands` when it was begun; empty: it was stopped by hand."""
    seconds: float = 0.0
    """Since it was begun."""
    part: int | None = None
    """Which of `bench.groups.group.Group.parts` it is at."""
    details: dict[str, Any] = {}
    """The last progress of that."""
    notes: list[str] = []
    """What the user should know."""
    told: str
    """When it was written: ISO 8601, UTC."""


def read_status(run: Path, group: Group) -> GroupStatus | None:
    """What a group says of itself; None where it has not begun, or that cannot be read."""
    try:
        record = read_record(layout.group_file(run, group.index), GroupStatus, ("name", group.name))
    except UnreadableError:
        return None
    return GroupStatus.model_validate(record)


def forget_status(run: Path, group: Group) -> None:
    """Forgets what a group said in an earlier run."""
    path = layout.group_file(run, group.index)
    if not missing(path):
        with writing(path):
            path.unlink(missing_ok=True)


class StatusReader:
    """Reads what a group says of itself, when that has changed.

    Args:
        run: the folder of the run.
        group: the group.
    """

    def __init__(self, run: Path, group: Group) -> None:
        self._run, self._group = run, group
        self._seen: tuple[int, int] | None = None
        self._notes = 0

    def news(self) -> GroupStatus | None:
        """What it says, with the notes that are new; None where it has said nothing since."""
        try:
            about = layout.group_file(self._run, self._group.index).stat()
        except OSError:
            return None
        if self._seen == (about.st_mtime_ns, about.st_ino):
            return None
        self._seen = about.st_mtime_ns, about.st_ino
        status = read_status(self._run, self._group)
        if status is None:
            return None
        new, self._notes = status.notes[self._notes :], len(status.notes)
        return status.model_copy(update={"notes": new})


class StatusWriter:
    """Writes what happens to a group; the `bench.groups.events.Listener` of it.

    Args:
        run: the folder of the run.
        group: the group.
    """

    def __init__(self, run: Path, group: Group) -> None:
        before = read_status(run, group)
        self._file, self._written = layout.group_file(run, group.index), 0.0
        self._begun = time.monotonic()
        self._folders = {part.folder for part in group.parts()}
        broken_off = before is not None and before.state == "working" and not self._lives(before)
        stands = repr(group.stands())
        self._parts = {part.output: number for number, part in enumerate(group.parts())}
        self._content: dict[str, Any] = {
            "name": group.name,
            "host": platform.node(),
            "process": owner(),
            "attempts": 1 + (before.attempts if before else 0),
            "lost": broken_off + (before.lost if before else 0),
            "idle": 0 if before is None else _idle(before, stands),
            "stands": stands,
            "notes": [],
        }
        self.state("working")

    @property
    def lost(self) -> int:
        """See `GroupStatus.lost`."""
        return int(self._content["lost"])

    @property
    def idle(self) -> int:
        """See `GroupStatus.idle`."""
        return int(self._content["idle"])

    def count_anew(self) -> None:
        """What it was at each time is not tried again."""
        self._content |= {"lost": 0, "idle": 0}
        self._write()

    def stopped(self, by_hand: bool) -> None:
        """Says that a signal has stopped it."""
        if by_hand:
            self._content["stands"] = ""
        self.state("stopped")

    def _lives(self, before: GroupStatus) -> bool:
        """Whether who began it before still works: a process of this machine that runs, or one of
        another machine, which cannot be looked at, whose lease was touched a moment ago."""
        here, _, _ = owner().rpartition("-")
        host, _, pid = before.process.rpartition("-")
        if host == here:
            return int(pid) != os.getpid() and psutil.pid_exists(int(pid))
        return any(touched_lately(folder, self._file) for folder in self._folders)

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        content = self._content
        if "note" in event.details:
            content["notes"] = [*content["notes"], str(event.details["note"])][-20:]
        elif event.kind == "progress":
            content["details"] = event.details
        else:
            content |= {"part": self._parts.get(event.assignment.output), "details": {}}
        if event.kind != "progress" or time.monotonic() - self._written > TELL_SECONDS:
            self._write()

    def state(self, state: str) -> None:
        """Says whether it still works."""
        self._content["state"] = state
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(CannotWriteError):  # who works tells of a full disk
            self._written = time.monotonic()
            content = self._content | {"seconds": self._written - self._begun}
            write_json(self._file, GroupStatus(**content, told=now()))


def _idle(before: GroupStatus, stands: str) -> int:
    """`GroupStatus.idle` of who begins now."""
    if before.stands != stands:
        return 0
    return before.idle + (before.state == "stopped" and before.seconds >= LONG_SECONDS)
