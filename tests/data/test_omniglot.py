import io
import shutil
import socket
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.api.dataset import DataFolders, ImageClasses
from bench.data.omniglot import Omniglot
from bench.data.omniglot_archives import SIDE, Alphabet, Reference, official, sha256
from bench.errors import BenchError

QUIET = print


@dataclass
class Small:
    """Five characters of three alphabets in two archives, two drawers."""

    reference: Reference
    ink: np.ndarray
    """(10, 105, 105), 1 where there is ink."""

    def png(self, row: int) -> bytes:
        """A drawing as published: black ink on white paper, 1 bit."""
        file = io.BytesIO()
        Image.fromarray(self.ink[row] == 0).save(file, "PNG")
        return file.getvalue()

    def files(self, archive: str) -> dict[str, bytes]:
        """Bytes of every member."""
        first = 0 if archive == "images_background" else 6
        names = self.reference.members(archive)
        return {name: self.png(first + n) for n, name in enumerate(names)}

    def zip(self, folder: Path, archive: str, **options: object) -> Path:
        """Writes the archive; `options` are `write_zip`'s."""
        return write_zip(folder / f"{archive}.zip", self.files(archive), **options)

    def both(self, folder: Path) -> None:
        """Writes both archives."""
        folder.mkdir(parents=True, exist_ok=True)
        for archive in self.reference.archives:
            self.zip(folder, archive)


def write_zip(
    path: Path, files: dict[str, bytes], *, backwards: bool = False, method: int = 0
) -> Path:
    """Packs files, in their order or backwards, stored or deflated."""
    with zipfile.ZipFile(path, "w", compression=method) as archive:
        for name in reversed(files) if backwards else files:
            archive.writestr(name, files[name])
    return path


@pytest.fixture
def small() -> Small:
    ink = (np.random.default_rng(0).random((10, SIDE, SIDE)) < 0.1).astype(np.uint8)
    bits = np.packbits(ink.reshape(10, -1), axis=1)
    alphabets = (
        Alphabet("images_background", "Zulu", 1, 1, sha256(bits[:2])),
        Alphabet("images_background", "Alpha", 2, 2, sha256(bits[2:6])),
        Alphabet("images_evaluation", "Mid", 4, 2, sha256(bits[6:])),
    )
    return Small(Reference(alphabets, drawers=2, content=sha256(bits)), ink)


def load(small: Small, folders: DataFolders, size: int = 105) -> ImageClasses:
    return Omniglot(small.reference).load(size, folders, QUIET)


# -- what is read --------------------------------------------------------------------------------


def test_classes_follow_the_character_number(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    data = load(small, folders)
    assert data.images.shape == (10, 1, 105, 105)
    assert data.images.dtype == torch.uint8
    assert data.starts.tolist() == [0, 2, 4, 6, 8]
    assert data.counts.tolist() == [2] * 5
    assert data.groups == ("Zulu", "Alpha", "Alpha", "Mid", "Mid")
    assert data.class_names == ("Zulu 1", "Alpha 1", "Alpha 2", "Mid 1", "Mid 2")
    assert data.content == small.reference.content


def test_ink_is_255_and_paper_0(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    assert np.array_equal(load(small, folders).images[:, 0], small.ink * 255)


@pytest.mark.parametrize("place", ["", "omniglot", "omniglot-py"])
def test_places_in_the_data_folder(small: Small, folders: DataFolders, place: str) -> None:
    small.both(folders.data / place)
    assert load(small, folders, 28).images.shape == (10, 1, 28, 28)


def test_archives_that_an_earlier_download_left(small: Small, folders: DataFolders) -> None:
    small.both(folders.cache / "omniglot-py")
    assert load(small, DataFolders(None, folders.cache)).content == small.reference.content


def test_packed_again(small: Small, folders: DataFolders) -> None:
    for archive in small.reference.archives:
        small.zip(folders.data, archive, backwards=True, method=zipfile.ZIP_DEFLATED)
    assert np.array_equal(load(small, folders).images[:, 0], small.ink * 255)


def test_other_members_are_ignored(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    files = {
        **small.files("images_background"),
        "__MACOSX/images_background/._Zulu": b"resource fork",
        "images_background/": b"",
        "images_background/Zulu/.DS_Store": b"1",
    }
    write_zip(folders.data / "images_background.zip", files)
    assert load(small, folders).content == small.reference.content


def test_one_extracted_and_one_zipped(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    packed = folders.data / "images_background.zip"
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folders.data)
    packed.unlink()
    assert np.array_equal(load(small, folders).images[:, 0], small.ink * 255)


def test_the_second_time_needs_no_archives(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    first = load(small, folders, 20)
    shutil.rmtree(folders.data)
    assert torch.equal(load(small, folders, 20).images, first.images)


# -- what is refused -----------------------------------------------------------------------------


def refused(small: Small, folders: DataFolders) -> str:
    """The message; nothing may be cached."""
    with pytest.raises(BenchError) as caught:
        load(small, folders)
    assert [path for path in folders.cache.glob("*") if path.name != "omniglot-py"] == []
    assert list(folders.cache.glob("omniglot-py/*")) == []
    return str(caught.value)


def test_missing_archive_says_what_to_do(small: Small, folders: DataFolders) -> None:
    small.zip(folders.data, "images_background")
    started = time.perf_counter()
    message = refused(small, folders)
    assert time.perf_counter() - started < 20  # importing torchvision included
    assert message.startswith("missing of Omniglot: images_evaluation.zip;")
    for place in (folders.data, folders.data / "omniglot", folders.cache / "omniglot-py"):
        assert f"  {place}\n" in message
    for advice in ("--data-dir", "$BENCH_DATA_DIR", "bench data fetch", "--suite glyphs-5way"):
        assert advice in message
    assert "the tests have no network" in message


def test_a_failed_download_leaves_the_timeout_as_it_was(small: Small, folders: DataFolders) -> None:
    before = socket.getdefaulttimeout()
    refused(small, folders)
    assert socket.getdefaulttimeout() == before


def test_verify_downloads_nothing(small: Small, folders: DataFolders) -> None:
    with pytest.raises(BenchError) as caught:
        Omniglot(small.reference).verify(folders, QUIET)
    assert "images_background.zip and images_evaluation.zip" in str(caught.value)
    assert "network" not in str(caught.value).partition("where there is a network")[0]
    assert not folders.cache.exists()


@pytest.mark.parametrize("kept", [0, 100, -1, -40])
def test_truncated_archive_is_named(small: Small, folders: DataFolders, kept: int) -> None:
    small.both(folders.data)
    path = folders.data / "images_evaluation.zip"
    path.write_bytes(path.read_bytes()[:kept])
    message = refused(small, folders)
    assert message.startswith(f"{path} ({path.stat().st_size:,} bytes) is cut off or damaged")


def test_a_flipped_bit_is_noticed(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    path = folders.data / "images_background.zip"
    content = bytearray(path.read_bytes())
    content[600] ^= 4  # in the compressed pixels of the first drawing
    path.write_bytes(content)
    assert str(path) in refused(small, folders)


def test_altered_pixels_name_the_alphabet(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    small.ink[7, 50, 50] ^= 1  # first character of the alphabet Mid, second drawer
    small.zip(folders.data, "images_evaluation")
    message = refused(small, folders)
    assert f"altered drawings in {folders.data / 'images_evaluation.zip'}" in message
    assert "1 of 3 alphabets differ" in message
    assert "Mid (characters 0004 to 0005)" in message
    assert "images_background" not in message


def test_swapped_drawers_are_altered_pixels(small: Small, folders: DataFolders) -> None:
    small.ink[[0, 1]] = small.ink[[1, 0]]
    small.both(folders.data)
    assert "Zulu" in refused(small, folders)


def test_lost_drawings_are_counted(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    files = small.files("images_background")
    del files["images_background/Alpha/character02/0003_01.png"]
    write_zip(folders.data / "images_background.zip", files)
    assert "lacks 1 of 6 drawings, the first is images_background/Alpha/character02" in refused(
        small, folders
    )


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_broken_drawing_is_named(small: Small, folders: DataFolders, content: bytes) -> None:
    small.both(folders.data)
    name = "images_background/Alpha/character02/0003_01.png"
    write_zip(
        folders.data / "images_background.zip",
        {**small.files("images_background"), name: content},
    )
    assert f"cannot be read at {name}" in refused(small, folders)


def test_a_drawing_of_another_size_is_named(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    small.ink = small.ink[:, :104]
    small.zip(folders.data, "images_evaluation")
    assert "105x104 pixels instead of 105x105" in refused(small, folders)


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/etc/evil.png", "a\\..\\b.png", "C:\\evil.png"]
)
def test_members_that_point_outside(small: Small, folders: DataFolders, name: str) -> None:
    small.both(folders.data)
    write_zip(
        folders.data / "images_background.zip", {**small.files("images_background"), name: b"x"}
    )
    message = refused(small, folders)
    assert repr(name) in message
    assert "points outside" in message


@pytest.mark.parametrize("size", [0, 106])
def test_impossible_sizes(small: Small, folders: DataFolders, size: int) -> None:
    with pytest.raises(BenchError, match="from 1 to 105"):
        load(small, folders, size)


def test_unknown_split(small: Small, folders: DataFolders) -> None:
    small.both(folders.data)
    with pytest.raises(BenchError, match="did you mean 'vinyals'"):
        Omniglot(small.reference).split("vinyal", load(small, folders))


# -- the real dataset ----------------------------------------------------------------------------


def test_the_reference_describes_1623_characters() -> None:
    reference = official()
    assert len(reference.alphabets) == 50
    assert [len(reference.members(archive)) for archive in reference.archives] == [19280, 13180]
    following = [a.first + a.characters for a in reference.alphabets]
    assert [1, *following] == [*(a.first for a in reference.alphabets), 1624]


def test_real_content_is_pinned(omniglot: ImageClasses) -> None:
    assert omniglot.content == "36fc02a2da7b2746cbc586c7d6af60fe816de828c2ed207f66a2e6933b920c20"
    assert omniglot.images.shape == (1623 * 20, 1, 28, 28)
    assert omniglot.counts.tolist() == [20] * 1623
    assert len(set(omniglot.groups)) == 50
    # 8.05 % ink; with ink and paper swapped it would be 91.95 %.
    assert omniglot.images.float().mean().item() / 255 == pytest.approx(0.0805, abs=0.0001)


def test_the_real_duplicate_is_where_it_should_be(omniglot: ImageClasses) -> None:
    """Braille character 192: drawers 3 and 19 are the same drawing. Catches an order gone wrong."""
    braille = omniglot.images[191 * 20 : 192 * 20]
    assert omniglot.groups[191] == "Braille"
    assert torch.equal(braille[2], braille[18])
    assert not torch.equal(braille[2], braille[17])


def test_real_second_start_is_fast(omniglot: ImageClasses, session_folders: DataFolders) -> None:
    started = time.perf_counter()
    Omniglot().load(28, session_folders, QUIET)
    assert time.perf_counter() - started < 1


def test_vinyals_is_the_published_table(
    omniglot: ImageClasses, session_folders: DataFolders
) -> None:
    """Compares with the table that lies beside the archives, where it does."""
    table = next(session_folders.data.rglob("vinyals_split.csv"), None)
    if table is None:
        pytest.skip(f"needs vinyals_split.csv in {session_folders.data}")
    split = Omniglot().split("vinyals", omniglot)
    for line in table.read_text().splitlines()[1:]:
        character, alphabet, name, part = line.split(",")
        index = int(character) - 1
        assert index in getattr(split, part)
        assert omniglot.class_names[index] == f"{alphabet} {int(name.removeprefix('character'))}"
