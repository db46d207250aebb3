"""`bench.Suite`: data from Python becomes files, and a run reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

import bench
from bench.data.array_file import read_arrays
from bench.data.objects import arrays_of
from bench.errors import BenchError
from bench.planning.own_suite import as_toml
from bench.suites.schema import read_suite

CLASSES, EACH = 20, 8
NOISE = np.random.default_rng(0)
PATTERNS = NOISE.integers(0, 256, (CLASSES, 1, 16, 16, 3), dtype=np.uint8)
IMAGES = np.clip(
    PATTERNS.astype(int) + NOISE.integers(-20, 21, (CLASSES, EACH, 16, 16, 3)), 0, 255
).astype(np.uint8).reshape(-1, 16, 16, 3)  # fmt: skip
LABELS = np.repeat(np.arange(CLASSES), EACH)
ONE = {"3way": {"ways": 3, "shots": 1, "queries": 2}}
BUDGETS = {
    "smoke": {"updates": 2, "validations": 1, "validation_images": 50, "test_episodes": 5},
    "standard": {"updates": 2},
}


class Pictures(Dataset[Any]):
    """As torchvision's datasets are."""

    def __init__(self, turn: Any = Image.fromarray) -> None:
        self.targets = LABELS.tolist()
        self.turn = turn

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.turn(IMAGES[index]), self.targets[index]


class Names:
    names = tuple(f"kind {number}" for number in range(CLASSES))


class Columns:
    """As Hugging Face's datasets are."""

    features = {"image": object(), "label": Names()}

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"image": Image.fromarray(IMAGES[index]), "label": int(LABELS[index])}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "data",
    [
        (IMAGES, LABELS),
        {"images": IMAGES, "labels": LABELS},
        (torch.from_numpy(IMAGES), torch.from_numpy(LABELS)),
        Pictures(),
        Pictures(torch.from_numpy),
        TensorDataset(torch.from_numpy(IMAGES), torch.from_numpy(LABELS)),
    ],
)
def test_every_form_is_the_same_arrays(data):
    arrays = arrays_of(data)
    assert (arrays.items == IMAGES).all()
    assert (arrays.labels == LABELS).all()


def test_hugging_face_s_classes_have_names():
    arrays = arrays_of(Columns())
    assert (arrays.items == IMAGES).all()
    assert arrays.labels[[0, -1]].tolist() == ["kind 0", f"kind {CLASSES - 1}"]


def test_floats_stay_what_they_are_and_grey_images_stay_grey():
    features = np.linspace(-3, 3, 40, dtype=np.float32).reshape(8, 5)
    arrays = arrays_of({"features": features, "labels": np.arange(8) % 2})
    assert arrays.items.dtype == np.float32
    assert (arrays.items == features).all()
    grey = [(Image.fromarray(IMAGES[0, ..., 0]), 0), (Image.fromarray(IMAGES[1, ..., 0]), 1)]
    assert arrays_of(grey).items.shape == (2, 16, 16)
    mixed = [(Image.fromarray(IMAGES[0, ..., 0]), 0), (Image.fromarray(IMAGES[1]), 1)]
    assert arrays_of(mixed).items.shape == (2, 16, 16, 3)


def test_a_run_on_a_torch_dataset_and_the_same_suite_by_its_file(tmp_path):
    suite = bench.Suite("mine", Pictures(), image_size=16, settings=ONE, budgets=BUDGETS)
    asked = {
        "learners": ["prototypical"], "budget": "smoke", "results": tmp_path / "results",
        "devices": ["cpu/1"], "executor": "inline",
    }  # fmt: skip
    frame = bench.run(suites=[suite], **asked)
    assert frame.status.tolist() == ["done"]
    assert frame.suite.tolist() == ["mine"]
    again = bench.Suite("mine", Pictures(), image_size=16, settings=ONE, budgets=BUDGETS)
    assert again.path == suite.path
    told: list[Any] = []
    bench.run(suites=[str(suite.path)], listener=told.append, **asked)
    assert not [event for event in told if event.kind == "start"], "all of it was there"


def test_the_file_says_what_was_asked_for():
    suite = bench.Suite("mine", (IMAGES, LABELS), image_size=16, title='A "title" é')
    read = read_suite(suite.path)
    assert (read.title, read.image_size, read.settings["5way5shot"].shots) == ('A "title" é', 16, 5)
    arrays = read_arrays(suite.path.with_suffix(".npz"), ("images", "labels"))
    assert (arrays["images"] == IMAGES).all()


def test_data_that_has_a_name_needs_no_file():
    suite = bench.Suite("turned", "glyphs", split="scripts", rotations={"train": True})
    assert read_suite(suite.path).rotations.train
    assert [path.suffix for path in suite.path.parent.iterdir()] == [".toml"]


def test_toml_of_every_kind_of_value():
    text = as_toml({"a": 1, "b": 0.5, "c": True, "d": [1, "x"], "e": {"f": {"g": Path("h")}}})
    assert text == 'a = 1\nb = 0.5\nc = true\nd = [1, "x"]\ne = { "f" = { "g" = "h" } }\n'
    with pytest.raises(BenchError, match="a suite has texts, numbers"):
        as_toml({"a": object()})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "a name and a dataset are wanted, got None and NoneType"),
        ((3, Pictures()), "a name and a dataset are wanted, got 3"),
        (("a/b", Pictures()), "a name is of letters"),
        (("mine", 3), "expected a name, arrays, a torch Dataset"),
        (("mine", []), "it has no items"),
        (("mine", {"pictures": 3}), "the keys images .or features. and labels are wanted, got 'pi"),
        (("mine", [1, 2]), "an item is to be .input, label., and item 0 is a int"),
        (("mine", [{"picture": 1, "label": 2}]), "no column of images or features is found"),
        (("mine", (IMAGES, LABELS[:-1])), "a label for each item is wanted"),
        (
            ("mine", (IMAGES.astype(int), LABELS)),
            "images are uint8, features are floats; got int64",
        ),
        (("mine", (IMAGES, LABELS / 2)), "labels are to be integers or names, got float64"),
        (
            ("mine", [(IMAGES[0], 0), (IMAGES[0, 1:], 1)]),
            "item 1 has the shape .15, 16, 3., item 0",
        ),
        (("mine", "glyphz"), "split: missing"),
    ],
)
def test_mistakes_are_told(arguments, said):
    with pytest.raises(BenchError, match=said):
        bench.Suite(*arguments)


def test_a_wrong_key_is_told_with_the_nearest():
    with pytest.raises(BenchError, match="imagesize: unknown key; did you mean 'image_size'"):
        bench.Suite("mine", Pictures(), imagesize=16)
