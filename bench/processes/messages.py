"""What a worker says: lines of JSON on a pipe of its own, of which nothing is trusted.

Each line is an object with one key:

=========== ==================================================================================
progress    an object: where it stands, of numbers, short texts, true, false and null
failure     a list of three texts: the reason, the traceback and the kind
=========== ==================================================================================

A line that is anything else was written there by a learner that takes descriptors for its own: a
failure, as nobody knows where else it has written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from json import JSONEncoder, loads  # by name: a learner may replace what the module offers
from typing import Any, Literal, NamedTuple

MOST_LINE = 2**19
"""Bytes of a line. A failure is shorter: `bench.api.executor.Ended` keeps so many characters."""

MOST_READ = 2**18
"""Bytes read at once."""

MOST_KEYS = 32
"""Keys of a progress."""


MOST_TEXT = 1_000
"""Characters of a text in it."""


class Failure(NamedTuple):
    """What a worker has raised."""

    reason: str
    traceback: str | None
    kind: Literal["error", "memory", "refused"] = "error"


FOREIGN = Failure("the process wrote into a pipe that is not its own, and perhaps elsewhere", None)
"""What a line that is no message means."""


Message = Failure | dict[str, Any]
"""How it failed, or where it stands."""


class Sender:
    """The worker's end of the pipe.

    Args:
        descriptor: of the pipe. When a learner closes it and the number is given to another file,
            nothing is written there.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pipe = _identity(descriptor)
        self._encode = JSONEncoder().encode

    def progress(self, event: dict[str, Any]) -> None:
        """Where it stands."""
        self._send({"progress": event})

    def failure(self, reason: str, traceback: str, kind: str = "error") -> None:
        """How it failed: the last message."""
        self._send({"failure": [reason, traceback, kind]})

    def _send(self, content: dict[str, Any]) -> None:
        line = memoryview(self._encode(content).encode() + b"\n")
        try:
            while line and _identity(self._descriptor) == self._pipe:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            pass  # nobody listens any more


class Reader:
    """Bench's end of the pipe: cuts what arrives into lines, and reads them."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._too_long = False

    def take(self, part: bytes) -> Iterator[Message]:
        """The messages that end in these bytes."""
        *ends, rest = part.split(b"\n")
        for end in ends:
            self._add(end)
            yield FOREIGN if self._too_long else parse(bytes(self._line))
            self._line.clear()
            self._too_long = False
        self._add(rest)

    def _add(self, part: bytes) -> None:
        self._too_long |= len(self._line) + len(part) > MOST_LINE
        if self._too_long:
            self._line.clear()
        else:
            self._line += part


def parse(line: bytes) -> Message:
    """The message in a line; `FOREIGN` where there is none."""
    try:
        content = loads(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return FOREIGN
    match content:
        case {"progress": dict(event)} if len(event) <= MOST_KEYS:
            return {key: value for key, value in event.items() if _is_plain(value)}
        case {"failure": [str(reason), str(traceback), ("error" | "memory" | "refused") as kind]}:
            return Failure(reason, traceback, kind)
    return FOREIGN


def _is_plain(value: Any) -> bool:
    """Whether it is what a progress is made of. Python's integers have no end, and floats cannot be
    made of them."""
    if isinstance(value, str):
        return len(value) <= MOST_TEXT
    if isinstance(value, int):
        return abs(value) < 2**63
    return value is None or isinstance(value, float)


def _identity(descriptor: int) -> tuple[int, int]:
    """Which file it is that a descriptor stands for."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
