"""Files as they may lie on a disk: a pipe, a device, a terabyte, half of one that a dead process
was writing.

Nothing here knows what a file holds. `bench.store.checked` reads records, `bench.api.cache` images.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import stat
import time
from pathlib import Path

MOST_BYTES = 64 * 2**20
"""More than any record has; a file that is larger is none of ours."""

FORGOTTEN = 7 * 24 * 3600.0
"""Seconds after which a temporary file is waste whose owner cannot be asked: one of another machine
that shares the disk."""


def read_regular(path: str | Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file. It never waits, as reading a pipe does, and opens no device.

    Args:
        path: the file, or a link to one.
        most: bytes that are read.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger; `strerror` says which.
    """
    about = os.stat(path)  # noqa: PTH116 (10,000 files: half the time of a Path's methods)
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "is a pipe, a socket or a device, and no file", str(path))
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"is larger than {most / 2**20:g} MiB", str(path))
    return content


def is_file(path: str | Path) -> bool:
    """Whether a file lies there; none does under a name that no file can have, for which a Path's
    own method raises."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | Path) -> bool:
    """As `is_file`, of a folder."""
    return os.path.isdir(path)  # noqa: PTH112


def is_utf8(name: str) -> bool:
    """Whether a name can be stored: bytes that are no UTF-8 are lone surrogates in it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def owner() -> str:
    """This process, as a part of the name of what it alone writes: ``host_4026531836-4711``.

    Process numbers mean something on one machine only, and there in one namespace of containers.
    """
    try:
        space = "_" + re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))  # noqa: PTH115
    except OSError:  # not on macOS and Windows
        space = ""
    host = re.sub(r"[^A-Za-z0-9]", "_", platform.node())[:40]
    return f"{host}{space}-{os.getpid()}"


def abandoned(path: Path) -> bool:
    """Whether nobody writes a temporary file or folder any more: its name begins with a dot, a word
    perhaps, and the `owner`, and that process has ended.

    Of an owner elsewhere, and of a name without one, nobody can ask: such a file is abandoned when
    it was not touched for a week.
    """
    import psutil

    here, _, _ = owner().rpartition("-")
    named = re.match(r"\.(?:[a-z]+-)?(?P<host>\w+)-(?P<pid>\d+)-", path.name)
    if named and named["host"] == here:
        return not psutil.pid_exists(int(named["pid"]))
    try:
        return time.time() - path.lstat().st_mtime > FORGOTTEN
    except OSError:  # gone in the meantime
        return False
