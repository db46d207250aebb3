"""A suite file on a folder of images, from the command line to the report; and its mistakes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.cli import main
from bench.planning.own_data import own_classes
from bench.suites.schema import read_suite
from tests.helpers.coloured_shapes import SUITE, write_folder


@dataclass
class Ran:
    code: int | str | None
    out: str
    err: str


Bench = Callable[..., Ran]


@pytest.fixture
def bench(monkeypatch, capfd) -> Bench:
    """The command line in this process: what was printed, and the exit code."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ran(ended.value.code, *capfd.readouterr())

    return run


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """30 classes of 20 coloured images."""
    return write_folder(tmp_path_factory.mktemp("shapes") / "images")


@pytest.fixture
def suite(tmp_path, monkeypatch) -> Path:
    """A suite file beside a folder ``images`` of 30 classes with 6 images."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    write_folder(tmp_path / "images", images=6)
    path = tmp_path / "shapes.toml"
    path.write_text(SUITE)
    return path


def test_thirty_classes_in_colour_from_the_folder_to_the_report(
    bench, images, tmp_path, monkeypatch
):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    suite, results = images.parent / "shapes.toml", tmp_path / "results"
    suite.write_text(SUITE)
    asked = (
        "run",
        "--suite",
        suite,
        "--budget",
        "smoke",
        "--results",
        results,
        "--executor",
        "inline",
    )
    asked += ("--learner", "pixel-nearest-neighbour", "--learner", "prototypical")
    ran = bench(*asked)
    assert ran.code == 0, ran.err
    assert "2 of 2 cells done" in ran.out
    page = (results / "report.html").read_text()
    for shown in ("shapes", "prototypical", "pixel-nearest-neighbour", "folder:images ("):
        assert shown in page
    rows = json.loads(bench("results", "--results", results, "--format", "json").out)
    assert {row["learner"] for row in rows} == {"pixel-nearest-neighbour", "prototypical"}
    # Fixed seeds; chance is 33 %, and pixels alone tell colours apart.
    assert all(row["accuracy"] > 0.45 for row in rows)
    [stored] = results.glob("trainings/prototypical-*/training.json")
    training = json.loads(stored.read_text())
    assert training["task"]["input_shape"] == [3, 16, 16]
    assert training["dataset"] == f"folder:images ({training['content'][:8]})"
    parts = [training["images"][phase] for phase in ("train", "val", "test")]
    assert [len(part) for part in parts] == [18, 6, 6]
    assert len(set().union(*parts)) == 30

    moved = tmp_path / "elsewhere"
    shutil.copytree(images, moved / "images")
    shutil.copy(suite, moved)
    monkeypatch.chdir(moved)
    again = bench(*asked[:2], "shapes.toml", *asked[3:], "--dry-run")
    assert again.out.count(" done ") == 2, "the content names a training, not where it lies"


def test_check_counts_what_each_phase_has(bench, suite):
    ran = bench("check", suite)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].endswith("images of 3x16x16; no class is in two phases")
    rows = [line.split() for line in ran.out.splitlines()]
    assert ["train", "18", "108", "6"] in rows
    assert ["test", "6", "36", "6"] in rows
    assert ["3way1shot", "3", "5", "fits"] in rows
    known = bench("check", "copy", "--format", "json")
    assert json.loads(known.out)["settings"][0] == {
        "setting": "length10",
        "items": 10,
        "problem": None,
    }
    assert known.code == 0


def test_check_tells_what_is_left_out_and_what_two_phases_share(bench, suite):
    images = suite.parent / "images"
    (images / "shape-03" / "06.heic").write_bytes(b"")
    told = json.loads(bench("check", suite, "--format", "json").out)
    [note] = told["notes"]
    assert note.startswith(f"left out of {images}: 1 files .heic; the first is shape-03/06.heic")
    parts = own_classes(read_suite(suite)).classes
    first, last = images / parts.train[0], images / parts.test[0]
    shutil.copy(first / "00.png", last / "00.png")
    ran = bench("check", suite)
    assert ran.code == 0, ran.err
    assert (
        "note: 1 image is in train and in test too, the first in the classes "
        f"{first.name!r} and {last.name!r}"
    ) in ran.out
    shutil.rmtree(last)
    shutil.copytree(first, last)
    ran = bench("check", suite)
    assert ran.code == 2
    assert "split: the class" in ran.err
    assert "under another name" in ran.err


def test_show_tells_a_suite_file_as_an_installed_one(bench, suite):
    ran = bench("show", suite)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "shapes (version 1): Coloured shapes"
    for line in (
        f"dataset     folder:{suite.parent}/images, split 0.6/0.2/0.2 of the classes, seed 0, 16 "
        "pixels",
        "train       18 classes, 108 images, 6 of each",
        "val         6 classes, 36 images, 6 of each",
        "test        6 classes, 36 images, 6 of each",
        "  3way1shot  3-way, 1-shot, 4 queries per class",
    ):
        assert line in lines
    assert not list(suite.parent.glob("cache/*")), "nothing is decoded"
    of_folder = bench("show", f"folder:{suite.parent}/images")
    assert of_folder.out.splitlines()[-1] == "30 classes, 180 images, 6 of each"


def test_data_verify_counts_and_names_what_cannot_be_read(bench, suite):
    root = suite.parent / "images"
    for name in (suite, f"folder:{root}"):
        ran = bench("data", "verify", name)
        assert ran.code == 0, ran.err
        assert ran.out.startswith(
            f"{root}: 30 classes, 180 images, 6 of each; in colour, 20 pixels wide and 20 high;"
        )
        assert ("train 18 classes, 108 images" in ran.out) == (name is suite)
    for number in (3, 7):
        (root / f"shape-{number:02}" / "03.png").write_bytes(b"no image")
    ran = bench("data", "verify", suite, "copy")
    assert ran.code == 2
    assert ran.out.startswith("copy is generated"), "the others are looked at all the same"
    for said in ("2 of 180 images", f"{root}/shape-03/03.png", f"{root}/shape-07/03.png"):
        assert said in ran.err
    assert "Traceback" not in ran.err


def test_data_verify_of_a_suite_of_an_installed_dataset(bench, suite):
    suite.write_text(
        SUITE.replace(
            f'"folder:./images"\nimage_size = 16\n{SPLIT}',
            '"glyphs"\nimage_size = 16\nsplit = "scripts"',
        )
    )
    ran = bench("data", "fetch", suite)
    assert (ran.code, ran.out) == (0, f"{suite} needs no download\n")


def test_check_of_a_folder(bench, suite):
    root = suite.parent / "images"
    ran = bench("check", f"folder:{root}", "--image-size", "12")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"folder:{root}: 6 pass, 0 fail, 3 not applicable\n")
    assert "180 images of 3x12x12" in ran.out


NO_DATASETS = {
    # command and name: what is said
    ("data", "verify", "{here}/images"): "{here}/images is a folder; write folder:{here}/images",
    ("data", "verify", "folder:{here}/imgs"): "the folder {here}/imgs does not exist",
    ("data", "verify", "{here}/no.toml"): "cannot read the suite file {here}/no.toml",
    ("data", "verify", "glyph"): "no dataset is called 'glyph'; did you mean 'glyphs'?",
    ("show", "{here}/images"): "{here}/images is a folder; write folder:{here}/images",
    ("show", "folder:{here}/imgs"): "the folder {here}/imgs does not exist",
    ("show", "{here}/no.toml"): "cannot read the suite file {here}/no.toml",
    ("check", "{here}/images"): "{here}/images is a folder; write folder:{here}/images",
    ("check", "folder:{here}/imgs"): "the folder {here}/imgs does not exist",
    ("check", "{here}/no.toml"): "cannot read the suite file {here}/no.toml",
    ("check", "glyph"): "no suite, learner or dataset is called 'glyph'; did you mean 'glyphs'",
}


@pytest.mark.parametrize("command", NO_DATASETS, ids=" ".join)
def test_what_is_no_dataset_is_one_message(bench, suite, command):
    here = suite.parent
    ran = bench(*(word.format(here=here) for word in command))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"Error: {NO_DATASETS[command].format(here=here)}")
    assert len(ran.err.splitlines()) <= 2


def test_check_tells_which_settings_do_not_fit_and_exits_with_1(bench, suite):
    suite.write_text(SUITE + "[settings.7way1shot]\nways = 7\nshots = 1\nqueries = 4\n")
    ran = bench("check", suite, "--format", "json")
    assert ran.code == 1
    fits, problem = json.loads(ran.out)["settings"]
    assert fits["problem"] is None
    assert problem["problem"].startswith(
        "in test, an episode needs 7 classes, and only 6 are there"
    )
    assert bench("check", suite, "--check", "config").code == 2


def test_a_list_of_classes_splits_as_well(bench, suite):
    rows = [f"shape-{n:02},{'train' if n < 9 else 'val' if n < 12 else 'test'}" for n in range(16)]
    (suite.parent / "split.csv").write_text("\n".join(["class,split", *rows]))
    suite.write_text(
        SUITE.replace("{ train = 0.6, val = 0.2, test = 0.2, seed = 0 }", '"split.csv"')
    )
    told = json.loads(bench("check", suite, "--format", "json").out)
    assert [row["classes"] for row in told["phases"]] == [9, 3, 4]
    before = told["split"]
    assert before.startswith("split.csv (")
    (suite.parent / "split.csv").write_text("\n".join(["class,split", *rows[:-1]]))
    assert json.loads(bench("check", suite, "--format", "json").out)["split"] != before


SPLIT = "split = { train = 0.6, val = 0.2, test = 0.2, seed = 0 }"
SETTING = "ways = 3\nshots = 1\nqueries = 4"
MISTAKES = {
    # what is wrong: (in the suite file, written instead, what is said)
    "syntax": ("version = 1", "version = = 1", "not valid TOML: Invalid value (at line 2"),
    "unknown key": ("image_size", "imagesize", "  imagesize: unknown key; did you mean 'image_s"),
    "missing key": ('protocol = "kshot"\n', "", "  protocol: missing"),
    "wrong type": ("version = 1", 'version = "one"', "  version: Input should be a valid integer"),
    "wrong type of split": (SPLIT, "split = 3", "  split: Input should be a valid string, got 3"),
    "unknown dataset": (
        f'dataset = "folder:./images"\nimage_size = 16\n{SPLIT}',
        'dataset = "omniglott"\nimage_size = 16\nsplit = "vinyals"',
        "dataset: no dataset is called 'omniglott'; did you mean 'omniglot'",
    ),
    "a path": (
        f'dataset = "folder:./images"\nimage_size = 16\n{SPLIT}',
        'dataset = "./images"\nimage_size = 16\nsplit = "folders"',
        "own data: folder:./images for images by class, arrays:./images for an .npz file",
    ),
    "unknown split": (
        f'dataset = "folder:./images"\nimage_size = 16\n{SPLIT}',
        'dataset = "glyphs"\nimage_size = 16\nsplit = "script"',
        "split: no split of glyphs is called 'script'; did you mean 'scripts'?",
    ),
    "fractions of no folder": ("folder:./images", "glyphs", "split: fractions are for a folder"),
    "fractions that are no whole": ("train = 0.6", "train = 0.7", "sum to 1, not 1.1"),
    "unknown fraction": ("val = 0.2", "vall = 0.2", "split.vall: unknown key; did you mean 'val'"),
    "missing fraction": ("val = 0.2, ", "", "  split.val: missing"),
    "fraction of the wrong type": (
        "val = 0.2", 'val = "few"', "  split.val: Input should be a valid number",
    ),
    "a phase without classes": (
        "train = 0.6, val = 0.2, test = 0.2", "train = 0.98, val = 0.01, test = 0.01",
        "split: the split '0.98/0.01/0.01 of the classes, seed 0' has no classes for",
    ),
    "no list": (SPLIT, 'split = "classes.csv"', "split: cannot read the list of classes"),
    "missing folder": ("./images", "./imagse", "imagse does not exist, or is no folder"),
    "too few classes": (
        "ways = 3", "ways = 7", "settings.3way1shot: in test, an episode needs 7 classes, and",
    ),
    "too few images": (
        SETTING, SETTING.replace("4", "6"),
        "settings.3way1shot: in test, an episode needs 7 images of each class",
    ),
    "memory probe": (
        'protocol = "kshot"', 'protocol = "sequence"', "settings.3way1shot.items: missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_suite_is_one_message_with_file_and_key(bench, suite, mistake):
    wrong, instead, said = MISTAKES[mistake]
    assert SUITE.count(wrong) == 1
    suite.write_text(SUITE.replace(wrong, instead))
    told_once(bench, suite, said)


def empty_class(root: Path) -> None:
    (root / "empty").mkdir()


def broken_image(root: Path) -> None:
    (root / "shape-07" / "03.png").write_bytes(b"no image")


def few_for_training(root: Path) -> None:
    for path in root.glob("shape-19/0[1-5].png"):  # a class of meta-training
        path.unlink()


FOLDERS = {
    empty_class: "dataset: {root} has classes without images: empty;",
    broken_image: "dataset: cannot read the image {root}/shape-07/03.png:",
    few_for_training: "settings.3way1shot: in train, an episode needs 5 images of each class",
}


@pytest.mark.parametrize("damage", FOLDERS, ids=lambda damage: damage.__name__)
def test_a_folder_that_cannot_be_used_is_one_message(bench, suite, damage):
    root = suite.parent / "images"
    damage(root)
    told_once(bench, suite, FOLDERS[damage].format(root=root))


LISTS = {
    "unknown class": ("shape-0,train", "line 2: no class is called 'shape-0'; did you mean"),
    "overlap": ("shape-00,train\nshape-00,test", "line 3: the class 'shape-00' is in test, and by"),
    "empty phase": ("shape-00,train\nshape-01,test", "has no classes for val"),
}


@pytest.mark.parametrize("mistake", LISTS)
def test_a_list_that_does_not_fit_is_one_message(bench, suite, mistake):
    rows, said = LISTS[mistake]
    (suite.parent / "split.csv").write_text(f"class,split\n{rows}\n")
    suite.write_text(SUITE.replace(SPLIT, 'split = "split.csv"'))
    told_once(bench, suite, said)


def told_once(bench: Bench, suite: Path, said: str) -> None:
    """One message that begins with the suite's file, exit code 2, and nothing is stored."""
    results = suite.parent / "results"
    ran = bench(
        "run", "--suite", suite, "--learner", "pixel-nearest-neighbour", "--results", results
    )
    assert ran.code == 2, ran.out + ran.err
    assert said in ran.err
    error = ran.err[ran.err.index("Error: ") :]
    assert error.startswith(f"Error: {suite}")
    assert len(error.strip().splitlines()) <= 1 + 5  # a line for each key that is wrong
    assert "Traceback" not in ran.err
    assert not results.exists()
