"""mini-ImageNet and CUB from folders as their owners have them, small ones here."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api.dataset import DataFolders
from bench.data.photo_folders import CUB, MiniImageNet, _phases
from bench.errors import BenchError

EACH = 2


def photograph(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = np.random.default_rng(seed).integers(0, 256, 3).tolist()
    Image.new("RGB", (9, 7), tuple(colour)).save(path)


def write_mini(root: Path, form: str) -> None:
    """All 100 classes; the seed of an image says of which class it is."""
    for number, (synset, phase) in enumerate(_phases().items()):
        for which in range(EACH):
            name = f"{synset}{which:08d}.jpg"
            where = {
                "flat": root / "images" / name,
                "classes": root / synset / name,
                "phases": root / phase / synset / name,
                "images of classes": root / "images" / synset / name,
            }
            photograph(where[form], 10 * number + which)


@pytest.fixture
def folders(tmp_path):
    return DataFolders(tmp_path / "data", tmp_path / "cache")


def test_the_published_partition():
    """Ravi and Larochelle 2017, Section 5.1.1: 64, 16 and 20 classes. Some that papers show: the
    house finch is of meta-training, the lion and the trifle of meta-test."""
    phases = _phases()
    assert Counter(phases.values()) == {"train": 64, "val": 16, "test": 20}
    assert (phases["n01532829"], phases["n02129165"], phases["n07613480"]) == (
        "train", "test", "test",
    )  # fmt: skip


@pytest.mark.parametrize("form", ["flat", "classes", "phases", "images of classes"])
def test_every_form_is_the_same_data(form, folders):
    write_mini(folders.data / "mini-imagenet", "flat")
    wanted = MiniImageNet().load(16, folders, print)
    other = DataFolders(folders.cache.parent / "other", folders.cache)
    write_mini(other.data / "miniImagenet", form)
    found = MiniImageNet().load(16, other, print)
    assert found.content == wanted.content
    assert (found.images == wanted.images).all()
    assert found.images.shape == (200, 3, 16, 16)
    split = MiniImageNet().split("ravi", found)
    assert [len(part) for part in split] == [64, 16, 20]
    assert found.class_names[split.test[0]] == "n01930112"


def test_what_is_missing_is_told(folders):
    source = MiniImageNet()
    assert "cannot be downloaded for you" in (source.missing(folders) or "")
    assert "no data folder was named" in (source.missing(DataFolders(None, folders.cache)) or "")
    with pytest.raises(BenchError, match="mini-imagenet is not here"):
        source.fetch(folders, print)
    write_mini(folders.data / "mini-imagenet", "classes")
    assert source.missing(folders) is None
    folder = folders.data / "mini-imagenet" / "n02129165"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(BenchError, match=r"lacks 1 of the 100 classes .* first is n02129165"):
        source.load(16, folders, print)


def test_other_images_than_those_of_papers_are_told(folders):
    write_mini(folders.data / "mini-imagenet", "classes")
    assert "papers use 600 images of each class" in MiniImageNet().verify(folders, print)


def test_classes_that_are_not_of_the_set_are_left_alone(folders):
    """A folder of ImageNet's 1,000 classes, for instance."""
    write_mini(folders.data / "mini-imagenet", "classes")
    photograph(folders.data / "mini-imagenet" / "n99999999" / "1.jpg", 5)
    assert len(MiniImageNet().load(16, folders, print).counts) == 100


@pytest.mark.parametrize("form", ["classes", "phases"])
def test_what_else_lies_beside_the_classes_is_left_alone(form, folders):
    """The published lists, and an image that is called like a class."""
    root = folders.data / "mini-imagenet"
    write_mini(root, form)
    (root / "splits").mkdir()
    (root / "splits" / "train.csv").write_text("filename,label\n")
    photograph(root / "n01532829_preview.jpg", 1)
    photograph(root / "csv" / "figure.png", 1)
    listing = MiniImageNet().listing(root)
    assert len(listing.files) == 100
    assert {len(files) for files in listing.files.values()} == {EACH}
    assert [path.name for path in listing.left_out] == ["n01532829_preview.jpg"]


def test_the_split_of_cub(folders, monkeypatch):
    """Chen et al. 2019 count classes from 0 in the order of their names: 0, 2, 4, 6 are for
    meta-training, 1 and 5 for meta-validation, 3 and 7 for meta-test."""
    monkeypatch.setattr(CUB, "classes", 8)
    for number in range(8):
        name = f"{number + 1:03d}.Bird_{number}"
        photograph(folders.data / "CUB_200_2011" / "images" / name / "1.jpg", number)
    loaded = CUB().load(16, folders, print)
    assert [part.tolist() for part in CUB().split("chen", loaded)] == [[0, 2, 4, 6], [1, 5], [3, 7]]
    with pytest.raises(BenchError, match="no split of cub is called 'cheng'; did you mean 'chen'"):
        CUB().split("cheng", loaded)


def test_the_order_of_cub_is_that_of_its_numbers(folders, monkeypatch):
    """Folders without the archive's numbers would be another split under the published name."""
    monkeypatch.setattr(CUB, "classes", 2)
    for name in ("Albatross", "Auklet"):
        photograph(folders.data / "cub" / "images" / name / "1.jpg", len(name))
    with pytest.raises(BenchError, match=r"class 1 of cub begins with 001\. and is 'Albatross'"):
        CUB().load(16, folders, print)


def test_a_stray_image_beside_the_classes_is_left_out(folders):
    write_mini(folders.data / "mini-imagenet", "classes")
    photograph(folders.data / "mini-imagenet" / "preview.png", 0)
    listing = MiniImageNet().listing(folders.data / "mini-imagenet")
    assert len(listing.files) == 100
    assert [path.name for path in listing.left_out] == ["preview.png"]


def test_half_a_cub_is_refused(folders):
    for number in range(8):
        photograph(folders.data / "cub" / "images" / f"{number + 1:03d}.Bird" / "1.jpg", number)
    with pytest.raises(BenchError, match="has 8 folders of classes, and cub has 200"):
        CUB().load(16, folders, print)
