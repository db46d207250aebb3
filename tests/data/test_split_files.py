"""Splits as they are published: folders, a CSV of images per phase, a JSON of classes per phase."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.class_folder import ClassFolder, list_folder
from bench.data.image_folder import ImageFolder
from bench.data.split_files import listed_classes, phase_files, read_image_lists
from bench.errors import BenchError
from bench.planning.own_data import OwnClasses, own_classes
from bench.suites.schema import read_suite
from tests.helpers.coloured_shapes import SUITE

SPLIT = "{ train = 0.6, val = 0.2, test = 0.2, seed = 0 }"
CLASSES = [f"c{number}" for number in range(6)]


def draw(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((2, 2), grey, dtype=np.uint8)).save(path)


@pytest.fixture
def images(tmp_path) -> Path:
    """Six classes of two images, all different."""
    for number, name in enumerate(CLASSES):
        for image in range(2):
            draw(tmp_path / "images" / name / f"{image}.png", 10 * number + image)
    return tmp_path / "images"


def split(tmp_path: Path, said: str) -> OwnClasses:
    path = tmp_path / "suite.toml"
    assert SUITE.count(SPLIT) == 1
    path.write_text(SUITE.replace(SPLIT, said))
    return own_classes(read_suite(path))


def parts(own: OwnClasses) -> list[tuple[str, ...]]:
    return [own.classes.train, own.classes.val, own.classes.test]


THIRDS = [("c0", "c1"), ("c2", "c3"), ("c4", "c5")]
PHASES = ("train", "val", "test")


def test_folders_of_phases(tmp_path, images, folders):
    whole = ImageFolder(ClassFolder(path=str(images))).load(8, folders, print)
    for phase, names in zip(PHASES, THIRDS, strict=True):
        for name in names:
            (images / phase).mkdir(exist_ok=True)
            (images / name).rename(images / phase / name)
    own = split(tmp_path, '"folders"')
    assert parts(own) == THIRDS
    assert own.notes == ()
    assert own.split.startswith("folders (")
    assert ImageFolder(own.classes).load(8, folders, print).content == whole.content
    told = split(tmp_path, SPLIT)
    assert parts(told) == THIRDS
    assert "the fractions are not used" in told.notes[0]
    (images / "test" / "c0").mkdir()
    draw(images / "test" / "c0" / "0.png", 0)
    with pytest.raises(BenchError, match=r"1 classes in two of .* c0 \(in train and test\)"):
        list_folder(images)


def test_folders_are_asked_for_and_not_there(tmp_path, images):
    with pytest.raises(BenchError, match="has no folders train, val and test"):
        split(tmp_path, '"folders"')


def write_lists(folder: Path, phases: tuple[str, ...] = PHASES) -> None:
    for phase, names in zip(PHASES, THIRDS, strict=True):
        rows = [f"{image}.png,{name}" for name in names for image in range(2)]
        if phase in phases:
            (folder / f"{phase}.csv").write_text("\n".join(["filename,label", *rows]))


@pytest.mark.parametrize("said", ['"train.csv"', '"."'])
def test_a_list_of_images_per_phase(tmp_path, images, folders, said):
    write_lists(tmp_path)
    own = split(tmp_path, said)
    assert parts(own) == THIRDS
    data = ImageFolder(own.classes).load(8, folders, print)
    assert (
        data.content == ImageFolder(ClassFolder(path=str(images))).load(8, folders, print).content
    )
    before = own.split
    (tmp_path / "test.csv").write_text("filename,label\n0.png,c4\n")
    changed = split(tmp_path, said)
    assert changed.split != before
    assert ImageFolder(changed.classes).class_counts() == {**dict.fromkeys(CLASSES[:4], 2), "c4": 1}


def test_lists_of_images_that_lie_in_one_folder(tmp_path, folders):
    for number, name in enumerate(CLASSES):
        draw(tmp_path / "images" / f"{name}-0.png", number)
    for phase, names in zip(PHASES, THIRDS, strict=True):
        rows = "".join(f"{name}-0.png,{name}\n" for name in names)
        (tmp_path / f"{phase}.csv").write_text("filename,label\n" + rows)
    data = ImageFolder(split(tmp_path, '"train.csv"').classes).load(8, folders, print)
    assert data.class_names == tuple(CLASSES)
    assert data.images[:, 0, 0, 0].tolist() == list(range(6))


def test_phases_without_a_list_share_the_other_classes(tmp_path, images):
    write_lists(tmp_path, ("train",))
    own = split(tmp_path, '"train.csv"')
    train, val, test = parts(own)
    assert train == THIRDS[0]
    assert (len(val), len(test)) == (2, 2)
    assert sorted((*train, *val, *test)) == CLASSES
    assert own.notes[0].startswith("no val.csv and test.csv beside train.csv: of the 4 classes")
    (tmp_path / "train.csv").write_text(
        "filename,label\n" + "".join(f"0.png,{name}\n" for name in CLASSES)
    )
    with pytest.raises(BenchError, match=r"no val\.csv and test\.csv, and train\.csv leaves no"):
        split(tmp_path, '"train.csv"')


def test_a_list_of_classes_per_phase(tmp_path, images):
    for phase, names in zip(PHASES, THIRDS, strict=True):
        content = {"class_names": list(names), "class_roots": [f"/data/{n}" for n in names]}
        (tmp_path / f"{phase}.json").write_text(json.dumps(content))
    assert parts(split(tmp_path, '"train.json"')) == THIRDS
    (tmp_path / "train.json").write_text(
        json.dumps({"class_names": ["oak", "elm"], "class_roots": ["a/c0", "a/c1"]})
    )
    assert parts(split(tmp_path, '"train.json"')) == THIRDS, "by the folder where not by the name"


CSV_MISTAKES = {
    "9.png,c0": "lacks 1 images that are listed, the first is train.csv, line 2: 9.png of c0",
    "0.png": r"train\.csv, line 2: filename,label is wanted, got 0\.png",
    "0.png,": "line 2: filename,label is wanted",
    "../secret.png,c0": r"line 2: '\.\./secret\.png' leads out of the folder",
    "/etc/passwd,c0": "line 2: '/etc/passwd' leads out",
}


@pytest.mark.parametrize("row", CSV_MISTAKES)
def test_a_mistake_in_a_list_of_images_is_told_with_its_line(tmp_path, images, row):
    path = tmp_path / "train.csv"
    path.write_text(f"filename,label\n{row}\n")
    with pytest.raises(BenchError, match=CSV_MISTAKES[row]):
        read_image_lists([path], images)


@pytest.mark.parametrize("first", ["0.png,c0", "image,label", "class,split"])
def test_a_list_of_images_has_its_header(tmp_path, images, first):
    """Without one its first image would be lost."""
    write_lists(tmp_path)
    (tmp_path / "val.csv").write_text(f"{first}\n1.png,c0\n")
    with pytest.raises(
        BenchError, match=r"val\.csv: the first line .* is to be filename,label, got"
    ):
        split(tmp_path, '"train.csv"')


def test_a_name_of_two_files_is_refused(tmp_path, images):
    draw(images / "0.png", 200)
    path = tmp_path / "train.csv"
    path.write_text("filename,label\n0.png,c0\n")
    with pytest.raises(BenchError, match=r"line 2: 0\.png of c0 may be .*0\.png or .*c0/0\.png"):
        read_image_lists([path], images)


def test_an_image_of_two_classes_is_refused(tmp_path, images):
    path = tmp_path / "train.csv"
    path.write_text("filename,label\nc0/0.png,c0\nc0/0.png,oak\n")
    with pytest.raises(BenchError, match=r"line 3: c0/0\.png is in oak, and was in c0 before"):
        read_image_lists([path], images)
    path.write_text("filename,label\nc0/0.png,c0\nc0/0.png,c0\n")
    assert [len(files) for files in read_image_lists([path], images).values()] == [1]


JSON_MISTAKES = {
    "{": "is not valid JSON",
    "[]": 'has no "class_names"',
    '{"class_names": [1]}': 'has no "class_names"',
    '{"class_names": ["c0"], "class_roots": []}': '"class_roots" is to be a list of as many',
    '{"class_names": ["c9"]}': "no class is called 'c9'",
}


@pytest.mark.parametrize("text", JSON_MISTAKES)
def test_a_mistake_in_a_list_of_classes_is_told(tmp_path, text):
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=JSON_MISTAKES[text]):
        listed_classes({"train": path}, lambda: CLASSES)


def test_a_class_in_two_lists_is_refused(tmp_path):
    for phase in ("train", "test"):
        (tmp_path / f"{phase}.json").write_text('{"class_names": ["c0"]}')
    with pytest.raises(BenchError, match=r"test\.json has 1 classes that are in train\.json too"):
        listed_classes(phase_files(tmp_path / "train.json"), lambda: CLASSES)


def test_lists_have_the_names_of_phases(tmp_path):
    (tmp_path / "base.json").write_text("{}")
    with pytest.raises(BenchError, match=r"call the lists of the phases train\.json, val\.json"):
        phase_files(tmp_path / "base.json")
    with pytest.raises(BenchError, match=r"has no train\.csv and no train\.json"):
        phase_files(tmp_path)
