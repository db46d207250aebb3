"""The one door through which image files and members of archives become bytes and pixels.

A file is what its content says, whatever its name says: Pillow is handed the promised formats and
no others, so that no decoder runs that nobody asked for (an EPS would start Ghostscript). Pixels
and bytes are counted before anything is decoded, in archives too, so that a small file cannot ask
for gigabytes. Whatever a decoder says of a file becomes an `ImageError`, in words.
"""

from __future__ import annotations

import io
import threading
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""The promised formats, as Pillow calls them. Of an animation, or of several pages, the first."""
ENDINGS = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip
"""How their files are called; in any case of letters."""
MOST_PIXELS = 50_000_000
"""Of one image: more than cameras of telephones make."""
LARGE = 4_000_000
"""Pixels from which on images are decoded one at a time, however many threads there are."""
MOST_BYTES = 2**28
"""Of one file: an image of `MOST_PIXELS` in colour, packed not at all."""

FOREIGN = {
    b"%!PS": "PostScript", b"\xc5\xd0\xd3\xc6": "PostScript", b"%PDF": "PDF", b"<svg": "SVG",
    b"<?xml": "XML", b"<html": "HTML", b"<!doctype html": "HTML", b"8BPS": "Photoshop",
    b"PK\x03\x04": "a zip archive", b"version https://git-lfs": "a Git LFS pointer, not the file",
}  # fmt: skip
"""How files begin that are often taken for images."""

SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose grey of 16 bits Pillow widens to 32; of others such numbers may be anything."""

_one_large_at_a_time = threading.Lock()
# Pillow's own warning from 89 megapixels on says less than the refusal that follows.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class ImageError(ValueError):
    """What is wrong with an image or a member; whoever asked for it knows its name."""


@contextmanager
def opened(
    file: Path | bytes, formats: Sequence[str] = FORMATS, most: int = MOST_PIXELS
) -> Iterator[Image.Image]:
    """An image whose header was read and found acceptable; decoded where it is used.

    Args:
        file: its path, or its content.
        formats: the formats it may have.
        most: the pixels it may have.

    Raises:
        ImageError: on entry or within, for whatever the decoder says of the file.
    """
    try:
        with _stream(file) as stream, _header(stream, formats) as image:
            width, height = image.size
            if width * height > most:
                raise ImageError(
                    f"it has {width:,}x{height:,} pixels, and up to {most:,} are read; make it "
                    "smaller"
                )
            if not width * height:
                raise ImageError(f"it has {width}x{height} pixels")
            with _turn(width * height):
                yield image
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("there is no memory to decode it") from error
    except Exception as error:  # decoders raise anything for a damaged file: struct.error, KeyError
        said = str(error) or type(error).__name__
        raise ImageError(said.partition("\n")[0]) from error


def read_image(file: Path | bytes, grey: bool) -> NDArray[np.uint8]:
    """The pixels of an image, turned as the camera says, 16 bits cut to 8, over white.

    Args:
        file: its path, or its content.
        grey: one channel, else three.

    Returns:
        (C, h, w).

    Raises:
        ImageError: see `opened`.
    """
    with opened(file) as image:
        return pixels_of(image, grey)


@dataclass(frozen=True)
class Header:
    """What the header of an image says."""

    width: int
    height: int
    grey: bool
    """It has neither colours nor a palette."""
    several: bool
    """It is an animation, or has pages."""


def read_header(file: Path | bytes) -> Header:
    """What the header of an image says; decodes nothing.

    Raises:
        ImageError: see `opened`.
    """
    with opened(file) as image:
        return Header(*image.size, is_grey(image), bool(getattr(image, "is_animated", False)))


def is_grey(image: Image.Image) -> bool:
    """Whether an image has neither colours nor a palette."""
    return image.mode in {"1", "L", "LA", "F"} or image.mode.startswith("I")


def _stream(file: Path | bytes) -> IO[bytes]:
    size = len(file) if isinstance(file, bytes) else file.stat().st_size
    if not size:
        raise ImageError("it is empty (0 bytes)")
    if size > MOST_BYTES:
        raise ImageError(f"it has {size:,} bytes, and up to {MOST_BYTES:,} are read")
    return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")


def _header(stream: IO[bytes], formats: Sequence[str]) -> Image.Image:
    begins = stream.read(64)
    stream.seek(0)
    try:
        return Image.open(stream, formats=tuple(formats))
    except Image.DecompressionBombError as error:
        raise ImageError(f"it has far too many pixels: {error}") from error
    except UnidentifiedImageError as error:
        names = ", ".join(formats).replace("WEBP", "WebP")
        looks = f"; it looks like {kind}" if (kind := _looks_like(begins)) else ""
        raise ImageError(f"its content is not {names}, whatever its name is{looks}") from error


def _looks_like(begins: bytes) -> str | None:
    if begins[4:8] == b"ftyp":
        return "HEIC or AVIF"
    text = begins.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((kind for start, kind in FOREIGN.items() if text.startswith(start.lower())), None)


def _turn(pixels: int) -> AbstractContextManager[object]:
    return _one_large_at_a_time if pixels > LARGE else nullcontext()


def pixels_of(image: Image.Image, grey: bool) -> NDArray[np.uint8]:
    """The same of an image that is open: (C, h, w).

    Raises:
        ImageError: there is no range of its values.
    """
    if image.mode == "F":
        raise ImageError("its pixels are floating-point numbers, of which no range is known")
    if image.mode == "I" and image.format not in SIXTEEN_BITS:
        raise ImageError("its pixels are 32-bit numbers, of which no range is known")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if grey:
        return np.asarray(image.convert("L"))[None]
    return np.ascontiguousarray(np.moveaxis(np.asarray(image.convert("RGB")), -1, 0))


# -- archives -------------------------------------------------------------------------------------


class Members:
    """The members of a zip archive, or of the folder that it extracts to: bounded when read.

    Args:
        path: the zip file; or the folder, in which ``path.name`` is the first part of each name.
        most: bytes of one member.
        in_all: bytes of all that are read together.

    Raises:
        zipfile.BadZipFile: no zip archive.
    """

    def __init__(self, path: Path, most: int, in_all: int) -> None:
        self._most, self._left = most, in_all
        self._folder = path.parent if path.is_dir() else None
        self._archive = None if path.is_dir() else zipfile.ZipFile(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive is not None:
            self._archive.close()

    @property
    def names(self) -> list[str]:
        """Those of an archive, in its order; nothing of a folder."""
        return [] if self._archive is None else self._archive.namelist()

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        if self._archive is not None:
            return name in self._archive.NameToInfo
        assert self._folder is not None, "one of the two"
        return (self._folder / name).is_file()

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            ImageError: it is larger than allowed, packed in a way that cannot be bounded, or there
                is none.
            zipfile.BadZipFile: the archive is damaged there.
        """
        most = min(self._most, self._left)
        if self._archive is None:
            assert self._folder is not None, "one of the two"
            with (self._folder / name).open("rb") as stream:
                content = stream.read(most + 1)
        else:
            member = self._archive.getinfo(name)
            # Only these two are unpacked no further than what is asked for.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ImageError("it is packed by another method than deflate")
            if member.file_size > most:
                raise ImageError(_too_many_bytes(member.file_size, most))
            with self._archive.open(member) as packed:
                content = packed.read(most + 1)
        if len(content) > most:
            raise ImageError(_too_many_bytes(len(content), most))
        self._left -= len(content)
        return content


def _too_many_bytes(size: int, most: int) -> str:
    return f"it unpacks to {size:,} bytes or more, and up to {most:,} are read"
