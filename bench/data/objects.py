"""Arrays of what somebody has in Python: a torch ``Dataset``, a Hugging Face dataset, arrays.

A worker is another process, and no object of Python travels to it. So the data becomes arrays once,
which are written into a file that `bench.data.array_file` reads.

Letters in shapes: ``M`` items.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.data.decoding import ImageError, is_grey, pixels_of
from bench.data.labels import check_labelled, refuse_unlabelled
from bench.errors import BenchError

IMAGE_KEYS = ("image", "img", "images", "pixel_values", "features", "embedding")
LABEL_KEYS = ("label", "labels", "fine_label", "target")
"""How Hugging Face datasets call their columns, the likelier name first."""
LEFT_OUT = (
    "arrays by images[labels >= 0] and labels[labels >= 0], a torch Dataset by "
    "torch.utils.data.Subset(dataset, [the numbers of the others])"
)
"""How items without a label are."""


READ = "(input, label)"
INPUT = "an image of Pillow, an array or a tensor"
LABEL = "one class: a whole number in all items, or a text in all"
"""What is expected of an item, where it is not there."""


class ItemError(ValueError):
    """What is wrong with an item; whoever asked for it knows its number."""


class Arrays(NamedTuple):
    """Items and their labels."""

    items: NDArray[Any]
    """(M, ...) uint8 images, or floats, which are taken as they are."""
    labels: NDArray[Any]
    """(M,) integers, or names of classes."""


def arrays_of(data: Any) -> Arrays:
    """Every item of a dataset, decoded.

    Args:
        data: a mapping with the keys ``images`` (or ``features``) and ``labels``; a pair of them; a
            torch ``Dataset`` of (input, label); a dataset of Hugging Face, whose names of classes
            are kept. Inputs are Pillow's images, arrays or tensors, all of one shape.

    Raises:
        BenchError: anything else; an item that cannot be read or used, with its number; items of
            two shapes; as many labels as items are wanted.
    """
    if isinstance(data, Mapping):
        named = {name: data[name] for name in ("images", "features", "labels") if name in data}
        if len(named) != 2 or "labels" not in named:
            parts = [name for name, part in data.items() if _is_dataset(part)]
            if parts:
                raise BenchError(
                    f"dataset: it has the parts {', '.join(map(repr, parts))}, and one dataset is "
                    f"wanted; choose a part: data[{parts[0]!r}]"
                )
            raise BenchError(
                "dataset: the keys images (or features) and labels are wanted, got "
                f"{', '.join(map(repr, data)) or 'none'}"
            )
        labels = named.pop("labels")
        return _whole(next(iter(named.values())), labels)
    if isinstance(data, tuple) and len(data) == 2:
        return _whole(*data)
    if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise BenchError(
            "dataset: expected a name, arrays, a torch Dataset with a length, or a Hugging Face "
            f"dataset, got {type(data).__name__}"
        )
    if not len(data):
        raise BenchError("dataset: it has no items")
    try:
        with _item(0, READ):
            first = data[0]
    except BenchError as error:
        # A table has other keys than numbers; a Dataset has items, the first of which is damaged.
        if _is_dataset(data) or not isinstance(error.__cause__, KeyError | TypeError):
            raise
        raise BenchError(
            f"dataset: a {type(data).__name__} has no item 0; give its columns as arrays: "
            '{"images": ..., "labels": ...}'
        ) from error
    if isinstance(first, Mapping):
        return _of_columns(data, first)
    items, labels = [], []
    for number in range(len(data)):
        with _item(number, READ):
            item = data[number]
            if not (isinstance(item, Sequence) and len(item) == 2):
                many = f" of {len(item)} values" if isinstance(item, Sequence) else ""
                raise ItemError(f"it is a {type(item).__name__}{many}")
            items.append(item[0])
            labels.append(item[1])
    return _whole(items, labels)


def _is_dataset(part: Any) -> bool:
    """Whether it is of torch, or has columns as those of Hugging Face do."""
    return isinstance(part, torch.utils.data.Dataset) or hasattr(part, "column_names")


@contextmanager
def _item(number: int, wanted: str) -> Iterator[None]:
    """Where an item is read or converted: whatever goes wrong is told with its number, and with
    what is wanted of it."""
    try:
        yield
    except ImageError as error:
        raise BenchError(f"dataset: item {number}: it cannot be used: {error}") from error
    except ItemError as error:
        raise BenchError(
            f"dataset: item {number}: {error}; expected {wanted}; mend it, or leave it out"
        ) from error
    except Exception as error:  # a Dataset is anybody's code, over anybody's files
        said = f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
        raise BenchError(
            f"dataset: item {number}: it cannot be used: {said}; expected {wanted}; mend it, or "
            "leave it out"
        ) from error


def _of_columns(data: Any, first: Mapping[str, Any]) -> Arrays:
    """Of a dataset whose items are mappings."""
    columns = []
    for keys, what in ((IMAGE_KEYS, "images or features"), (LABEL_KEYS, "labels")):
        found = [key for key in keys if key in first]
        if not found:
            raise BenchError(
                f"dataset: no column of {what} is found, one of {', '.join(keys)}; it has "
                f"{', '.join(map(str, first))}"
            )
        columns.append(found[0])
    image, label = columns
    items: list[Any] = []
    labels: list[Any] = []
    for number in range(len(data)):
        with _item(number, f"the columns {image} and {label}"):
            item = data[number]
            pair = item[image], item[label]
        items.append(pair[0])
        labels.append(pair[1])
    features = getattr(data, "features", None)  # Hugging Face's; anything of another dataset
    described = features.get(label) if isinstance(features, Mapping) else None
    names = getattr(described, "names", None)
    return _whole(items, labels if names is None else _named(labels, names))


def _named(labels: Sequence[Any], names: Sequence[str]) -> tuple[str, ...]:
    """The names of some labels. A part of a dataset that nobody has labelled says -1, or None."""
    # Of `with_format("torch")` a label is a tensor without dimensions.
    labels = [n.item() if isinstance(n, torch.Tensor) and not n.ndim else n for n in labels]
    known = [bool(isinstance(n, int | np.integer) and 0 <= n < len(names)) for n in labels]
    advice = "dataset.filter(lambda item: item[...] is not None and item[...] >= 0)"
    refuse_unlabelled("dataset", labels, known, f"0 to {len(names) - 1}", advice)
    return tuple(names[number] for number in labels)


def _whole(items: Any, labels: Any) -> Arrays:
    """One array of each."""
    if not hasattr(items, "shape"):
        items = _listed(items)
        colour = any(isinstance(one, Image.Image) and not is_grey(one) for one in items)
        made = []
        for number, one in enumerate(items):
            with _item(number, INPUT):
                made.append(_pixels(one, colour))
        shapes = [one.shape for one in made]
        if odd := next((n for n, shape in enumerate(shapes) if shape != shapes[0]), None):
            raise BenchError(
                f"dataset: item {odd} has the shape {shapes[odd]}, item 0 {shapes[0]}; all have to "
                "be alike: resize them first, or put the files into a folder (folder:PATH)"
            )
        items = np.stack(made) if made else np.empty(0)
    items = np.asarray(_plain(items))
    if isinstance(labels, Sequence) and not isinstance(labels, str):
        labels = _classes(labels)
    labels = np.asarray(_plain(labels))
    if labels.ndim == 1 and labels.dtype.kind not in "iuU" and len(labels):
        raise BenchError(f"dataset: labels are to be integers or names, got {labels.dtype}")
    if labels.ndim != 1 or not items.ndim or len(items) != len(labels) or not len(labels):
        raise BenchError(
            f"dataset: a label for each item is wanted; got items of shape {items.shape} and "
            f"labels of shape {labels.shape}"
        )
    check_labelled("dataset", labels, LEFT_OUT)
    if items.dtype != np.uint8 and not np.issubdtype(items.dtype, np.floating):
        raise BenchError(f"dataset: images are uint8, features are floats; got {items.dtype}")
    return Arrays(items, labels)


def _listed(items: Any) -> list[Any]:
    try:
        return list(items)
    except Exception as error:  # what iterates may be anybody's code too
        raise BenchError(
            f"dataset: the images or features are a {type(items).__name__} that cannot be listed "
            f"({error}); expected an array, a tensor, or a list of them"
        ) from error


def _classes(labels: Sequence[Any]) -> list[Any]:
    """Labels one by one: whole numbers all, or texts all."""
    found, kinds = [], []
    for number, label in enumerate(labels):
        with _item(number, LABEL):
            one = _plain(label)
            told = np.asarray(one)
            if told.ndim or told.dtype.kind not in "iuU":
                raise ItemError(f"its label is {reprlib.repr(label)}")
            kinds.append("a text" if told.dtype.kind == "U" else "a whole number")
            if kinds[-1] != kinds[0]:  # else 3 and "3" would be one class
                raise ItemError(f"its label is {kinds[-1]}, that of item 0 is {kinds[0]}")
            found.append(one)
    return found


def _pixels(item: Any, colour: bool) -> NDArray[Any]:
    """An item as an array; an image as the same file in a folder would be."""
    if not isinstance(item, Image.Image):
        return np.asarray(_plain(item))
    pixels = pixels_of(item, grey=not colour)  # (C, H, W)
    return np.moveaxis(pixels, 0, -1) if colour else pixels[0]


def _plain(value: Any) -> Any:
    """A tensor as an array; a tuple of tensors as one of numbers."""
    if isinstance(value, tuple | list) and value and isinstance(value[0], torch.Tensor):
        value = torch.stack([torch.as_tensor(one) for one in value])
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # numpy has no bfloat16, which embeddings often are; float32 holds all of its values.
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return value
