"""One's own images as a learner was given those of its training.

Letters in shapes: ``M`` images, ``C`` channels, ``H`` by ``W`` pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from bench.api.resize import area_average
from bench.data.class_folder import images_in, list_folder
from bench.data.decoding import ImageError, pixels_of, read_image
from bench.errors import BenchError

Images = Any
"""An array or tensor (M, H, W), (M, C, H, W) or (M, H, W, C) of uint8, bool, or floats from 0 to 1;
or a list of such images of any sizes, of Pillow's, or of paths."""

Pixels = NDArray[np.uint8]

EXPECTED = (
    "an array or tensor (images, height, width), with 1 or 3 channels before or behind height and "
    "width; a list of such images, of Pillow's, or of files; or a folder"
)


def labelled_folder(root: str | Path) -> tuple[list[Path], list[str]]:
    """The images of a folder of class folders, and the class of each.

    Raises:
        BenchError: see `bench.data.class_folder.list_folder`.
    """
    files = list_folder(Path(root).expanduser()).files
    named = [(path, name) for name, paths in files.items() for path in paths]
    return [path for path, _ in named], [name for _, name in named]


def unlabelled_folder(root: str | Path) -> list[Path]:
    """The images of a folder, or of the folders in it.

    Raises:
        BenchError: there is no such folder, or no image.
    """
    folder = Path(root).expanduser()
    if folder.is_dir() and (found := images_in(folder)):
        return found
    return labelled_folder(folder)[0]


def as_inputs(images: Images, shape: tuple[int, ...], invert: bool = False) -> Tensor:
    """Images as a learner takes them, resized and coloured as in its training.

    Args:
        images: see `Images`.
        shape: (C, H, W) of the training.
        invert: makes dark bright: of drawings in ink on paper for a learner that was trained on
            bright ink.

    Returns:
        (M, C, H, W) float32 in [0, 1].

    Raises:
        BenchError: what is no image.
    """
    channels, size = shape[0], shape[-1]
    if isinstance(images, Tensor | np.ndarray):
        array = _array(images)
        if array.ndim < 3:
            raise BenchError(
                f"images: one array of shape {array.shape} is not a batch; expected {EXPECTED}"
            )
        pixels = _resized(_channels_first(array, array.ndim - 3), channels, size)
    else:
        listed = _listed(images)
        pixels = np.concatenate([_one(image, channels, size) for image in listed])
    if not len(pixels):
        raise BenchError(f"images: there are none; expected {EXPECTED}")
    return torch.from_numpy(255 - pixels if invert else pixels).float() / 255


def _listed(images: Images) -> Sequence[Any]:
    if isinstance(images, Image.Image):
        return [images]
    if isinstance(images, list | tuple) and images:
        return images
    what = "none" if isinstance(images, list | tuple) else f"a {type(images).__name__}"
    raise BenchError(f"images: expected {EXPECTED}; got {what}")


def _one(image: Any, channels: int, size: int) -> Pixels:
    """One image (1, C, size, size)."""
    if isinstance(image, str | Path):
        try:
            return area_average(read_image(Path(image), channels == 1), size)[None]
        except ImageError as error:
            raise BenchError(f"cannot read the image {image}: {error}") from error
    if isinstance(image, Image.Image):
        try:
            pixels = pixels_of(image, channels == 1)
        except (OSError, ValueError, SyntaxError) as error:  # an ImageError is a ValueError
            raise BenchError(f"images: an image of Pillow's cannot be read: {error}") from error
        return area_average(pixels, size)[None]
    if isinstance(image, Tensor | np.ndarray):
        array = _array(image)
        if array.ndim in (2, 3):
            return _resized(_channels_first(array[None], array.ndim - 2), channels, size)
        raise BenchError(f"images: one of shape {array.shape} is no image; expected {EXPECTED}")
    raise BenchError(f"images: expected {EXPECTED}; one of them is a {type(image).__name__}")


def _array(images: Tensor | NDArray[Any]) -> Pixels:
    """As uint8.

    Raises:
        BenchError: another type, or floats that are not from 0 to 1.
    """
    if isinstance(images, Tensor):
        images = images.detach().cpu()
        images = (images.float() if images.is_floating_point() else images).numpy()
    array: NDArray[Any] = images
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind != "f":
        raise BenchError(
            f"images: expected uint8 from 0 to 255 or floats from 0 to 1, got {array.dtype}"
        )
    low, high = (array.min(), array.max()) if array.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise BenchError(
            f"images: floats are from 0 to 1, and these are from {low:g} to {high:g}; divide them, "
            "or give uint8 from 0 to 255"
        )
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)


def _channels_first(array: Pixels, axes: int) -> Pixels:
    """(M, H, W), or with channels in front or behind, as (M, C, H, W).

    Args:
        array: a batch.
        axes: how many it has for channels: 0 or 1.
    """
    if axes == 0:
        return array[:, None]
    if axes == 1 and array.shape[1] in (1, 3):
        return array
    if axes == 1 and array.shape[3] in (1, 3):
        return np.moveaxis(array, 3, 1)
    raise BenchError(f"images: of shape {array.shape}; expected {EXPECTED}")


def _resized(array: Pixels, channels: int, size: int) -> Pixels:
    """(M, C, h, w) in the training's channels and size."""
    if 0 in array.shape[2:]:
        raise BenchError(f"images: of shape {array.shape}, which has no pixels")
    if channels == 1 and array.shape[1] == 3:
        array = _grey(array)
    elif channels == 3 and array.shape[1] == 1:
        array = np.repeat(array, 3, axis=1)
    flat = area_average(np.ascontiguousarray(array.reshape(-1, *array.shape[2:])), size)
    return flat.reshape(len(array), channels, size, size)


def _grey(array: Pixels) -> Pixels:
    """Luma as Pillow's ``L`` has it: (ITU-R BT.601, 16 bits), rounded."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    sums = np.tensordot(weights, array.astype(np.uint32), (0, 1)) + 0x8000  # (M, h, w)
    return (sums >> 16).astype(np.uint8)[:, None]
