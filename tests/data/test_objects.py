"""Whatever is wrong with an item of somebody's dataset is one message, with the item's number."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from bench.data.objects import arrays_of
from bench.errors import BenchError

PIXELS = np.arange(16, dtype=np.uint8).reshape(4, 4)
LATER = 3
"""The item that is wrong."""


class Items(Dataset[Any]):
    """Good items, and one that a function makes."""

    def __init__(self, odd: Any, good: Any = (PIXELS, 1), at: int = LATER) -> None:
        self.odd, self.good, self.at = odd, good, at

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Any:
        return self.odd() if index == self.at else self.good


def refused(data: Any) -> str:
    with pytest.raises(BenchError) as caught:
        arrays_of(data)
    return str(caught.value)


def failing(error: Exception) -> Any:
    def fail() -> Any:
        raise error

    return fail


def cut_off() -> Image.Image:
    """A photograph that Pillow opens, and cannot decode."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(256, size=(64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return Image.open(io.BytesIO(file.getvalue()[:2000]))


RAGGED = [[1.0, 2.0], [3.0]]
ONE_CLASS = "expected one class: a whole number in all items, or a text in all; mend it, or leave"
AN_INPUT = "expected an image of Pillow, an array or a tensor; mend it, or leave it out"
ODD = {
    "several labels": (lambda: (PIXELS, [1, 2]), f"its label is [1, 2]; {ONE_CLASS}"),
    "a tensor of labels": (lambda: (PIXELS, torch.tensor([1, 2])), "its label is tensor([1, 2]);"),
    "ragged labels": (lambda: (PIXELS, [1, [2]]), "it cannot be used: ValueError: setting an"),
    "no label": (lambda: (PIXELS, None), f"its label is None; {ONE_CLASS}"),
    "half a label": (lambda: (PIXELS, 0.5), f"its label is 0.5; {ONE_CLASS}"),
    "a text": (lambda: (PIXELS, "a"), "its label is a text, that of item 0 is a whole number;"),
    "ragged": (lambda: (RAGGED, 1), "it cannot be used: ValueError: setting an array element"),
    "ragged tensors": (
        lambda: ([torch.zeros(2), torch.zeros(3)], 1), "it cannot be used: RuntimeError: stack",
    ),
    "cut off": (lambda: (cut_off(), 1), "it cannot be used: "),
    "three values": (lambda: (PIXELS, 1, 2), "it is a tuple of 3 values; expected (input, label)"),
    "one number": (lambda: 7, "it is a int; expected (input, label)"),
    "no file": (
        failing(OSError("cannot identify image file")),
        "it cannot be used: OSError: cannot identify image file; expected (input, label); mend",
    ),
    "no words": (failing(AssertionError()), "it cannot be used: AssertionError; expected"),
    "a key": (failing(KeyError("x")), "it cannot be used: KeyError: 'x'; expected"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_an_item_that_cannot_be_used_is_told_by_its_number(case):
    odd, said = ODD[case]
    message = refused(Items(odd))
    assert message.startswith(f"dataset: item {LATER}: {said}")
    assert "\n" not in message


@pytest.mark.parametrize("case", ["ragged", "cut off"])
def test_of_a_bad_input_it_is_said_what_is_expected(case):
    assert AN_INPUT in refused(Items(ODD[case][0]))


@pytest.mark.parametrize("error", [OSError("gone"), KeyError("x"), TypeError("no"), IndexError()])
def test_the_first_item_may_be_the_one(error):
    message = refused(Items(failing(error), at=0))
    assert message.startswith(f"dataset: item 0: it cannot be used: {type(error).__name__}")


def test_labels_are_tensors_or_texts():
    data = Items(lambda: (PIXELS, "a"), (PIXELS, torch.tensor(1)))
    assert "item 3: its label is a text, that of item 0 is a whole number" in refused(data)
    assert arrays_of(Items(lambda: (PIXELS, "a"), (PIXELS, "b"))).labels[LATER] == "a"
    tensors = arrays_of(Items(lambda: (PIXELS, torch.tensor(2)), (PIXELS, torch.tensor(1))))
    assert tensors.labels.tolist() == [1, 1, 1, 2, 1, 1]


def test_lists_of_labels_are_looked_at_as_well():
    assert "dataset: item 1: its label is [2, 3]" in refused(([PIXELS] * 2, [1, [2, 3]]))
    assert "the images or features are a int that cannot be listed" in refused((5, [1]))
    assert "labels of shape ()" in refused(([PIXELS], 1))


def test_columns_are_told_by_the_item_too():
    good = {"image": PIXELS, "label": 1}
    message = refused(Items(lambda: {"image": PIXELS}, good))
    assert message.startswith(
        f"dataset: item {LATER}: it cannot be used: KeyError: 'label'; expected the columns image "
        "and label"
    )
    assert f"item {LATER}: it cannot be used: OSError: no" in refused(
        Items(failing(OSError("no")), good)
    )
    assert f"item {LATER}: its label is [1, 2]" in refused(
        Items(lambda: {"image": PIXELS, "label": [1, 2]}, good)
    )


def test_of_a_dataset_in_parts_one_is_to_be_chosen():
    class Columns:
        column_names = ["image", "label"]

    class Parts(dict[str, Any]):
        """`datasets.DatasetDict`, which is a dict."""

    for part in (Columns(), Items(None)):
        message = refused(Parts(train=part, test=part))
        assert "it has the parts 'train', 'test'" in message
        assert message.endswith("choose a part: data['train']")
    assert "the keys images" in refused({"train": 1})
