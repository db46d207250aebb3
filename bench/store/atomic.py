"""Atomic files: a reader sees the whole file or none, whatever happens to the writer; and folders
that one process at a time writes into."""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel

from bench.store.layout import LOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray


PARTIAL = ".partial"
"""Suffix of a file being written; one that outlives its writer is waste."""


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Lets `write` fill a temporary file beside `path`, then puts it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes it private
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, record: BaseModel) -> None:
    """Stores a record as JSON that a person can read and git can diff."""
    text = record.model_dump_json(indent=1) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def save_torch(path: Path, content: dict[str, Any]) -> None:
    """Stores tensors and plain values; `load_torch` reads them without unpickling code."""
    import torch

    write_atomically(path, lambda file: torch.save(content, file))


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Stores arrays by name, compressed; read with ``numpy.load(path, allow_pickle=False)``."""
    import numpy as np

    named: dict[str, Any] = dict(arrays)
    write_atomically(path, lambda file: np.savez_compressed(file, **named))


def load_torch(path: Path) -> dict[str, Any]:
    """Reads what `save_torch` stored, onto the CPU."""
    import torch

    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Two processes never work in one folder: the second waits, and then finds it done."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fcntl: Any = importlib.import_module("fcntl")
    except ModuleNotFoundError:  # Windows: without a lock
        yield
        return
    with (folder / LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for waste in folder.glob(f"*{PARTIAL}"):  # of a process that was killed while writing
            waste.unlink()
        yield
