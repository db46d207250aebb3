"""Reads CIFAR-100's archives, the binary and the python version, and tells what is damaged.

The binary version, ``cifar-100-binary.tar.gz``, holds ``train.bin`` and ``test.bin``: 50,000 and
10,000 records of one byte coarse label, one byte fine label, and 3,072 bytes of pixels, which are
the red, the green and the blue plane of 32x32. The python version, ``cifar-100-python.tar.gz``,
holds the same in two pickles, which are read and never unpickled: see `bench.data.inert_pickle`.

Nothing is extracted: members are read by the names expected here, never by names found there. The
order of the records counts for nothing; that of a class's images is the order of their hashes.
"""

from __future__ import annotations

import csv
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.inert_pickle import Inert, NotInertError, read_inert
from bench.errors import BenchError

SIDE = 32
"""Height and width of an image, pixels."""
PIXELS = 3 * SIDE * SIDE
"""Bytes of an image: red, green and blue plane."""
RECORD = 2 + PIXELS
"""Bytes of a record of the binary version."""
PARTS = ("train", "test")
FOLDERS = ("cifar-100-binary", "cifar-100-python")
"""The two versions, as their archives and the folders in them are called."""
LARGEST = 256 * 2**20
"""Bytes of a part that are read at most; the larger one has 154 million."""
GET_AGAIN = (
    "replace it with the official archive, or move it away and run `bench data fetch cifar100`"
)
Images = NDArray[np.uint8]


class PhotoClass(NamedTuple):
    """One class of the dataset, as it should be."""

    name: str
    superclass: str
    cifar_fs: str
    """Its phase in the split of Bertinetto et al. 2019: train, val or test."""
    fc100: str
    """Its phase in the split of Oreshkin et al. 2018."""
    sha256: str
    """Of the sha256 of its images, in ascending order."""


@dataclass(frozen=True)
class Reference:
    """What the archives should hold.

    Attributes:
        classes: by fine label.
        images: of each class, both parts together.
        content: sha256 of the hashes of all classes.
    """

    classes: tuple[PhotoClass, ...]
    images: int
    content: str


def official() -> Reference:
    """The dataset as Alex Krizhevsky published it: 100 classes of 600 images."""
    table = resources.files("bench.data").joinpath("cifar100_classes.csv")
    _, *rows = csv.reader(table.read_text(encoding="utf-8").splitlines())
    return Reference(
        tuple(PhotoClass(*row) for row in rows),
        images=600,
        content="f2bc412d6f69dc437c7d719a1be5d11f3dd11476ee0c7176e2f0090633c7e209",
    )


def find_archive(folders: Iterable[Path]) -> Path | None:
    """The first that is there: of the binary version, then of the python version, zipped or
    extracted."""
    places = tuple(folders)
    for version in FOLDERS:
        for place in places:
            for path in (place / f"{version}.tar.gz", place / version):
                if path.exists():
                    return path
    return None


def read_verified(reference: Reference, path: Path) -> Images:
    """Reads all images and compares them with the reference.

    Args:
        reference: what should be there.
        path: an archive or an extracted folder, of either version.

    Returns:
        (classes, images, 3, 32, 32), by fine label; those of a class in the order of their hashes.

    Raises:
        BenchError: for an archive that is cut off, lacks images, or holds altered ones.
    """
    labels, pixels = _read(path)
    hashes = [hashlib.sha256(image.data).digest() for image in pixels]
    sorted_classes, digests = [], []
    for label, wanted in enumerate(reference.classes):
        mine = sorted((hashes[row], int(row)) for row in np.flatnonzero(labels == label))
        if len(mine) != reference.images:
            raise BenchError(
                f"{path} has {len(mine)} images of {wanted.name}, not {reference.images}; "
                f"{GET_AGAIN}"
            )
        digests.append(hashlib.sha256(b"".join(digest for digest, _ in mine)))
        sorted_classes.append(pixels[[row for _, row in mine]])
    altered = [
        wanted.name
        for wanted, found in zip(reference.classes, digests, strict=True)
        if wanted.sha256 != found.hexdigest()
    ]
    whole = hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()
    if altered or whole != reference.content:
        raise BenchError(
            f"altered images in {path}: {len(altered)} of {len(reference.classes)} classes differ "
            f"from the published ones: {', '.join(altered[:5])}"
            f"{', ...' if len(altered) > 5 else ''}; {GET_AGAIN}"
        )
    return np.stack(sorted_classes).reshape(-1, reference.images, 3, SIDE, SIDE)


def _read(path: Path) -> tuple[NDArray[np.uint8], Images]:
    """Fine labels (M,) and pixels (M, 3072) of both parts."""
    part = PARTS[0]
    try:
        with _reader(path) as (python, read):
            parts = []
            for part in PARTS:
                content = read(part if python else f"{part}.bin")
                parts.append(_of_python(content) if python else _of_records(content))
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        raise BenchError(f"{path} cannot be read at {part}: {error}; {GET_AGAIN}") from error
    labels, pixels = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(pixels)


def _of_records(content: bytes) -> tuple[NDArray[np.uint8], Images]:
    if not content or len(content) % RECORD:
        raise ValueError(f"{len(content):,} bytes are no number of records of {RECORD:,} bytes")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    return records[:, 1], np.ascontiguousarray(records[:, 2:])


def _of_python(content: bytes) -> tuple[NDArray[np.uint8], Images]:
    try:
        tree = read_inert(content)
    except NotInertError as error:
        raise ValueError(str(error)) from error
    if not isinstance(tree, Mapping):
        raise ValueError("no dictionary is in the pickle")
    labels, pixels = tree.get("fine_labels"), bytes_of_array(tree.get("data"))
    if not isinstance(labels, list) or pixels is None or len(pixels) != PIXELS * len(labels):
        raise ValueError("the pickle lacks fine_labels and data that fit each other")
    if not all(isinstance(label, int) and 0 <= label < 256 for label in labels):
        raise ValueError("fine_labels holds what is no label")
    images = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, PIXELS)
    return np.array(labels, dtype=np.uint8), images


def bytes_of_array(tree: Any) -> bytes | None:
    """The content of a pickled numpy array of bytes, from `read_inert`: the last item of the state
    ``(version, shape, dtype, fortran, content)`` that it was built with; None for anything else."""
    state = tree.state if isinstance(tree, Inert) else None
    if not isinstance(state, tuple) or len(state) != 5 or state[3] not in (False, 0):
        return None
    content = state[4]
    # How Python 3 writes bytes for Python 2. What is called with what is up to who wrote the file.
    if isinstance(content, Inert) and content.name == "_codecs encode":
        given = content.arguments
        content = given[0] if isinstance(given, tuple) and given else None
    if isinstance(content, str):
        try:
            content = content.encode("latin-1")
        except UnicodeEncodeError:  # characters that are no bytes
            return None
    return content if isinstance(content, bytes) else None


@contextmanager
def _reader(path: Path) -> Iterator[tuple[bool, Callable[[str], bytes]]]:
    """Whether it is the python version, and a function from the name of a member to its bytes."""
    if path.is_dir():
        python = path.name.endswith("python")
        yield python, lambda name: _bounded((path / name).stat().st_size, (path / name).read_bytes)
        return
    folder = path.name.removesuffix(".tar.gz")
    with tarfile.open(path, "r:gz") as archive:

        def read(name: str) -> bytes:
            try:
                member = archive.getmember(f"{folder}/{name}")
            except KeyError:
                raise ValueError("the archive has no such member") from None
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                raise ValueError("the member is no file")
            return _bounded(member.size, file.read)

        yield folder.endswith("python"), read


def _bounded(size: int, read: Callable[[], bytes]) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{size:,} bytes, more than this dataset has")
    return read()
