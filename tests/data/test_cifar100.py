import codecs
import hashlib
import io
import pickle
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.dataset import DataFolders, ImageClasses
from bench.data.cifar100 import CIFAR100
from bench.data.cifar100_archives import PhotoClass, Reference, bytes_of_array, official
from bench.data.inert_pickle import read_inert
from bench.errors import BenchError

QUIET = print
EACH = 4
PHASES = ("train", "train", "val", "test")


@dataclass
class Small:
    """Four classes of four photographs, three in the first part and one in the second."""

    reference: Reference
    pixels: np.ndarray
    """(4, 4, 3072)"""

    def part(self, name: str, order: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Labels and pixels of a part, in an order or backwards."""
        chosen = self.pixels[:, :3] if name == "train" else self.pixels[:, 3:]
        labels = np.repeat(np.arange(4), chosen.shape[1])
        return labels[::order], chosen.reshape(-1, 3072)[::order]

    def binary(self, name: str, order: int = 1) -> bytes:
        labels, pixels = self.part(name, order)
        head = np.stack([np.zeros_like(labels), labels], axis=1).astype(np.uint8)
        return np.concatenate([head, pixels], axis=1).tobytes()

    def python(self, name: str, protocol: int = 2) -> bytes:
        labels, pixels = self.part(name)
        content = {"fine_labels": labels.tolist(), "data": np.ascontiguousarray(pixels)}
        return pickle.dumps(content, protocol)

    def files(self, version: str, order: int = 1) -> dict[str, bytes]:
        if version == "binary":
            return {f"{part}.bin": self.binary(part, order) for part in ("train", "test")}
        return {part: self.python(part) for part in ("train", "test")}

    def pack(self, folder: Path, version: str = "binary", order: int = 1) -> Path:
        return pack(folder, f"cifar-100-{version}", self.files(version, order))


def pack(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(f"{name}/{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return folder / f"{name}.tar.gz"


def digest(images: np.ndarray) -> str:
    """As the reference has it: of the images' hashes in ascending order."""
    hashes = sorted(hashlib.sha256(image.tobytes()).digest() for image in images)
    return hashlib.sha256(b"".join(hashes)).hexdigest()


@pytest.fixture
def small() -> Small:
    pixels = np.random.default_rng(0).integers(256, size=(4, EACH, 3072), dtype=np.uint8)
    classes = tuple(
        PhotoClass(f"thing {n}", "things", phase, PHASES[-1 - n], digest(pixels[n]))
        for n, phase in enumerate(PHASES)
    )
    whole = hashlib.sha256(b"".join(bytes.fromhex(one.sha256) for one in classes)).hexdigest()
    return Small(Reference(classes, EACH, whole), pixels)


def load(small: Small, folders: DataFolders, size: int = 32) -> ImageClasses:
    return CIFAR100(small.reference).load(size, folders, QUIET)


def refused(small: Small, folders: DataFolders) -> str:
    with pytest.raises(BenchError) as caught:
        load(small, folders)
    assert list(folders.cache.glob("*.npy")) == []
    return str(caught.value)


# -- what is read --------------------------------------------------------------------------------


def test_classes_of_both_parts(small: Small, folders: DataFolders) -> None:
    small.pack(folders.data)
    data = load(small, folders)
    assert data.images.shape == (16, 3, 32, 32)
    assert data.images.dtype == torch.uint8
    assert data.starts.tolist() == [0, 4, 8, 12]
    assert data.class_names == ("thing 0", "thing 1", "thing 2", "thing 3")
    assert data.groups == ("things",) * 4
    assert data.content == small.reference.content
    for number in range(4):
        found = data.images[4 * number : 4 * number + 4].numpy()
        assert digest(found) == small.reference.classes[number].sha256


def test_the_first_plane_is_red(small: Small, folders: DataFolders) -> None:
    small.pack(folders.data)
    images = load(small, folders).images[:4].reshape(4, 3072).numpy()
    original = {image.tobytes() for image in small.pixels[0]}
    assert {image.tobytes() for image in images} == original


@pytest.mark.parametrize("version", ["binary", "python"])
@pytest.mark.parametrize("extracted", [False, True])
@pytest.mark.parametrize("place", ["", "cifar100"])
def test_versions_and_places(
    small: Small, folders: DataFolders, version: str, extracted: bool, place: str
) -> None:
    small.pack(folders.cache / "cifar100")
    expected = load(small, DataFolders(None, folders.cache))
    elsewhere = DataFolders(folders.data, folders.cache / "another")
    if extracted:
        root = folders.data / place / f"cifar-100-{version}"
        root.mkdir(parents=True)
        for name, content in small.files(version).items():
            (root / name).write_bytes(content)
    else:
        small.pack(folders.data / place, version)
    assert torch.equal(load(small, elsewhere).images, expected.images)


def test_the_order_of_the_records_counts_for_nothing(small: Small, folders: DataFolders) -> None:
    small.pack(folders.data)
    expected = load(small, folders).images
    small.pack(folders.data, order=-1)
    again = load(small, DataFolders(folders.data, folders.cache / "another"))
    assert torch.equal(again.images, expected)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_python_versions_of_all_protocols(
    small: Small, folders: DataFolders, protocol: int
) -> None:
    files = {part: small.python(part, protocol) for part in ("train", "test")}
    pack(folders.data, "cifar-100-python", files)
    assert load(small, folders).content == small.reference.content


def test_smaller_images_are_area_averages(small: Small, folders: DataFolders) -> None:
    small.pack(folders.data)
    whole = load(small, folders).images.reshape(16, 3, 16, 2, 16, 2).float().mean((3, 5))
    half = load(small, folders, 16).images
    assert torch.equal(half, (whole + 0.5).floor().to(torch.uint8))


def test_splits(small: Small, folders: DataFolders) -> None:
    small.pack(folders.data)
    data, source = load(small, folders), CIFAR100(small.reference)
    assert [part.tolist() for part in source.split("cifar-fs", data)] == [[0, 1], [2], [3]]
    assert [part.tolist() for part in source.split("fc100", data)] == [[2, 3], [1], [0]]
    with pytest.raises(BenchError, match="did you mean 'cifar-fs'"):
        source.split("cifar-f", data)


# -- what is refused -----------------------------------------------------------------------------


def test_missing_says_what_to_do(small: Small, folders: DataFolders) -> None:
    message = refused(small, folders)
    for place in (folders.data, folders.data / "cifar100", folders.cache / "cifar100"):
        assert f"  {place}\n" in message
    for advice in ("cifar-100-binary.tar.gz", "--data-dir", "bench data fetch", "glyphs-5way"):
        assert advice in message
    assert "the tests have no network" in message


def test_verify_downloads_nothing(small: Small, folders: DataFolders) -> None:
    with pytest.raises(BenchError, match="missing"):
        CIFAR100(small.reference).verify(folders, QUIET)
    assert not folders.cache.exists()


def test_altered_pixels_name_the_class(small: Small, folders: DataFolders) -> None:
    small.pixels[2, 0, 5] ^= 1
    small.pack(folders.data)
    message = refused(small, folders)
    assert "1 of 4 classes differ from the published ones: thing 2" in message
    assert str(folders.data / "cifar-100-binary.tar.gz") in message


def test_lost_images_name_the_class(small: Small, folders: DataFolders) -> None:
    files = small.files("binary")
    files["train.bin"] = files["train.bin"][3074:]
    pack(folders.data, "cifar-100-binary", files)
    assert "has 3 images of thing 0, not 4" in refused(small, folders)


@pytest.mark.parametrize("kept", [0, 40, -30])
def test_cut_off(small: Small, folders: DataFolders, kept: int) -> None:
    path = small.pack(folders.data)
    path.write_bytes(path.read_bytes()[:kept])
    message = refused(small, folders)
    assert message.startswith(f"{path} cannot be read")
    assert "bench data fetch cifar100" in message


@pytest.mark.parametrize("content", [b"", b"x" * 3073, b"x" * 3075])
def test_records_of_another_length(small: Small, folders: DataFolders, content: bytes) -> None:
    pack(folders.data, "cifar-100-binary", {**small.files("binary"), "test.bin": content})
    assert "at test: " in refused(small, folders)


def test_a_member_is_missing(small: Small, folders: DataFolders) -> None:
    pack(folders.data, "cifar-100-binary", {"train.bin": small.binary("train")})
    assert "no such member" in refused(small, folders)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps([1]),
        pickle.dumps({"fine_labels": [0]}),
        pickle.dumps({"fine_labels": [0, 300], "data": np.zeros((2, 3072), np.uint8)}, 2),
        pickle.dumps({"fine_labels": [0], "data": np.zeros((2, 3072), np.uint8)}, 2),
    ],
)
def test_other_pickles(small: Small, folders: DataFolders, content: bytes) -> None:
    pack(folders.data, "cifar-100-python", {**small.files("python"), "train": content})
    assert "cannot be read at train" in refused(small, folders)


class Built:
    """In a pickle: an array, as far as its state goes, or the call of `_codecs.encode`."""

    def __init__(self, state: object = None, encoded: tuple[object, ...] | None = None) -> None:
        self.state, self.encoded = state, encoded

    def __reduce__(self) -> tuple[object, ...]:
        if self.encoded is not None:
            return codecs.encode, self.encoded
        return len, (), self.state


def state_of(content: object) -> tuple[object, ...]:
    return (1, (1, 3072), 3, False, content)


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 3072,
        Built(3),
        Built((1, 2)),
        Built(state_of(5)),
        Built(state_of(None)),
        Built(state_of([1] * 3072)),
        Built(state_of(Built(1))),
        Built(state_of(Built(encoded=()))),
        Built(state_of(Built(encoded=(5,)))),
        Built(state_of("\u0416" * 3072)),
    ],
)
def test_pickled_arrays_of_anything_else(small: Small, folders: DataFolders, data: object) -> None:
    crafted = pickle.dumps({"fine_labels": [1], "data": data}, 2)
    pack(folders.data, "cifar-100-python", {**small.files("python"), "train": crafted})
    assert "lacks fine_labels and data that fit each other" in refused(small, folders)


def test_the_crafted_state_is_the_only_fault_of_these_pickles() -> None:
    for content in (b"x" * 3072, "x" * 3072, Built(encoded=("x" * 3072, "latin1"))):
        tree = read_inert(pickle.dumps(Built(state_of(content)), 2))
        assert bytes_of_array(tree) == b"x" * 3072


def test_a_link_in_the_archive_is_not_followed(small: Small, folders: DataFolders) -> None:
    folders.data.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folders.data / "cifar-100-binary.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("cifar-100-binary/train.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert "the member is no file" in refused(small, folders)


@pytest.mark.parametrize("size", [0, 33])
def test_impossible_sizes(small: Small, folders: DataFolders, size: int) -> None:
    with pytest.raises(BenchError, match="from 1 to 32"):
        load(small, folders, size)


# -- the real dataset ----------------------------------------------------------------------------


def test_the_reference_has_the_published_splits() -> None:
    classes = official().classes
    assert len({one.name for one in classes}) == 100
    assert len({one.superclass for one in classes}) == 20
    counts = [[sum(getattr(c, s) == p for c in classes) for p in ("train", "val", "test")]
              for s in ("cifar_fs", "fc100")]  # fmt: skip
    assert counts == [[64, 16, 20], [60, 20, 20]]
    phases: dict[str, set[str]] = {}
    for one in classes:
        phases.setdefault(one.superclass, set()).add(one.fc100)
    assert all(len(found) == 1 for found in phases.values())


def test_real_content(cifar100_folder: Path, session_folders: DataFolders) -> None:
    data = CIFAR100().load(32, DataFolders(cifar100_folder, session_folders.cache), QUIET)
    assert data.images.shape == (60_000, 3, 32, 32)
    assert data.class_names[:2] == ("apple", "aquarium_fish")
    # the means that everybody normalises by: 0.507, 0.487, 0.441 (here of both parts)
    means = torch.stack([data.images[:, c].float().mean() for c in range(3)]) / 255
    assert means.tolist() == pytest.approx([0.507, 0.487, 0.441], abs=0.002)
