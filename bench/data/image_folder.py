"""A dataset from a folder of images by class: ``root/class/image.png``, grey or in colour.

Nothing is inverted or centred: learners get the pixels as they are. The content hash is over the
class names and the decoded pixels, so a folder that was changed is another dataset.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from bench.data.base import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.data.cache import cached
from bench.data.resize import area_average
from bench.data.seeded import seeded_order
from bench.errors import BenchError, unknown_name

DECODING = 1
"""Version of how files become pixels; part of the cache's file name."""
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
"""Other files in the folder of a class are no images, and are left alone."""


class ClassFolder(BaseModel):
    """A folder of images, and the classes of each phase: all that is needed to load it."""

    model_config = ConfigDict(frozen=True)

    path: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


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
        """Decodes everything again and compares it with what is cached."""
        content = self._build(image_files(self.root), 28, notify).content
        if content != self.load(28, folders, notify).content:
            raise BenchError(f"{self.root} differs from what is cached; remove {folders.cache}")
        return f"{self.root} is as cached; content {content}"

    def _build(self, files: Mapping[str, list[Path]], size: int, notify: Notify) -> ImageClasses:
        paths = [path for listed in files.values() for path in listed]
        notify(f"decoding {len(paths):,} images of {self.root} (once)")
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow and numpy let other threads run
            grey = all(pool.map(_is_grey, paths))
            decoded = list(pool.map(partial(_decode, grey=grey, size=size), paths))
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


def image_files(root: Path) -> dict[str, list[Path]]:
    """The images of each class, classes and files sorted by name; hidden ones are left alone.

    Raises:
        BenchError: where the folder is missing, has no class folders, or empty ones.
    """
    if not root.is_dir():
        raise BenchError(f"the folder {root} does not exist, or is no folder")
    try:
        inside = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        files = {path.name: _images(path) for path in inside if path.is_dir()}
    except OSError as error:
        raise BenchError(f"cannot read {error.filename}: {error.strerror}") from error
    if not files:
        found = "images, but no folders" if _images(root) else "no folders"
        raise BenchError(f"{root} has {found}; put the images of each class in a folder of theirs")
    if empty := [name for name, listed in files.items() if not listed]:
        told = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
        raise BenchError(
            f"{root} has classes without images: {told}; remove these folders, or fill them with "
            f"images ({', '.join(ENDINGS)}; not in folders below them)"
        )
    return files


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()
    )


def split_by_fraction(
    names: Sequence[str], train: float, val: float, seed: int
) -> dict[str, list[str]]:
    """Draws the classes of each phase; what train and val leave is test.

    The classes are put in a random order that only their names and the seed decide, and cut at
    ``round(train * n)`` and ``round((train + val) * n)``.
    """
    order = seeded_order(str(seed), names)
    first, second = round(train * len(order)), round((train + val) * len(order))
    return {"train": order[:first], "val": order[first:second], "test": order[second:]}


def split_by_list(names: Sequence[str], path: Path) -> dict[str, list[str]]:
    """Reads the classes of each phase from a CSV file with the header ``class,split``.

    Classes that it does not list are not used.

    Raises:
        BenchError: with the line that is wrong: an unknown class or phase, or a class for the
            second time.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except OSError as error:
        raise BenchError(f"cannot read the list of classes {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchError(f"{path} is not a CSV file: {error}") from error
    if not rows or [cell.strip() for cell in rows[0]] != ["class", "split"]:
        raise BenchError(f"{path}, line 1: the header is to be class,split")
    known, seen = set(names), dict[str, tuple[int, str]]()
    for line, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != 2:
            raise BenchError(f"{path}, line {line}: two columns are wanted, got {len(row)}")
        name, phase = (cell.strip() for cell in row)
        if name not in known:
            raise BenchError(f"{path}, line {line}: {unknown_name('class', name, known)}")
        if phase not in Split._fields:
            told = unknown_name("split", phase, Split._fields)
            raise BenchError(f"{path}, line {line}: {told}")
        if name in seen:
            first, other = seen[name]
            raise BenchError(
                f"{path}, line {line}: the class {name!r} is in {phase}, and by line {first} in "
                f"{other}; a class is listed once"
            )
        seen[name] = line, phase
    return {
        phase: [name for name, (_, given) in seen.items() if given == phase]
        for phase in Split._fields
    }


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


def _unreadable(path: Path, error: Exception) -> BenchError:
    return BenchError(f"cannot read the image {path}: {error}; replace or remove it")


def _is_grey(path: Path) -> bool:
    """From the file's header: neither colours nor a palette."""
    with _open(path) as image:
        return image.mode in {"1", "L", "LA"} or image.mode.startswith("I")


def _decode(path: Path, grey: bool, size: int) -> tuple[bytes, NDArray[np.uint8]]:
    """The sha256 of a file's pixels, and the image (C, size, size)."""
    with _open(path) as image:
        try:
            pixels = _pixels(image, grey)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise _unreadable(path, error) from error
    digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes())
    return digest.digest(), area_average(pixels, size)


def _pixels(image: Image.Image, grey: bool) -> NDArray[np.uint8]:
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
