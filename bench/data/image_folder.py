"""A dataset from a folder of images by class: ``root/class/image.png``, grey or in colour.

Nothing is inverted or centred: learners get the pixels as they are. The content hash is over the
class names and the decoded pixels, so a folder that was changed is another dataset.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api.cache import cached, stored
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.data.class_folder import ClassFolder, Counted, Listing, span
from bench.data.decoding import Header, ImageError, read_header, read_image
from bench.errors import BenchError

DECODING = 1
"""Version of how files become pixels; part of the cache's file name."""

MOST_NAMED = 20
"""Files that a message about unreadable images names."""

Made = TypeVar("Made")


class ImageFolder(DatasetSource):
    """The images of a `ClassFolder`: (M, 1, H, W) where all are grey, else (M, 3, H, W).

    Images of any height and width are stretched to squares by area averaging. Transparent pixels
    are white. Decoded images are cached until a file's path, size or time of change is another.
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
        listing = self.classes.listing()
        return loaded(self.name, listing, image_size, folders, notify)

    def split(self, name: str, data: ImageClasses) -> Split:
        """The classes of each phase; there is one split, whatever its name.

        Raises:
            BenchError: where a class is no longer there.
        """
        return self.classes.split(data)

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Decodes everything again, compares it with what is cached, and counts it."""
        listing = self.classes.listing()
        data, headers = decoded(self.name, listing, 28, notify)
        for path in folders.cache.glob(f"{self.name}-*-v{DECODING}-{fingerprint(listing)}.json"):
            kept = stored(folders.cache, path.stem)
            if kept is not None and kept.content != data.content:
                raise BenchError(
                    f"{self.root} differs from what is cached; remove {path.with_suffix('')}.*"
                )
        colours = "grey" if data.images.shape[1] == 1 else "in colour"
        widths, heights = [h.width for h in headers], [h.height for h in headers]
        told = [
            f"{self.root}: {Counted(tuple(listing.counts.values()))}; {colours}, "
            f"{span(widths)} pixels wide and {span(heights)} high; content {data.content}"
        ]
        if self.classes.train:  # else it is a folder without a suite
            told += [f"{phase:<6}{n}" for phase, n in self.classes.count(listing.counts).items()]
        told += listing.notes
        if animated := sum(header.several for header in headers):
            told.append(f"{animated:,} files are animations or have pages: the first image is used")
        return "\n  ".join(told)

    def class_counts(self) -> dict[str, int]:
        """The classes by name, and how many images each has; decodes nothing.

        Raises:
            BenchError: see `bench.data.class_folder.list_folder`.
        """
        return self.classes.listing().counts


def loaded(
    name: str, listing: Listing, size: int, folders: DataFolders, notify: Notify
) -> ImageClasses:
    """The images of a listing from the cache, or `decoded` and stored there."""
    key = f"{name}-{size}-v{DECODING}-{fingerprint(listing)}"
    return cached(folders, key, lambda: decoded(name, listing, size, notify)[0])


def decoded(
    name: str, listing: Listing, size: int, notify: Notify
) -> tuple[ImageClasses, list[Header]]:
    """The images of a listing, squares of `size`, and what their headers say.

    Args:
        name: the dataset's.
        listing: the files of each class.
        size: height and width wanted.
        notify: told that it takes long, and what was left out.

    Raises:
        BenchError: which files cannot be read, and why.
    """
    paths = [path for listed in listing.files.values() for path in listed]
    notify(f"decoding {len(paths):,} images of {listing.root} (once)")
    for note in listing.notes:
        notify(note)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow and numpy let other threads run
        headers = _whole(pool.map(_attempt(read_header), paths), listing.root, len(paths))
        grey = all(header.grey for header in headers)
        images = np.empty((len(paths), 1 if grey else 3, size, size), dtype=np.uint8)

        def decode(path: Path, row: NDArray[np.uint8]) -> bytes:
            pixels = read_image(path, grey)
            row[:] = area_average(pixels, size)
            return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).digest()

        digests = _whole(pool.map(_attempt(decode), paths, images), listing.root, len(paths))
    counts = np.array([len(listed) for listed in listing.files.values()], dtype=np.int64)
    digest = hashlib.sha256()
    for label, count in zip(listing.files, counts, strict=True):
        digest.update(f"{len(label.encode())} {label} {count}\n".encode())
    digest.update(b"".join(digests))
    data = ImageClasses(
        name=name,
        images=torch.from_numpy(images),
        starts=np.cumsum(counts) - counts,
        counts=counts,
        class_names=tuple(listing.files),
        groups=(listing.root.name,) * len(counts),
        content=digest.hexdigest(),
    )
    return data, headers


def _whole(made: Iterable[Made | BenchError], root: Path, count: int) -> list[Made]:
    """What was made of the files; raises one error for all that could not be read."""
    whole: list[Made] = []
    failed: list[BenchError] = []
    for one in made:
        if isinstance(one, BenchError):
            failed.append(one)
        else:
            whole.append(one)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        told = [f"\n  {error}" for error in failed[:MOST_NAMED]]
        told += [f"\n  and {len(failed) - MOST_NAMED} more"] if len(failed) > MOST_NAMED else []
        raise BenchError(
            f"{len(failed):,} of {count:,} images of {root} cannot be read:" + "".join(told)
        )
    return whole


def _attempt(make: Callable[..., Made]) -> Callable[..., Made | BenchError]:
    """What is made of a file, or why it cannot be."""

    def attempt(path: Path, *rest: object) -> Made | BenchError:
        try:
            return make(path, *rest)
        except ImageError as error:
            return BenchError(f"cannot read the image {path}: {error}; replace or remove it")

    return attempt


def fingerprint(listing: Listing) -> str:
    """What changes when a file does, without reading it.

    Files of one size and time are not rare (bitmaps, what an archive or a build has set the clock
    of), so that where a file lies counts, and when it came there.
    """
    digest = hashlib.sha256()
    try:
        for name, listed in listing.files.items():
            for path in listed:
                told, place = path.stat(), os.fsencode(path.absolute())
                times = f"{told.st_size}\0{told.st_mtime_ns}\0{told.st_ctime_ns}\0"
                digest.update(b"\0".join([name.encode(), place, times.encode()]))
    except OSError as error:
        raise BenchError(f"cannot read {error.filename}: {error.strerror}") from error
    return digest.hexdigest()[:24]
