"""Datasets that torchvision brings, to test on what was learned elsewhere.

None is downloaded without being asked for: `bench data fetch kmnist`. Each is read from the folders
that torchvision itself makes, in the data folder or in the cache. The classes of all parts of a
dataset are put together, for none of its images was learned from.

Letters in shapes: ``M`` images.
"""

from __future__ import annotations

import hashlib
import socket
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from bench.api.cache import cached, unwritable
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.data.class_folder import Listing
from bench.data.downloads import TIMEOUT
from bench.data.image_folder import DECODING, decoded, fingerprint
from bench.data.torchvision_shim import torchvision_datasets
from bench.errors import BenchError

Parts = tuple[dict[str, Any], ...]
TRAIN_AND_TEST: Parts = ({"train": True}, {"train": False})
THREE: Parts = ({"split": "train"}, {"split": "val"}, {"split": "test"})


class TorchvisionSet(DatasetSource):
    """A dataset that torchvision reads; subclasses say which. It is tested on, and has no split."""

    original: ClassVar[str]
    """The name of torchvision's class."""
    parts: ClassVar[Parts]
    """Arguments of torchvision's class, for each part that the dataset has."""

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
        """Has torchvision download it into the cache, with torchvision's checksums."""
        if self.missing(folders) is None:
            notify(self.verify(folders, notify))
            return
        place = self._places(folders)[-1]
        notify(f"downloading {self.name} to {place}")
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)  # torchvision sets none: a silent server would hang us
        try:
            place.mkdir(parents=True, exist_ok=True)
            for part in self.parts:
                self._original()(place, download=True, **part)
        except PermissionError as error:
            raise unwritable(place, error) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise BenchError(f"the download of {self.name} failed: {error}") from error
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
        original, places = self._original(), self._places(folders)
        damaged: list[str] = []
        for place in places:
            try:
                return [original(place, **part) for part in self.parts], place
            except RuntimeError:
                continue  # it is not there
            except (OSError, ValueError, KeyError, IndexError, EOFError) as error:
                damaged.append(f"{place}: {error}")
        if damaged:
            raise BenchError(f"{self.name} cannot be read, " + "; ".join(damaged))
        looked = "\n".join(f"  {place}" for place in places)
        raise BenchError(
            f"{self.name} is not here; looked for what torchvision.datasets.{self.original} makes "
            f"in\n{looked}\nRun `bench data fetch {self.name}` where there is a network, or name a "
            "folder that has it with --data-dir or $BENCH_DATA_DIR"
        )

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
        for path in sorted(Path(opened[0].raw_folder).iterdir()):
            told = path.stat()
            digest.update(f"{path.name}\0{told.st_size}\0{told.st_mtime_ns}\0".encode())
        return digest.hexdigest()[:24]

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
        return decoded(self.name, self._listing(opened, root), size, notify)[0]

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


class KMNIST(Characters):
    """Clanuwat et al. 2018, "Deep Learning for Classical Japanese Literature", arXiv:1812.01718."""

    name = "kmnist"
    description = (
        "Kuzushiji-MNIST (Clanuwat et al. 2018): 70,000 cursive Japanese characters of 10 classes, "
        "28x28, to test on; read by torchvision. CC BY-SA 4.0."
    )
    original = "KMNIST"
    parts = TRAIN_AND_TEST


class EMNIST(Characters):
    """Cohen, Afshar, Tapson, van Schaik 2017, "EMNIST", IJCNN, arXiv:1702.05373: the balanced set.
    Its files have rows and columns exchanged, which is undone."""

    name = "emnist"
    description = (
        "EMNIST, balanced (Cohen et al. 2017): 131,600 handwritten digits and letters of 47 "
        "classes, 28x28, to test on; read by torchvision. Public domain (NIST)."
    )
    original = "EMNIST"
    parts = tuple({"split": "balanced", **part} for part in TRAIN_AND_TEST)
    transposed = True


class Flowers102(Photographs):
    """Nilsback, Zisserman 2008, "Automated Flower Classification over a Large Number of Classes",
    ICVGIP."""

    name = "flowers102"
    description = (
        "Flowers-102 (Nilsback and Zisserman 2008): 8,189 photographs of 102 kinds of flowers, to "
        "test on; read by torchvision."
    )
    original = "Flowers102"
    parts = THREE


class DTD(Photographs):
    """Cimpoi, Maji, Kokkinos, Mohamed, Vedaldi 2014, "Describing Textures in the Wild", CVPR."""

    name = "dtd"
    description = (
        "Describable Textures (Cimpoi et al. 2014): 5,640 photographs of 47 textures, to test on; "
        "read by torchvision."
    )
    original = "DTD"
    parts = THREE


class GTSRB(Photographs):
    """Stallkamp, Schlipsing, Salmen, Igel 2012, "Man vs. computer", Neural Networks 32."""

    name = "gtsrb"
    description = (
        "German traffic signs (Stallkamp et al. 2012): 39,270 photographs of 43 signs, to test on; "
        "read by torchvision."
    )
    original = "GTSRB"
    parts = ({"split": "train"}, {"split": "test"})


class EuroSAT(Photographs):
    """Helber, Bischke, Dengel, Borth 2019, "EuroSAT", arXiv:1709.00029."""

    name = "eurosat"
    description = (
        "EuroSAT (Helber et al. 2019): 27,000 satellite photographs of 10 kinds of land, to test "
        "on; read by torchvision. MIT."
    )
    original = "EuroSAT"
    parts = ({},)


class FGVCAircraft(Photographs):
    """Maji, Kannala, Rahtu, Blaschko, Vedaldi 2013, "Fine-Grained Visual Classification of
    Aircraft", arXiv:1306.5151."""

    name = "fgvc-aircraft"
    description = (
        "FGVC-Aircraft (Maji et al. 2013): 10,000 photographs of 100 aircraft, to test on; read by "
        "torchvision. For research only."
    )
    original = "FGVCAircraft"
    parts = ({"split": "trainval"}, {"split": "test"})
