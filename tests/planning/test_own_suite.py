"""`bench.Suite`: data from Python becomes files, and a run reads them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas
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


class Measured(Columns):
    """Its features are its own."""

    features = IMAGES[:, :3, 0, 0] / 255

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"features": self.features[index], "label": int(LABELS[index])}


class Unlabelled(Columns):
    """A part that nobody has labelled, as those for tests on the Hub often are."""

    def __init__(self, label: Any) -> None:
        self.label = label

    def __getitem__(self, index: int) -> dict[str, Any]:
        return super().__getitem__(index) | ({"label": self.label} if index == 3 else {})


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


@pytest.mark.parametrize("label", [-1, CLASSES, None])
def test_items_without_a_label_are_no_class(label):
    with pytest.raises(BenchError, match=f"1 of 160 items have no label .*item 3 with {label};"):
        arrays_of(Unlabelled(label))


@pytest.mark.parametrize("label", [-1, -100])
@pytest.mark.parametrize("form", ["arrays", "mapping", "tensors", "torch Dataset", "columns"])
def test_negative_labels_are_no_class(form, label, monkeypatch):
    labels = np.where(np.arange(len(LABELS)) % 8 == 3, label, LABELS)
    monkeypatch.setattr(Unlabelled, "features", None)
    data = {
        "arrays": (IMAGES, labels),
        "mapping": {"images": IMAGES, "labels": labels.tolist()},
        "tensors": (torch.from_numpy(IMAGES), torch.from_numpy(labels)),
        "torch Dataset": TensorDataset(torch.from_numpy(IMAGES), torch.from_numpy(labels)),
        "columns": Unlabelled(label),
    }[form]
    with pytest.raises(
        BenchError, match=rf"of 160 items have no label .*item 3 with {label}; leave them out"
    ):
        arrays_of(data)


def test_labels_of_hugging_face_may_be_tensors():
    class Formatted(Columns):
        """`with_format("torch")`."""

        def __getitem__(self, index: int) -> dict[str, Any]:
            given = super().__getitem__(index)
            return given | {"label": torch.tensor(given["label"])}

    assert arrays_of(Formatted()).labels[[0, -1]].tolist() == ["kind 0", f"kind {CLASSES - 1}"]


def test_features_may_be_an_attribute_of_any_kind(monkeypatch):
    assert np.array_equal(arrays_of(Measured()).items, Measured.features)
    monkeypatch.setattr(Columns, "features", None)
    assert arrays_of(Columns()).labels.tolist() == LABELS.tolist()


def test_images_are_what_the_same_files_in_a_folder_are():
    deep = Image.fromarray(np.full((2, 2), 30_000, dtype=np.uint16))
    assert deep.mode == "I;16"
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert arrays_of([(deep, 0), (deep, 1)]).items.tolist() == [[[117, 117], [117, 117]]] * 2
    assert (arrays_of([(clear, 0), (clear, 1)]).items == 255).all(), "over white"
    for mode in ("F", "I"):
        with pytest.raises(BenchError, match=r"item 1: it cannot be used: its pixels .* no range"):
            arrays_of([(deep, 0), (Image.new(mode, (2, 2)), 1)])


def test_embeddings_of_half_precision_are_features():
    features = torch.linspace(-1, 1, 12).view(4, 3).bfloat16()
    arrays = arrays_of((features, torch.tensor([0, 0, 1, 1])))
    assert arrays.items.dtype == np.float32
    assert (arrays.items == features.float().numpy()).all()


def test_relative_paths_begin_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        for item in range(2):
            path = Path("images", f"c{number}", f"{item}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(IMAGES[8 * number + item]).save(path)
    parts = {"train": range(6), "val": range(6, 8), "test": range(8, 10)}
    rows = [f"c{number},{part}" for part, numbers in parts.items() for number in numbers]
    Path("split.csv").write_text("\n".join(["class,split", *rows]))
    named: list[Any] = ["folder:./images", Path("images")]
    for data in named:
        suite = bench.Suite(
            "mine", data, split="split.csv", test={"dataset": "folder:images"},
            settings={"2way": {**ONE["3way"], "ways": 2, "dataset": "folder:./images"}},
        )  # fmt: skip
        read = read_suite(suite.path)
        assert read.dataset == f"folder:{tmp_path / 'images'}"
        assert read.split == str(tmp_path / "split.csv")
        assert read.test.dataset == read.settings["2way"].dataset == read.dataset


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
    with pytest.raises(BenchError, match="None is no value; leave the key out"):
        as_toml({"a": None})
    assert tomllib.loads(as_toml({"a": "\x00\x7fü"})) == {"a": "\x00\x7fü"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "a name and a dataset are wanted, got None and NoneType"),
        ((3, Pictures()), "a name and a dataset are wanted, got 3"),
        (("a/b", Pictures()), "a name is of letters"),
        (("mine", 3), "expected a name, arrays, a torch Dataset"),
        (("mine", []), "it has no items"),
        (("mine", {"pictures": 3}), "the keys images .or features. and labels are wanted, got 'pi"),
        (("mine", [1, 2]), "item 0: it is a int; expected .input, label."),
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
        (("mine", "glyphz"), "no dataset is called 'glyphz'; did you mean 'glyphs'"),
        (("mine", "/photos"), "no dataset is called '/photos'(?s:.*)folder:/photos for images by"),
        (("mine", pandas.DataFrame({"a": [1]})), "a DataFrame has no item 0; give its columns"),
    ],
)
def test_mistakes_are_told(arguments, said):
    with pytest.raises(BenchError, match=said):
        bench.Suite(*arguments)


def test_a_title_that_is_no_text_is_told():
    with pytest.raises(BenchError, match="is no text in UTF-8"):
        bench.Suite("mine", (IMAGES, LABELS), title="\udc80")


def test_a_wrong_key_is_told_with_the_nearest():
    with pytest.raises(BenchError, match="imagesize: unknown key; did you mean 'image_size'"):
        bench.Suite("mine", Pictures(), imagesize=16)
