"""Tensors on disk: written freely, read strictly, and so tried before hours depend on it.

Files are read with ``weights_only=True``, which runs no code. A state that torch lets a learner
have, and that it would then refuse to read, is found out by `readable`: numpy's numbers and arrays
are stored as what they are; of anything else it says where in the state it is.
"""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.errors import BenchError
from bench.store.atomic import write_atomically
from bench.store.checked import UnreadableError

NUMPY = "__numpy__"
"""Key of a dict that stands for an array or a number of numpy's."""


def save_torch(path: Path, content: dict[str, Any]) -> None:
    """Stores tensors, arrays and plain values; `load_torch` reads them without running code.

    Raises:
        CannotWriteError: the disk is full, or may not be written to.
    """
    # In memory first: where the disk is full torch would raise an error of its own.
    stored = _bytes(content)
    write_atomically(path, lambda file: file.write(stored))


def load_torch(path: Path) -> dict[str, Any]:
    """Reads what `save_torch` stored, onto the CPU.

    Raises:
        UnreadableError: it is missing or damaged, or would run code.
    """
    if not path.is_file():
        raise UnreadableError("is no file" if path.exists() else "is missing")
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself looks at no checksum
            if any(member.compress_type for member in archive.infolist()):
                raise UnreadableError("is not from bench: torch compresses nothing")
            if (name := archive.testzip()) is not None:
                raise UnreadableError(f"is damaged: {name} in it is not what was written")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnreadableError:
        raise
    except Exception as error:  # torch, pickle, zipfile and zlib raise many kinds
        raise UnreadableError(f"is damaged, or not from bench ({_brief(error)})") from error
    if not isinstance(content, dict):
        raise UnreadableError(f"holds a {type(content).__name__} where a dict belongs")
    decoded: dict[str, Any] = _rebuilt(content, _decoded)
    return decoded


def readable(content: dict[str, Any]) -> dict[str, Any]:
    """What `load_torch` would read of this, without a disk.

    Raises:
        BenchError: it could be written and not read; it says what, and where in the content.
    """
    try:
        return _read(_bytes(content))
    except Exception as error:
        for where, value in _leaves(content):
            try:
                _read(_bytes({"value": value}))
            except Exception:
                kind = f"{type(value).__module__}.{type(value).__qualname__}"
                raise BenchError(
                    f"the state of this learner cannot be stored: {' > '.join(where)} is a {kind}, "
                    "and reading it back would run code; keep tensors, arrays, numbers, texts, "
                    "lists and dicts in states (state_dict, get_extra_state)"
                ) from error
        raise BenchError(
            f"the state of this learner could be stored and not read back: {_brief(error)}"
        ) from error


def _bytes(content: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(_rebuilt(content, _encoded), file)
    return file.getvalue()


def _read(stored: bytes) -> dict[str, Any]:
    content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    decoded: dict[str, Any] = _rebuilt(content, _decoded)
    return decoded


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of nested containers with the values changed; what does not change is not copied."""
    changed = change(value)
    if changed is not value:
        return changed
    if type(value) in {dict, OrderedDict}:
        items = {key: _rebuilt(item, change) for key, item in value.items()}
        if all(items[key] is value[key] for key in value):
            return value
        copy = type(value)(items)
        if isinstance(copy, OrderedDict):
            vars(copy).update(vars(value))  # torch keeps the versions of modules there
        return copy
    if type(value) in {list, tuple}:
        entries = [_rebuilt(item, change) for item in value]
        same = all(a is b for a, b in zip(entries, value, strict=True))
        return value if same else type(value)(entries)
    return value


def _encoded(value: Any) -> Any:
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.hasobject:
        return value
    array = np.asarray(value)
    about = [array.dtype.str, list(array.shape), isinstance(value, np.generic)]
    content = torch.tensor(bytearray(np.ascontiguousarray(array).tobytes()), dtype=torch.uint8)
    return {NUMPY: about, "bytes": content}


def _decoded(value: Any) -> Any:
    if type(value) is not dict or set(value) != {NUMPY, "bytes"}:
        return value
    dtype, shape, scalar = value[NUMPY]
    array = np.frombuffer(value["bytes"].numpy().tobytes(), np.dtype(dtype)).reshape(shape).copy()
    return array[()] if scalar else array


def _leaves(value: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if type(value) in {dict, OrderedDict}:
        for key, item in value.items():
            yield from _leaves(item, (*where, str(key)))
    elif type(value) in {list, tuple}:
        for number, item in enumerate(value):
            yield from _leaves(item, (*where, str(number)))
    else:
        yield where, value


def _brief(error: Exception) -> str:
    """One line: torch adds a page on how to read it all the same."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    own = [line for line in lines if "WeightsUnpickler error" in line]
    return (own or lines)[0].strip()[:160]
