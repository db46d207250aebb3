"""Letters of many writing systems, drawn from the fonts that matplotlib ships.

DejaVu (Sans, Sans Mono, Serif, in their faces) and STIX General: about 1,600 plain letters stand in
four faces or more. Licences: ``LICENSE_DEJAVU`` and ``LICENSE_STIX`` beside the fonts.
"""

from __future__ import annotations

import hashlib
import importlib.util
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from bench.errors import BenchError

EM = 128
"""Font size in pixels."""
FACES = 4
"""A letter must stand in that many faces."""
PATTERNS = ("DejaVuSans*.ttf", "DejaVuSerif*.ttf", "STIXGeneral*.ttf")
SCRIPTS = (
    "ARABIC",
    "ARMENIAN",
    "CANADIAN SYLLABICS",
    "COPTIC",
    "CYRILLIC",
    "GEORGIAN",
    "GREEK",
    "HEBREW",
    "LAO",
    "LATIN",
    "LISU",
    "OLD ITALIC",
)
"""The writing systems with ten such letters or more, as the names of the characters begin."""

Mask = NDArray[np.bool_]
"""(height, width), True where there is ink, cropped to it."""


class Letter(NamedTuple):
    """A code point and what it looks like."""

    code: int
    script: str
    masks: tuple[Mask, ...]
    """One per face, in the order of `font_files`."""

    @property
    def name(self) -> str:
        """As Unicode calls it, in lower case."""
        return unicodedata.name(chr(self.code)).lower()


def font_files() -> list[Path]:
    """matplotlib's text fonts.

    Raises:
        BenchError: when they are not where matplotlib keeps them.
    """
    spec = importlib.util.find_spec("matplotlib")  # importing it would take longer than all else
    if spec is None or spec.origin is None:
        raise BenchError("glyphs needs the fonts of matplotlib, which is not installed")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    files = [path for pattern in PATTERNS for path in sorted(folder.glob(pattern))]
    if not files:
        raise BenchError(
            f"glyphs needs the fonts that matplotlib ships, and {folder} holds none of "
            f"{', '.join(PATTERNS)}; install matplotlib from its wheel"
        )
    return files


def fingerprint() -> str:
    """Changes when the fonts or the FreeType that draws them do."""
    digest = hashlib.sha256(str(features.version("freetype2")).encode())
    for path in font_files():
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def letters() -> list[Letter]:
    """All letters in four faces or more that can be told apart, by code point.

    Left out: letters that NFKD decomposes (accents, presentation forms); faces in which a letter
    is empty or the box that stands for a missing glyph; letters that in any face look exactly like
    one with a lower code point (Greek and Cyrillic A look like Latin A).
    """
    masks: dict[int, dict[str, Mask]] = defaultdict(dict)
    for path in font_files():
        for code, mask in _draw_font(path).items():
            masks[code][path.name] = mask
    chosen: list[Letter] = []
    seen: set[tuple[str, tuple[int, ...], bytes]] = set()
    for code in sorted(masks):
        looks = {(f, m.shape, m.tobytes()) for f, m in masks[code].items()}
        if len(looks) >= FACES and not looks & seen:
            seen |= looks
            chosen.append(Letter(code, str(_script(chr(code))), tuple(masks[code].values())))
    return chosen


def _script(character: str) -> str | None:
    name = unicodedata.name(character, "")
    return next((script for script in SCRIPTS if name.startswith(script + " ")), None)


def _is_plain(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo")
        and unicodedata.normalize("NFKD", character) == character
        and _script(character) is not None
    )


def _draw_font(path: Path) -> dict[int, Mask]:
    """The plain letters of one font file, by code point."""
    from matplotlib.ft2font import FT2Font

    font = ImageFont.truetype(str(path), EM, layout_engine=ImageFont.Layout.BASIC)
    codes = FT2Font(str(path)).get_charmap()
    missing = _mask(font, chr(0x10FFFF))  # a noncharacter: no font has a glyph for it
    drawn = {}
    for code in codes:
        if _is_plain(chr(code)):
            mask = _mask(font, chr(code))
            if mask.size and not np.array_equal(mask, missing):
                drawn[code] = mask
    return drawn


def _mask(font: ImageFont.FreeTypeFont, character: str) -> Mask:
    left, top, right, bottom = (int(edge) for edge in font.getbbox(character))
    image = Image.new("L", (right - left + 4, bottom - top + 4))  # a margin for rounding
    ImageDraw.Draw(image).text((2 - left, 2 - top), character, fill=255, font=font)
    ink = image.point(lambda grey: 255 * (grey >= 128))
    return np.asarray(ink.crop(ink.getbbox() or (0, 0, 0, 0))) > 0
