"""The log of a worker: bounded when it is written, and read from its end."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

HEAD, TAIL = 2**20, 2**20
"""Bytes kept of a log that becomes longer than both and another `TAIL`: its first and last ones."""

LEFT_OUT = b"\n[... %d bytes left out ...]\n"

LAST = 2**14
"""Bytes at the end of a log in which its last line is looked for."""


class BoundedLog:
    """Appends to a log, of which the middle is left out where it becomes too long.

    A log that cannot be written (a full disk, a folder that is gone) stops nobody's work: what
    belongs there is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            # A link, a pipe or a device in its place is somebody else's.
            how = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(path, how | os.O_CLOEXEC, 0o644)
            if stat.S_ISREG(os.fstat(file).st_mode):
                self._file = file
            else:
                os.close(file)

    def write(self, part: bytes) -> None:
        """Appends."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._file, part)
            size = os.fstat(self._file).st_size
            if size > HEAD + 2 * TAIL:
                self._shorten(self._file, size)

    def close(self) -> None:
        """Writes no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _shorten(self, file: int, size: int) -> None:
        before = re.match(re.escape(LEFT_OUT).replace(b"%d", rb"(\d+)"), os.pread(file, 100, HEAD))
        left_out = size - HEAD - TAIL
        if before:  # what it says is counted on, and itself is no part of the log
            left_out += int(before[1]) - len(before[0])
        tail = os.pread(file, TAIL, size - TAIL)
        os.ftruncate(file, HEAD)
        os.write(file, LEFT_OUT % left_out + tail)


def last_line(path: Path) -> str | None:
    """The last line of a log with anything in it; None where there is none."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
            end = file.read(LAST)
    except OSError:
        return None
    lines = end.decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else None
