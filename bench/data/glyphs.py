"""The embedded default: letters of many writing systems, deformed as a hand would. No download.

A class is a Unicode letter, an instance a face of a font with a seeded deformation. The pixels
follow from the fonts that matplotlib ships and from the FreeType that Pillow carries; with other
versions of these a few may differ. The content hash is stored with every result, which makes that
visible.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api.cache import cached
from bench.api.dataset import DataFolders, DatasetSource, ImageClasses, Notify, Split
from bench.api.resize import area_average
from bench.data.glyph_fonts import Letter, fingerprint, letters
from bench.data.glyph_hand import SIDE, hand_drawn
from bench.errors import BenchError, unknown_name

DRAWINGS = 20
"""Instances of each class, as in Omniglot."""
RENDERING = 1
"""Version of how letters are chosen and deformed; part of the cache's file name."""
VALIDATION = ("ARABIC", "COPTIC", "GREEK", "LISU", "OLD ITALIC")
TEST = ("ARMENIAN", "GEORGIAN", "HEBREW", "LAO")


class Glyphs(DatasetSource):
    """The dataset. Its one split, ``scripts``, keeps writing systems apart.

    Meta-training: Latin, Cyrillic, Canadian syllabics; meta-validation: Arabic, Coptic, Greek,
    Lisu, Old Italic; meta-test: Armenian, Georgian, Hebrew, Lao. Pixels alone reach 59 % 5-way
    1-shot there (cosine nearest neighbour), Conv4 prototypes 96 % after 300 updates (60-way).
    """

    name = "glyphs"
    description = (
        "1,419 letters of 12 writing systems from the fonts that matplotlib ships, 20 drawings "
        "each, deformed as a hand would; no download. Ink 255, paper 0; from 105x105 by area "
        "averaging. Fonts: DejaVu and STIX licences."
    )
    splits = ("scripts",)

    def load(self, image_size: int, folders: DataFolders, notify: Notify) -> ImageClasses:
        """Maps the cache, or draws all letters.

        Raises:
            BenchError: fonts missing; a cache folder that cannot be written; a size that is not
                from 1 to 105.
        """
        if not 1 <= image_size <= SIDE:
            raise BenchError(
                f"glyphs are drawn at {SIDE}x{SIDE} pixels; an image size from 1 to {SIDE} is "
                f"possible, not {image_size}"
            )
        key = f"{self.name}-{image_size}-v{RENDERING}-{fingerprint()}"
        return cached(folders, key, lambda: self._build(image_size, notify))

    def split(self, name: str, data: ImageClasses) -> Split:
        """See the class."""
        if name != "scripts":
            raise unknown_name("split of glyphs", name, self.splits)
        val, test = np.isin(data.groups, VALIDATION), np.isin(data.groups, TEST)
        return Split(np.flatnonzero(~val & ~test), np.flatnonzero(val), np.flatnonzero(test))

    def verify(self, folders: DataFolders, notify: Notify) -> str:
        """Draws everything again and compares it with what is cached."""
        content = self._build(28, notify).content
        stored = self.load(28, folders, notify).content
        if content != stored:
            raise BenchError(
                f"glyphs as drawn now ({content[:12]}) differ from those in the cache "
                f"({stored[:12]}); remove {folders.cache}/glyphs-* to have them drawn again"
            )
        return f"glyphs are drawn as cached; content {content}"

    def _build(self, size: int, notify: Notify) -> ImageClasses:
        notify("drawing the letters of matplotlib's fonts (once)")
        alphabet = letters()
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets other threads run
            drawn = list(pool.map(lambda letter: _draw(letter, size), alphabet))
        digest = hashlib.sha256(b"".join(bits.tobytes() for bits, _ in drawn))
        images = np.concatenate([images for _, images in drawn])
        return ImageClasses(
            name=self.name,
            images=torch.from_numpy(images)[:, None],  # (M, 1, size, size)
            starts=np.arange(len(alphabet), dtype=np.int64) * DRAWINGS,
            counts=np.full(len(alphabet), DRAWINGS, dtype=np.int64),
            class_names=tuple(letter.name for letter in alphabet),
            groups=tuple(letter.script for letter in alphabet),
            content=digest.hexdigest(),
        )


def _draw(letter: Letter, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A letter's drawings as bits (for the hash), and resized."""
    ink = hand_drawn(letter.masks, seed=letter.code, drawings=DRAWINGS)  # (20, 105, 105)
    return np.packbits(ink, axis=None), area_average(ink.astype(np.uint8) * np.uint8(255), size)
