"""CIFAR-100: 60,000 colour photographs of 32x32 pixels, 100 classes in 20 superclasses.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", technical report,
University of Toronto. Data: https://www.cs.toronto.edu/~kriz/cifar.html (no formal licence).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.cache import cached
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.data.cifar100_archives import (
    FOLDERS,
    SIDE,
    Images,
    Reference,
    find_archive,
    official,
    read_verified,
)
from bench.data.downloads import RemoteFile, download
from bench.errors import BenchError, unknown_name

DECODING = 1
"""Version of what `CIFAR100.load` does to the pixels; part of the cache's file name."""


class CIFAR100(DatasetSource):
    """The dataset, read from the official archive: the binary or the python version.

    It is looked for, zipped or extracted, in the data folder, in ``cifar100/`` inside it, and in
    the cache; where it is nowhere, the python version is downloaded into the cache (the one that
    torchvision has, too). What is verified are the images of each class, in whatever order and in
    whichever version they come: they are the same episodes afterwards.

    Both splits put the 600 images of a class, 500 and 100 in the original's two parts, together:

    * ``cifar-fs``: 64/16/20 classes at random (Bertinetto, Henriques, Torr, Vedaldi 2019,
      "Meta-learning with differentiable closed-form solvers", ICLR, arXiv:1805.08136).
    * ``fc100``: 60/20/20 classes, whole superclasses, so that test classes are less like those of
      meta-training (Oreshkin, Rodríguez López, Lacoste 2018, "TADAM", NeurIPS, arXiv:1805.10123).

    Args:
        reference: what the archive should hold; tests give a small one.
    """

    name = "cifar100"
    description = (
        "CIFAR-100 (Krizhevsky 2009): 60,000 colour photographs of 100 classes, 32x32; smaller "
        "ones by area averaging. No formal licence."
    )
    splits = ("cifar-fs", "fc100")

    def __init__(self, reference: Reference | None = None) -> None:
        self.reference = reference or official()

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or reads the archive: 60,000 images (M, 3, size, size) by class.

        Raises:
            BenchError: an archive that is missing and cannot be downloaded, or damaged; a cache
                folder that cannot be written; a size that is not from 1 to 32.
        """
        if not 1 <= image_size <= SIDE:
            raise BenchError(
                f"cifar100's photographs have {SIDE}x{SIDE} pixels; an image size from 1 to {SIDE} "
                f"is possible, not {image_size}"
            )
        key = f"{self.name}-{image_size}-v{DECODING}-{self.reference.content[:12]}"

        def build() -> ImageClasses:
            path = self._archive(folders, notify)
            notify(f"reading CIFAR-100 from {path}")
            return self._image_classes(read_verified(self.reference, path), image_size)

        return cached(folders.cache, key, build)

    def split(self, name: str, data: ImageClasses) -> Split:
        """See the class."""
        if name not in self.splits:
            raise unknown_name("split of cifar100", name, self.splits)
        column = name.replace("-", "_")
        part = np.array([getattr(one, column) for one in self.reference.classes])
        return Split(*(np.flatnonzero(part == phase) for phase in Split._fields))

    def fetch(self, folders: DataFolders, notify: Notify) -> None:
        """Downloads the archive where none is found, then verifies it."""
        self._archive(folders, notify)
        notify(self.verify(folders, notify))

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Reads the archive again; does not look at the cached tensors, which have checksums.
        Downloads nothing."""
        places = _places(folders)
        path = find_archive(places)
        if path is None:
            raise BenchError(_not_found(places))
        notify(f"reading CIFAR-100 from {path}")
        images = read_verified(self.reference, path)
        return (
            f"cifar100 is as published: {images.shape[0] * images.shape[1]:,} photographs in "
            f"{path}; content {self.reference.content}"
        )

    def _archive(self, folders: DataFolders, notify: Notify) -> Path:
        """Where the archive is; downloaded where it is nowhere."""
        places = _places(folders)
        found = find_archive(places)
        if found is None:
            try:
                download(_files, folders.cache / "cifar100", notify)
            except BenchError as error:
                raise BenchError(_not_found(places, error)) from error
            found = find_archive(places)
            assert found is not None
        return found

    def _image_classes(self, images: Images, size: int) -> ImageClasses:
        classes, each = images.shape[:2]
        planes = area_average(images.reshape(-1, SIDE, SIDE), size)  # (3M, size, size)
        return ImageClasses(
            name=self.name,
            images=torch.from_numpy(planes.reshape(-1, 3, size, size)),
            starts=np.arange(classes, dtype=np.int64) * each,
            counts=np.full(classes, each, dtype=np.int64),
            class_names=tuple(one.name for one in self.reference.classes),
            groups=tuple(one.superclass for one in self.reference.classes),
            content=self.reference.content,
        )


def _files(datasets: Any) -> list[RemoteFile]:
    """The python version, as torchvision knows it."""
    source = datasets.CIFAR100
    return [RemoteFile(source.filename, source.url, source.tgz_md5)]


def _places(folders: DataFolders) -> list[Path]:
    data = folders.data
    named = [data, data / "cifar100"] if data else []
    return [*named, folders.cache / "cifar100"]


def _not_found(places: list[Path], reason: BenchError | None = None) -> str:
    files = " or ".join(f"{version}.tar.gz" for version in FOLDERS)
    looked = "\n".join(f"  {place}" for place in places)
    return (
        f"missing: {files}; neither zipped nor extracted in\n{looked}\n"
        + (f"and {reason}\n" if reason else "")
        + "Put one of the official archives (https://www.cs.toronto.edu/~kriz/cifar.html) in a "
        "folder and name it with --data-dir or $BENCH_DATA_DIR, or run `bench data fetch "
        "cifar100` where there is a network. Without it, use the embedded characters: "
        "--suite glyphs-5way"
    )
