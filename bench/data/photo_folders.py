"""Photographs that the user has, in the splits that papers use: mini-ImageNet and CUB-200-2011.

Neither may be given away, so that neither is downloaded: they are read from a folder of the user's,
as they come, and squares are made of them by area averaging. The content hash is over the decoded
pixels, so that two laboratories can see whether they have the same images.
"""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections import defaultdict
from importlib import resources
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.data.class_folder import Listing, images_in, list_folder, span, visible
from bench.data.image_folder import decoded, loaded
from bench.data.split_files import PHASES
from bench.errors import BenchError, unknown_name

SYNSET = len("n01532829")
"""Characters of a WordNet synset."""
MINI_IMAGENET_IMAGES = 600
"""Of each class."""


class PhotoFolder(DatasetSource):
    """Base: photographs by class below a folder, and a published split of the classes."""

    places: ClassVar[tuple[str, ...]]
    """Names of the folder, below the data folder."""
    how: ClassVar[str]
    """What the folder has to hold, for the message that it is missing."""

    @abstractmethod
    def listing(self, root: Path) -> Listing:
        """The images of each class.

        Raises:
            BenchError: where the folder does not hold what it should.
        """

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or decodes all images, to (M, 3, size, size).

        Raises:
            BenchError: no such folder, classes that are missing, images that cannot be read; a
                cache folder that cannot be written.
        """
        listing = self.listing(self._root(folders))
        return loaded(self.name, listing, image_size, folders, notify)

    def missing(self, folders: DataFolders) -> str | None:
        """See `Source.missing`."""
        try:
            self._root(folders)
        except BenchError as error:
            return str(error)
        return None

    def fetch(self, folders: DataFolders, notify: Notify) -> None:
        """Says where the images have to be put.

        Raises:
            BenchError: where they are not.
        """
        notify(self.verify(folders, notify))

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Decodes everything, and counts it."""
        listing = self.listing(self._root(folders))
        data = decoded(self.name, listing, 28, notify)[0]
        counts = list(listing.counts.values())
        return (
            f"{self.name}: {len(counts)} classes, {sum(counts):,} images, {span(counts)} of each, "
            f"in {listing.root}; content {data.content}"
        )

    def _root(self, folders: DataFolders) -> Path:
        looked = [folders.data / name for name in self.places] if folders.data else []
        for place in looked:
            if place.is_dir():
                return place
        told = "".join(f"\n  {place}" for place in looked) or "\n  (no data folder was named)"
        raise BenchError(
            f"{self.name} is not here, and cannot be downloaded for you; looked in{told}\n"
            f"Put {self.how} there, and name the folder above it with --data-dir or $BENCH_DATA_DIR"
        )


class MiniImageNet(PhotoFolder):
    """100 classes of ImageNet, 600 photographs of each (Vinyals et al. 2016), in the split of Ravi
    and Larochelle 2017, "Optimization as a Model for Few-Shot Learning", ICLR: 64/16/20 classes.

    The folder may have a folder of each class, below ``train/``, ``val/`` and ``test/`` or not, or
    all images in one, whose names begin with their class (``n0153282900000005.jpg``), as the lists
    of Ravi and Larochelle name them; a folder ``images/`` around them is looked into.
    """

    name = "mini-imagenet"
    description = (
        "mini-ImageNet (Vinyals et al. 2016): 60,000 photographs of 100 classes of ImageNet, in a "
        "folder of yours. ImageNet's terms: research only."
    )
    splits = ("ravi",)
    places = ("mini-imagenet", "miniImagenet", "mini_imagenet", "MiniImageNet")
    how = (
        "the 100 folders of classes (n01532829, ...), or images whose names begin with their class,"
    )

    def listing(self, root: Path) -> Listing:
        """See `PhotoFolder.listing`."""
        inner = root / "images" if (root / "images").is_dir() else root
        known = _phases()
        folders = {
            path.name: path
            for place in (inner, *(inner / phase for phase in PHASES))
            if place.is_dir()
            for path in visible(place)
            if path.name in known and path.is_dir()
        }
        images = {name: images_in(folders[name]) for name in known if name in folders}
        # Where all are there, other folders (lists of splits, other classes) are nobody's fault.
        if len(images) == len(known) and all(images.values()):
            inside = [path for folder in folders.values() for path in visible(folder)]
            taken = {path for listed in images.values() for path in listed}
            left_out = (path for path in inside if path not in taken)
            return Listing(inner, images, (*left_out, *images_in(inner)))
        files: dict[str, list[Path]] = defaultdict(list)
        for path in images_in(inner):
            if path.name[:SYNSET] in known:
                files[path.name[:SYNSET]].append(path)
        listed = Listing(inner, dict(sorted(files.items()))) if files else list_folder(inner)
        if gone := sorted(known.keys() - listed.files.keys()):
            raise BenchError(
                f"{inner} lacks {len(gone)} of the 100 classes of {self.name}, the first is "
                f"{gone[0]}; {self.how} are wanted"
            )
        files = {name: listed.files[name] for name in known}
        return Listing(inner, files, listed.left_out)

    def split(self, name: str, data: ImageClasses) -> Split:
        """The one of Ravi and Larochelle.

        Raises:
            BenchError: for another name.
        """
        if name not in self.splits:
            raise unknown_name(f"split of {self.name}", name, self.splits)
        known = _phases()
        parts = np.array([known[label] for label in data.class_names])
        return Split(*(np.flatnonzero(parts == phase) for phase in Split._fields))

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Also says where it is not the set that papers use."""
        counts = self.listing(self._root(folders)).counts.values()
        told = super().verify(folders, notify)
        if set(counts) != {MINI_IMAGENET_IMAGES}:
            told += (
                f"\n  papers use {MINI_IMAGENET_IMAGES} images of each class, those of the lists "
                "of Ravi and Larochelle: results on others cannot be compared with theirs"
            )
        return told


class CUB(PhotoFolder):
    """200 kinds of birds (Wah, Branson, Welinder, Perona, Belongie 2011, "The Caltech-UCSD
    Birds-200-2011 Dataset"), in the split of Chen, Liu, Kira, Wang, Huang 2019, "A Closer Look at
    Few-shot Classification", ICLR, arXiv:1904.04232: of the classes in the order of their names,
    from 0, those with even numbers are for meta-training, of the others every second one for
    meta-validation, the first of them, and the rest for meta-test: 100/50/50. Nothing is cropped.
    """

    name = "cub"
    description = (
        "CUB-200-2011 (Wah et al. 2011): 11,788 photographs of 200 birds, from a folder of yours. "
        "Non-commercial research only."
    )
    splits = ("chen",)
    places = ("CUB_200_2011", "cub", "CUB")
    how = "the extracted archive CUB_200_2011, with images/001.Black_footed_Albatross/ and so on,"
    classes: ClassVar[int] = 200

    def listing(self, root: Path) -> Listing:
        """See `PhotoFolder.listing`."""
        inner = root / "images" if (root / "images").is_dir() else root
        listed = list_folder(inner)
        if len(listed.files) != self.classes:
            raise BenchError(
                f"{inner} has {len(listed.files)} folders of classes, and {self.name} has "
                f"{self.classes}, whose order decides the split; {self.how} is wanted"
            )
        for number, name in enumerate(listed.files, start=1):
            if not name.startswith(f"{number:03d}."):
                raise BenchError(
                    f"{inner}: the folder of class {number} of {self.name} begins with "
                    f"{number:03d}. and is {name!r}; the order decides the split, and {self.how} "
                    "is wanted"
                )
        return listed

    def split(self, name: str, data: ImageClasses) -> Split:
        """The one of Chen et al.

        Raises:
            BenchError: for another name.
        """
        if name not in self.splits:
            raise unknown_name(f"split of {self.name}", name, self.splits)
        numbers = np.arange(len(data.class_names))
        return Split(
            *(numbers[which] for which in (numbers % 2 == 0, numbers % 4 == 1, numbers % 4 == 3))
        )


def _phases() -> dict[str, str]:
    """The phase of each class of mini-ImageNet, classes sorted by name."""
    table = resources.files("bench.data").joinpath("mini_imagenet_classes.csv")
    _, *rows = csv.reader(table.read_text(encoding="utf-8").splitlines())
    return dict(sorted((synset, phase) for synset, phase in rows))
