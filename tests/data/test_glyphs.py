from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import features

from bench.api.dataset import DataFolders, ImageClasses
from bench.data.glyph_fonts import Letter, _draw_font, font_files, letters
from bench.data.glyphs import DRAWINGS, Glyphs, _draw
from bench.errors import BenchError


@pytest.fixture(scope="module")
def alphabet() -> list[Letter]:
    return letters()


@pytest.fixture(scope="module")
def glyphs(alphabet: list[Letter], tmp_path_factory: pytest.TempPathFactory) -> ImageClasses:
    """Built here, never taken from the user's cache."""
    folders = DataFolders(None, tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("bench.data.glyphs.letters", lambda: alphabet)
        built = Glyphs().load(28, folders, print)
    again = Glyphs().load(28, folders, lambda told: pytest.fail(f"built twice: {told}"))
    assert np.array_equal(built.images, again.images)
    return built


def test_which_letters(alphabet: list[Letter]) -> None:
    scripts = Counter(letter.script for letter in alphabet)
    assert 1300 < len(alphabet) < 1700
    assert len(scripts) == 12
    assert scripts["LATIN"] > 350
    assert scripts["GEORGIAN"] > 100
    for letter in alphabet:
        character = chr(letter.code)
        assert unicodedata.category(character).startswith("L")
        assert unicodedata.normalize("NFKD", character) == character
        assert len(letter.masks) >= 4


def test_no_letter_looks_exactly_like_another(alphabet: list[Letter]) -> None:
    by_look: dict[tuple[tuple[int, ...], bytes], set[int]] = {}
    for letter in alphabet:
        for mask in letter.masks:
            by_look.setdefault((mask.shape, mask.tobytes()), set()).add(letter.code)
    # A face of one letter may equal another face of another; the same face never does.
    shared = [codes for codes in by_look.values() if len(codes) > 1]
    assert len(shared) < 0.01 * len(by_look)
    codes = {letter.code for letter in alphabet}
    assert ord("A") in codes
    assert not codes & {0x0391, 0x0410}  # Greek and Cyrillic A


def test_letters_are_cropped_to_their_ink(alphabet: list[Letter]) -> None:
    for letter in alphabet[::10]:
        for mask in letter.masks:
            assert mask[0].any()
            assert mask[-1].any()
            assert mask[:, 0].any()
            assert mask[:, -1].any()


def test_shape_of_the_dataset(glyphs: ImageClasses, alphabet: list[Letter]) -> None:
    classes = len(alphabet)
    assert glyphs.images.shape == (classes * DRAWINGS, 1, 28, 28)
    assert glyphs.counts.tolist() == [DRAWINGS] * classes
    assert glyphs.starts.tolist() == [DRAWINGS * c for c in range(classes)]
    assert len(set(glyphs.class_names)) == classes
    assert glyphs.class_names[0] == "latin capital letter a"


def test_ink_is_255_on_paper_0(glyphs: ImageClasses) -> None:
    assert 0.08 < glyphs.images.float().mean().item() / 255 < 0.25
    assert glyphs.images.amax() == 255
    corners = glyphs.images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 0).float().mean().item() > 0.99


def test_no_drawing_is_empty_and_no_two_are_the_same(glyphs: ImageClasses) -> None:
    flat = glyphs.images.flatten(1).numpy()
    assert (flat.max(1) == 255).mean() > 0.99
    assert (flat.max(1) > 60).all()
    assert len(np.unique(flat, axis=0)) == len(flat)


def test_scripts_are_apart(glyphs: ImageClasses) -> None:
    parts = Glyphs().split("scripts", glyphs)
    scripts = [{glyphs.groups[c] for c in part} for part in parts]
    assert sum(map(len, scripts)) == len(set.union(*scripts)) == 12
    assert sorted(np.concatenate(parts)) == list(range(len(glyphs.groups)))
    assert len(parts.train) >= 950
    assert len(parts.val) >= 100
    assert len(parts.test) >= 250
    assert len(scripts[2]) >= 3


def test_drawing_again_gives_the_same(alphabet: list[Letter]) -> None:
    italic = next(path for path in font_files() if path.name == "STIXGeneralItalic.ttf")
    first, second = _draw_font(italic), _draw_font(italic)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[code], second[code]) for code in first)
    for letter in alphabet[::200]:
        for one, other in zip(_draw(letter, 28), _draw(letter, 28), strict=True):
            assert np.array_equal(one, other)


def test_the_content_of_this_version(glyphs: ImageClasses) -> None:
    if features.version("freetype2") != "2.14.3":
        pytest.skip("another FreeType draws other pixels")
    assert glyphs.content == "29801d3eba76889dd05c6e956ef20f6363c1b4cd39d0a8dadd9975ddbce87e07"


def test_pixel_nearest_neighbour_is_neither_trivial_nor_noise(glyphs: ImageClasses) -> None:
    """Cosine, 5-way 1-shot on the test classes, one query per class: 59.0 % over many episodes."""
    rng = np.random.default_rng(0)
    test = Glyphs().split("scripts", glyphs).test
    pixels = glyphs.images.flatten(1).numpy().astype(np.float32)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    episodes = 2000
    classes = rng.permuted(np.tile(test, (episodes, 1)), axis=1)[:, :5]
    shown = rng.permuted(np.tile(np.arange(DRAWINGS), (episodes * 5, 1)), axis=1)[:, :2]
    images = pixels[classes[..., None] * DRAWINGS + shown.reshape(episodes, 5, 2)]  # (E, 5, 2, D)
    cosine = np.einsum("eqd,esd->eqs", images[:, :, 1], images[:, :, 0])
    accuracy = (cosine.argmax(2) == np.arange(5)).mean()
    assert 0.56 < accuracy < 0.62


def test_verify_and_errors(
    glyphs: ImageClasses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = DataFolders(None, tmp_path)
    monkeypatch.setattr(Glyphs, "_build", lambda *_: glyphs)
    assert glyphs.content in Glyphs().verify(folders, print)
    other = ImageClasses(**{**vars(glyphs), "content": "0" * 64})
    monkeypatch.setattr(Glyphs, "_build", lambda *_: other)
    with pytest.raises(BenchError, match="differ from those in the cache"):
        Glyphs().verify(folders, print)
    with pytest.raises(BenchError, match="from 1 to 105"):
        Glyphs().load(200, folders, print)
    with pytest.raises(BenchError, match="did you mean 'scripts'"):
        Glyphs().split("script", glyphs)


def test_without_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("bench.data.glyph_fonts.PATTERNS", ("NoSuchFont*.ttf",))
    with pytest.raises(BenchError, match="fonts that matplotlib ships"):
        Glyphs().load(28, DataFolders(None, tmp_path), print)
