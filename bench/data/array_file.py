"""A dataset from arrays: an ``.npz`` file with ``images`` (or ``features``) and ``labels``.

Bytes are images, scaled to the size that a suite asks for; floats are taken as they are, as
embeddings of a frozen network. Nothing is unpickled, and what an array says of its size is compared
with the bytes that it has before memory is taken for it.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api.cache import cached
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.files import is_utf8
from bench.api.resize import area_average
from bench.data.class_folder import ClassFolder, Counted
from bench.data.labels import check_labelled
from bench.errors import BenchError

READING = 2
"""Version of how arrays become images; part of the cache's file name."""
MOST_BYTES = 2**35
"""Of one array, unpacked."""
ITEMS = ("images", "features")
"""Either name of the array of inputs."""
CHANNELS = (1, 3)
MAGIC = b"\x93NUMPY"
"""The first bytes of an ``.npy`` file."""


class ArrayFile(DatasetSource):
    """The images or features of an ``.npz`` file, by the labels in it.

    Images: (M, H, W), (M, H, W, C) or (M, C, H, W) uint8, C being 1 or 3. Features: (M, ...) of
    float16, 32 or 64, kept as float32. Labels: (M,) integers or texts, which name the classes.
    """

    name = "arrays"
    description = "An .npz file with images or features and labels, as a suite file names it."

    def __init__(self, classes: ClassFolder) -> None:
        self.classes = classes
        self.path = Path(classes.path)

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or reads the file.

        Raises:
            BenchError: a file that is missing, damaged, or holds something else; a cache folder
                that cannot be written.
        """
        try:
            told = self.path.stat()
        except OSError as error:
            raise BenchError(f"cannot read {self.path}: {error.strerror}") from error
        # One of the same shapes has the same size, and who copies it may set when it was changed.
        times = f"{told.st_mtime_ns}\0{told.st_ctime_ns}"
        stamp = f"{self.path.absolute()}\0{told.st_size}\0{times}"
        key = (
            f"{self.name}-{image_size}-v{READING}-{hashlib.sha256(stamp.encode()).hexdigest()[:24]}"
        )
        return cached(folders, key, lambda: self._build(image_size, notify))

    def split(self, name: str, data: ImageClasses) -> Split:
        """The classes of each phase; there is one split, whatever its name.

        Raises:
            BenchError: where a class is no longer there.
        """
        return self.classes.split(data)

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Reads everything again, and counts it."""
        data = self._build(28, notify)
        shape = "x".join(map(str, data.images.shape[1:]))
        counted = Counted(tuple(data.counts.tolist()))
        return f"{self.path}: {counted}; {data.images.dtype} of {shape}; content {data.content}"

    def class_counts(self) -> dict[str, int]:
        """The classes by name, and how many items each has.

        Raises:
            BenchError: see `load`.
        """
        names, numbers = _classes(self.path, read_arrays(self.path, ("labels",)).get("labels"))
        return dict(zip(names, np.bincount(numbers).tolist(), strict=True))

    def _build(self, image_size: int, notify: Notify) -> ImageClasses:
        notify(f"reading {self.path} (once)")
        arrays = read_arrays(self.path, (*ITEMS, "labels"))
        given = [name for name in ITEMS if name in arrays]
        if len(given) != 1 or "labels" not in arrays:
            raise BenchError(
                f"{self.path} is to have the arrays images (or features) and labels, and has "
                f"{', '.join(arrays) or 'none of them'}"
            )
        items = arrays[given[0]]
        names, numbers = _classes(self.path, arrays["labels"])
        if len(items) != len(numbers):
            raise BenchError(f"{self.path} has {len(items):,} {given[0]}, {len(numbers):,} labels")
        counts = np.bincount(numbers).astype(np.int64)
        items = items[np.argsort(numbers, kind="stable")]
        digest = hashlib.sha256(f"{items.dtype.str} {items.shape}\n".encode())
        for name, count in zip(names, counts, strict=True):
            digest.update(f"{len(name.encode())} {name} {count}\n".encode())
        digest.update(np.ascontiguousarray(items).data)
        return ImageClasses(
            name=self.name,
            images=torch.from_numpy(self._inputs(items, image_size)),
            starts=np.cumsum(counts) - counts,
            counts=counts,
            class_names=names,
            groups=(self.path.stem,) * len(names),
            content=digest.hexdigest(),
        )

    def _inputs(self, items: NDArray[Any], size: int) -> NDArray[Any]:
        """Floats as they are; bytes as images (M, C, size, size)."""
        if np.issubdtype(items.dtype, np.floating) and items.ndim >= 2 and 0 not in items.shape:
            features = np.ascontiguousarray(items, dtype=np.float32)
            if not np.isfinite(features).all():
                raise BenchError(f"{self.path} has features that are not finite (NaN or infinity)")
            return features
        if items.dtype != np.uint8 or items.ndim not in (3, 4) or 0 in items.shape:
            raise BenchError(
                f"{self.path} has {items.dtype} of shape {items.shape}; images are uint8 "
                "(M, H, W), (M, H, W, C) or (M, C, H, W), features are floats (M, D)"
            )
        if items.ndim == 3:
            items = items[:, None]
        elif items.shape[3] in CHANNELS:
            items = np.moveaxis(items, 3, 1)
        elif items.shape[1] not in CHANNELS:
            raise BenchError(f"{self.path} has images of shape {items.shape[1:]}, with 1 or 3 "
                             "channels first or last")  # fmt: skip
        count, channels = items.shape[:2]
        flat = np.ascontiguousarray(items).reshape(-1, *items.shape[2:])
        return area_average(flat, size).reshape(count, channels, size, size)


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those of the arrays that an ``.npz`` file has.

    Raises:
        BenchError: it cannot be read, holds objects, or an array claims more than it has.
    """
    found = {}
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) == MAGIC:
                raise BenchError(
                    f"{path} is a single array (.npy); an .npz file with images (or features) and "
                    "labels is wanted: numpy.savez(FILE, images=..., labels=...)"
                )
        with zipfile.ZipFile(path) as archive:
            for name in names:
                if f"{name}.npy" in archive.NameToInfo:
                    found[name] = _read_array(archive, archive.getinfo(f"{name}.npy"))
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror or error}") from error
    # numpy and zipfile have many words for a damaged file.
    except (ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as e:
        raise BenchError(f"{path} is no .npz file that can be used: {e}") from e
    return found


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is packed by another method than deflate")
    if member.file_size > MOST_BYTES:
        raise ValueError(f"{member.filename} unpacks to {member.file_size:,} bytes")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member.filename} is of version {version} of numpy's format")
        readers = {(1, 0): np.lib.format.read_array_header_1_0}
        header = readers.get(version, np.lib.format.read_array_header_2_0)(stream)
        shape, _, dtype = header
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds objects, which are not unpickled")
        claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if claimed != member.file_size - stream.tell():
            raise ValueError(f"{member.filename} claims {claimed:,} bytes and has others")
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _classes(path: Path, labels: NDArray[Any] | None) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The names of the classes in their order, and the class number (M,) of each label."""
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iuU" or not len(labels):
        told = "none" if labels is None else f"{labels.dtype} of shape {labels.shape}"
        raise BenchError(f"{path}: labels are to be integers or texts, one per item; got {told}")
    kept = "kept = labels >= 0; numpy.savez(FILE, images=images[kept], labels=labels[kept])"
    check_labelled(str(path), labels, kept)
    values, numbers = np.unique(labels, return_inverse=True)
    names = tuple(str(value) for value in values.tolist())
    if odd := next((name for name in names if not is_utf8(name)), None):
        raise BenchError(f"{path}: the label {odd!r} is no text in UTF-8")
    return names, numbers.astype(np.int64)
