"""The door for image files: formats by content, bounded before decoding, each fault in words."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.data import decoding
from bench.data.decoding import FORMATS, ImageError, Members, read_header, read_image

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (6, 4, 3), dtype=np.uint8)


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    file = io.BytesIO()
    (image or Image.fromarray(COLOURS)).save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, packed: bytes = b"") -> bytes:
    """A PNG whose header claims a size, whatever is in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_promised_formats_are_read(kind):
    pixels = read_image(encoded(kind, lossless=True) if kind == "WEBP" else encoded(kind), False)
    assert pixels.shape == (3, 6, 4)
    if kind not in {"JPEG", "GIF"}:
        assert np.array_equal(np.moveaxis(pixels, 0, -1), COLOURS)


DEEP = Image.fromarray(np.array([[0, 256 * 7 + 200, 65535]], dtype=np.uint16))
TRANSPARENT = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
TRANSPARENT.putpalette([9, 9, 9, 50, 60, 70])
ODD = {
    # what: (content, grey, pixels)
    "16 bits": (encoded("PNG", DEEP), True, [[[0, 7, 255]]]),
    "1 bit": (encoded("PNG", Image.fromarray(np.array([[True, False]]))), True, [[[255, 0]]]),
    "a palette with transparency": (
        encoded("PNG", TRANSPARENT, transparency=0), False,
        [[[255, 50]], [[255, 60]], [[255, 70]]],
    ),
    "one pixel": (encoded("PNG", Image.new("L", (1, 1), 3)), True, [[[3]]]),
    "the first of an animation": (
        encoded("GIF", Image.new("L", (1, 1), 5), save_all=True,
                append_images=[Image.new("L", (1, 1), 9)]),
        True, [[[5]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_and_common_is_read(what):
    content, grey, pixels = ODD[what]
    assert read_image(content, grey).tolist() == pixels


def test_print_colours_are_turned_to_those_of_screens():
    cyan = Image.new("CMYK", (2, 2), (255, 0, 0, 0))
    assert read_image(encoded("TIFF", cyan), False)[:, 0, 0].tolist() == [0, 255, 255]


def test_an_animation_is_told_by_its_header():
    frames = [Image.new("L", (1, 1), grey) for grey in (5, 9)]
    still, moving = encoded("GIF", frames[0]), encoded(
        "GIF", frames[0], save_all=True, append_images=frames[1:]
    )  # fmt: skip
    assert [read_header(content).several for content in (still, moving)] == [False, True]


REFUSED = {
    # what: (content, what is said)
    "nothing": (b"", r"it is empty \(0 bytes\)"),
    "a text": (b"no image", "its content is not PNG, JPEG, .*, whatever its name is"),
    "a drawing": (b'  <svg xmlns="http://www.w3.org/2000/svg"/>', "it looks like SVG"),
    "a page": (b"<!DOCTYPE html><html>", "it looks like HTML"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n", "like PostScript"),
    "a telephone's": (b"\0\0\0\x20ftypheic" + bytes(40), "it looks like HEIC"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "another format": (encoded("ICO", Image.new("L", (16, 16))), "its content is not PNG"),
    "cut off": (encoded("PNG", Image.effect_noise((90, 90), 50))[:4000], "truncated"),
    "a bomb": (png(60_000, 60_000), "far too many pixels|60,000x60,000 pixels"),
    "170 megapixels": (png(13_300, 13_300), "13,300x13,300 pixels, and up to 50,000,000 are read"),
    "floats": (encoded("TIFF", Image.new("F", (2, 2))), "floating-point numbers"),
    "no chunks": (b"\x89PNG\r\n\x1a\n", "^.+"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_read_is_said_in_words(what):
    content, said = REFUSED[what]
    with pytest.raises(ImageError, match=said) as caught:
        read_image(content, False)
    assert "\n" not in str(caught.value)


def test_no_other_decoder_is_asked(monkeypatch):
    """An EPS would start Ghostscript."""
    monkeypatch.setattr("PIL.EpsImagePlugin.EpsImageFile._open", lambda self: pytest.fail("asked"))
    with pytest.raises(ImageError, match="PostScript"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EndComments\n", False)


def test_a_file_that_is_too_large_is_not_opened(monkeypatch, tmp_path):
    (tmp_path / "1.png").write_bytes(encoded("PNG"))
    monkeypatch.setattr(decoding, "MOST_BYTES", 10)
    with pytest.raises(ImageError, match="bytes, and up to 10 are read"):
        read_header(tmp_path / "1.png")


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(FORMATS))
def test_a_damaged_image_is_read_or_refused(data, kind):
    content = bytearray(encoded(kind))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    content = bytes(content[: data.draw(st.integers(1, len(content)))])
    for read in (read_header, lambda given: read_image(given, False)):
        with contextlib.suppress(ImageError):  # and nothing else
            read(content)


# -- archives -------------------------------------------------------------------------------------


def packed(path: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_of_an_archive_and_of_its_folder_are_bounded(tmp_path):
    archive = packed(tmp_path / "a.zip", small=bytes(10), large=bytes(10**6))
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "small").write_bytes(bytes(10))
    (folder / "large").write_bytes(bytes(10**6))
    for path, small, large in ((archive, "small", "large"), (folder, "a/small", "a/large")):
        with Members(path, most=100, in_all=1000) as members:
            assert members.read(small) == bytes(10)
            assert not members.has("other")
            with pytest.raises(
                ImageError, match=r"it unpacks to .* or more, and up to 100 are read"
            ):
                members.read(large)


def test_all_members_together_are_bounded(tmp_path):
    with Members(packed(tmp_path / "a.zip", a=bytes(60), b=bytes(60)), 100, 100) as members:
        members.read("a")
        with pytest.raises(ImageError, match="up to 40 are read"):
            members.read("b")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_unpack_at_once_are_refused(tmp_path, method):
    archive = packed(tmp_path / "a.zip", method, a=bytes(60))
    with Members(archive, 100, 100) as members, pytest.raises(ImageError, match="another method"):
        members.read("a")
