"""Reads Omniglot's two archives, zipped or extracted, and tells what is damaged.

Layout, of the zip files ``images_background.zip`` and ``images_evaluation.zip`` and of the folders
they extract to: ``ARCHIVE/ALPHABET/characterNN/CCCC_DD.png``, where CCCC is the character, 1 to
1623 over both archives, and DD the drawer, 1 to 20. That number fixes the order of classes; the
order of a directory or of an archive's members has no influence.

Nothing is extracted: members are read by the names expected here, never by names found there.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import BenchError

SIDE = 105
"""Height and width of a drawing, pixels."""
Bits = NDArray[np.uint8]
"""Drawings as bits, ink 1 and paper 0: row by row, first pixel in the highest bit, each drawing
padded with zeros to whole bytes (1,379)."""


class Alphabet(NamedTuple):
    """One alphabet of the dataset, as it should be."""

    archive: str
    name: str
    first: int
    """Number CCCC of its first character; the others follow."""
    characters: int
    sha256: str
    """Of its `Bits`, by character and drawer."""


@dataclass(frozen=True)
class Reference:
    """What the archives should hold.

    Attributes:
        alphabets: in the order of their characters.
        drawers: drawings of each character.
        content: sha256 of all `Bits`, by character and drawer.
    """

    alphabets: tuple[Alphabet, ...]
    drawers: int
    content: str

    @property
    def archives(self) -> tuple[str, ...]:
        """Names of the archives, without ending."""
        return tuple(dict.fromkeys(alphabet.archive for alphabet in self.alphabets))

    def members(self, archive: str) -> list[str]:
        """The paths of an archive's drawings, by character and drawer."""
        return [
            f"{archive}/{alphabet.name}/character{n + 1:02d}/{alphabet.first + n:04d}_{d:02d}.png"
            for alphabet in self.alphabets
            if alphabet.archive == archive
            for n in range(alphabet.characters)
            for d in range(1, self.drawers + 1)
        ]


def official() -> Reference:
    """The dataset as Brenden Lake published it: 1623 characters, 50 alphabets, 20 drawers."""
    table = resources.files("bench.data").joinpath("omniglot_alphabets.csv")
    _, *rows = csv.reader(table.read_text(encoding="utf-8").splitlines())
    alphabets = tuple(
        Alphabet(archive, name, int(first), int(characters), digest)
        for archive, name, first, characters, digest in rows
    )
    return Reference(
        alphabets,
        drawers=20,
        content="36fc02a2da7b2746cbc586c7d6af60fe816de828c2ed207f66a2e6933b920c20",
    )


def find_archives(reference: Reference, folders: Iterable[Path]) -> dict[str, Path]:
    """For each archive that is found, its zip file or, failing that, its extracted folder."""
    places = tuple(folders)
    found: dict[str, Path] = {}
    for archive in reference.archives:
        candidates = [p for folder in places for p in (folder / f"{archive}.zip", folder / archive)]
        existing = next((path for path in candidates if path.exists()), None)
        if existing is not None:
            found[archive] = existing
    return found


def read_verified(reference: Reference, paths: Mapping[str, Path]) -> Bits:
    """Decodes all drawings, in order, and compares them with the reference.

    Args:
        reference: what should be there.
        paths: zip file or extracted folder of each archive.

    Returns:
        `Bits` (M, 1379): drawing ``d`` of character ``c`` (both from 0) is row ``drawers * c + d``.

    Raises:
        BenchError: for an archive that is cut off, lacks drawings, or holds altered ones.
    """
    bits = np.concatenate([_read_archive(reference, a, paths[a]) for a in reference.archives])
    if sha256(bits) != reference.content:
        raise BenchError(_difference(reference, bits, paths))
    return bits


def sha256(bits: Bits) -> str:
    """The content hash of drawings."""
    return hashlib.sha256(np.ascontiguousarray(bits).data).hexdigest()


def _difference(reference: Reference, bits: Bits, paths: Mapping[str, Path]) -> str:
    drawings = reference.drawers
    damaged = [
        alphabet
        for alphabet in reference.alphabets
        if sha256(bits[(alphabet.first - 1) * drawings :][: alphabet.characters * drawings])
        != alphabet.sha256
    ]
    named = ", ".join(
        f"{a.name} (characters {a.first:04d} to {a.first + a.characters - 1:04d})"
        for a in damaged[:5]
    )
    files = ", ".join(str(paths[a]) for a in dict.fromkeys(a.archive for a in damaged))
    return (
        f"altered drawings in {files}: the pixels of {len(damaged)} of "
        f"{len(reference.alphabets)} alphabets differ from the published ones: {named}"
        f"{', ...' if len(damaged) > 5 else ''}; {GET_AGAIN}"
    )


GET_AGAIN = (
    "replace it with the official archive, or move it away and run `bench data fetch omniglot`"
)


def _read_archive(reference: Reference, archive: str, path: Path) -> Bits:
    members = reference.members(archive)
    bits = np.empty((len(members), -(-SIDE * SIDE // 8)), dtype=np.uint8)
    name = archive
    try:
        with _reader(path) as (exists, read):
            missing = [member for member in members if not exists(member)]
            if missing:
                raise BenchError(
                    f"{path} lacks {len(missing)} of {len(members)} drawings, the first is "
                    f"{missing[0]}; {GET_AGAIN}"
                )
            for row, name in enumerate(members):
                bits[row] = _decode(read(name))
    except zipfile.BadZipFile as error:
        size = path.stat().st_size
        raise BenchError(
            f"{path} ({size:,} bytes) is cut off or damaged: {error}; {GET_AGAIN}"
        ) from error
    # PIL reports a broken PNG as SyntaxError or OSError, zipfile an unknown method as RuntimeError.
    except (OSError, EOFError, SyntaxError, ValueError, RuntimeError, zlib.error) as error:
        raise BenchError(f"{path} cannot be read at {name}: {error}; {GET_AGAIN}") from error
    return bits


@contextmanager
def _reader(path: Path) -> Iterator[tuple[Callable[[str], bool], Callable[[str], bytes]]]:
    """Two functions of a member's name: whether it exists, and its bytes."""
    if path.is_dir():
        yield lambda name: (path.parent / name).is_file(), lambda n: (path.parent / n).read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        for name in names:
            parts = PurePosixPath(name.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts or ("",))[0]:
                raise BenchError(
                    f"{path} holds a member that points outside of it ({name!r}): this is not the "
                    f"official archive; {GET_AGAIN}"
                )
        yield names.__contains__, archive.read


def _decode(png: bytes) -> Bits:
    """Black ink on white paper to ink bits (1379,)."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        if image.size != (SIDE, SIDE):
            raise ValueError(f"{image.size[0]}x{image.size[1]} pixels instead of {SIDE}x{SIDE}")
        return np.packbits(np.asarray(image.convert("L")) < 128)
