"""What datasets that torchvision reads have in common; `bench.data.torchvision_sets` names them.

torchvision asks only whether a folder or a file is there, and its readers assert and index what
they read. Here a dataset is compared with what is known of it, and each fault is told in words.

Letters in shapes: ``M`` images.
"""

from __future__ import annotations

import hashlib
import os
import socket
import tarfile
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from bench.api.cache import cached, unwritable
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.data.class_folder import Listing, span
from bench.data.downloads import TIMEOUT
from bench.data.image_folder import DECODING, decoded, fingerprint
from bench.data.torchvision_shim import torchvision_datasets
from bench.errors import BenchError

Parts = tuple[dict[str, Any], ...]
"""Arguments of torchvision's class, for each part of a dataset."""


@contextmanager
def _kept_inside() -> Iterator[None]:
    """No archive of tar leads out of the folder it is extracted into (PEP 706): torchvision asks
    for no filter, and Python before 3.14 has none by itself."""
    if not hasattr(tarfile, "data_filter"):  # before 3.11.4
        yield
        return
    before = tarfile.TarFile.extraction_filter
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


def _told(error: Exception) -> str:
    """An error in words; an assertion has none."""
    return str(error) or f"torchvision stopped at {type(error).__name__}"


class TorchvisionSet(DatasetSource):
    """A dataset that torchvision reads; subclasses say which. It is tested on, and has no split."""

    original: ClassVar[str]
    """The name of torchvision's class."""
    parts: ClassVar[Parts]
    """Arguments of torchvision's class, for each part that the dataset has."""
    folder: ClassVar[str]
    """What torchvision calls the dataset's folder."""
    known_images: ClassVar[int | None] = None
    """How many images all parts have together, where that is known."""
    known_classes: ClassVar[int | None] = None
    """How many classes each part has, where that is known."""

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or decodes all images.

        Raises:
            BenchError: it is not here, or damaged; a cache folder that cannot be written.
        """
        opened, root = self._found(folders)
        return self._decoded(opened, root, image_size, folders, notify)

    def split(self, name: str, data: ImageClasses) -> Split:
        """There is none.

        Raises:
            BenchError: always.
        """
        raise BenchError(
            f'{self.name} is to test on: a setting has it as its dataset, with split = "all"'
        )

    def missing(self, folders: DataFolders) -> str | None:
        """See `Source.missing`."""
        try:
            self._found(folders)
        except BenchError as error:
            return str(error)
        return None

    def fetch(self, folders: DataFolders, notify: Notify) -> None:
        """Has torchvision download it into the cache, with the checksums that torchvision has.

        Raises:
            BenchError: the download failed, or what is there already is damaged.
        """
        if self.missing(folders) is None:
            notify(self.verify(folders, notify))
            return
        place = self._places(folders)[-1]
        self._opened(place)  # torchvision takes what is damaged there for fetched: it would stay
        notify(f"downloading {self.name} to {place}")
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none: a silent server would hang us
        try:
            place.mkdir(parents=True, exist_ok=True)
            with _kept_inside():
                for part in self.parts:
                    self._original()(place, download=True, **part)
        except PermissionError as error:
            raise unwritable(place, error) from error
        except MemoryError:
            raise
        except Exception as error:  # an archive that is cut off raises whatever its reader does
            failed = f"the download of {self.name} failed: {_told(error)}"
            raise BenchError(f"{failed}{self._left(place)}") from error
        finally:
            socket.setdefaulttimeout(before)
        notify(self.verify(folders, notify))

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Counts what is there, and decodes it; torchvision has checksums of archives, and nobody
        has one of the images."""
        opened, root = self._found(folders)
        data = self._built(opened, root, 28, notify)
        count = f"{len(data.counts)} classes, {int(data.counts.sum()):,} images"
        return f"{self.name}: {count} in {root}; content {data.content}"

    def _found(self, folders: DataFolders) -> tuple[list[Any], Path]:
        """torchvision's datasets, one for each part, and the folder they are in.

        Raises:
            BenchError: where they are nowhere, or cannot be read.
        """
        places = self._places(folders)
        damaged: dict[Path, BenchError] = {}
        for place in places:
            try:
                if (opened := self._opened(place)) is not None:
                    return opened, place
            except BenchError as error:
                # data/dtd/dtd is in data/dtd, which then is no dataset of its own
                if not any(place / self.folder in folder.parents for folder in damaged):
                    damaged[place / self.folder] = error
        if damaged:
            raise BenchError("\n".join(str(error) for error in damaged.values()))
        looked = "\n".join(f"  {place}{self._left(place)}" for place in places)
        raise BenchError(
            f"{self.name} is not here; looked for what torchvision.datasets.{self.original} makes "
            f"in\n{looked}\nRun `bench data fetch {self.name}` where there is a network, or name a "
            "folder that has it with --data-dir or $BENCH_DATA_DIR"
        )

    def _opened(self, place: Path) -> list[Any] | None:
        """torchvision's datasets of one place, one for each part; None where it is not there.

        Raises:
            BenchError: it is there and damaged, or may not be read.
        """
        original = self._original()
        try:
            parts = [original(place, **part) for part in self.parts]
            wrong = self._wrong(parts, place)
        except MemoryError:
            raise
        except (ImportError, PermissionError) as error:  # removing the folder would not help
            raise BenchError(f"{self.name} cannot be read in {place}: {_told(error)}") from error
        except Exception as error:  # torchvision's readers assert, index and reshape what they read
            here = (place / self.folder).is_dir()
            if not here or str(error).startswith("Dataset not found"):
                return None  # a fetch goes on from there
            wrong = _told(error)
        if wrong:
            where = f"{self.name} cannot be read in {place / self.folder}"
            raise BenchError(f"{where}: {wrong}. {self._again(place)}")
        return parts

    def _wrong(self, parts: list[Any], place: Path) -> str | None:
        """What differs from what is known of the dataset: torchvision asks for folders only."""
        labels = [self._labels(part) for part in parts]
        images, classes = sum(map(len, labels)), [len(set(part)) for part in labels]
        known, kinds = self.known_images, self.known_classes
        if known in (None, images) and (kinds is None or set(classes) == {kinds}):
            return None
        expected = [] if known is None else [f"{known:,} images"]
        expected += [] if kinds is None else [f"{kinds} classes"]
        return (
            f"{images:,} images of {span(classes)} classes are there, expected "
            f"{' of '.join(expected)}; it was fetched in part, or changed"
        )

    def _again(self, place: Path) -> str:
        """How to get it anew. An archive beside the folder may be what is cut off."""
        ours = [place / self.folder, place / f"{self.folder}.tar.gz"]
        told = " and ".join(str(path) for path in ours if path.exists())
        return f"Remove {told}, then run `bench data fetch {self.name}`"

    def _left(self, place: Path) -> str:
        """What is said of files that a download may have left there."""
        folder = place / self.folder
        files = any(path.is_file() for path in folder.rglob("*"))
        if not files and not folder.with_name(f"{self.folder}.tar.gz").exists():
            return ""
        return f" (a part of it is there; where a fetch does not mend that: {self._again(place)})"

    def _original(self) -> Any:
        try:
            return getattr(torchvision_datasets(), self.original)
        except ImportError as error:
            raise BenchError(f"{self.name} needs torchvision: {error}") from error

    def _places(self, folders: DataFolders) -> list[Path]:
        data = folders.data
        named = [data / self.name, data] if data else []
        return [*named, folders.cache / self.name]

    def _decoded(
        self, opened: list[Any], root: Path, size: int, folders: DataFolders, notify: Notify
    ) -> ImageClasses:
        key = f"{self.name}-{size}-v{DECODING}-{self._fingerprint(opened, root)}"
        return cached(folders, key, lambda: self._built(opened, root, size, notify))

    @abstractmethod
    def _labels(self, part: Any) -> list[int]:
        """The class number of each image of a part."""

    @abstractmethod
    def _fingerprint(self, opened: list[Any], root: Path) -> str:
        """What changes when a file does, without reading it."""

    @abstractmethod
    def _built(self, opened: list[Any], root: Path, size: int, notify: Notify) -> ImageClasses:
        """The images, decoded."""


class Characters(TorchvisionSet):
    """Grey characters in two files of the form of MNIST; ink is 255."""

    transposed: ClassVar[bool] = False
    """Whether rows and columns of the files are exchanged."""

    def _fingerprint(self, opened: list[Any], root: Path) -> str:
        digest = hashlib.sha256()
        raw, processed = Path(opened[0].raw_folder), Path(opened[0].processed_folder)
        for path in [*sorted(raw.glob("*")), *sorted(processed.glob("*"))]:
            told, place = path.stat(), os.fsencode(path.absolute())
            times = f"\0{told.st_size}\0{told.st_mtime_ns}\0{told.st_ctime_ns}\0"
            digest.update(place + times.encode())
        return digest.hexdigest()[:24]

    def _labels(self, part: Any) -> list[int]:
        numbers: list[int] = part.targets.tolist()
        return numbers

    def _wrong(self, parts: list[Any], place: Path) -> str | None:
        if not any(Path(parts[0].raw_folder).glob("*")):
            return (
                f"only {Path(parts[0].processed_folder).name}/*.pt of an old torchvision are there,"
                f" expected the files of {self.original} in {Path(parts[0].raw_folder)}"
            )
        for part in parts:
            if tuple(part.data.shape) != (len(part.targets), 28, 28):
                shape = " x ".join(str(size) for size in part.data.shape)
                return f"images are {shape} of {len(part.targets):,} labels, expected N x 28 x 28"
            if len(part.targets) and int(part.targets.max()) >= len(part.classes):
                return f"a label is {part.targets.max()}, expected 0 to {len(part.classes) - 1}"
        return super()._wrong(parts, place)

    def _built(self, opened: list[Any], root: Path, size: int, notify: Notify) -> ImageClasses:
        notify(f"reading {self.name} of {root} (once)")
        pixels = np.concatenate([part.data.numpy() for part in opened])  # (M, 28, 28)
        labels = np.concatenate([part.targets.numpy() for part in opened])  # (M,)
        if self.transposed:
            pixels = pixels.transpose(0, 2, 1)
        order = np.argsort(labels, kind="stable")
        pixels, labels = np.ascontiguousarray(pixels[order]), labels[order]
        numbers, counts = np.unique(labels, return_counts=True)
        digest = hashlib.sha256(f"{pixels.shape}".encode())
        digest.update(labels.astype("<i8").tobytes())
        digest.update(pixels.tobytes())
        return ImageClasses(
            name=self.name,
            images=torch.from_numpy(area_average(pixels, size))[:, None],  # (M, 1, size, size)
            starts=np.cumsum(counts) - counts,
            counts=counts.astype(np.int64),
            class_names=tuple(str(opened[0].classes[number]) for number in numbers),
            groups=(self.name,) * len(counts),
            content=digest.hexdigest(),
        )


class Photographs(TorchvisionSet):
    """Photographs in files; they become squares as those of a folder of images do."""

    def _fingerprint(self, opened: list[Any], root: Path) -> str:
        return fingerprint(self._listing(opened, root))

    def _built(self, opened: list[Any], root: Path, size: int, notify: Notify) -> ImageClasses:
        try:
            return decoded(self.name, self._listing(opened, root), size, notify)[0]
        except BenchError as error:  # without the image the dataset would be no more whole
            raise BenchError(f"{error}\n{self._again(root)}") from error

    def _labels(self, part: Any) -> list[int]:
        return [label for _, label in self._samples(part)]

    def _wrong(self, parts: list[Any], place: Path) -> str | None:
        """Lists of images are files of their own: an image may be listed and not be there."""
        paths = [path for each in self._listing(parts, place).files.values() for path in each]
        there = {
            file
            for folder in {path.parent for path in paths}
            if folder.is_dir()
            for file in folder.iterdir()
        }
        lacking = [path for path in paths if path not in there]
        if lacking:
            return f"{len(lacking):,} of {len(paths):,} images are not there, as {lacking[0]}"
        return super()._wrong(parts, place)

    def _listing(self, opened: list[Any], root: Path) -> Listing:
        files: dict[str, list[Path]] = defaultdict(list)
        for part in opened:
            names = getattr(part, "classes", None)
            for path, label in self._samples(part):
                name = f"class {label}" if names is None else str(names[label])
                files[name].append(Path(path))
        return Listing(root, {name: sorted(files[name]) for name in sorted(files)})

    def _samples(self, part: Any) -> Iterable[tuple[Any, int]]:
        """Path and class number of each image. torchvision says them in attributes of its own
        only, and its items are decoded images."""
        for name in ("samples", "_samples"):
            if hasattr(part, name):
                found: list[tuple[Any, int]] = getattr(part, name)
                return found
        return zip(part._image_files, part._labels, strict=True)
