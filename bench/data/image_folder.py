"""A dataset from a folder of images by class: ``root/class/image.png``, grey or in colour.

Nothing is inverted or centred: learners get the pixels as they are. The content hash is over the
class names and the decoded pixels, so a folder that was changed is another dataset.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from bench.api.cache import cached, stored
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.errors import BenchError, unknown_name

DECODING = 1
"""Version of how files become pixels; part of the cache's file name."""
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
"""Other files in the folder of a class are no images, and are left alone."""


MOST_NAMED = 20
"""Files that a message about unreadable images names."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Counted:
    """The images of some classes."""

    images: tuple[int, ...]
    """Of each class."""

    def __str__(self) -> str:
        if not self.images:
            return "0 classes"
        images = f"{sum(self.images):,} images, {_range(self.images)} of each"
        return f"{len(self.images)} classes, {images}"


class ClassFolder(BaseModel):
    """A folder of images, and the classes of each phase: all that is needed to load it."""

    model_config = ConfigDict(frozen=True)

    path: str
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def count(self) -> dict[str, Counted]:
        """What each phase has; lists the folder and decodes nothing.

        Raises:
            BenchError: see `image_files`.
        """
        files = image_files(Path(self.path))
        phases = {phase: getattr(self, phase) for phase in Split._fields}
        return {
            phase: Counted(tuple(len(files[name]) for name in names if name in files))
            for phase, names in phases.items()
        }


class ImageFolder(DatasetSource):
    """The images of a `ClassFolder`: (M, 1, H, W) where all are grey, else (M, 3, H, W).

    Images of any height and width are stretched to squares by area averaging. Transparent pixels
    are white. Decoded images are cached until a file's name, size or time of change is another.
    """

    name = "folder"
    description = "A folder of images by class, as a suite file names it."

    def __init__(self, classes: ClassFolder) -> None:
        self.classes = classes
        self.root = Path(classes.path)

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or decodes all images, classes and files in the order of their names.

        Raises:
            BenchError: a folder that is missing or has no images, an image that cannot be read, a
                cache folder that cannot be written.
        """
        files = image_files(self.root)
        key = f"{self.name}-{image_size}-v{DECODING}-{_fingerprint(files)}"
        return cached(folders.cache, key, lambda: self._build(files, image_size, notify))

    def split(self, name: str, data: ImageClasses) -> Split:
        """The classes of each phase; there is one split, whatever its name.

        Raises:
            BenchError: where a class is no longer there.
        """
        numbers = {known: number for number, known in enumerate(data.class_names)}
        parts = [getattr(self.classes, phase) for phase in Split._fields]
        if gone := sorted(set().union(*parts) - numbers.keys()):
            raise unknown_name(f"class in {self.root}", gone[0], numbers)
        return Split(
            *(np.array(sorted(numbers[c] for c in part), dtype=np.int64) for part in parts)
        )

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Decodes everything again, compares it with what is cached, and counts it."""
        files = image_files(self.root)
        data = self._build(files, 28, notify)
        for path in folders.cache.glob(f"{self.name}-*-v{DECODING}-{_fingerprint(files)}.json"):
            kept = stored(folders.cache, path.stem)
            if kept is not None and kept.content != data.content:
                raise BenchError(
                    f"{self.root} differs from what is cached; remove {path.with_suffix('')}.*"
                )
        colours = "grey" if data.images.shape[1] == 1 else "in colour"
        widths, heights = zip(*(_size(p) for listed in files.values() for p in listed), strict=True)
        told = [
            f"{self.root}: {Counted(tuple(data.counts.tolist()))}; {colours}, "
            f"{_range(widths)} pixels wide and {_range(heights)} high; content {data.content}"
        ]
        if self.classes.train:  # else it is a folder without a suite
            told += [f"{phase:<6}{counted}" for phase, counted in self.classes.count().items()]
        return "\n  ".join(told)

    def _build(self, files: Mapping[str, list[Path]], size: int, notify: Notify) -> ImageClasses:
        paths = [path for listed in files.values() for path in listed]
        notify(f"decoding {len(paths):,} images of {self.root} (once)")
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow and numpy let other threads run
            grey = all(pool.map(_is_grey, paths))
            make = partial(decode, grey=grey, size=size)
            decoded = self._whole(list(pool.map(partial(_attempt, make), paths)))
        counts = np.array([len(listed) for listed in files.values()], dtype=np.int64)
        digest = hashlib.sha256()
        for name, count in zip(files, counts, strict=True):
            digest.update(f"{len(name.encode())} {name} {count}\n".encode())
        for pixels, _ in decoded:
            digest.update(pixels)
        return ImageClasses(
            name=self.name,
            images=torch.from_numpy(np.stack([image for _, image in decoded])),
            starts=np.cumsum(counts) - counts,
            counts=counts,
            class_names=tuple(files),
            groups=(self.root.name,) * len(files),
            content=digest.hexdigest(),
        )

    def _whole(self, made: Sequence[Made | BenchError]) -> list[Made]:
        """What was made of the files; raises one error for all that could not be read."""
        failed = [one for one in made if isinstance(one, BenchError)]
        if len(failed) == 1:
            raise failed[0]
        if failed:
            told = [f"\n  {error}" for error in failed[:MOST_NAMED]]
            told += [f"\n  and {len(failed) - MOST_NAMED} more"] if len(failed) > MOST_NAMED else []
            raise BenchError(
                f"{len(failed):,} of {len(made):,} images of {self.root} cannot be read:"
                + "".join(told)
            )
        return [one for one in made if not isinstance(one, BenchError)]


def image_files(root: Path) -> dict[str, list[Path]]:
    """The images of each class, classes and files sorted by name; hidden ones are left alone.

    Raises:
        BenchError: where the folder is missing, has no class folders, or empty ones.
    """
    if not root.is_dir():
        raise BenchError(f"the folder {root} does not exist, or is no folder")
    try:
        inside = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        files = {path.name: images_in(path) for path in inside if path.is_dir()}
    except OSError as error:
        raise BenchError(f"cannot read {error.filename}: {error.strerror}") from error
    if not files:
        found = "images, but no folders" if images_in(root) else "no folders"
        raise BenchError(f"{root} has {found}; put the images of each class in a folder of theirs")
    if empty := [name for name, listed in files.items() if not listed]:
        told = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        raise BenchError(
            f"{root} has classes without images: {told}; remove these folders, or fill them with "
            f"images ({', '.join(ENDINGS)}; not in folders below them)"
        )
    return files


def images_in(folder: Path) -> list[Path]:
    """The images that lie in a folder itself, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()
    )


def _fingerprint(files: Mapping[str, list[Path]]) -> str:
    """What changes when a file does, without reading it."""
    digest = hashlib.sha256()
    for name, listed in files.items():
        for path in listed:
            told = path.stat()
            digest.update(f"{name}/{path.name}\0{told.st_size}\0{told.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:24]


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _attempt(make: Callable[[Path], Made], path: Path) -> Made | BenchError:
    """What is made of a file, or why it cannot be."""
    try:
        return make(path)
    except BenchError as error:
        return error


def _unreadable(path: Path, error: Exception) -> BenchError:
    return BenchError(f"cannot read the image {path}: {error}; replace or remove it")


def _is_grey(path: Path) -> bool:
    """From the file's header: neither colours nor a palette. True of what cannot be read, which is
    told when it is decoded."""
    try:
        with _open(path) as image:
            return image.mode in {"1", "L", "LA"} or image.mode.startswith("I")
    except BenchError:
        return True


def _size(path: Path) -> tuple[int, int]:
    """Width and height, from the file's header."""
    with _open(path) as image:
        return image.size


def _range(values: Sequence[int]) -> str:
    """``6``, or ``6 to 20``."""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def decode(path: Path, grey: bool, size: int) -> tuple[bytes, NDArray[np.uint8]]:
    """The sha256 of a file's pixels, and the image (C, size, size).

    Raises:
        BenchError: it cannot be read.
    """
    with _open(path) as image:
        try:
            pixels = pixels_of(image, grey)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _unreadable(path, error) from error
    digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes())
    return digest.digest(), area_average(pixels, size)


def pixels_of(image: Image.Image, grey: bool) -> NDArray[np.uint8]:
    """(C, h, w): turned as the camera says, 16 bits cut to 8, over white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if grey:
        return np.asarray(image.convert("L"))[None]
    return np.ascontiguousarray(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))
