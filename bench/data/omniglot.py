"""Omniglot: 1623 handwritten characters of 50 alphabets, each drawn by 20 people.

Source: Lake, Salakhutdinov, Tenenbaum 2015, "Human-level concept learning through probabilistic
program induction", Science 350. Data: https://github.com/brendenlake/omniglot (MIT).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.api.cache import cached
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.data.downloads import RemoteFile, download
from bench.data.omniglot_archives import (
    SIDE,
    Bits,
    Reference,
    find_archives,
    official,
    read_verified,
)
from bench.episodes.words import seeded_order
from bench.errors import BenchError, unknown_name

DECODING = 1
"""Version of what `Omniglot.load` does to the pixels; part of the cache's file name."""


class Omniglot(DatasetSource):
    """The dataset, read from the official archives.

    They are looked for, zipped or extracted, in the data folder, in ``omniglot/`` and
    ``omniglot-py/`` (torchvision's name) inside it, and in the cache; what is nowhere is downloaded
    into the cache. The decoded pixels are verified, not the archives' bytes, so that archives which
    were packed again are accepted.

    Splits, of class numbers (character CCCC is class CCCC - 1):

    * ``vinyals``: 1028/172/423, the one of Vinyals et al. 2016 and Snell et al. 2017, published
      with the latter's code.
    * ``santoro``: 1200 classes for meta-training and 423 for meta-test, as many as in Santoro et
      al. 2016, who do not publish which. 100 of the 1200 are held out for meta-validation, which
      leaves 1100.
    * ``lake``: meta-test on the evaluation set's 20 alphabets (659 classes); of the background
      set's 30 alphabets, 5 are held out whole for meta-validation. No alphabet is in two parts.

    Args:
        reference: what the archives should hold; tests give a small one.
    """

    name = "omniglot"
    description = (
        "Omniglot (Lake et al. 2015): 1,623 handwritten characters of 50 alphabets, 20 drawers "
        "each. Ink 255, paper 0; from 105x105 by area averaging. MIT licence."
    )
    splits = ("vinyals", "santoro", "lake")

    def __init__(self, reference: Reference | None = None) -> None:
        self.reference = reference or official()

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or reads the archives: 32,460 images (M, 1, size, size) by class.

        Raises:
            BenchError: archives that are missing and cannot be downloaded, or damaged; a cache
                folder that cannot be written; a size that is not from 1 to 105.
        """
        if not 1 <= image_size <= SIDE:
            raise BenchError(
                f"omniglot's drawings have {SIDE}x{SIDE} pixels; an image size from 1 to {SIDE} "
                f"is possible, not {image_size}"
            )
        key = f"{self.name}-{image_size}-v{DECODING}-{self.reference.content[:12]}"

        def build() -> ImageClasses:
            bits = self._read(self._archives(folders, notify), notify)
            return self._image_classes(bits, image_size)

        return cached(folders.cache, key, build)

    def split(self, name: str, data: ImageClasses) -> Split:
        """See the class."""
        if name == "vinyals":
            return _vinyals()
        if name == "santoro":
            return _santoro()
        if name == "lake":
            return self._lake()
        raise unknown_name("split of omniglot", name, self.splits)

    def fetch(self, folders: DataFolders, notify: Notify) -> None:
        """Downloads the archives that are found nowhere, then verifies all of them."""
        self._archives(folders, notify)
        notify(self.verify(folders, notify))

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Reads the archives again; does not look at the cached tensors, which have checksums.
        Downloads nothing."""
        places = self._places(folders)
        paths, missing = self._find(places)
        if missing:
            raise BenchError(_not_found(missing, places))
        bits = self._read(paths, notify)
        return (
            f"omniglot is as published: {len(bits):,} drawings in "
            f"{', '.join(str(path) for path in paths.values())}; content {self.reference.content}"
        )

    def _read(self, paths: dict[str, Path], notify: Notify) -> Bits:
        notify(f"reading Omniglot from {', '.join(str(path) for path in paths.values())}")
        return read_verified(self.reference, paths)

    def _archives(self, folders: DataFolders, notify: Notify) -> dict[str, Path]:
        """Where each archive is; downloads what is missing."""
        places = self._places(folders)
        found, missing = self._find(places)
        if missing:
            try:
                download(_files(missing), _downloads(folders), notify)
            except BenchError as error:
                raise BenchError(_not_found(missing, places, error)) from error
            found, _ = self._find(places)
        return found

    def _find(self, places: list[Path]) -> tuple[dict[str, Path], list[str]]:
        """Where each archive is, and the names of those that are nowhere."""
        found = find_archives(self.reference, places)
        return found, [archive for archive in self.reference.archives if archive not in found]

    @staticmethod
    def _places(folders: DataFolders) -> list[Path]:
        data = folders.data
        named = [data, data / "omniglot", data / "omniglot-py"] if data else []
        return [*named, _downloads(folders)]

    def _image_classes(self, bits: Bits, size: int) -> ImageClasses:
        alphabets, drawers = self.reference.alphabets, self.reference.drawers
        names = [f"{a.name} {n + 1}" for a in alphabets for n in range(a.characters)]
        ink = np.unpackbits(bits, axis=1, count=SIDE**2).reshape(-1, SIDE, SIDE)  # (M, 105, 105)
        images = area_average(ink * np.uint8(255), size)
        return ImageClasses(
            name=self.name,
            images=torch.from_numpy(images)[:, None],  # (M, 1, size, size)
            starts=np.arange(len(names), dtype=np.int64) * drawers,
            counts=np.full(len(names), drawers, dtype=np.int64),
            class_names=tuple(names),
            groups=tuple(a.name for a in alphabets for _ in range(a.characters)),
            content=self.reference.content,
        )

    def _lake(self) -> Split:
        background, evaluation = self.reference.archives
        alphabets = self.reference.alphabets
        names = [a.name for a in alphabets if a.archive == background]
        held_out = set(seeded_order("lake", names)[:5])
        part = np.repeat(
            [
                "test" if a.archive == evaluation else "val" if a.name in held_out else "train"
                for a in alphabets
            ],
            [a.characters for a in alphabets],
        )
        return _by_part(part)


def _vinyals() -> Split:
    table = resources.files("bench.data").joinpath("omniglot_vinyals.csv")
    _, *rows = csv.reader(table.read_text(encoding="utf-8").splitlines())
    part = {int(character): name for character, name in rows}
    return _by_part(np.array([part[character] for character in sorted(part)]))


def _santoro() -> Split:
    order = np.array([int(c) for c in seeded_order("santoro", map(str, range(1623)))])
    return Split(np.sort(order[:1100]), np.sort(order[1100:1200]), np.sort(order[1200:]))


def _by_part(part: np.ndarray[tuple[int], np.dtype[np.str_]]) -> Split:
    return Split(*(np.flatnonzero(part == name) for name in Split._fields))


def _files(archives: Sequence[str]) -> Callable[[Any], list[RemoteFile]]:
    """The archives by name, as torchvision knows them."""

    def known(datasets: Any) -> list[RemoteFile]:
        source = datasets.Omniglot
        return [
            RemoteFile(
                f"{name}.zip", f"{source.download_url_prefix}/{name}.zip", source.zips_md5[name]
            )
            for name in archives
        ]

    return known


def _downloads(folders: DataFolders) -> Path:
    return folders.cache / "omniglot-py"


def _not_found(missing: list[str], places: list[Path], reason: BenchError | None = None) -> str:
    files = " and ".join(f"{archive}.zip" for archive in missing)
    looked = "\n".join(f"  {place}" for place in places)
    return (
        f"missing of Omniglot: {files}; neither zipped nor extracted in\n{looked}\n"
        + (f"and {reason}\n" if reason else "")
        + "Put the official archives (https://github.com/brendenlake/omniglot, folder python/) in "
        "a folder and name it with --data-dir or $BENCH_DATA_DIR, or run `bench data fetch "
        "omniglot` where there is a network. Without Omniglot, use the embedded characters: "
        "--suite glyphs-5way"
    )
