"""What lies in a folder of images: the images of each class, published phases, what is left out.

Three layouts: ``root/class/image.png``; the same below ``train/``, ``val/`` and ``test/``; and any
of both with lists of files (`bench.data.split_files`) that say which image is of which class.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from bench.api.dataset import ImageClasses, Split
from bench.api.files import is_utf8
from bench.data.decoding import ENDINGS
from bench.data.split_files import PHASES, read_image_lists
from bench.errors import BenchError, unknown_name


@dataclass(frozen=True)
class Counted:
    """The images of some classes."""

    images: tuple[int, ...]
    """Of each class."""

    def __str__(self) -> str:
        if not self.images:
            return "0 classes"
        images = f"{sum(self.images):,} images, {span(self.images)} of each"
        return f"{len(self.images)} classes, {images}"


@dataclass(frozen=True)
class Listing:
    """What a folder of images has.

    Attributes:
        root: the folder.
        files: the images of each class, classes and files sorted by name.
        left_out: what lies among the classes and is no image by its name.
        phases: the classes below ``train/``, ``val/`` and ``test/``, where they are.
    """

    root: Path
    files: dict[str, list[Path]]
    left_out: tuple[Path, ...] = ()
    phases: dict[str, list[str]] | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The images of each class."""
        return {name: len(listed) for name, listed in self.files.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of it: what was left out, counted and named."""
        if not self.left_out:
            return ()
        kinds = Counter(_kind(path) for path in self.left_out)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        first = self.left_out[0].relative_to(self.root)
        return (
            f"left out of {self.root}: {counts}; the first is {first}; images end in "
            f"{' '.join(ENDINGS)} and lie directly in the folder of their class",
        )


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folders in those of classes"
    if not path.is_file():
        return "that are no regular files"
    return f"files {path.suffix.lower()}" if path.suffix else "files without an ending"


class ClassFolder(BaseModel):
    """A folder of images (or a file of arrays), and the classes of each phase: all that is needed
    to load it."""

    model_config = ConfigDict(frozen=True)

    path: str
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    """CSV files that say which image is of which class; none: folders do."""
    arrays: bool | None = None
    """Whether it is a file of arrays. None: an older version wrote this, and the ending says it."""

    def listing(self) -> Listing:
        """What it has; decodes nothing.

        Raises:
            BenchError: see `list_folder` and `bench.data.split_files.read_image_lists`.
        """
        root = Path(self.path)
        if not self.lists:
            return list_folder(root)
        listed = read_image_lists([Path(name) for name in self.lists], root)
        named: set[str] = set().union(self.train, self.val, self.test)
        if others := named - listed.keys():  # of phases without a list: their folders
            listed |= {n: f for n, f in list_folder(root).files.items() if n in others}
        return Listing(root, dict(sorted(listed.items())))

    def split(self, data: ImageClasses) -> Split:
        """The class numbers of each phase.

        Raises:
            BenchError: where a class is no longer there.
        """
        numbers = {known: number for number, known in enumerate(data.class_names)}
        parts = [getattr(self, phase) for phase in PHASES]
        if gone := sorted(set().union(*parts) - numbers.keys()):
            raise unknown_name(f"class in {self.path}", gone[0], numbers)
        return Split(
            *(np.array(sorted(numbers[c] for c in part), dtype=np.int64) for part in parts)
        )

    def count(self, counts: Mapping[str, int]) -> dict[str, Counted]:
        """What each phase has.

        Args:
            counts: the items of each class.
        """
        return {
            phase: Counted(tuple(counts[name] for name in getattr(self, phase) if name in counts))
            for phase in PHASES
        }


def list_folder(root: Path) -> Listing:
    """The images of each class, classes and files sorted by name; hidden ones are left alone.

    Raises:
        BenchError: where the folder is missing, has no class folders, or empty ones; where a class
            is below two of ``train/``, ``val/`` and ``test/``.
    """
    if not root.is_dir():
        packed = root.suffix.lower() in {".npz", ".npy"}
        hint = f"; write arrays:{root} for a file of arrays" if packed else ""
        raise BenchError(f"the folder {root} does not exist, or is no folder{hint}")
    try:
        return _list_folder(root)
    except OSError as error:
        raise BenchError(f"cannot read {error.filename}: {error.strerror}") from error


def _list_folder(root: Path) -> Listing:
    below = visible(root)
    folders = [path for path in below if path.is_dir()]
    phases = None
    if {path.name for path in folders} == set(PHASES) and not any(map(images_in, folders)):
        within = {path.name: [c for c in visible(path) if c.is_dir()] for path in folders}
        phases = {phase: [path.name for path in within[phase]] for phase in PHASES}
        _refuse_twice(root, phases)
        below += [path for folder in folders for path in visible(folder)]
        folders = sorted((c for listed in within.values() for c in listed), key=lambda c: c.name)
    files = {path.name: images_in(path) for path in folders}
    loose = [path for path in below if path.suffix.lower() in ENDINGS and path.is_file()]
    if not files:
        found = "images, but no folders" if loose else "no folders"
        raise BenchError(f"{root} has {found}; put the images of each class in a folder of theirs")
    if odd := [name for name in files if not is_utf8(name)]:
        raise BenchError(
            f"{root} has {len(odd)} classes whose names are no UTF-8, the first is "
            f"{os.fsencode(odd[0])!r}; give these folders other names"
        )
    if empty := [name for name, listed in files.items() if not listed]:
        told = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        raise BenchError(
            f"{root} has classes without images: {told}; remove these folders, or fill them with "
            f"images ({', '.join(ENDINGS)}; not in folders below them, unless the folders are "
            "train, val and test, with the classes in them)"
        )
    taken = {path for listed in files.values() for path in listed}
    others = [path for folder in folders for path in visible(folder) if path not in taken]
    return Listing(root, files, (*others, *loose), phases)


def _refuse_twice(root: Path, phases: dict[str, list[str]]) -> None:
    twice = Counter(name for listed in phases.values() for name in listed)
    if shared := [name for name, times in twice.items() if times > 1]:
        places = " and ".join(phase for phase in PHASES if shared[0] in phases[phase])
        raise BenchError(
            f"{root} has {len(shared)} classes in two of train, val and test, the first is "
            f"{shared[0]} (in {places}); meta-test has to be on new classes"
        )


def visible(folder: Path) -> list[Path]:
    """What lies in a folder and is not hidden; sorted."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def images_in(folder: Path) -> list[Path]:
    """The images that lie in a folder itself, by their names; sorted."""
    return [p for p in visible(folder) if p.suffix.lower() in ENDINGS and p.is_file()]


def span(values: Sequence[int]) -> str:
    """``6``, or ``6 to 20``."""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
