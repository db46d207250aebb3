"""Decoded images in files that are mapped into memory, and never trusted when they are damaged.

A dataset is two files in the cache folder: ``KEY.npy``, the images, and ``KEY.json``, all else with
checksums of the images and of itself. Both are written under other names first and then moved into
place, the JSON last. What was interrupted, cut off, altered or mixed up by two processes fails a
checksum and is built again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api.dataset import DataFolders, ImageClasses
from bench.api.errors import BenchError
from bench.api.files import abandoned, owner, read_regular

DTYPES = (np.uint8, np.float32)
"""Of images, and of features."""
_compared: set[str] = set()
"""Stamps of the files whose checksum this process has compared."""


def cached(folder: Path | DataFolders, key: str, build: Callable[[], ImageClasses]) -> ImageClasses:
    """The dataset stored as `key`; where it is missing or damaged, built and stored first. Either
    way it is mapped into memory, which all processes share.

    Args:
        folder: the cache folder, made when missing; or all folders of a run, which know what has
            been compared with its checksum in it (workers do not do it again).
        key: file name without ending. It names everything that decides the pixels: dataset, image
            size, version of the decoding.
        build: makes the dataset.

    Raises:
        BenchError: when the folder cannot be written (missing rights, no space). Nothing that a
            later run would trust is left behind.
    """
    checked = folder.checked if isinstance(folder, DataFolders) else frozenset[str]()
    folder = folder.cache if isinstance(folder, DataFolders) else folder
    if (found := stored(folder, key, checked)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        scratch = tempfile.TemporaryDirectory(
            prefix=f".building-{owner()}-", dir=folder, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise unwritable(folder, error) from error
    with scratch as temporary:
        data = build()
        try:
            _write(data, Path(temporary), folder, key)
        except OSError as error:
            raise unwritable(folder, error) from error
    mapped = stored(folder, key)  # another process may be replacing it
    return data if mapped is None or mapped.content != data.content else mapped


def unwritable(folder: Path, error: OSError) -> BenchError:
    """The error for a cache folder that cannot be written."""
    return BenchError(
        f"cannot write to the cache folder {folder}: {error.strerror or error}; give it room and "
        "write permission, or set BENCH_CACHE_DIR to a folder that has both"
    )


def _write(data: ImageClasses, scratch: Path, folder: Path, key: str) -> None:
    images = np.ascontiguousarray(data.images.numpy())
    about: dict[str, Any] = {
        "key": key,
        "shape": images.shape,
        "crc32": zlib.crc32(images.data),
        "name": data.name,
        "content": data.content,
        "starts": data.starts.tolist(),
        "counts": data.counts.tolist(),
        "class_names": data.class_names,
        "groups": data.groups,
    }
    about["checksum"] = _checksum(about)
    np.save(scratch / "images.npy", images, allow_pickle=False)
    (scratch / "about.json").write_text(json.dumps(about), encoding="utf-8")
    (scratch / "images.npy").replace(folder / f"{key}.npy")
    (scratch / "about.json").replace(folder / f"{key}.json")


def checked_files() -> frozenset[str]:
    """The files whose checksum this process has compared: for `DataFolders.checked`."""
    return frozenset(_compared)


def _is_whole(path: Path, images: NDArray[Any], crc32: int, checked: frozenset[str]) -> bool:
    """Whether the checksum is right; compared once in a run, as long as the file is the same."""
    told = path.stat()
    stamp = f"{told.st_dev} {told.st_ino} {told.st_size} {told.st_mtime_ns} {crc32}"
    if stamp in _compared or stamp in checked:
        return True
    if zlib.crc32(images.data) != crc32:
        return False
    _compared.add(stamp)
    return True


def stored(folder: Path, key: str, checked: frozenset[str] = frozenset()) -> ImageClasses | None:
    """The stored dataset, or None when it is missing, damaged, or another one.

    Args:
        folder: the cache folder.
        key: see `cached`.
        checked: see `checked_files`; these are not read again.
    """
    try:
        about = json.loads(read_regular(folder / f"{key}.json"))
        if about.pop("checksum") != _checksum(about):
            return None
        # Copy-on-write: pages are read when touched, and torch wants writable memory.
        path = folder / f"{key}.npy"
        images = np.lib.format.open_memmap(path, mode="c")
        if (
            about["key"] != key
            or images.dtype not in DTYPES
            or list(images.shape) != about["shape"]
            or not _is_whole(path, images, about["crc32"], checked)
        ):
            return None
        data = ImageClasses(
            name=about["name"],
            images=torch.from_numpy(images),
            starts=np.array(about["starts"], dtype=np.int64),
            counts=np.array(about["counts"], dtype=np.int64),
            class_names=tuple(about["class_names"]),
            groups=tuple(about["groups"]),
            content=about["content"],
        )
        return data if _fits(data) else None
    except Exception:  # json, numpy and its tokenizer raise many kinds for a damaged file
        return None


def _checksum(about: dict[str, Any]) -> str:
    """Of all that is said about the images, whatever the layout of the JSON."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _fits(data: ImageClasses) -> bool:
    """Whether the classes are in the images: a checksum tells damage, not who has written."""
    starts, counts, images = data.starts, data.counts, len(data.images)
    named = len(data.class_names) == len(data.groups) == len(counts) > 0
    inside = starts.shape == counts.shape == (len(counts),) and named
    inside = inside and bool((starts >= 0).all() and (counts > 0).all())
    # each on its own first: a sum of two may be too large for its type
    inside = inside and bool((starts <= images).all() and (counts <= images).all())
    texts = all(isinstance(text, str) for text in (data.content, *data.class_names, *data.groups))
    return inside and texts and bool((starts + counts <= images).all())


def _sweep(folder: Path) -> None:
    """Removes what killed processes left; a build may take hours, and is its owner's."""
    for left in folder.glob(".building-*"):
        if abandoned(left):
            shutil.rmtree(left, ignore_errors=True)
