"""Decoded images in files that are mapped into memory, and never trusted when they are damaged.

A dataset is two files in the cache folder: ``KEY.npy``, the images, and ``KEY.json``, all else with
a checksum of the images. Both are written under other names first and then moved into place, the
JSON last. What was interrupted, cut off, altered or mixed up by two processes fails the checksum
and is built again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bench.api.dataset import ImageClasses
from bench.api.errors import BenchError

ABANDONED = 3600.0
"""Seconds after which the temporary folder of a killed process is removed."""


def cached(folder: Path, key: str, build: Callable[[], ImageClasses]) -> ImageClasses:
    """The dataset stored as `key`; where it is missing or damaged, built and stored first.

    Args:
        folder: the cache folder; made when missing.
        key: file name without ending. It names everything that decides the pixels: dataset, image
            size, version of the decoding.
        build: makes the dataset. Its result is returned as it is.

    Raises:
        BenchError: when the folder cannot be written (missing rights, no space). Nothing that a
            later run would trust is left behind.
    """
    if (found := stored(folder, key)) is not None:
        return found
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        scratch = tempfile.TemporaryDirectory(
            prefix=".building-", dir=folder, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise unwritable(folder, error) from error
    with scratch as temporary:
        data = build()
        try:
            _write(data, Path(temporary), folder, key)
        except OSError as error:
            raise unwritable(folder, error) from error
    return data


def unwritable(folder: Path, error: OSError) -> BenchError:
    """The error for a cache folder that cannot be written."""
    return BenchError(
        f"cannot write to the cache folder {folder}: {error.strerror or error}; give it room and "
        "write permission, or set BENCH_CACHE_DIR to a folder that has both"
    )


def _write(data: ImageClasses, scratch: Path, folder: Path, key: str) -> None:
    images = np.ascontiguousarray(data.images.numpy())
    about = {
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
    np.save(scratch / "images.npy", images, allow_pickle=False)
    (scratch / "about.json").write_text(json.dumps(about), encoding="utf-8")
    (scratch / "images.npy").replace(folder / f"{key}.npy")
    (scratch / "about.json").replace(folder / f"{key}.json")


def stored(folder: Path, key: str) -> ImageClasses | None:
    """The stored dataset, or None when it is missing, damaged, or another one."""
    try:
        about = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        # Copy-on-write: pages are read when touched, and torch wants writable memory.
        images = np.lib.format.open_memmap(folder / f"{key}.npy", mode="c")
        if (
            about["key"] != key
            or images.dtype != np.uint8
            or list(images.shape) != about["shape"]
            or zlib.crc32(images.data) != about["crc32"]
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


def _fits(data: ImageClasses) -> bool:
    """Whether the classes are in the images: the checksum is of the pixels alone."""
    starts, counts, images = data.starts, data.counts, len(data.images)
    named = len(data.class_names) == len(data.groups) == len(counts) > 0
    inside = starts.shape == counts.shape == (len(counts),) and named
    inside = inside and bool((starts >= 0).all() and (counts > 0).all())
    # each on its own first: a sum of two may be too large for its type
    inside = inside and bool((starts <= images).all() and (counts <= images).all())
    texts = all(isinstance(text, str) for text in (data.content, *data.class_names, *data.groups))
    return inside and texts and bool((starts + counts <= images).all())


def _sweep(folder: Path) -> None:
    """Removes what killed processes left: temporary folders that nobody has touched for long."""
    for left in folder.glob(".building-*"):
        if time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)
