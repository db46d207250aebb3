"""Arrays of what somebody has in Python: a torch ``Dataset``, a Hugging Face dataset, arrays.

A worker is another process, and no object of Python travels to it. So the data becomes arrays once,
which are written into a file that `bench.data.array_file` reads.

Letters in shapes: ``M`` items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        BenchError: anything else; items of two shapes; as many labels as items are wanted.
    """
    if isinstance(data, Mapping):
        named = {name: data[name] for name in ("images", "features", "labels") if name in data}
        if len(named) != 2 or "labels" not in named:
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
        first = data[0]
    except (KeyError, TypeError) as error:
        raise BenchError(
            f"dataset: a {type(data).__name__} has no item 0; give its columns as arrays: "
            '{"images": ..., "labels": ...}'
        ) from error
    if isinstance(first, Mapping):
        return _of_columns(data, first)
    if not (isinstance(first, Sequence) and len(first) == 2):
        raise BenchError(
            f"dataset: an item is to be (input, label), and item 0 is a {type(first).__name__}"
        )
    return _whole(*zip(*(data[number] for number in range(len(data))), strict=True))


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
    items, labels = zip(
        *((item[image], item[label]) for item in (data[n] for n in range(len(data)))), strict=True
    )
    features = getattr(data, "features", None)  # Hugging Face's; anything of another dataset
    described = features.get(label) if isinstance(features, Mapping) else None
    names = getattr(described, "names", None)
    if names is not None:
        labels = _named(labels, names)
    return _whole(items, labels)


def _named(labels: Sequence[Any], names: Sequence[str]) -> tuple[str, ...]:
    """The names of some labels. A part of a dataset that nobody has labelled says -1, or None."""
    # Of `with_format("torch")` a label is a tensor without dimensions.
    labels = [n.item() if isinstance(n, torch.Tensor) and not n.ndim else n for n in labels]
    known = [isinstance(n, int | np.integer) and 0 <= n < len(names) for n in labels]
    advice = "dataset.filter(lambda item: item[...] is not None and item[...] >= 0)"
    refuse_unlabelled("dataset", labels, known, f"0 to {len(names) - 1}", advice)
    return tuple(names[number] for number in labels)


def _whole(items: Any, labels: Any) -> Arrays:
    """One array of each."""
    if not hasattr(items, "shape"):
        items = list(items)
        colour = any(isinstance(one, Image.Image) and not is_grey(one) for one in items)
        made = [_pixels(number, one, colour) for number, one in enumerate(items)]
        shapes = [one.shape for one in made]
        if odd := next((n for n, shape in enumerate(shapes) if shape != shapes[0]), None):
            raise BenchError(
                f"dataset: item {odd} has the shape {shapes[odd]}, item 0 {shapes[0]}; all have to "
                "be alike: resize them first, or put the files into a folder (folder:PATH)"
            )
        items = np.stack(made) if made else np.empty(0)
    items = np.asarray(_plain(items))
    labels = np.asarray(_plain(labels))
    if labels.ndim == 1 and labels.dtype.kind not in "iuU" and len(labels):
        raise BenchError(f"dataset: labels are to be integers or names, got {labels.dtype}")
    if labels.ndim != 1 or len(items) != len(labels) or not len(labels):
        raise BenchError(
            f"dataset: a label for each item is wanted; got items of shape {items.shape} and "
            f"labels of shape {labels.shape}"
        )
    check_labelled("dataset", labels, LEFT_OUT)
    if items.dtype != np.uint8 and not np.issubdtype(items.dtype, np.floating):
        raise BenchError(f"dataset: images are uint8, features are floats; got {items.dtype}")
    return Arrays(items, labels)


def _pixels(number: int, item: Any, colour: bool) -> NDArray[Any]:
    """An item as an array; an image as the same file in a folder would be."""
    if not isinstance(item, Image.Image):
        return np.asarray(_plain(item))
    try:
        pixels = pixels_of(item, grey=not colour)  # (C, H, W)
    except ImageError as error:
        raise BenchError(f"dataset: item {number} cannot be used: {error}") from error
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
