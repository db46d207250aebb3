"""Atomic files: a reader sees the whole file or none, whatever happens to the writer; and folders
that one process at a time writes into."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel

from bench.api.files import abandoned, owner
from bench.errors import BenchError
from bench.store.checked import set_aside
from bench.store.layout import LEASE, LOCK, PARTIAL, RESULT
from bench.store.leases import Lease

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CannotWriteError(BenchError):
    """The disk is full, or may not be written to.

    Attributes:
        path: what was to be written.
        why: the system's words.
    """

    is_of_the_place = True
    """No fault of a learner: see `bench.processes.failure.failure_of`."""

    def __init__(self, path: str | Path, error: OSError) -> None:
        self.path, self.why = path, error.strerror or str(error)
        super().__init__(
            f"cannot write {path} ({self.why}); what is finished is kept: give the command again "
            "when there is room and permission, or name another folder"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return CannotWriteError, (self.path, OSError(0, self.why))


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Around all that changes the disk: what the system refuses is a `CannotWriteError`."""
    try:
        yield
    except OSError as error:
        raise CannotWriteError(path, error) from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Lets `write` fill a temporary file beside `path`, then puts it in place.

    Raises:
        CannotWriteError: the disk is full, or may not be written to.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{owner()}-", suffix=PARTIAL
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)  # mkstemp makes it private
            if path.is_dir() and not path.is_symlink():  # nothing of ours: it would never give way
                set_aside(path)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def utf8(text: str) -> bytes:
    """A text as it is written into a file. Names of files need not be UTF-8, and what says where
    something lies holds any of them: escapes stand for their bytes."""
    return text.encode(errors="backslashreplace")


def write_json(path: Path, record: BaseModel) -> None:
    """Stores a record as JSON that a person can read and git can diff."""
    text = record.model_dump_json(indent=1) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Stores arrays by name, compressed; read with ``numpy.load(path, allow_pickle=False)``."""
    import numpy as np

    named: dict[str, Any] = dict(arrays)
    write_atomically(path, lambda file: np.savez_compressed(file, **named))


NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a file system says that knows no locks; there a lease has to do."""


@contextlib.contextmanager
def locked(folder: Path, waiting: Callable[[bool], object] = lambda waits: None) -> Iterator[None]:
    """Two processes never work in one folder: the second waits, and then finds it done.

    Args:
        folder: made where it does not exist.
        waiting: told True where another process works there, and False when it has ended.

    Raises:
        CannotWriteError: the folder cannot be written to.
    """
    with lock_file(folder) as lock:
        if not lock(False):
            waiting(True)
            lock(True)
            waiting(False)
        for waste in folder.glob(f".*{PARTIAL}"):  # of a process that was killed while writing
            if abandoned(waste):
                waste.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def lock_file(folder: Path) -> Iterator[Callable[[bool], bool]]:
    """A function that locks a folder for as long as the context lasts: at once or not at all, and
    says which, or (True) after waiting for whoever works there. Where there are no locks (on
    Windows, on some network disks), or not the same for all, the lease alone says it."""
    with writing(folder / LOCK):
        folder.mkdir(parents=True, exist_ok=True)
        # Nothing is written: a link in a folder from elsewhere must not cost the file it leads to.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(folder / LOCK, flags, 0o644)
    lease = Lease(folder)

    def lock(wait: bool) -> bool:
        if not _lock(descriptor, folder / LOCK, wait):
            return False
        with writing(folder / LEASE):
            return lease.take(wait)

    try:
        yield lock
    finally:
        lease.give_back()
        os.close(descriptor)


def _lock(descriptor: int, path: Path, wait: bool) -> bool:
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ModuleNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise CannotWriteError(path, error) from error
    return True


def clear(folder: Path) -> bool:
    """Empties a folder, unless another process works in it. Returns whether it is empty now.

    What other processes are writing stays, and so does the lock, which others may wait for.
    """
    if not folder.exists():
        return True
    with lock_file(folder) as lock, writing(folder):
        if not lock(False):
            return False
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name != RESULT)
        for entry in entries:  # the result first: what lacks one is unfinished
            if entry.name in {LOCK, LEASE} or (
                entry.name.endswith(PARTIAL) and not abandoned(Path(entry))
            ):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry)
            else:
                Path(entry).unlink(missing_ok=True)
    return True
